//! A root in a mount namespace that is others', too: only a wish that says everything has one. Nothing is mounted there: the root
//! stands apart, a tree of mounts that is mounted nowhere, and is taken by chroot(2). Whoever climbs out of it is at the top of that
//! tree. One way is left that leads elsewhere, setns(2) to the mount namespace itself, for which CAP_SYS_ADMIN is needed; no user
//! namespace can be made to have it, since the kernel makes none for who is in such a root.

use super::check::{Found, origins_of};
use super::options::is_long;
use crate::host::Host;
use crate::model::capability::Capability;
use crate::model::mount::Propagation;
use crate::model::namespace::Namespace;
use crate::model::text::name;
use crate::spec::Spec;
use crate::spec::filesystem::{Entry, Operation};
use crate::spec::namespaces::Choice;
use crate::spec::origins::Wish;

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
    if *spec.namespaces.choice(Namespace::User) != Choice::Share {
        let message = "cannot make a root without a new mount namespace: another user namespace has no right over it";
        found.add(&origin, message, "make a new mount namespace, too");
    }
    for (place, Entry { operation, origin }) in spec.filesystem.iter().enumerate() {
        operates(operation, &spec.filesystem[..place], origin, found);
    }
    if spec.policy.may_hold(Capability::SYS_ADMIN) {
        let message =
            "cannot grant CAP_SYS_ADMIN without a new mount namespace: with it setns(2) leads out of the root";
        found.add(
            spec.origins.of(Wish::Capabilities),
            message,
            "make a new mount namespace, or leave the capability out",
        );
    }
}

/// Why an operation can't be done there, after those before it.
fn operates(operation: &Operation, before: &[Entry], origin: &str, found: &mut Found) {
    let at = operation.at();
    match operation {
        Operation::Mount { options, .. } if options.iter().any(is_long) => {
            let message =
                "cannot mount with an option of more than 255 bytes without a new mount namespace: it takes mount(2)";
            found.add(origin, message, "make a new mount namespace, or use shorter paths");
        }
        Operation::Attach { propagation: Propagation::Slave | Propagation::Shared, .. } => {
            let cause = "without a new mount namespace it hears of none of the host's mounts";
            let message = format!("cannot bind on {} as slave or shared: {cause}", name(at.as_os_str()));
            found.add(origin, message, "make a new mount namespace, or bind it private");
        }
        // The options hold for a whole file system, wherever else it is mounted.
        Operation::Remount { options, .. } if !options.is_empty() => {
            let mounts = |entry: &&Entry| {
                let operation = &entry.operation;
                operation.at() == at
                    && (operation.mounts() || matches!(operation, Operation::Mount { .. } | Operation::Attach { .. }))
            };
            if before.iter().filter(mounts).count() > 1 {
                let message =
                    format!("cannot change the file system at {}: another is mounted on it", name(at.as_os_str()));
                found.add(origin, message, "make a new mount namespace, or leave one of them out");
            }
        }
        _ => {}
    }
}
