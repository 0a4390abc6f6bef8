//! Who is measured, and by which command line.
//!
//! All of them start the same program, a static `true`. The command lines ask each tool for what the floor does, as
//! far as it can: every namespace but time, the root read-only, a new /proc and /dev. unshare has no mounts to offer;
//! it is here for what the namespaces cost alone.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// `{true}` stands for the path of the static `true`.
const HOLM: &[&str] = &["run", "--bind", "{true}:/true", "/true"];
const FLOOR: &[&str] = &["{true}"];
const BUBBLEWRAP: &[&str] =
    &["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "{true}"];
const UNSHARE: &[&str] =
    &["--user", "--map-current-user", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork", "{true}"];

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Peer {
    True,
    Floor,
    Holm,
    Bubblewrap,
    Unshare,
}

impl Peer {
    pub(crate) const ALL: [Self; 5] = [Self::True, Self::Floor, Self::Holm, Self::Bubblewrap, Self::Unshare];

    /// Those that build a root, and so meet the host's mounts.
    pub(crate) const WITH_ROOT: [Self; 3] = [Self::Floor, Self::Holm, Self::Bubblewrap];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::Floor => "floor",
            Self::Holm => "holm",
            Self::Bubblewrap => "bwrap",
            Self::Unshare => "unshare",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::True => &[],
            Self::Floor => FLOOR,
            Self::Holm => HOLM,
            Self::Bubblewrap => BUBBLEWRAP,
            Self::Unshare => UNSHARE,
        }
    }

    fn locate(self, scratch: &Path) -> Result<PathBuf, String> {
        match self {
            Self::True | Self::Floor | Self::Holm => {
                let path = scratch.join(self.name());
                path.exists().then_some(path).ok_or_else(|| "it isn't built".to_owned())
            }
            Self::Bubblewrap | Self::Unshare => installed(self.name()),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The first program of that name in PATH.
///
/// # Errors
/// There is none.
pub(crate) fn installed(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0))
        .ok_or_else(|| format!("{name} isn't installed (not in PATH)"))
}

/// A peer that is there, with its whole command line.
pub(crate) struct Subject {
    pub(crate) peer: Peer,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

pub(crate) struct Absent {
    pub(crate) peer: Peer,
    pub(crate) reason: String,
}

pub(crate) struct Field {
    pub(crate) subjects: Vec<Subject>,
    pub(crate) absent: Vec<Absent>,
}

impl Field {
    /// Looks for every peer: in the scratch directory, or in PATH.
    pub(crate) fn survey(scratch: &Path) -> Self {
        let mut field = Self { subjects: Vec::new(), absent: Vec::new() };
        let target = scratch.join(Peer::True.name());
        for peer in Peer::ALL {
            match peer.locate(scratch) {
                Ok(program) => {
                    let arguments = peer.arguments().iter().map(|word| filled(word, &target)).collect();
                    field.subjects.push(Subject { peer, program, arguments });
                }
                Err(reason) => field.absent.push(Absent { peer, reason }),
            }
        }
        field
    }

    /// Gives a better reason for an absence.
    pub(crate) fn absent_because(&mut self, peer: Peer, reason: String) {
        self.absent.retain(|absent| absent.peer != peer);
        self.absent.push(Absent { peer, reason });
    }
}

fn filled(word: &str, target: &Path) -> OsString {
    match word.split_once("{true}") {
        Some((before, after)) => {
            let mut whole = OsString::from(before);
            whole.push(target);
            whole.push(after);
            whole
        }
        None => word.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_placeholder_is_filled_inside_a_word() {
        assert_eq!(filled("{true}:/true", Path::new("/t/true")), "/t/true:/true");
        assert_eq!(filled("--bind", Path::new("/t/true")), "--bind");
    }

    #[test]
    fn a_peer_that_is_not_there_is_absent_with_a_reason() {
        let field = Field::survey(Path::new("/nowhere"));
        let reason = field.absent.iter().find(|absent| absent.peer == Peer::Holm).map(|absent| &*absent.reason);
        assert_eq!(reason, Some("it isn't built"));
    }
}
