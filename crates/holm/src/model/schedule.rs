//! When a process runs, where its memory is, and which machine it sees.

use super::limit::CpuList;
use std::fmt;

/// How the CPU is given to a process (sched(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchedulerPolicy {
    /// As usual.
    Other = 0,
    /// Real time, until it gives way.
    Fifo = 1,
    /// Real time, in turn.
    RoundRobin = 2,
    /// Long work.
    Batch = 3,
    /// When nobody else wants it.
    Idle = 5,
    /// By deadlines.
    Deadline = 6,
}

/// The scheduling of a process (sched_setattr(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheduler {
    /// How.
    pub policy: SchedulerPolicy,
    /// `SCHED_FLAG_*`, as bits.
    pub flags: u64,
    /// Niceness, for those policies that have one.
    pub nice: i32,
    /// Priority, for real time.
    pub priority: u32,
    /// Nanoseconds of each period, for deadlines.
    pub runtime: u64,
    /// Until when in it.
    pub deadline: u64,
    /// How long it is.
    pub period: u64,
}

impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scheduler { nice, priority, runtime, deadline, period, .. } = self;
        match self.policy {
            SchedulerPolicy::Other => write!(f, "as usual, niceness {nice}"),
            SchedulerPolicy::Batch => write!(f, "for long work, niceness {nice}"),
            SchedulerPolicy::Idle => f.write_str("when nobody else wants to run"),
            SchedulerPolicy::Fifo => write!(f, "in real time until it gives way, priority {priority}"),
            SchedulerPolicy::RoundRobin => write!(f, "in real time in turn, priority {priority}"),
            SchedulerPolicy::Deadline => {
                write!(f, "{runtime} ns of each {period} ns, within {deadline} ns")
            }
        }
    }
}

/// Whose turn it is at the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoClass {
    /// Before everybody.
    RealTime = 1,
    /// As usual.
    BestEffort = 2,
    /// When nobody else wants it.
    Idle = 3,
}

/// The priority of a process at the disk (ioprio_set(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoPriority {
    /// Its class.
    pub class: IoClass,
    /// From 0, the first, to 7.
    pub level: u8,
}

impl fmt::Display for IoPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self.class {
            IoClass::RealTime => "real time",
            IoClass::BestEffort => "best effort",
            IoClass::Idle => "idle",
        };
        write!(f, "{class}, {}", self.level)
    }
}

/// Which machine a program sees (personality(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personality {
    /// This one.
    Linux = 0,
    /// One of 32 bits.
    Linux32 = 8,
}

/// On which nodes a process gets memory (set_mempolicy(2)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPolicy {
    /// `MPOL_*`, with `MPOL_F_*` as bits.
    pub mode: u32,
    /// The nodes.
    pub nodes: CpuList,
}

impl MemoryPolicy {
    /// The nodes as bits.
    pub(crate) fn bits(&self) -> Vec<u64> {
        let mut bits = vec![0; self.nodes.0.iter().max().map_or(0, |last| *last as usize / 64 + 1)];
        self.nodes.0.iter().for_each(|node| bits[*node as usize / 64] |= 1u64 << (node % 64));
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_bits() {
        let bits = |nodes: &[u32]| MemoryPolicy { mode: 2, nodes: CpuList(nodes.to_vec()) }.bits();
        assert_eq!(bits(&[0, 3]), [0b1001]);
        assert_eq!(bits(&[64]), [0, 1]);
        assert!(bits(&[]).is_empty());
    }
}
