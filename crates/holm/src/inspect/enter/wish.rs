//! What of an open place is wished, and the wish that comes of it.
//!
//! What is entered may do no more than the process whose place it is: it gets that one's ids, capabilities and limits, and never
//! a way to more (no_new_privs). Capabilities and ids are taken with the user namespace that they hold in, not without.

use super::about::{limits, own_limits, stricter};
use super::order::{Caller, Next, Stop, Wanted, order};
use super::{Closed, Error, Held, Opened, Proc, Process};
use crate::model::capability::Capability;
use crate::model::namespace::{Namespace, NamespaceSet};
use crate::spec::Spec;
use crate::spec::entry::{Entry, Supplementary};
use crate::spec::identity::User;
use crate::spec::life::Change;
use crate::spec::namespaces::{Choice, Target};
use crate::spec::origins::Wish as From;
use rustix::thread::CapabilitySet;
use std::ffi::OsString;
use std::os::fd::AsRawFd;

/// What else of a process is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its root directory.
    Root,
    /// Its current directory.
    Directory,
    /// Its control groups.
    Groups,
    /// Its user and group.
    Ids,
    /// Its capabilities.
    Capabilities,
    /// Its resource limits, where they are stricter than the caller's.
    Limits,
    /// Its environment.
    Environment,
}

/// What of a place is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// These namespaces; `None` is all that differ from the caller's.
    pub kinds: Option<NamespaceSet>,
    /// What else.
    pub parts: Vec<Part>,
}

impl Default for Wish {
    /// All but the environment.
    fn default() -> Wish {
        use Part::{Capabilities, Directory, Groups, Ids, Limits, Root};
        Wish { kinds: None, parts: vec![Root, Directory, Groups, Ids, Capabilities, Limits] }
    }
}

impl Opened {
    /// The wish to run `program` there. `origin` says who wishes it, for messages. The descriptors in it are this value's, which
    /// has to be kept until the program runs.
    ///
    /// # Errors
    /// What is wished can't be entered from where the caller is, or nothing differs.
    pub fn spec(&self, program: impl Into<OsString>, wish: &Wish, origin: &str) -> Result<Spec, Error> {
        let missing =
            |kind: &Namespace| wish.kinds.is_some_and(|kinds| kinds.contains(*kind)) && self.held(*kind).is_none();
        if let Some(kind) = Namespace::ALL.into_iter().find(missing) {
            return Err(Error::Shared(kind));
        }
        let order = self.order(wish)?;
        let mut entry = self.entry(&order, wish, origin);
        if order.is_empty() && entry.root.is_none() {
            return Err(Error::Nothing);
        }
        let mut spec = Spec::new(program);
        for kind in Namespace::ALL {
            spec.origins.set(From::Share(kind), origin);
            // Of several user namespaces the last is the one to be in.
            let entered = entry.namespaces.iter().rev().find(|(entered, _)| *entered == kind);
            let join = |(_, target): &(Namespace, Target)| Choice::Join(target.clone(), origin.to_owned());
            spec.namespaces.choices.push((kind, entered.map_or(Choice::Share, join)));
        }
        let process = self.process.as_ref();
        let there = process.filter(|_| self.ends_in_its_user(&order));
        match there.filter(|_| self.user.is_some()) {
            Some(process) => {
                entry.reaches_root = process.about.reaches_root;
                let fixed = process.about.fixed_groups;
                entry.supplementary = if fixed { Supplementary::Stay } else { Supplementary::Dropped };
            }
            None if self.user.is_none() && caller() == Caller::Privileged => {
                entry.supplementary = Supplementary::Dropped
            }
            None => {}
        }
        spec.entry = Some(entry);
        if let Some(process) = there {
            take_rights(&mut spec, process, wish, origin)?;
        }
        if let Some(process) = process {
            take_surroundings(&mut spec, process, wish, origin)?;
        }
        Ok(spec)
    }

    /// What is entered, without what its user namespace says.
    fn entry(&self, order: &[Next], wish: &Wish, origin: &str) -> Entry {
        let takes = |part| wish.parts.contains(&part);
        let mounts = order.contains(&Next::Other(Namespace::Mount));
        let own_mounts = self.held(Namespace::Mount).is_none();
        let process = self.process.as_ref();
        let root = process.filter(|process| takes(Part::Root) && (mounts || own_mounts && process.chroot));
        let directory = process.filter(|_| takes(Part::Directory) && (mounts || own_mounts));
        Entry {
            name: self.name.clone(),
            namespaces: order.iter().map(|next| self.target(next)).collect(),
            root: root.map(|process| process.root.as_raw_fd()),
            directory: directory.and_then(|process| Some(process.directory.as_ref()?.as_raw_fd())),
            first_cpus: None,
            groups: process.filter(|_| takes(Part::Groups)).map(groups).unwrap_or_default(),
            supplementary: Supplementary::Stay,
            reaches_root: rustix::process::geteuid().is_root(),
            filtered: process.is_some_and(|process| process.about.filtered),
            origin: origin.to_owned(),
        }
    }

