//! What a new file system takes over from the directory that it hides: all that is in it, with owners and modes. Runs in the
//! child: nothing here allocates.
//!
//! The tree is one of an image, so of anybody: it is walked by descriptors, no link in it is followed, and what is mounted
//! below it is left out.

use super::place::mount_id;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, RawDir, Stat, Timespec, Timestamps, Uid, chownat, fchmod, fchown, fstat,
    futimens, mkdirat, mknodat, openat, readlinkat_raw, sendfile, symlinkat,
};
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Deeper trees are refused: the child's stack is small.
const DEEPEST: usize = 40;

/// Copies all that is in the directory `from` to a new file system, and gives its root the same owner and mode.
pub(crate) fn copy(from: BorrowedFd<'_>, made: BorrowedFd<'_>) -> Result<()> {
    let (from, to) = (directory(from, c".")?, directory(made, c".")?);
    copy_tree(from.as_fd(), to.as_fd(), mount_id(from.as_fd())?, DEEPEST)
}

fn directory(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

fn mode(of: &Stat) -> Mode {
    Mode::from_raw_mode(of.st_mode & 0o7777)
}

fn copy_tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>, mount: u64, left: usize) -> Result<()> {
    let mut space = [MaybeUninit::<u8>::uninit(); 1024];
    let mut entries = RawDir::new(from, &mut space);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            copy_entry(from, to, name, mount, left)?;
        }
    }
    take_over(to, &fstat(from)?)
}

fn copy_entry(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, mount: u64, left: usize) -> Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entry = openat(from, name, flags, Mode::empty())?;
    if mount_id(entry.as_fd())? != mount {
        return Ok(());
    }
    let found = fstat(&entry)?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory if left == 0 => Err(Errno::NAMETOOLONG),
        FileType::Directory => {
            mkdirat(to, name, Mode::RWXU)?;
            copy_tree(directory(entry.as_fd(), c".")?.as_fd(), directory(to, name)?.as_fd(), mount, left - 1)
        }
        FileType::RegularFile => copy_file(from, to, name),
        FileType::Symlink => copy_link(from, to, name, &found),
        // A socket leads nowhere without its owner.
        FileType::Socket => Ok(()),
        kind => {
            match mknodat(to, name, kind, mode(&found), found.st_rdev) {
                // Devices can't be made everywhere, and could not be used here.
                Err(Errno::PERM) => return Ok(()),
                made => made?,
            }
            own(to, name, &found)
        }
    }
}

fn copy_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // Not for ever if it is a pipe by now.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = openat(from, name, flags, Mode::empty())?;
    let found = fstat(&source)?;
    if !FileType::from_raw_mode(found.st_mode).is_file() {
        return Err(Errno::STALE);
    }
    let made = super::place::create(to, name, 0o600)?;
    while sendfile(&made, &source, None, 1 << 24)? > 0 {}
    take_over(made.as_fd(), &found)
}

fn copy_link(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, found: &Stat) -> Result<()> {
    let mut text = [0u8; 4097];
    readlinkat_raw(from, name, &mut text[..4096])?;
    symlinkat(CStr::from_bytes_until_nul(&text).map_err(|_| Errno::NAMETOOLONG)?, to, name)?;
    own(to, name, found)
}

fn owner(found: &Stat) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(found.st_uid)), Some(Gid::from_raw(found.st_gid)))
}

fn own(to: BorrowedFd<'_>, name: &CStr, found: &Stat) -> Result<()> {
    let (uid, gid) = owner(found);
    chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
}

/// Owner, then mode, which a new owner would take bits from, then times.
fn take_over(made: BorrowedFd<'_>, found: &Stat) -> Result<()> {
    let (uid, gid) = owner(found);
    fchown(made, uid, gid)?;
    fchmod(made, mode(found))?;
    let time = |seconds: i64, nanoseconds: u64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds as i64 };
    let times = Timestamps {
        last_access: time(found.st_atime, found.st_atime_nsec),
        last_modification: time(found.st_mtime, found.st_mtime_nsec),
    };
    futimens(made, &times)
}
