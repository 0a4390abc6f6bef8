//! What keeps a namespace alive, in words.

use super::screen::Screen;
use holm::inspect::machine::{Holder, Machine, Place};

/// Said where nothing was found.
pub(crate) const NOTHING: &str = "nothing that you may see";

/// One holding place: `fd 7 of 812`, `bound at /run/netns/x`.
pub(crate) fn place(screen: &Screen, machine: &Machine, holder: &Holder) -> String {
    match holder {
        Holder::Thread { pid, tid } => format!("thread {tid} of {pid}"),
        Holder::Children { pid } => format!("children of {pid}"),
        Holder::Descriptor { pid, fd } => format!("fd {fd} of {pid}"),
        Holder::Socket { pid, fd } => format!("socket, fd {fd} of {pid}"),
        Holder::Tun { pid, fd } => format!("tun device, fd {fd} of {pid}"),
        Holder::InFlight { pid, fd } => format!("sent to socket, fd {fd} of {pid}"),
        Holder::Mount { path, inside } => {
            let own = machine
                .process(std::process::id())
                .and_then(|own| own.namespace(holm::model::namespace::Namespace::Mount));
            let here = own.is_some_and(|own| machine.namespaces[own].inode == *inside);
            let there = if here { String::new() } else { format!(" in mnt {inside}") };
            format!("bound at {}{there}", screen.text(path))
        }
        Holder::Below { kind, inode } => format!("{kind} {inode} below it"),
    }
}

/// The first holding places of a namespace and how many more there are; namespaces below it count only if nothing else does.
pub(crate) fn summary(screen: &Screen, machine: &Machine, at: Place) -> String {
    const SHOWN: usize = 2;
    let found = &machine.namespaces[at];
    let below = || machine.holders(at);
    let holders = if found.holders.is_empty() && found.processes.is_empty() { below() } else { found.holders.clone() };
    let mut text = holders.iter().take(SHOWN).map(|one| place(screen, machine, one)).collect::<Vec<_>>().join("; ");
    if holders.len() > SHOWN {
        text += &format!("; {} more", holders.len() - SHOWN);
    }
    if text.is_empty() && found.processes.is_empty() { NOTHING.to_owned() } else { text }
}
