//! Steps for namespaces: opening those to join, making the new ones, keeping and filling them.

use super::push;
use super::step::{Act, Actor, Step};
use crate::host::Host;
use crate::model::namespace::{Namespace, NamespaceSet};
use crate::spec::Spec;
use crate::spec::namespaces::Choice;
use std::ffi::OsString;

/// Opens what will be joined, while its path still means what the caller meant.
pub(super) fn prepare(spec: &Spec, steps: &mut Vec<Step>) {
    for (namespace, target, origin) in joined(spec) {
        let act = Act::OpenNamespace { namespace, target: target.clone() };
        push(steps, Actor::Parent, act, "a name is used once; from here on the descriptor counts", origin);
    }
}

/// Starts the child in the new namespaces.
pub(super) fn make(spec: &Spec, host: &Host, steps: &mut Vec<Step>) {
    let new = spec.namespaces.new_kinds().without(Namespace::Time);
    let joins_user = matches!(spec.namespaces.choice(Namespace::User), Choice::Join(..));
    let at_start = if joins_user { NamespaceSet::default() } else { new };
    let why = match (joins_user, host.privileged) {
        (true, _) => "the namespaces of its own must belong to the user namespace that it joins first",
        (false, true) => "one clone3 makes them all: the user namespace first, so that it owns the others",
        (false, false) => "one clone3 makes them all: the user namespace gives the right to make the others",
    };
    push(steps, Actor::Parent, Act::Clone(at_start), why, "");
    let all: Vec<_> = joined(spec).collect();
    for (namespace, _, origin) in all.iter().filter(|(n, ..)| *n != Namespace::Mount) {
        push(steps, Actor::Child, Act::Enter(*namespace), "joined instead of made", origin);
    }
    if joins_user && new != NamespaceSet::default() {
        push(steps, Actor::Child, Act::Unshare(new), "they belong to the joined user namespace", "");
    }
    if let Some((namespace, _, origin)) = all.iter().find(|(n, ..)| *n == Namespace::Mount) {
        push(steps, Actor::Child, Act::Enter(*namespace), "last, since paths mean something else after it", origin);
    }
    let joins_pid = matches!(spec.namespaces.choice(Namespace::Pid), Choice::Join(..));
    if joins_pid || joins_user && new.contains(Namespace::Pid) {
        push(steps, Actor::Child, Act::Fork, "a pid namespace takes in only processes started after (setns(2))", "");
    }
}

/// Keeps what is wished to be kept.
pub(super) fn keep(spec: &Spec, steps: &mut Vec<Step>) {
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

/// Gives the new namespaces their contents.
pub(super) fn fill(spec: &Spec, steps: &mut Vec<Step>) {
    let new = spec.namespaces.new_kinds();
    if let (true, Some(offsets)) = (new.contains(Namespace::Time), spec.namespaces.time) {
        let why = "offsets can be set only before a process is in it; the program is forked into it later";
        push(steps, Actor::Child, Act::OffsetTime(offsets), why, "--time-offset");
    }
    if new.contains(Namespace::Net) {
        push(steps, Actor::Child, Act::Loopback, "a new network namespace has a loopback that is down", "");
    }
    if let Some(name) = hostname(spec) {
        let origin = if spec.hostname.is_some() { "--hostname" } else { "" };
        push(steps, Actor::Child, Act::Hostname(name), "the host's name is not the sandbox's business", origin);
    }
}

/// The host name inside, if it is set.
pub(super) fn hostname(spec: &Spec) -> Option<OsString> {
    match (&spec.hostname, spec.namespaces.choice(Namespace::Uts)) {
        (Some(name), _) => Some(name.clone()),
        (None, Choice::New) => Some("holm".into()),
        (None, _) => None,
    }
}

/// What is joined, in joining order.
fn joined(spec: &Spec) -> impl Iterator<Item = (Namespace, &crate::spec::namespaces::Target, &String)> {
    Namespace::ALL.into_iter().filter_map(|kind| match spec.namespaces.choice(kind) {
        Choice::Join(target, origin) => Some((kind, target, origin)),
        _ => None,
    })
}
