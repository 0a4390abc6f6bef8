//! Limits with what is used of them: those that are nearly reached will stop the next sandbox, or one of its programs.

use super::{Found, advice, finding, sysctl};
use crate::doctor::facts::{Facts, Gauge, Measure};
use crate::doctor::{Area, By, Deed, Finding, Reach, Remedy, Status};
use crate::model::limit::Resource;
use crate::model::namespace::Namespace;

/// A start takes a handful of descriptors and processes.
const ROOM: u64 = 16;

pub(super) fn judge(found: &mut Found<'_>) {
    let facts = found.facts;
    let (near, far): (Vec<&Gauge>, Vec<&Gauge>) =
        facts.gauges.iter().partition(|gauge| is_near(gauge) && !is_free(facts, gauge.name));
    for gauge in &near {
        found.add(nearly(facts, gauge));
    }
    if far.is_empty() {
        return;
    }
    let is_half = |gauge: &&&Gauge| gauge.most > 0 && gauge.used.is_some_and(|used| used > gauge.most / 2);
    let half: Vec<String> = far.iter().filter(is_half).map(|gauge| shown(gauge)).collect();
    let rest = if half.is_empty() && near.is_empty() { "all" } else { "all others" };
    let half: String = half.iter().map(|shown| format!("{shown}, ")).collect();
    let title = format!("limits: {half}{rest} below half, as far as use is seen");
    found.works("limits", Area::Limits, title, "");
}

/// Whether nine tenths are used, or less is left than a start takes. A limit of 0 has a finding of its own.
fn is_near(gauge: &Gauge) -> bool {
    let most = gauge.most;
    let used = match gauge.used {
        _ if most == 0 => return false,
        Some(used) => used,
        None => return gauge.name == Measure::Limit(Resource::OPEN_FILES) && most < 4 * ROOM,
    };
    let room = match gauge.name {
        Measure::Limit(resource) if resource == Resource::OPEN_FILES => 3 * ROOM,
        Measure::Limit(_) | Measure::Pids => ROOM,
        Measure::Namespaces(_) | Measure::Mounts | Measure::Keys | Measure::RootKeys => 1,
    };
    used.saturating_mul(10) >= most.saturating_mul(9) || most.saturating_sub(used) < room
}

/// Whether the limit doesn't hold for this caller: processes of root are not counted (setrlimit(2)).
fn is_free(facts: &Facts, name: Measure) -> bool {
    name == Measure::Limit(Resource::PROCESSES) && facts.caller.is_root_of_machine()
}

fn shown(gauge: &Gauge) -> String {
    let used = gauge.used.map(|used| format!(" ({used} of {})", gauge.most)).unwrap_or_default();
    format!("{}{used}", gauge.name.name())
}

fn nearly(facts: &Facts, gauge: &Gauge) -> Finding {
    let used = gauge.used.unwrap_or_default();
    let title = format!("{} is nearly reached", gauge.name.name());
    let check = match gauge.name {
        Measure::Namespaces(_) => "limit-namespaces",
        Measure::Pids => "limit-pids",
        Measure::Mounts => "limit-mounts",
        Measure::Keys | Measure::RootKeys => "limit-keys",
        Measure::Limit(_) => "limit-resources",
    };
    let mut fault = finding(check, Area::Limits, Status::Lost, title);
    fault.value = format!("{used} of {} are used", gauge.most);
    let (cause, lost) = match gauge.name {
        Measure::Namespaces(_) => (
            "namespaces count for the user who made them, in each user namespace above",
            "the next sandboxes; holm ls --kind of this one shows who holds them",
        ),
        Measure::Pids => {
            ("processes and threads of the whole machine have so many numbers", "new processes, of everybody")
        }
        Measure::Mounts => (
            "a mount namespace can have so many mounts, and a sandbox starts with those out here",
            "the next sandboxes; umount what isn't needed",
        ),
        Measure::Keys | Measure::RootKeys => {
            ("each sandbox has a session keyring, which counts for the user (keyrings(7))", "the next sandboxes")
        }
        Measure::Limit(Resource::PROCESSES) => (
            "processes and threads of this user, on the whole machine, count",
            "sandboxes with many binds, and new processes",
        ),
        Measure::Limit(_) => {
            ("a start needs some descriptors, and two for each bind", "sandboxes with many binds, and new processes")
        }
    };
    (fault.cause, fault.lost) = (cause.to_owned(), lost.to_owned());
    fault.remedies = match gauge.name {
        Measure::Limit(resource) => raise(facts, gauge, resource),
        _ => vec![more(gauge)],
    };
    fault
}

