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
pub(crate) fn look(root: BorrowedFd<'_>, path: impl rustix::path::Arg + Copy, flags: OFlags) -> Result<OwnedFd> {
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut found = Err(Errno::AGAIN);
    for _ in 0..MOST {
        found = openat2(root, path, flags, Mode::empty(), within);
        if !matches!(found, Err(Errno::AGAIN)) {
            break;
        }
    }
    found
}
