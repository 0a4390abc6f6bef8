//! Limits that make no sense, that the machine can't bear, or that the caller may not set.

use super::{groups, resctrl};
use crate::host::Host;
use crate::model::limit::{Bytes, Resource, ResourceLimit};
use crate::plan::check::Found;
use crate::spec::Spec;
use crate::spec::limits::Limits;
use crate::spec::origins::Wish;
use rustix::io::Errno;

/// Every reason against the wished limits.
pub(in crate::plan) fn check(spec: &Spec, host: &Host, found: &mut Found) {
    if spec.limits == Limits::default() {
        return;
    }
    memory(spec, host, found);
    processes(spec, host, found);
    disks(spec, host, found);
    resources(spec, host, found);
    schedule(spec, host, found);
    resctrl::check(spec, found);
    found.0.extend(groups::places(spec, host).err().unwrap_or_default());
}

fn memory(spec: &Spec, host: &Host, found: &mut Found) {
    let (limits, there) = (&spec.limits, &host.limits);
    if let Some(memory) = limits.memory {
        let (shown, origin) = (Bytes(memory), spec.origins.of(Wish::Memory));
        if memory == 0 {
            found.add(origin, "cannot limit memory to 0: nothing could start", "--memory 64M");
        } else if memory > there.memory {
            let message = format!("cannot limit memory to {shown}: the machine has {}", Bytes(there.memory));
            found.add(origin, message, "leave it out; then nothing is limited");
        }
    }
    if let Some(swap) = limits.swap {
        let (shown, origin) = (Bytes(swap), spec.origins.of(Wish::Swap));
        if limits.memory.is_none() {
            let message = format!("cannot limit swap to {shown} without a limit of memory");
            found.add(origin, message, "add --memory SIZE");
        }
        if swap > there.swap {
            let message = format!("cannot limit swap to {shown}: the machine has {}", Bytes(there.swap));
            found.add(origin, message, "--swap 0 allows none");
        }
    }
}

fn processes(spec: &Spec, host: &Host, found: &mut Found) {
    let limits = &spec.limits;
    if let Some(count) = limits.pids {
        let most = host.limits.pids;
        let origin = spec.origins.of(Wish::Pids);
        if count == 0 {
            found.add(origin, "cannot limit processes to 0: the program is one", "--pids 1");
        } else if count > most {
            let message = format!("cannot limit processes to {count}: the machine has numbers for {most}");
            found.add(origin, message, "leave it out; then nothing is limited");
        }
    }
    if let Some(cpus) = limits.cpus {
        let (there, origin) = (host.limits.cpus.0.len(), spec.origins.of(Wish::Cpus));
        if cpus.0 < 10 {
            let message = format!("cannot limit CPU time to that of {cpus}: the kernel measures no less than 0.01 out");
            found.add(origin, message, "--cpus 0.5");
        } else if u64::from(cpus.0) > there as u64 * 1000 {
            let message = format!("cannot limit CPU time to that of {cpus}: the machine has {there}");
            found.add(origin, message, "leave it out; then nothing is limited");
        }
    }
}

fn disks(spec: &Spec, host: &Host, found: &mut Found) {
    let limits = &spec.limits;
    let device = |disk| host.limits.disks.iter().find(|(d, _)| d == disk).map(|(_, found)| *found);
    for (place, limit) in limits.io.iter().enumerate() {
        let (disk, origin) = (&limit.disk, spec.origins.of(Wish::Io(place)));
        match device(disk) {
            Some(Ok(number)) if limits.io[..place].iter().any(|other| device(&other.disk) == Some(Ok(number))) => {
                let message = format!("cannot limit disk {}:{} twice", number.0, number.1);
                found.add(origin, message, "give all its rates in one --io");
            }
            Some(Err(Errno::NOTBLK)) => {
                let message = format!("cannot limit {disk}: no disk of this machine is behind it");
                found.add(origin, message, "lsblk lists disks with MAJ:MIN");
            }
            Some(Err(errno)) => {
                let cause = crate::model::text::cause(&errno.into());
                found.add(origin, format!("cannot limit the disk of {disk}: {cause}"), "");
            }
            _ => {}
        }
        for (name, _) in limit.rates.named().iter().filter(|(_, rate)| *rate == 0) {
            found.add(origin, format!("cannot limit {name} of {disk} to 0: nothing would ever be done"), "");
        }
    }
}

