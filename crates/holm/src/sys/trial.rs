//! Trying what the kernel lets this process do: children by an ordinary fork, and system calls that do nothing.

use super::{check, raw};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, Result};
use rustix::process::{Resource, Rlimit, Signal, WaitId, WaitIdOptions, pidfd_send_signal, setrlimit, waitid};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(i32),
    /// It was killed when its time was over.
    Late,
}

/// Runs `attempt` in a copy of this process and tells how that ended, after `patience` at the latest. The copy ends with this
/// thread.
///
/// `attempt` may not allocate, take locks, print or panic: another thread may hold what it would wait for.
pub(crate) fn child(patience: Duration, attempt: &dyn Fn() -> u8) -> Result<End> {
    let mut pidfd = -1i32;
    let flags = (libc::CLONE_PIDFD | libc::SIGCHLD) as usize;
    // SAFETY: without CLONE_VM the child has a copy of this memory and goes on with its own copy of this stack; the kernel
    // writes one number to `pidfd`.
    match check(unsafe { raw::syscall(libc::SYS_clone as usize, [flags, 0, &raw mut pidfd as usize, 0, 0, 0]) })? {
        0 => {
            settle();
            super::clone::exit(attempt().into())
        }
        // SAFETY: the kernel has just put a new descriptor of ours there (CLONE_PIDFD).
        _ => wait(&unsafe { OwnedFd::from_raw_fd(pidfd) }, patience),
    }
}

/// Makes sure that this process leaves neither itself behind, when its parent is gone, nor its memory in a file.
pub(crate) fn settle() {
    // SAFETY: takes two numbers.
    let _ = check(unsafe {
        raw::syscall(libc::SYS_prctl as usize, [libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize, 0, 0, 0, 0])
    });
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Waits for a child, kills it when its time is over, and reaps it.
pub(crate) fn wait(child: &OwnedFd, patience: Duration) -> Result<End> {
    let late = !ends_within(child, patience)?;
    if late {
        let _ = pidfd_send_signal(child, Signal::KILL);
        // One that even SIGKILL doesn't end is left to the kernel.
        if !ends_within(child, Duration::from_millis(200))? {
            return Ok(End::Late);
        }
    }
    let ended = rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(child.as_fd()), WaitIdOptions::EXITED))?;
    let status = ended.ok_or(Errno::CHILD)?;
    Ok(match status.exit_status() {
        _ if late => End::Late,
        Some(code) => End::Code(code as u8),
        None => End::Signal(status.terminating_signal().unwrap_or(0)),
    })
}

fn ends_within(child: &OwnedFd, patience: Duration) -> Result<bool> {
    let end = Instant::now() + patience;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let time = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(child, PollFlags::IN)], Some(&time)) {
            Err(Errno::INTR) => {}
            done => return done.map(|ready| ready > 0),
        }
    }
}

/// A system call and arguments with which it fails, or does nothing, before it looks at anything.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call {
    number: i64,
    arguments: [usize; 6],
}

const NO_FILE: usize = -1isize as usize;
const NO_FLAGS: usize = 0x7fff_ffff;

