//! What comes behind the program's start: its end, that of all others, and what the owner wants.

use crate::calls::*;
use crate::flags;
use crate::task::{Task, exit, must, now, send};
use crate::wire::{self, Record};

/// A descriptor that tells of children (signalfd(2)), above all that are the program's. SIGCHLD is blocked since the clone.
pub(crate) fn children_signals(task: &Task) -> usize {
    let child = 1u64 << (SIGCHLD - 1);
    let lowest = must(task, SIGNALFD4, [usize::MAX, &raw const child as usize, 8, 0o2004000, 0, 0]);
    must(task, FCNTL, [lowest as usize, 1030, task.control + 1, 0, 0, 0]) as usize // F_DUPFD_CLOEXEC
}

/// Waits for children and for the owner until the sandbox is over.
pub(crate) fn supervise(task: &Task, program: isize, signals: usize) -> ! {
    let mut alive = true;
    let mut deadline = task.deadline;
    loop {
        // struct pollfd: fd, then events (POLLIN) and revents.
        let mut wanted = [task.control as u64 | 1 << 32, signals as u64 | 1 << 32];
        // Longer than poll(2) can wait, it is asked again.
        let left = if deadline == 0 { usize::MAX } else { deadline.saturating_sub(now()).min(i32::MAX as usize) };
        call(POLL, [wanted.as_mut_ptr() as usize, 2, left, 0, 0, 0]);
        if deadline != 0 && now() >= deadline {
            deadline = overtime(task, program, alive, deadline);
        }
        if wanted[0] >> 48 != 0 {
            obey(task, program, alive);
        }
        if wanted[1] >> 48 != 0 {
            let mut info = [0u8; 128];
            call(READ, [signals, info.as_mut_ptr() as usize, 128, 0, 0, 0]);
            reap(task, program, &mut alive);
        }
    }
}

/// The time is over: asks the program to end, and the next time ends it with all others. Returns that next time.
fn overtime(task: &Task, program: isize, alive: bool, deadline: usize) -> usize {
    let is_first = deadline == task.deadline;
    if is_first {
        send(task, Record::new(wire::OVERTIME, 0, 0));
    }
    if !alive || !is_first {
        finish(task);
    }
    for signal in [SIGTERM, SIGCONT] {
        call(KILL, [program as usize, signal, 0, 0, 0, 0]);
    }
    deadline.saturating_add(flags::GRACE_MILLISECONDS as usize)
}

/// Takes one record from the owner; its end is ours.
fn obey(task: &Task, program: isize, alive: bool) {
    let mut bytes = [0u8; wire::LENGTH];
    let got = call(RECVFROM, [task.control, bytes.as_mut_ptr() as usize, wire::LENGTH, 0x40, 0, 0]);
    if got == EINTR || got == -11 {
        return;
    }
    if got != wire::LENGTH as isize {
        finish(task);
    }
    let record = Record::from_bytes(bytes);
    if record.kind == wire::SIGNAL && alive {
        let whom = if record.step == 1 { -program } else { program };
        call(KILL, [whom as usize, record.value as usize, 0, 0, 0, 0]);
    }
}

/// Collects every child that changed state.
fn reap(task: &Task, program: isize, alive: &mut bool) {
    loop {
        let mut status = 0i32;
        // WNOHANG | WUNTRACED | __WALL
        let pid = call(WAIT4, [usize::MAX, &raw mut status as usize, 0x4000_0003, 0, 0, 0]);
        let stopped = status & 0xff == 0x7f;
        // Once the program has ended, its number may be another child's.
        let of_program = pid == program && *alive;
        if of_program && stopped {
            send(task, Record::new(wire::STOPPED, 0, status >> 8 & 0xff));
        } else if of_program {
            *alive = false;
            send(task, Record::new(wire::EXITED, 0, status));
            if task.flags & flags::WAIT_ALL == 0 {
                finish(task);
            }
        } else if pid == 0 {
            return;
        } else if pid < 0 && pid != EINTR {
            if !*alive {
                finish(task);
            }
            return;
        }
    }
}

/// Ends the sandbox: with pid 1 of a pid namespace the kernel kills all others; elsewhere we do.
fn finish(task: &Task) -> ! {
    if task.flags & flags::FOREIGN_PIDS != 0 {
        while call(WAIT4, [usize::MAX, 0, 0x4000_0001, 0, 0, 0]) != -10 {
            kill_children(task.proc);
            let pause = [0u64, 1_000_000];
            call(35, [pause.as_ptr() as usize, 0, 0, 0, 0, 0]); // nanosleep
        }
    }
    exit(0)
}

/// Kills each direct child by a handle, so that neither a reused pid nor the numbers of another namespace matter.
fn kill_children(proc: usize) {
    let list = call(OPENAT, [proc, c"thread-self/children".as_ptr() as usize, 0x80000, 0, 0, 0]);
    let mut text = [0u8; 4096];
    let length = call(READ, [list as usize, text.as_mut_ptr() as usize, 4095, 0, 0, 0]);
    call(CLOSE, [list as usize, 0, 0, 0, 0, 0]);
    let mut start = 0;
    for end in 0..length.max(0) as usize {
        if text[end] == b' ' {
            text[end] = 0;
            let child = call(OPENAT, [proc, text[start..].as_ptr() as usize, 0x90000, 0, 0, 0]);
            for signal in [SIGKILL, SIGCONT] {
                call(PIDFD_SEND_SIGNAL, [child as usize, signal, 0, 0, 0, 0]);
            }
            call(CLOSE, [child as usize, 0, 0, 0, 0, 0]);
            start = end + 1;
        }
    }
}
