//! Limits with what is used of them: those that are nearly reached will stop the next sandbox, or one of its programs.

use super::{Found, finding, sysctl};
use crate::doctor::facts::{Facts, Gauge, Measure};
use crate::doctor::{Area, By, Deed, Finding, Reach, Remedy, Status};
use crate::model::limit::Resource;

/// A start takes a handful of descriptors and processes.
const ROOM: u64 = 16;

pub(super) fn judge(found: &mut Found<'_>) {
    let facts = found.facts;
    let mut told = Vec::new();
    for gauge in &facts.gauges {
        if is_near(gauge) && !is_free(facts, gauge.name) {
            found.add(near(gauge));
        } else if !told.contains(&shown(gauge)) {
            told.push(shown(gauge));
        }
    }
    if !told.is_empty() {
        found.works("limits", Area::Limits, format!("limits: {}", told.join(", ")), "");
    }
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
        Measure::Namespaces(_) | Measure::Mounts | Measure::Keys => 1,
    };
    used.saturating_mul(10) >= most.saturating_mul(9) || most.saturating_sub(used) < room
}

/// Whether the limit doesn't hold for this caller: processes of root are not counted (setrlimit(2)).
fn is_free(facts: &Facts, name: Measure) -> bool {
    name == Measure::Limit(Resource::PROCESSES) && facts.caller.privileged && facts.caller.in_first_user_namespace
}

/// The name of a measure, as sysctl(8) and ulimit know it.
fn name(measure: Measure) -> String {
    match measure {
        Measure::Namespaces(kind) => format!("user.max_{kind}_namespaces"),
        Measure::Pids => "kernel.pid_max".to_owned(),
        Measure::Mounts => "fs.mount-max".to_owned(),
        Measure::Keys => "kernel.keys.maxkeys".to_owned(),
        Measure::Limit(resource) => format!("RLIMIT_{}", resource.name().to_uppercase()),
    }
}

fn shown(gauge: &Gauge) -> String {
    let used = gauge.used.map(|used| format!("{used} of ")).unwrap_or_default();
    format!("{} {used}{}", name(gauge.name), gauge.most)
}

fn near(gauge: &Gauge) -> Finding {
    let used = gauge.used.unwrap_or_default();
    let check = match gauge.name {
        Measure::Namespaces(_) => "limit-namespaces",
        Measure::Pids => "limit-pids",
        Measure::Mounts => "limit-mounts",
        Measure::Keys => "limit-keys",
        Measure::Limit(_) => "limit-resources",
    };
    let mut fault = finding(check, Area::Limits, Status::Lost, format!("{} is nearly reached", name(gauge.name)));
    fault.value = format!("{used} of {} are used", gauge.most);
    let more = |command: &str| format!("sysctl -w {command}={}", gauge.most.saturating_mul(2));
    let (cause, lost, remedy) = match gauge.name {
        Measure::Namespaces(kind) => (
            "namespaces count for the user who made them, in each user namespace above",
            "the next sandboxes; holm ls --kind of this one shows who holds them",
            sysctl(&more(&format!("user.max_{kind}_namespaces")), "users may take more of the kernel's memory"),
        ),
        Measure::Pids => (
            "processes and threads of the whole machine have so many numbers",
            "new processes, of everybody",
            sysctl(&more("kernel.pid_max"), ""),
        ),
        Measure::Mounts => (
            "a mount namespace can have so many mounts, and a sandbox starts with those out here",
            "the next sandboxes; umount what isn't needed",
            sysctl(&more("fs.mount-max"), "users may take more of the kernel's memory"),
        ),
        Measure::Keys => (
            "each sandbox has a session keyring, which counts for the user (keyrings(7))",
            "the next sandboxes",
            sysctl("sysctl -w kernel.keys.maxkeys=2000", "users may take more of the kernel's memory"),
        ),
        Measure::Limit(resource) => (
            if resource == Resource::PROCESSES {
                "processes and threads of this user, on the whole machine, count"
            } else {
                "a start needs some descriptors, and two for each bind"
            },
            "sandboxes with many binds, and new processes",
            raise(resource),
        ),
    };
    (fault.cause, fault.lost, fault.remedies) = (cause.to_owned(), lost.to_owned(), vec![remedy]);
    fault
}

/// A higher limit of getrlimit(2) for this shell, or for good.
fn raise(resource: Resource) -> Remedy {
    let (flag, line) =
        if resource == Resource::PROCESSES { ("-u", "* soft nproc 16384") } else { ("-n", "* soft nofile 16384") };
    let shell = Deed::Command(format!("ulimit {flag} 16384"));
    let file = Deed::File("/etc/security/limits.d/90-holm.conf".to_owned(), format!("{line}\n"));
    Remedy { deeds: vec![shell, file], by: By::Caller, reach: Reach::User, weakens: "" }
}
