//! What the arguments say, and what is told to the owner.

use crate::calls::{CLOCK_GETTIME, EXIT_GROUP, SENDTO, call};
use crate::wire::{self, Record};

/// Arguments before the paths: the name, the numbers, limits and labels.
const FIXED: usize = 4;

/// What the arguments said.
pub(crate) struct Task {
    pub(crate) control: usize,
    pub(crate) flags: u32,
    pub(crate) step: u32,
    pub(crate) proc: usize,
    /// The parent's step to wait for, or 0.
    pub(crate) awaited: u32,
    /// The step that starts this program.
    pub(crate) own_step: u32,
    /// A descriptor that stays open until the end, or 0.
    pub(crate) held: usize,
    /// Where to wait to be started, or 0.
    pub(crate) door: usize,
    /// When the program's time is over, on the clock of `now`; 0 is never.
    pub(crate) deadline: usize,
    /// The program's limits, as text.
    pub(crate) limits: *const u8,
    /// Its labels, as text; read once.
    pub(crate) labels: *mut u8,
    pub(crate) paths: &'static [*const u8],
    pub(crate) argv: *const *const u8,
    pub(crate) envp: *const *const u8,
}

/// # Safety
/// `stack` is the initial stack pointer of this program.
pub(crate) unsafe fn task(stack: *const usize) -> Task {
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

/// The number that `text` begins with; `text` then begins behind the space after it.
///
/// # Safety
/// `text` ends with a NUL.
pub(crate) unsafe fn take_number(text: &mut *const u8) -> usize {
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
pub(crate) fn now() -> usize {
    let mut time = [0usize; 2];
    call(CLOCK_GETTIME, [1, time.as_mut_ptr() as usize, 0, 0, 0, 0]); // CLOCK_MONOTONIC
    time[0] * 1000 + time[1] / 1_000_000
}

/// Makes a call on which the set-up stands: without it the program isn't started.
pub(crate) fn must(task: &Task, number: usize, arguments: [usize; 6]) -> isize {
    match call(number, arguments) {
        errno @ -4095..0 => fail(task, task.own_step, -errno as i32),
        done => done,
    }
}

/// Reports that a step failed, and ends.
pub(crate) fn fail(task: &Task, step: u32, errno: i32) -> ! {
    send(task, Record::new(wire::FAILED, step, errno));
    exit(125)
}

pub(crate) fn send(task: &Task, record: Record) {
    let bytes = record.to_bytes();
    // MSG_NOSIGNAL
    call(SENDTO, [task.control, bytes.as_ptr() as usize, wire::LENGTH, 0x4000, 0, 0]);
}

pub(crate) fn exit(code: usize) -> ! {
    loop {
        call(EXIT_GROUP, [code, 0, 0, 0, 0, 0]);
    }
}
