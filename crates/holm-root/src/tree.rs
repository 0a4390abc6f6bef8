//! A root in the making: a directory that is filled from an archive or another directory whose maker isn't trusted.
//!
//! Everything is made below one open directory. A directory is reached as if it were the root (`reach`), and the last
//! part of a path is never followed: it is made anew (`O_EXCL`), after what stood there was removed. So no link, in
//! whatever order links come, leads out. Nobody else changes the tree meanwhile: it lies in the caller's private store.
//!
//! What can't or must not be on disk is noted by inode: owners that an ordinary user can't give, modes that would lock
//! the user out, hashes of content, and device nodes, which are never made: an empty file holds their place until
//! [`scan`] has listed it.

pub(crate) mod copy;
mod early;
mod layer;
pub(crate) mod reach;
mod revisit;
pub(crate) mod scan;
mod sink;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod,
    fchown, fremovexattr, fsetxattr, fstat, futimens, linkat, mkdirat, mknodat, openat, readlinkat, statat, symlinkat,
    unlinkat, utimensat,
};
use rustix::io::{Errno, Result};

use serde::{Deserialize, Serialize};

use crate::store::listing::{Device, Facts, Hash};
use early::Early;
pub(crate) use sink::Sink;

/// Directories may be nested so deep.
const DEEPEST: u32 = 500;

/// Whether files on disk belong to whom they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owners {
    /// Yes: the caller was root, of the machine or of a user namespace with its ranges of ids.
    Kept,
    /// They are the caller's, who can always read them; the listing tells whose they should be.
    Listed,
}

/// What something in the tree is meant to be.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) facts: Facts,
    pub(crate) hash: Option<Hash>,
    pub(crate) device: Option<Device>,
    /// For directories: set when nothing more is made in them.
    modified: Timespec,
    /// When its inode was changed last, as far as is known.
    changed: (i64, i64),
    depth: u32,
}

/// A root in the making.
pub(crate) struct Tree {
    root: OwnedFd,
    owners: Owners,
    notes: HashMap<u64, Note>,
    /// Sockets and attributes that can't be kept.
    pub(crate) left_out: u64,
    /// No file is newer than this: seconds since 1970.
    latest: Option<i64>,
    /// What the present layer has made, by directory and name, if there are layers below it.
    made: Option<HashSet<(u64, Vec<u8>)>>,
    recent: Option<(Vec<u8>, Arc<OwnedFd>)>,
    early: Early,
}

impl Owners {
    /// What this process can give.
    pub(crate) fn here() -> Owners {
        if rustix::process::geteuid().is_root() { Owners::Kept } else { Owners::Listed }
    }

    /// The name of it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Owners::Kept => "kept",
            Owners::Listed => "listed",
        }
    }

    /// The mode on disk.
    pub(crate) fn mode(self, wished: u32, directory: bool) -> u32 {
        match (self, directory) {
            (Owners::Kept, _) => wished,
            (Owners::Listed, true) => wished | 0o700,
            (Owners::Listed, false) => wished | 0o400,
        }
    }

    /// Whether an attribute is set on disk.
    pub(crate) fn sets(self, name: &[u8]) -> bool {
        self == Owners::Kept || name.starts_with(b"user.")
    }
}

/// Whether an attribute is part of a root. Those of overlayfs would change what an overlay shows.
pub(crate) fn keeps_attribute(name: &[u8]) -> bool {
    name == b"security.capability" || name.starts_with(b"user.") && !name.starts_with(b"user.overlay.")
}

