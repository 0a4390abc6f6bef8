//! Which limits need a control group, where each can be made, and what is written there.

use super::act::Version;
use crate::host::Host;
use crate::host::groups::{Groups, Members, Unified};
use crate::model::limit::Bytes;
use crate::model::remedy;
use crate::plan::check::{Blame, Reason};
use crate::spec::Spec;
use crate::spec::origins::Wish as From;
use std::path::PathBuf;

/// What the kernel calls a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Pids,
    Cpu,
    Io,
}

impl Controller {
    pub(super) fn is_memory(self) -> bool {
        self == Controller::Memory
    }

    pub(super) fn of_others(self) -> bool {
        self != Controller::Memory
    }

    fn name(self, version: Version) -> &'static str {
        match (self, version) {
            (Controller::Memory, _) => "memory",
            (Controller::Pids, _) => "pids",
            (Controller::Cpu, _) => "cpu",
            (Controller::Io, Version::One) => "blkio",
            (Controller::Io, Version::Two) => "io",
        }
    }
}

/// The length of the period in which CPU time is measured out, in microseconds; the kernel's default.
const PERIOD: u64 = 100_000;

/// What is wished of a controller.
enum Value {
    Memory(u64),
    Swap {
        memory: u64,
        swap: u64,
    },
    Pids(u64),
    /// Microseconds in each period.
    Cpu(u64),
    Io {
        device: (u32, u32),
        rates: Vec<(&'static str, u64)>,
    },
}

/// One limit of a group.
pub(super) struct Wish {
    pub(super) controller: Controller,
    /// `memory to 512M`.
    pub(super) what: String,
    pub(super) origin: String,
    value: Value,
}

impl Wish {
    /// What is written where, in order.
    pub(super) fn files(&self, version: Version) -> Vec<(&'static str, String)> {
        use Version::{One, Two};
        match (&self.value, version) {
            (Value::Memory(bytes), One) => vec![("memory.limit_in_bytes", bytes.to_string())],
            (Value::Memory(bytes), Two) => vec![("memory.max", bytes.to_string())],
            // Version 1 counts both together.
            (Value::Swap { memory, swap }, One) => {
                vec![("memory.memsw.limit_in_bytes", memory.saturating_add(*swap).to_string())]
            }
            (Value::Swap { swap, .. }, Two) => vec![("memory.swap.max", swap.to_string())],
            (Value::Pids(count), _) => vec![("pids.max", count.saturating_add(1).to_string())],
            (Value::Cpu(quota), One) => {
                vec![("cpu.cfs_period_us", PERIOD.to_string()), ("cpu.cfs_quota_us", quota.to_string())]
            }
            (Value::Cpu(quota), Two) => vec![("cpu.max", format!("{quota} {PERIOD}"))],
            (Value::Io { device: (major, minor), rates }, One) => {
                rates.iter().map(|(name, rate)| (throttle(name), format!("{major}:{minor} {rate}"))).collect()
            }
            (Value::Io { device: (major, minor), rates }, Two) => {
                let rates: Vec<String> = rates.iter().map(|(name, rate)| format!("{name}={rate}")).collect();
                vec![("io.max", format!("{major}:{minor} {}", rates.join(" ")))]
            }
        }
    }
}

impl Wish {
    /// Why, in a step of the plan.
    pub(super) fn why(&self, version: Version) -> &'static str {
        match (&self.value, version) {
            (Value::Memory(_), _) => "where it needs more, the kernel kills one of its processes",
            (Value::Swap { .. }, _) => "a limit of memory alone lets the rest go to swap",
            (Value::Pids(_), _) => "who multiplies without end stops here; the init is one more",
            (Value::Cpu(_), _) => "a part of each tenth of a second; for the rest of it the sandbox waits",
            (Value::Io { .. }, Version::One) => {
                "version 1 counts what goes to the disk directly; writes by way of the cache escape it"
            }
            (Value::Io { .. }, Version::Two) => "what is more waits",
        }
    }
}

/// The file of version 1 for a rate that version 2 calls `name`.
fn throttle(name: &str) -> &'static str {
    match name {
        "rbps" => "blkio.throttle.read_bps_device",
        "wbps" => "blkio.throttle.write_bps_device",
        "riops" => "blkio.throttle.read_iops_device",
        _ => "blkio.throttle.write_iops_device",
    }
}

/// The limits that need a group, in the order in which they are set.
pub(super) fn wishes(spec: &Spec, host: &Host) -> Vec<Wish> {
    let (limits, mut all) = (&spec.limits, Vec::new());
    let mut add = |controller, what, wish, value| {
        all.push(Wish { controller, what, origin: spec.origins.of(wish).to_owned(), value });
    };
    let bytes = |number| Bytes(number).to_string();
    if let Some(memory) = limits.memory {
        let what = format!("memory to {}", bytes(memory));
        add(Controller::Memory, what, From::Memory, Value::Memory(memory));
    }
    if let Some(swap) = limits.swap {
        let memory = limits.memory.unwrap_or(0);
        let what = format!("swap to {}", bytes(swap));
        add(Controller::Memory, what, From::Swap, Value::Swap { memory, swap });
    }
    if let Some(count) = limits.pids {
        let what = format!("processes and threads to {count}");
        add(Controller::Pids, what, From::Pids, Value::Pids(count));
    }
    if let Some(cpus) = limits.cpus {
        let quota = u64::from(cpus.0) * PERIOD / 1000;
        add(Controller::Cpu, format!("CPU time to that of {cpus}"), From::Cpus, Value::Cpu(quota));
    }
    for (place, limit) in limits.io.iter().enumerate() {
        let device = host.limits.disks.iter().find(|(disk, _)| *disk == limit.disk).and_then(|(_, found)| found.ok());
        let Some((major, minor)) = device else { continue };
        let value = Value::Io { device: (major, minor), rates: limit.rates.named() };
        let what = format!("disk {major}:{minor} to {}", limit.rates);
        add(Controller::Io, what, From::Io(place), value);
    }
    all
}

