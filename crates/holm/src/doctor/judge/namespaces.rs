//! Namespaces: each kind, all together, nested.

use super::{EVERYTHING, Found, advice, as_root, finding, outside, sysctl};
use crate::doctor::facts::{Container, Facts, Gauge, Measure, Outcome, Try};
use crate::doctor::{Area, By, Deed, Finding, Reach, Remedy, Status};
use crate::model::namespace::Namespace;
use crate::model::remedy;
use rustix::io::Errno;

pub(super) const LOCAL: &str = "any user may make user namespaces, and so reach more of the kernel";

pub(super) fn judge(found: &mut Found<'_>) {
    let facts = found.facts;
    let user = facts.of(Try::Namespace(Namespace::User));
    if user.fails() {
        return found.block(no_users(facts, user));
    }
    let others = || Namespace::ALL.into_iter().filter(|&kind| kind != Namespace::User);
    let refused: Vec<Namespace> = others().filter(|&kind| facts.of(Try::Namespace(kind)).fails()).collect();
    let all_denied = others().all(|kind| facts.of(Try::Namespace(kind)).is(Errno::PERM));
    if all_denied {
        return found.block(no_rights(facts));
    }
    for &kind in &refused {
        match kind {
            // Clocks are shifted only if it is wished.
            Namespace::Time => found.add(no_kind(facts, kind)),
            _ => found.block(no_kind(facts, kind)),
        }
    }
    if refused.is_empty() {
        works(found);
    }
    if facts.of(Try::Nested).fails() {
        found.add(no_nesting(facts));
    }
    if facts.of(Try::Offsets).fails() && !refused.contains(&Namespace::Time) && facts.sight.unreadable.is_none() {
        let mut lost = finding("time-offsets", Area::Namespaces, Status::Lost, "clocks can't be shifted");
        lost.value = said(facts.of(Try::Offsets));
        lost.cause = "/proc/self/timens_offsets can't be written: an outer container guards its /proc".to_owned();
        lost.lost = "holm run --time-offset".to_owned();
        lost.remedies = super::mounts::uncover(facts);
        found.add(lost);
    }
}

/// How an outcome is told.
pub(super) fn said(outcome: Outcome) -> String {
    match outcome {
        Outcome::Works => "works".to_owned(),
        Outcome::Refused(errno) => crate::model::text::cause(&errno.into()),
        Outcome::Killed(signal) if signal == libc::SIGSYS => "killed by a filter (SIGSYS)".to_owned(),
        Outcome::Killed(signal) => format!("killed by signal {signal}"),
        Outcome::Hung => "no answer".to_owned(),
        Outcome::Untried => "not tried".to_owned(),
    }
}

fn works(found: &mut Found<'_>) {
    let facts = found.facts;
    let names: Vec<&str> = Namespace::ALL.iter().map(|kind| kind.name()).collect();
    let nested = if facts.of(Try::Nested).works() { ", and nested" } else { "" };
    match facts.of(Try::Together) {
        Outcome::Works => {
            found.works(
                "namespaces",
                Area::Namespaces,
                format!("namespaces: {}; together{nested}", names.join(", ")),
                "",
            );
        }
        Outcome::Untried => {}
        // A filter that answers clone3 is told by its own finding.
        outcome if !facts.of(Try::Call("clone3")).fails() => {
            let mut lost = finding("namespaces", Area::Namespaces, Status::Lost, "namespaces can't be made together");
            lost.value = format!("clone3 with all of them: {}", said(outcome));
            lost.cause =
                "each can be made alone, so a filter or security module refuses this call of clone3".to_owned();
            lost.lost = EVERYTHING.to_owned();
            lost.remedies = super::calls::unfilter(facts);
            found.block(lost);
        }
        _ => {}
    }
}

/// No user namespace can be made.
fn no_users(facts: &Facts, outcome: Outcome) -> Finding {
    let mut fault = finding("user-namespaces", Area::Namespaces, Status::Lost, "user namespaces can't be made");
    fault.lost = match facts.any_starts() {
        true => "holm run without --share user; --map, --allow-userns".to_owned(),
        false => EVERYTHING.to_owned(),
    };
    fault.value = format!("unshare: {}", said(outcome));
    let limit = facts.gauge(Measure::Namespaces(Namespace::User));
    let full = matches!(outcome, Outcome::Refused(Errno::NOSPC | Errno::USERS));
    let denied = matches!(outcome, Outcome::Refused(Errno::PERM | Errno::ACCESS));
    (fault.cause, fault.remedies) = match limit {
        Some(Gauge { most: 0, .. }) if full => {
            fault.value = "user.max_user_namespaces = 0".to_owned();
            let cause = "this sysctl, here or in a user namespace above, allows none (RHEL 7 comes so; an outer sandbox sets it, too)";
            let mut remedies = vec![sysctl(remedy::MAX_USER_NAMESPACES, LOCAL)];
            if !facts.caller.in_first_user_namespace {
                remedies.insert(0, allow_in_holm());
            }
            (cause.to_owned(), remedies)
        }
        Some(gauge) if full => {
            fault.value = format!("user.max_user_namespaces = {}", gauge.most);
            let used = gauge.used.map(|used| format!("; {used} of this user's are seen")).unwrap_or_default();
            let cause = format!(
                "this limit, or that of a user namespace above, is reached{used}; or there are 32 levels of them"
            );
            (cause, vec![less_deep(), more(facts, Namespace::User)])
        }
        _ if denied => denied_users(facts, &mut fault.value),
        _ if matches!(outcome, Outcome::Refused(Errno::INVAL | Errno::NOSYS)) && !facts.security.filtered => {
            ("the kernel was built without user namespaces (CONFIG_USER_NS)".to_owned(), vec![kernel()])
        }
        _ => filter(facts),
    };
    fault
}

