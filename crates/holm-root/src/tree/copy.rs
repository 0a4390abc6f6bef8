//! A directory of the caller's becomes a tree. Its links are kept as they are, never followed; other file systems
//! mounted below it are copied, too.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, Timespec, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::scan::{attributes, device, join};
use super::{DIRECTORY, Sink, Tree, modified, names};
use crate::progress::{Progress, Stage, Tell};
use crate::store::error::Stopped;
use crate::store::listing::Facts;
use crate::unpack::{Limits, too_much};

/// A path below the source that failed, and why.
type Failed = (Vec<u8>, io::Error);

struct Copy<'t> {
    source: OwnedFd,
    tree: &'t mut Tree,
    /// The path of each file with several names.
    names: HashMap<(u64, u64), Vec<u8>>,
    /// A directory that must not be in the source: the store.
    store: (u64, u64),
    left: Option<Limits>,
}

/// Opens a directory to be copied.
pub(crate) fn open(source: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, source, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Copies all that is below `source`, within limits if there are any; the directory `store` isn't allowed to be there.
pub(crate) fn copy(
    source: OwnedFd,
    store: &Path,
    limits: Option<Limits>,
    tree: &mut Tree,
    tell: Tell<'_>,
) -> Result<(), Failed> {
    let at = |error: Errno| (Vec::new(), io::Error::from(error));
    let own = statat(CWD, store, AtFlags::empty()).map_err(at)?;
    let mut copy = Copy { source, tree, names: HashMap::new(), store: (own.st_dev, own.st_ino), left: limits };
    let mut left = vec![b".".to_vec()];
    let mut done = 0;
    while let Some(path) = left.pop() {
        if tell(Progress { stage: Stage::Copy, done, total: 0 }).is_break() {
            return Err((path, io::Error::other(Stopped)));
        }
        done += 1;
        let below = copy.entry(&path).map_err(|error| (path.clone(), error))?;
        left.extend(below.into_iter().rev().map(|name| join(&path, &name)));
    }
    Ok(())
}

impl Copy<'_> {
    /// Copies one entry; the names in it, sorted, if it is a directory.
    fn entry(&mut self, path: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let status = statat(&self.source, path, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(status.st_mode);
        self.count(kind, &status)?;
        let identity = (status.st_dev, status.st_ino);
        if !kind.is_dir() && status.st_nlink > 1 {
            if let Some(of) = self.names.get(&identity) {
                self.tree.hard_link(path, of)?;
                return Ok(Vec::new());
            }
            self.names.insert(identity, path.to_vec());
        }
        let mut facts =
            Facts { mode: status.st_mode & 0o7777, uid: status.st_uid, gid: status.st_gid, ..Facts::default() };
        let modified = modified(&status);
        match kind {
            FileType::Directory if identity == self.store => return Err(io::Error::other("the store is in it")),
            FileType::Directory => return self.directory(path, facts, modified),
            FileType::RegularFile => {
                let mut file = self.open(path, &status)?;
                facts.attributes = attributes(file.as_fd(), &mut self.tree.left_out)?;
                self.tree.file(path, facts, modified, |sink: &mut Sink| sink.whole(&mut file))?;
            }
            FileType::Symlink => {
                let text = readlinkat(&self.source, path, Vec::new())?.into_bytes();
                self.tree.link(path, &text, facts, modified)?;
            }
            FileType::Fifo => self.tree.fifo(path, facts, modified)?,
            _ => match device(&status) {
                Some(device) => self.tree.device(path, facts, device)?,
                None => self.tree.left_out += 1,
            },
        }
        Ok(Vec::new())
    }

    fn count(&mut self, kind: FileType, status: &Stat) -> io::Result<()> {
        let Some(left) = &mut self.left else { return Ok(()) };
        let bytes = if kind.is_file() { u64::try_from(status.st_size).unwrap_or(u64::MAX) } else { 0 };
        left.members = left.members.checked_sub(1).ok_or_else(too_much)?;
        left.bytes = left.bytes.checked_sub(bytes).ok_or_else(too_much)?;
        Ok(())
    }

    fn directory(&mut self, path: &[u8], mut facts: Facts, modified: Timespec) -> io::Result<Vec<Vec<u8>>> {
        let directory = openat(&self.source, path, DIRECTORY, Mode::empty())?;
        facts.attributes = attributes(directory.as_fd(), &mut self.tree.left_out)?;
        self.tree.directory(path, facts, modified)?;
        let mut names = names(&directory)?;
        names.sort_unstable();
        Ok(names)
    }

    /// Opens a file that still is what it was: who owns the source may put a FIFO or device there meanwhile.
    fn open(&self, path: &[u8], status: &Stat) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(&self.source, path, flags, Mode::empty())?;
        let now = fstat(&file)?;
        match (now.st_dev, now.st_ino) == (status.st_dev, status.st_ino) {
            true => Ok(File::from(file)),
            false => Err(io::Error::other("it changed while it was copied")),
        }
    }
}
