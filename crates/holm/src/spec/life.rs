//! Wishes about the program and its life: arguments, environment, descriptors, terminal.

use std::ffi::OsString;

/// The program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// A name, looked up on the PATH inside, or a path inside.
    pub name: OsString,
    /// Its arguments, without the zeroth.
    pub arguments: Vec<OsString>,
    /// Its zeroth argument; `None` is `name`.
    pub zeroth: Option<OsString>,
}

impl Program {
    /// `name` without arguments.
    pub fn new(name: OsString) -> Program {
        Program { name, arguments: Vec::new(), zeroth: None }
    }
}

/// What the environment starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Base {
    /// PATH, HOME, USER, SHELL for inside; TERM and LANG as the caller's.
    #[default]
    Clean,
    /// All of the caller's.
    Caller,
    /// Nothing.
    Empty,
}

/// The environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    /// What it starts from.
    pub base: Base,
    /// Changes, in order.
    pub changes: Vec<Change>,
}

/// One change to the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets a variable.
    Set(OsString, OsString),
    /// Passes the caller's value on; without one nothing changes.
    Pass(OsString),
    /// Removes a variable.
    Unset(OsString),
    /// Sets HOME, unless something but nothing is in it by now, to what the line of the program's user in `/etc/passwd` inside
    /// says; `/` if no line does (passwd(5)).
    FindHome,
}

/// One of the three standard descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stdio {
    /// The caller's.
    #[default]
    Inherit,
    /// `/dev/null` of the host.
    Null,
    /// A pipe, whose other end is in the [`Child`](crate::Child).
    Piped,
    /// This descriptor of the caller.
    Descriptor(i32),
}

/// How long a sandbox lives, and who its first process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lifetime {
    /// As long as its owner: a small init is pid 1, starts the program, and ends with the [`Child`](crate::Child).
    #[default]
    Owned,
    /// Its own: the first process waits until it is started, perhaps at a [`Door`](crate::run::Door), and then becomes the
    /// program itself. It is held first ([`Plan::hold`](crate::plan::Plan)), and then let go or started.
    Detached,
}

/// Whether the maker of a detached sandbox does something in it while the caller's root is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Visit {
    /// No.
    #[default]
    None,
    /// Yes, once its namespaces and mounts are made: then its root, a [`Root::Directory`](super::filesystem::Root), is mounted where
    /// that directory is, and what is mounted in it shows there. For who holds it ([`Plan::hold_visited`](crate::plan::Plan)).
    BeforePivot,
}

/// Whether the program gets a terminal of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Terminal {
    /// No: descriptors are what [`Spec::stdio`](crate::Spec) says, and no terminal is the controlling one.
    #[default]
    None,
    /// Yes, from the sandbox's own `/dev/ptmx`, as standard input, output and error. The caller gets the controlling side.
    Own,
    /// The same, and it is mounted on `/dev/console`, too.
    Console,
}
