//! When the program runs, where its memory is, and which machine it sees: `process.scheduler`, `process.ioPriority`,
//! `linux.personality`, `linux.memoryPolicy`.

use super::Lowering;
use holm::model::schedule::{IoClass, IoPriority, MemoryPolicy, Personality, Scheduler, SchedulerPolicy};
use oci_spec::runtime::{
    IOPriorityClass, Linux, LinuxMemoryPolicy, LinuxPersonality, LinuxPersonalityDomain, LinuxSchedulerFlag,
    LinuxSchedulerPolicy, MemoryPolicyFlagType, MemoryPolicyModeType, Process,
};

impl Lowering<'_> {
    pub(super) fn schedule(&mut self, process: &Process) {
        if let Some(wished) = process.scheduler() {
            if wished.nice().is_some_and(|nice| nice != 0) && !has_nice(*wished.policy()) {
                // As sched_setattr(2) has it.
                self.warnings.push(format!("process.scheduler.nice means nothing for {}", wished.policy()));
            }
            match scheduler(wished) {
                Ok(scheduler) => self.spec.limits.scheduler = Some(scheduler),
                Err(cause) => self.refuse("process.scheduler", format!("cannot schedule the program: {cause}")),
            }
        }
        if let Some(wished) = process.io_priority() {
            let class = match wished.class() {
                IOPriorityClass::IoprioClassRt => IoClass::RealTime,
                IOPriorityClass::IoprioClassBe => IoClass::BestEffort,
                IOPriorityClass::IoprioClassIdle => IoClass::Idle,
            };
            match u8::try_from(wished.priority()).ok().filter(|level| *level <= 7) {
                Some(level) => self.spec.limits.io_priority = Some(IoPriority { class, level }),
                None => {
                    let message =
                        format!("cannot set the priority {} at the disk: it goes from 0 to 7", wished.priority());
                    self.refuse("process.ioPriority", message);
                }
            }
        }
    }

    pub(super) fn machine(&mut self, linux: &Linux) {
        if let Some(wished) = linux.personality() {
            if wished.flags().as_ref().is_some_and(|flags| !flags.is_empty()) {
                self.refuse(
                    "linux.personality.flags",
                    "cannot set flags of the personality: the specification has none",
                );
            }
            self.spec.personality = Some(personality(wished));
        }
        if let Some(wished) = linux.memory_policy() {
            match memory_policy(wished) {
                Ok(policy) => self.spec.limits.memory_policy = Some(policy),
                Err(cause) => self.refuse("linux.memoryPolicy", format!("cannot place memory: {cause}")),
            }
        }
    }
}

/// The machine that a container sees.
pub fn personality(wished: &LinuxPersonality) -> Personality {
    match wished.domain() {
        LinuxPersonalityDomain::PerLinux => Personality::Linux,
        LinuxPersonalityDomain::PerLinux32 => Personality::Linux32,
    }
}

/// Whether the niceness counts where this policy is.
fn has_nice(policy: LinuxSchedulerPolicy) -> bool {
    matches!(policy, LinuxSchedulerPolicy::SchedOther | LinuxSchedulerPolicy::SchedBatch)
}

fn scheduler(wished: &oci_spec::runtime::Scheduler) -> Result<Scheduler, &'static str> {
    let policy = match wished.policy() {
        LinuxSchedulerPolicy::SchedOther => SchedulerPolicy::Other,
        LinuxSchedulerPolicy::SchedFifo => SchedulerPolicy::Fifo,
        LinuxSchedulerPolicy::SchedRr => SchedulerPolicy::RoundRobin,
        LinuxSchedulerPolicy::SchedBatch => SchedulerPolicy::Batch,
        LinuxSchedulerPolicy::SchedIdle => SchedulerPolicy::Idle,
        LinuxSchedulerPolicy::SchedDeadline => SchedulerPolicy::Deadline,
        LinuxSchedulerPolicy::SchedIso => return Err("the kernel has no SCHED_ISO"),
    };
    let mut flags = 0;
    for flag in wished.flags().iter().flatten() {
        flags |= match flag {
            LinuxSchedulerFlag::SchedResetOnFork => 1,
            LinuxSchedulerFlag::SchedFlagReclaim => 2,
            LinuxSchedulerFlag::SchedFlagDLOverrun => 4,
            LinuxSchedulerFlag::SchedFlagKeepPolicy => 8,
            LinuxSchedulerFlag::SchedFlagKeepParams => 16,
            LinuxSchedulerFlag::SchedFlagUtilClampMin | LinuxSchedulerFlag::SchedFlagUtilClampMax => {
                return Err("the specification has no values for clamps of utilization");
            }
        };
    }
    let nice = wished.nice().filter(|_| has_nice(*wished.policy())).unwrap_or(0);
    if !(-20..=19).contains(&nice) {
        return Err("the niceness goes from -20 to 19");
    }
    let priority = wished.priority().unwrap_or(0);
    let real_time = matches!(policy, SchedulerPolicy::Fifo | SchedulerPolicy::RoundRobin);
    if !(0..=99).contains(&priority) || priority != 0 && !real_time {
        return Err("the priority goes from 0 to 99, and is of SCHED_FIFO and SCHED_RR");
    }
    let [runtime, deadline, period] =
        [wished.runtime(), wished.deadline(), wished.period()].map(|time| time.unwrap_or(0));
    if policy != SchedulerPolicy::Deadline && [runtime, deadline, period] != [0; 3] {
        return Err("runtime, deadline and period are of SCHED_DEADLINE");
    }
    Ok(Scheduler { policy, flags, nice, priority: priority.unsigned_abs(), runtime, deadline, period })
}

fn memory_policy(wished: &LinuxMemoryPolicy) -> Result<MemoryPolicy, String> {
    let mode = match wished.mode() {
        MemoryPolicyModeType::MpolDefault => 0,
        MemoryPolicyModeType::MpolPreferred => 1,
        MemoryPolicyModeType::MpolBind => 2,
        MemoryPolicyModeType::MpolInterleave => 3,
        MemoryPolicyModeType::MpolLocal => 4,
        MemoryPolicyModeType::MpolPreferredMany => 5,
        MemoryPolicyModeType::MpolWeightedInterleave => 6,
    };
    let flag = |flag: &MemoryPolicyFlagType| match flag {
        MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
        MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
        MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
    };
    let mode = wished.flags().iter().flatten().map(flag).fold(mode, std::ops::BitOr::bitor);
    let nodes = wished.nodes().as_deref().filter(|nodes| !nodes.is_empty());
    let nodes = nodes.map_or(Ok(Default::default()), str::parse)?;
    Ok(MemoryPolicy { mode, nodes })
}
