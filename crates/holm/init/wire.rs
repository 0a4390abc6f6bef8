//! The records on the socket between the caller, the set-up child and pid 1.
//!
//! | from           | record     | step        | value                 | meaning                                        |
//! |----------------|------------|-------------|-----------------------|------------------------------------------------|
//! | child          | `BORN`     | 0           | 0                     | it runs, in its control group of version 2     |
//! | child, pid 1   | `NEED`     | the step    | 0                     | it waits for the parent's steps                |
//! | parent         | `GO`       | 0           | 0                     | they are done                                  |
//! | child          | `MOVED`    | the step    | 0, carries a pidfd    | the process to wait for is another one         |
//! | pid 1          | `WENT_IN`  | 0           | pid for the parent    | the same, of the init itself                   |
//! | child          | `TERMINAL` | the step    | 0, carries a terminal | the controlling side of the new terminal       |
//! | child          | `TREE`     | the step    | 0, carries a tree     | it waits for other owners of a detached tree   |
//! | child          | `LISTENER` | the step    | 0, carries a listener | where the filter's notifications come from     |
//! | child, pid 1   | `FAILED`   | the step    | errno                 | the step failed; nothing more comes            |
//! | pid 1          | `STARTED`  | 0           | 0                     | the program runs (execve succeeded)            |
//! | pid 1          | `STOPPED`  | 0           | signal                | the program was stopped                        |
//! | pid 1          | `EXITED`   | 0           | wait status           | the program ended                              |
//! | pid 1          | `OVERTIME` | 0           | 0                     | the program's time is over; SIGTERM was sent   |
//! | pid 1          | `HELD`     | 0           | 0                     | it waits to be started                         |
//! | parent         | `SIGNAL`   | 1 = group   | signal                | send this signal to the program or its group   |
//!
//! One record is one packet of 12 bytes: kind, step, value, each a native 32-bit number. The end of the stream means to
//! pid 1 that its owner is gone, and to the parent that the child is. Held, the first process takes one `GO`, at its door if it
//! has one, answers `STARTED` when it is about to become the program, and the end of the stream means that it has; or it answers `FAILED`.

/// A record as it travels.
#[derive(Clone, Copy)]
pub(crate) struct Record {
    pub(crate) kind: u32,
    pub(crate) step: u32,
    pub(crate) value: i32,
}

pub(crate) const NEED: u32 = 1;
pub(crate) const GO: u32 = 2;
pub(crate) const MOVED: u32 = 3;
pub(crate) const TERMINAL: u32 = 4;
pub(crate) const FAILED: u32 = 5;
pub(crate) const STARTED: u32 = 6;
pub(crate) const STOPPED: u32 = 7;
pub(crate) const EXITED: u32 = 8;
pub(crate) const SIGNAL: u32 = 9;
pub(crate) const OVERTIME: u32 = 10;
pub(crate) const LISTENER: u32 = 11;
pub(crate) const HELD: u32 = 12;
pub(crate) const WENT_IN: u32 = 13;
pub(crate) const BORN: u32 = 14;
pub(crate) const TREE: u32 = 15;

/// The length of a record in bytes.
pub(crate) const LENGTH: usize = 12;

impl Record {
    pub(crate) fn new(kind: u32, step: u32, value: i32) -> Record {
        Record { kind, step, value }
    }

    pub(crate) fn to_bytes(self) -> [u8; LENGTH] {
        let (k, s, v) = (self.kind.to_ne_bytes(), self.step.to_ne_bytes(), self.value.to_ne_bytes());
        [k[0], k[1], k[2], k[3], s[0], s[1], s[2], s[3], v[0], v[1], v[2], v[3]]
    }

    pub(crate) fn from_bytes(b: [u8; LENGTH]) -> Record {
        Record {
            kind: u32::from_ne_bytes([b[0], b[1], b[2], b[3]]),
            step: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
            value: i32::from_ne_bytes([b[8], b[9], b[10], b[11]]),
        }
    }
}
