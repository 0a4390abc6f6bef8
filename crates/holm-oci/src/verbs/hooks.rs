//! Hooks: programs of the configuration, told of the container by its state on their standard input (config.md, "POSIX-platform
//! Hooks"). What they are was looked at when the container was made (`lower::hooks`).
//!
//! Those that are run in the container enter it as `exec` does: what of holm's is in there with them is a sealed file.

use super::end::pid_inside;
use super::ends_within;
use super::exec::{entered, groups, opened, put_into};
use super::hand_over::Listeners;
use super::look::Shown;
use super::terminal::Console;
use crate::lower::{self, Lowered, Surroundings, further};
use crate::state::{Record, Status};
use crate::{Error, Result, shown};
use holm::model::capability::Capability;
use holm::spec::life::{Change, Stdio as Given};
use oci_spec::runtime::{Hook, Process};
use rustix::fs::MemfdFlags;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::Deserialize;
use std::collections::HashMap;
use std::io::{Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// Runs hooks of a kind outside, in their order; the first that fails ends it. They are told the status that the container has by
/// what was asked for: a program may end before them.
pub(super) fn run(kind: &str, hooks: &Option<Vec<Hook>>, record: &Record, status: Status) -> Result<()> {
    let Some(hooks) = hooks.as_deref().filter(|hooks| !hooks.is_empty()) else { return Ok(()) };
    let state = told(&Shown::at(record, status))?;
    let mut all = hooks.iter().enumerate();
    all.try_for_each(|(number, hook)| outside(hook, &state).map_err(|error| placed(kind, number, &error)))
}

/// Runs those outside whose time comes before the container's root is taken.
pub(super) fn run_first(record: &Record) -> Result<()> {
    let Some(hooks) = &record.hooks else { return Ok(()) };
    // Those of before createRuntime are from when they were run by `start`.
    run("prestart", hooks.prestart(), record, Status::Created)?;
    run("createRuntime", hooks.create_runtime(), record, Status::Creating)
}

/// Runs all of those that come last, whatever becomes of each; what went wrong.
pub(super) fn run_last(record: &Record) -> Vec<String> {
    let all = record.hooks.as_ref().and_then(|hooks| hooks.poststop().as_deref());
    let Some(hooks) = all.filter(|hooks| !hooks.is_empty()) else { return Vec::new() };
    let state = match told(&Shown::of(record)) {
        Ok(state) => state,
        Err(error) => return vec![error.to_string()],
    };
    let failed = |(number, hook)| Some(placed("poststop", number, &outside(hook, &state).err()?).to_string());
    hooks.iter().enumerate().filter_map(failed).collect()
}

/// Which one has failed, in the words that engines know.
fn placed(kind: &str, number: usize, error: &Error) -> Error {
    Error::Failed(format!("error running {kind} hook #{number}: {error}"))
}

/// Whom a hook inside is run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// User 0 of the container, with every capability: it is still being made.
    Maker,
    /// Whom its process is run as, with the same limits and filter.
    Process,
}

/// Runs hooks of a kind in the container, in their order; the first that fails ends it.
pub(super) fn run_inside(kind: &str, hooks: &Option<Vec<Hook>>, record: &Record, whom: As) -> Result<()> {
    let Some(hooks) = hooks.as_deref().filter(|hooks| !hooks.is_empty()) else { return Ok(()) };
    let mut shown = Shown::of(record);
    shown.pid = pid_inside(shown.pid).unwrap_or(shown.pid);
    let state = told(&shown)?;
    let mut all = hooks.iter().enumerate();
    all.try_for_each(|(number, hook)| inside(hook, &state, record, whom).map_err(|error| placed(kind, number, &error)))
}

fn told(state: &Shown) -> Result<Vec<u8>> {
    serde_json::to_vec(state).map_err(|error| Error::io("tell a hook", std::io::Error::from(error)))
}

fn outside(hook: &Hook, state: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(format!("run hook {}", shown(hook.path())), error);
    let arguments = hook.args().clone().unwrap_or_default();
    let mut command = Command::new(hook.path());
    // A hook need not read it: a pipe could be full before its time is over.
    let input = input(state).map_err(failed)?;
    command.args(arguments.iter().skip(1)).stdin(input).stdout(Stdio::null());
    if let Some(zeroth) = arguments.first() {
        command.arg0(zeroth);
    }
    // Without variables of its own it has the caller's, as engines know it.
    if let Some(variables) = hook.env() {
        command.env_clear().envs(variables.iter().filter_map(|line| line.split_once('=')));
    }
    let mut child = command.spawn().map_err(failed)?;
    let pid = Pid::from_raw(child.id() as i32).ok_or(rustix::io::Errno::SRCH);
    match pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty())) {
        Ok(process) => await_end(hook, &process),
        Err(errno) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(failed(errno.into()))
        }
    }
}

