//! Directories inside a tree: every look-up treats the tree as the whole file system, as it will be for who runs in it.
//!
//! Usually one openat2(2) does it, with `RESOLVE_IN_ROOT`. Where something is missing the path is walked by its parts:
//! links are read and followed by hand, from the top if absolute, and what is missing is made.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use rustix::io::{Errno, Result};

use super::{DIRECTORY, Tree};

/// So many links are followed in one path (path_resolution(7)).
const LINKS: usize = 40;
/// How often a path is looked up before the machine counts as too busy.
const MOST: usize = 1000;

/// Opens a directory that is there.
pub(super) fn existing(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    open(root, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, inside)
}

impl Tree {
    /// Opens the directory at `path`; what is missing of it is made.
    pub(crate) fn reach(&mut self, path: &[u8]) -> Result<OwnedFd> {
        match existing(self.root.as_fd(), path) {
            Err(Errno::NOENT) => self.walk(path),
            done => done,
        }
    }

    fn walk(&mut self, path: &[u8]) -> Result<OwnedFd> {
        let mut left: Vec<Vec<u8>> = parts(path);
        let mut way = vec![self.root.try_clone().map_err(|_| Errno::MFILE)?];
        let mut links = 0;
        while let Some(part) = left.pop() {
            let here = way.last().ok_or(Errno::NOENT)?;
            if part == b".." {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            match openat(here, part.as_slice(), DIRECTORY, Mode::empty()) {
                Ok(next) => way.push(next),
                Err(Errno::NOENT) => {
                    let here = here.try_clone().map_err(|_| Errno::MFILE)?;
                    self.make_directory(here.as_fd(), &part)?;
                    way.push(openat(&here, part.as_slice(), DIRECTORY, Mode::empty())?);
                }
                // O_DIRECTORY with O_NOFOLLOW gives either for a link.
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    let text = match readlinkat(here, part.as_slice(), Vec::new()) {
                        Err(Errno::INVAL) => return Err(Errno::NOTDIR),
                        text => text?.into_bytes(),
                    };
                    links += 1;
                    if links > LINKS {
                        return Err(Errno::LOOP);
                    }
                    if text.starts_with(b"/") {
                        way.truncate(1);
                    }
                    left.extend(parts(&text));
                }
                Err(error) => return Err(error),
            }
        }
        way.pop().ok_or(Errno::NOENT)
    }
}

/// The parts of a path, last first.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    let mut parts: Vec<Vec<u8>> =
        path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").map(<[u8]>::to_vec).collect();
    parts.reverse();
    parts
}

/// Opens a path beneath a directory that somebody else may be changing, through no link and onto no other file system; the
/// last part may be a link with `O_PATH`.
pub(crate) fn beneath(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    let resolve =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    open(root, path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, resolve)
}

fn open(root: BorrowedFd<'_>, path: &[u8], flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let mut found = Err(Errno::AGAIN);
    for _ in 0..MOST {
        found = openat2(root, path, flags, Mode::empty(), resolve);
        // A rename elsewhere on the machine while `..` was looked up (openat2(2)).
        if !matches!(found, Err(Errno::AGAIN)) {
            break;
        }
    }
    found
}
