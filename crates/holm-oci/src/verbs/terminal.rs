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
use std::path::Path;

/// A connected console socket.
pub(super) struct Console(OwnedFd);

/// Connects before anything is made: whoever asks for a terminal must listen, and nobody else.
pub(super) fn connect(terminal: Terminal, socket: Option<&Path>) -> Result<Option<Console>> {
    match (terminal, socket) {
        (Terminal::None, None) => Ok(None),
        (Terminal::None, Some(_)) => Err(Error::Failed(
            "cannot use --console-socket: the container has no terminal (process.terminal)".to_owned(),
        )),
        (Terminal::Own, None) => {
            Err(Error::Failed("cannot allocate tty if runc will detach without setting console socket".to_owned()))
        }
        (Terminal::Own, Some(path)) => {
            let failed = |errno| Error::io(format!("use console socket {}", shown(path)), errno);
            let made =
                socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(failed)?;
            let address = SocketAddrUnix::new(path).map_err(failed)?;
            knock(&made, &address).map_err(failed)?;
            Ok(Some(Console(made)))
        }
    }
}

impl Console {
    /// Sends the terminal, as one message that carries it (unix(7), `SCM_RIGHTS`).
    pub(super) fn hand_over(self, held: &Held, size: Option<Size>) -> Result<()> {
        let failed = |errno| Error::io("hand over the terminal", errno);
        let terminal = held.terminal.as_ref().ok_or_else(|| failed(rustix::io::Errno::NOTTY))?;
        if let Some(size) = size {
            let cut = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
            let size = rustix::termios::Winsize {
                ws_row: cut(size.height()),
                ws_col: cut(size.width()),
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            rustix::termios::tcsetwinsize(terminal, size).map_err(failed)?;
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut message = SendAncillaryBuffer::new(&mut space);
        let descriptors = [terminal.as_fd()];
        if !message.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(failed(rustix::io::Errno::NOBUFS));
        }
        sendmsg(&self.0, &[std::io::IoSlice::new(b"/dev/ptmx")], &mut message, SendFlags::NOSIGNAL).map_err(failed)?;
        Ok(())
    }
}
