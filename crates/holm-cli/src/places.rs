//! Where holm keeps what is the caller's: what root has is the system's, anybody else's is at home.

use std::path::PathBuf;

/// `system` for root, else `holm` in the directory that the XDG base directory specification names by `variable`, which is
/// `below_home` if that isn't set; relative values don't count.
pub(crate) fn own(system: &str, variable: &str, below_home: &str) -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(system.into());
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home)));
    base.map(|base| base.join("holm"))
}
