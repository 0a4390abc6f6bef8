//! Network interfaces, and pairs of them that lead from one network namespace to another (veth(4)).
//!
//! Each network namespace but the caller's own is entered by a thread that ends afterwards: a socket that was made there
//! goes on asking there (rtnetlink(7)). Nothing is changed. It takes CAP_SYS_ADMIN over the namespace and in the caller's own
//! user namespace, so an ordinary user sees the interfaces of the own one only.

use super::machine::{Machine, Place};
use super::read::Proc;
use super::reopen::reopen_by;
use crate::model::namespace::Namespace;
use crate::sys::netlink::{Answer, LINK, RTM_GETLINK, RTM_NEWLINK, add_attribute, ask, attributes, route_socket};
use rustix::io::{Errno, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// What there is of it.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// By namespace, then by number there.
    pub interfaces: Vec<Interface>,
    /// Pairs of interfaces, as places in `interfaces`, the lower one first.
    pub pairs: Vec<[usize; 2]>,
    /// Network namespaces whose interfaces couldn't be listed.
    pub unread: usize,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name, which who may configure it chooses.
    pub name: OsString,
    /// Where it is.
    pub namespace: Place,
}

/// What a namespace tells of an interface.
struct Seen {
    name: OsString,
    namespace: Place,
    /// Its number there.
    index: u32,
    /// The other one of its pair: its number, and if that is elsewhere, where, as this namespace numbers others.
    peer: Option<(u32, Option<i32>)>,
}

/// A namespace with interfaces that lead elsewhere: itself, and a socket in it.
struct Known {
    namespace: OwnedFd,
    socket: OwnedFd,
}

/// Reads the interfaces of these network namespaces, and the pairs between them.
pub fn read(machine: &Machine, places: &[Place]) -> Network {
    std::thread::scope(|scope| scope.spawn(|| walk(machine, places)).join().unwrap_or_default())
}

/// The caller is a thread of its own: it is elsewhere afterwards.
fn walk(machine: &Machine, places: &[Place]) -> Network {
    let Ok(proc) = Proc::open() else { return Network { unread: places.len(), ..Network::default() } };
    let own = machine.process(proc.this).and_then(|own| own.namespace(Namespace::Net));
    let (mut unread, mut seen, mut known) = (0, Vec::new(), HashMap::new());
    // The own one first, while the thread is there.
    let (first, others) = places.iter().partition::<Vec<Place>, _>(|place| Some(**place) == own);
    for place in first.into_iter().chain(others) {
        let listed = reopen_by(&proc, machine, place).and_then(|namespace| {
            if Some(place) != own {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            }
            let socket = route_socket()?;
            Ok((list(&socket, place)?, Known { namespace, socket }))
        });
        let Ok((found, one)) = listed else {
            unread += 1;
            continue;
        };
        if found.iter().any(|interface| matches!(interface.peer, Some((_, Some(_))))) {
            known.insert(place, one);
        }
        seen.extend(found);
    }
    seen.sort_by_key(|one| (one.namespace, one.index));
    let pairs = pairs(&seen, |from, to| number(known.get(&from)?, known.get(&to)?).ok());
    let interfaces = seen.into_iter().map(|Seen { name, namespace, .. }| Interface { name, namespace }).collect();
    Network { interfaces, pairs, unread }
}

/// The pairs whose ends name each other, where `number` tells how one namespace numbers another.
fn pairs(interfaces: &[Seen], number: impl Fn(Place, Place) -> Option<i32>) -> Vec<[usize; 2]> {
    let mut by_index: HashMap<u32, Vec<usize>> = HashMap::new();
    for (place, one) in interfaces.iter().enumerate() {
        by_index.entry(one.index).or_default().push(place);
    }
    let leads = |from: &Seen, to: &Seen| match from.peer {
        Some((index, None)) => index == to.index && from.namespace == to.namespace,
        Some((index, Some(_))) if index != to.index || from.namespace == to.namespace => false,
        Some((_, there)) => there == number(from.namespace, to.namespace),
        None => false,
    };
    let mut found = Vec::new();
    for (place, one) in interfaces.iter().enumerate() {
        let others = one.peer.and_then(|(index, _)| by_index.get(&index)).into_iter().flatten();
        let later = others.copied().filter(|&other| other > place);
        let other = later.into_iter().find(|&other| leads(one, &interfaces[other]) && leads(&interfaces[other], one));
        found.extend(other.map(|other| [place, other]));
    }
    found
}

const RTM_NEWNSID: u16 = 88;
const RTM_GETNSID: u16 = 90;
/// Bytes of `struct rtgenmsg` with what fills it up.
const GENERAL: usize = 4;

