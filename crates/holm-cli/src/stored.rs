//! The store: where it is, roots from it for `--root`, and what is said when it has none.

use crate::fill::Intent;
use crate::report::{Fault, like};
use holm_root::image::{Image, Name};
use holm_root::store::{Error, Held, Store};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Before a name, it tells that no directory is meant.
const PREFIX: &[u8] = b"store:";

/// The caller's store.
pub(crate) fn open() -> Result<Store, Fault> {
    let path = place().ok_or_else(|| Fault {
        message: "cannot find a place for the store: neither HOLM_STORE, XDG_DATA_HOME nor HOME is set".to_owned(),
        origin: String::new(),
        hint: "HOLM_STORE=DIR".to_owned(),
    })?;
    Store::open(&path).map_err(|error| fault(&error, ""))
}

/// `HOLM_STORE`; else `/var/lib/holm` for root; else as the XDG base directory specification says.
pub(crate) fn place() -> Option<PathBuf> {
    match std::env::var_os("HOLM_STORE").filter(|value| !value.is_empty()) {
        Some(path) => std::path::absolute(path).ok(),
        None => crate::places::own("/var/lib/holm", "XDG_DATA_HOME", ".local/share"),
    }
}

/// Where packages for its roots are kept: in `cache` in the directory `HOLM_STORE`, else where holm's cache is.
pub(crate) fn cache() -> Result<PathBuf, String> {
    match std::env::var_os("HOLM_STORE").filter(|value| !value.is_empty()) {
        Some(path) => match std::path::absolute(&path) {
            Ok(path) => Ok(path.join("cache")),
            Err(error) => Err(format!("cannot use the store {}: {}", path.display(), holm::model::text::cause(&error))),
        },
        None => crate::places::cache(),
    }
}