/// Whether a hard limit is above the caller's own.
pub(super) fn exceeds(limit: &ResourceLimit, host: &Host) -> bool {
    let own = host.limits.hard.iter().find(|(resource, _)| *resource == limit.resource).and_then(|(_, hard)| *hard);
    own.is_some_and(|own| limit.hard.is_none_or(|hard| hard > own))
}

fn resources(spec: &Spec, host: &Host, found: &mut Found) {
    for (place, limit) in spec.limits.resources.iter().enumerate() {
        let (name, origin) = (limit.resource.name(), spec.origins.of(Wish::Resource(place)));
        let is_above = limit.hard.is_some_and(|hard| limit.soft.is_none_or(|soft| soft > hard));
        if is_above {
            found.add(origin, format!("cannot limit {name}: the soft limit is above the hard one"), "");
        }
        if exceeds(limit, host) && !host.limits.may_raise {
            let message = format!("cannot limit {name}: the hard limit is above the caller's own");
            let hint = format!("ulimit -H and prlimit --{name} show it; going beyond takes CAP_SYS_RESOURCE");
            found.add(origin, message, hint);
        }
        if limit.resource == Resource::OPEN_FILES {
            let most = host.limits.open_files;
            if limit.hard.is_none_or(|hard| hard > most) {
                let hint = "as root: sysctl -w fs.nr_open=NUMBER";
                found.add(origin, format!("cannot limit nofile: the machine allows {most} at most"), hint);
            }
        }
    }
}

fn schedule(spec: &Spec, host: &Host, found: &mut Found) {
    let (limits, there) = (&spec.limits, &host.limits);
    if limits.timeout.is_some_and(|time| time.is_zero()) {
        let origin = spec.origins.of(Wish::Timeout);
        found.add(origin, "cannot limit the time to 0: it would be over before it began", "--timeout 10s");
    }
    if let Some(nice) = limits.nice {
        let origin = spec.origins.of(Wish::Nice);
        if !(-20..=19).contains(&nice) {
            found.add(origin, format!("cannot set the niceness to {nice}: it goes from -20 to 19"), "");
        } else if nice < there.lowest_nice {
            let message =
                format!("cannot set the niceness to {nice}: the caller may take {} or more", there.lowest_nice);
            found.add(origin, message, "going below takes CAP_SYS_NICE");
        }
    }
    let first = spec.entry.as_ref().and_then(|entry| entry.first_cpus.as_ref());
    for cpus in limits.affinity.iter().chain(first) {
        let missing: Vec<String> =
            cpus.0.iter().filter(|cpu| !there.cpus.0.contains(cpu)).map(u32::to_string).collect();
        if !missing.is_empty() || cpus.0.is_empty() {
            let message = format!("cannot run on CPU {}: the machine has {}", missing.join(", "), there.cpus);
            found.add(spec.origins.of(Wish::Affinity), message, "");
        }
    }
    if let Some(score) = limits.oom_score {
        let (origin, lowest) = (spec.origins.of(Wish::OomScore), there.lowest_oom_score);
        if !(-1000..=1000).contains(&score) {
            let message = format!("cannot set the out-of-memory score to {score}: it goes from -1000 to 1000");
            found.add(origin, message, "");
        } else if score < lowest {
            let message =
                format!("cannot set the out-of-memory score to {score}: the caller may take {lowest} or more");
            found.add(origin, message, "going below takes CAP_SYS_RESOURCE");
        }
    }
}