/// A group to be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Below which group.
    pub(super) directory: PathBuf,
    pub(super) version: Version,
    pub(super) controllers: Vec<Controller>,
    /// Controllers to be enabled for groups below.
    pub(super) enable: Vec<&'static str>,
    /// Whether the caller must leave that group first.
    pub(super) stand_aside: bool,
}

/// Where the groups are made. Controllers of version 1 are never in version 2, so each has its place.
///
/// # Errors
/// Why there is no place, for each limit.
pub(super) fn places(spec: &Spec, host: &Host) -> Result<Vec<Place>, Vec<Reason>> {
    let (groups, wishes) = (&host.limits.groups, wishes(spec, host));
    let (mut places, mut reasons, mut unified) = (Vec::<Place>::new(), Vec::new(), Vec::<&Wish>::new());
    for wish in &wishes {
        let name = wish.controller.name(Version::One);
        let Some(own) = groups.legacy.iter().find(|group| group.controllers.iter().any(|c| c == name)) else {
            unified.push(wish);
            continue;
        };
        if !own.writable {
            let cause = format!("control group {} is not the caller's to write", own.directory.display());
            reasons.push(reason(wish, &cause, &legacy_hint()));
            continue;
        }
        match places.iter_mut().find(|place| place.directory == own.directory) {
            Some(place) => place.controllers.push(wish.controller),
            None => places.push(Place {
                directory: own.directory.clone(),
                version: Version::One,
                controllers: vec![wish.controller],
                enable: Vec::new(),
                stand_aside: false,
            }),
        }
    }
    if !unified.is_empty() {
        match unified_place(groups, &unified) {
            Ok(place) => places.push(place),
            Err(more) => reasons.extend(more),
        }
    }
    if reasons.is_empty() { Ok(places) } else { Err(reasons) }
}

fn legacy_hint() -> String {
    format!(
        "run holm as root; version 1 of control groups can't be handed to users, version 2 can: boot with {}",
        remedy::UNIFIED
    )
}

fn delegate_hint() -> String {
    format!("{}, or run holm as root", remedy::DELEGATE)
}

fn reason(wish: &Wish, cause: &str, hint: &str) -> Reason {
    let message = format!("cannot limit {}: {cause}", wish.what);
    Reason { message, origin: wish.origin.clone(), hint: hint.to_owned(), blame: Blame::Machine }
}

/// The first group below which one for all these limits can be made.
fn unified_place(groups: &Groups, wishes: &[&Wish]) -> Result<Place, Vec<Reason>> {
    let mut needed: Vec<Controller> = wishes.iter().map(|wish| wish.controller).collect();
    needed.dedup();
    let names: Vec<&'static str> = needed.iter().map(|controller| controller.name(Version::Two)).collect();
    if let Some(group) = groups.unified.iter().find(|group| obstacle(group, &names).is_none()) {
        let missing = names.iter().filter(|name| !group.enabled.iter().any(|e| e == *name));
        let enable: Vec<&'static str> = missing.copied().collect();
        let stand_aside = !enable.is_empty() && !group.top && group.members == Members::Caller;
        let directory = group.directory.clone();
        return Ok(Place { directory, version: Version::Two, controllers: needed, enable, stand_aside });
    }
    let explain = |wish: &&Wish| {
        let name = wish.controller.name(Version::Two);
        // What stands in the way of this limit alone says more; else it is the company it is in.
        let blocked =
            |names: &[&'static str]| groups.unified.iter().map(|g| obstacle(g, names)).collect::<Option<Vec<_>>>();
        let obstacles = blocked(&[name]).or_else(|| blocked(&names)).unwrap_or_default();
        let (cause, hint) = obstacles.into_iter().next().unwrap_or_else(|| nowhere(name));
        reason(wish, &cause, &hint)
    };
    Err(wishes.iter().map(explain).collect())
}

fn nowhere(name: &str) -> (String, String) {
    let hint = format!("mount them: {}; some kernels need cgroup_enable=memory to boot with", remedy::MOUNT_GROUPS);
    (format!("no mounted hierarchy of control groups has the controller {name}"), hint)
}

/// Why no group with these controllers can be made below one; `None` if it can.
fn obstacle(group: &Unified, names: &[&'static str]) -> Option<(String, String)> {
    let shown = group.directory.display();
    let lacks = |list: &[String]| names.iter().copied().find(|name| !list.iter().any(|have| have == name));
    if group.top && lacks(&group.available).is_some() {
        return lacks(&group.available).map(nowhere);
    }
    if !group.writable {
        return Some((format!("control group {shown} is not the caller's to write"), delegate_hint()));
    }
    if let Some(name) = lacks(&group.available) {
        let hint = format!("as root: {}", remedy::delegate(name));
        return Some((format!("control group {shown} was not given the controller {name}"), hint));
    }
    if lacks(&group.enabled).is_some() && group.members == Members::Others && !group.top {
        let cause = format!("other processes are in control group {shown}, so it can't limit groups below");
        return Some((cause, delegate_hint()));
    }
    None
}
