//! The terminal of a container: its controlling side goes to whoever listens at the console socket.

use crate::socket;
use crate::{Error, Result, shown};
use holm::spec::life::Terminal;
use oci_spec::runtime::Box as Size;
use rustix::termios::{OptionalActions, OutputModes, tcgetattr, tcsetattr};
use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// Who gets the controlling side of a container's terminal.
#[derive(Debug, Clone, Default)]
pub enum Console {
    /// Nobody: it has none.
    #[default]
    Nobody,
    /// Who listens at this socket.
    Socket(PathBuf),
    /// The caller, who passes what is written there on to its standard output.
    Caller,
}

/// The same, ready to take it.
pub(super) enum Taker {
    Nobody,
    Socket(OwnedFd),
    Caller,
}

/// Connects before anything is made: whoever asks for a terminal must take it, and nobody else.
pub(super) fn connect(terminal: Terminal, console: &Console) -> Result<Taker> {
    match (terminal, console) {
        (Terminal::None, Console::Nobody | Console::Caller) => Ok(Taker::Nobody),
        (Terminal::None, Console::Socket(_)) => Err(Error::Failed(
            "cannot use --console-socket: the container has no terminal (process.terminal)".to_owned(),
        )),
        (_, Console::Nobody) => {
            Err(Error::Failed("cannot allocate tty if runc will detach without setting console socket".to_owned()))
        }
        (_, Console::Caller) => Ok(Taker::Caller),
        (_, Console::Socket(path)) => {
            let failed = |errno| Error::io(format!("use console socket {}", shown(path)), errno);
            socket::connect(path).map(Taker::Socket).map_err(failed)
        }
    }
}

impl Taker {
    /// Sets the terminal's size and hands it over; it is returned if the caller gets it.
    pub(super) fn take(self, terminal: Option<OwnedFd>, size: Option<Size>) -> Result<Option<OwnedFd>> {
        let failed = |errno| Error::io("hand over the terminal", errno);
        if let Taker::Nobody = self {
            return Ok(None);
        }
        let terminal = terminal.ok_or_else(|| failed(rustix::io::Errno::NOTTY))?;
        if let Some(size) = size {
            let cut = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
            let size = rustix::termios::Winsize {
                ws_row: cut(size.height()),
                ws_col: cut(size.width()),
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            rustix::termios::tcsetwinsize(&terminal, size).map_err(failed)?;
        }
        if let Taker::Caller = self
            && !std::io::stdout().is_terminal()
        {
            end_lines_plainly(&terminal).map_err(failed)?;
        }
        match self {
            Taker::Socket(socket) => {
                socket::send(&socket, terminal.as_fd(), b"/dev/ptmx").map(|()| None).map_err(failed)
            }
            Taker::Nobody | Taker::Caller => Ok(Some(terminal)),
        }
    }
}

/// Where no terminal shows it, a line ends as the program ends it (termios(3), `ONLCR`).
fn end_lines_plainly(terminal: &OwnedFd) -> rustix::io::Result<()> {
    let mut settings = tcgetattr(terminal)?;
    settings.output_modes.remove(OutputModes::ONLCR);
    tcsetattr(terminal, OptionalActions::Now, &settings)
}
