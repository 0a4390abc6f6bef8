//! A process that does nothing.

use super::clone::{Cloned, exit};
use super::{check, raw, trial};
use rustix::io::Result;
use rustix::process::{getpid, getppid};
use std::os::fd::{FromRawFd, OwnedFd};

/// Starts one by an ordinary fork. It holds none of the caller's descriptors, and ends by a signal, or with the thread that started it.
pub(crate) fn start() -> Result<Cloned> {
    let parent = getpid();
    let mut pidfd = -1i32;
    let flags = (libc::CLONE_PIDFD | libc::SIGCHLD) as usize;
    // SAFETY: without CLONE_VM the child has a copy of this memory and goes on with its own copy of this stack; the kernel
    // writes one number to `pidfd`.
    match check(unsafe { raw::syscall(libc::SYS_clone as usize, [flags, 0, &raw mut pidfd as usize, 0, 0, 0]) })? {
        0 => {
            trial::settle();
            // Whoever ended before that sends no signal.
            if getppid() != Some(parent) {
                exit(0);
            }
            // SAFETY: nothing in this copy uses a descriptor any more.
            let _ = check(unsafe { raw::syscall(libc::SYS_close_range as usize, [0, u32::MAX as usize, 0, 0, 0, 0]) });
            loop {
                // SAFETY: takes nothing.
                let _ = check(unsafe { raw::syscall(libc::SYS_pause as usize, [0; 6]) });
            }
        }
        // SAFETY: the kernel has just put a new descriptor of ours there (CLONE_PIDFD).
        pid => Ok(Cloned { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } }),
    }
}
