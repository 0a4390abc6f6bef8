//! `kill` and `delete`.

use super::{ends_within, found, hooks};
use crate::group::{self, Freezer, Group};
use crate::resctrl::Resctrl;
use crate::state::{Place, Process, Status};
use crate::{Error, Result, systemd};
use rustix::process::Signal;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a killed process may take to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a pause that is under way is held up for that.
const LEAVING: Duration = Duration::from_secs(1);

/// The signal that a name or number means: `TERM`, `SIGTERM` or `15`; 0 only asks whether there is somebody (kill(2)).
///
/// # Errors
/// It means none.
pub fn signal(text: &str) -> Result<i32> {
    let unknown = || Error::Failed(format!("cannot send signal {text:?}: unknown signal"));
    if let Ok(number) = text.parse::<i32>() {
        return if (0..=64).contains(&number) { Ok(number) } else { Err(unknown()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let known = SIGNALS.iter().position(|known| *known == name).map(|place| place as i32 + 1);
    let real_time = |base: i32, rest: &str| match rest {
        "" => Some(base),
        rest => rest
            .strip_prefix(['+', '-'])
            .and_then(|n| n.parse::<i32>().ok())
            .map(|n| if rest.starts_with('+') { base + n } else { base - n }),
    };
    let named = known
        .or_else(|| name.strip_prefix("RTMIN").and_then(|rest| real_time(34, rest)))
        .or_else(|| name.strip_prefix("RTMAX").and_then(|rest| real_time(64, rest)));
    named.filter(|number| (1..=64).contains(number)).ok_or_else(unknown)
}

/// From 1 on (signal(7)).
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

/// Who in a container gets a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// Its first process. Where that has no pid namespace of its own its kill is everybody's, as it is in one.
    First,
    /// Everybody in its control groups, even if the first one has ended.
    All,
}

/// Sends a signal into a container.
///
/// # Errors
/// There is no such container, or its first process, which is to get it, has ended.
pub fn kill(root: &Path, id: &str, number: i32, whom: Whom) -> Result<()> {
    let (_place, record) = found(root, id)?;
    let ended = || Error::Failed(format!("cannot kill container {id}: container not running"));
    let record = record.ok_or_else(ended)?;
    let kills = number == Signal::KILL.as_raw();
    let mut everybody = whom == Whom::All || kills && record.process.is_some_and(is_beside);
    let mut got = send(id, record.process, &record.groups, number)?;
    // Without a pid namespace of their own others may have outlived the first one.
    if !got && kills && record.groups.iter().any(|group| !group.processes().is_empty()) {
        (everybody, got) = (true, true);
    }
    match everybody {
        true if kills => group::end(&record.groups),
        true => record.groups.iter().take(1).for_each(|group| group.signal(number, record.process)),
        false => {}
    }
    if got || whom == Whom::All { Ok(()) } else { Err(ended()) }
}

/// Whether a process isn't the first of its pid namespace: its end is then nobody else's.
fn is_beside(process: Process) -> bool {
    process.open().is_some() && pid_inside(process.pid).is_some_and(|number| number != 1)
}

/// The pid of a process in its own pid namespace.
pub(super) fn pid_inside(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    i32::try_from(*holm::inspect::detail::pids(&status).last()?).ok()
}

/// Whether there was somebody to get it.
fn send(id: &str, process: Option<Process>, groups: &[Group], number: i32) -> Result<bool> {
    let Some(process) = process.and_then(Process::open) else { return Ok(false) };
    match holm::signal::send(process.as_fd(), number) {
        Ok(()) => {
            // In version 1 nobody who is paused ends, and a pause that is under way asks for it again and again.
            if let Some(freezer) = Freezer::of(groups).filter(|_| number == Signal::KILL.as_raw()) {
                let begin = Instant::now();
                while freezer.open().is_ok()
                    && ends_within(&process, Some(Duration::from_millis(1))) == Ok(false)
                    && begin.elapsed() < LEAVING
                {}
            }
            Ok(true)
        }
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(false),
        Err(error) => Err(Error::io(format!("kill container {id}"), error)),
    }
}

/// Whether a container is removed whatever it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// Only if it has ended, or was never started.
    No,
    /// It is killed first, and one that isn't there is no failure.
    Yes,
}

/// Removes a container.
///
/// # Errors
/// There is no such container, or it runs; a process of it doesn't end, or is in a group that was there before.
pub fn delete(root: &Path, id: &str, force: Force) -> Result<Vec<String>> {
    let place = match Place::find(root, id) {
        Err(Error::Missing(_)) if force == Force::Yes => return Ok(Vec::new()),
        found => found?,
    };
    let record = match place.read() {
        Err(_) if force == Force::Yes => None,
        read => read?,
    };
    let Some(record) = record else {
        let holds = place.holds()?;
        end(id, holds.process, &holds.groups)?;
        group::clear(id, &holds.groups)?;
        let mut warnings = stop(holds.unit.as_deref());
        warnings.extend(leave(holds.resctrl.as_ref())?);
        return place.remove().map(|()| warnings);
    };
    match (record.status(), force) {
        (status @ (Status::Creating | Status::Running | Status::Paused), Force::No) if record.process.is_some() => {
            let cause = format!("cannot delete container {id} that is not stopped: {}", status.name());
            return Err(Error::Failed(cause));
        }
        (Status::Stopped, _) => {}
        _ => end(id, record.process, &record.groups)?,
    }
    group::clear(id, &record.groups)?;
    let mut warnings = stop(record.unit.as_deref());
    warnings.extend(leave(record.resctrl.as_ref())?);
    place.remove()?;
    // The specification has their failures logged, and the container gone.
    warnings.extend(hooks::run_last(&record));
    Ok(warnings)
}

/// Stops a unit in which nobody is any more. systemd that is gone keeps none.
fn stop(unit: Option<&str>) -> Vec<String> {
    unit.and_then(|unit| systemd::stop(unit).err()).map(|error| error.to_string()).into_iter().collect()
}

fn leave(group: Option<&Resctrl>) -> Result<Option<String>> {
    group.map_or(Ok(None), Resctrl::clear)
}

/// Kills a container's first process and waits until it has ended.
pub(super) fn end(id: &str, process: Option<Process>, groups: &[Group]) -> Result<()> {
    let Some(opened) = process.and_then(Process::open) else { return Ok(()) };
    send(id, process, groups, Signal::KILL.as_raw())?;
    match ends_within(&opened, Some(PATIENCE)) {
        Ok(false) => Err(Error::Failed(format!("cannot kill container {id}: it does not end"))),
        Ok(true) => Ok(()),
        Err(errno) => Err(Error::io(format!("wait for container {id}"), errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        let found = ["TERM", "SIGKILL", "sigusr1", "9", "RTMIN+1", "SIGRTMAX-2"].map(|text| signal(text).ok());
        assert_eq!(found, [Some(15), Some(9), Some(10), Some(9), Some(35), Some(62)]);
        assert!(
            ["", "-0.5", "65", "SIG", "NOPE", "RTMIN+31", "RTMAX+1", "-1"].iter().all(|text| signal(text).is_err())
        );
    }
}
