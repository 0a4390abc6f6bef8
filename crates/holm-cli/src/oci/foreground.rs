//! What stays in front until a container's program has ended: `run`, and `exec` beside.

use super::print::Log;
use super::{checkpoint, create, failed};
use crate::supervise;
use crate::terminal::Relay;
use clap::ArgMatches;
use holm::Exit;
use holm::signal::Signals;
use holm_oci::Result;
use holm_oci::verbs::{self, Console, Created, Force, Waits};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, WaitId, WaitIdOptions, waitid};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Makes a container, starts it, stays with it, removes it.
pub(super) fn run(options: &ArgMatches, root: PathBuf, log: &Log) -> ExitCode {
    let keep = options.get_flag("keep");
    let waits = if options.get_flag("detach") { Waits::Caller } else { Waits::Thread };
    let make = |console| create(options, root.clone(), console);
    done(beside(options, &root, log, keep, make, |root, id| verbs::start(root, id, waits)), log)
}

/// The same of one that is made again: it runs by then.
pub(super) fn restore(options: &ArgMatches, root: PathBuf, log: &Log) -> ExitCode {
    let make = |console| checkpoint::restore(options, root.clone(), console);
    done(beside(options, &root, log, false, make, |_, _| Ok(())), log)
}

fn done(done: Result<ExitCode>, log: &Log) -> ExitCode {
    done.unwrap_or_else(|error| log.failed(&error))
}

fn beside(
    options: &ArgMatches,
    root: &Path,
    log: &Log,
    keep: bool,
    make: impl FnOnce(Console) -> Result<Created>,
    start: impl FnOnce(&Path, &str) -> Result<()>,
) -> Result<ExitCode> {
    let id = options.get_one::<String>("ID").map_or("", String::as_str);
    let detach = options.get_flag("detach");
    let front = Front::new(detach)?;
    let made = make(if detach { Console::Nobody } else { Console::Caller })?;
    log.warn(&made.warnings);
    log.detail(&made.details);
    let started = start(root, id);
    let done = match (&started, front) {
        (Ok(()), Some(front)) => front.stay(&made.process, made.terminal).map(|exit| ExitCode::from(exit.code())),
        _ => Ok(ExitCode::SUCCESS),
    };
    if started.is_err() || !detach && !keep {
        log.warn(&verbs::delete(root, id, Force::Yes)?);
    }
    started?;
    done
}

fn own(what: &str, error: &std::io::Error) -> holm_oci::Error {
    failed(&format!("cannot {what}: {}", holm::model::text::cause(error)))
}

/// This process, in front of a container's.
pub(super) struct Front(Signals);

impl Front {
    /// Receives signals from now on, so that none is lost; `None` for a process that is left alone.
    pub(super) fn new(detach: bool) -> Result<Option<Front>> {
        match detach {
            true => Ok(None),
            false => supervise::signals().map(|signals| Some(Front(signals))).map_err(|e| own("receive signals", &e)),
        }
    }

    /// Passes signals on, and what is typed and written where this process has the terminal, until the program has ended.
    pub(super) fn stay(&self, process: &OwnedFd, terminal: Option<OwnedFd>) -> Result<Exit> {
        let mut relay = terminal.map(Relay::new);
        if relay.is_none() {
            supervise::let_go();
        }
        let exit = self.wait(process, &mut relay).map_err(|error| own("wait for the container", &error))?;
        if let Some(relay) = &mut relay {
            supervise::flush(relay, &self.0, None).map_err(|error| own("pass its output on", &error))?;
        }
        Ok(exit)
    }

    fn wait(&self, process: &OwnedFd, relay: &mut Option<Relay>) -> std::io::Result<Exit> {
        loop {
            let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
            let three = relay.as_ref().map_or([const { None }; 3], |relay| relay.wanted(&stdin, &stdout));
            let pause = relay.as_ref().filter(|relay| relay.waits_for_keys()).map(|_| &supervise::LOOK);
            let [a, b, c] = three.map(|one| one.unwrap_or(PollFd::new(&self.0, PollFlags::empty())));
            let mut polled = [PollFd::new(process, PollFlags::IN), PollFd::new(&self.0, PollFlags::IN), a, b, c];
            rustix::io::retry_on_intr(|| poll(&mut polled, pause))?;
            let ready = polled.map(|one| one.revents());
            while let Some(arrived) = self.0.next()? {
                pass_on(process, relay, arrived.number);
            }
            if !ready[0].is_empty() {
                let id = WaitId::PidFd(process.as_fd());
                let status = rustix::io::retry_on_intr(|| waitid(id.clone(), WaitIdOptions::EXITED))?;
                return Ok(status.map_or(Exit::Lost, |status| match status.exit_status() {
                    Some(code) => Exit::Code(code as u8),
                    None => Exit::Signal(status.terminating_signal().unwrap_or(0)),
                }));
            }
            if let Some(live) = relay {
                live.take_keys();
                live.turn([ready[2], ready[3], ready[4]]);
                if live.is_cut() {
                    *relay = None;
                    // One that is stopped gets it only if it goes on.
                    for signal in [Signal::HUP, Signal::CONT] {
                        pass_on(process, relay, signal.as_raw());
                    }
                }
            }
        }
    }
}

/// One that has ended needs none.
fn pass_on(process: &OwnedFd, relay: &mut Option<Relay>, signal: i32) {
    match relay {
        Some(relay) if signal == Signal::WINCH.as_raw() => relay.resize(),
        _ => drop(holm::signal::send(process.as_fd(), signal)),
    }
}
