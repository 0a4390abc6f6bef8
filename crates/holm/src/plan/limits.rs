//! Steps for limits: a control group for the sandbox as a whole, and what holds for each process.
//!
//! The group is made and limited before there is a child; the process inside enters it by a file that is open, or is started in it, before
//! it runs anything; and only then it gets a cgroup namespace, whose root is therefore its own group (cgroup_namespaces(7)).
//! Memory is limited last, when the init waits to start the program: until then the process inside shares the caller's
//! memory, and the kernel, out of memory in the group, would kill whoever shares it. Resource limits and the time limit
//! are the init's to set on the program alone: it must not be stopped by them itself.

mod act;
mod check;
mod groups;
mod resctrl;

pub(super) use act::hint;
pub use act::{Limit, Version};
pub(super) use check::check;
pub use resctrl::Resctrl;

use super::step::{Act, Actor, Step};
use super::{entry, push};
use crate::host::Host;
use crate::model::namespace::Namespace;
use crate::spec::namespaces::Choice;
use crate::spec::origins::Wish;
use crate::spec::{Spec, Unsaid};
use groups::{Controller, Place};

/// Why a container runs on any CPU.
pub(super) const ANY_CPU: &str = "on which the caller may run says nothing of who is limited by groups";

/// The cgroup namespace, if it has to wait until the process is in its group.
pub(super) fn late_namespace(spec: &Spec) -> Option<Namespace> {
    let new = *spec.namespaces.choice(Namespace::Cgroup) == Choice::New;
    (new && spec.limits.need_group()).then_some(Namespace::Cgroup)
}

/// Makes the groups with their limits.
pub(super) fn prepare(spec: &Spec, host: &Host, steps: &mut Vec<Step>) {
    let Ok(places) = groups::places(spec, host) else { return };
    for place in &places {
        if place.stand_aside {
            let why = "a group with processes in it can limit none below it";
            let act = Limit::StandAside { directory: place.directory.clone() };
            push(steps, Actor::Parent, Act::Limit(act), why, "");
        }
        if !place.enable.is_empty() {
            let why = "groups below have only the controllers that are enabled for them";
            let act = Limit::Enable { directory: place.directory.clone(), controllers: place.enable.clone() };
            push(steps, Actor::Parent, Act::Limit(act), why, "");
        }
        let why = "what is limited as a whole is what is in a control group; it is removed at the end";
        let act = Limit::Make { directory: place.directory.clone(), version: place.version };
        push(steps, Actor::Parent, Act::Limit(act), why, "");
    }
    for group in &spec.limits.groups {
        let mut controllers: Vec<String> = group.files.iter().filter_map(|(name, _)| controller(name)).collect();
        controllers.dedup();
        let act = Limit::MakeNamed { directory: group.directory.clone(), version: group.version, controllers };
        push(steps, Actor::Parent, Act::Limit(act), "its maker has a place for it", spec.origins.of(Wish::NamedGroups));
    }
    write(spec, host, (&places, Controller::of_others), Actor::Parent, steps);
    write_named(spec, places.len(), |name| !name.starts_with("memory."), Actor::Parent, steps);
    for (place, group) in spec.limits.groups.iter().enumerate().filter(|(_, group)| !group.devices.is_empty()) {
        let act = Limit::Devices { group: places.len() + place, rules: group.devices.clone() };
        let why = "version 2 has no file for it: the kernel asks a small program";
        push(steps, Actor::Parent, Act::Limit(act), why, spec.origins.of(Wish::NamedGroups));
    }
    resctrl::prepare(spec, steps);
}

/// The controller that a file of version 2 belongs to.
fn controller(name: &str) -> Option<String> {
    name.split_once('.').map(|(controller, _)| controller.to_owned()).filter(|controller| controller != "cgroup")
}

/// What is written into groups with places of their own; `before` are made before them.
fn write_named(spec: &Spec, before: usize, chosen: fn(&str) -> bool, actor: Actor, steps: &mut Vec<Step>) {
    for (place, group) in spec.limits.groups.iter().enumerate() {
        for (name, value) in group.files.iter().filter(|(name, _)| chosen(name)) {
            let files = vec![(name.clone().into(), value.clone())];
            let act = Limit::Write { what: format!("{name} to {value}"), group: before + place, files };
            push(steps, actor, Act::Limit(act), "the kernel's own word for it", spec.origins.of(Wish::NamedGroups));
        }
    }
}

/// Limits of the controllers that `chosen` picks, in the groups at these places.
fn write(
    spec: &Spec,
    host: &Host,
    (places, chosen): (&[Place], fn(Controller) -> bool),
    actor: Actor,
    steps: &mut Vec<Step>,
) {
    for wish in groups::wishes(spec, host).into_iter().filter(|wish| chosen(wish.controller)) {
        let Some(group) = places.iter().position(|place| place.controllers.contains(&wish.controller)) else {
            continue;
        };
        let files = wish.files(places[group].version).into_iter().map(|(name, value)| (name.into(), value)).collect();
        let act = Limit::Write { what: wish.what.clone(), group, files };
        push(steps, actor, Act::Limit(act), wish.why(places[group].version), &wish.origin);
    }
}

