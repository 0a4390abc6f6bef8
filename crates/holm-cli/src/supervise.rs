//! Stays with the sandbox: passes signals and terminal traffic on, ends it with its own parent, returns its exit code.

use crate::overlay::Named;
use crate::terminal::Relay;
use crate::{denied, programs, report, usage};
use holm::run::{Event, Whom};
use holm::signal::{Arrived, Signals};
use holm::{Child, Exit, Spec};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, getppid, kill_process, pidfd_open};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::process::ExitCode;

const NAMED: [Signal; 12] = [
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

/// The real-time signals that a C library leaves to programs (signal(7)).
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// Those that end holm itself once the program has none to handle them.
const ENDING: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];

/// Takes the signals that are passed on, from now on.
pub(crate) fn signals() -> io::Result<Signals> {
    let named = NAMED.into_iter().map(Signal::as_raw);
    Signals::take(&named.chain(REAL_TIME).collect::<Vec<i32>>())
}

/// What is told once the sandbox is over.
pub(crate) struct Reports<'a> {
    /// What it has used, in this form.
    pub(crate) stats: Option<&'a str>,
    /// What it was refused.
    pub(crate) denied: Told<'a>,
}

/// How it is told what a sandbox was refused.
pub(crate) enum Told<'a> {
    Nothing,
    /// On standard error, in this form.
    Summary(&'a str),
    /// As a profile, here.
    Profile(OwnedFd),
}

/// Starts the program and stays until the sandbox is over.
pub(crate) fn run(spec: &Spec, mut changes: Option<&mut Named>, parent: Parent, reports: Reports<'_>) -> ExitCode {
    let signals = match signals() {
        Ok(signals) => signals,
        Err(error) => return report::own(&format!("cannot receive signals: {}", holm::model::text::cause(&error))),
    };
    let plan = match spec.plan() {
        Ok(plan) => plan,
        Err(refusal) => return report::refusal(&refusal),
    };
    if let Some(changes) = &mut changes
        && let Err(fault) = changes.begin(spec, &plan)
    {
        return report::faults(&[fault]);
    }
    let mut child = match plan.spawn() {
        Ok(child) => child,
        Err(error) => {
            return report::start(&error, if error.exit_code() == 127 { programs::lacks(spec) } else { None });
        }
    };
    if let Some(changes) = changes {
        changes.keep();
    }
    plan.give_descriptors_away();
    let relay = child.terminal.take().map(Relay::new);
    if relay.is_none() {
        let_go();
    }
    let mut session = Session { child: &mut child, signals: &signals, parent, relay, halt: Halt::Runs, ended: None };
    match session.stay() {
        Ok(exit) => {
            drop(session);
            let used = child.usage();
            usage::explain_end(exit, used.as_ref(), spec);
            if let (Some(form), Some(used)) = (reports.stats, &used) {
                usage::print(form, exit, used);
            }
            match reports.denied {
                Told::Nothing => {}
                Told::Summary(form) => denied::print(form, &child.denied()),
                Told::Profile(output) => {
                    let text = denied::profile(&child.denied());
                    if let Err(error) = std::fs::File::from(output).write_all(text.as_bytes())
                        && error.kind() != io::ErrorKind::BrokenPipe
                    {
                        return report::own(&format!("cannot write the profile: {}", holm::model::text::cause(&error)));
                    }
                }
            }
            if exit == Exit::Code(127)
                && let Some(hint) = programs::lacks(spec)
            {
                report::hint(&hint);
            }
            ExitCode::from(exit.code())
        }
        Err(error) => {
            drop(session);
            report::own(&format!("cannot wait for the sandbox: {}", holm::model::text::cause(&error)))
        }
    }
}

/// Leaves standard input and output to the program alone: whoever is at their other ends sees when it closes them.
pub(crate) fn let_go() {
    if let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

/// Stops this process until it is continued, but not where no shell would do that: SIGSTOP would stop a process of an
/// orphaned group, too (setpgid(2)). SIGTSTP, which would not, is blocked.
fn stop_self() {
    let _ = kill_process(getpid(), Signal::TTOU);
}

/// The process whose end is the sandbox's end: who is the parent of this one when it begins. If that is pid 1, which ends
/// with everything anyway, there is none; so it is where the starter has ended already.
///
/// A descriptor tells its end; a parent-death signal (prctl(2)) would also come when just the thread that started this
/// process ends.
pub(crate) struct Parent(Option<OwnedFd>);

impl Parent {
    /// To be called first: whoever starts holm may end at any moment.
    pub(crate) fn now() -> Parent {
        let parent = getppid().filter(|parent| *parent != Pid::INIT);
        let open = parent.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        // If it is still the parent now, the descriptor is its.
        Parent(open.filter(|_| getppid() == parent))
    }

    fn wanted(&self) -> Option<PollFd<'_>> {
        self.0.as_ref().map(|parent| PollFd::new(parent, PollFlags::IN))
    }
}

/// How often a job in the background looks whether it is in front.
pub(crate) const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Whether the program is stopped.
enum Halt {
    Runs,
    /// It was asked to stop, and holm will when it has.
    Asked,
    /// It has stopped, but not on a key.
    Told,
}

struct Session<'a> {
    child: &'a mut Child,
    signals: &'a Signals,
    parent: Parent,
    relay: Option<Relay>,
    halt: Halt,
    /// How the program ended, once it has.
    ended: Option<Exit>,
}

