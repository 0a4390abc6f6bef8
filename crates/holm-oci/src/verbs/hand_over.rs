//! Descriptors for whoever listens at a socket of an engine's.

use crate::{Error, Result, shown};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    connect as knock, sendmsg, socket_with,
};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

/// Connects to who listens at `path` (unix(7), `SOCK_STREAM`).
pub(super) fn connect(path: &Path) -> rustix::io::Result<OwnedFd> {
    let made = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    knock(&made, &SocketAddrUnix::new(path)?)?;
    Ok(made)
}

/// Sends a descriptor, with one message that carries it (unix(7), `SCM_RIGHTS`).
pub(super) fn send(socket: &OwnedFd, descriptor: BorrowedFd<'_>, text: &[u8]) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    if !message.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(rustix::io::Errno::NOBUFS);
    }
    sendmsg(socket, &[std::io::IoSlice::new(text)], &mut message, SendFlags::NOSIGNAL).map(drop)
}

/// Who gets a descriptor of a container's process (pidfd_open(2)), if anybody does.
pub(super) struct Watcher(Option<OwnedFd>);

impl Watcher {
    /// Connects before anything is made.
    pub(super) fn connect(path: Option<&Path>) -> Result<Watcher> {
        let failed = |path: &Path, errno| Error::io(format!("use pidfd socket {}", shown(path)), errno);
        let socket = path.map(|path| connect(path).map_err(|errno| failed(path, errno))).transpose()?;
        Ok(Watcher(socket))
    }

    /// Hands the descriptor of a process over.
    pub(super) fn tell(&self, process: Option<BorrowedFd<'_>>) -> Result<()> {
        let (Some(socket), Some(process)) = (&self.0, process) else { return Ok(()) };
        send(socket, process, b"pidfd").map_err(|errno| Error::io("hand over the process", errno))
    }
}
