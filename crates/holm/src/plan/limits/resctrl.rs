//! Steps for a group of resctrl: it is made or found before there is a child, and says what is wished; the process inside is put into
//! it before it runs anything.

use super::Limit;
use crate::plan::push;
use crate::plan::step::{Act, Actor, Step};
use crate::spec::Spec;
use crate::spec::limits::Presence;
use crate::spec::origins::Wish;
use rustix::io::Errno;
use std::fmt;

/// What a step does about a group of resctrl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resctrl {
    /// Makes it, or opens it.
    Make {
        /// Its name; `None` is the default group.
        name: Option<String>,
        /// Whether it is there before.
        presence: Presence,
    },
    /// Writes lines into `schemata` of a group that was made; one that was there has to say the same.
    Agree(Vec<String>),
    /// Writes lines there.
    Write(Vec<String>),
    /// Makes a group of this name below it, which counts.
    Monitor(String),
    /// Puts the process inside into it, and into the one that counts.
    Enter,
}

impl fmt::Display for Resctrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resctrl::Make { name: None, .. } => f.write_str("use the default group of resctrl"),
            Resctrl::Make { name: Some(name), presence } => match presence {
                Presence::Needed => write!(f, "use resctrl group {name}"),
                Presence::Allowed => write!(f, "use resctrl group {name}, made if it is missing"),
                Presence::Refused => write!(f, "make resctrl group {name}"),
            },
            Resctrl::Agree(lines) => write!(f, "have its schemata be {}", lines.join(" ")),
            Resctrl::Write(lines) => write!(f, "set its schemata to {}", lines.join(" ")),
            Resctrl::Monitor(name) => write!(f, "make monitoring group {name} in it"),
            Resctrl::Enter => f.write_str("put the process inside into its resctrl group"),
        }
    }
}

/// Makes the group.
pub(super) fn prepare(spec: &Spec, steps: &mut Vec<Step>) {
    let Some(group) = &spec.limits.resctrl else { return };
    let mut add = |act, why| {
        let act = Limit::Resctrl { mounted: group.mounted.clone(), act };
        push(steps, Actor::Parent, Act::Limit(act), why, spec.origins.of(Wish::Resctrl));
    };
    let make = Resctrl::Make { name: group.name.clone(), presence: group.presence };
    add(make, "the kernel shares out caches and memory bandwidth by group");
    if !group.agreed.is_empty() {
        add(
            Resctrl::Agree(group.agreed.clone()),
            "in a group that is there before others would get another share, too",
        );
    }
    if !group.written.is_empty() {
        add(Resctrl::Write(group.written.clone()), "the kernel's own word for it");
    }
    if let Some(name) = &group.monitored {
        add(Resctrl::Monitor(name.clone()), "what is used is counted by group");
    }
}

/// Puts the process inside into it.
pub(super) fn enter(spec: &Spec, actor: Actor, steps: &mut Vec<Step>) {
    let Some(group) = &spec.limits.resctrl else { return };
    let act = Limit::Resctrl { mounted: group.mounted.clone(), act: Resctrl::Enter };
    push(steps, actor, Act::Limit(act), "all that it starts inherits it", spec.origins.of(Wish::Resctrl));
}

/// What would help when such a step fails.
pub(super) fn hint(act: &Resctrl, errno: Errno) -> &'static str {
    match (act, errno) {
        (Resctrl::Make { .. } | Resctrl::Monitor(_), Errno::ACCESS | Errno::PERM | Errno::ROFS) => {
            "only root makes such groups, where resctrl is mounted writable"
        }
        (Resctrl::Make { .. } | Resctrl::Monitor(_), Errno::NOSPC) => {
            "the processor has no more of them: see info/*/num_closids and num_rmids, and share one by closID"
        }
        (Resctrl::Make { presence: Presence::Needed, .. }, Errno::NOENT) => {
            "without l3CacheSchema, memBwSchema or schemata it has to be there before: make it, or say one of them"
        }
        (Resctrl::Make { .. }, Errno::EXIST) => {
            "it was there before, and may be another one's: closID names one that is shared, rmdir removes it"
        }
        (Resctrl::Monitor(_), Errno::EXIST) => "it was there before, and may be another one's: rmdir removes it",
        (Resctrl::Monitor(_), Errno::NOENT) => "this machine counts nothing: leave enableMonitoring out",
        (Resctrl::Agree(_), Errno::EXIST) => {
            "it was there before and says something else: leave the schema out, or name another closID"
        }
        (Resctrl::Agree(_) | Resctrl::Write(_), Errno::NOENT) => "this machine shares nothing out by resctrl",
        _ => "",
    }
}
