//! How a process is scheduled, where its memory is, and which machine it sees: calls that rustix lacks.

use super::{check, raw};
use rustix::io::Result;

/// The kernel's `struct sched_attr`, first version (sched_setattr(2)).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SchedulerAttributes {
    pub(crate) size: u32,
    pub(crate) policy: u32,
    pub(crate) flags: u64,
    pub(crate) nice: i32,
    pub(crate) priority: u32,
    pub(crate) runtime: u64,
    pub(crate) deadline: u64,
    pub(crate) period: u64,
}

/// Sets the scheduling of another process.
pub(crate) fn set_scheduler(pid: i32, mut attributes: SchedulerAttributes) -> Result<()> {
    attributes.size = size_of::<SchedulerAttributes>() as u32;
    let arguments = [pid as usize, &raw const attributes as usize, 0, 0, 0, 0];
    // SAFETY: a struct that tells its size, alive for the call; the kernel only reads it.
    check(unsafe { raw::syscall(libc::SYS_sched_setattr as usize, arguments) }).map(drop)
}

/// Sets the priority of another process at the disk (ioprio_set(2)).
pub(crate) fn set_io_priority(pid: i32, class: u8, level: u8) -> Result<()> {
    const PROCESS: usize = 1;
    let priority = usize::from(class) << 13 | usize::from(level);
    // SAFETY: takes numbers.
    check(unsafe { raw::syscall(libc::SYS_ioprio_set as usize, [PROCESS, pid as usize, priority, 0, 0, 0]) }).map(drop)
}

/// Sets the execution domain of this process and all it starts (personality(2)).
pub(crate) fn set_personality(domain: u32) -> Result<()> {
    // SAFETY: takes a number.
    check(unsafe { raw::syscall(libc::SYS_personality as usize, [domain as usize, 0, 0, 0, 0, 0]) }).map(drop)
}

/// Says on which nodes this process and all it starts get memory; `nodes` is a set of bits (set_mempolicy(2)).
pub(crate) fn set_memory_policy(mode: u32, nodes: &[u64]) -> Result<()> {
    let (mask, most) = match nodes {
        [] => (0, 0),
        // The kernel takes one off.
        _ => (nodes.as_ptr() as usize, nodes.len() * 64 + 1),
    };
    // SAFETY: a set of as many bits as the number says, less one, alive for the call; the kernel only reads it.
    check(unsafe { raw::syscall(libc::SYS_set_mempolicy as usize, [mode as usize, mask, most, 0, 0, 0]) }).map(drop)
}