impl Session<'_> {
    fn stay(&mut self) -> io::Result<Exit> {
        loop {
            let ready = self.wait()?;
            while let Some(signal) = self.signals.next()? {
                self.pass_on(signal);
            }
            self.turn([ready[3], ready[4], ready[5]]);
            if !ready[2].is_empty() {
                self.child.kill()?;
                self.parent.0 = None;
            }
            if !ready[1].is_empty()
                && let Some(exit) = self.hear()?
            {
                self.finish()?;
                return Ok(exit);
            }
        }
    }

    /// Waits for anything: signals, records, the parent's end, and the relay's three.
    fn wait(&self) -> io::Result<[PollFlags; 6]> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let (three, pause) = match &self.relay {
            Some(relay) => (relay.wanted(&stdin, &stdout), relay.waits_for_keys().then_some(&LOOK)),
            None => ([const { None }; 3], None),
        };
        let [input, output, terminal] = three;
        let records = PollFd::from_borrowed_fd(self.child.events(), PollFlags::IN);
        self.poll([Some(records), self.parent.wanted(), input, output, terminal], pause)
    }

    /// Waits for signals or any of these.
    fn poll(&self, others: [Option<PollFd<'_>>; 5], pause: Option<&Timespec>) -> io::Result<[PollFlags; 6]> {
        let nothing = PollFlags::empty();
        let [a, b, c, d, e] = others.map(|other| other.unwrap_or(PollFd::new(self.signals, nothing)));
        let mut wanted = [PollFd::new(self.signals, PollFlags::IN), a, b, c, d, e];
        match poll(&mut wanted, pause) {
            Ok(_) => Ok(wanted.map(|polled| polled.revents())),
            Err(Errno::INTR) => Ok([nothing; 6]),
            Err(errno) => Err(errno.into()),
        }
    }

    fn pass_on(&mut self, signal: Arrived) {
        let whom = if signal.from_kernel { Whom::Group } else { Whom::Program };
        let named = Signal::from_named_raw(signal.number);
        match (named, &mut self.relay) {
            (Some(Signal::WINCH), Some(relay)) => relay.resize(),
            (Some(Signal::TSTP), None) => self.ask_to_stop(),
            (Some(ending), _) if self.ended.is_some() && ENDING.contains(&ending) => drop(self.child.kill()),
            (named, relay) => {
                if named == Some(Signal::CONT) {
                    self.halt = Halt::Runs;
                    relay.as_mut().map(Relay::was_stopped);
                }
                // A signal that can't be delivered has nobody left to get it.
                let _ = self.child.signal(signal.number, whom);
            }
        }
    }

    /// Moves bytes between the terminals, or hangs the program's up if the caller's is gone.
    fn turn(&mut self, ready: [PollFlags; 3]) {
        let Some(relay) = &mut self.relay else { return };
        relay.take_keys();
        relay.turn(ready);
        if relay.is_cut() {
            self.relay = None;
            // The kernel tells the leader of the session only, which is the init.
            for signal in [Signal::HUP, Signal::CONT] {
                let _ = self.child.signal(signal.as_raw(), Whom::Group);
            }
        }
    }

    /// Takes what has happened inside; the exit if the sandbox is over.
    fn hear(&mut self) -> io::Result<Option<Exit>> {
        match self.child.event()? {
            Event::Stopped(_) if self.relay.is_some() || matches!(self.halt, Halt::Asked) => self.stop(),
            Event::Stopped(_) => self.halt = Halt::Told,
            Event::Ended(exit) if self.child.is_over() => return Ok(Some(exit)),
            Event::Ended(exit) => self.ended = Some(exit),
            _ => {}
        }
        Ok(None)
    }

    /// Stops the program at the caller's terminal, and holm once it has stopped: until then it reads what is typed there.
    fn ask_to_stop(&mut self) {
        // In a session of its own SIGTSTP would do nothing (setpgid(2), orphaned process groups).
        let _ = self.child.signal(Signal::STOP.as_raw(), Whom::Group);
        match self.halt {
            Halt::Told => self.stop(),
            // What is left of it can't be stopped.
            _ if self.ended.is_some() => self.stop(),
            _ => self.halt = Halt::Asked,
        }
    }

    /// The program is stopped: gives the caller its terminal back, and stops, too.
    fn stop(&mut self) {
        self.relay.as_mut().map(Relay::restore);
        stop_self();
        self.relay.as_mut().map(Relay::take_keys);
        self.halt = Halt::Runs;
        let _ = self.child.signal(Signal::CONT.as_raw(), Whom::Group);
    }

    fn finish(&mut self) -> io::Result<()> {
        match &mut self.relay {
            Some(relay) => flush(relay, self.signals, self.parent.wanted()),
            None => Ok(()),
        }
    }
}

/// Passes on what the program wrote before it ended. Where nobody takes it, a signal that ends or the parent's end is the end.
pub(crate) fn flush(relay: &mut Relay, signals: &Signals, parent: Option<PollFd<'_>>) -> io::Result<()> {
    let parent = parent.unwrap_or(PollFd::new(signals, PollFlags::empty()));
    while relay.has_rest() && !relay.is_cut() {
        let stdout = io::stdout();
        let output = PollFd::new(&stdout, PollFlags::OUT);
        let mut wanted = [PollFd::new(signals, PollFlags::IN), parent.clone(), output];
        rustix::io::retry_on_intr(|| poll(&mut wanted, None))?;
        let [_, gone, writable] = wanted.map(|polled| !polled.revents().is_empty());
        if writable {
            relay.write();
            continue;
        }
        let mut over = gone;
        while let Some(signal) = signals.next()? {
            over |= ENDING.iter().any(|ending| ending.as_raw() == signal.number);
        }
        if over {
            break;
        }
    }
    Ok(())
}
