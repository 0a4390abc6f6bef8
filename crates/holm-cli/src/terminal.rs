//! The caller's terminal, while the program has one of its own: raw, with everything passed on both ways.

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes on their way in one direction.
#[derive(Default)]
struct Pipe {
    bytes: Vec<u8>,
    ended: bool,
}

const ROOM: usize = 16 * 1024;

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

    fn drain(&mut self, to: BorrowedFd<'_>) {
        match rustix::io::write(to, &self.bytes) {
            Ok(length) => drop(self.bytes.drain(..length)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => {
                self.bytes.clear();
                self.ended = true;
            }
        }
    }
}

/// The relay between the caller's standard descriptors and the program's terminal.
pub(crate) struct Relay {
    controlling: OwnedFd,
    input: Pipe,
    output: Pipe,
    /// The caller's settings, if standard input is a terminal.
    before: Option<Termios>,
}

impl Relay {
    pub(crate) fn new(controlling: OwnedFd) -> Relay {
        let before = std::io::stdin().is_terminal().then(|| tcgetattr(std::io::stdin()).ok()).flatten();
        if let Ok(flags) = rustix::fs::fcntl_getfl(&controlling) {
            let _ = rustix::fs::fcntl_setfl(&controlling, flags | rustix::fs::OFlags::NONBLOCK);
        }
        let relay = Relay { controlling, input: Pipe::default(), output: Pipe::default(), before };
        relay.resize();
        relay.raw();
        relay
    }

    /// Keys go to the program unread, Ctrl-C and Ctrl-Z included.
    pub(crate) fn raw(&self) {
        if let Some(before) = &self.before {
            let mut raw = before.clone();
            raw.make_raw();
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &raw);
        }
    }

    /// Gives the caller's terminal back as it was.
    pub(crate) fn restore(&self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, before);
        }
    }

    /// Tells the program's terminal the size of the caller's.
    pub(crate) fn resize(&self) {
        let sizes = [tcgetwinsize(std::io::stdin()), tcgetwinsize(std::io::stdout())];
        if let Some(size) = sizes.into_iter().find_map(Result::ok) {
            let _ = tcsetwinsize(&self.controlling, size);
        }
    }

    /// What to poll for: standard input, standard output and the program's terminal.
    pub(crate) fn wanted<'a>(&'a self, stdin: &'a impl AsFd, stdout: &'a impl AsFd) -> [PollFd<'a>; 3] {
        let pick = |on: bool, flag: PollFlags| if on { flag } else { PollFlags::empty() };
        let terminal = pick(self.output.has_room(), PollFlags::IN) | pick(!self.input.bytes.is_empty(), PollFlags::OUT);
        [
            PollFd::new(stdin, pick(self.input.has_room(), PollFlags::IN)),
            PollFd::new(stdout, pick(!self.output.bytes.is_empty(), PollFlags::OUT)),
            PollFd::new(&self.controlling, terminal),
        ]
    }

    /// Moves what can be moved, as poll said.
    pub(crate) fn turn(&mut self, ready: [PollFlags; 3]) {
        let readable = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
        if self.input.has_room() && ready[0].intersects(readable) {
            self.input.fill(std::io::stdin().as_fd());
            if self.input.ended && self.before.is_none() {
                // The end of a pipe is Ctrl-D to a terminal: twice, in case a line was begun.
                self.input.bytes.extend_from_slice(b"\x04\x04");
            }
        }
        if self.output.has_room() && ready[2].intersects(readable) {
            self.output.fill(self.controlling.as_fd());
        }
        if !self.input.bytes.is_empty() && ready[2].intersects(PollFlags::OUT) {
            self.input.drain(self.controlling.as_fd());
        }
        if !self.output.bytes.is_empty() && ready[1].intersects(PollFlags::OUT | PollFlags::ERR) {
            self.output.drain(std::io::stdout().as_fd());
        }
    }

    /// Passes on what the program wrote before it ended.
    pub(crate) fn finish(&mut self) {
        loop {
            while !self.output.bytes.is_empty() {
                self.output.drain(std::io::stdout().as_fd());
            }
            if self.output.ended {
                return;
            }
            let before = self.output.bytes.len();
            self.output.fill(self.controlling.as_fd());
            if self.output.bytes.len() == before {
                return;
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.restore();
    }
}