/// The calls that can be tried, by name. Descriptors are no descriptors, addresses are null, flags are none that exist.
const CALLS: &[(&str, Call)] = &[
    ("clone3", call(libc::SYS_clone3, [0, 0, 0, 0, 0, 0])),
    ("unshare", call(libc::SYS_unshare, [0, 0, 0, 0, 0, 0])),
    ("setns", call(libc::SYS_setns, [NO_FILE, 0, 0, 0, 0, 0])),
    ("openat2", call(libc::SYS_openat2, [NO_FILE, 0, 0, 0, 0, 0])),
    ("mount", call(libc::SYS_mount, [0, 0, 0, 0, 0, 0])),
    ("umount2", call(libc::SYS_umount2, [0, NO_FLAGS, 0, 0, 0, 0])),
    ("pivot_root", call(libc::SYS_pivot_root, [0, 0, 0, 0, 0, 0])),
    ("open_tree", call(libc::SYS_open_tree, [NO_FILE, 0, NO_FLAGS, 0, 0, 0])),
    ("move_mount", call(libc::SYS_move_mount, [NO_FILE, 0, NO_FILE, 0, NO_FLAGS, 0])),
    ("fsopen", call(libc::SYS_fsopen, [0, NO_FLAGS, 0, 0, 0, 0])),
    ("fsconfig", call(libc::SYS_fsconfig, [NO_FILE, 0, 0, 0, 0, 0])),
    ("fsmount", call(libc::SYS_fsmount, [NO_FILE, NO_FLAGS, 0, 0, 0, 0])),
    ("mount_setattr", call(libc::SYS_mount_setattr, [NO_FILE, 0, NO_FLAGS, 0, 0, 0])),
    ("close_range", call(libc::SYS_close_range, [1, 0, 0, 0, 0, 0])),
    ("execveat", call(libc::SYS_execveat, [NO_FILE, 0, 0, 0, NO_FLAGS, 0])),
    ("memfd_create", call(libc::SYS_memfd_create, [0, NO_FLAGS, 0, 0, 0, 0])),
    ("pidfd_open", call(libc::SYS_pidfd_open, [NO_FILE, 0, 0, 0, 0, 0])),
    ("pidfd_send_signal", call(libc::SYS_pidfd_send_signal, [NO_FILE, 0, 0, 0, 0, 0])),
    ("seccomp", call(libc::SYS_seccomp, [NO_FLAGS, 0, 0, 0, 0, 0])),
    ("keyctl", call(libc::SYS_keyctl, [NO_FLAGS, 0, 0, 0, 0, 0])),
    ("landlock_create_ruleset", call(libc::SYS_landlock_create_ruleset, [0, 0, 1, 0, 0, 0])),
    ("process_vm_readv", call(libc::SYS_process_vm_readv, [0, 0, 0, 0, 0, 1])),
    ("name_to_handle_at", call(libc::SYS_name_to_handle_at, [NO_FILE, 0, 0, 0, NO_FLAGS, 0])),
    ("statmount", call(457, [0, 0, 0, 0, 0, 0])),
    ("listmount", call(458, [0, 0, 0, 0, 0, 0])),
];

const fn call(number: i64, arguments: [usize; 6]) -> Call {
    Call { number, arguments }
}

impl Call {
    /// The call of this name; `None` if it can't be tried.
    pub(crate) fn named(name: &str) -> Option<&'static Call> {
        CALLS.iter().find(|(known, _)| *known == name).map(|(_, call)| call)
    }

    /// The kernel's answer to these arguments, or a filter's.
    ///
    /// # Errors
    /// Most often one that says that the arguments make no sense, which is the kernel's own.
    pub(crate) fn make(&self) -> Result<usize> {
        // SAFETY: the arguments name no memory and no descriptor (the table above), so nothing is read, written or closed.
        check(unsafe { raw::syscall(self.number as usize, self.arguments) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_child_tells_how_it_ended() {
        assert_eq!(child(LONG, &|| 38), Ok(End::Code(38)));
        let kill = || {
            let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::TERM);
            0
        };
        assert_eq!(child(LONG, &kill), Ok(End::Signal(15)));
    }

    #[test]
    fn a_child_that_hangs_is_ended() {
        let hang = || loop {
            rustix::thread::sched_yield();
        };
        assert_eq!(child(Duration::from_millis(50), &hang), Ok(End::Late));
    }

    #[test]
    fn calls_with_such_arguments_do_nothing_and_are_known() {
        for (name, call) in CALLS {
            let answer = call.make();
            let missing = matches!(*name, "statmount" | "listmount");
            assert!(missing || !matches!(answer, Err(Errno::NOSYS)), "{name}: {answer:?}");
            assert!(
                answer.is_ok() == matches!(*name, "unshare" | "landlock_create_ruleset") || answer.is_err(),
                "{name}"
            );
        }
        assert!(Call::named("read").is_none());
    }
}
