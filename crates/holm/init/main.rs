//! Pid 1 of a sandbox: starts the program as pid 2, reaps, forwards signals, and ends with its owner.
//!
//! It is a freestanding program of its own because the set-up child shares its caller's memory and must leave it: after
//! this exec nothing of the caller is left for the sandbox to find, in memory, in /proc/1/environ or behind
//! /proc/1/exe (the file is sealed and has no name). It holds no privilege that the program doesn't have.
//!
//! The first process of a detached sandbox becomes the program itself, once its owner says so. Or it has no owner and waits at a
//! door, a listening socket.
//!
//! Arguments: name; "CONTROL FLAGS STEP PROC COUNT TIME AWAIT INIT HELD DOOR" as decimal numbers, the time in milliseconds or 0, the
//! first step of the parent to wait for or 0, the step that is this program, and a descriptor to keep or 0, and the door or 0; "STEP RESOURCE SOFT HARD" for each limit of
//! the program; a line "STEP FILE VALUE" for each label of it; COUNT paths to try; the program's own arguments. The environment is the program's. Order: hide, get ready to
//! reap, start the program (STARTED or FAILED), close all that is the program's, then wait for children and for the owner's
//! records (the table in wire.rs).
#![no_std]
#![no_main]

mod flags;
mod raw;
#[expect(dead_code, reason = "the library uses the other kinds")]
mod wire;


use wire::Record;

const READ: usize = 0;
const WRITE: usize = 1;
const CLOSE: usize = 3;
const POLL: usize = 7;
const MMAP: usize = 9;
const SIGACTION: usize = 13;
const SIGPROCMASK: usize = 14;
const IOCTL: usize = 16;
const GETPID: usize = 39;
const SENDTO: usize = 44;
const RECVFROM: usize = 45;
const CLONE: usize = 56;
const EXECVE: usize = 59;
const WAIT4: usize = 61;
const KILL: usize = 62;
const FCNTL: usize = 72;
const SETPGID: usize = 109;
const SETSID: usize = 112;
const FSTATFS: usize = 138;
const PRCTL: usize = 157;
const CLOCK_GETTIME: usize = 228;
const EXIT_GROUP: usize = 231;
const OPENAT: usize = 257;
const ACCEPT4: usize = 288;
const SIGNALFD4: usize = 289;
const PRLIMIT64: usize = 302;
const PIDFD_SEND_SIGNAL: usize = 424;
const CLOSE_RANGE: usize = 436;
const OPENAT2: usize = 437;

const SIGKILL: usize = 9;
const SIGTERM: usize = 15;
const SIGCHLD: usize = 17;
const SIGCONT: usize = 18;
const SIGSTOP: usize = 19;
const ENOENT: i32 = 2;
const EIO: i32 = 5;
const ESTALE: i32 = 116;
const EINTR: isize = -4;
const ECONNABORTED: isize = -103;
const EACCES: i32 = 13;
const ENOTDIR: i32 = 20;
const TIOCSCTTY: usize = 0x540e;
const TIOCSPGRP: usize = 0x5410;
/// The kernel's `struct sigaction` with SIG_DFL.
static DEFAULT: [usize; 4] = [0; 4];

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

/// Arguments before the paths: the name, the numbers, limits and labels.
const FIXED: usize = 4;

/// What the arguments said.
struct Task {
    control: usize,
    flags: u32,
    step: u32,
    proc: usize,
    /// The parent's step to wait for, or 0.
    awaited: u32,
    /// The step that starts this program.
    own_step: u32,
    /// A descriptor that stays open until the end, or 0.
    held: usize,
    /// Where to wait to be started, or 0.
    door: usize,
    /// When the program's time is over, on the clock of `now`; 0 is never.
    deadline: usize,
    /// The program's limits, as text.
    limits: *const u8,
    /// Its labels, as text; read once.
    labels: *mut u8,
    paths: &'static [*const u8],
    argv: *const *const u8,
    envp: *const *const u8,
}

extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: the kernel puts argc, argv, NULL, envp, NULL at the stack pointer of a new program (execve(2)).
    let task = unsafe { task(stack) };
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
        go_in(&task);
    }
    if task.flags & flags::FOREIGN_PIDS != 0 {
        must(&task, FCNTL, [task.proc, 2, 1, 0, 0, 0]);
        must(&task, PRCTL, [36, 1, 0, 0, 0, 0]); // PR_SET_CHILD_SUBREAPER
    }
    if task.awaited != 0 {
        wait_for_parent(&task);
    }
    if task.flags & flags::IN_PLACE != 0 {
        wait_to_become(task);
    }
    let signals = children_signals(&task);
    let program = start(&task);
    send(&task, Record::new(wire::STARTED, 0, 0));
    call(CLOSE_RANGE, [0, task.control - 1, 0, 0, 0, 0]);
    supervise(&task, program, signals)
}

