//! Entering and making namespaces: setns(2), unshare(2), ioctl_ns(2).

use super::{check, raw};
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Moves this process into the namespace that `namespace` is open on, which must be of the kind `flag` (CLONE_NEW*).
pub(crate) fn enter(namespace: BorrowedFd<'_>, flag: u64) -> Result<()> {
    // SAFETY: setns takes an open descriptor and a number.
    check(unsafe {
        raw::syscall(libc::SYS_setns as usize, [namespace.as_raw_fd() as usize, flag as usize, 0, 0, 0, 0])
    })?;
    Ok(())
}

/// Makes new namespaces of the kinds in `flags` (CLONE_NEW*) for this process or, for pid and time, its children.
pub(crate) fn unshare(flags: u64) -> Result<()> {
    // SAFETY: unshare takes a number; without CLONE_FILES or CLONE_FS no shared table is touched.
    check(unsafe { raw::syscall(libc::SYS_unshare as usize, [flags as usize, 0, 0, 0, 0, 0]) })?;
    Ok(())
}

/// Makes a request of ioctl_ns(2) that takes no argument.
fn ask(file: BorrowedFd<'_>, request: usize) -> Result<usize> {
    // SAFETY: the requests given here take no argument.
    check(unsafe { raw::syscall(libc::SYS_ioctl as usize, [file.as_raw_fd() as usize, request, 0, 0, 0, 0]) })
}

/// The same for one whose answer is a new descriptor.
fn ask_descriptor(file: BorrowedFd<'_>, request: usize) -> Result<OwnedFd> {
    let made = ask(file, request)?;
    // SAFETY: the kernel has just made this descriptor for us, close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(made as i32) })
}

/// The same for one that writes to `to`, whose size is part of the request (ioctl(2), `_IOR`).
fn ask_into<T>(file: BorrowedFd<'_>, request: usize, to: &mut T) -> Result<usize> {
    debug_assert_eq!(request >> 16 & 0x3fff, size_of::<T>());
    let arguments = [file.as_raw_fd() as usize, request, std::ptr::from_mut(to) as usize, 0, 0, 0];
    // SAFETY: numbers in a struct of the size that the request tells, alive for the call.
    check(unsafe { raw::syscall(libc::SYS_ioctl as usize, arguments) })
}

/// The kind of the namespace a descriptor is open on, as a CLONE_NEW* bit (`NS_GET_NSTYPE`, ioctl_ns(2)).
pub(crate) fn kind(namespace: BorrowedFd<'_>) -> Result<u64> {
    ask(namespace, 0xb703).map(|kind| kind as u64)
}

/// The user namespace that owns the namespace a descriptor is open on (`NS_GET_USERNS`, ioctl_ns(2)).
///
/// # Errors
/// EPERM: it is neither the caller's own nor one below that.
pub(crate) fn owner(namespace: BorrowedFd<'_>) -> Result<OwnedFd> {
    ask_descriptor(namespace, 0xb701)
}

/// The parent of a pid or user namespace (`NS_GET_PARENT`, ioctl_ns(2)).
///
/// # Errors
/// EPERM: it has none, or it is neither the caller's own nor one below that.
pub(crate) fn parent(namespace: BorrowedFd<'_>) -> Result<OwnedFd> {
    ask_descriptor(namespace, 0xb702)
}

/// Who made a user namespace, as the caller's own shows the id (`NS_GET_OWNER_UID`, ioctl_ns(2)).
pub(crate) fn owner_uid(namespace: BorrowedFd<'_>) -> Result<u32> {
    let mut uid = 0u32;
    let arguments = [namespace.as_raw_fd() as usize, 0xb704, &raw mut uid as usize, 0, 0, 0];
    // SAFETY: the request writes a uid_t, alive for the call.
    check(unsafe { raw::syscall(libc::SYS_ioctl as usize, arguments) })?;
    Ok(uid)
}

/// The number of a namespace that no other ever has (`NS_GET_ID`, Linux 6.18).
pub(crate) fn id(namespace: BorrowedFd<'_>) -> Result<u64> {
    let mut id = 0u64;
    ask_into(namespace, 0x8008_b70d, &mut id)?;
    Ok(id)
}

