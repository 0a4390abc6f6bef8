//! `run`: a container from its making to its end.

use super::print::Log;
use super::{create, failed};
use crate::supervise;
use clap::ArgMatches;
use holm::Exit;
use holm::signal::Signals;
use holm_oci::Result;
use holm_oci::verbs::{self, Force};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Makes a container, starts it, stays with it, removes it.
pub(super) fn run(options: &ArgMatches, root: PathBuf, log: &Log) -> ExitCode {
    let id = options.get_one::<String>("ID").cloned().unwrap_or_default();
    match stay(options, &root, &id, log) {
        Ok(code) => code,
        Err(error) => log.failed(&error),
    }
}

fn stay(options: &ArgMatches, root: &Path, id: &str, log: &Log) -> Result<ExitCode> {
    let detach = options.get_flag("detach");
    // From now on, so that none is lost.
    let signals = match detach {
        true => None,
        false => Some(supervise::signals().map_err(|error| own("receive signals", &error))?),
    };
    let made = create(options, root.to_owned())?;
    log.warn(&made.warnings);
    let started = verbs::start(root, id);
    let done = match (&started, &signals) {
        (Ok(warnings), Some(signals)) => {
            log.warn(warnings);
            wait(&made.process, signals).map(|exit| ExitCode::from(exit.code()))
        }
        _ => Ok(ExitCode::SUCCESS),
    };
    if started.is_err() || !detach && !options.get_flag("keep") {
        log.warn(&verbs::delete(root, id, Force::Yes)?);
    }
    started?;
    done
}

fn own(what: &str, error: &std::io::Error) -> holm_oci::Error {
    failed(&format!("cannot {what}: {}", holm::model::text::cause(error)))
}

/// Passes signals on until the program has ended.
fn wait(process: &OwnedFd, signals: &Signals) -> Result<Exit> {
    let broken = |error: std::io::Error| own("wait for the container", &error);
    loop {
        let mut ready = [PollFd::new(process, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut ready, None)).map_err(|errno| broken(errno.into()))?;
        let ended = !ready[0].revents().is_empty();
        while let Some(arrived) = signals.next().map_err(broken)? {
            // One that has ended needs none.
            let _ = holm::signal::send(process.as_fd(), arrived.number);
        }
        if ended {
            let id = WaitId::PidFd(process.as_fd());
            let status = rustix::io::retry_on_intr(|| waitid(id.clone(), WaitIdOptions::EXITED));
            let status = status.map_err(|errno| broken(errno.into()))?;
            return Ok(status.map_or(Exit::Lost, |status| match status.exit_status() {
                Some(code) => Exit::Code(code as u8),
                None => Exit::Signal(status.terminating_signal().unwrap_or(0)),
            }));
        }
    }
}