/// Why user namespaces are denied: EPERM has many causes, of which those that can be seen come first.
fn denied_users(facts: &Facts, value: &mut String) -> (String, Vec<Remedy>) {
    let security = &facts.security;
    if security.userns_clone == Some(0) && !facts.caller.privileged {
        *value = "kernel.unprivileged_userns_clone = 0".to_owned();
        let cause = "this sysctl keeps user namespaces for root".to_owned();
        return (cause, vec![sysctl(remedy::USERNS_CLONE, LOCAL)]);
    }
    if !facts.ids.own_mapped {
        let cause = "the caller's own ids are not mapped in its user namespace, and who has no id can make none";
        let advice = advice("start holm as a user that is mapped: see /proc/self/uid_map", By::Caller, Reach::Run, "");
        return (cause.to_owned(), vec![advice]);
    }
    if security.chroot {
        let cause = "the root directory is one of chroot(2), in which the kernel makes no user namespace".to_owned();
        let advice = "enter it by pivot_root(2): unshare --mount and pivot_root(8), or a container";
        return (cause, vec![advice_outside(advice)]);
    }
    // What a filter refuses, AppArmor never sees.
    if security.filtered && facts.of(Try::Call("unshare")).fails() {
        return filter(facts);
    }
    if security.apparmor_restrict == Some(1) || security.apparmor_profile.is_some() {
        *value = apparmor_value(facts);
        return (apparmor_cause(facts), apparmor(facts));
    }
    if security.selinux_enforcing == Some(true) && !security.filtered {
        *value += ", SELinux is enforcing";
        let cause = "SELinux's policy doesn't let this domain make user namespaces (user_namespace create)".to_owned();
        let show = as_root(
            "ausearch -m avc -c holm | audit2allow -M holm && semodule -i holm.pp",
            Reach::Program,
            "what the new module allows; read holm.te before",
        );
        return (cause, vec![show]);
    }
    filter(facts)
}

fn apparmor_value(facts: &Facts) -> String {
    let restrict =
        facts.security.apparmor_restrict.map(|value| format!("kernel.apparmor_restrict_unprivileged_userns = {value}"));
    let profile = facts.security.apparmor_profile.as_ref().map(|profile| format!("profile {profile}"));
    restrict.into_iter().chain(profile).collect::<Vec<_>>().join(", ")
}

fn apparmor_cause(facts: &Facts) -> String {
    match &facts.security.apparmor_profile {
        Some(profile) => {
            format!("AppArmor's profile {profile} confines this process and lets it have no user namespaces")
        }
        None => "AppArmor takes all rights in new user namespaces from programs that have no profile with 'userns,'"
            .to_owned(),
    }
}

/// A profile for this program, and the switch for all.
fn apparmor(facts: &Facts) -> Vec<Remedy> {
    let switch = sysctl(remedy::APPARMOR_RESTRICT, LOCAL);
    if facts.container.is_some() {
        // The machine's profiles know no path of a container.
        let mut remedies = unconfine(facts);
        remedies.extend((facts.security.apparmor_restrict == Some(1)).then_some(switch));
        return remedies;
    }
    let path = facts.caller.program.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let profile = match remedy::apparmor_profile(&path) {
        Some(text) => Remedy {
            deeds: vec![
                Deed::File(remedy::APPARMOR_FILE.to_owned(), text),
                Deed::Command(remedy::APPARMOR_LOAD.to_owned()),
            ],
            by: By::Root,
            reach: Reach::Program,
            weakens: "whoever can write that file, or run it, may make user namespaces: keep it where only root writes",
        },
        None => advice(
            "install holm as /usr/local/bin/holm and run holm doctor again: it prints a profile for it",
            By::Root,
            Reach::Program,
            "",
        ),
    };
    vec![profile, switch]
}

