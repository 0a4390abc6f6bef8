//! What a step does about limits, in words; and what would help if the kernel refuses.

use super::resctrl::{self, Resctrl};
use crate::model::device::{DeviceRule, Verdict};
pub use crate::model::group::Version;
use crate::model::limit::{CpuList, ResourceLimit};
use crate::model::schedule::{IoPriority, Scheduler, SchedulerPolicy};
use rustix::io::Errno;
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What a step does about limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// Moves the caller's process out of its control group, to a new one just below.
    StandAside {
        /// The group.
        directory: PathBuf,
    },
    /// Enables controllers for the groups below one.
    Enable {
        /// The group.
        directory: PathBuf,
        /// Their names.
        controllers: Vec<&'static str>,
    },
    /// Makes a group for the sandbox.
    Make {
        /// Below which.
        directory: PathBuf,
        /// Of which version that is.
        version: Version,
    },
    /// Makes a group with a place of its own, which stays.
    MakeNamed {
        /// Where.
        directory: PathBuf,
        /// Of which version that is.
        version: Version,
        /// Controllers that the groups above it are to enable.
        controllers: Vec<String>,
    },
    /// Writes a limit of the whole sandbox.
    Write {
        /// `memory to 512M`.
        what: String,
        /// Into which of the groups made, counted from 0.
        group: usize,
        /// Names of files there, and what is written, in order.
        files: Vec<(Cow<'static, str>, String)>,
    },
    /// Says which devices the whole sandbox may use.
    Devices {
        /// In which of the groups made, counted from 0; it is of version 2.
        group: usize,
        /// By these rules.
        rules: Vec<DeviceRule>,
    },
    /// Puts the process inside into all groups made.
    Enter,
    /// Does something about a group of resctrl.
    Resctrl {
        /// Where that is mounted.
        mounted: PathBuf,
        /// What.
        act: Resctrl,
    },
    /// Makes a cgroup namespace.
    View,
    /// Lets nobody inside make one.
    Lock,
    /// Sets the niceness.
    Nice(i32),
    /// Sets the CPUs to run on.
    Affinity(CpuList),
    /// Lets it run on all CPUs that its groups have, whatever the caller runs on.
    AllCpus,
    /// Sets the scheduling.
    Scheduler(Scheduler),
    /// Sets the priority at the disk.
    IoPriority(IoPriority),
    /// Sets the score for the out-of-memory killer.
    OomScore(i32),
    /// Lets the process inside go up to a hard limit that is above the caller's.
    Allow(ResourceLimit),
    /// Limits a resource for the program.
    Resource(ResourceLimit),
    /// Limits the time for which the program may run.
    Timeout(Duration),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |path: &PathBuf| {
            let mut text = String::new();
            // A string takes everything.
            let _ = crate::model::text::escape(path.as_os_str(), &mut text);
            text
        };
        match self {
            Limit::StandAside { directory } => write!(f, "move holm itself to a group below {}", shown(directory)),
            Limit::Enable { directory, controllers } => {
                write!(f, "enable {} for groups below {}", controllers.join(", "), shown(directory))
            }
            Limit::Make { directory, .. } => write!(f, "make a control group below {}", shown(directory)),
            Limit::MakeNamed { directory, .. } => write!(f, "make control group {}", shown(directory)),
            Limit::Write { what, .. } => write!(f, "limit {what}"),
            Limit::Devices { rules, .. } => {
                f.write_str("limit devices:")?;
                rules.iter().enumerate().try_for_each(|(place, rule)| {
                    let comma = if place == 0 { "" } else { "," };
                    let verb = if rule.verdict == Verdict::Allow { "allow" } else { "refuse" };
                    write!(f, "{comma} {verb} {rule}")
                })
            }
            Limit::Enter => f.write_str("put the process inside into its control group"),
            Limit::Resctrl { act, .. } => write!(f, "{act}"),
            Limit::View => f.write_str("make a new cgroup namespace"),
            Limit::Lock => f.write_str("refuse further cgroup namespaces inside"),
            Limit::Nice(nice) => write!(f, "set the niceness to {nice}"),
            Limit::AllCpus => f.write_str("run on all CPUs of its control groups"),
            Limit::Affinity(cpus) => write!(f, "run on CPU {cpus} only"),
            Limit::Scheduler(scheduler) => write!(f, "schedule it {scheduler}"),
            Limit::IoPriority(priority) => write!(f, "set its priority at the disk: {priority}"),
            Limit::OomScore(score) => write!(f, "set the out-of-memory score to {score}"),
            Limit::Allow(limit) => write!(f, "allow a hard limit above the caller's: {limit}"),
            Limit::Resource(limit) => write!(f, "limit the program's resource {limit}"),
            Limit::Timeout(time) => {
                let grace = seconds(crate::spec::limits::GRACE);
                write!(f, "limit the time to {}, with TERM, and KILL {grace} later", seconds(*time))
            }
        }
    }
}

/// A duration as `--timeout` takes it.
pub(super) fn seconds(time: Duration) -> String {
    match time.subsec_nanos() {
        0 => format!("{}s", time.as_secs()),
        _ if time.subsec_nanos().is_multiple_of(1_000_000) => format!("{}ms", time.as_millis()),
        _ => format!("{}ns", time.as_nanos()),
    }
}

/// What would help when such a step fails.
pub(in crate::plan) fn hint(limit: &Limit, errno: Errno) -> &'static str {
    match (limit, errno) {
        (Limit::Write { what, .. }, Errno::NOMEM | Errno::BUSY) if what.starts_with("memory") => {
            "it is too little to start anything in; try --memory 2M"
        }
        (Limit::Write { what, .. }, Errno::NOENT) if what.starts_with("swap") => {
            "this kernel doesn't account swap: boot it with swapaccount=1, or leave out --swap"
        }
        (Limit::Write { .. }, Errno::INVAL) => "an outer control group may allow less, or the device can't be limited",
        (Limit::Write { .. }, Errno::NOENT) => "the kernel lacks this limit; see ls of the group's directory",
        (Limit::Devices { .. }, Errno::PERM) => {
            "it takes CAP_SYS_ADMIN in the first user namespace, where devices can be made; leave linux.resources.devices out"
        }
        (Limit::Enter, Errno::ACCESS) => {
            "a user moves a process only below a group of the user's own that it is in already: systemd-run --user --scope -p Delegate=yes"
        }
        (Limit::Make { .. }, Errno::AGAIN) => "an outer group's cgroup.max.descendants or cgroup.max.depth is reached",
        (Limit::Resctrl { act, .. }, errno) => resctrl::hint(act, errno),
        (Limit::Lock, _) => {
            "/proc/sys must be writable here, or a program inside could raise its limits; an outer container may forbid it"
        }
        (Limit::Scheduler(Scheduler { policy: SchedulerPolicy::Deadline, .. }), Errno::PERM) => {
            "it takes CAP_SYS_NICE, and SCHED_DEADLINE all CPUs: process scheduler can't be used together with AllowedCPUs"
        }
        (Limit::Scheduler(_) | Limit::IoPriority(_), Errno::PERM) => "it takes CAP_SYS_NICE",
        (Limit::OomScore(_), Errno::ACCESS | Errno::PERM) => {
            "going below what was left to the caller takes CAP_SYS_RESOURCE"
        }
        (Limit::Affinity(_), Errno::INVAL) => {
            "a cpuset of an outer control group leaves it none of these CPUs, or not all"
        }
        _ => "",
    }
}
