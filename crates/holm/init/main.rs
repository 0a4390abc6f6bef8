//! Pid 1 of a sandbox: starts the program as pid 2, reaps, forwards signals, and ends with its owner.
//!
//! It is a freestanding program of its own because the set-up child shares its caller's memory and must leave it: after
//! this exec nothing of the caller is left for the sandbox to find, in memory, in /proc/1/environ or behind
//! /proc/1/exe (the file is sealed and has no name). It holds no privilege that the program doesn't have.
//!
//! The first process of a detached sandbox becomes the program itself, once its owner says so. Or it has no owner and waits
//! at a door, a listening socket.
//!
//! Arguments: name; "CONTROL FLAGS STEP PROC COUNT TIME AWAIT INIT HELD DOOR" as decimal numbers (the time in milliseconds or
//! 0, the first step of the parent to wait for or 0, the step that is this program, a descriptor to keep or 0, and the door or
//! 0); "STEP RESOURCE SOFT HARD" for each limit of the program; a line "STEP FILE VALUE" for each label of it; COUNT paths to
//! try; the program's own arguments. The environment is the program's. Order: hide, get ready to reap, start the program
//! (STARTED or FAILED), close all that is the program's, then wait for children and for the owner's records (the table in
//! wire.rs).
#![no_std]
#![no_main]

mod bare;
mod calls;
mod flags;
mod label;
mod program;
mod raw;
mod task;
mod waiting;
mod watch;
#[expect(dead_code, reason = "the library uses the other kinds")]
mod wire;

use calls::{CLOSE_RANGE, FCNTL, PRCTL, SIGACTION, SIGCHLD, call};
use program::DEFAULT;
use task::{must, send};
use wire::Record;

core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {main}",
    "ud2",
    main = sym main,
);

extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: the kernel puts argc, argv, NULL, envp, NULL at the stack pointer of a new program (execve(2)).
    let task = unsafe { task::task(stack) };
    must(&task, PRCTL, [4, 0, 0, 0, 0, 0]); // PR_SET_DUMPABLE: nobody inside may trace us
    call(PRCTL, [15, c"holm-init".as_ptr() as usize, 0, 0, 0, 0]); // PR_SET_NAME
    must(&task, FCNTL, [task.control, 2, 1, 0, 0, 0]); // F_SETFD, FD_CLOEXEC
    for own in [task.held, task.door].into_iter().filter(|own| *own != 0) {
        must(&task, FCNTL, [own, 2, 1, 0, 0, 0]);
    }
    // A caller that ignores SIGCHLD hands that down even to cleared handlers (clone(2), CLONE_CLEAR_SIGHAND), and then no
    // end of a child would be told (wait(2)).
    must(&task, SIGACTION, [SIGCHLD, DEFAULT.as_ptr() as usize, 0, 8, 0, 0]);
    if task.flags & flags::GOES_IN != 0 {
        waiting::go_in(&task);
    }
    if task.flags & flags::FOREIGN_PIDS != 0 {
        must(&task, FCNTL, [task.proc, 2, 1, 0, 0, 0]);
        must(&task, PRCTL, [36, 1, 0, 0, 0, 0]); // PR_SET_CHILD_SUBREAPER
    }
    if task.awaited != 0 {
        waiting::wait_for_parent(&task);
    }
    if task.flags & flags::IN_PLACE != 0 {
        waiting::wait_to_become(task);
    }
    let signals = watch::children_signals(&task);
    let program = program::start(&task);
    send(&task, Record::new(wire::STARTED, 0, 0));
    call(CLOSE_RANGE, [0, task.control - 1, 0, 0, 0, 0]);
    watch::supervise(&task, program, signals)
}
