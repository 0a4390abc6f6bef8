//! Security modules, settings that stop programs, and the container around.

use super::{EVERYTHING, Found, advice, finding, sysctl};
use crate::doctor::facts::{Outcome, Sandbox, Try};
use crate::doctor::{Area, By, Reach, Status};
use crate::model::remedy;

pub(super) fn judge(found: &mut Found<'_>) {
    let facts = found.facts;
    let security = &facts.security;
    if security.memfd_noexec.is_some_and(|level| level > 1) {
        let mut fault = finding("memfd-noexec", Area::Security, Status::Lost, "no program runs from memory");
        fault.value = format!("vm.memfd_noexec = {}", security.memfd_noexec.unwrap_or_default());
        fault.cause = "the first process of a sandbox is a program in memory (memfd_create(2))".to_owned();
        fault.lost = EVERYTHING.to_owned();
        fault.remedies = vec![sysctl(remedy::MEMFD_NOEXEC, "programs may run from memory if they ask for it")];
        found.block(fault);
    }
    if security.initramfs {
        let mut fault = finding("initramfs", Area::Security, Status::Lost, "the root directory can't be left");
        fault.value = "/ is the initramfs".to_owned();
        fault.cause = "pivot_root(2) can't leave the kernel's first file system".to_owned();
        fault.lost = EVERYTHING.to_owned();
        let text = format!("move to another root first: {}", remedy::INITRAMFS);
        fault.remedies = vec![advice(text, By::Root, Reach::Machine, "")];
        found.block(fault);
    }
    notices(found);
    let mut told = Vec::new();
    told.extend((!security.modules.is_empty()).then(|| security.modules.join(", ")));
    told.extend(
        security.selinux_enforcing.map(|on| format!("SELinux {}", if on { "enforcing" } else { "permissive" })),
    );
    told.extend(
        security
            .apparmor_restrict
            .map(|on| format!("AppArmor restricts user namespaces: {}", if on == 1 { "yes" } else { "no" })),
    );
    told.extend(security.apparmor_profile.as_ref().map(|profile| format!("AppArmor profile {profile}")));
    if !told.is_empty() {
        found.works("security-modules", Area::Security, format!("security modules: {}", told.join("; ")), "");
    }
    let around = facts.container.map_or("none is seen", |container| container.name());
    let first =
        if facts.caller.in_first_user_namespace { "" } else { "; in a user namespace below the machine's first" };
    found.works("container", Area::Security, format!("container around: {around}{first}"), "");
}

/// Filters that notify, keyrings, and a sandbox in which refusals are told.
fn notices(found: &mut Found<'_>) {
    let facts = found.facts;
    let refused = |what: Outcome| what.fails().then(|| super::namespaces::said(what));
    if let Some(value) = refused(facts.of(Try::Notify)).filter(|_| !facts.of(Try::Call("seccomp")).fails()) {
        let mut fault = finding("notify", Area::Security, Status::Lost, "filters can't notify");
        fault.value = value;
        fault.cause = "a filter with a supervisor is in force already, of which a process has one (seccomp_unotify(2))"
            .to_owned();
        fault.lost = "holm run --log-denied, holm learn".to_owned();
        fault.remedies = super::calls::unfilter(facts);
        found.add(fault);
    } else if facts.starts(&Sandbox::Denials) {
        found.works("notify", Area::Security, "what is refused can be told (--log-denied, holm learn)", "");
    } else if let Some(failure) = facts.started(&Sandbox::Denials).failure()
        && facts.any_starts()
    {
        let mut fault = finding("notify", Area::Security, Status::Lost, "what is refused can't be told");
        (fault.value, fault.cause) = failure;
        fault.lost = "holm run --log-denied, holm learn".to_owned();
        found.add(fault);
    }
    if let Some(value) = refused(facts.of(Try::Keyring)).filter(|_| !facts.of(Try::Call("keyctl")).fails()) {
        let mut fault = finding("keyring", Area::Security, Status::Lost, "no session keyring can be made");
        fault.value = value;
        fault.cause = "each sandbox gets an empty one; the user has as many keys as it may (keyrings(7))".to_owned();
        fault.lost = EVERYTHING.to_owned();
        fault.remedies = vec![super::limits::more_keys(facts)];
        found.block(fault);
    }
}
