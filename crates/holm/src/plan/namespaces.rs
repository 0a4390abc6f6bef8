//! Steps for namespaces: opening those to join, making the new ones, keeping and filling them.

use super::step::{Act, Actor, Step, Whose};
use super::{entry, push};
use crate::host::Host;
use crate::model::namespace::{Namespace, NamespaceSet};
use crate::spec::namespaces::{Choice, KEPT, Target};
use crate::spec::origins::Wish;
use crate::spec::policy::Nesting;
use crate::spec::{Spec, Unsaid};
use std::ffi::OsString;
use std::path::Path;

/// Opens what will be joined, while its path still means what the caller meant.
pub(super) fn prepare(spec: &Spec, steps: &mut Vec<Step>) {
    for (namespace, target, origin) in joined(spec) {
        let act = Act::OpenNamespace { namespace, target: target.clone(), whose: whose(spec, namespace) };
        push(steps, Actor::Parent, act, "a name is used once; from here on the descriptor counts", origin);
    }
}

/// What is set in a namespace of the caller's would hold for the host.
fn whose(spec: &Spec, namespace: Namespace) -> Whose {
    let names = namespace == Namespace::Uts && (spec.hostname.is_some() || spec.domain.is_some());
    let sets = spec.settings.iter().any(|(path, _)| Namespace::of_setting(path) == Some(namespace));
    let devices = namespace == Namespace::Net && !spec.namespaces.devices.is_empty();
    if names || sets || devices { Whose::Others } else { Whose::Anyones }
}

/// Makes the directories for names under which namespaces are kept.
pub(super) fn prepare_names(spec: &Spec, steps: &mut Vec<Step>) {
    for keep in &spec.namespaces.keep {
        let of_kind = Path::new(KEPT).join(keep.namespace.name());
        if keep.path.parent() != Some(&of_kind) {
            continue;
        }
        let mut missing: Vec<&Path> = of_kind.ancestors().take_while(|path| *path != Path::new("/run")).collect();
        missing.reverse();
        for path in missing {
            let act = Act::MakeDirectory(path.to_owned());
            push(steps, Actor::Parent, act, "names of kept namespaces have a place of their own", &keep.origin);
        }
    }
}

/// Starts the process inside in the new namespaces, by way of a process between where something is joined.
///
/// What is joined is entered before a user namespace is made, since the rights of the caller count there; where the caller has
/// none, a user namespace that is joined gives them and comes first. A pid namespace takes in only processes started after it was joined. A new network namespace takes as long as all else: an aide makes
/// it while the process inside builds the root.
pub(super) fn make(spec: &Spec, host: &Host, steps: &mut Vec<Step>) {
    let new = spec.namespaces.new_kinds().without(Namespace::Time);
    let new = super::limits::late_namespace(spec).map_or(new, |late| new.without(late));
    let mut entered = joined(spec);
    let joins = !entered.is_empty();
    if host.privileged && spec.entry.is_none() {
        // It need not own the others: an engine may have made them for it outside.
        entered.sort_by_key(|(namespace, ..)| *namespace == Namespace::User);
    }
    let (first, rest, why) = if joins {
        (NamespaceSet::default(), new, "a process that enters what is joined, with the caller's rights")
    } else {
        let why = "one clone3 makes them all; the user namespace owns the others";
        (if beside(spec) { new.without(Namespace::Net) } else { new }, NamespaceSet::default(), why)
    };
    push(steps, Actor::Parent, Act::Clone(first), why, "");
    entry::hide_memory(spec, steps);
    for (namespace, _, origin) in entered {
        let why = match namespace {
            Namespace::User if spec.entry.is_some() => {
                "it owns what comes next, and entered gives the rights over that"
            }
            Namespace::Mount if spec.entry.is_some() => "paths mean something else after it",
            Namespace::User if host.privileged => "behind all others, over which the caller has rights already",
            Namespace::Mount => "late, since paths mean something else after it",
            _ => "joined instead of made",
        };
        push(steps, Actor::Child, Act::Enter(namespace), why, origin);
    }
    if joins && !entry::goes_in_last(spec) {
        let why = "a pid namespace takes in only processes started for it; the others are made with it";
        push(steps, Actor::Child, Act::Fork(rest), why, "");
    }
    if beside(spec) {
        if new.contains(Namespace::User) {
            let why = "it is to own the network namespace, as it owns the others";
            push(steps, Actor::Aide, Act::EnterUser, why, "");
        }
        let why = "the dearest single part, so a second child makes it while the one inside builds the root";
        push(steps, Actor::Aide, Act::MakeNetwork, why, "");
        push(steps, Actor::Aide, Act::Loopback, LOOPBACK, "");
    }
}

