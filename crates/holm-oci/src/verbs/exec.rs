//! `exec`: one more process in a container.
//!
//! Its first process is opened by a descriptor, and everything of it by that (`holm::inspect::enter`): a pid that was given anew
//! is noticed. No lock is held: what is entered ends with the container, and nothing about it is noted.

use super::What;
use super::create::{unstarted, write_pid};
use super::hand_over::Listeners;
use super::terminal::Console;
use crate::group::Group;
use crate::lower::{self, Lowered, Surroundings, further};
use crate::resctrl::Resctrl;
use crate::state::{Place, Process, Record, Status};
use crate::{Error, Result};
use holm::Spec;
use holm::host::groups::Hierarchy;
use holm::host::inherited;
use holm::inspect::enter::{self, Opened, Part, Wish};
use holm::model::capability::Capability;
use holm::run::NotStarted;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What is to be run, and where.
#[derive(Debug, Clone)]
pub struct Exec {
    /// The state directory.
    pub root: PathBuf,
    /// The container's name.
    pub id: String,
    /// The process.
    pub what: What,
    /// Whether it gets a terminal, whatever `what` says.
    pub terminal: holm::spec::life::Terminal,
    /// Where the pid is written.
    pub pid_file: Option<PathBuf>,
    /// Who gets the controlling side of its terminal.
    pub console: Console,
    /// Who listens at this socket gets a descriptor of it (pidfd_open(2)).
    pub pidfd_socket: Option<PathBuf>,
    /// Those of so many descriptors from 3 on are passed on that are open.
    pub preserved: i32,
    /// What becomes of it in a container that is paused.
    pub paused: Paused,
    /// Groups below the container's, `[CONTROLLER,...:]PATH`; else its own.
    pub groups: Vec<String>,
}

/// What becomes of a process for a container that is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paused {
    /// It is refused.
    #[default]
    Refused,
    /// It waits until the container goes on.
    Waits,
}

/// A process that runs in a container.
#[derive(Debug)]
pub struct Executed {
    /// The process, a child of this one (pidfd_open(2)).
    pub process: OwnedFd,
    /// The controlling side of its terminal, if the caller gets it.
    pub terminal: Option<OwnedFd>,
    /// What is done otherwise than asked.
    pub warnings: Vec<String>,
    /// What else helps to find out what went on.
    pub details: Vec<String>,
}

/// Runs one more process in a container; returns once its program runs.
///
/// # Errors
/// There is no such container, or it doesn't run; the process is refused; it can't be executed.
pub fn exec(wish: &Exec) -> Result<Executed> {
    let record = running(wish)?;
    let init = record.process.ok_or_else(|| refused(&wish.id, "it was never made whole"))?;
    let (process, mut told) = wish.what.process(&record.own)?;
    let failed = |error: enter::Error| refused(&wish.id, &error.to_string());
    let opened = opened(init, &wish.id).map_err(failed)?;
    let entered = entered(&opened, &format!("exec {}", wish.id)).map_err(failed)?;
    let around = Surroundings { preserved: inherited(3..3 + wish.preserved), ..Surroundings::here() };
    let annotations = record.annotations.clone().into_iter().collect();
    let Lowered { mut spec, agent, warnings } =
        further(&process, record.seccomp.as_ref(), annotations, entered, &around)?;
    told.extend(warnings);
    if record.apart && spec.policy.may_hold(Capability::SYS_ADMIN) {
        return Err(refused(&wish.id, "with CAP_SYS_ADMIN setns(2) would lead out of its root, which stands apart"));
    }
    if wish.terminal == holm::spec::life::Terminal::Own {
        spec.terminal = wish.terminal;
    }
    let groups = groups(&record, &wish.groups, init.pid)?;
    put_into(&mut spec, &groups, &record);
    spec.personality = record.personality.as_ref().map(lower::personality);
    let first = spec.entry.as_ref().and_then(|entry| entry.first_cpus.as_ref());
    // In runc's words: its log is searched for them.
    let mut details = vec!["nsexec container setup".to_owned()];
    details.extend(first.map(|cpus| format!("nsexec: affinity: {}", cpus.mask())));
    details.extend(["child process in init()", "setns_init: about to exec"].map(str::to_owned));
    let listeners = Listeners::connect(agent, wish.pidfd_socket.as_deref(), spec.terminal, &wish.console)?;
    let plan = spec.plan().map_err(|refusal| Error::Start(refusal.into()))?;
    let program = process.args().iter().flatten().next().map_or("", String::as_str);
    let mut held = plan.hold(None).map_err(|error| unstarted(error, program))?;
    let terminal = listeners.tell(&mut held, process.console_size(), &record)?;
    if let Some(file) = &wish.pid_file {
        write_pid(file, held.id())?;
    }
    let process = held.start().map_err(|error| match error {
        NotStarted::Failed { errno, .. } => Error::not_executable(program, errno),
        other => refused(&wish.id, &other.to_string()),
    })?;
    plan.give_descriptors_away();
    Ok(Executed { process, terminal, warnings: told, details })
}

