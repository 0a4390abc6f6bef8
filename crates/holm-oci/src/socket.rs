//! Sockets of whoever an engine has listen (unix(7)).

use rustix::io::{Errno, Result, retry_on_intr};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    sendmsg, socket_with,
};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

/// Connects to who listens at `path` (unix(7), `SOCK_STREAM`).
pub(crate) fn connect(path: &Path) -> Result<OwnedFd> {
    let made = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&made, &SocketAddrUnix::new(path)?)?;
    Ok(made)
}

/// Sends a descriptor with a text (unix(7), `SCM_RIGHTS`). A socket that is nearly full takes a part, and the rest when there is room.
pub(crate) fn send(socket: &OwnedFd, descriptor: BorrowedFd<'_>, text: &[u8]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    if !message.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::NOBUFS);
    }
    let sent = retry_on_intr(|| sendmsg(socket, &[std::io::IoSlice::new(text)], &mut message, SendFlags::NOSIGNAL))?;
    let mut rest = text.get(sent..).unwrap_or_default();
    while !rest.is_empty() {
        let sent = retry_on_intr(|| rustix::net::send(socket, rest, SendFlags::NOSIGNAL))?;
        rest = rest.get(sent..).unwrap_or_default();
    }
    Ok(())
}
