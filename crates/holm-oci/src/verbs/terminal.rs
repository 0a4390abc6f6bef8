//! The terminal of a container: its controlling side goes to whoever listens at the console socket.

use crate::{Error, Result, shown};
use holm::run::Held;
use holm::spec::life::Terminal;
use oci_spec::runtime::Box as Size;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    connect as knock, sendmsg, socket_with,
};
use std::mem::MaybeUninit;
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
    /// The caller.
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
            let made =
                socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(failed)?;
            let address = SocketAddrUnix::new(path).map_err(failed)?;
            knock(&made, &address).map_err(failed)?;
            Ok(Taker::Socket(made))
        }
    }
}

impl Taker {
    /// Sets the terminal's size and hands it over; it is returned if the caller gets it.
    pub(super) fn take(self, held: &mut Held, size: Option<Size>) -> Result<Option<OwnedFd>> {
        let failed = |errno| Error::io("hand over the terminal", errno);
        if let Taker::Nobody = self {
            return Ok(None);
        }
        let terminal = held.terminal.take().ok_or_else(|| failed(rustix::io::Errno::NOTTY))?;
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
        match self {
            Taker::Socket(socket) => send(&socket, &terminal).map(|()| None).map_err(failed),
            Taker::Nobody | Taker::Caller => Ok(Some(terminal)),
        }
    }
}

/// Sends a terminal, as one message that carries it (unix(7), `SCM_RIGHTS`).
fn send(socket: &OwnedFd, terminal: &OwnedFd) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    let descriptors = [terminal.as_fd()];
    if !message.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(rustix::io::Errno::NOBUFS);
    }
    sendmsg(socket, &[std::io::IoSlice::new(b"/dev/ptmx")], &mut message, SendFlags::NOSIGNAL).map(drop)
}
