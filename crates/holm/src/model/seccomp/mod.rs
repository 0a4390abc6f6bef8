//! Filters on system calls (seccomp(2)): what they say, their compiled form, and what that answers.
//!
//! A [`Filter`] is a list of rules per call; [`Filter::compile`] makes the kernel's instructions of it; [`answer`] runs
//! those as the kernel does. The built-in policies are in [`policy`]; the crate's build script compiles them with this
//! same code, so that a start has nothing to compile.

mod compile;
mod interpret;
pub mod policy;

pub use compile::TooLong;
pub use interpret::{Call, answer};

use std::collections::BTreeMap;

/// `EPERM`, errno(3).
pub const EPERM: u16 = 1;
/// `ENOSYS`, errno(3).
pub const ENOSYS: u16 = 38;
/// `AUDIT_ARCH_X86_64`, the architecture of [`Call`]s that are looked at.
pub const ARCHITECTURE: u32 = 0xc000_003e;

/// What is done about a call (seccomp(2), "SECCOMP_RET_*").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is carried out.
    Allow,
    /// It is carried out and written to the kernel's log.
    Log,
    /// It fails with this errno.
    Errno(u16),
    /// The thread gets SIGSYS.
    Trap,
    /// A tracer is told, with this number.
    Trace(u16),
    /// Whoever has the filter's listener is asked (seccomp_unotify(2)).
    Notify,
    /// The thread is killed.
    KillThread,
    /// The process is killed.
    KillProcess,
}

impl Action {
    /// The kernel's number for it.
    pub const fn word(self) -> u32 {
        match self {
            Action::KillProcess => 0x8000_0000,
            Action::KillThread => 0,
            Action::Trap => 0x0003_0000,
            Action::Errno(errno) => 0x0005_0000 | errno as u32,
            Action::Trace(message) => 0x7ff0_0000 | message as u32,
            Action::Notify => 0x7fc0_0000,
            Action::Log => 0x7ffc_0000,
            Action::Allow => 0x7fff_0000,
        }
    }

    /// The action of a kernel's number; unknown ones kill, as in the kernel.
    pub const fn from_word(word: u32) -> Action {
        let data = word as u16;
        match word & 0xffff_0000 {
            0 => Action::KillThread,
            0x0003_0000 => Action::Trap,
            0x0005_0000 => Action::Errno(data),
            0x7ff0_0000 => Action::Trace(data),
            0x7fc0_0000 => Action::Notify,
            0x7ffc_0000 => Action::Log,
            0x7fff_0000 => Action::Allow,
            _ => Action::KillProcess,
        }
    }
}

/// How an argument is compared, as unsigned numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// It is the value.
    Equal,
    /// It isn't.
    NotEqual,
    /// It is less.
    Less,
    /// It is at most the value.
    LessOrEqual,
    /// It is more.
    Greater,
    /// It is at least the value.
    GreaterOrEqual,
}

/// A condition on one argument: `(argument & mask) comparison value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Which, from 0 to 5.
    pub argument: u8,
    /// Which of its bits count. The kernel takes many arguments as `int`: then the upper 32 bits must not.
    pub mask: u64,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub value: u64,
}

/// An action, if all conditions hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// None is always.
    pub conditions: Vec<Condition>,
    /// What is done.
    pub action: Action,
}

/// What is done about each call of x86-64. Other architectures' calls (i386, x32) kill the process, whatever it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Rules by number of the call; of each list the first that holds counts.
    pub calls: BTreeMap<u32, Vec<Rule>>,
    /// If none holds.
    pub otherwise: Action,
    /// From this number on a call fails with ENOSYS: whoever wrote the filter didn't know it.
    pub unknown_from: u32,
    /// How it is installed: `SECCOMP_FILTER_FLAG_LOG` and `_SPEC_ALLOW` of seccomp(2), or 0.
    pub flags: u32,
}

/// One instruction of a filter, `struct sock_filter` (linux/filter.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How many instructions are skipped if a comparison holds.
    pub if_true: u8,
    /// How many, if it doesn't.
    pub if_false: u8,
    /// Its number.
    pub value: u32,
}

impl Instruction {
    pub(crate) const LOAD: u16 = 0x20;
    const AND: u16 = 0x54;
    pub(crate) const JUMP: u16 = 0x05;
    pub(crate) const IF_EQUAL: u16 = 0x15;
    const IF_GREATER: u16 = 0x25;
    const IF_AT_LEAST: u16 = 0x35;
    pub(crate) const RETURN: u16 = 0x06;
}
