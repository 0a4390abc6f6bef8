//! Where holm keeps what is the caller's: what root has is the system's, anybody else's is at home.

use std::path::PathBuf;

/// What is made anew when it is gone: `/var/cache/holm` for root, else in `~/.cache`.
pub(crate) fn cache() -> Result<PathBuf, String> {
    own("/var/cache/holm", "XDG_CACHE_HOME", ".cache")
        .ok_or_else(|| "cannot find a place for the cache: neither XDG_CACHE_HOME nor HOME is set".to_owned())
}

/// `system` for root, else `holm` in the directory that the XDG base directory specification names by `variable`, which is
/// `below_home` if that isn't set; relative values don't count.
pub(crate) fn own(system: &str, variable: &str, below_home: &str) -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(system.into());
    }
    base(variable, below_home).map(|base| base.join("holm"))
}

/// That directory itself.
pub(crate) fn base(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home)))
}
