//! The kernel's numbers, and system calls by them.

use crate::raw;

pub(crate) const READ: usize = 0;
pub(crate) const WRITE: usize = 1;
pub(crate) const CLOSE: usize = 3;
pub(crate) const POLL: usize = 7;
pub(crate) const MMAP: usize = 9;
pub(crate) const SIGACTION: usize = 13;
pub(crate) const SIGPROCMASK: usize = 14;
pub(crate) const IOCTL: usize = 16;
pub(crate) const GETPID: usize = 39;
pub(crate) const SENDTO: usize = 44;
pub(crate) const RECVFROM: usize = 45;
pub(crate) const CLONE: usize = 56;
pub(crate) const EXECVE: usize = 59;
pub(crate) const WAIT4: usize = 61;
pub(crate) const KILL: usize = 62;
pub(crate) const FCNTL: usize = 72;
pub(crate) const SETPGID: usize = 109;
pub(crate) const SETSID: usize = 112;
pub(crate) const FSTATFS: usize = 138;
pub(crate) const PRCTL: usize = 157;
pub(crate) const CLOCK_GETTIME: usize = 228;
pub(crate) const EXIT_GROUP: usize = 231;
pub(crate) const OPENAT: usize = 257;
pub(crate) const ACCEPT4: usize = 288;
pub(crate) const SIGNALFD4: usize = 289;
pub(crate) const PRLIMIT64: usize = 302;
pub(crate) const PIDFD_SEND_SIGNAL: usize = 424;
pub(crate) const CLOSE_RANGE: usize = 436;
pub(crate) const OPENAT2: usize = 437;

pub(crate) const SIGINT: usize = 2;
pub(crate) const SIGKILL: usize = 9;
pub(crate) const SIGTERM: usize = 15;
pub(crate) const SIGCHLD: usize = 17;
pub(crate) const SIGCONT: usize = 18;
pub(crate) const SIGSTOP: usize = 19;
pub(crate) const ENOENT: i32 = 2;
pub(crate) const EIO: i32 = 5;
pub(crate) const ESTALE: i32 = 116;
pub(crate) const EINTR: isize = -4;
pub(crate) const ECONNABORTED: isize = -103;
pub(crate) const EACCES: i32 = 13;
pub(crate) const ENOTDIR: i32 = 20;
pub(crate) const TIOCSCTTY: usize = 0x540e;
pub(crate) const TIOCSPGRP: usize = 0x5410;
/// Always inlined: the child of `start` uses its sleeping parent's stack, so the clone may not return from a frame below.
#[inline(always)]
pub(crate) fn call(number: usize, arguments: [usize; 6]) -> isize {
    // SAFETY: every caller passes what its system call takes, with pointers to live locals, statics or the stack's top.
    unsafe { raw::syscall(number, arguments) }
}
