//! What the parent sets on the process inside while that waits: niceness, CPUs, scheduling, out-of-memory score, hard limits. The
//! parent has the right to; inside there is none.

use crate::model::limit::CpuList;
use crate::plan::limits::Limit;
use crate::sys::schedule::{SchedulerAttributes, set_io_priority, set_scheduler};
use rustix::io::{Errno, Result};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::os::fd::{AsFd, OwnedFd};

/// Does such a step to process `pid`; `proc` is the caller's /proc.
pub(crate) fn apply(limit: &Limit, proc: Option<&OwnedFd>, pid: i32) -> Result<()> {
    let process = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    match limit {
        Limit::Nice(nice) => rustix::process::setpriority_process(Some(process), *nice),
        Limit::AllCpus => {
            let mut all = CpuSet::new();
            (0..CpuSet::MAX_CPU).for_each(|cpu| all.set(cpu));
            sched_setaffinity(Some(process), &all)
        }
        Limit::Affinity(cpus) => run_on(process, cpus),
        Limit::Scheduler(wished) => set_scheduler(
            pid,
            SchedulerAttributes {
                size: 0,
                policy: wished.policy as u32,
                flags: wished.flags,
                nice: wished.nice,
                priority: wished.priority,
                runtime: wished.runtime,
                deadline: wished.deadline,
                period: wished.period,
            },
        ),
        Limit::IoPriority(wished) => set_io_priority(pid, wished.class as u8, wished.level),
        Limit::OomScore(score) => {
            let path = super::program::text(format!("{pid}/oom_score_adj").as_ref());
            super::place::write_at(proc.ok_or(Errno::BADF)?.as_fd(), &path, score.to_string().as_bytes())
        }
        Limit::Allow(limit) => {
            crate::sys::process::set_hard_limit(pid, limit.resource.number(), limit.hard.unwrap_or(u64::MAX))
        }
        _ => Err(Errno::NOSYS),
    }
}

fn run_on(process: Pid, cpus: &CpuList) -> Result<()> {
    let mut wished = CpuSet::new();
    cpus.0.iter().for_each(|&cpu| wished.set(cpu as usize));
    sched_setaffinity(Some(process), &wished)?;
    // A cpuset takes those away that it hasn't, and says nothing.
    if sched_getaffinity(Some(process))? == wished { Ok(()) } else { Err(Errno::INVAL) }
}