    /// Whether who goes this way ends in the user namespace of the process: its ids and capabilities mean something there alone.
    fn ends_in_its_user(&self, order: &[Next]) -> bool {
        match (&self.user, order.iter().rev().find(|next| matches!(next, Next::User(_)))) {
            (Some(user), Some(Next::User(inode))) => user.last() == Some(inode),
            (None, None) => self.held(Namespace::User).is_none(),
            _ => false,
        }
    }

    fn order(&self, wish: &Wish) -> Result<Vec<Next>, Error> {
        let is_wanted = |held: &&Held| wish.kinds.is_none_or(|kinds| kinds.contains(held.kind));
        let wanted: Vec<&Held> = self.namespaces.iter().filter(is_wanted).collect();
        let user = match wanted.iter().find(|held| held.kind == Namespace::User) {
            Some(user) => Some(user.owner.as_ref().ok_or(Error::Closed(Namespace::User))?),
            None => None,
        };
        let others = wanted.iter().filter(|held| held.kind != Namespace::User);
        let others: Vec<Wanted> = others.map(|held| Wanted { kind: held.kind, owner: held.owner.clone() }).collect();
        order(&others, user, caller()).map_err(|stop| match stop {
            Stop::Closed(kind) => Error::Closed(kind),
            Stop::Apart(kind) => Error::Apart(kind),
        })
    }

    fn target(&self, next: &Next) -> (Namespace, Target) {
        let named = |descriptor: i32, of: String| Target::Opened { descriptor, of };
        match next {
            Next::User(inode) => {
                let descriptor = self.users.get(inode).map_or(-1, AsRawFd::as_raw_fd);
                let own = self.user.as_ref().is_some_and(|user| user.last() == Some(inode));
                let of = if own { self.name.clone() } else { format!("the owner of namespaces of {}", self.name) };
                (Namespace::User, named(descriptor, of))
            }
            Next::Other(kind) => {
                let descriptor = self.held(*kind).map_or(-1, |held| held.opened.as_raw_fd());
                (*kind, named(descriptor, self.name.clone()))
            }
        }
    }

    /// Control groups of the process that the caller can put nothing into: their limits don't bind what is entered.
    pub fn closed_groups(&self) -> Vec<Closed> {
        let groups = self.process.iter().flat_map(|process| &process.groups);
        let closed =
            groups.filter_map(|group| Some(Closed { path: group.path.clone(), errno: *group.opened.as_ref().err()? }));
        closed.collect()
    }

    /// What is wrong with `/proc` for whoever is entered by `spec`; `None` if nothing is.
    pub fn proc_trouble(&self, spec: &Spec) -> Option<&'static str> {
        let joins = |kind| matches!(spec.namespaces.choice(kind), Choice::Join(..));
        let seen = match &self.process {
            Some(process) if joins(Namespace::Mount) => process.proc,
            _ if joins(Namespace::Mount) => return None,
            _ => Proc::Callers,
        };
        match (seen, joins(Namespace::Pid)) {
            (Proc::None, _) => Some("/proc in there is no proc file system: ps and the like find nothing"),
            (Proc::Callers, true) => {
                Some("/proc shows processes of the caller's pid namespace, not of the one entered")
            }
            (Proc::Others, false) => Some("/proc shows processes of a pid namespace that is not entered"),
            _ => None,
        }
    }
}

fn take_rights(spec: &mut Spec, process: &Process, wish: &Wish, origin: &str) -> Result<(), Error> {
    if wish.parts.contains(&Part::Ids) {
        let (uid, gid) = process.about.ids.ok_or(Error::NoIds)?;
        spec.identity.user = User::Ids { uid, gid };
        spec.origins.set(From::User, origin);
    }
    if wish.parts.contains(&Part::Capabilities) {
        let held = Capability::all().filter(|one| process.about.capabilities & one.bit() != 0);
        spec.policy.capabilities = held.collect();
        spec.origins.set(From::Capabilities, origin);
    }
    Ok(())
}

fn take_surroundings(spec: &mut Spec, process: &Process, wish: &Wish, origin: &str) -> Result<(), Error> {
    let source = process.program.as_ref().unwrap_or(&process.open);
    if wish.parts.contains(&Part::Limits) {
        let theirs = source.text(c"limits").map_err(|_| Error::Ended)?;
        spec.limits.resources = stricter(&limits(&theirs), &own_limits());
        (0..spec.limits.resources.len()).for_each(|place| spec.origins.set(From::Resource(place), origin));
    }
    if wish.parts.contains(&Part::Environment) {
        let variables = source.environment().map_err(|errno| Error::Refused { what: "environment", errno })?;
        spec.environment.changes.extend(variables.into_iter().map(|(name, value)| Change::Set(name, value)));
    }
    Ok(())
}

fn groups(process: &Process) -> Vec<(std::path::PathBuf, i32)> {
    let open = process.groups.iter();
    open.filter_map(|group| Some((group.path.clone(), group.opened.as_ref().ok()?.as_raw_fd()))).collect()
}

fn caller() -> Caller {
    let has = rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
    if has { Caller::Privileged } else { Caller::Ordinary }
}
