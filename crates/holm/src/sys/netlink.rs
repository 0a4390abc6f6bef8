//! Requests to the kernel's routing part, and its answers (netlink(7), rtnetlink(7)). A socket goes on asking in the network
//! namespace in which it was made.

use rustix::io::{Errno, Result};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};
use std::os::fd::OwnedFd;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
pub(crate) const RTM_NEWLINK: u16 = 16;
pub(crate) const RTM_GETLINK: u16 = 18;
pub(crate) const RTM_NEWADDR: u16 = 20;
pub(crate) const RTM_GETADDR: u16 = 22;
/// Bytes of the header of a message (netlink(7)).
const HEADER: usize = 16;
/// Bytes of `struct ifinfomsg`.
pub(crate) const LINK: usize = 16;
/// Bytes of `struct ifaddrmsg`.
pub(crate) const ADDRESS: usize = 8;

/// What is answered to a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// One message.
    One,
    /// A message for each of what there is (`NLM_F_DUMP`).
    All,
    /// That it is done (`NLM_F_ACK`).
    Done,
}

/// A socket for the network namespace of this thread.
pub(crate) fn route_socket() -> Result<OwnedFd> {
    // Protocol 0 is NETLINK_ROUTE.
    socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
}

/// Sends a request and hands on the kind and the body of each message of the answer.
pub(crate) fn ask(
    socket: &OwnedFd,
    kind: u16,
    answer: Answer,
    body: &[u8],
    take: &mut dyn FnMut(u16, &[u8]),
) -> Result<()> {
    let flags = match answer {
        Answer::One => NLM_F_REQUEST,
        Answer::All => NLM_F_REQUEST | NLM_F_DUMP,
        Answer::Done => NLM_F_REQUEST | NLM_F_ACK,
    };
    let mut request = Vec::new();
    request.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    request.extend([0; 8]);
    request.extend(body);
    sendto(socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    // More than the kernel puts into one datagram.
    let mut bytes = vec![0u8; 64 * 1024];
    loop {
        let (length, _) = recv(socket, bytes.as_mut_slice(), RecvFlags::empty())?;
        for (kind, body) in messages(&bytes[..length]) {
            match kind {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => return error(body).map_or(Ok(()), Err),
                _ => take(kind, body),
            }
        }
        if length == 0 || answer == Answer::One {
            return Ok(());
        }
    }
}

/// What went wrong; `None` if nothing did.
fn error(body: &[u8]) -> Option<Errno> {
    let number = body.get(..4).and_then(|number| number.try_into().ok()).map_or(-libc::EIO, i32::from_ne_bytes);
    (number != 0).then(|| Errno::from_raw_os_error(number.checked_neg().unwrap_or(libc::EIO)))
}

/// Adds an attribute to a body.
pub(crate) fn add_attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend(((4 + value.len()) as u16).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// Kind and body of each message in a datagram.
fn messages(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let length = |bytes: &[u8]| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    parts(bytes, HEADER, length).map(|part| (u16::from_ne_bytes([part[4], part[5]]), &part[HEADER..]))
}

/// Kind and value of each attribute (rtnetlink(7), "Routing Attributes").
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let length = |bytes: &[u8]| u16::from_ne_bytes([bytes[0], bytes[1]]).into();
    // The upper bits say that it is nested, or in which order its bytes are.
    parts(bytes, 4, length).map(|part| (u16::from_ne_bytes([part[2], part[3]]) & 0x3fff, &part[4..]))
}

/// Parts that begin with a header of `header` bytes, which tells their length, each at a multiple of 4.
fn parts(bytes: &[u8], header: usize, length: impl Fn(&[u8]) -> usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = length(rest.get(..header)?);
        let part = rest.get(..length).filter(|_| length >= header)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_lie_end_the_walk() {
        let wrong = [&[0u8; 16][..], &[255; 40], &[3, 0, 0, 0], &[]];
        assert!(wrong.iter().all(|bytes| messages(bytes).count() == 0 && attributes(bytes).count() == 0));
    }
}
