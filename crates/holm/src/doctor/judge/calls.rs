//! System calls that a filter of an outer container refuses, or that the kernel lacks.

use super::namespaces::said;
use super::{EVERYTHING, Found, finding, outside};
use crate::doctor::facts::{Container, Facts, Outcome, Try};
use crate::doctor::needs::{CALLS, Need, Use};
use crate::doctor::{Area, Finding, Remedy, Status};
use crate::model::remedy;
use rustix::io::Errno;

pub(super) fn judge(found: &mut Found<'_>) {
    let facts = found.facts;
    let failed: Vec<&Need> = CALLS.iter().filter(|need| facts.of(Try::Call(need.name)).fails()).collect();
    let (old, refused): (Vec<&Need>, Vec<&Need>) = failed.into_iter().partition(|need| is_older(facts, need));
    for needed in [Status::Fatal, Status::Lost, Status::Absent] {
        let those: Vec<&Need> = refused.iter().copied().filter(|need| status(facts, need) == Some(needed)).collect();
        match needed {
            _ if those.is_empty() => {}
            Status::Fatal => found.block(filtered(facts, needed, &those)),
            _ => found.add(filtered(facts, needed, &those)),
        }
    }
    for need in old {
        missing(found, need);
    }
    if refused.is_empty() && CALLS.iter().any(|need| facts.of(Try::Call(need.name)).works()) {
        let value = if facts.security.filtered { "a filter is in force, and refuses none of them" } else { "" };
        found.works("system-calls", Area::Calls, "system calls: all that holm makes are answered", value);
    }
}

/// Whether the kernel is too old for it, as far as its version tells.
pub(super) fn is_older(facts: &Facts, need: &Need) -> bool {
    facts.version() < need.since && matches!(facts.of(Try::Call(need.name)), Outcome::Refused(Errno::NOSYS))
}

/// How bad it is that it is refused; `None` where another finding tells.
fn status(facts: &Facts, need: &Need) -> Option<Status> {
    match need.used {
        Use::Every => Some(Status::Fatal),
        Use::Asked(_) if facts.kills_for(need.name) => Some(Status::Fatal),
        Use::Lost(_) => Some(Status::Lost),
        Use::Instead(_) if facts.kills_sight().contains(&need.name) => None,
        Use::Instead(_) | Use::Asked(_) => Some(Status::Absent),
    }
}

fn filtered(facts: &Facts, status: Status, needs: &[&Need]) -> Finding {
    let check = match status {
        Status::Fatal => "system-calls-needed",
        Status::Lost => "system-calls-lost",
        _ => "system-calls-missed",
    };
    let title = match status {
        Status::Fatal => "system calls are refused that every sandbox needs",
        Status::Lost => "system calls are refused that some of holm needs",
        _ => "system calls are refused that holm can do without",
    };
    let mut fault = finding(check, Area::Calls, status, title);
    let mut answers: Vec<(String, Vec<&str>)> = Vec::new();
    for need in needs {
        let answer = said(facts.of(Try::Call(need.name)));
        match answers.iter_mut().find(|(other, _)| *other == answer) {
            Some((_, those)) => those.push(need.name),
            None => answers.push((answer, vec![need.name])),
        }
    }
    let told: Vec<String> = answers.iter().map(|(answer, those)| format!("{answer} ({})", those.join(", "))).collect();
    fault.value = told.join("; ");
    fault.cause = match (facts.security.filtered, facts.container) {
        (true, Some(container)) => {
            format!("a filter of system calls (seccomp) of the container around ({})", container.name())
        }
        (true, None) => "a filter of system calls (seccomp) that this process was started with".to_owned(),
        (false, _) => "the kernel, or a module of it, refuses them; no filter is seen".to_owned(),
    };
    let mut lost: Vec<&str> =
        needs.iter().filter_map(|need| if let Use::Lost(what) = need.used { Some(what) } else { None }).collect();
    lost.dedup();
    fault.lost = if status == Status::Fatal { EVERYTHING.to_owned() } else { lost.join("; ") };
    fault.remedies = unfilter(facts);
    fault
}

/// Another filter for the container around.
pub(super) fn unfilter(facts: &Facts) -> Vec<Remedy> {
    const WEAKENS: &str = "every system call is answered in the container, also those that only attacks need";
    const OPTIONS: [(Container, &str); 6] = [
        (Container::Docker, "docker run --security-opt seccomp=unconfined"),
        (Container::Podman, "podman run --security-opt seccomp=unconfined"),
        (Container::Kubernetes, "securityContext: { seccompProfile: { type: Unconfined } }"),
        (Container::Nspawn, "systemd-nspawn --system-call-filter='@mount @sandbox'"),
        (Container::Holm, "holm run --allow-userns --seccomp none --proc full"),
        (
            Container::Other,
            "whoever starts the container or the service has to let these calls through: SystemCallFilter= of a unit, or its own filter",
        ),
    ];
    debug_assert!(OPTIONS[0].1.ends_with(remedy::DOCKER_FILTER));
    outside(facts.container, &OPTIONS, WEAKENS)
}

/// The kernel is too old for it.
fn missing(found: &mut Found<'_>, need: &Need) {
    let (major, minor) = need.since;
    let title = format!("{} is missing", need.name);
    match need.used {
        Use::Instead(instead) | Use::Asked(instead) => {
            found.absent(need.name, Area::Kernel, title, format!("it came with Linux {major}.{minor}; {instead}"));
        }
        Use::Lost(lost) => {
            let mut fault = finding(need.name, Area::Kernel, Status::Lost, title);
            fault.cause = format!("it came with Linux {major}.{minor}");
            fault.lost = lost.to_owned();
            fault.remedies = vec![super::kernel::newer((major, minor))];
            found.add(fault);
        }
        // The finding about the kernel's version says it.
        Use::Every => {}
    }
}
