//! The calling thread's signals: blocking them and reading them from a descriptor (sigprocmask(2), signalfd(2)).

use super::{check, raw};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const SIGNALS: u64 = u64::MAX;

/// Blocks every signal in the calling thread until dropped.
pub(crate) struct Blocked(u64);

impl Blocked {
    /// Blocks them.
    pub(crate) fn new() -> Blocked {
        let mut before = 0u64;
        set_mask(SIGNALS, &mut before);
        Blocked(before)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        set_mask(self.0, &mut 0);
    }
}

fn set_mask(mask: u64, before: &mut u64) {
    let arguments =
        [libc::SIG_SETMASK as usize, &raw const mask as usize, std::ptr::from_mut(before) as usize, 8, 0, 0];
    // SAFETY: two 8-byte signal sets, alive for the call. It can't fail with these arguments.
    let _ = check(unsafe { raw::syscall(libc::SYS_rt_sigprocmask as usize, arguments) });
}

/// Gives SIGCHLD its default disposition, if it is ignored; a handler stays.
fn default_child_end() -> std::io::Result<()> {
    // The kernel's struct sigaction: handler, flags, restorer, mask. SIG_DFL is 0 and SIG_IGN is 1.
    let (mut before, default) = ([0usize; 4], [0usize; 4]);
    let signal = libc::SIGCHLD as usize;
    let ask = [signal, 0, before.as_mut_ptr() as usize, 8, 0, 0];
    // SAFETY: a struct sigaction to write to, alive for the call.
    check(unsafe { raw::syscall(libc::SYS_rt_sigaction as usize, ask) })?;
    if before[0] == libc::SIG_IGN {
        let set = [signal, default.as_ptr() as usize, 0, 8, 0, 0];
        // SAFETY: a whole struct sigaction, alive for the call; it names no handler.
        check(unsafe { raw::syscall(libc::SYS_rt_sigaction as usize, set) })?;
    }
    Ok(())
}

/// Sends a signal of any number to the process that `process` is open on (pidfd_send_signal(2)).
///
/// # Errors
/// As pidfd_send_signal(2): it has ended (ESRCH), or belongs to somebody else (EPERM).
pub fn send(process: BorrowedFd<'_>, number: i32) -> std::io::Result<()> {
    let arguments = [process.as_raw_fd() as usize, number as usize, 0, 0, 0, 0];
    // SAFETY: an open descriptor, a number, and no siginfo_t.
    check(unsafe { raw::syscall(libc::SYS_pidfd_send_signal as usize, arguments) })?;
    Ok(())
}

/// Ignores signal `number` in this process. Programs in a sandbox don't inherit that.
///
/// # Errors
/// It is no signal, or none that can be ignored (sigaction(2)).
pub fn ignore(number: i32) -> std::io::Result<()> {
    let ignored = [libc::SIG_IGN, 0, 0, 0];
    let arguments = [number as usize, ignored.as_ptr() as usize, 0, 8, 0, 0];
    // SAFETY: a whole struct sigaction, alive for the call; it names no handler.
    check(unsafe { raw::syscall(libc::SYS_rt_sigaction as usize, arguments) })?;
    Ok(())
}

/// One signal that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Its number.
    pub number: i32,
    /// Whether the kernel sent it, as a terminal does on Ctrl-C (`SI_KERNEL`, sigaction(2)).
    pub from_kernel: bool,
}

/// A descriptor that becomes readable when a signal arrives for this process.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks all of `numbers` in the calling thread, so that they arrive here and do nothing else. A SIGCHLD that the
    /// caller ignores is so no longer: without it no child could be waited for (wait(2)).
    ///
    /// Call it before any other thread starts: a thread that doesn't block them would take them.
    ///
    /// # Errors
    /// No descriptor is free (signalfd(2)).
    pub fn take(numbers: &[i32]) -> std::io::Result<Signals> {
        default_child_end()?;
        let mask = numbers.iter().fold(0u64, |mask, n| mask | 1 << (n - 1));
        let mut before = 0;
        set_mask(mask, &mut before);
        set_mask(before | mask, &mut 0);
        let flags = (libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) as usize;
        let arguments = [usize::MAX, &raw const mask as usize, 8, flags, 0, 0];
        // SAFETY: an 8-byte signal set, alive for the call.
        let descriptor = check(unsafe { raw::syscall(libc::SYS_signalfd4 as usize, arguments) })?;
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(Signals(unsafe { OwnedFd::from_raw_fd(descriptor as i32) }))
    }

    /// The next signal that has arrived, or `None` if there is none now.
    ///
    /// # Errors
    /// As read(2).
    pub fn next(&self) -> std::io::Result<Option<Arrived>> {
        // struct signalfd_siginfo: ssi_signo, ssi_errno, ssi_code are its first three 32-bit numbers.
        let mut info = [0u8; 128];
        match rustix::io::read(&self.0, &mut info) {
            Ok(_) => {
                let word = |at: usize| i32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
                Ok(Some(Arrived { number: word(0), from_kernel: word(8) == libc::SI_KERNEL }))
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
