//! Floor 4: from a wish and facts to a numbered list of steps. Pure: no file is read, nothing is made.
//!
//! [`check`] finds every contradiction at once; the chapters `namespaces`, `identity`, `root`, `limits` and `life` then lower the
//! wish to steps in the order in which they are done; `explain` and `shell` print them. One number names a step in all
//! three places: explanation, error message, fault injection.

mod apart;
mod check;
mod entry;

pub(crate) mod hint;
mod identity;
mod life;
pub mod limits;
mod namespaces;
pub(crate) mod options;
mod policy;
mod root;
mod shell;
mod weaker;

pub mod step;

pub use check::{Blame, Reason, Refusal};
pub use weaker::Weaker;

use crate::host::Host;
use crate::spec::Spec;
use crate::spec::life::{Lifetime, Stdio, Terminal};
use std::ffi::OsString;
use std::path::PathBuf;
use step::{Act, Actor, Step};

/// What will be done, in order. Made by [`Plan::new`], printed by [`Plan::explain`], carried out by
/// [`Plan::spawn`](crate::run).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) launch: Launch,
    pub(crate) weaker: Vec<Weaker>,
    /// The step that fails on purpose, and with which errno: the fault-injection test's way in.
    pub(crate) fault: Option<(usize, i32)>,
}

/// What the last step starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    /// The program's name as wished.
    pub(crate) name: OsString,
    /// The paths inside that are tried, in order.
    pub(crate) paths: Vec<PathBuf>,
    /// All arguments, the zeroth included.
    pub(crate) arguments: Vec<OsString>,
    /// The environment, in order.
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) stdio: [Stdio; 3],
    pub(crate) descriptors: Vec<i32>,
    pub(crate) held: Option<i32>,
    pub(crate) terminal: Terminal,
    pub(crate) lifetime: Lifetime,
    pub(crate) wait_all: bool,
    /// Whether the kernel ends everybody with pid 1, since the pid namespace is new.
    pub(crate) own_pids: bool,
    /// Whether a time namespace waits for a fork.
    pub(crate) new_time: bool,
    /// Whether the child needs memory of its own: to join a time namespace (setns(2)), or for an out-of-memory score, which
    /// the kernel gives to all that share it.
    pub(crate) own_memory: bool,
}

impl Plan {
    /// Plans `spec` on `host`.
    ///
    /// # Errors
    /// Every contradiction in the wish and every fact that makes it impossible, at once.
    pub fn new(spec: &Spec, host: &Host) -> Result<Plan, Refusal> {
        let reasons = check::check(spec, host);
        if !reasons.is_empty() {
            return Err(Refusal { reasons });
        }
        let mut steps = Vec::new();
        namespaces::prepare(spec, &mut steps);
        limits::prepare(spec, host, &mut steps);
        root::prepare(spec, &mut steps);
        namespaces::prepare_names(spec, &mut steps);
        namespaces::make(spec, host, &mut steps);
        limits::apply(spec, host, &mut steps);
        identity::map(spec, host, &mut steps);
        namespaces::shift_clocks(spec, &mut steps);
        identity::take_early(spec, host, &mut steps);
        limits::view(spec, &mut steps);
        namespaces::fill(spec, &mut steps);
        root::build(spec, host, &mut steps);
        entry::take_root(spec, &mut steps);
        namespaces::finish(spec, &mut steps);
        let launch = life::launch(spec, host);
        life::settle(spec, host, &launch, &mut steps);
        Ok(Plan { steps, launch, weaker: weaker::weaker(spec, host), fault: None })
    }

    /// The steps in order; a step's number is its place, from 1 on.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What is weaker than in the default sandbox, by wish or by what the machine lacks.
    pub fn weaker(&self) -> &[Weaker] {
        &self.weaker
    }

    /// The number of the step that starts the child; what a start needs besides belongs to it.
    pub(crate) fn clone_step(&self) -> usize {
        self.steps.iter().position(|step| matches!(step.act, Act::Clone(_))).map_or(1, |place| place + 1)
    }

    /// Makes step `number` fail with `errno` instead of being done. For tests of what is left behind.
    #[doc(hidden)]
    pub fn fail_step(&mut self, number: usize, errno: i32) {
        self.fault = Some((number, errno));
    }
}

/// Appends steps; every chapter uses it so that a step always has a reason and an origin.
fn push(steps: &mut Vec<Step>, actor: Actor, act: Act, why: &'static str, origin: &str) {
    steps.push(Step { actor, act, why, origin: origin.to_owned() });
}
