//! Landlock rules that grow with the root: whatever is mounted writable gets a rule by its descriptor, so that no name is
//! used twice. Runs in the child, but for `new`: nothing here allocates.

use crate::model::landlock::{Rules, TRUNCATE, WRITE_FILE};
use crate::sys::landlock;
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Rules that are not in force yet.
pub(crate) struct Wall {
    rules: OwnedFd,
    files: u64,
}

impl Wall {
    /// Without any place that may be written to.
    pub(crate) fn new(rules: Rules) -> Result<Wall> {
        Ok(Wall { rules: landlock::create(rules.files, rules.scopes)?, files: rules.files })
    }

    /// Lets files at and below `place` be written.
    pub(crate) fn open(&self, place: BorrowedFd<'_>) -> Result<()> {
        match self.files {
            0 => Ok(()),
            files => landlock::allow(self.rules.as_fd(), place, files, WRITE_FILE | TRUNCATE),
        }
    }

    /// The same for a descriptor of the caller, which may be opened again by /proc/self/fd: for writing only if it is
    /// open for that, or is a directory's. A pipe or socket needs no rule.
    pub(crate) fn open_again(&self, descriptor: BorrowedFd<'_>) -> Result<()> {
        let (Ok(flags), Ok(facts)) = (fcntl_getfl(descriptor), fstat(descriptor)) else { return Ok(()) };
        let reads = flags & OFlags::RWMODE == OFlags::RDONLY;
        if reads && !FileType::from_raw_mode(facts.st_mode).is_dir() {
            return Ok(());
        }
        match self.open(descriptor) {
            Err(Errno::BADFD) => Ok(()),
            done => done,
        }
    }

    /// Puts the rules in force.
    pub(crate) fn close(&self) -> Result<()> {
        landlock::restrict(self.rules.as_fd())
    }
}
