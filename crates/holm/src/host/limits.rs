//! Facts that limits depend on: how much there is of what, what the caller may raise, and where control groups can be
//! made. Read only if a limit is wished.

use super::groups::Groups;
use crate::model::limit::{CpuList, Resource};
use crate::model::namespace::FIRST_USER;
use crate::spec::limits::{Disk, Limits};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use std::path::Path;

/// Major and minor number of a disk, or why there is none.
pub type Device = Result<(u32, u32), Errno>;

/// What there is of what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitFacts {
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of swap.
    pub swap: u64,
    /// How many processes and threads there can be (sysctl kernel.pid_max).
    pub pids: u64,
    /// How many files a process can have open at most (sysctl fs.nr_open).
    pub open_files: u64,
    /// The CPUs that are on.
    pub cpus: CpuList,
    /// The caller's hard limits of getrlimit(2); `None` is unlimited.
    pub hard: Vec<(Resource, Option<u64>)>,
    /// Whether the caller may raise those (CAP_SYS_RESOURCE in the first user namespace).
    pub may_raise: bool,
    /// The lowest niceness that the caller may take.
    pub lowest_nice: i32,
    /// The lowest score for the out-of-memory killer that the caller may take.
    pub lowest_oom_score: i32,
    /// The disks that the wish names, as the kernel's device numbers.
    pub disks: Vec<(Disk, Device)>,
    /// Where control groups can be made; looked for only if one is needed.
    pub groups: Groups,
}

impl LimitFacts {
    /// Reads what `limits` depend on.
    pub(crate) fn probe(limits: &Limits, privileged: bool) -> LimitFacts {
        let may_raise = has(CapabilitySet::SYS_RESOURCE);
        LimitFacts {
            memory: memory("MemTotal:"),
            swap: memory("SwapTotal:"),
            pids: number("/proc/sys/kernel/pid_max").unwrap_or(u64::MAX),
            open_files: number("/proc/sys/fs/nr_open").unwrap_or(u64::MAX),
            cpus: cpus(),
            hard: Resource::all().filter_map(|resource| Some((resource, hard(resource)?))).collect(),
            may_raise,
            lowest_nice: lowest_nice(),
            // Only the kernel knows how low who last had the right has left it; where nobody had, it is 0.
            lowest_oom_score: if may_raise { -1000 } else { number("/proc/self/oom_score_adj").unwrap_or(0).min(0) },
            disks: limits.io.iter().map(|limit| (limit.disk.clone(), disk(&limit.disk))).collect(),
            groups: if limits.need_group() { Groups::probe(privileged) } else { Groups::default() },
        }
    }
}

/// What a file holds, if it is a number.
pub(crate) fn number<T: std::str::FromStr>(path: &str) -> Option<T> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A line of /proc/meminfo, in bytes.
fn memory(line: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let amount = text.lines().find_map(|l| l.strip_prefix(line)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    amount.map_or(0, |kilobytes| kilobytes << 10)
}

/// Whether the caller is in the machine's first user namespace, where capabilities count for the machine itself.
pub fn in_first_user_namespace() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/user").is_ok_and(|found| found.ino() == FIRST_USER)
}

/// Whether the caller is root of the machine itself, not of a user namespace.
pub fn is_machines_root() -> bool {
    rustix::process::geteuid().is_root() && in_first_user_namespace()
}

/// Whether the caller has a capability that counts outside of new user namespaces.
fn has(capability: CapabilitySet) -> bool {
    in_first_user_namespace()
        && rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(capability))
}

fn cpus() -> CpuList {
    let listed = std::fs::read_to_string("/sys/devices/system/cpu/online").ok();
    let parsed = listed.and_then(|text| text.trim().parse().ok());
    parsed.unwrap_or_else(|| {
        let own = rustix::thread::sched_getaffinity(None).unwrap_or_default();
        CpuList((0..=crate::model::limit::LAST_CPU).filter(|&cpu| own.is_set(cpu as usize)).collect())
    })
}

/// A hard limit, with `None` inside for unlimited.
fn hard(resource: Resource) -> Option<Option<u64>> {
    let text = crate::sys::process::hard_limit(resource.number()).ok()?;
    Some((text != u64::MAX).then_some(text))
}

fn lowest_nice() -> i32 {
    if has(CapabilitySet::SYS_NICE) {
        return -20;
    }
    let own = rustix::process::getpriority_process(None).unwrap_or(0);
    // setpriority(2): RLIMIT_NICE is 20 less the niceness.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nice).current.unwrap_or(40);
    own.min(20 - limit.min(40) as i32)
}

/// The device number of a whole disk: the kernel limits no partitions, and what is on no disk has none (ENOTBLK).
fn disk(disk: &Disk) -> Device {
    let number = match disk {
        Disk::Number(major, minor) => (*major, *minor),
        Disk::Holding(path) => {
            let found = rustix::fs::stat(path)?;
            let is_device = rustix::fs::FileType::from_raw_mode(found.st_mode).is_block_device();
            let device = if is_device { found.st_rdev } else { found.st_dev };
            (rustix::fs::major(device), rustix::fs::minor(device))
        }
    };
    let entry = Path::new("/sys/dev/block").join(format!("{}:{}", number.0, number.1));
    let entry = std::fs::canonicalize(entry).map_err(|_| Errno::NOTBLK)?;
    if !entry.join("partition").exists() {
        return Ok(number);
    }
    let whole = entry.parent().map(|disk| disk.join("dev")).and_then(|file| std::fs::read_to_string(file).ok());
    let numbers = whole.as_deref().and_then(|text| text.trim().split_once(':'));
    let parsed = numbers.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    parsed.ok_or(Errno::NOTBLK)
}
