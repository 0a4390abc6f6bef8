//! Wishes about what the program may ask of the kernel. The default refuses what ordinary programs don't need; each
//! other choice is weaker or stricter, and says so (`Plan::weaker`).

use crate::model::capability::Capability;
use crate::model::label::Label;
use crate::model::seccomp::Filter;

/// Which system calls are answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Calls {
    /// Those of [`Policy::Default`](crate::model::seccomp::policy::Policy::Default), with what the wished capabilities
    /// need.
    #[default]
    Default,
    /// Those of [`Policy::Strict`](crate::model::seccomp::policy::Policy::Strict).
    Strict,
    /// All.
    All,
    /// What this filter says. It holds for pid 1, too.
    Filter(Filter),
}

/// Whether the program may make further user namespaces, and all others in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nesting {
    /// No: inside one it would have every capability, and reach much more of the kernel.
    #[default]
    Refused,
    /// Yes.
    Allowed,
}

/// Whether a program inside may get rights by execve(2): by set-user-id bits and file capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NewPrivileges {
    /// No (`PR_SET_NO_NEW_PRIVS`, prctl(2)).
    #[default]
    Refused,
    /// Yes, over the sandbox's own ids.
    Allowed,
}

/// What is seen of `/proc`, wherever it is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProcView {
    /// Everything but what tells about or changes the machine.
    #[default]
    Guarded,
    /// Processes only (`subset=pid`, proc(5)).
    Processes,
    /// Everything.
    Full,
}

/// What is seen of `/sys`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SysView {
    /// Nothing.
    #[default]
    None,
    /// Everything, read-only.
    ReadOnly,
}

/// Who is asked by the filter's notifications (seccomp_unotify(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Denials {
    /// Nobody.
    #[default]
    Untold,
    /// The caller, who keeps what is refused ([`Child::denied`](crate::Child::denied)). Each refused call, and each call on a
    /// path or address, then waits for it.
    Told,
    /// Whoever gets the listener ([`Held::listener`](crate::run::Held::listener)), about what the filter itself asks
    /// ([`Action::Notify`](crate::model::seccomp::Action::Notify)). Until then all calls are the set-up's, and go on.
    HandedOver,
}

/// The five sets of capabilities(7), as bits by [`Capability::bit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapabilitySets {
    /// What execve(2) can give at most.
    pub bounding: u64,
    /// What counts.
    pub effective: u64,
    /// What can count.
    pub permitted: u64,
    /// What files can hand on.
    pub inheritable: u64,
    /// What programs without file capabilities keep.
    pub ambient: u64,
}

impl CapabilitySets {
    /// What is in any of them.
    fn any(&self) -> u64 {
        self.bounding | self.effective | self.permitted | self.inheritable | self.ambient
    }
}

impl Policy {
    /// Whether the program could come to have this capability, as its sets say; without sets of its own nothing says that it can't.
    pub fn may_hold(&self, capability: Capability) -> bool {
        self.sets.is_none_or(|sets| sets.any() & capability.bit() != 0)
    }
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Which system calls are answered.
    pub calls: Calls,
    /// Capabilities that the program has, over the sandbox's own namespaces.
    pub capabilities: Vec<Capability>,
    /// If there are, each set by itself instead.
    pub sets: Option<CapabilitySets>,
    /// Further user namespaces.
    pub nesting: Nesting,
    /// Rights by execve.
    pub new_privileges: NewPrivileges,
    /// `/proc`.
    pub proc: ProcView,
    /// `/sys`.
    pub sys: SysView,
    /// What is refused.
    pub denials: Denials,
    /// What security modules have the program run as: one of each at most.
    pub labels: Vec<Label>,
    /// Keys of the session.
    pub keyring: Keyring,
}

/// The session keyring of the program (session-keyring(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keyring {
    /// A new one, without keys.
    #[default]
    New,
    /// That of the caller, with all keys in it.
    Caller,
}