/// The same of the namespace that a link in `directory` leads to, which isn't opened for that: nsfs has had handles
/// (name_to_handle_at(2)) for as long as numbers, and these begin with the number (linux/nsfs.h, `struct nsfs_file_handle`).
///
/// # Errors
/// EOPNOTSUPP: an older kernel. EINVAL: it is no namespace. EACCES: it is closed to the caller.
pub(crate) fn id_of_link(directory: BorrowedFd<'_>, link: &CStr) -> Result<u64> {
    /// `FILEID_NSFS` (linux/exportfs.h).
    const NSFS: i32 = 0xf1;
    /// The kernel's `struct file_handle` with room for one of nsfs.
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        id: u64,
        namespace_kind: u32,
        inode: u32,
    }
    let mut handle = Handle { bytes: 16, kind: 0, id: 0, namespace_kind: 0, inode: 0 };
    let mut mount = 0i32;
    let arguments = [
        directory.as_raw_fd() as usize,
        link.as_ptr() as usize,
        &raw mut handle as usize,
        &raw mut mount as usize,
        libc::AT_SYMLINK_FOLLOW as usize,
        0,
    ];
    // SAFETY: a string, a struct that tells how much room it has, and a number, alive for the call.
    check(unsafe { raw::syscall(libc::SYS_name_to_handle_at as usize, arguments) })?;
    if (handle.kind, handle.bytes) == (NSFS, 16) { Ok(handle.id) } else { Err(Errno::INVAL) }
}

/// The number by which listmount(2) knows a mount namespace (`NS_GET_MNTNS_ID`, Linux 6.11).
pub(crate) fn mount_id(namespace: BorrowedFd<'_>) -> Result<u64> {
    let mut id = 0u64;
    ask_into(namespace, 0x8008_b705, &mut id)?;
    Ok(id)
}

/// In which direction the kernel's list of mount namespaces is walked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Direction {
    /// `NS_MNT_GET_NEXT`
    Next,
    /// `NS_MNT_GET_PREV`
    Previous,
}

/// The mount namespace beside one in the kernel's list, and its number (Linux 6.12).
///
/// # Errors
/// ENOENT: there is none left. EPERM: the caller may not see those of others.
pub(crate) fn beside(namespace: BorrowedFd<'_>, direction: Direction) -> Result<(u64, OwnedFd)> {
    /// The kernel's `struct mnt_ns_info`.
    #[repr(C)]
    struct Info {
        size: u32,
        mounts: u32,
        id: u64,
    }
    let mut info = Info { size: 0, mounts: 0, id: 0 };
    let request = match direction {
        Direction::Next => 0x8010_b70b,
        Direction::Previous => 0x8010_b70c,
    };
    let made = ask_into(namespace, request, &mut info)?;
    // SAFETY: the kernel has just made this descriptor for us, close-on-exec.
    Ok((info.id, unsafe { OwnedFd::from_raw_fd(made as i32) }))
}

/// The namespace of the kind `flag` (CLONE_NEW*) that a process is in (`PIDFD_GET_NET_NAMESPACE` and its like, Linux 6.11).
///
/// # Errors
/// ESRCH: it ended. EACCES: it is closed to the caller. ENOTTY, EINVAL: an older kernel.
pub(crate) fn of_process(process: BorrowedFd<'_>, flag: u64) -> Result<OwnedFd> {
    let request = match flag as i32 {
        libc::CLONE_NEWCGROUP => 0xff01,
        libc::CLONE_NEWIPC => 0xff02,
        libc::CLONE_NEWNS => 0xff03,
        libc::CLONE_NEWNET => 0xff04,
        libc::CLONE_NEWPID => 0xff05,
        libc::CLONE_NEWTIME => 0xff07,
        libc::CLONE_NEWUSER => 0xff09,
        libc::CLONE_NEWUTS => 0xff0a,
        _ => return Err(Errno::INVAL),
    };
    ask_descriptor(process, request)
}

/// The network namespace of a socket (`SIOCGSKNS`, socket(7)).
///
/// # Errors
/// EPERM: the caller lacks CAP_NET_ADMIN over it.
pub(crate) fn of_socket(socket: BorrowedFd<'_>) -> Result<OwnedFd> {
    ask_descriptor(socket, 0x894c)
}

/// The network namespace of the device that a descriptor of /dev/net/tun is attached to (`TUNGETDEVNETNS`).
///
/// # Errors
/// EBADFD: it is attached to none. EPERM: the caller lacks CAP_NET_ADMIN over the namespace.
pub(crate) fn of_tun(tun: BorrowedFd<'_>) -> Result<OwnedFd> {
    ask_descriptor(tun, 0x54e3)
}
