//! Hooks: programs of the host that are told of a container by its state on their standard input.

use super::ends_within;
use super::look::Shown;
use crate::state::Record;
use crate::{Error, Result, shown};
use oci_spec::runtime::Hook;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Runs hooks in their order; the first that fails ends it.
pub(super) fn run(hooks: &[Hook], record: &Record) -> Result<()> {
    if hooks.is_empty() {
        return Ok(());
    }
    let state = serde_json::to_vec(&Shown::of(record))
        .map_err(|error| Error::io("tell a hook", std::io::Error::from(error)))?;
    hooks.iter().try_for_each(|hook| one(hook, &state))
}

fn one(hook: &Hook, state: &[u8]) -> Result<()> {
    let path = shown(hook.path());
    let failed = |error: std::io::Error| Error::io(format!("run hook {path}"), error);
    if !hook.path().is_absolute() {
        return Err(Error::Failed(format!("cannot run hook {path}: it is not an absolute path")));
    }
    let arguments = hook.args().clone().unwrap_or_default();
    let mut command = Command::new(hook.path());
    command.args(arguments.iter().skip(1)).env_clear().stdin(Stdio::piped()).stdout(Stdio::null());
    if let Some(zeroth) = arguments.first() {
        command.arg0(zeroth);
    }
    command.envs(hook.env().iter().flatten().filter_map(|line| line.split_once('=')));
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // A hook need not read it.
        let _ = input.write_all(state);
    }
    let status = match await_end(&child, hook.timeout()) {
        Ok(true) => child.wait().map_err(failed)?,
        over => {
            let _ = child.kill();
            let _ = child.wait();
            let seconds = hook.timeout().unwrap_or_default();
            over.map_err(|errno| failed(errno.into()))?;
            return Err(Error::Failed(format!("cannot run hook {path}: it takes longer than {seconds} s")));
        }
    };
    match status.success() {
        true => Ok(()),
        false => Err(Error::Failed(format!("cannot run hook {path}: {status}"))),
    }
}

/// Whether it ends within its time, in seconds; `None` is for ever.
fn await_end(child: &Child, time: Option<i64>) -> rustix::io::Result<bool> {
    let pid = Pid::from_raw(child.id() as i32).ok_or(rustix::io::Errno::SRCH)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    ends_within(&process, time.map(|seconds| Duration::from_secs(seconds.max(0).unsigned_abs())))
}
