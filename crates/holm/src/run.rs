//! Floor 7: the running thing, in the shape of `std::process`.

mod held;
mod keeper;
mod ranges;
mod usage;

pub use crate::exec::parent::{GivenUp, Visited, reap};
pub use crate::exec::resctrl::group as resctrl;
pub use crate::sys::inside;
pub use held::{Door, Held, NotStarted, free_devices, remove_group};
pub use keeper::Keeper;
pub use ranges::enter_ranges;
pub use usage::{Counted, Usage};

use crate::error::Error;
use crate::exec::cgroup::Groups;
use crate::exec::parent::{self, Running};
use crate::exec::watch::Watcher;
use crate::host::Host;
use crate::model::denied::Denied;
use crate::plan::{Blame, Plan, Reason, Refusal};
use crate::spec::Spec;
use crate::spec::life::Lifetime;
use crate::sys::init::wire::{self, Record};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

impl Spec {
    /// Reads what planning needs from this machine, and plans.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn plan(&self) -> Result<Plan, Refusal> {
        Plan::new(self, &Host::probe(self))
    }

    /// Plans and starts.
    ///
    /// # Errors
    /// As [`Plan::new`] and [`Plan::spawn`].
    pub fn spawn(&self) -> Result<Child, Error> {
        self.plan()?.spawn()
    }
}

impl Plan {
    /// Carries the plan out and returns once the program runs. Safe in a program with other threads; costs the same
    /// however much memory the caller uses.
    ///
    /// # Errors
    /// The step that the kernel refused, after everything done before it was undone; nothing is left behind.
    pub fn spawn(&self) -> Result<Child, Error> {
        if self.launch.lifetime != Lifetime::Owned {
            return Err(unfit("cannot own a detached sandbox: it is held, and then let go"));
        }
        let start = Instant::now();
        let running = parent::spawn(self, None, &mut |_| Ok(())).map_err(|stop| Error::new(self, stop))?;
        let Running { pidfd, pid, control, terminal, watcher, pipes, groups, .. } = running;
        let [stdin, stdout, stderr] = pipes.map(|pipe| pipe.map(File::from));
        let life = Life { start, groups, watcher, program: None, overtime: false, usage: None };
        Ok(Child { stdin, stdout, stderr, terminal, pidfd, pid, control, exit: None, life })
    }
}

/// A plan that is carried out in another way.
fn unfit(message: &str) -> Error {
    let reason = Reason { message: message.to_owned(), origin: String::new(), hint: String::new(), blame: Blame::Wish };
    Refusal { reasons: vec![reason] }.into()
}

impl Plan {
    /// Closes this process's copies of the descriptors that the program keeps ([`Spec::descriptors`]): only then whoever
    /// is at the other end of a pipe sees when the program closes it.
    ///
    /// For a caller that gives them away, once, after [`Plan::spawn`]: nothing in this process may use them any more, for
    /// their numbers may soon be another file's.
    pub fn give_descriptors_away(&self) {
        for &number in &self.launch.descriptors {
            let _ = crate::sys::process::close_range(number as u32, number as u32);
        }
    }
}

/// A running sandbox.
///
/// Unlike a [`std::process::Child`] it doesn't outlive its owner: dropping it ends every process in it.
#[derive(Debug)]
pub struct Child {
    /// The writing end of the program's standard input, if that is [`Stdio::Piped`](crate::spec::life::Stdio).
    pub stdin: Option<File>,
    /// The reading end of its standard output.
    pub stdout: Option<File>,
    /// The reading end of its standard error.
    pub stderr: Option<File>,
    /// The controlling side of its terminal, if it has one of its own (pty(7)).
    pub terminal: Option<OwnedFd>,
    pidfd: OwnedFd,
    pid: i32,
    control: OwnedFd,
    /// How the program ended, once the init is gone.
    exit: Option<Exit>,
    life: Life,
}

/// What is known of a sandbox's life.
#[derive(Debug)]
struct Life {
    start: Instant,
    groups: Groups,
    watcher: Option<Watcher>,
    /// The program's wait status, once the init has told.
    program: Option<i32>,
    /// Whether its time was over before it ended.
    overtime: bool,
    /// What it has used, once it is over.
    usage: Option<Usage>,
}

impl Life {
    /// How the program ended, as far as is known.
    fn exit(&self) -> Exit {
        match self.program {
            _ if self.overtime => Exit::TimedOut,
            Some(KILLED) | None if self.groups.killed_for_memory() > Some(0) => Exit::OutOfMemory,
            Some(status) => Exit::from_status(status),
            None => Exit::Lost,
        }
    }
}

/// The wait status of what SIGKILL ended.
const KILLED: i32 = 9;

/// What happened in a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The program was stopped by this signal and can be continued by SIGCONT.
    Stopped(i32),
    /// The program ended. With [`Spec::wait_all`](crate::Spec) other processes may go on.
    Ended(Exit),
    /// The program's time is over, and it was sent SIGTERM.
    Overtime,
    /// Nothing yet.
    None,
}

/// To whom a signal goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The program alone.
    Program,
    /// Its process group, as for keys on a terminal.
    Group,
}