/// What a `--root` that is neither `host`, `none` nor programs means: `None` for a directory.
///
/// `oci:PATH[:TAG]` and `docker:IMAGE` are images, which are stored when they are used first; `debian:SUITE` is built then.
/// `store:NAME` is a stored root. Whatever has a `/` or exists is a directory. Anything else is a stored root, if the
/// store has one of that name or of nearly that name; else a directory that is missing.
pub(crate) fn root(value: &OsStr, origin: &str, intent: Intent) -> Result<Option<Held>, Fault> {
    let failed = |error: Error| fault(&error, origin);
    if let Some(path) = crate::image::named(Path::new(value)) {
        let id = Image::named(&path).map_err(failed)?.id_name();
        let words = ["import".as_ref(), "--".as_ref(), value, id.as_ref()];
        return held_or(&id, words, origin, intent).map(Some);
    }
    if let Some(image) = value.as_bytes().strip_prefix(b"docker:").map(OsStr::from_bytes) {
        let name = Name::parse(&image.to_string_lossy()).map_err(failed)?.in_store();
        let words = ["pull".as_ref(), "--".as_ref(), image, name.as_ref()];
        return held_or(&name, words, origin, intent).map(Some);
    }
    let named = value.as_bytes().strip_prefix(PREFIX).map(OsStr::from_bytes);
    let is_path = value.as_bytes().contains(&b'/') || Path::new(value).exists();
    if named.is_none() && (is_path || place().is_none()) {
        return Ok(None);
    }
    let name = named.unwrap_or(value).to_string_lossy();
    if named.is_none() && crate::root::build::source(&name).is_some() {
        let words = ["build".as_ref(), "--".as_ref(), value, value];
        return held_or(&name, words, origin, intent).map(Some);
    }
    match open()?.hold(&name) {
        Ok(held) => Ok(Some(held)),
        Err(Error::Unknown { name, names }) if named.is_none() && near(&name, &names).is_empty() => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// A stored root; if it isn't there `holm root` with these words makes it, in a process of its own: that becomes root of the
/// caller's ids, which this one must not.
fn held_or(name: &str, words: [&OsStr; 4], origin: &str, intent: Intent) -> Result<Held, Fault> {
    let store = open()?;
    match store.hold(name) {
        Err(Error::Unknown { .. }) => {}
        held => return held.map_err(|error| fault(&error, origin)),
    }
    let [command, _, source, _] = words.map(|word| word.to_string_lossy());
    let hint = match command == "import" {
        true => format!("holm root import {source} {name}"),
        false => format!("holm root {command} {source}"),
    };
    let failed = |message: String| Fault { message, origin: origin.to_owned(), hint };
    if intent == Intent::Explain {
        return Err(failed(format!("cannot find root {name}: it is not stored yet")));
    }
    let mut holm = Command::new("/proc/self/exe");
    holm.arg("root").args(words).stdin(Stdio::null()).stdout(Stdio::null());
    match holm.status() {
        Ok(status) if status.success() => store.hold(name).map_err(|error| fault(&error, origin)),
        Ok(_) => Err(failed(format!("cannot {command} root {name}"))),
        Err(error) => Err(failed(format!("cannot {command} root {name}: {}", holm::model::text::cause(&error)))),
    }
}

/// An error of the store's, with what would help.
pub(crate) fn fault(error: &Error, origin: &str) -> Fault {
    let hint = match error {
        Error::Unknown { name, names } => like(&near(name, names), "holm root ls lists the names there are"),
        Error::Unusable { .. } => {
            "HOLM_STORE=DIR names another store; it must be the caller's own, with mode 700".to_owned()
        }
        Error::HoldsStore { .. } => "HOLM_STORE=DIR names another store; or bind a directory below".to_owned(),
        Error::Uncommitted { .. } => {
            "run with --root DIR or a stored root (holm root); holm apply writes to bound directories".to_owned()
        }
        Error::Clash { .. } => "holm diff shows both; --force writes over it".to_owned(),
        Error::UnknownChanges { name, names } => like(&near(name, names), "holm diff lists the names there are"),
        Error::OtherRoot { name } | Error::OtherIds { name } => {
            format!("holm drop {name} removes them; or give another name")
        }
        Error::Taken { name } => format!("holm root rm {name} makes room; or give another name"),
        Error::InUse { .. } => "it can be removed when that has ended".to_owned(),
        Error::Damaged { path, .. } if path.ends_with("about.json") => {
            let name = path.parent().and_then(Path::file_name).unwrap_or_default().display();
            format!("holm drop {name} removes the changes")
        }
        Error::Damaged { path, .. } if path.extension().is_some_and(|end| end == "json") => {
            let name = path.file_stem().unwrap_or_default().display();
            format!("holm root rm {name} removes it; import the root again")
        }
        Error::Damaged { .. } => "remove the root and import it again".to_owned(),
        Error::Tag { image, tags, .. } => match tags.is_empty() {
            true => "it has no tags: leave the tag out".to_owned(),
            false => format!("oci:{}:TAG with one of {}", image.display(), tags.join(", ")),
        },
        Error::Pull { status: Some(401 | 403), .. } => {
            "podman login or docker login writes credentials that are used here; helpers named in their files aren't run; \
             a private or missing repository answers so, too"
                .to_owned()
        }
        Error::Pull { status: Some(404), .. } => "its name is [REGISTRY/]REPOSITORY[:TAG][@DIGEST]".to_owned(),
        Error::Pull { status: Some(429), .. } => "try again later, or with credentials (podman login)".to_owned(),
        Error::Pull { status: None, .. } => {
            "the registry may not be there, or have no TLS: holm root pull --insecure speaks HTTP".to_owned()
        }
        Error::Erofs { path, .. } => format!(
            "fsck.erofs --extract=DIR {0}, or as root mount -o loop,ro {0} DIR; then holm root import DIR NAME",
            path.display()
        ),
        Error::Packed { path } => format!("gunzip, unxz or unzstd {} first", path.display()),
        Error::TooLarge { .. } => "--max-size SIZE allows more".to_owned(),
        _ => String::new(),
    };
    Fault { message: error.to_string(), origin: origin.to_owned(), hint }
}

/// The names that are most like this one.
pub(crate) fn near<'n>(name: &str, names: &'n [String]) -> Vec<&'n str> {
    let mut close: Vec<(usize, &str)> = names
        .iter()
        .map(|other| (strsim::damerau_levenshtein(name, other), other.as_str()))
        .filter(|(changes, _)| *changes <= (name.chars().count() / 3).max(1))
        .collect();
    close.sort_unstable();
    close.into_iter().take(3).map(|(_, name)| name).collect()
}
