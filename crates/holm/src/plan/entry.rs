//! Steps for a place that is entered: what of it is taken besides its namespaces.
//!
//! Until its exec the process inside shares the caller's memory, and its program is the caller's: who is in the pid namespace
//! and has capabilities over the user namespace could trace it (ptrace(2)) and write to both. So it is hidden before it enters
//! anything, which doesn't bind who has CAP_SYS_PTRACE over the caller's user namespace; and where all is entered and nothing
//! made, nobody in the pid namespace sees it at all: only the init goes in.

use super::limits::Limit;
use super::push;
use super::step::{Act, Actor, Step};
use crate::model::namespace::{Namespace, NamespaceSet};
use crate::spec::namespaces::Choice;
use crate::spec::origins::Wish;
use crate::spec::{Spec, Unsaid};

/// Whether the memory is hidden: where somebody inside could look. With a new user namespace or clocks the process's files in
/// /proc are still to be written, which a hidden one can't.
pub(super) fn hides_memory(spec: &Spec) -> bool {
    let is = |kind, choice: fn(&Choice) -> bool| choice(spec.namespaces.choice(kind));
    let joins = is(Namespace::Pid, |choice| matches!(choice, Choice::Join(..)));
    joins && ![Namespace::User, Namespace::Time].into_iter().any(|kind| is(kind, |choice| *choice == Choice::New))
}

/// Whether only the init enters the pid namespace: what else there is to do can be done outside.
pub(super) fn goes_in_last(spec: &Spec) -> bool {
    spec.entry.is_some() && hides_memory(spec) && spec.namespaces.new_kinds() == NamespaceSet::default()
}

/// Starts the init once more, inside.
pub(super) fn go_in(spec: &Spec, steps: &mut Vec<Step>) {
    if goes_in_last(spec) {
        let why =
            "a pid namespace takes in only processes started for it, and nobody in there has seen the caller's memory";
        push(steps, Actor::Child, Act::ForkInit, why, "");
    }
}

/// Hides it, once its out-of-memory score is written, which is such a file.
pub(super) fn hide_memory(spec: &Spec, steps: &mut Vec<Step>) {
    if !hides_memory(spec) {
        return;
    }
    super::limits::score(spec, Actor::Child, steps);
    let why = "who is in there could trace it: its memory and program are the caller's until the init runs";
    push(steps, Actor::Child, Act::HideMemory, why, "");
}

/// Takes the root.
pub(super) fn take_root(spec: &Spec, steps: &mut Vec<Step>) {
    let Some(entry) = &spec.entry else { return };
    if let Some(descriptor) = entry.root {
        let why = "a mount namespace says what is mounted, a process where its root is";
        let act = Act::EnterRoot { descriptor, of: entry.name.clone() };
        push(steps, Actor::Child, act, why, &entry.origin);
    }
}

/// Puts the init into the control groups, while it waits: until then it shares the caller's memory, whom the kernel, out of
/// memory in the group, would kill with it.
pub(super) fn take_groups(spec: &Spec, steps: &mut Vec<Step>) {
    let Some(entry) = &spec.entry else { return };
    for (path, descriptor) in &entry.groups {
        let why = "limits of the sandbox bind what is entered, too";
        let act = Act::EnterGroup { path: path.clone(), descriptor: *descriptor };
        push(steps, Actor::ParentMeanwhile, act, why, &entry.origin);
    }
    match &spec.limits.affinity {
        Some(cpus) => {
            let act = Act::Limit(Limit::Affinity(cpus.clone()));
            push(steps, Actor::ParentMeanwhile, act, "of those that the group has", spec.origins.of(Wish::Affinity));
        }
        None if spec.unsaid == Unsaid::Nothing => {
            push(steps, Actor::ParentMeanwhile, Act::Limit(Limit::AllCpus), super::limits::ANY_CPU, "");
        }
        None => {}
    }
    if let Some(scheduler) = spec.limits.scheduler {
        let act = Act::Limit(Limit::Scheduler(scheduler));
        let why = "a fork may undo it, or not be allowed with it, and the init was the last one";
        push(steps, Actor::ParentMeanwhile, act, why, spec.origins.of(Wish::Scheduler));
    }
}