const LOOPBACK: &str = "a new network namespace has a loopback that is down";

/// Whether the network namespace is made beside: it must belong to the same user namespace as the others, and no sysfs may be
/// mounted before it is entered, since that shows the devices of the mounter's.
fn beside(spec: &Spec) -> bool {
    let alone = joined(spec).is_empty() && spec.unsaid == Unsaid::Safe;
    spec.namespaces.new_kinds().contains(Namespace::Net) && alone
}

/// Enters what the aide has made, and keeps what is wished to be kept.
pub(super) fn finish(spec: &Spec, steps: &mut Vec<Step>) {
    if beside(spec) {
        push(steps, Actor::Child, Act::EnterNetwork, "it is ready by now", "");
    }
    for (path, value) in &spec.settings {
        let act = Act::Setting { path: path.clone(), value: value.clone() };
        let why = "the namespaces are new, so it holds for nobody else";
        push(steps, Actor::Child, act, why, spec.origins.of(Wish::Settings));
    }
    for keep in &spec.namespaces.keep {
        let act = Act::Keep { namespace: keep.namespace, path: keep.path.clone() };
        push(
            steps,
            Actor::ParentMeanwhile,
            act,
            "a bind mount keeps it alive when its processes are gone",
            &keep.origin,
        );
    }
}

/// Makes a time namespace, with the ids of the caller still: others would not own the process's files in /proc.
pub(super) fn shift_clocks(spec: &Spec, steps: &mut Vec<Step>) {
    let new = spec.namespaces.new_kinds();
    if let (true, Some(offsets)) = (new.contains(Namespace::Time), spec.namespaces.time) {
        let why = "offsets can be set only before a process is in it; the program is forked into it later";
        push(steps, Actor::Child, Act::OffsetTime(offsets), why, spec.origins.of(Wish::Time));
    }
}

/// Gives the new namespaces their contents.
pub(super) fn fill(spec: &Spec, steps: &mut Vec<Step>) {
    let new = spec.namespaces.new_kinds();
    if new.contains(Namespace::Net) && !beside(spec) {
        push(steps, Actor::Child, Act::Loopback, LOOPBACK, "");
    }
    for device in &spec.namespaces.devices {
        let act = Act::MoveDevice(device.clone());
        push(steps, Actor::ParentMeanwhile, act, "it is to be used inside alone", spec.origins.of(Wish::Devices));
    }
    if *spec.namespaces.choice(Namespace::User) == Choice::New && spec.policy.nesting == Nesting::Refused {
        let why = "in one of its own a program has every capability, and reaches much more of the kernel";
        push(steps, Actor::Child, Act::LimitNamespaces, why, "");
    }
    if let Some(name) = hostname(spec) {
        let origin = if spec.hostname.is_some() { spec.origins.of(Wish::Hostname) } else { "" };
        push(steps, Actor::Child, Act::Hostname(name), "the host's name is not the sandbox's business", origin);
    }
    if let Some(name) = &spec.domain {
        push(steps, Actor::Child, Act::Domain(name.clone()), "wished", spec.origins.of(Wish::Domain));
    }
}

/// The host name inside, if it is set.
pub(super) fn hostname(spec: &Spec) -> Option<OsString> {
    match (&spec.hostname, spec.namespaces.choice(Namespace::Uts)) {
        (Some(name), _) => Some(name.clone()),
        (None, Choice::New) if spec.unsaid == Unsaid::Safe => Some("holm".into()),
        (None, _) => None,
    }
}

/// What is joined, in joining order.
fn joined(spec: &Spec) -> Vec<(Namespace, &Target, &String)> {
    if let Some(entry) = &spec.entry {
        return entry.namespaces.iter().map(|(kind, target)| (*kind, target, &entry.origin)).collect();
    }
    let choice = |kind| match spec.namespaces.choice(kind) {
        Choice::Join(target, origin) => Some((kind, target, origin)),
        _ => None,
    };
    Namespace::ALL.into_iter().filter_map(choice).collect()
}
