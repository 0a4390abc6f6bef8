//! What the host's root is made of, as files: what its changes are compared with.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{RenameFlags, renameat_with};
use rustix::io::Errno;

use super::remove;
use crate::store::error::Error;
use crate::store::listing::Facts;
use crate::store::open_directory;
use crate::tree::{Tree, epoch};

/// Its directory.
pub(super) const BASE: &str = "root-base";
/// The same in the making.
const ASIDE: &str = "root-base.new";

/// A directory, small file or link of the host's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A directory with a mode.
    Directory(PathBuf, u32),
    /// A file with its content and mode.
    File(PathBuf, Vec<u8>, u32),
    /// A link with its text.
    Link(PathBuf, PathBuf),
}

/// Writes these entries; the directory of the run before is replaced.
pub(super) fn write(directory: &Path, entries: &[Entry]) -> Result<(), Error> {
    let (aside, path) = (directory.join(ASIDE), directory.join(BASE));
    let parent = open_directory(directory)?;
    let clear = |name: &str| {
        let removed = remove::remove(parent.as_fd(), name.as_bytes());
        removed.map_err(Error::io("remove", &directory.join(name)))
    };
    clear(ASIDE)?;
    DirBuilder::new().mode(0o755).create(&aside).map_err(Error::io("make", &aside))?;
    let mut tree = Tree::new(&aside).map_err(Error::io("make", &aside))?;
    for entry in entries {
        put(&mut tree, entry).map_err(Error::io("write", &aside))?;
    }
    // One of both is there at any moment.
    match renameat_with(&parent, ASIDE, &parent, BASE, RenameFlags::EXCHANGE) {
        Err(Errno::NOENT) => fs::rename(&aside, &path).map_err(Error::io("write", &path)),
        done => done.map_err(Error::io("write", &path)).and_then(|()| clear(ASIDE)),
    }
}

fn put(tree: &mut Tree, entry: &Entry) -> io::Result<()> {
    let (Entry::Directory(at, _) | Entry::File(at, ..) | Entry::Link(at, _)) = entry;
    let path = at.strip_prefix("/").unwrap_or(at).as_os_str().as_bytes();
    let facts = |mode: u32| Facts { mode, ..Facts::default() };
    let time = epoch();
    match entry {
        Entry::Directory(_, mode) => tree.directory(path, facts(*mode), time)?,
        Entry::File(_, bytes, mode) => tree.put(path, *mode, bytes)?,
        Entry::Link(_, text) => tree.link(path, text.as_os_str().as_bytes(), facts(0o777), time)?,
    }
    Ok(())
}
