//! Landlock (landlock(7)): rules by descriptor.

use super::{check, raw};
use rustix::io::{Errno, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The kernel's `struct landlock_ruleset_attr`; versions before 6 know only its start.
#[repr(C)]
struct Attributes {
    files: u64,
    network: u64,
    scopes: u64,
}

/// The kernel's `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    directory: i32,
}

const CREATE_VERSION: usize = 1;
const RULE_PATH_BENEATH: usize = 1;

/// The version of the interface; 0 if there is none, it is switched off, or an outer filter refuses it.
pub(crate) fn version() -> u32 {
    // SAFETY: with this flag the kernel takes no pointer.
    match check(unsafe { raw::syscall(libc::SYS_landlock_create_ruleset as usize, [0, 0, CREATE_VERSION, 0, 0, 0]) }) {
        Ok(version) => version as u32,
        Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => 0,
        // It says nothing of what there is: to make rules will say it, and fails rather than leaves them out.
        Err(_) => u32::MAX,
    }
}

/// An empty set of rules that refuses accesses `files` and reaching `scopes`.
pub(crate) fn create(files: u64, scopes: u64) -> Result<OwnedFd> {
    let attributes = Attributes { files, network: 0, scopes };
    let size = if scopes == 0 { size_of::<u64>() } else { size_of::<Attributes>() };
    let arguments = [&raw const attributes as usize, size, 0, 0, 0, 0];
    // SAFETY: a struct of at least the size given, alive for the call.
    let descriptor = check(unsafe { raw::syscall(libc::SYS_landlock_create_ruleset as usize, arguments) })?;
    // SAFETY: the kernel has just made this descriptor for us, close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as i32) })
}

/// Allows `accesses` at and below what `place` is open on; of a file only `of_file`, since the kernel refuses the others.
pub(crate) fn allow(rules: BorrowedFd<'_>, place: BorrowedFd<'_>, accesses: u64, of_file: u64) -> Result<()> {
    let add = |allowed: u64| {
        let rule = Beneath { allowed, directory: place.as_raw_fd() };
        let arguments = [rules.as_raw_fd() as usize, RULE_PATH_BENEATH, &raw const rule as usize, 0, 0, 0];
        // SAFETY: two open descriptors and a whole rule, alive for the call.
        check(unsafe { raw::syscall(libc::SYS_landlock_add_rule as usize, arguments) })
    };
    match add(accesses) {
        Err(Errno::INVAL) => add(accesses & of_file)?,
        done => done?,
    };
    Ok(())
}

/// Restricts this process and all it starts, for good. It needs no_new_privs or CAP_SYS_ADMIN.
pub(crate) fn restrict(rules: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: takes an open descriptor and a number.
    check(unsafe {
        raw::syscall(libc::SYS_landlock_restrict_self as usize, [rules.as_raw_fd() as usize, 0, 0, 0, 0, 0])
    })?;
    Ok(())
}