fn inside(hook: &Hook, state: &[u8], record: &Record, whom: As) -> Result<()> {
    let path = shown(hook.path());
    let failed = |cause: &dyn std::fmt::Display| Error::Failed(format!("cannot run hook {path}: {cause}"));
    let init = record.process.ok_or_else(|| failed(&"the container has no process"))?;
    let opened = opened(init, &record.id).map_err(|error| failed(&error))?;
    let entered = entered(&opened, &format!("hook {path}")).map_err(|error| failed(&error))?;
    let around = Surroundings::here();
    let process = process(hook, record, whom, &around).map_err(|error| failed(&error))?;
    let (filter, annotations, personality) = match whom {
        As::Maker => (None, HashMap::new(), None),
        As::Process => {
            let annotations = record.annotations.clone().into_iter().collect();
            (record.seccomp.as_ref(), annotations, record.personality.as_ref().map(lower::personality))
        }
    };
    let Lowered { mut spec, agent, .. } = further(&process, filter, annotations, entered, &around)?;
    spec.personality = personality;
    // Its environment is what the configuration says of it, and no more (config.md, "POSIX-platform Hooks"), or its process's.
    if hook.env().is_some() || whom == As::Maker {
        spec.environment.changes.retain(|change| *change != Change::FindHome);
    }
    if let Some(zeroth) = hook.args().iter().flatten().next() {
        spec.program.zeroth = Some(zeroth.into());
    }
    let groups = groups(record, &[], init.pid)?;
    put_into(&mut spec, &groups, record);
    let input = input(state).map_err(|error| failed(&error))?;
    // There is none but this one, which was opened here.
    spec.inherited_only = false;
    spec.stdio = [Given::Descriptor(input.as_raw_fd()), Given::Null, Given::Inherit];
    let listeners = Listeners::connect(agent, None, spec.terminal, &Console::Nobody)?;
    let plan = spec.plan().map_err(|refusal| Error::Start(refusal.into()))?;
    let mut held = plan.hold(None).map_err(|error| failed(&error))?;
    listeners.tell(&mut held, None, record)?;
    await_end(hook, &held.start().map_err(|error| failed(&error))?)
}

/// What a hook is as a process of the container.
fn process(
    hook: &Hook,
    record: &Record,
    whom: As,
    around: &Surroundings,
) -> std::result::Result<Process, serde_json::Error> {
    let mut process = match whom {
        As::Process => record.own.clone(),
        As::Maker => {
            let all: Vec<String> =
                Capability::all().filter(|one| around.grantable & one.bit() != 0).map(|one| one.to_string()).collect();
            let sets = serde_json::json!({ "bounding": all, "permitted": all, "effective": all });
            let user = serde_json::json!({ "uid": 0, "gid": 0 });
            // The root is not taken yet: what it names from here on is meant inside.
            let cwd = &record.rootfs;
            Process::deserialize(&serde_json::json!({ "user": user, "cwd": cwd, "capabilities": sets }))?
        }
    };
    let rest = hook.args().iter().flatten().skip(1).cloned();
    process.set_args(Some(std::iter::once(hook.path().display().to_string()).chain(rest).collect()));
    process.set_terminal(Some(false));
    // One that says nothing of its environment has that of whoever runs it.
    if hook.env().is_some() || whom == As::Maker {
        process.set_env(hook.env().clone());
    }
    Ok(process)
}

/// The state to be read, as a file without a name.
fn input(state: &[u8]) -> std::io::Result<OwnedFd> {
    let mut file = std::fs::File::from(rustix::fs::memfd_create(c"state", MemfdFlags::CLOEXEC)?);
    file.write_all(state)?;
    file.rewind()?;
    Ok(file.into())
}

/// Waits for a hook's end; one that takes longer than its time is killed.
fn await_end(hook: &Hook, process: &OwnedFd) -> Result<()> {
    let path = shown(hook.path());
    let time = hook.timeout().map(|seconds| Duration::from_secs(seconds.unsigned_abs()));
    let over = ends_within(process, time);
    if over != Ok(true) {
        let _ = pidfd_send_signal(process, Signal::KILL);
    }
    let ended = holm::run::reap(process);
    let failed = |errno: rustix::io::Errno| Error::io(format!("run hook {path}"), errno);
    if !over.map_err(failed)? {
        let seconds = hook.timeout().unwrap_or_default();
        return Err(Error::Failed(format!("cannot run hook {path}: it takes longer than {seconds} s")));
    }
    let status = ExitStatus::from_raw(ended.map_err(failed)?);
    match status.success() {
        true => Ok(()),
        false if status.signal() == Some(Signal::SYS.as_raw()) => {
            Err(Error::Failed(format!("cannot run hook {path}: bad system call: the container's filter has ended it")))
        }
        false => Err(Error::Failed(format!("cannot run hook {path}: {status}"))),
    }
}
