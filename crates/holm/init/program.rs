//! The program: started as a child, or in the place of this one.
//!
//! The child uses its sleeping parent's stack, so all that it runs is inlined.

use crate::calls::*;
use crate::task::{Task, exit, fail, must, take_number};
use crate::{flags, label};

/// The kernel's `struct sigaction` with SIG_DFL.
pub(crate) static DEFAULT: [usize; 4] = [0; 4];

/// Starts the program and returns its pid, or reports and ends. The call returns after execve, so success is known.
pub(crate) fn start(task: &Task) -> isize {
    // A page that stays shared whether or not the child shares our memory: the child's errno, or 0, and its step.
    let page = must(task, MMAP, [0, 4096, 3, 0x21, usize::MAX, 0]) as *mut [i32; 2];
    if task.flags & flags::TERMINAL != 0 {
        must(task, SETSID, [0; 6]);
        must(task, IOCTL, [0, TIOCSCTTY, 0, 0, 0, 0]);
    }
    let own = task.flags & flags::OWN_MEMORY != 0;
    let shares = if own { 0 } else { 0x100 }; // CLONE_VM
    // CLONE_VFORK: we sleep until the child has left our stack by execve or exit.
    let pid = call(CLONE, [0x4000 | shares | SIGCHLD, 0, 0, 0, 0, 0]);
    if pid == 0 {
        become_program(task, page);
    }
    if pid < 0 {
        fail(task, task.own_step, -pid as i32);
    }
    // SAFETY: the page is mapped, and the child is done with it.
    let [errno, step] = unsafe { page.read_volatile() };
    if errno != 0 {
        fail(task, step as u32, errno);
    }
    pid
}

/// The child of `start`: never returns.
fn become_program(task: &Task, failure: *mut [i32; 2]) -> ! {
    let failed = match prepare(task).or_else(|| limit(task.limits)).or_else(|| label::label(task.labels)) {
        Some(failed) => failed,
        None => [execute(task), task.step as i32],
    };
    // SAFETY: the page of `start`, mapped and writable, shared with the parent.
    unsafe { failure.write_volatile(failed) };
    exit(127)
}

/// Makes a call; notes its errno if it fails.
#[inline(always)]
fn make(errno: &mut i32, number: usize, arguments: [usize; 6]) {
    if let failed @ -4095..0 = call(number, arguments) {
        *errno = -failed as i32;
    }
}

/// Takes session, terminal and signals apart from the init's; errno and step if that fails.
#[inline(always)]
fn prepare(task: &Task) -> Option<[i32; 2]> {
    let mut errno = 0;
    if task.flags & flags::TERMINAL != 0 {
        make(&mut errno, SETPGID, [0; 6]);
        let group = call(GETPID, [0; 6]) as i32;
        make(&mut errno, IOCTL, [0, TIOCSPGRP, &raw const group as usize, 0, 0, 0]);
    } else if task.flags & flags::NEW_SESSION != 0 {
        make(&mut errno, SETSID, [0; 6]);
    }
    plain_signals(task, errno)
}

/// Has every signal do what it does by default, and blocks none; errno, or that from before, and step if that fails.
#[inline(always)]
pub(crate) fn plain_signals(task: &Task, before: i32) -> Option<[i32; 2]> {
    let mut errno = before;
    for signal in (1..=64).filter(|signal| ![SIGKILL, SIGSTOP].contains(signal)) {
        make(&mut errno, SIGACTION, [signal, DEFAULT.as_ptr() as usize, 0, 8, 0, 0]);
    }
    let none = 0u64;
    make(&mut errno, SIGPROCMASK, [2, &raw const none as usize, 0, 8, 0, 0]);
    (errno != 0).then_some([errno, task.own_step as i32])
}

/// Tries the paths one by one; returns only if none can be executed, with the errno that says most.
#[inline(always)]
pub(crate) fn execute(task: &Task) -> i32 {
    let mut cause = ENOENT;
    for &path in task.paths {
        match -call(EXECVE, [path as usize, task.argv as usize, task.envp as usize, 0, 0, 0]) as i32 {
            ENOENT | ENOTDIR => {}
            EACCES => cause = EACCES,
            other => return other,
        }
    }
    cause
}

/// Sets the program's limits (prlimit(2)); errno and step of the first that fails.
#[inline(always)]
pub(crate) fn limit(mut text: *const u8) -> Option<[i32; 2]> {
    // SAFETY: an argument of this program, which ends with a NUL.
    while unsafe { *text } != 0 {
        let mut numbers = [0usize; 4];
        for number in &mut numbers {
            // SAFETY: as above; each number ends at the space behind it or at the NUL.
            *number = unsafe { take_number(&mut text) };
        }
        let [step, resource, soft, hard] = numbers;
        let limits = [soft, hard];
        let done = call(PRLIMIT64, [0, resource, limits.as_ptr() as usize, 0, 0, 0]);
        if done != 0 {
            return Some([-done as i32, step as i32]);
        }
    }
    None
}
