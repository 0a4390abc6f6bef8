//! Wishes about what a sandbox may use. The default limits nothing: there are no hidden limits.
//!
//! Memory, swap, processes, CPU time and disk are limited for the sandbox as a whole, by a control group (cgroups(7)). The
//! rest holds for each process by itself, or ends the sandbox.
//!
//! ```
//! let mut spec = holm::Spec::new("make");
//! spec.limits.memory = Some(512 << 20);
//! spec.limits.pids = Some(64);
//! spec.limits.cpus = Some("1.5".parse()?);
//! spec.limits.timeout = Some(std::time::Duration::from_secs(600));
//! # Ok::<(), String>(())
//! ```

use crate::model::device::DeviceRule;
use crate::model::group::Version;
use crate::model::limit::{CpuList, Cpus, Rates, ResourceLimit};
use crate::model::schedule::{IoPriority, MemoryPolicy, Scheduler};
use std::path::PathBuf;
use std::time::Duration;

/// How long a program that is ended for its time limit may take to end after SIGTERM, before SIGKILL.
pub const GRACE: Duration = Duration::from_millis(crate::sys::init::flags::GRACE_MILLISECONDS);

/// What the sandbox may use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes of memory, files in memory (tmpfs) and the page cache included.
    pub memory: Option<u64>,
    /// Bytes of swap beside that; needs `memory`.
    pub swap: Option<u64>,
    /// Processes and threads, the sandbox's init not counted.
    pub pids: Option<u64>,
    /// CPU time.
    pub cpus: Option<Cpus>,
    /// Rates of disks.
    pub io: Vec<DiskLimit>,
    /// Limits of getrlimit(2), for each process; the last one of a resource counts.
    pub resources: Vec<ResourceLimit>,
    /// How long the program may run. It is sent SIGTERM then, and after [`GRACE`] the sandbox ends by SIGKILL.
    pub timeout: Option<Duration>,
    /// Niceness, from -20 to 19 (sched(7)).
    pub nice: Option<i32>,
    /// CPUs to run on (sched_setaffinity(2)).
    pub affinity: Option<CpuList>,
    /// Control groups with places of their own, which stay when the sandbox has ended.
    pub groups: Vec<NamedGroup>,
    /// Its group of resctrl.
    pub resctrl: Option<ResctrlGroup>,
    /// How the CPU is given to it, instead of a niceness.
    pub scheduler: Option<Scheduler>,
    /// Its priority at the disk.
    pub io_priority: Option<IoPriority>,
    /// On which nodes it gets memory.
    pub memory_policy: Option<MemoryPolicy>,
    /// How early the kernel kills it when memory runs out, from -1000 to 1000 (proc(5), `oom_score_adj`).
    pub oom_score: Option<i32>,
}

/// A control group that its maker names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedGroup {
    /// Its directory, made if it is missing with those above.
    pub directory: PathBuf,
    /// Of which version.
    pub version: Version,
    /// Names of its files, and what is written there, in order.
    pub files: Vec<(String, String)>,
    /// Which devices may be used in a group of version 2, which has no file for it; empty is as above it.
    pub devices: Vec<DeviceRule>,
}

/// A group of the file system resctrl, which shares out caches and memory bandwidth and counts their use
/// (Documentation/filesystems/resctrl.rst).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResctrlGroup {
    /// Where the file system is mounted.
    pub mounted: PathBuf,
    /// The group's name ([`unfit`](crate::model::resctrl::unfit)); `None` is the default group, in which everybody is at first.
    pub name: Option<String>,
    /// Whether it is there before.
    pub presence: Presence,
    /// Lines that are written into `schemata` of a group that is made; one that was there must say the same.
    pub agreed: Vec<String>,
    /// Lines that are written there in any case, after those.
    pub written: Vec<String>,
    /// The name of a group below it that counts what the sandbox uses by itself, and whether that is there before.
    pub monitored: Option<(String, Presence)>,
}

/// Whether a group is there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It must be.
    Needed,
    /// It is made if not.
    Allowed,
    /// It must not be.
    Refused,
}

impl ResctrlGroup {
    /// Its directory.
    pub fn directory(&self) -> PathBuf {
        crate::model::resctrl::directory(&self.mounted, self.name.as_deref())
    }
}

/// Rates of one disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskLimit {
    /// Which.
    pub disk: Disk,
    /// How much in a second.
    pub rates: Rates,
}

/// How a disk is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disk {
    /// The disk that holds what is at a path, or the one that a device file is.
    Holding(PathBuf),
    /// Major and minor number.
    Number(u32, u32),
}

impl Limits {
    /// Whether a control group is needed.
    pub fn need_group(&self) -> bool {
        let Limits { memory, swap, pids, cpus, io, groups, .. } = self;
        memory.is_some() || swap.is_some() || pids.is_some() || cpus.is_some() || !io.is_empty() || !groups.is_empty()
    }
}

impl std::fmt::Display for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Disk::Holding(path) => write!(f, "{}", path.display()),
            Disk::Number(major, minor) => write!(f, "{major}:{minor}"),
        }
    }
}

/// As `--io` takes it.
impl std::fmt::Display for DiskLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.disk, self.rates)
    }
}
