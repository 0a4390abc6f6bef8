//! Places in the file systems of the kernel's that were mounted before. There names are the kernel's, but what stands above is
//! anybody's who can write to the root: it could lead past the mount when what is in there is to be hidden. So such a place is
//! looked up in two parts, and the first must lead to that file system. Looking up allocates nothing.

use super::place::{Inside, Make, Place, no_link};
use crate::spec::filesystem::{BindSource, Operation, Source};
use rustix::fs::{OFlags, fstatfs, statfs};
use rustix::io::{Errno, Result};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// `f_type` of statfs(2).
pub(crate) const PROC: i64 = 0x9fa0;
const SYS: i64 = 0x6265_6572;

/// The file systems of the kernel's that are mounted so far, and their kinds.
#[derive(Default)]
pub(crate) struct Mounted(Vec<(PathBuf, i64)>);

impl Mounted {
    /// Notes what is mounted; of what the host has at /proc and /sys only the caller can tell the kind.
    pub(crate) fn note(&mut self, operation: &Operation) {
        let of_host = |source: &Path| {
            let known = [Path::new("/proc"), Path::new("/sys")].contains(&source);
            known.then(|| statfs(source).ok()).flatten().map(|found| found.f_type)
        };
        let kind = match operation {
            Operation::Mount { kind, .. } if kind == "proc" => Some(PROC),
            Operation::Mount { kind, .. } if kind == "sysfs" => Some(SYS),
            Operation::Attach { source: BindSource::Outside(source), .. }
            | Operation::Bind { source: Source::Path(source), .. } => of_host(source),
            Operation::Attach { source: BindSource::Inside(source), at, .. } => return self.note_again(source, at),
            _ => None,
        };
        self.0.extend(kind.filter(|kind| [PROC, SYS].contains(kind)).map(|kind| (operation.at().to_owned(), kind)));
    }

    /// Notes that what is at `source` is at `at`, too: what it is in, and what it holds.
    fn note_again(&mut self, source: &Path, at: &Path) {
        let again = |(mounted, kind): &(PathBuf, i64)| match mounted.strip_prefix(source) {
            Ok(below) => Some((at.join(below), *kind)),
            Err(_) => source.starts_with(mounted).then(|| (at.to_owned(), *kind)),
        };
        let again: Vec<_> = self.0.iter().filter_map(again).collect();
        self.0.extend(again);
    }

    /// Notes a /proc of the sandbox's own.
    pub(crate) fn note_proc(&mut self, at: &Path) {
        self.0.push((at.to_owned(), PROC));
    }

    /// Where `path` is: in the last of them that it is below, or anywhere.
    pub(crate) fn place(&self, path: &Path) -> Within {
        let below = |(at, kind): &(PathBuf, i64)| {
            let rest = path.strip_prefix(at).ok().filter(|rest| !rest.as_os_str().is_empty())?;
            Some((Place::new(at), *kind, CString::new(rest.as_os_str().as_bytes()).ok()?))
        };
        Within { place: Place::new(path), of: self.0.iter().rev().find_map(below) }
    }
}

/// A place that may be in one of them.
pub(crate) struct Within {
    place: Place,
    /// Where that is mounted, its kind, and the rest of the path.
    of: Option<(Place, i64, CString)>,
}

impl Within {
    /// Opens what is there; `None` if there is nothing. Where the file system isn't any more it is ESTALE, or ELOOP for a link.
    pub(crate) fn open(&self, inside: Inside<'_>) -> Result<Option<OwnedFd>> {
        let found = match &self.of {
            None => inside.open(&self.place, Make::Nothing),
            Some((mount, kind, rest)) => {
                let mount = match inside.open(mount, Make::Nothing) {
                    Err(Errno::NOENT) => Err(Errno::STALE),
                    found => found,
                }?;
                if fstatfs(&mount)?.f_type != *kind {
                    return Err(Errno::STALE);
                }
                no_link(crate::sys::inside::look(mount.as_fd(), rest.as_c_str(), OFlags::NOFOLLOW))
            }
        };
        match found {
            Err(Errno::NOENT) => Ok(None),
            found => found.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mount::{Attributes, Reach};

    #[test]
    fn what_is_below_a_proc_is_looked_up_from_there() {
        let mut mounted = Mounted::default();
        let of = |mounted: &Mounted, path: &str| mounted.place(Path::new(path)).of.map(|(_, kind, rest)| (kind, rest));
        assert_eq!(of(&mounted, "/proc/sys"), None);
        mounted.note_proc(Path::new("/proc"));
        assert_eq!(of(&mounted, "/proc/sys"), Some((PROC, c"sys".to_owned())));
        assert_eq!(of(&mounted, "/proc"), None);
        assert_eq!(of(&mounted, "/process"), None);
        for (source, at) in [("/proc", "/other"), ("/proc/sys", "/deep"), ("/", "/all")] {
            let attributes = Attributes::default();
            mounted.note(&Operation::Attach {
                source: BindSource::Inside(source.into()),
                at: at.into(),
                reach: Reach::Tree,
                attributes,
                below: attributes,
                propagation: Default::default(),
                owners: Default::default(),
            });
        }
        for path in ["/other/sys", "/deep/sys", "/all/proc/sys", "/all/other/sys"] {
            assert_eq!(of(&mounted, path), Some((PROC, c"sys".to_owned())), "{path}");
        }
    }
}
