//! Floor 8: what this machine can't do for this caller, why, and what to do about it.
//!
//! [`look`] tries: each thing in a child of its own that ends at once (`tries`), and whole sandboxes (`sandboxes`), which end with
//! it, too; what can't be tried without changing something is read (`read`). All of it is one plain value, [`Facts`], and
//! [`judge`] is a pure function of it: a list of [`Finding`]s, the worst first. Nothing is changed and nothing is left
//! behind, and what hangs is ended after a bounded time.
//!
//! ```no_run
//! let facts = holm::doctor::look(&holm::doctor::Asked::default());
//! for finding in holm::doctor::judge(&facts) {
//!     println!("{}: {}", finding.status.name(), finding.title);
//! }
//! ```

mod aside;
pub mod facts;
mod judge;
mod needs;
#[doc(hidden)]
pub mod parsers;
mod read;
mod sandboxes;
mod tries;

pub use facts::Facts;
pub use judge::judge;

use std::ffi::OsString;
use std::path::PathBuf;

/// What is looked at besides the machine.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Where the caller keeps files, each with a name: `the store`.
    pub places: Vec<(&'static str, PathBuf)>,
    /// A program that is bound into a sandbox, and arguments with which it starts another one there and ends.
    pub within: Option<(PathBuf, Vec<OsString>)>,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Whole sandboxes.
    Start,
    /// System calls, and a filter in force.
    Calls,
    /// Namespaces.
    Namespaces,
    /// Users, groups and their maps.
    Ids,
    /// File systems and mounts.
    Mounts,
    /// Control groups.
    Groups,
    /// Limits and what is used of them.
    Limits,
    /// Security modules and the container around.
    Security,
    /// What can be seen of others.
    Sight,
    /// What newer kernels have.
    Kernel,
}

impl Area {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Area::Start => "start",
            Area::Calls => "system-calls",
            Area::Namespaces => "namespaces",
            Area::Ids => "ids",
            Area::Mounts => "mounts",
            Area::Groups => "control-groups",
            Area::Limits => "limits",
            Area::Security => "security",
            Area::Sight => "sight",
            Area::Kernel => "kernel",
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// No sandbox starts.
    Fatal,
    /// Something of holm is lost.
    Lost,
    /// Something is missing, and nothing of holm is lost.
    Absent,
    /// It works.
    Works,
}

impl Status {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Status::Fatal => "fatal",
            Status::Lost => "lost",
            Status::Absent => "absent",
            Status::Works => "works",
        }
    }
}

/// Whom a remedy reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// This run of a command.
    Run,
    /// This user.
    User,
    /// This program, whoever runs it.
    Program,
    /// This container.
    Container,
    /// All of the machine.
    Machine,
}

impl Reach {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Reach::Run => "this command",
            Reach::User => "this user",
            Reach::Program => "this program",
            Reach::Container => "this container",
            Reach::Machine => "the whole machine",
        }
    }
}

/// Who can do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// The caller.
    Caller,
    /// Root of the machine.
    Root,
    /// Whoever starts the container, outside of it.
    Outside,
}

impl By {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            By::Caller => "caller",
            By::Root => "root",
            By::Outside => "outside",
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Running a command.
    Command(String),
    /// Writing a file: its path, and all its text.
    File(String, String),
    /// Adding options to the command that starts the container around.
    Options(String),
    /// Something else, in words.
    Advice(String),
}

/// What to do, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// What to do, in this order.
    pub deeds: Vec<Deed>,
    /// Who can.
    pub by: By,
    /// Whom it reaches.
    pub reach: Reach,
    /// What becomes weaker; empty if nothing does.
    pub weakens: &'static str,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A word for programs, the same in each version: `user-namespaces`.
    pub check: &'static str,
    /// What it is about.
    pub area: Area,
    /// How bad it is.
    pub status: Status,
    /// What can or can't be done.
    pub title: String,
    /// What was seen; empty if the title says it.
    pub value: String,
    /// Why; empty if it works.
    pub cause: String,
    /// What of holm is lost; empty if nothing is.
    pub lost: String,
    /// Ways out, the narrowest first.
    pub remedies: Vec<Remedy>,
}

/// The worst of all.
pub fn verdict(findings: &[Finding]) -> Status {
    findings.iter().map(|finding| finding.status).min().filter(|worst| *worst < Status::Absent).unwrap_or(Status::Works)
}

/// Tries and reads all of it.
pub fn look(asked: &Asked) -> Facts {
    let mut trials = tries::Trials::new();
    trials.all((rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()));
    // What kills a child that tries it would kill this process: it makes only what is known by now not to.
    let tried = Facts { tries: std::mem::take(&mut trials.done), ..Facts::default() };
    let limits = sandboxes::limits();
    let host = read::host(&tried, limits.clone());
    let mut facts = read::facts(tried, &host);
    let controllers = sandboxes::controllers(&host, limits);
    for (name, directory) in sandboxes::places(&controllers) {
        trials.group(name, directory);
    }
    trials.group_file("cgroup.kill", &host.limits.groups);
    facts.controllers = controllers.into_iter().map(|(controller, _)| controller).collect();
    facts.tries.extend(trials.done);
    if facts.kills_starts().is_empty() {
        facts.spots = read::spots(asked);
        facts.sandboxes = sandboxes::start(asked, &facts);
    }
    facts
}