/// What the parent does to the process inside, which waits for it.
pub(super) fn apply(spec: &Spec, host: &Host, steps: &mut Vec<Step>) {
    let limits = &spec.limits;
    // What holds for a process of a group may be set by its entering, or be refused outside of it.
    let actor = if limits.need_group() {
        let why = "before it runs anything, so that nothing of it is outside";
        push(steps, Actor::Child, Act::Limit(Limit::Enter), why, "");
        Actor::ParentMeanwhile
    } else {
        Actor::ParentAtOnce
    };
    resctrl::enter(spec, actor, steps);
    let mut add = |limit, why, origin: &str| push(steps, actor, Act::Limit(limit), why, origin);
    if let Some(nice) = limits.nice {
        add(Limit::Nice(nice), "all that it starts inherits it", spec.origins.of(Wish::Nice));
    }
    if let Some((cpus, entry)) = spec.entry.as_ref().and_then(|entry| entry.first_cpus.as_ref().zip(Some(entry))) {
        add(Limit::Affinity(cpus.clone()), "until it is in the groups of what is entered", &entry.origin);
    }
    // Who is put into a group gets its CPUs, so there it comes after that.
    if let (Some(cpus), None) = (&limits.affinity, &spec.entry) {
        add(Limit::Affinity(cpus.clone()), "all that it starts inherits it", spec.origins.of(Wish::Affinity));
    }
    if (&limits.affinity, &spec.entry, spec.unsaid) == (&None, &None, Unsaid::Nothing) {
        add(Limit::AllCpus, ANY_CPU, "");
    }
    // Who enters forks once more.
    if let (Some(scheduler), None) = (limits.scheduler, &spec.entry) {
        add(Limit::Scheduler(scheduler), "all that it starts inherits it", spec.origins.of(Wish::Scheduler));
    }
    if let Some(priority) = limits.io_priority {
        add(Limit::IoPriority(priority), "all that it starts inherits it", spec.origins.of(Wish::IoPriority));
    }
    for (place, limit) in limits.resources.iter().enumerate().filter(|(_, limit)| check::exceeds(limit, host)) {
        let why = "the caller may go beyond its own limit, the sandbox can't";
        add(Limit::Allow(*limit), why, spec.origins.of(Wish::Resource(place)));
    }
    if !entry::hides_memory(spec) {
        score(spec, actor, steps);
    }
}

/// Sets the score for the out-of-memory killer.
pub(super) fn score(spec: &Spec, actor: Actor, steps: &mut Vec<Step>) {
    if let Some(score) = spec.limits.oom_score {
        let why = "when memory runs out the kernel kills what has the highest score first";
        push(steps, actor, Act::Limit(Limit::OomScore(score)), why, spec.origins.of(Wish::OomScore));
    }
}

/// Makes the cgroup namespace, once the process is in its group, and the last one: its owner could mount the group's
/// files, which belong to the caller, and so perhaps to the program (cgroup_namespaces(7)).
pub(super) fn view(spec: &Spec, steps: &mut Vec<Step>) {
    if late_namespace(spec).is_some() {
        let why = "made in its group, it shows that group as the root";
        push(steps, Actor::Child, Act::Limit(Limit::View), why, "");
    }
    let own_user = *spec.namespaces.choice(Namespace::User) == Choice::New;
    if own_user && spec.limits.need_group() && spec.unsaid == Unsaid::Safe {
        let why = "with one of its own a program could mount the files of its group and raise its limits";
        push(steps, Actor::Child, Act::Limit(Limit::Lock), why, "");
    }
}

/// Limits memory, while the init waits; and what the init sets on the program.
pub(super) fn finish(spec: &Spec, host: &Host, steps: &mut Vec<Step>) {
    let places = groups::places(spec, host).unwrap_or_default();
    write(spec, host, (&places, Controller::is_memory), Actor::ParentMeanwhile, steps);
    write_named(spec, places.len(), |name| name.starts_with("memory."), Actor::ParentMeanwhile, steps);
    for (place, limit) in spec.limits.resources.iter().enumerate() {
        let why = "for the program and what it starts; the init stays free of it";
        push(steps, Actor::Child, Act::Limit(Limit::Resource(*limit)), why, spec.origins.of(Wish::Resource(place)));
    }
    if let Some(time) = spec.limits.timeout {
        let why = "the init counts, so that it holds whatever the caller does";
        push(steps, Actor::Child, Act::Limit(Limit::Timeout(time)), why, spec.origins.of(Wish::Timeout));
    }
}