/// # Safety
/// `stack` is the initial stack pointer of this program.
unsafe fn task(stack: *const usize) -> Task {
    // SAFETY: as the caller says; the library passes ten numbers, two texts, as many paths as the fifth number says, and what
    // the program is called. Who starts this file without them (a link to /proc/self/exe can) gets nothing of it.
    unsafe {
        let argc = *stack;
        let argv = stack.add(1).cast::<*const u8>();
        let mut numbers = [0usize; 10];
        if argc > FIXED {
            let mut text = *argv.add(1);
            for number in &mut numbers {
                *number = take_number(&mut text);
            }
        }
        if argc <= FIXED || numbers[4] >= argc - FIXED {
            exit(125);
        }
        Task {
            control: numbers[0],
            flags: numbers[1] as u32,
            step: numbers[2] as u32,
            proc: numbers[3],
            awaited: numbers[6] as u32,
            own_step: numbers[7] as u32,
            held: numbers[8],
            door: numbers[9],
            deadline: if numbers[5] == 0 { 0 } else { now().saturating_add(numbers[5]) },
            limits: *argv.add(2),
            labels: (*argv.add(3)).cast_mut(),
            paths: core::slice::from_raw_parts(argv.add(FIXED), numbers[4]),
            argv: argv.add(FIXED + numbers[4]),
            envp: argv.add(argc + 1),
        }
    }
}

/// A descriptor that tells of children (signalfd(2)), above all that are the program's. SIGCHLD is blocked since the clone.
fn children_signals(task: &Task) -> usize {
    let child = 1u64 << (SIGCHLD - 1);
    let lowest = must(task, SIGNALFD4, [usize::MAX, &raw const child as usize, 8, 0o2004000, 0, 0]);
    must(task, FCNTL, [lowest as usize, 1030, task.control + 1, 0, 0, 0]) as usize // F_DUPFD_CLOEXEC
}