/// Another profile for the container around.
fn unconfine(facts: &Facts) -> Vec<Remedy> {
    const WEAKENS: &str = "AppArmor keeps nothing in the container from the machine any more";
    const OPTIONS: [(Container, &str); 5] = [
        (Container::Docker, "docker run --security-opt apparmor=unconfined"),
        (Container::Podman, "podman run --security-opt apparmor=unconfined"),
        (Container::Kubernetes, "securityContext: { appArmorProfile: { type: Unconfined } }"),
        (Container::Lxc, "lxc.apparmor.profile = unconfined; for Incus: incus config set NAME security.nesting=true"),
        (Container::Other, "whoever starts the container has to give it a profile with 'userns,'"),
    ];
    outside(facts.container, &OPTIONS, WEAKENS)
}

fn filter(facts: &Facts) -> (String, Vec<Remedy>) {
    let cause = match facts.security.filtered {
        true => "a filter of system calls, which is in force for this process, refuses them",
        false => "a security module of the kernel, or of an outer container, refuses them",
    };
    (cause.to_owned(), super::calls::unfilter(facts))
}

/// The user namespace is made, and nothing may be done in it.
fn no_rights(facts: &Facts) -> Finding {
    let mut fault = finding("namespace-rights", Area::Namespaces, Status::Lost, "new user namespaces give no rights");
    fault.lost = EVERYTHING.to_owned();
    if facts.security.apparmor_restrict == Some(1) || facts.security.apparmor_profile.is_some() {
        fault.value = apparmor_value(facts);
        (fault.cause, fault.remedies) = (apparmor_cause(facts), apparmor(facts));
    } else {
        fault.value = "a namespace of any other kind in one: operation not permitted".to_owned();
        (fault.cause, fault.remedies) = filter(facts);
    }
    fault
}

/// One kind can't be made.
fn no_kind(facts: &Facts, kind: Namespace) -> Finding {
    let outcome = facts.of(Try::Namespace(kind));
    let check = match kind {
        Namespace::User => "user-namespaces",
        Namespace::Cgroup => "cgroup-namespaces",
        Namespace::Ipc => "ipc-namespaces",
        Namespace::Uts => "uts-namespaces",
        Namespace::Net => "net-namespaces",
        Namespace::Pid => "pid-namespaces",
        Namespace::Time => "time-namespaces",
        Namespace::Mount => "mnt-namespaces",
    };
    let mut fault = finding(check, Area::Namespaces, Status::Lost, format!("{kind} namespaces can't be made"));
    fault.value = format!("unshare: {}", said(outcome));
    fault.lost = match kind {
        Namespace::Time => "holm run --time-offset".to_owned(),
        Namespace::Mount => EVERYTHING.to_owned(),
        other => format!("holm run without --share {other}"),
    };
    let setting = format!("user.max_{kind}_namespaces");
    (fault.cause, fault.remedies) = match (outcome, facts.gauge(Measure::Namespaces(kind))) {
        (Outcome::Refused(Errno::NOSPC | Errno::USERS), gauge) => {
            let most = gauge.map_or(0, |gauge| gauge.most);
            fault.value = format!("{setting} = {most}");
            ("this limit, or that of a user namespace above, is reached".to_owned(), vec![more(facts, kind)])
        }
        (Outcome::Refused(Errno::INVAL), _) => {
            (format!("the kernel was built without {kind} namespaces"), vec![kernel()])
        }
        _ => filter(facts),
    };
    fault
}

fn no_nesting(facts: &Facts) -> Finding {
    let mut fault = finding("nesting", Area::Namespaces, Status::Lost, "user namespaces can't be made within others");
    fault.value = said(facts.of(Try::Nested));
    fault.lost = "holm run --allow-userns: sandboxes, browsers and builds inside".to_owned();
    (fault.cause, fault.remedies) = match facts.of(Try::Nested) {
        Outcome::Refused(Errno::NOSPC | Errno::USERS) => (
            "there are 32 levels of user namespaces already, or their number is limited".to_owned(),
            vec![less_deep(), more(facts, Namespace::User)],
        ),
        _ if facts.security.apparmor_restrict == Some(1) => (apparmor_cause(facts), apparmor(facts)),
        _ => filter(facts),
    };
    fault
}

/// A higher limit of a kind's number.
fn more(facts: &Facts, kind: Namespace) -> Remedy {
    let name = Measure::Namespaces(kind);
    let none = Gauge { name, most: 0, used: None, hard: None };
    super::limits::more(facts.gauge(name).unwrap_or(&none))
}

/// Fewer levels: their number is the kernel's own.
fn less_deep() -> Remedy {
    advice("in many levels of user namespaces: start holm in one further out", By::Caller, Reach::Run, "")
}

fn allow_in_holm() -> Remedy {
    advice(
        "in a sandbox of holm: start that with --allow-userns",
        By::Outside,
        Reach::Container,
        "what runs in it may make user namespaces, too",
    )
}

fn advice_outside(text: &str) -> Remedy {
    advice(text, By::Outside, Reach::Container, "")
}

fn kernel() -> Remedy {
    advice("boot a kernel that has them, as those of all large distributions", By::Root, Reach::Machine, "")
}
