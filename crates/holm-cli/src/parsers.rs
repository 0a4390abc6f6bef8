//! What reads text that somebody wrote, as entries for tests that feed it anything.

use crate::see::containers;
use crate::{operations, profile, values};
use holm::model::seccomp::Filter;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether a profile of these bytes is one.
pub fn profile(bytes: &[u8]) -> bool {
    profile::parse(bytes.to_vec(), Path::new("profile")).is_ok()
}

/// Whether a recipe of these bytes is one.
pub fn recipe(bytes: &[u8]) -> bool {
    crate::root::recipe::parse(bytes.to_vec(), Path::new("recipe")).is_ok()
}

/// Whether these bytes are a list of podman's that names a container, or a file of Docker's that does.
pub fn containers(bytes: &[u8]) -> [bool; 2] {
    [!containers::podman(bytes).is_empty(), containers::docker(bytes).is_some()]
}

/// The filter that a document in OCI's form says.
pub fn filter(text: &str) -> Option<Filter> {
    holm_oci::seccomp::parse(text).ok()
}

/// Reads bytes as the value of every kind of option that reads no file; how many took them.
pub fn options(bytes: &[u8]) -> usize {
    let value = OsStr::from_bytes(bytes);
    // These two read the file that the value names.
    let reads = |name: &str| name == "file" || name.starts_with("bind-data");
    let names = operations::OPTIONS.iter().map(|option| option.name).filter(|name| !reads(name));
    let taken = names.filter(|name| operations::parse(name, value).is_ok()).count();
    let Ok(text) = std::str::from_utf8(bytes) else { return taken };
    let others = [
        values::number(value).is_ok(),
        values::mode(value).is_ok(),
        values::size(text).is_ok(),
        values::namespaces(text).is_ok(),
        values::namespace_and(value).is_ok_and(|(kind, place)| values::target(kind, place).is_ok()),
        values::time_offsets(text).is_ok(),
        values::user(text).is_ok(),
        values::map(text).is_ok(),
    ];
    taken + others.into_iter().filter(|took| *took).count()
}

/// The parts of a value between colons.
pub fn split(value: &OsStr) -> Vec<OsString> {
    values::split(value, b':')
}
