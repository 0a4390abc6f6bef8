//! Notifications of a filter to its supervisor (seccomp_unotify(2)).

use super::{check, raw};
use rustix::io::{Errno, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The kernel's `struct seccomp_notif`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Notification {
    pub(crate) id: u64,
    pub(crate) pid: u32,
    flags: u32,
    pub(crate) number: u32,
    pub(crate) architecture: u32,
    pub(crate) instruction_pointer: u64,
    pub(crate) arguments: [u64; 6],
}

/// The kernel's `struct seccomp_notif_resp`.
#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// What is done about the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The kernel carries it out.
    Continue,
    /// It fails.
    Fail(u16),
}

/// As `policy::filter`; the filter's notifications come from the descriptor that is returned.
pub(crate) fn filter(filter: &[super::policy::Instruction], flags: u32) -> Result<OwnedFd> {
    const SET_MODE_FILTER: usize = 1;
    const NEW_LISTENER: usize = 1 << 3;
    // Without it signals would interrupt calls that never are (Linux 5.19).
    const WAIT_KILLABLE: usize = 1 << 5;
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    let set = |more: usize| {
        let arguments = [SET_MODE_FILTER, flags as usize | more, &raw const program as usize, 0, 0, 0];
        // SAFETY: a struct sock_fprog that names `len` instructions; the kernel only reads them, during the call.
        check(unsafe { raw::syscall(libc::SYS_seccomp as usize, arguments) })
    };
    let listener = match set(NEW_LISTENER | WAIT_KILLABLE) {
        Err(Errno::INVAL) => set(NEW_LISTENER),
        done => done,
    }?;
    // SAFETY: the kernel has just made this descriptor for us, close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(listener as i32) })
}

/// The next notification. It fails (ENOENT) if the process that made the call is gone.
pub(crate) fn receive(listener: BorrowedFd<'_>) -> Result<Notification> {
    const RECV: usize = 0xc050_2100;
    let mut notification = Notification::default();
    let arguments = [listener.as_raw_fd() as usize, RECV, &raw mut notification as usize, 0, 0, 0];
    // SAFETY: the request's struct, zeroed as the kernel wants it, alive for the call.
    check(unsafe { raw::syscall(libc::SYS_ioctl as usize, arguments) })?;
    Ok(notification)
}

/// Answers notification `id`.
pub(crate) fn answer(listener: BorrowedFd<'_>, id: u64, answer: Answer) -> Result<()> {
    const SEND: usize = 0xc018_2101;
    const CONTINUE: u32 = 1;
    let (error, flags) = match answer {
        Answer::Continue => (0, CONTINUE),
        Answer::Fail(errno) => (-i32::from(errno), 0),
    };
    let response = Response { id, value: 0, error, flags };
    let arguments = [listener.as_raw_fd() as usize, SEND, &raw const response as usize, 0, 0, 0];
    // SAFETY: the request's struct, alive for the call.
    check(unsafe { raw::syscall(libc::SYS_ioctl as usize, arguments) })?;
    Ok(())
}

/// Whether the call of notification `id` still waits: what was read of its process meanwhile is then that process's.
pub(crate) fn is_valid(listener: BorrowedFd<'_>, id: u64) -> bool {
    const ID_VALID: usize = 0x4008_2102;
    let arguments = [listener.as_raw_fd() as usize, ID_VALID, &raw const id as usize, 0, 0, 0];
    // SAFETY: a number, alive for the call.
    check(unsafe { raw::syscall(libc::SYS_ioctl as usize, arguments) }).is_ok()
}

/// Reads memory of process `pid` (process_vm_readv(2)); how many bytes could be read, up to the first page that can't.
pub(crate) fn read_memory(pid: u32, address: u64, to: &mut [u8]) -> Result<usize> {
    let ours = libc::iovec { iov_base: to.as_mut_ptr().cast(), iov_len: to.len() };
    let theirs = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: to.len() };
    let arguments = [pid as usize, &raw const ours as usize, 1, &raw const theirs as usize, 1, 0];
    // SAFETY: `ours` names memory that may be written; the other address means nothing in this process.
    check(unsafe { raw::syscall(libc::SYS_process_vm_readv as usize, arguments) })
}
