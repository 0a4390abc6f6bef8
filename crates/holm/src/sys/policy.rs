//! What a process gives up for good: system calls (seccomp(2)), the session keyring (keyctl(2)), core files (prlimit(2)).

use super::{check, raw};
use rustix::io::Result;

/// One instruction of a filter, `struct sock_filter` (linux/filter.h).
pub(crate) use libc::sock_filter as Instruction;

/// Refuses what `filter` refuses, for this process and all it starts. It needs no_new_privs or CAP_SYS_ADMIN.
/// `flags` are seccomp(2)'s.
pub(crate) fn filter(filter: &[Instruction], flags: u32) -> Result<()> {
    const SET_MODE_FILTER: usize = 1;
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    let arguments = [SET_MODE_FILTER, flags as usize, &raw const program as usize, 0, 0, 0];
    // SAFETY: a struct sock_fprog that names `len` instructions; the kernel only reads them, during the call.
    check(unsafe { raw::syscall(libc::SYS_seccomp as usize, arguments) })?;
    Ok(())
}

/// Joins a new, empty session keyring. A kernel without keyrings has none to hide.
pub(crate) fn join_session_keyring() -> Result<()> {
    const JOIN_SESSION_KEYRING: usize = 1;
    // SAFETY: takes a number and a null pointer, which asks for a keyring without a name.
    match check(unsafe { raw::syscall(libc::SYS_keyctl as usize, [JOIN_SESSION_KEYRING, 0, 0, 0, 0, 0]) }) {
        Err(rustix::io::Errno::NOSYS) => Ok(()),
        done => done.map(drop),
    }
}