/// How the namespace of `from` numbers the namespace `to`: -1 if it has no number there (`RTM_GETNSID`).
fn number(from: &Known, to: &Known) -> Result<i32> {
    /// `NETNSA_FD`
    const DESCRIPTOR: u16 = 3;
    /// `NETNSA_NSID`
    const NUMBER: u16 = 1;
    let mut body = vec![0; GENERAL];
    add_attribute(&mut body, DESCRIPTOR, &to.namespace.as_raw_fd().to_ne_bytes());
    let mut found = Err(Errno::NOENT);
    ask(&from.socket, RTM_GETNSID, Answer::One, &body, &mut |kind, body| {
        let value = attributes(body.get(GENERAL..).unwrap_or_default()).find(|(kind, _)| *kind == NUMBER);
        let value = value.filter(|_| kind == RTM_NEWNSID).and_then(|(_, value)| value.try_into().ok());
        found = value.map(i32::from_ne_bytes).ok_or(Errno::NOENT);
    })?;
    found
}

/// The interfaces of the namespace in which `socket` was made, by number.
fn list(socket: &OwnedFd, namespace: Place) -> Result<Vec<Seen>> {
    let mut found = Vec::new();
    ask(socket, RTM_GETLINK, Answer::All, &[0; LINK], &mut |kind, body| {
        found.extend((kind == RTM_NEWLINK).then(|| interface(body, namespace)).flatten());
    })?;
    found.sort_by_key(|one: &Seen| one.index);
    Ok(found)
}

/// The interface that a message describes.
fn interface(body: &[u8], namespace: Place) -> Option<Seen> {
    const NAME: u16 = 3;
    const PEER: u16 = 5;
    const ABOUT: u16 = 18;
    const KIND: u16 = 1;
    const ELSEWHERE: u16 = 37;
    let number = |value: &[u8]| value.try_into().ok().map(i32::from_ne_bytes);
    let index = number(body.get(4..8)?)? as u32;
    let (mut name, mut peer, mut elsewhere, mut is_pair) = (None, None, None, false);
    for (kind, value) in attributes(body.get(LINK..)?) {
        match kind {
            NAME => name = value.split(|&byte| byte == 0).next().map(<[u8]>::to_vec),
            PEER => peer = number(value).map(|index| index as u32),
            ELSEWHERE => elsewhere = number(value),
            ABOUT => is_pair = attributes(value).any(|(kind, value)| kind == KIND && value == b"veth\0"),
            _ => {}
        }
    }
    let peer = peer.filter(|_| is_pair).map(|peer| (peer, elsewhere));
    Some(Seen { name: OsString::from_vec(name?), namespace, index, peer })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        add_attribute(&mut bytes, kind, value);
        bytes
    }

    #[test]
    fn a_message_tells_an_interface_and_its_peer() {
        let about = attribute(1, b"veth\0");
        let mut body = vec![0; LINK];
        body[4..8].copy_from_slice(&7u32.to_ne_bytes());
        for part in [
            attribute(3, b"eth0\0"),
            attribute(5, &9u32.to_ne_bytes()),
            attribute(0x8000 | 18, &about),
            attribute(37, &2u32.to_ne_bytes()),
        ] {
            body.extend(part);
        }
        let found = interface(&body, 4).expect("it is whole");
        assert_eq!((found.name.as_encoded_bytes(), found.index, found.peer), (&b"eth0"[..], 7, Some((9, Some(2)))));
        for length in 0..body.len() {
            // Whatever is cut off: no panic, and no interface without a name.
            assert!(interface(&body[..length], 4).is_none_or(|found| found.index == 7 && !found.name.is_empty()));
        }
    }

    #[test]
    fn only_interfaces_that_name_each_other_are_a_pair() {
        let one = |namespace, index, peer| Seen { name: "x".into(), namespace, index, peer };
        let interfaces = [
            one(0, 2, None),
            one(0, 7, Some((2, Some(5)))),
            one(0, 8, Some((2, Some(6)))),
            one(1, 2, Some((7, Some(0)))),
            one(2, 2, Some((8, Some(0)))),
            one(3, 4, Some((5, None))),
            one(3, 5, Some((4, None))),
        ];
        let numbers = HashMap::from([((0, 1), 5), ((0, 2), 6), ((1, 0), 0), ((2, 0), 0)]);
        let found = pairs(&interfaces, |from, to| numbers.get(&(from, to)).copied());
        assert_eq!(found, [[1, 3], [2, 4], [5, 6]]);
    }
}