impl Tree {
    /// The tree in the empty directory `root`.
    pub(crate) fn new(root: &Path) -> Result<Tree> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(rustix::fs::CWD, root, flags, Mode::empty())?;
        let mut tree = Tree::bare(root, Owners::here());
        let facts = Facts { mode: 0o755, ..Facts::default() };
        let root = tree.root.try_clone().map_err(|_| Errno::MFILE)?;
        tree.settle(root.as_fd(), facts, epoch(), true, None)?;
        Ok(tree)
    }

    /// One more hand for the same tree, for another thread: what it notes counts once it is taken back by
    /// [`Tree::join`].
    pub(crate) fn hand(&self) -> Result<Tree> {
        Ok(Tree::bare(self.root.try_clone().map_err(|_| Errno::MFILE)?, self.owners))
    }

    fn bare(root: OwnedFd, owners: Owners) -> Tree {
        Tree {
            root,
            owners,
            notes: HashMap::new(),
            left_out: 0,
            latest: None,
            made: None,
            recent: None,
            early: Early::default(),
        }
    }

    /// When the newest of what was made here was changed: seconds since 1970.
    pub(crate) fn newest(&self) -> i64 {
        self.notes.values().map(|note| note.modified.tv_sec).max().unwrap_or(0)
    }

    /// Takes a hand back.
    pub(crate) fn join(&mut self, hand: Tree) {
        self.notes.extend(hand.notes);
        self.left_out += hand.left_out;
    }

    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    pub(crate) fn owners(&self) -> Owners {
        self.owners
    }

    pub(crate) fn note(&self, status: &Stat) -> Option<&Note> {
        self.notes.get(&status.st_ino)
    }

    /// Makes a directory, or gives one that is there these facts.
    pub(crate) fn directory(&mut self, path: &[u8], facts: Facts, modified: Timespec) -> Result<()> {
        if path.is_empty() || path == b"." {
            let root = self.root.try_clone().map_err(|_| Errno::MFILE)?;
            return self.settle(root.as_fd(), facts, modified, true, None);
        }
        let (parent, name) = self.parent(path)?;
        self.mark(parent.as_fd(), name)?;
        match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if FileType::from_raw_mode(found.st_mode).is_dir() => {}
            Ok(_) | Err(Errno::NOENT) => {
                self.clear(parent.as_fd(), name)?;
                self.make_directory(parent.as_fd(), name)?;
            }
            Err(error) => return Err(error),
        }
        let directory = openat(&parent, name, DIRECTORY, Mode::empty())?;
        self.settle(directory.as_fd(), facts, modified, true, None)
    }

    /// Gives these facts to the directory that a path leads to, made if it isn't there; links on the way are followed
    /// inside of the tree, the last part, too.
    pub(crate) fn reached(&mut self, path: &[u8], facts: Facts, modified: Timespec) -> Result<()> {
        let directory = self.reach(path)?;
        self.settle(directory.as_fd(), facts, modified, true, None)
    }

    /// Whether there is a symbolic link with this text.
    pub(crate) fn leads(&mut self, path: &[u8], text: &[u8]) -> Result<bool> {
        let (parent, name) = self.parent(path)?;
        Ok(readlinkat(&parent, name, Vec::new()).is_ok_and(|found| found.as_bytes() == text))
    }

    /// Whether a path leads to a directory.
    pub(crate) fn has_directory(&self, path: &[u8]) -> bool {
        reach::existing(self.root.as_fd(), path).is_ok()
    }

    /// The names in a directory; none if there is no directory.
    pub(crate) fn listed(&self, path: &[u8]) -> Result<Vec<Vec<u8>>> {
        match reach::existing(self.root.as_fd(), path) {
            Ok(directory) => names(&directory),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// What is at a path, whose last part isn't followed; nothing is made.
    pub(crate) fn there(&self, path: &[u8]) -> Result<Option<Stat>> {
        let found = match path {
            b"" => fstat(&self.root),
            path => self.existing(path).and_then(|(parent, name)| statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)),
        };
        match found {
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Removes what is at a path, if anything is.
    pub(crate) fn remove(&mut self, path: &[u8]) -> Result<()> {
        // What is removed may be a link on the way that was remembered.
        self.recent = None;
        match self.existing(path) {
            Ok((parent, name)) => self.clear(parent.as_fd(), name),
            Err(error) => layer::absent(error),
        }
    }

    /// Makes a file with what `fill` writes.
    pub(crate) fn file(
        &mut self,
        path: &[u8],
        facts: Facts,
        modified: Timespec,
        fill: impl FnOnce(&mut Sink) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut sink = Sink::new(self.empty(path)?);
        fill(&mut sink)?;
        let length = sink.length();
        let (file, hash) = sink.finish()?;
        self.settle(file.as_fd(), facts, modified, false, Some(hash))?;
        self.early.wrote(self.root.as_fd(), length);
        Ok(())
    }

    /// Makes a file of root's with these bytes and no attributes, as old as can be.
    pub(crate) fn put(&mut self, path: &[u8], mode: u32, bytes: &[u8]) -> io::Result<()> {
        self.file(path, Facts { mode, ..Facts::default() }, epoch(), |sink| sink.write_all(bytes))
    }

    /// Makes a symbolic link with any text.
    pub(crate) fn link(&mut self, path: &[u8], text: &[u8], facts: Facts, modified: Timespec) -> Result<()> {
        let (parent, name) = self.vacant(path)?;
        symlinkat(text, &parent, name)?;
        if self.owners == Owners::Kept {
            chownat(&parent, name, Some(uid(&facts)), Some(gid(&facts)), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        utimensat(&parent, name, &times(modified), AtFlags::SYMLINK_NOFOLLOW)?;
        self.remember(parent.as_fd(), name, Facts { mode: 0o777, attributes: Default::default(), ..facts }, None)
    }

    /// Makes a FIFO.
    pub(crate) fn fifo(&mut self, path: &[u8], facts: Facts, modified: Timespec) -> Result<()> {
        let (parent, name) = self.vacant(path)?;
        mknodat(&parent, name, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
        if self.owners == Owners::Kept {
            chownat(&parent, name, Some(uid(&facts)), Some(gid(&facts)), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        let mode = Mode::from_raw_mode(self.owners.mode(facts.mode, false));
        chmodat(&parent, name, mode, AtFlags::empty())?;
        utimensat(&parent, name, &times(modified), AtFlags::SYMLINK_NOFOLLOW)?;
        self.remember(parent.as_fd(), name, Facts { attributes: Default::default(), ..facts }, None)
    }

    /// Notes a device node.
    pub(crate) fn device(&mut self, path: &[u8], facts: Facts, device: Device) -> Result<()> {
        let status = fstat(&self.empty(path)?)?;
        let device = Some(device);
        let note = Note { facts, hash: None, device, modified: epoch(), changed: changed(&status), depth: 0 };
        self.notes.insert(status.st_ino, note);
        Ok(())
    }

    /// Makes another name for what is at `of`.
    pub(crate) fn hard_link(&mut self, path: &[u8], of: &[u8]) -> Result<()> {
        let (from, old) = self.existing(of)?;
        let old = old.to_owned();
        let found = statat(&from, &*old, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(found.st_mode).is_dir() {
            return Err(Errno::ISDIR);
        }
        let (parent, name) = self.parent(path)?;
        self.mark(parent.as_fd(), name)?;
        let there = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW);
        if there.is_ok_and(|there| there.st_ino == found.st_ino) {
            return Ok(());
        }
        self.clear(parent.as_fd(), name)?;
        linkat(&from, &*old, &parent, name, AtFlags::empty())
    }

    /// The directory that a path is in, made if it isn't there, and the last part of the path.
    fn parent<'p>(&mut self, path: &'p [u8]) -> Result<(Arc<OwnedFd>, &'p [u8])> {
        let (above, name) = split(path);
        if let Some((recent, directory)) = &self.recent
            && recent == above
        {
            return Ok((Arc::clone(directory), name));
        }
        let directory = Arc::new(self.reach(above)?);
        self.recent = Some((above.to_vec(), Arc::clone(&directory)));
        Ok((directory, name))
    }

    /// The same, but nothing is made.
    fn existing<'p>(&self, path: &'p [u8]) -> Result<(OwnedFd, &'p [u8])> {
        let (above, name) = split(path);
        Ok((reach::existing(self.root.as_fd(), above)?, name))
    }

    fn vacant<'p>(&mut self, path: &'p [u8]) -> Result<(Arc<OwnedFd>, &'p [u8])> {
        let (parent, name) = self.parent(path)?;
        self.mark(parent.as_fd(), name)?;
        self.clear(parent.as_fd(), name)?;
        Ok((parent, name))
    }

    fn empty(&mut self, path: &[u8]) -> Result<File> {
        let (parent, name) = self.parent(path)?;
        self.mark(parent.as_fd(), name)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let make = || openat(&parent, name, flags, Mode::from_raw_mode(0o600)).map(File::from);
        match make() {
            Err(Errno::EXIST) => self.clear(parent.as_fd(), name).and_then(|()| make()),
            made => made,
        }
    }

    /// Makes a directory whose facts come later, if at all.
    fn make_directory(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        let depth = self.notes.get(&fstat(parent)?.st_ino).map_or(0, |note| note.depth) + 1;
        if depth > DEEPEST {
            return Err(Errno::NAMETOOLONG);
        }
        self.mark(parent, name)?;
        match mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
            // Another hand was faster.
            Err(Errno::EXIST) => {}
            made => made?,
        }
        let made = openat(parent, name, DIRECTORY, Mode::empty())?;
        let facts = Facts { mode: 0o755, ..Facts::default() };
        self.settle(made.as_fd(), facts, epoch(), true, None)?;
        if let Some(note) = self.notes.get_mut(&fstat(&made)?.st_ino) {
            note.depth = depth;
        }
        Ok(())
    }

    /// Removes what stands there.
    fn clear(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        match unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR) => {}
            Err(error) => return Err(error),
        }
        self.recent = None;
        let directory = openat(parent, name, DIRECTORY, Mode::empty())?;
        for name in names(&directory)? {
            self.clear(directory.as_fd(), &name)?;
        }
        unlinkat(parent, name, AtFlags::REMOVEDIR)
    }

    /// Gives a file or directory its owner, mode, attributes and time, as far as this caller can, and notes them.
    fn settle(
        &mut self,
        file: BorrowedFd<'_>,
        facts: Facts,
        modified: Timespec,
        directory: bool,
        hash: Option<Hash>,
    ) -> Result<()> {
        // In this order: a change of owner takes set-user-id bits and file capabilities away (chown(2)).
        if self.owners == Owners::Kept {
            fchown(file, Some(uid(&facts)), Some(gid(&facts)))?;
        }
        let before = match directory {
            true => self.notes.get(&fstat(file)?.st_ino),
            false => None,
        };
        let depth = before.map_or(0, |note| note.depth);
        for name in before.into_iter().flat_map(|note| note.facts.attributes.keys()) {
            if self.owners.sets(name) && !facts.attributes.contains_key(name) {
                match fremovexattr(file, name.as_slice()) {
                    // The note may be of something that is gone, whose number this got.
                    Ok(()) | Err(Errno::NODATA) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        for (name, value) in facts.attributes.iter().filter(|(name, _)| self.owners.sets(name)) {
            fsetxattr(file, name.as_slice(), value, XattrFlags::empty())?;
        }
        fchmod(file, Mode::from_raw_mode(self.owners.mode(facts.mode, directory)))?;
        futimens(file, &times(modified))?;
        let status = fstat(file)?;
        self.notes
            .insert(status.st_ino, Note { facts, hash, device: None, modified, changed: changed(&status), depth });
        Ok(())
    }

    fn remember(&mut self, parent: BorrowedFd<'_>, name: &[u8], facts: Facts, device: Option<Device>) -> Result<()> {
        let status = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let note = Note { facts, hash: None, device, modified: epoch(), changed: changed(&status), depth: 0 };
        self.notes.insert(status.st_ino, note);
        Ok(())
    }

    /// Begins to write the tree to its disk, for the time until somebody waits for that.
    pub(crate) fn begin_sync(&mut self) {
        self.early.begin(self.root.as_fd());
    }

    /// Gives directories the times they are to have, after everything in them was made.
    pub(crate) fn set_times<'p>(&self, directories: impl Iterator<Item = &'p [u8]>) -> Result<()> {
        for path in directories {
            let directory = openat(&self.root, path, DIRECTORY, Mode::empty())?;
            let status = fstat(&directory)?;
            let noted = self.notes.get(&status.st_ino).map(|note| note.modified);
            let is_new = |time: &Timespec| self.latest.is_some_and(|latest| time.tv_sec > latest);
            let made = Timespec { tv_sec: status.st_mtime, tv_nsec: 0 };
            if let Some(time) = noted.or(Some(made).filter(is_new)) {
                let latest = self.latest.map(|tv_sec| Timespec { tv_sec, tv_nsec: 0 });
                futimens(&directory, &times(latest.filter(|_| is_new(&time)).unwrap_or(time)))?;
            }
        }
        Ok(())
    }
}

pub(crate) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The names in a directory.
pub(crate) fn names(directory: impl AsFd) -> Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

fn uid(facts: &Facts) -> Uid {
    Uid::from_raw(facts.uid)
}

fn gid(facts: &Facts) -> Gid {
    Gid::from_raw(facts.gid)
}

/// When a file's content was changed last.
pub(crate) fn modified(status: &Stat) -> Timespec {
    Timespec { tv_sec: status.st_mtime, tv_nsec: i64::try_from(status.st_mtime_nsec).unwrap_or_default() }
}

/// When an inode was changed last.
fn changed(status: &Stat) -> (i64, i64) {
    (status.st_ctime, status.st_ctime_nsec.try_into().unwrap_or(0))
}

pub(crate) fn epoch() -> Timespec {
    Timespec { tv_sec: 0, tv_nsec: 0 }
}

fn times(modified: Timespec) -> Timestamps {
    Timestamps { last_access: modified, last_modification: modified }
}

/// A path without `.` and empty parts, as its directory and its last part.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}
