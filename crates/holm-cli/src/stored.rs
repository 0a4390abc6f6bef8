//! The store: where it is, roots from it for `--root`, and what is said when it has none.

use crate::report::Fault;
use holm_root::store::{Error, Held, Store};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

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
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = set("HOLM_STORE") {
        return std::path::absolute(path).ok();
    }
    if rustix::process::geteuid().is_root() {
        return Some("/var/lib/holm".into());
    }
    let absolute = |name: &str| set(name).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    data.map(|data| data.join("holm"))
}

/// What a `--root` that is neither `host`, `none` nor programs means: `None` for a directory.
///
/// `store:NAME` is a stored root. Whatever has a `/` or exists is a directory. Anything else is a stored root, if the
/// store has one of that name; if it has one of nearly that name, the fault says so.
pub(crate) fn root(value: &OsStr, origin: &str) -> Result<Option<Held>, Fault> {
    let named = value.as_bytes().strip_prefix(PREFIX).map(OsStr::from_bytes);
    if named.is_none() && (value.as_bytes().contains(&b'/') || Path::new(value).exists()) {
        return Ok(None);
    }
    let name = named.unwrap_or(value).to_string_lossy();
    match open().and_then(|store| store.hold(&name).map_err(|error| self::fault(&error, origin))) {
        Ok(held) => Ok(Some(held)),
        Err(fault) if named.is_none() && !fault.hint.starts_with(NEAR) => no_directory(fault),
        Err(fault) => Err(fault),
    }
}

/// Without a name like it in the store, a missing directory is told as such; a damaged root is told as that.
fn no_directory(fault: Fault) -> Result<Option<Held>, Fault> {
    if fault.message.starts_with("cannot find ") { Ok(None) } else { Err(fault) }
}

const NEAR: &str = "did you mean ";

/// An error of the store's, with what would help.
pub(crate) fn fault(error: &Error, origin: &str) -> Fault {
    let hint = match error {
        Error::Unknown { name, names } => near(name, names),
        Error::Unusable { .. } => {
            "HOLM_STORE=DIR names another store; it must be the caller's own, with mode 700".to_owned()
        }
        Error::Taken { name } => format!("holm root rm {name} makes room; or give another name"),
        Error::InUse { .. } => "it can be removed when that has ended".to_owned(),
        Error::Damaged { path, .. } if path.extension().is_some_and(|end| end == "json") => {
            let name = path.file_stem().unwrap_or_default().display();
            format!("holm root rm {name} removes it; import the root again")
        }
        Error::Damaged { .. } => "remove the root and import it again".to_owned(),
        Error::Unpack { cause, .. } if cause.ends_with("the limit") => "--max-size SIZE allows more".to_owned(),
        _ => String::new(),
    };
    Fault { message: error.to_string(), origin: origin.to_owned(), hint }
}

fn near(name: &str, names: &[String]) -> String {
    let mut close: Vec<(usize, &String)> = names
        .iter()
        .map(|other| (strsim::damerau_levenshtein(name, other), other))
        .filter(|(changes, _)| *changes <= (name.chars().count() / 3).max(1))
        .collect();
    close.sort();
    let close: Vec<&str> = close.iter().take(3).map(|(_, name)| name.as_str()).collect();
    match close.is_empty() {
        true => "holm root ls lists the names there are".to_owned(),
        false => format!("{NEAR}{}?", close.join(", ")),
    }
}
