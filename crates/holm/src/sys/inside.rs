//! openat2(2) within a root: neither a link, absolute or climbing, nor ".." leads out.

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, Result};
use std::os::fd::{BorrowedFd, OwnedFd};

/// How often a path is looked up before its tree counts as too busy.
const MOST: usize = 1000;

/// Opens what `path` leads to below `root` (`O_PATH`).
///
/// Any rename or mount on the machine spoils a look-up that climbs meanwhile (EAGAIN), so it is done again. Whoever renames
/// without end gets a refusal, not a start that hangs.
///
/// # Errors
/// Those of openat2(2); EAGAIN if the tree is too busy.
pub fn look(root: BorrowedFd<'_>, path: impl rustix::path::Arg + Copy, flags: OFlags) -> Result<OwnedFd> {
    look_by(root, path, flags, ResolveFlags::NO_MAGICLINKS)
}

/// The same, but a symbolic link anywhere in `path` is refused.
///
/// # Errors
/// As [`look`]; ELOOP for a link.
pub fn look_without_links(root: BorrowedFd<'_>, path: impl rustix::path::Arg + Copy) -> Result<OwnedFd> {
    // With O_NOFOLLOW the last part could be one (openat2(2)).
    look_by(root, path, OFlags::empty(), ResolveFlags::NO_SYMLINKS)
}

fn look_by(
    root: BorrowedFd<'_>,
    path: impl rustix::path::Arg + Copy,
    flags: OFlags,
    links: ResolveFlags,
) -> Result<OwnedFd> {
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    let within = ResolveFlags::IN_ROOT | links;
    let mut found = Err(Errno::AGAIN);
    for _ in 0..MOST {
        found = openat2(root, path, flags, Mode::empty(), within);
        if !matches!(found, Err(Errno::AGAIN)) {
            break;
        }
    }
    found
}
