//! Gives a network device of the caller's to the process inside: the parent moves it into that one's network namespace, and there
//! gives it back what the kernel takes from it on the way, its addresses and that it is up (config-linux.md, "Network Devices").
//!
//! The namespace is entered by a thread that ends at once: a socket that was made there goes on asking there.

use crate::spec::namespaces::Device;
use crate::sys::netlink::{ADDRESS, Answer, LINK, RTM_GETADDR, RTM_NEWADDR, RTM_NEWLINK};
use crate::sys::netlink::{add_attribute, ask, attributes, route_socket};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Attributes of addresses and links (rtnetlink(7)).
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;

/// Moves `device` into the network namespace of the process `pid`.
pub(super) fn give(device: &Device, pid: i32) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let namespace = open(format!("/proc/{pid}/ns/net"), flags, Mode::empty())?;
    let (here, there) = (route_socket()?, socket_in(&namespace)?);
    let name = |name: &std::ffi::OsStr| name.to_str().map(str::to_owned).ok_or(Errno::INVAL);
    let index = rustix::net::netdevice::name_to_index(&here, &name(&device.name)?)?;
    let addresses = addresses(&here, index)?;
    let mut wish = link(index, 0);
    add_attribute(&mut wish, IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes());
    add_attribute(&mut wish, IFLA_IFNAME, &[device.inside.as_bytes(), b"\0"].concat());
    ask(&here, RTM_NEWLINK, Answer::Done, &wish, &mut |_, _| ())?;
    let index = rustix::net::netdevice::name_to_index(&there, &name(&device.inside)?)?;
    for mut address in addresses {
        address[4..ADDRESS].copy_from_slice(&index.to_ne_bytes());
        ask(&there, RTM_NEWADDR, Answer::Done, &address, &mut |_, _| ())?;
    }
    ask(&there, RTM_NEWLINK, Answer::Done, &link(index, libc::IFF_UP as u32), &mut |_, _| ())
}

/// A socket for a network namespace.
fn socket_in(namespace: &OwnedFd) -> Result<OwnedFd> {
    let enter = || {
        crate::sys::namespace::enter(namespace.as_fd(), libc::CLONE_NEWNET as u64)?;
        route_socket()
    };
    std::thread::scope(|scope| scope.spawn(enter).join()).unwrap_or(Err(Errno::IO))
}

/// `struct ifinfomsg`: the interface, and these flags of it where there are some.
fn link(index: u32, flags: u32) -> Vec<u8> {
    let mut body = vec![0; 4];
    [index, flags, flags].iter().for_each(|number| body.extend(number.to_ne_bytes()));
    debug_assert_eq!(body.len(), LINK);
    body
}

/// The lasting addresses of an interface that mean something everywhere, as what asks for the same.
fn addresses(socket: &OwnedFd, index: u32) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    ask(socket, RTM_GETADDR, Answer::All, &[0; ADDRESS], &mut |kind, body| {
        found.extend((kind == RTM_NEWADDR).then(|| address(body, index)).flatten());
    })?;
    Ok(found)
}

/// One of them, if a message tells one.
fn address(body: &[u8], index: u32) -> Option<Vec<u8>> {
    // struct ifaddrmsg: family, length of the prefix, flags, scope, index.
    let &[family, prefix, flags, scope, ref of @ ..] = body.first_chunk::<ADDRESS>()?;
    let lasting = u32::from(flags) & libc::IFA_F_PERMANENT != 0;
    if u32::from_ne_bytes(*of) != index || scope != libc::RT_SCOPE_UNIVERSE || !lasting {
        return None;
    }
    let mut made = vec![family, prefix, flags, scope, 0, 0, 0, 0];
    for (kind, value) in attributes(&body[ADDRESS..]) {
        match kind {
            IFA_ADDRESS | IFA_LOCAL | IFA_BROADCAST => add_attribute(&mut made, kind, value),
            // The kernel says by itself whether it has looked for others with the same.
            IFA_FLAGS => {
                let flags = value.try_into().map_or(0, u32::from_ne_bytes);
                let own = libc::IFA_F_NODAD | libc::IFA_F_NOPREFIXROUTE | libc::IFA_F_MANAGETEMPADDR;
                add_attribute(&mut made, kind, &(flags & own).to_ne_bytes());
            }
            _ => {}
        }
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_asked_for_as_it_was_if_it_lasts_and_is_known_everywhere() {
        let told = |index: u32, flags: u32, scope: u8| {
            let mut body = vec![2, 24, flags as u8, scope];
            body.extend(index.to_ne_bytes());
            add_attribute(&mut body, IFA_LOCAL, &[10, 0, 0, 1]);
            add_attribute(&mut body, 3, b"eth0\0");
            add_attribute(&mut body, IFA_FLAGS, &flags.to_ne_bytes());
            body
        };
        let lasting = libc::IFA_F_PERMANENT;
        let found = address(&told(7, lasting, 0), 7).expect("it is one");
        assert_eq!(found[..ADDRESS], [2, 24, lasting as u8, 0, 0, 0, 0, 0]);
        let kinds: Vec<u16> = attributes(&found[ADDRESS..]).map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [IFA_LOCAL, IFA_FLAGS], "a label is the old name's");
        let others = [told(8, lasting, 0), told(7, 0, 0), told(7, lasting, libc::RT_SCOPE_LINK), vec![2, 24]];
        assert!(others.iter().all(|body| address(body, 7).is_none()));
    }
}
