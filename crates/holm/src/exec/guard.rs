//! What tells about the machine in a /proc is hidden, files behind the null device and directories behind an empty one, and
//! what changes it made read-only. Runs in the child: nothing here allocates.

use super::mounts::{clone_at, device, empty_directory};
use super::place::{Inside, Make, Place};
use super::program::READ_ONLY;
use super::within::PROC;
use crate::model::proc::{DIRECTORIES, FILES, SETTINGS};
use crate::sys::mount::{Reach, set_attributes};
use rustix::fs::{Access, AtFlags, accessat, fstatfs};
use rustix::io::{Errno, Result};
use rustix::mount::{MoveMountFlags, move_mount};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Guards the /proc at `place`, which must be one: below it names are the kernel's, and can't be changed by anybody.
pub(crate) fn proc(inside: Inside<'_>, place: &Place) -> Result<()> {
    let proc = inside.open(place, Make::Nothing)?;
    if fstatfs(&proc)?.f_type != PROC {
        return Err(Errno::STALE);
    }
    let proc = proc.as_fd();
    hide(proc, &FILES, || device(c"null"))?;
    hide(proc, &DIRECTORIES, empty_directory)?;
    for name in SETTINGS {
        match clone_at(proc, name, Reach::One) {
            Err(Errno::NOENT) => {}
            tree => {
                let tree = tree?;
                set_attributes(tree.as_fd(), Reach::One, READ_ONLY)?;
                cover(proc, name, tree.as_fd())?;
            }
        }
    }
    Ok(())
}

/// Puts what `make` makes on the first of `names` that there is, and clones of it on the others: before Linux 6.15 a
/// detached mount can't be cloned.
///
/// Nothing is made that isn't used: closing a mount that is attached nowhere waits for every processor (the kernel's
/// `namespace_unlock`), and that takes longer than all of this.
fn hide(proc: BorrowedFd<'_>, names: &[&CStr], make: impl Fn() -> Result<OwnedFd>) -> Result<()> {
    let mut first = None;
    for name in names {
        if accessat(proc, *name, Access::EXISTS, AtFlags::empty()) == Err(Errno::NOENT) {
            continue;
        }
        let tree = match &first {
            None => make()?,
            Some(first) => clone_at(OwnedFd::as_fd(first), c"", Reach::One)?,
        };
        cover(proc, name, tree.as_fd())?;
        first.get_or_insert(tree);
    }
    Ok(())
}

fn cover(proc: BorrowedFd<'_>, name: &CStr, tree: BorrowedFd<'_>) -> Result<()> {
    move_mount(tree, c"", proc, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}
