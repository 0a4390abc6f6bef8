//! The caller's terminal, while the program has one of its own: raw, with everything passed on both ways.
//!
//! It is raw only while this process is in front: in the background the keys are somebody else's, and changing the
//! settings or reading would stop this process, deaf to signals (SIGTTOU, SIGTTIN, termios(3)). Nothing is read or written
//! before poll(2) has said that it can be.

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize};
use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes on their way in one direction.
#[derive(Default)]
struct Pipe {
    bytes: Vec<u8>,
    ended: bool,
}

const ROOM: usize = 16 * 1024;
/// What a pipe takes at once without making the writer wait, if poll(2) says that it takes any (pipe(7), `PIPE_BUF`).
const PAGE: usize = 4096;

impl Pipe {
    fn has_room(&self) -> bool {
        !self.ended && self.bytes.len() < ROOM
    }

    fn fill(&mut self, from: BorrowedFd<'_>) {
        let mut part = [0u8; ROOM];
        match rustix::io::read(from, &mut part) {
            Ok(0) => self.ended = true,
            Ok(length) => self.bytes.extend_from_slice(&part[..length]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            // The other side of a terminal is closed: EIO.
            Err(_) => self.ended = true,
        }
    }

    fn drain(&mut self, to: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let part = self.bytes.len().min(PAGE);
        match rustix::io::write(to, &self.bytes[..part]) {
            Ok(length) => drop(self.bytes.drain(..length)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => {
                self.bytes.clear();
                self.ended = true;
                return Err(errno);
            }
        }
        Ok(())
    }
}

/// The caller's terminal, if standard input is one.
enum Caller {
    NoTerminal,
    /// As the caller has set it; its settings from the first time that it was made raw.
    Cooked(Option<Termios>),
    Raw(Termios),
}

/// The relay between the caller's standard descriptors and the program's terminal.
pub(crate) struct Relay {
    controlling: OwnedFd,
    /// Held open: while nobody inside has the terminal open, its output could not be read (EIO).
    _peer: Option<OwnedFd>,
    input: Pipe,
    output: Pipe,
    caller: Caller,
    gone: bool,
}

impl Relay {
    pub(crate) fn new(controlling: OwnedFd) -> Relay {
        if let Ok(flags) = rustix::fs::fcntl_getfl(&controlling) {
            let _ = rustix::fs::fcntl_setfl(&controlling, flags | rustix::fs::OFlags::NONBLOCK);
        }
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let peer = ioctl_tiocgptpeer(&controlling, flags).ok();
        let caller = if std::io::stdin().is_terminal() { Caller::Cooked(None) } else { Caller::NoTerminal };
        let (input, output) = (Pipe::default(), Pipe::default());
        let mut relay = Relay { controlling, _peer: peer, input, output, caller, gone: false };
        relay.resize();
        relay.take_keys();
        relay
    }

    /// Makes the caller's terminal raw if this process is in front: keys go to the program unread, Ctrl-C and Ctrl-Z
    /// included.
    pub(crate) fn take_keys(&mut self) {
        let Caller::Cooked(known) = &self.caller else { return };
        if !in_front() {
            return;
        }
        let Some(before) = known.clone().or_else(|| tcgetattr(std::io::stdin()).ok()) else { return };
        let mut raw = before.clone();
        raw.make_raw();
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &raw);
        self.caller = Caller::Raw(before);
        self.resize();
    }

    /// Whether keys are to be taken as soon as this process is in front. Nothing tells when: a shell's `fg` sends no
    /// signal to a job that runs.
    pub(crate) fn waits_for_keys(&self) -> bool {
        matches!(self.caller, Caller::Cooked(_))
    }

    /// Gives the caller's terminal back as it was.
    pub(crate) fn restore(&mut self) {
        if let Caller::Raw(before) = &self.caller {
            if in_front() {
                let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, before);
            }
            self.caller = Caller::Cooked(Some(before.clone()));
        }
    }

    /// This process was stopped and goes on: meanwhile a shell may have changed the settings.
    pub(crate) fn was_stopped(&mut self) {
        if let Caller::Raw(before) = &self.caller {
            self.caller = Caller::Cooked(Some(before.clone()));
        }
        self.take_keys();
    }

    /// Tells the program's terminal the size of the caller's.
    pub(crate) fn resize(&self) {
        let sizes = [tcgetwinsize(std::io::stdin()), tcgetwinsize(std::io::stdout())];
        if let Some(size) = sizes.into_iter().find_map(Result::ok) {
            let _ = tcsetwinsize(&self.controlling, size);
        }
    }

    /// Whether the caller's terminal has hung up, or nobody reads the output any more.
    pub(crate) fn is_cut(&self) -> bool {
        self.gone
    }

    /// What to poll for: standard input, standard output and the program's terminal. Where nothing is wanted, nothing may
    /// be polled: a hangup is told always (poll(2)).
    pub(crate) fn wanted<'a>(&'a self, stdin: &'a impl AsFd, stdout: &'a impl AsFd) -> [Option<PollFd<'a>>; 3] {
        let pick = |on: bool, flag: PollFlags| if on { flag } else { PollFlags::empty() };
        let terminal = pick(self.output.has_room(), PollFlags::IN) | pick(!self.input.bytes.is_empty(), PollFlags::OUT);
        [
            (self.input.has_room() && !self.waits_for_keys()).then(|| PollFd::new(stdin, PollFlags::IN)),
            (!self.output.bytes.is_empty()).then(|| PollFd::new(stdout, PollFlags::OUT)),
            (!terminal.is_empty()).then(|| PollFd::new(&self.controlling, terminal)),
        ]
    }

    /// Moves what can be moved, as poll said.
    pub(crate) fn turn(&mut self, ready: [PollFlags; 3]) {
        let readable = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
        if self.input.has_room() && ready[0].intersects(readable) {
            self.input.fill(std::io::stdin().as_fd());
            match &self.caller {
                // The end of a pipe is Ctrl-D to a terminal: twice, in case a line was begun.
                Caller::NoTerminal if self.input.ended => self.input.bytes.extend_from_slice(b"\x04\x04"),
                _ => self.gone |= self.input.ended,
            }
        }
        if self.output.has_room() && ready[2].intersects(readable) {
            self.output.fill(self.controlling.as_fd());
        }
        if !self.input.bytes.is_empty() && ready[2].intersects(PollFlags::OUT) {
            let _ = self.input.drain(self.controlling.as_fd());
        }
        if ready[1].intersects(PollFlags::OUT | PollFlags::ERR) {
            self.write();
        }
    }

    /// Reads what the program wrote before it ended; whether any of it is still to be written.
    pub(crate) fn has_rest(&mut self) -> bool {
        if self.output.has_room() {
            self.output.fill(self.controlling.as_fd());
        }
        !self.output.bytes.is_empty()
    }

    /// Writes what has been read.
    pub(crate) fn write(&mut self) {
        self.gone |= self.output.drain(std::io::stdout().as_fd()).is_err();
    }
}

/// Whether no other job has the terminal on standard input. One that isn't this session's has no jobs (ENOTTY).
fn in_front() -> bool {
    tcgetpgrp(std::io::stdin()).map_or(true, |group| group == getpgrp())
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.restore();
    }
}
