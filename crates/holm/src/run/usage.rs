//! What a sandbox has used.

use crate::exec::cgroup::Groups;
use crate::sys::process::Used;
use std::time::Duration;

/// Who has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// The sandbox's control group: everything in it, together.
    Group,
    /// The init, for itself and what was waited for inside (getrusage(2)). Processes that the sandbox's end killed are
    /// missing, and memory is that of the largest one.
    Processes,
}

/// What a sandbox has used, from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Time that went by.
    pub wall: Duration,
    /// CPU time in programs.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// Who counted these two.
    pub time_by: Counted,
    /// The most bytes of memory at once.
    pub peak_memory: u64,
    /// Who counted them.
    pub memory_by: Counted,
    /// Bytes read from disks.
    pub read: u64,
    /// Bytes written to disks.
    pub written: u64,
    /// Who counted these two.
    pub io_by: Counted,
    /// How many processes the kernel killed for want of memory; `None` without a limit of memory, since nobody counts.
    pub killed_for_memory: Option<u64>,
}

impl Usage {
    pub(super) fn new(wall: Duration, own: Used, groups: &Groups) -> Usage {
        let counted = groups.usage();
        let by = |there: bool| if there { Counted::Group } else { Counted::Processes };
        Usage {
            wall,
            user: counted.user.unwrap_or(own.user),
            system: counted.system.unwrap_or(own.system),
            time_by: by(counted.user.is_some()),
            peak_memory: counted.memory.unwrap_or(own.memory),
            memory_by: by(counted.memory.is_some()),
            read: counted.read.unwrap_or(own.read),
            written: counted.written.unwrap_or(own.written),
            io_by: by(counted.read.is_some()),
            killed_for_memory: groups.killed_for_memory(),
        }
    }
}
