//! Stays with the sandbox: passes signals and terminal traffic on, ends it with its own parent, returns its exit code.

use crate::fill::Wish;
use crate::terminal::Relay;
use crate::{programs, report};
use holm::plan::Plan;
use holm::run::{Event, Whom};
use holm::signal::{Arrived, Signals, stop_self};
use holm::{Child, Exit};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, Signal, getppid, pidfd_open};
use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

const FORWARDED: [Signal; 12] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::TERM,
    Signal::CONT,
    Signal::TSTP,
    Signal::WINCH,
    Signal::URG,
    Signal::IO,
];

/// Takes the signals that are passed on, from now on.
pub(crate) fn signals() -> io::Result<Signals> {
    Signals::take(&FORWARDED.map(Signal::as_raw))
}

/// Starts the program and stays until the sandbox is over.
pub(crate) fn run(wish: &Wish, plan: &Plan, signals: &Signals) -> ExitCode {
    let parent = Parent::new();
    let mut child = match plan.spawn() {
        Ok(child) => child,
        Err(error) => {
            return report::start(&error, if error.exit_code() == 127 { programs::lacks(&wish.spec) } else { None });
        }
    };
    let relay = child.terminal.take().map(Relay::new);
    let mut session = Session { child: &mut child, signals, parent, relay };
    match session.stay() {
        Ok(exit) => {
            drop(session);
            if exit == Exit::Code(127)
                && let Some(hint) = programs::lacks(&wish.spec)
            {
                eprintln!("hint: {}", report::plain(&hint));
            }
            ExitCode::from(exit.code())
        }
        Err(error) => {
            drop(session);
            report::own(&format!("cannot wait for the sandbox: {}", crate::values::cause(&error)))
        }
    }
}

/// The process that started this one. A descriptor tells its end; a parent-death signal (prctl(2)) would also come when
/// just the thread that started this process ends.
struct Parent(Option<OwnedFd>);

impl Parent {
    fn new() -> Parent {
        let parent = getppid();
        let open = parent.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        // If it is still the parent now, the descriptor is its.
        Parent(open.filter(|_| getppid() == parent))
    }
}

struct Session<'a> {
    child: &'a mut Child,
    signals: &'a Signals,
    parent: Parent,
    relay: Option<Relay>,
}

impl Session<'_> {
    fn stay(&mut self) -> io::Result<Exit> {
        loop {
            let ready = self.wait()?;
            while let Some(signal) = self.signals.next()? {
                self.pass_on(signal);
            }
            if let Some(relay) = &mut self.relay {
                relay.turn([ready[3], ready[4], ready[5]]);
            }
            if !ready[2].is_empty() {
                self.child.kill()?;
                self.parent.0 = None;
            }
            if !ready[1].is_empty() {
                match self.child.event()? {
                    Event::Stopped(_) if self.relay.is_some() => self.stop(),
                    Event::Ended(exit) if self.child.is_over() => {
                        if let Some(relay) = &mut self.relay {
                            relay.finish();
                        }
                        return Ok(exit);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Waits for anything: signals, records, the parent's end, and the relay's three.
    fn wait(&self) -> io::Result<[PollFlags; 6]> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let nothing = PollFlags::empty();
        let mut wanted = vec![
            PollFd::new(self.signals, PollFlags::IN),
            PollFd::from_borrowed_fd(self.child.events(), PollFlags::IN),
            match &self.parent.0 {
                Some(parent) => PollFd::new(parent, PollFlags::IN),
                None => PollFd::new(self.signals, nothing),
            },
        ];
        if let Some(relay) = &self.relay {
            wanted.extend(relay.wanted(&stdin, &stdout));
        }
        match poll(&mut wanted, None) {
            Err(rustix::io::Errno::INTR) | Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut ready = [nothing; 6];
        for (flags, polled) in ready.iter_mut().zip(&wanted) {
            *flags = polled.revents();
        }
        Ok(ready)
    }

    fn pass_on(&mut self, signal: Arrived) {
        let whom = if signal.from_kernel { Whom::Group } else { Whom::Program };
        match (signal.number, &self.relay) {
            (libc_winch, Some(relay)) if libc_winch == Signal::WINCH.as_raw() => relay.resize(),
            (number, None) if number == Signal::TSTP.as_raw() => {
                let _ = self.child.signal(Signal::STOP.as_raw(), Whom::Group);
                stop_self();
                let _ = self.child.signal(Signal::CONT.as_raw(), Whom::Group);
            }
            // A signal that can't be delivered has nobody left to get it.
            (number, _) => drop(self.child.signal(number, whom)),
        }
    }

    /// The program was stopped at its terminal: gives the caller its own back, and stops, too.
    fn stop(&mut self) {
        if let Some(relay) = &self.relay {
            relay.restore();
            stop_self();
            relay.raw();
            relay.resize();
        }
        let _ = self.child.signal(Signal::CONT.as_raw(), Whom::Group);
    }
}
