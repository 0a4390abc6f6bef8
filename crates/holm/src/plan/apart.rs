//! A root in a mount namespace that is others', too: only a wish that says everything has one. Nothing is mounted there: the root
//! stands apart, a tree of mounts that is mounted nowhere, and is taken by chroot(2). Whoever climbs out of it is at the top of that
//! tree. One way is left that leads elsewhere, setns(2) to the mount namespace itself, for which CAP_SYS_ADMIN is needed; no user
//! namespace can be made to have it, since the kernel makes none for who is in such a root.

use super::check::{Found, origins_of};
use crate::host::Host;
use crate::model::capability::Capability;
use crate::model::namespace::Namespace;
use crate::spec::Spec;
use crate::spec::filesystem::{Entry, Operation};
use crate::spec::namespaces::Choice;
use crate::spec::origins::Wish;
use std::ffi::OsString;

/// Why a root that stands apart can't be made ([`Spec::root_stands_apart`]).
pub(super) fn check(spec: &Spec, host: &Host, found: &mut Found) {
    let origin = origins_of(spec, Namespace::Mount);
    if host.kernel < Some((6, 15)) {
        let message =
            "cannot make a root without a new mount namespace: the kernel mounts nothing on what is mounted nowhere";
        found.add_lack(&origin, message, "since Linux 6.15 it does");
    }
    if !host.privileged || !host.owns_mounts {
        let message = "cannot make a root without a new mount namespace: it takes CAP_SYS_ADMIN over the other";
        found.add_lack(&origin, message, "make new user and mount namespaces, or run as root");
    }
    if *spec.namespaces.choice(Namespace::User) == Choice::New {
        let message =
            "cannot make a root without a new mount namespace: a new user namespace has no right over the other";
        found.add(&origin, message, "make a new mount namespace, too");
    }
    for Entry { operation, origin } in &spec.filesystem {
        let long = |(_, value): &(OsString, Option<OsString>)| value.as_ref().is_some_and(|value| value.len() > 255);
        if matches!(operation, Operation::Mount { options, .. } if options.iter().any(long)) {
            let message =
                "cannot mount with an option of more than 255 bytes without a new mount namespace: it takes mount(2)";
            found.add(origin, message, "make a new mount namespace, or use shorter paths");
        }
    }
    if spec.policy.sets.is_none_or(|sets| sets.any() & Capability::SYS_ADMIN.bit() != 0) {
        let message =
            "cannot grant CAP_SYS_ADMIN without a new mount namespace: with it setns(2) leads out of the root";
        found.add(
            spec.origins.of(Wish::Capabilities),
            message,
            "make a new mount namespace, or leave the capability out",
        );
    }
}