impl Child {
    /// The pid of the sandbox's first process in the caller's pid namespace.
    pub fn id(&self) -> i32 {
        self.pid
    }

    /// Sends a signal to the program, or its group. One that has ended gets none.
    ///
    /// # Errors
    /// The sandbox is gone (EPIPE), or too many signals wait to be delivered (EAGAIN).
    pub fn signal(&self, number: i32, whom: Whom) -> io::Result<()> {
        let record = Record::new(wire::SIGNAL, u32::from(whom == Whom::Group), number);
        send(&self.control, &record.to_bytes(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
        Ok(())
    }

    /// Ends every process in the sandbox, by SIGKILL.
    ///
    /// # Errors
    /// None but for a sandbox that was waited for already (ESRCH).
    pub fn kill(&mut self) -> io::Result<()> {
        rustix::net::shutdown(&self.control, rustix::net::Shutdown::Write)?;
        Ok(())
    }

    /// Waits until the sandbox is over: every process ended, every namespace without one.
    ///
    /// # Errors
    /// Somebody else has waited for it (ECHILD).
    pub fn wait(&mut self) -> io::Result<Exit> {
        self.stdin.take();
        while self.exit.is_none() {
            self.next_event(RecvFlags::empty())?;
        }
        Ok(self.exit.unwrap_or(Exit::Lost))
    }

    /// As [`Child::wait`], but returns `None` if it is not over yet.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub fn try_wait(&mut self) -> io::Result<Option<Exit>> {
        while self.exit.is_none() && self.next_event(RecvFlags::DONTWAIT)? != Event::None {}
        Ok(self.exit)
    }

    /// What has happened since the last call. To be called when [`Child::events`] is readable; never waits, but for the
    /// last moment of a sandbox that is over.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub fn event(&mut self) -> io::Result<Event> {
        self.next_event(RecvFlags::DONTWAIT)
    }

    /// A descriptor that is readable when [`Child::event`] has something to tell.
    pub fn events(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    fn next_event(&mut self, flags: RecvFlags) -> io::Result<Event> {
        if let Some(exit) = self.exit {
            return Ok(Event::Ended(exit));
        }
        let mut bytes = [0u8; wire::LENGTH];
        match recv(&self.control, &mut bytes, flags) {
            Ok((wire::LENGTH, _)) => {
                let record = Record::from_bytes(bytes);
                match record.kind {
                    wire::STOPPED => Ok(Event::Stopped(record.value)),
                    wire::EXITED => {
                        self.life.program = Some(record.value);
                        Ok(Event::Ended(self.life.exit()))
                    }
                    wire::OVERTIME => {
                        self.life.overtime = true;
                        Ok(Event::Overtime)
                    }
                    _ => Ok(Event::None),
                }
            }
            Ok(_) => self.over(),
            Err(Errno::CONNRESET | Errno::INTR | Errno::AGAIN) => Ok(Event::None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The init is gone or going: waits for its end.
    fn over(&mut self) -> io::Result<Event> {
        let own = rustix::io::retry_on_intr(|| crate::sys::process::wait_usage(self.pidfd.as_fd()))?;
        let exit = self.life.exit();
        let groups = std::mem::take(&mut self.life.groups);
        self.life.usage = Some(Usage::new(self.life.start.elapsed(), own, &groups));
        self.exit = Some(exit);
        Ok(Event::Ended(exit))
    }

    /// What the sandbox has used; `None` until it is over and was waited for.
    pub fn usage(&self) -> Option<Usage> {
        self.life.usage
    }

    /// What the program was refused, if that is told ([`Denials::Told`](crate::spec::policy::Denials)); at most 1,000 different
    /// things. To be called once the sandbox is over; it waits for that, and a second call finds nothing.
    pub fn denied(&mut self) -> Vec<Denied> {
        self.life.watcher.as_mut().map(Watcher::finish).unwrap_or_default()
    }

    /// Whether the sandbox is over and was waited for.
    pub fn is_over(&self) -> bool {
        self.exit.is_some()
    }
}

/// The sandbox's first process, as a descriptor that is readable when it has ended (pidfd_open(2)).
impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.exit.is_none() && self.kill().is_ok() {
            let _ = parent::reap(&self.pidfd);
        }
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(i32),
    /// With its sandbox, which was killed from outside.
    Lost,
    /// Because its time was over, however it then ended.
    TimedOut,
    /// Killed by the kernel because the sandbox's memory was used up.
    OutOfMemory,
}

impl Exit {
    fn from_status(status: i32) -> Exit {
        match status & 0x7f {
            0 => Exit::Code((status >> 8 & 0xff) as u8),
            signal => Exit::Signal(signal),
        }
    }

    /// The exit code of a shell for it: the program's own, 128 + n for signal n, 137 for a lost one or one killed for want
    /// of memory, and 124 for a time-out, as timeout(1) has it.
    pub fn code(self) -> u8 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128u8.wrapping_add(signal as u8),
            Exit::Lost | Exit::OutOfMemory => 137,
            Exit::TimedOut => 124,
        }
    }

    /// Whether the program ended with code 0.
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }
}
