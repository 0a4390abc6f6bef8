//! Entering and making namespaces: setns(2), unshare(2), ioctl_ns(2).

use super::{check, raw};
use rustix::io::Result;
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

/// The kind of the namespace a descriptor is open on, as a CLONE_NEW* bit (`NS_GET_NSTYPE`, ioctl_ns(2)).
pub(crate) fn kind(namespace: BorrowedFd<'_>) -> Result<u64> {
    const NS_GET_NSTYPE: usize = 0xb703;
    // SAFETY: this ioctl takes no argument.
    let kind = check(unsafe {
        raw::syscall(libc::SYS_ioctl as usize, [namespace.as_raw_fd() as usize, NS_GET_NSTYPE, 0, 0, 0, 0])
    })?;
    Ok(kind as u64)
}

/// The user namespace that owns the namespace a descriptor is open on (`NS_GET_USERNS`, ioctl_ns(2)).
///
/// # Errors
/// EPERM: it is neither the caller's own nor one below that.
pub(crate) fn owner(namespace: BorrowedFd<'_>) -> Result<OwnedFd> {
    const NS_GET_USERNS: usize = 0xb701;
    // SAFETY: this ioctl takes no argument.
    let owner = check(unsafe {
        raw::syscall(libc::SYS_ioctl as usize, [namespace.as_raw_fd() as usize, NS_GET_USERNS, 0, 0, 0, 0])
    })?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(owner as i32) })
}
