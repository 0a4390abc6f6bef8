//! Credentials for registries, from where other programs keep them (containers-auth.json(5)): `REGISTRY_AUTH_FILE`, else
//! `containers/auth.json` in `XDG_RUNTIME_DIR`, then `config.json` in `DOCKER_CONFIG` or `~/.docker`. Helpers that are
//! named there are programs that would be run with the caller's rights; they aren't.

use std::collections::HashMap;
use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::Name;
use holm::model::text::cause;

const MOST: u64 = 1 << 20;

/// What is known of a registry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    None,
    Basic {
        user: String,
        password: String,
    },
    /// Only a helper knows more.
    Helper {
        name: String,
        file: PathBuf,
    },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: HashMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
}

impl Credentials {
    /// What the caller's files have for an image.
    pub(super) fn of_caller(name: &Name) -> Result<Credentials, String> {
        let mut helper = Credentials::None;
        for path in places() {
            let failed = |cause: String| format!("credentials in {} can't be read: {cause}", path.display());
            let bytes = match read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                bytes => bytes.map_err(|error| failed(cause(&error)))?,
            };
            match Credentials::parse(&bytes, name, &path).map_err(failed)? {
                Credentials::None => {}
                found @ Credentials::Basic { .. } => return Ok(found),
                found if helper == Credentials::None => helper = found,
                _ => {}
            }
        }
        Ok(helper)
    }

    /// What a file of these bytes has for an image.
    pub(super) fn parse(bytes: &[u8], name: &Name, path: &Path) -> Result<Credentials, String> {
        let config: Config = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let keys = name.keys();
        let auth = keys.iter().find_map(|key| config.auths.get(key)?.auth.as_deref().filter(|auth| !auth.is_empty()));
        if let Some(auth) = auth {
            let pair = STANDARD.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = pair.as_deref().and_then(|pair| pair.split_once(':'));
            let (user, password) = pair.ok_or("they are no base64 of USER:PASSWORD")?;
            let password = password.trim_end_matches('\0').to_owned();
            return Ok(Credentials::Basic { user: user.to_owned(), password });
        }
        let named = keys.iter().find_map(|key| config.cred_helpers.get(key)).or(config.creds_store.as_ref());
        Ok(named.map_or(Credentials::None, |name| Credentials::Helper { name: name.clone(), file: path.to_owned() }))
    }
}

fn places() -> Vec<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let podman = set("REGISTRY_AUTH_FILE")
        .or_else(|| set("XDG_RUNTIME_DIR").map(|directory| directory.join("containers/auth.json")));
    let docker = set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker")));
    podman.into_iter().chain(docker.map(|directory| directory.join("config.json"))).collect()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}