/// A higher value of a sysctl, the same from wherever it is asked for: never one that is lower than now.
pub(super) fn more(gauge: &Gauge) -> Remedy {
    const MEMORY: &str = "users may take more of the kernel's memory";
    // What is enough for most, the most that the kernel takes, and what gets weaker.
    let (enough, highest, weakens) = match gauge.name {
        Measure::Namespaces(Namespace::User) => (10_000, i32::MAX as u64, super::namespaces::LOCAL),
        Measure::Namespaces(_) => (10_000, i32::MAX as u64, MEMORY),
        Measure::Pids => (32_768, 1 << 22, ""),
        Measure::Keys | Measure::RootKeys => (2_000, i32::MAX as u64, MEMORY),
        Measure::Mounts | Measure::Limit(_) => (0, i32::MAX as u64, MEMORY),
    };
    let (name, to) = (gauge.name.name(), gauge.most.saturating_mul(2).max(enough).min(highest));
    match to > gauge.most {
        true => sysctl(&format!("sysctl -w {name}={to}"), weakens),
        false => {
            let text = format!(
                "{name} is as high as it gets here: raise that of a user namespace above, or end what holds them"
            );
            advice(text, By::Root, Reach::Machine, "")
        }
    }
}

/// The same for keys.
pub(super) fn more_keys(facts: &Facts) -> Remedy {
    match facts.gauges.iter().find(|gauge| matches!(gauge.name, Measure::Keys | Measure::RootKeys)) {
        Some(gauge) => more(gauge),
        None => {
            advice("raise kernel.keys.maxkeys, or root_maxkeys for root (keyrings(7))", By::Root, Reach::Machine, "")
        }
    }
}

/// A higher limit of getrlimit(2): for a shell as far as its user may, and by root for good.
fn raise(facts: &Facts, gauge: &Gauge, resource: Resource) -> Vec<Remedy> {
    let flag = if resource == Resource::PROCESSES { "-u" } else { "-n" };
    let name = resource.name();
    // Above fs.nr_open, most often this, no limit of open files can be set, and a user with such a line can't log in.
    let (most, hard) = (gauge.most, gauge.hard.unwrap_or(gauge.most));
    let to = most.saturating_mul(2).clamp(16_384, 1 << 20).max(most);
    let is_root = facts.caller.is_root_of_machine();
    let own = if is_root { to } else { to.min(hard) };
    let mut remedies = Vec::new();
    if own > most {
        // Without -S the hard limit becomes the same, and would be lower.
        let soft = if own > hard { "" } else { "-S " };
        let deeds = vec![Deed::Command(format!("ulimit {soft}{flag} {own}"))];
        remedies.push(Remedy { deeds, by: By::Caller, reach: Reach::Run, weakens: "" });
    }
    if to > most {
        let caller = &facts.caller;
        let user = caller.name.clone().unwrap_or_else(|| format!("{0}:{0}", caller.uid));
        let above = if to > hard { format!("{user} hard {name} {to}\n") } else { String::new() };
        let file = format!("/etc/security/limits.d/90-holm-{name}.conf");
        let deeds = vec![
            Deed::File(file, format!("{user} soft {name} {to}\n{above}")),
            Deed::Advice("log in again".to_owned()),
        ];
        let weakens = "the user may take more of the machine's memory";
        remedies.push(Remedy { deeds, by: By::Root, reach: Reach::User, weakens });
    }
    if remedies.is_empty() {
        remedies.push(advice("end what isn't needed: the limit is high", By::Caller, Reach::User, ""));
    }
    remedies
}
