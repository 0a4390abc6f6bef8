//! A tree that is made of layers, one over the other, each an archive (OCI image specification, "Image Layer Filesystem
//! Changeset").
//!
//! A layer hides what layers below it have made, never what it makes itself, in whatever order its members come. So
//! what the present layer makes is noted by directory and name: an inode may have names of several layers.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, fstat, openat, statat, unlinkat};
use rustix::io::{Errno, Result};

use super::{DIRECTORY, Tree, names, reach};

impl Tree {
    /// What is made from now on belongs to a layer above all that is there.
    pub(crate) fn next_layer(&mut self) {
        self.made = Some(HashSet::new());
    }

    /// Hides what lower layers have at `path`.
    pub(crate) fn hide(&mut self, path: &[u8]) -> Result<()> {
        self.recent = None;
        match self.existing(path) {
            Ok((parent, name)) => self.hide_entry(parent.as_fd(), name).map(drop),
            Err(error) => absent(error),
        }
    }

    /// Hides what lower layers have in the directory `path`.
    pub(crate) fn hide_all_in(&mut self, path: &[u8]) -> Result<()> {
        self.recent = None;
        match reach::existing(self.root.as_fd(), path) {
            Ok(directory) => self.hide_below(directory.as_fd()).map(drop),
            Err(error) => absent(error),
        }
    }

    /// Notes that the present layer makes this.
    pub(super) fn mark(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        if let Some(made) = &mut self.made {
            made.insert((fstat(parent)?.st_ino, name.to_vec()));
        }
        Ok(())
    }

    /// Whether something of the present layer is left there.
    fn hide_entry(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<bool> {
        let key = (fstat(parent)?.st_ino, name.to_vec());
        // Without lower layers there is nothing to hide.
        let own = self.made.as_ref().is_none_or(|made| made.contains(&key));
        let kind = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => FileType::from_raw_mode(status.st_mode),
            Err(error) => return absent(error).map(|()| false),
        };
        if !kind.is_dir() {
            if !own {
                unlinkat(parent, name, AtFlags::empty())?;
            }
            return Ok(own);
        }
        let directory = openat(parent, name, DIRECTORY, Mode::empty())?;
        let left = self.hide_below(directory.as_fd())?;
        if !own && !left {
            unlinkat(parent, name, AtFlags::REMOVEDIR)?;
        }
        Ok(own || left)
    }

    fn hide_below(&mut self, directory: BorrowedFd<'_>) -> Result<bool> {
        let mut left = false;
        for name in names(directory)? {
            left |= self.hide_entry(directory, &name)?;
        }
        Ok(left)
    }
}

/// What isn't there needs no hiding and no removing.
pub(super) fn absent(error: Errno) -> Result<()> {
    match error {
        Errno::NOENT | Errno::NOTDIR => Ok(()),
        error => Err(error),
    }
}