/// A container by its first process, to be entered.
pub(super) fn opened(init: Process, id: &str) -> std::result::Result<Opened, enter::Error> {
    Ok(Opened::process(init.pid.unsigned_abs(), Some(init.start))?.called(format!("container {id}")))
}

/// The wish to enter it, as long as it is open; `origin` is what asks for that.
pub(super) fn entered(opened: &Opened, origin: &str) -> std::result::Result<Spec, enter::Error> {
    opened.spec("", &Wish { kinds: None, parts: vec![Part::Root] }, origin)
}

/// Wishes that it is put into these groups, which stay open for that, and into the container's group of resctrl.
pub(super) fn put_into(spec: &mut Spec, groups: &[(PathBuf, OwnedFd)], record: &Record) {
    if let Some(entry) = &mut spec.entry {
        entry.groups = groups.iter().map(|(path, file)| (path.clone(), file.as_raw_fd())).collect();
        spec.origins.set(holm::spec::origins::Wish::Resctrl, entry.origin.clone());
    }
    spec.limits.resctrl = record.resctrl.as_ref().map(Resctrl::further);
}

fn refused(id: &str, cause: &str) -> Error {
    Error::Failed(format!("cannot exec in container {id}: {cause}"))
}

/// The record of a container in which something can be run now.
fn running(wish: &Exec) -> Result<Record> {
    let refused = |cause: &str| refused(&wish.id, cause);
    let record = Place::look(&wish.root, &wish.id)?.ok_or_else(|| refused("it was never made whole"))?;
    match (record.status(), wish.paused) {
        (Status::Created | Status::Running, _) | (Status::Paused, Paused::Waits) => Ok(record),
        (Status::Paused, Paused::Refused) => {
            Err(refused("cannot exec in a paused container (use --ignore-paused to override)"))
        }
        (Status::Stopped, _) => Err(refused("cannot exec in a stopped container")),
        (Status::Creating, _) => Err(refused("it was never made whole")),
    }
}

/// The lists of processes of the groups that the process is put into, open to be written, and where they are.
pub(super) fn groups(record: &Record, wished: &[String], init: i32) -> Result<Vec<(PathBuf, OwnedFd)>> {
    let groups = &record.groups[..];
    let wrong =
        |one: &String, cause: &str| Error::Failed(format!("cannot use control group {one:?} (--cgroup): {cause}"));
    let hierarchies = if wished.is_empty() { Vec::new() } else { holm::host::groups::hierarchies() };
    let has = |group: &Group, names: &str| {
        let has = |one: &Hierarchy| names.split(',').any(|name| one.controllers.iter().any(|own| own == name));
        group.hierarchy(&hierarchies).is_some_and(has)
    };
    let mut below: Vec<Option<&Path>> = vec![None; groups.len()];
    for one in wished {
        let (names, path) = one.split_once(':').map_or((None, one.as_str()), |(names, path)| (Some(names), path));
        let chosen = groups.iter().zip(&mut below).filter(|(group, _)| names.is_none_or(|names| has(group, names)));
        let mut found = false;
        for (_, place) in chosen {
            if place.replace(Path::new(path.trim_start_matches('/'))).is_some() {
                return Err(wrong(one, "there is another one for the same controller"));
            }
            found = true;
        }
        if let (false, Some(names)) = (found, names) {
            return Err(wrong(one, &format!("unknown controller {names}: the container has no group with it")));
        }
        if !found {
            return Err(wrong(one, "the container has no control group"));
        }
    }
    let open = |(group, below): (&Group, Option<&Path>)| match below {
        Some(below) => Ok((group.directory.join(below), group.open(&group.directory, below)?)),
        None => {
            let place = group.place(init);
            let file = group.open(&place, Path::new(""))?;
            Ok((place, file))
        }
    };
    groups.iter().zip(below).map(open).collect()
}
