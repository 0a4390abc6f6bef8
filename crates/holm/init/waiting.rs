//! What comes before the program: the way into a pid namespace, and waiting for the parent or at a door.

use crate::calls::*;
use crate::task::{Task, exit, fail, must, send};
use crate::wire::{self, Record};
use crate::{flags, label, program};

/// Goes on in a process of its own, with its own memory, in the pid namespace that was entered: a child of the parent's.
pub(crate) fn go_in(task: &Task) {
    const CLONE_PARENT: usize = 0x8000;
    let inside = call(CLONE, [CLONE_PARENT | SIGCHLD, 0, 0, 0, 0, 0]);
    if inside < 0 {
        // The step after the one that is this program.
        fail(task, task.own_step + 1, -inside as i32);
    }
    if inside > 0 {
        send(task, Record::new(wire::WENT_IN, 0, inside as i32));
        exit(0);
    }
}

/// Waits until the parent has done its last steps; without one it is all over.
pub(crate) fn wait_for_parent(task: &Task) {
    send(task, Record::new(wire::NEED, task.awaited, 0));
    if !hears_go(task.control) {
        exit(125);
    }
}

/// Whether the next record is `GO`.
fn hears_go(socket: usize) -> bool {
    let mut bytes = [0u8; wire::LENGTH];
    loop {
        let got = call(RECVFROM, [socket, bytes.as_mut_ptr() as usize, wire::LENGTH, 0, 0, 0]);
        if got != EINTR {
            return got == wire::LENGTH as isize && Record::from_bytes(bytes).kind == wire::GO;
        }
    }
}

/// Waits until the parent lets go, and somebody knocks where there is a door; then becomes the program.
///
/// The parent is left only once it has said that it knows of us: whoever waits here is written down somewhere.
pub(crate) fn wait_to_become(mut task: Task) -> ! {
    must(&task, SETSID, [0; 6]);
    if task.flags & flags::TERMINAL != 0 {
        must(&task, IOCTL, [0, TIOCSCTTY, 0, 0, 0, 0]);
    }
    // It holds from the next execve on, which is the program's; what is wrong with it is told to who makes it.
    if let Some([errno, step]) = label::label(task.labels) {
        fail(&task, step as u32, errno);
    }
    send(&task, Record::new(wire::HELD, 0, 0));
    if !hears_go(task.control) {
        exit(125);
    }
    if task.door != 0 {
        end_at_signals(&task);
        task.control = answer(task.door, task.control);
        // Whoever knocked is told that it runs, and it does.
        must(&task, SIGPROCMASK, [0, &raw const ENDING_SET as usize, 0, 8, 0, 0]); // SIG_BLOCK
    }
    send(&task, Record::new(wire::STARTED, 0, 0));
    if let Some([errno, step]) = program::plain_signals(&task, 0).or_else(|| program::limit(task.limits)) {
        fail(&task, step as u32, errno);
    }
    let errno = program::execute(&task);
    fail(&task, task.step, errno)
}

/// Signals at which who waits at a door ends, and what sigprocmask(2) takes for them.
const ENDING: [usize; 2] = [SIGINT, SIGTERM];
static ENDING_SET: u64 = 1 << (SIGINT - 1) | 1 << (SIGTERM - 1);

/// Has this process end at signals that ask it to. For the first one of a pid namespace the kernel drops what has no handler
/// (pid_namespaces(7)); execve(2) takes it away again.
fn end_at_signals(task: &Task) {
    // The kernel wants a restorer to be named, which would follow the handler's return.
    const RESTORER: usize = 0x0400_0000;
    let handler = ended as *const () as usize;
    let action = [handler, RESTORER, handler, 0];
    for signal in ENDING {
        must(task, SIGACTION, [signal, action.as_ptr() as usize, 0, 8, 0, 0]);
    }
    must(task, SIGPROCMASK, [1, &raw const ENDING_SET as usize, 0, 8, 0, 0]); // SIG_UNBLOCK
}

extern "C" fn ended(signal: i32) -> ! {
    exit(128 + signal as usize)
}

/// Leaves the parent; the socket of who knocks at the door.
fn answer(door: usize, parent: usize) -> usize {
    call(CLOSE, [parent, 0, 0, 0, 0, 0]);
    loop {
        let caller = call(ACCEPT4, [door, 0, 0, 0x80000, 0, 0]); // SOCK_CLOEXEC
        if caller >= 0 {
            if hears_go(caller as usize) {
                return caller as usize;
            }
            call(CLOSE, [caller as usize, 0, 0, 0, 0, 0]);
        } else if caller != EINTR && caller != ECONNABORTED {
            exit(125);
        }
    }
}
