//! Roots of chosen programs, and what a root lacks for a program.

use crate::report::Fault;
use holm::spec::filesystem::Root;
use holm_root::closure;
use holm_root::programs::Error;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The root with the programs of a list `A,B,...`, from the cache.
pub(crate) fn root(list: &OsStr, origin: &str) -> Result<PathBuf, Vec<Fault>> {
    let fault = |message: String, hint: &str| Fault { message, origin: origin.to_owned(), hint: hint.to_owned() };
    let names: Vec<OsString> = crate::values::split(list, b',').into_iter().filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Err(vec![fault("cannot make a root without programs".to_owned(), "bins:bash,ls")]);
    }
    let cache = crate::places::own("/var/cache/holm", "XDG_CACHE_HOME", ".cache").ok_or_else(|| {
        vec![fault("cannot find a place for the cache: neither XDG_CACHE_HOME nor HOME is set".to_owned(), "")]
    })?;
    holm_root::programs::root(&names, &cache).map_err(|error| match error {
        Error::Closure(closure::Error::Several(all)) => all.iter().map(|one| fault(one.to_string(), "")).collect(),
        Error::Unsafe { .. } | Error::Make { .. } => vec![fault(error.to_string(), CACHE)],
        _ => vec![fault(error.to_string(), "")],
    })
}

const CACHE: &str =
    "the cache is /var/cache/holm for user 0, else holm in XDG_CACHE_HOME or ~/.cache; it must be the caller's";

/// What the root directory lacks to run the program, as a hint; `None` if nothing, or if the root is not a directory of
/// the caller's.
pub(crate) fn lacks(spec: &holm::Spec) -> Option<String> {
    let Root::Directory(root) = &spec.root else { return None };
    let name = &spec.program.name;
    let inside = if name.as_encoded_bytes().contains(&b'/') {
        PathBuf::from(name)
    } else {
        let on_path = |directory: &&&str| root.join(&directory[1..]).join(name).symlink_metadata().is_ok();
        Path::new(holm_root::closure::PATH.iter().find(on_path)?).join(name)
    };
    let missing = holm_root::closure::missing(&inside, root);
    let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        return None;
    }
    let program = name.display();
    Some(format!(
        "{program} needs {}, which {} lacks; --root bins:{program} makes a root that has all",
        names.join(", "),
        root.display()
    ))
}
