//! Where wishes came from that are made once, for messages.

use super::Origin;
use crate::model::label::Module;
use crate::model::namespace::Namespace;

/// A wish that is made once, or as one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// [`Spec::root`](crate::Spec::root).
    Root,
    /// [`Spec::writes`](crate::Spec::writes).
    Writes,
    /// [`Choice::Share`](super::namespaces::Choice::Share) of this kind.
    Share(Namespace),
    /// [`Namespaces::time`](super::namespaces::Namespaces::time).
    Time,
    /// [`Namespaces::devices`](super::namespaces::Namespaces::devices).
    Devices,
    /// [`Spec::visit`](super::Spec::visit).
    Visit,
    /// [`Identity::user`](super::identity::Identity::user).
    User,
    /// [`Spec::hostname`](crate::Spec::hostname).
    Hostname,
    /// [`Spec::domain`](crate::Spec::domain).
    Domain,
    /// [`Spec::settings`](crate::Spec::settings).
    Settings,
    /// [`Identity::groups`](super::identity::Identity::groups).
    Groups,
    /// [`Spec::directory`](crate::Spec::directory).
    Directory,
    /// [`Environment::base`](super::life::Environment::base).
    EnvironmentBase,
    /// [`Environment::changes`](super::life::Environment::changes).
    Environment,
    /// [`Spec::descriptors`](crate::Spec::descriptors).
    Descriptors,
    /// [`Spec::terminal`](crate::Spec::terminal).
    Terminal,
    /// [`Policy::calls`](super::policy::Policy::calls).
    Calls,
    /// [`Policy::capabilities`](super::policy::Policy::capabilities).
    Capabilities,
    /// [`Policy::nesting`](super::policy::Policy::nesting).
    Nesting,
    /// [`Policy::new_privileges`](super::policy::Policy::new_privileges).
    NewPrivileges,
    /// [`Policy::proc`](super::policy::Policy::proc).
    Proc,
    /// [`Policy::sys`](super::policy::Policy::sys).
    Sys,
    /// [`Policy::denials`](super::policy::Policy::denials).
    Denials,
    /// The one of [`Policy::labels`](super::policy::Policy::labels) that is this module's.
    Label(Module),
    /// [`Limits::memory`](super::limits::Limits::memory).
    Memory,
    /// [`Limits::swap`](super::limits::Limits::swap).
    Swap,
    /// [`Limits::pids`](super::limits::Limits::pids).
    Pids,
    /// [`Limits::cpus`](super::limits::Limits::cpus).
    Cpus,
    /// One of [`Limits::io`](super::limits::Limits::io), counted from 0.
    Io(usize),
    /// One of [`Limits::resources`](super::limits::Limits::resources), counted from 0.
    Resource(usize),
    /// [`Spec::propagation`](super::Spec::propagation).
    Propagation,
    /// [`Limits::groups`](super::limits::Limits::groups).
    NamedGroups,
    /// [`Limits::resctrl`](super::limits::Limits::resctrl).
    Resctrl,
    /// [`Limits::timeout`](super::limits::Limits::timeout).
    Timeout,
    /// [`Limits::nice`](super::limits::Limits::nice).
    Nice,
    /// [`Limits::affinity`](super::limits::Limits::affinity).
    Affinity,
    /// [`Limits::scheduler`](super::limits::Limits::scheduler).
    Scheduler,
    /// [`Limits::io_priority`](super::limits::Limits::io_priority).
    IoPriority,
    /// [`Limits::memory_policy`](super::limits::Limits::memory_policy).
    MemoryPolicy,
    /// [`Spec::personality`](super::Spec::personality).
    Personality,
    /// [`Limits::oom_score`](super::limits::Limits::oom_score).
    OomScore,
}

impl Wish {
    /// The options of the command line that make it.
    fn options(self) -> &'static str {
        match self {
            Wish::Root => "--root",
            Wish::Writes => "--rw, --overlay",
            Wish::Share(_) => "--share",
            Wish::Time => "--time-offset",
            Wish::Devices | Wish::Visit => "",
            Wish::User => "--user",
            Wish::Hostname => "--hostname",
            Wish::Domain | Wish::Settings | Wish::Groups | Wish::NamedGroups | Wish::Resctrl | Wish::Propagation => "",
            Wish::Scheduler | Wish::IoPriority | Wish::MemoryPolicy | Wish::Personality => "",
            Wish::Label(_) => "",
            Wish::Directory => "--chdir",
            Wish::EnvironmentBase => "--env-all",
            Wish::Environment => "--env",
            Wish::Descriptors => "--pass-fd",
            Wish::Terminal => "--tty",
            Wish::Calls => "--seccomp",
            Wish::Capabilities => "--cap-add",
            Wish::Nesting => "--allow-userns",
            Wish::NewPrivileges => "--new-privs",
            Wish::Proc => "--proc",
            Wish::Sys => "--sys",
            Wish::Denials => "--log-denied",
            Wish::Memory => "--memory",
            Wish::Swap => "--swap",
            Wish::Pids => "--pids",
            Wish::Cpus => "--cpus",
            Wish::Io(_) => "--io",
            Wish::Resource(_) => "--rlimit",
            Wish::Timeout => "--timeout",
            Wish::Nice => "--nice",
            Wish::Affinity => "--cpu-affinity",
            Wish::OomScore => "--oom-score",
        }
    }
}

/// What is known of these.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins(Vec<(Wish, Origin)>);

impl Origins {
    /// Notes where the wish comes from that counts.
    pub fn set(&mut self, wish: Wish, origin: impl Into<Origin>) {
        self.0.retain(|(known, _)| *known != wish);
        self.0.push((wish, origin.into()));
    }

    /// Notes where one more part of a list comes from.
    pub fn add(&mut self, wish: Wish, origin: &str) {
        match self.0.iter_mut().find(|(known, _)| *known == wish) {
            Some((_, before)) if before.split(", ").any(|one| one == origin) => {}
            Some((_, before)) => *before = format!("{before}, {origin}"),
            None => self.set(wish, origin),
        }
    }

    /// Where a wish comes from; the option that makes it if nothing was noted.
    pub fn of(&self, wish: Wish) -> &str {
        self.0.iter().find(|(known, _)| *known == wish).map_or(wish.options(), |(_, origin)| origin)
    }
}
