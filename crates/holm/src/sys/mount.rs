//! mount_setattr(2), which rustix lacks.

use super::{check, raw};
use rustix::io::Result;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The kernel's `struct mount_attr`.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// Which mounts below a descriptor are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This mount alone.
    One,
    /// This mount and every mount below it (`AT_RECURSIVE`).
    Tree,
}

/// Where what is mounted below a mount shows, besides there (mount_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagation {
    /// Nowhere.
    #[default]
    Private,
    /// Nowhere; but what is mounted below the mount that this one is a copy of shows here.
    Slave,
    /// Below the mount that this one is a copy of, and the other way round.
    Shared,
    /// Nowhere, and nobody can bind it.
    Unbindable,
}

impl Propagation {
    fn flag(self) -> u64 {
        match self {
            Propagation::Private => libc::MS_PRIVATE,
            Propagation::Slave => libc::MS_SLAVE,
            Propagation::Shared => libc::MS_SHARED,
            Propagation::Unbindable => libc::MS_UNBINDABLE,
        }
    }
}

/// Sets where what is mounted below shows.
pub(crate) fn propagate(mount: BorrowedFd<'_>, reach: Reach, propagation: Propagation) -> Result<()> {
    change(mount, reach, &MountAttr { set: 0, clear: 0, propagation: propagation.flag(), userns: 0 })
}

/// Shows owners of files on the mounts that `mount` is open on by the id maps of a user namespace (`MOUNT_ATTR_IDMAP`). Each
/// must be of a kind of file system that can, and shown without maps until now.
pub(crate) fn map_owners(mount: BorrowedFd<'_>, reach: Reach, maps: BorrowedFd<'_>) -> Result<()> {
    let attributes =
        MountAttr { set: libc::MOUNT_ATTR_IDMAP, clear: 0, propagation: 0, userns: maps.as_raw_fd() as u64 };
    change(mount, reach, &attributes)
}

/// Sets the attributes of `set` (MOUNT_ATTR_*) on the mount that `mount` is open on, and makes it private.
pub(crate) fn set_attributes(mount: BorrowedFd<'_>, reach: Reach, set: u64) -> Result<()> {
    change(mount, reach, &MountAttr { set, clear: 0, propagation: libc::MS_PRIVATE, userns: 0 })
}

/// Sets and clears attributes, and nothing else.
pub(crate) fn change_attributes(mount: BorrowedFd<'_>, reach: Reach, set: u64, clear: u64) -> Result<()> {
    change(mount, reach, &MountAttr { set, clear, propagation: 0, userns: 0 })
}

fn change(mount: BorrowedFd<'_>, reach: Reach, attributes: &MountAttr) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH
        | match reach {
            Reach::One => 0,
            Reach::Tree => libc::AT_RECURSIVE,
        };
    let arguments = [
        mount.as_raw_fd() as usize,
        c"".as_ptr() as usize,
        flags as usize,
        std::ptr::from_ref(attributes) as usize,
        size_of::<MountAttr>(),
        0,
    ];
    // SAFETY: an open descriptor, an empty C string and a struct of the length given, alive for the call.
    check(unsafe { raw::syscall(libc::SYS_mount_setattr as usize, arguments) })?;
    Ok(())
}
