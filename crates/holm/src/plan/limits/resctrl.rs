//! Steps for a group of resctrl: it is made or found before there is a child, and says what is wished; the process inside is put into
//! it before it runs anything. A name is that of a directory right below where resctrl is mounted, or no name.

use super::Limit;
use crate::model::resctrl::unfit;
use crate::plan::check::Found;
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
    /// Makes it, or opens it, and has it say what is wished. All that is one step: others are to find it whole.
    Make {
        /// Its name; `None` is the default group.
        name: Option<String>,
        /// Whether it is there before.
        presence: Presence,
        /// Lines that are written into `schemata` of a group that was made; one that was there has to say the same.
        agreed: Vec<String>,
        /// Lines that are written there in any case.
        written: Vec<String>,
    },
    /// Makes or opens a group of this name below it, which counts.
    Monitor(String, Presence),
    /// Puts the process inside into it, and into the one that counts.
    Enter,
}

impl fmt::Display for Resctrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resctrl::Make { name, presence, agreed, written } => {
                match (name, presence) {
                    (None, _) => f.write_str("use the default group of resctrl")?,
                    (Some(name), Presence::Refused) => write!(f, "make resctrl group {name}")?,
                    (Some(name), _) => write!(f, "use resctrl group {name}")?,
                }
                if *presence == Presence::Allowed {
                    f.write_str(", made if it is missing")?;
                }
                if !agreed.is_empty() {
                    write!(f, ", whose schemata say {}", agreed.join(" "))?;
                }
                if !written.is_empty() {
                    write!(f, ", and set its schemata to {}", written.join(" "))?;
                }
                Ok(())
            }
            Resctrl::Monitor(name, Presence::Needed) => write!(f, "use monitoring group {name} in it"),
            Resctrl::Monitor(name, _) => write!(f, "make monitoring group {name} in it"),
            Resctrl::Enter => f.write_str("put the process inside into its resctrl group"),
        }
    }
}

/// Every reason against its names.
pub(super) fn check(spec: &Spec, found: &mut Found) {
    let Some(group) = &spec.limits.resctrl else { return };
    let counting = group.monitored.as_ref().map(|(name, _)| name);
    for (what, name) in [("resctrl group", group.name.as_ref()), ("monitoring group", counting)] {
        if let Some((name, cause)) = name.and_then(|name| Some((name, unfit(name)?))) {
            let hint = "a group has the name of its closID, or else the container's, which one that counts has, too";
            found.add(spec.origins.of(Wish::Resctrl), format!("cannot use {what} {name:?}: {cause}"), hint);
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
    let make = Resctrl::Make {
        name: group.name.clone(),
        presence: group.presence,
        agreed: group.agreed.clone(),
        written: group.written.clone(),
    };
    add(make, "the kernel shares out caches and memory bandwidth by group");
    if let Some((name, presence)) = &group.monitored {
        add(Resctrl::Monitor(name.clone(), *presence), "what is used is counted by group");
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
        (_, Errno::AGAIN) => {
            "another program keeps the lock of the file system's directory (flock(2)): lslocks names it"
        }
        (Resctrl::Make { .. } | Resctrl::Monitor(..), Errno::ACCESS | Errno::PERM | Errno::ROFS) => {
            "only root makes such groups, where resctrl is mounted writable"
        }
        (Resctrl::Make { .. } | Resctrl::Monitor(..), Errno::NOSPC) => {
            "the processor has no more of them: see info/*/num_closids and num_rmids, and share one by closID"
        }
        (Resctrl::Make { name: Some(_), presence: Presence::Needed, .. }, Errno::NOENT) => {
            "without l3CacheSchema, memBwSchema or schemata it has to be there before: make it, or say one of them"
        }
        (Resctrl::Make { .. }, Errno::NOENT) => "this machine shares nothing out by resctrl",
        (Resctrl::Make { presence: Presence::Refused, .. }, Errno::EXIST) => {
            "it was there before, and may be another one's: closID names one that is shared, rmdir removes it"
        }
        (Resctrl::Make { .. }, Errno::EXIST) => {
            "it was there before and says something else: leave the schema out, or name another closID"
        }
        (Resctrl::Monitor(..), Errno::EXIST) => "it was there before, and may be another one's: rmdir removes it",
        (Resctrl::Monitor(..), Errno::NOENT) => "this machine counts nothing: leave enableMonitoring out",
        (Resctrl::Enter, Errno::NOENT) => "somebody has removed it: mkdir makes it",
        _ => "",
    }
}