/// Goes on in a process of its own, with its own memory, in the pid namespace that was entered: a child of the parent's.
fn go_in(task: &Task) {
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
fn wait_for_parent(task: &Task) {
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
fn wait_to_become(mut task: Task) -> ! {
    must(&task, SETSID, [0; 6]);
    if task.flags & flags::TERMINAL != 0 {
        must(&task, IOCTL, [0, TIOCSCTTY, 0, 0, 0, 0]);
    }
    // It holds from the next execve on, which is the program's; what is wrong with it is told to who makes it.
    if let Some([errno, step]) = label(task.labels) {
        fail(&task, step as u32, errno);
    }
    send(&task, Record::new(wire::HELD, 0, 0));
    if !hears_go(task.control) {
        exit(125);
    }
    if task.door != 0 {
        task.control = answer(task.door, task.control);
    }
    send(&task, Record::new(wire::STARTED, 0, 0));
    if let Some([errno, step]) = plain_signals(&task, 0).or_else(|| limit(task.limits)) {
        fail(&task, step as u32, errno);
    }
    let errno = execute(&task);
    fail(&task, task.step, errno)
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

/// The number that `text` begins with; `text` then begins behind the space after it.
///
/// # Safety
/// `text` ends with a NUL.
unsafe fn take_number(text: &mut *const u8) -> usize {
    let mut number = 0usize;
    // SAFETY: as the caller says; nothing behind the NUL is read.
    unsafe {
        while (**text).is_ascii_digit() {
            number = number * 10 + (**text - b'0') as usize;
            *text = text.add(1);
        }
        *text = text.add((**text != 0) as usize);
    }
    number
}

/// Milliseconds on a clock that is never set.
fn now() -> usize {
    let mut time = [0usize; 2];
    call(CLOCK_GETTIME, [1, time.as_mut_ptr() as usize, 0, 0, 0, 0]); // CLOCK_MONOTONIC
    time[0] * 1000 + time[1] / 1_000_000
}

/// Makes a call on which the set-up stands: without it the program isn't started.
fn must(task: &Task, number: usize, arguments: [usize; 6]) -> isize {
    match call(number, arguments) {
        errno @ -4095..0 => fail(task, task.own_step, -errno as i32),
        done => done,
    }
}

/// Reports that a step failed, and ends.
fn fail(task: &Task, step: u32, errno: i32) -> ! {
    send(task, Record::new(wire::FAILED, step, errno));
    exit(125)
}

/// Starts the program and returns its pid, or reports and ends. The call returns after execve, so success is known.
fn start(task: &Task) -> isize {
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
    let failed = match prepare(task).or_else(|| limit(task.limits)).or_else(|| label(task.labels)) {
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
fn plain_signals(task: &Task, before: i32) -> Option<[i32; 2]> {
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
fn execute(task: &Task) -> i32 {
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
fn limit(mut text: *const u8) -> Option<[i32; 2]> {
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

/// Writes the program's labels; errno and step of the first that fails.
#[inline(always)]
fn label(mut text: *mut u8) -> Option<[i32; 2]> {
    // SAFETY: an argument of this program, which ends with a NUL; it is cut here and not read again.
    while unsafe { *text } != 0 {
        // SAFETY: as above; each line is a number, a path without spaces, and a value that a line feed ends.
        let (step, file, value, length) = unsafe {
            let mut rest = text.cast_const();
            let step = take_number(&mut rest);
            text = rest.cast_mut();
            let (file, _) = cut(&mut text, b' ');
            let (value, length) = cut(&mut text, b'\n');
            (step, file, value, length)
        };
        let errno = write_label(file, value, length);
        if errno != 0 {
            return Some([errno, step as i32]);
        }
    }
    None
}

/// Ends what `text` begins with at the next `end`, by a NUL in its place; where it begins, and its length.
///
/// # Safety
/// `text` can be written, and has an `end` before its NUL.
#[inline(always)]
unsafe fn cut(text: &mut *mut u8, end: u8) -> (usize, usize) {
    let first = *text;
    let mut length = 0;
    // SAFETY: as the caller says; nothing behind `end` is written.
    unsafe {
        while **text != end && **text != 0 {
            *text = text.add(1);
            length += 1;
        }
        if **text == end {
            **text = 0;
            *text = text.add(1);
        }
    }
    (first as usize, length)
}

/// Writes to a file of this thread's own below /proc; an errno, or 0. What is there is the root's affair, so it must be a proc,
/// and the way to the file must stay in it: then names are the kernel's, and the thread is this one.
#[inline(always)]
fn write_label(file: usize, value: usize, length: usize) -> i32 {
    const AT_FDCWD: usize = -100isize as usize;
    const PROC: usize = 0x9fa0;
    // O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    let proc = call(OPENAT, [AT_FDCWD, c"/proc".as_ptr() as usize, 0x2b_0000, 0, 0, 0]);
    let mut facts = [0usize; 15];
    if proc < 0 || call(FSTATFS, [proc as usize, facts.as_mut_ptr() as usize, 0, 0, 0, 0]) < 0 || facts[0] != PROC {
        return ESTALE;
    }
    // struct open_how: O_WRONLY | O_CLOEXEC; no mode; RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH.
    let how = [0x8_0001usize, 0, 0x0b];
    let opened = call(OPENAT2, [proc as usize, file, how.as_ptr() as usize, 24, 0, 0]);
    match -opened as i32 {
        ENOENT => return ESTALE,
        errno @ 1.. => return errno,
        _ => {}
    }
    match call(WRITE, [opened as usize, value, length, 0, 0, 0]) {
        errno @ -4095..0 => -errno as i32,
        done if done as usize == length => 0,
        _ => EIO,
    }
}

/// Waits for children and for the owner until the sandbox is over.
fn supervise(task: &Task, program: isize, signals: usize) -> ! {
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

fn send(task: &Task, record: Record) {
    let bytes = record.to_bytes();
    // MSG_NOSIGNAL
    call(SENDTO, [task.control, bytes.as_ptr() as usize, wire::LENGTH, 0x4000, 0, 0]);
}

fn exit(code: usize) -> ! {
    loop {
        call(EXIT_GROUP, [code, 0, 0, 0, 0, 0]);
    }
}

/// Always inlined: the child of `start` uses its sleeping parent's stack, so the clone may not return from a frame below.
#[inline(always)]
fn call(number: usize, arguments: [usize; 6]) -> isize {
    // SAFETY: every caller passes what its system call takes, with pointers to live locals, statics or the stack's top.
    unsafe { raw::syscall(number, arguments) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(125)
}

/// The compiler may call this for copies; nothing else is linked in.
///
/// # Safety
/// As C's memcpy.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: the caller gives two areas of `length` bytes that don't overlap.
    unsafe {
        core::arch::asm!("rep movsb", inout("rcx") length => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack));
    }
    to
}

/// The compiler may call this to clear memory; nothing else is linked in.
///
/// # Safety
/// As C's memset.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
    // SAFETY: the caller gives an area of `length` bytes.
    unsafe {
        core::arch::asm!("rep stosb", inout("rcx") length => _, inout("rdi") to => _, in("al") byte as u8, options(nostack));
    }
    to
}

/// Named by the unwind tables of `core`, never called: a panic here ends the process.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
