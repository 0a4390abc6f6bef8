//! The directory with the images of a container: what holm notes beside criu's own files.
//!
//! Whoever can write there decides what is restored, as what, with which rights: a directory of somebody else's is as
//! trustworthy as its owner.

use super::mounts::{Outer, Restrictions};
use crate::{Error, Result, shown};
use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What is noted, in runc's place for it: where standard streams led to.
const STREAMS: &str = "descriptors.json";
/// What else is noted.
const NOTES: &str = "holm.json";

/// What has to be known to make a container again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notes {
    /// Its mounts that come from outside.
    pub(crate) outer: Vec<Outer>,
    /// What its mounts are restricted by.
    pub(crate) restrictions: Restrictions,
    /// Its standard streams that come from outside, as criu names files.
    pub(crate) streams: [Option<String>; 3],
}

/// What becomes of a directory that isn't there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is made, and private.
    Made,
    /// It is an error.
    Refused,
}

/// A directory, open.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    file: OwnedFd,
}

impl Directory {
    /// Opens one.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn open(path: &Path, missing: Missing) -> Result<Directory> {
        use std::os::unix::fs::DirBuilderExt;
        let failed = |error: std::io::Error| Error::io(format!("use directory {}", shown(path)), error);
        if missing == Missing::Made && !path.is_dir() {
            std::fs::DirBuilder::new().mode(0o700).create(path).map_err(failed)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        Ok(Directory { path: path.to_owned(), file })
    }

    /// The same one below another root, where it has the same path.
    ///
    /// # Errors
    /// It isn't there.
    pub(crate) fn within(&self, root: BorrowedFd<'_>) -> Result<Directory> {
        let failed = |errno: rustix::io::Errno| Error::io(format!("use directory {}", shown(&self.path)), errno);
        let path = std::fs::read_link(format!("/proc/self/fd/{}", self.number()));
        let path = path.map_err(|error| Error::io(format!("use directory {}", shown(&self.path)), error))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        let file = openat2(root, &path, flags, Mode::empty(), within).map_err(failed)?;
        let (own, other) = (fstat(&self.file).map_err(failed)?, fstat(&file).map_err(failed)?);
        match (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino) {
            true => Ok(Directory { path: self.path.clone(), file }),
            false => Err(failed(rustix::io::Errno::NOENT)),
        }
    }

    /// Its descriptor's number.
    pub(crate) fn number(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// The path of a file in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes down what has to be known.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn note(&self, notes: &Notes, links: &[String]) -> Result<()> {
        let write = |name: &str, text: std::result::Result<Vec<u8>, serde_json::Error>| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = openat(&self.file, name, flags, Mode::from_raw_mode(0o600))?;
            File::from(file).write_all(&text?)
        };
        let written = write(STREAMS, serde_json::to_vec(links)).and_then(|()| write(NOTES, serde_json::to_vec(notes)));
        written.map_err(|error| Error::io(format!("write to {}", shown(&self.path)), error))
    }

    /// What was written down.
    ///
    /// # Errors
    /// It isn't there, or isn't holm's.
    pub(crate) fn notes(&self) -> Result<Notes> {
        let what = || format!("read {}", shown(&self.join(NOTES)));
        let file = openat(&self.file, NOTES, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
        let file =
            file.map_err(|errno| Error::io(format!("{}: no image of a container made by holm", what()), errno))?;
        let text = crate::bundle::bounded(File::from(file)).map_err(|error| Error::io(what(), error))?;
        serde_json::from_str(&text).map_err(|error| Error::Failed(format!("cannot {}: {error}", what())))
    }
}

/// Where the standard streams of a process lead to; nothing for one that is closed.
pub(crate) fn links(pid: i32) -> [String; 3] {
    [0, 1, 2].map(|number| link(pid, number))
}

/// criu's names for those streams of a process that have to be handed over again. They were the caller's if they lead to where they
/// led before anybody ran in the container: another pipe is one of its own.
pub(crate) fn streams(pid: i32, noted: &[String; 3]) -> [Option<String>; 3] {
    [0, 1, 2].map(|number| {
        let link = link(pid, number);
        if link == noted[number] { stream(pid, number, link) } else { None }
    })
}

/// Where a standard stream of the process `pid` leads to.
fn link(pid: i32, number: usize) -> String {
    let link = std::fs::read_link(place(pid, number)).unwrap_or_default();
    link.to_string_lossy().into_owned()
}

fn place(pid: i32, number: usize) -> String {
    format!("/proc/{pid}/fd/{number}")
}

/// criu's name for a standard stream, which leads to `link`, if it has to be handed over again: a pipe, or a device of the host's
/// that is no terminal.
fn stream(pid: i32, number: usize, link: String) -> Option<String> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    if link.starts_with("pipe:[") {
        return Some(link);
    }
    let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
    let mount: u32 = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()?;
    let seen = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).ok()?;
    let inside = seen.lines().any(|line| line.split(' ').next() == Some(&mount.to_string()));
    let about = std::fs::metadata(place(pid, number)).ok()?;
    let is_device = about.file_type().is_char_device() && about.rdev() == rustix::fs::makedev(1, 3);
    (is_device && !inside).then(|| format!("file[{mount:x}:{:x}]", about.ino()))
}
