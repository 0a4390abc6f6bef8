//! Removing what a sandbox made: directories without any mode, and nested deeper than descriptors or a path reach.
//!
//! Every directory in a directory is first moved to the top, so that one descriptor is enough, and no name is longer
//! than one part.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, RenameFlags, Stat, chmodat, openat, renameat_with, statat, unlinkat};
use rustix::io::{Errno, Result};

use crate::tree::{DIRECTORY, names};

/// Removes the directory `name` of `parent` with all in it. Its own entries get other names meanwhile.
pub(super) fn remove(parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    let top = match open(parent, name) {
        Err(Errno::NOENT) => return Ok(()),
        top => top?,
    };
    let mut moved = 0_u64;
    loop {
        let all = names(&top)?;
        if all.is_empty() {
            return unlinkat(parent, name, AtFlags::REMOVEDIR);
        }
        for one in all {
            empty(top.as_fd(), &one, &mut moved)?;
        }
    }
}

/// Removes a file; empties a directory into `top` and removes it.
fn empty(top: BorrowedFd<'_>, name: &[u8], moved: &mut u64) -> Result<()> {
    match unlinkat(top, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        done => return done,
    }
    let directory = open(top, name)?;
    for one in names(&directory)? {
        match unlinkat(&directory, one.as_slice(), AtFlags::empty()) {
            Err(Errno::ISDIR) => {
                // A directory can only be moved by who may write to it: its `..` changes (rename(2)).
                drop(open(directory.as_fd(), &one)?);
                loop {
                    *moved += 1;
                    let aside = format!("moved-{moved}");
                    match renameat_with(&directory, one.as_slice(), top, &aside, RenameFlags::NOREPLACE) {
                        Err(Errno::EXIST) => {}
                        done => break done?,
                    }
                }
            }
            done => done?,
        }
    }
    unlinkat(top, name, AtFlags::REMOVEDIR)
}

/// Opens a directory; one that has taken its mode away gets it back.
fn open(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    let usable = |found: &Stat| found.st_mode & 0o700 == 0o700;
    let found = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if !usable(&found) && FileType::from_raw_mode(found.st_mode).is_dir() {
        // Of somebody else's directory the mode can't be changed; it may do as it is. Nobody writes here any more.
        let _ = chmodat(parent, name, Mode::from_raw_mode(0o700), AtFlags::empty());
    }
    openat(parent, name, DIRECTORY, Mode::empty())
}
