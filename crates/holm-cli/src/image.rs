//! Runs in roots that were made from images: what an image says of the start counts where no option does.

use crate::report::Fault;
use holm::Spec;
use holm::spec::filesystem::{Entry, Operation};
use holm::spec::identity::User;
use holm::spec::life::Change;
use holm::spec::origins::Wish;
use holm_root::image::Config;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What precedes an image's wishes in messages.
const ORIGIN: &str = "the image's configuration";

/// Completes a wish by what the image of the root in `files` says.
pub(crate) fn complete(spec: &mut Spec, config: &Config, files: &Path) -> Result<(), Fault> {
    let mut changes: Vec<Change> = Vec::new();
    if spec.identity.user == User::Own {
        let account = config.account(files).map_err(|cause| Fault {
            message: format!("cannot run as the image's user {}: {cause}", config.user),
            origin: ORIGIN.to_owned(),
            hint: "--user UID:GID chooses another".to_owned(),
        })?;
        spec.identity.user = User::Ids { uid: account.uid, gid: account.gid };
        spec.origins.set(Wish::User, ORIGIN);
        changes.extend(account.home.map(|home| Change::Set("HOME".into(), home.into())));
    }
    let pairs = config.env.iter().filter_map(|pair| pair.split_once('=')).filter(|(name, _)| !name.is_empty());
    changes.extend(pairs.map(|(name, value)| Change::Set(name.into(), value.into())));
    // Before those of options, which win.
    changes.append(&mut spec.environment.changes);
    spec.environment.changes = changes;
    if spec.directory.is_none() {
        let directory = Path::new("/").join(&config.directory);
        // Engines make it, and images count on that.
        if directory != Path::new("/") {
            let operation = Operation::Directory { at: directory.clone(), mode: 0o755 };
            spec.filesystem.insert(0, Entry { operation, origin: ORIGIN.to_owned() });
        }
        spec.directory = Some(directory);
        spec.origins.set(Wish::Directory, ORIGIN);
    }
    if spec.program.name.is_empty() {
        let mut words = config.entrypoint.iter().chain(&config.command).map(OsString::from);
        spec.program.name = words.next().ok_or_else(|| Fault {
            message: "cannot run the image: it has neither an entrypoint nor a command".to_owned(),
            origin: ORIGIN.to_owned(),
            hint: "holm run --root ROOT PROGRAM".to_owned(),
        })?;
        spec.program.arguments = words.collect();
    }
    Ok(())
}

/// The image that `oci:PATH[:TAG]` names.
pub(crate) fn named(value: &Path) -> Option<PathBuf> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let name = value.as_os_str().as_bytes().strip_prefix(b"oci:")?;
    Some(PathBuf::from(OsString::from_vec(name.to_vec())))
}
