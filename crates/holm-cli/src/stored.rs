//! The store: where it is, roots from it for `--root`, and what is said when it has none.

use crate::report::Fault;
use holm_root::image::{Image, Name, Transport};
use holm_root::store::{Error, Held, Metadata, Source, Store};
use holm_root::unpack::Limits;
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
fn place() -> Option<PathBuf> {
    match std::env::var_os("HOLM_STORE").filter(|value| !value.is_empty()) {
        Some(path) => std::path::absolute(path).ok(),
        None => crate::places::own("/var/lib/holm", "XDG_DATA_HOME", ".local/share"),
    }
}

/// Where packages for its roots are kept: in `cache` in the directory `HOLM_STORE`, else where holm's cache is.
pub(crate) fn cache() -> Option<PathBuf> {
    match std::env::var_os("HOLM_STORE").filter(|value| !value.is_empty()) {
        Some(path) => std::path::absolute(path).ok().map(|path| path.join("cache")),
        None => crate::places::own("/var/cache/holm", "XDG_CACHE_HOME", ".cache"),
    }
}

/// What happens if a root that can be built isn't there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    Build,
    Refuse,
}

/// What a `--root` that is neither `host`, `none` nor programs means: `None` for a directory.
///
/// `oci:PATH[:TAG]` and `docker:IMAGE` are images, which are stored when they are used first; `debian:SUITE` is built then.
/// `store:NAME` is a stored root. Whatever has a `/` or exists is a directory. Anything else is a stored root, if the
/// store has one of that name or of nearly that name; else a directory that is missing.
pub(crate) fn root(value: &OsStr, origin: &str, absent: Absent) -> Result<Option<Held>, Fault> {
    if let Some(name) = crate::image::named(Path::new(value)) {
        return image(&name, origin, absent).map(Some);
    }
    if let Some(name) = value.as_bytes().strip_prefix(b"docker:") {
        return pulled(OsStr::from_bytes(name), origin, absent).map(Some);
    }
    let named = value.as_bytes().strip_prefix(PREFIX).map(OsStr::from_bytes);
    let is_path = value.as_bytes().contains(&b'/') || Path::new(value).exists();
    if named.is_none() && (is_path || place().is_none()) {
        return Ok(None);
    }
    let name = named.unwrap_or(value).to_string_lossy();
    match open()?.hold(&name) {
        Ok(held) => Ok(Some(held)),
        Err(Error::Unknown { .. }) if named.is_none() && crate::root::build::source(&name).is_some() => {
            build(&name, origin, absent)?;
            open()?.hold(&name).map(Some).map_err(|error| fault(&error, origin))
        }
        Err(Error::Unknown { name, names }) if named.is_none() && near(&name, &names).is_empty() => Ok(None),
        Err(error) => Err(fault(&error, origin)),
    }
}

/// The root of an image, from the store; it is put there if it isn't.
fn image(name: &Path, origin: &str, absent: Absent) -> Result<Held, Fault> {
    let failed = |error: Error| fault(&error, origin);
    let image = Image::named(name).map_err(failed)?;
    let (store, id) = (open()?, image.id_name());
    match store.hold(&id) {
        Err(Error::Unknown { .. }) => {}
        held => return held.map_err(failed),
    }
    may_store(absent, origin, &id, format!("holm root import oci:{} {id}", name.display()))?;
    let source = Source::Image(&image, Limits::default());
    store.clone().write().and_then(|writer| writer.import(source, &id)).map_err(failed)?;
    store.hold(&id).map_err(failed)
}

/// Builds a root, in a process of its own: it becomes root of the caller's ids, which this one must not.
fn build(name: &str, origin: &str, absent: Absent) -> Result<(), Fault> {
    let failed = |message: String, hint: String| Fault { message, origin: origin.to_owned(), hint };
    let hint = format!("holm root build {name}");
    if absent == Absent::Refuse {
        return Err(failed(format!("cannot find root {name}: it is not built yet"), hint));
    }
    let mut command = Command::new("/proc/self/exe");
    command.args(["root", "build", "--", name]).stdin(Stdio::null()).stdout(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(failed(format!("cannot build root {name}"), hint)),
        Err(error) => Err(failed(format!("cannot build root {name}: {}", holm::model::text::cause(&error)), hint)),
    }
}

/// The root of a registry's image, from the store; it is pulled if it isn't there.
fn pulled(name: &OsStr, origin: &str, absent: Absent) -> Result<Held, Fault> {
    let failed = |error: Error| fault(&error, origin);
    let image = Name::parse(&name.to_string_lossy()).map_err(failed)?;
    let (store, name) = (open()?, image.in_store());
    match store.hold(&name) {
        Err(Error::Unknown { .. }) => {}
        held => return held.map_err(failed),
    }
    may_store(absent, origin, &name, format!("holm root pull {image}"))?;
    pull(store.clone(), &image, Transport::Secure, &name, Limits::default()).map_err(failed)?;
    store.hold(&name).map_err(failed)
}

fn may_store(absent: Absent, origin: &str, name: &str, hint: String) -> Result<(), Fault> {
    match absent {
        Absent::Build => Ok(()),
        Absent::Refuse => {
            let message = format!("cannot find root {name}: it is not stored yet");
            Err(Fault { message, origin: origin.to_owned(), hint })
        }
    }
}

/// Stores a registry's image.
pub(crate) fn pull(
    store: Store,
    image: &Name,
    transport: Transport,
    name: &str,
    limits: Limits,
) -> Result<Metadata, Error> {
    // It would all be fetched for nothing.
    holm_root::store::check_name(name)?;
    let image = Image::pull(image, &store, transport)?;
    store.write()?.import(Source::Image(&image, limits), name)
}

/// An error of the store's, with what would help.
pub(crate) fn fault(error: &Error, origin: &str) -> Fault {
    let hint = match error {
        Error::Unknown { name, names } => match near(name, names) {
            near if near.is_empty() => "holm root ls lists the names there are".to_owned(),
            near => format!("did you mean {}?", near.join(", ")),
        },
        Error::Unusable { .. } => {
            "HOLM_STORE=DIR names another store; it must be the caller's own, with mode 700".to_owned()
        }
        Error::HoldsStore { .. } => "HOLM_STORE=DIR names another store; or bind a directory below".to_owned(),
        Error::Uncommitted { .. } => {
            "run with --root DIR or a stored root (holm root); holm apply writes to bound directories".to_owned()
        }
        Error::Clash { .. } => "holm diff shows both; --force writes over it".to_owned(),
        Error::UnknownChanges { name, names } => match near(name, names) {
            near if near.is_empty() => "holm diff lists the names there are".to_owned(),
            near => format!("did you mean {}?", near.join(", ")),
        },
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
        Error::FileSystem { path, form } => {
            let unpack = if *form == "squashfs" { "unsquashfs -d DIR" } else { "fsck.erofs --extract=DIR" };
            format!("{unpack} {0}, or as root mount -o loop,ro {0} DIR; then holm root import DIR NAME", path.display())
        }
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
