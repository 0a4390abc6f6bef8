//! Wishes about a place that exists and is entered instead of one that is made: the namespaces, root and directory of a process.
//!
//! Whoever fills it opens everything first ([`inspect::enter`](crate::inspect::enter)): a pid or a path that is used twice may
//! mean two things. The descriptors are the caller's and stay open until the program runs.

use super::Origin;
use super::namespaces::Target;
use crate::model::limit::CpuList;
use crate::model::namespace::Namespace;
use std::path::PathBuf;

/// A place to enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What is entered, for people: `process 4711`.
    pub name: String,
    /// Its namespaces, in the order in which they are entered. User namespaces may come more than once: each is entered just
    /// before what it owns, since that gives the rights over it (user_namespaces(7)).
    pub namespaces: Vec<(Namespace, Target)>,
    /// A descriptor of the directory that becomes the root (chroot(2)); `None` leaves that of the mount namespace.
    pub root: Option<i32>,
    /// A descriptor of the directory to start in; `/` instead where it is not below the root.
    pub directory: Option<i32>,
    /// Control groups to be put into: where each is, and a descriptor of its `cgroup.procs`.
    pub groups: Vec<(PathBuf, i32)>,
    /// CPUs that the set-up runs on, until it is in those groups (sched_setaffinity(2)); the caller's without.
    pub first_cpus: Option<CpuList>,
    /// What becomes of the caller's supplementary groups.
    pub supplementary: Supplementary,
    /// Whether a user inside is user 0 outside.
    pub reaches_root: bool,
    /// Whether a filter of system calls is in force in there, which can't be seen from outside.
    pub filtered: bool,
    /// From which wish it came.
    pub origin: Origin,
}

/// What becomes of supplementary groups in a user namespace (user_namespaces(7), "setgroups").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supplementary {
    /// They are dropped.
    Dropped,
    /// They stay: setgroups(2) was given up there, or whether it was isn't known.
    Stay,
}
