//! `holm why`: all that keeps a namespace alive.

use super::Done;
use super::containers::Names;
use super::screen::Screen;
use super::target::{label, maker_by, namespace};
use clap::ArgMatches;
use holm::inspect::machine::{Holder, Link, Machine};
use std::ffi::OsString;

/// What keeps the namespace alive, a line each.
pub(crate) fn print(machine: &Machine, matches: &ArgMatches, screen: &Screen) -> Done {
    let name = matches.get_one::<OsString>("namespace").map(OsString::as_os_str).unwrap_or_default();
    let place = namespace(machine, name)?;
    let found = &machine.namespaces[place];
    let mut text = format!("{} {}", found.kind, found.inode);
    if let Some(id) = found.id {
        text += &format!(", number {id}");
    }
    text += &match found.owner {
        Link::To(owner) => format!(", owned by user {}\n", machine.namespaces[owner].inode),
        Link::None => ", the first of its kind\n".to_owned(),
        Link::Beyond => ", owned by one that isn't shown to you\n".to_owned(),
        Link::Unread => ", whose owner couldn't be asked for\n".to_owned(),
    };
    let leader = machine.leader(place).filter(|_| !machine.hosts().contains(&Some(place)));
    if let Some(maker) = leader.and_then(|leader| maker_by(machine, leader, &Names::default())) {
        text += &format!("made by {}\n", screen.text(maker.to_string()));
    }
    text += &match found.processes.len() {
        0 => "no process is in it\n".to_owned(),
        1 => "kept alive by the process in it:\n".to_owned(),
        count => format!("kept alive by the {count} processes in it:\n"),
    };
    for process in found.processes.iter().filter_map(|pid| machine.process(*pid)) {
        text += &format!("  {}\n", label(screen, process));
    }
    let holders = machine.holders(place);
    if !holders.is_empty() {
        text += if found.processes.is_empty() { "kept alive by\n" } else { "and by\n" };
    }
    for holder in &holders {
        let process = match holder {
            Holder::Thread { pid, .. }
            | Holder::Children { pid }
            | Holder::Descriptor { pid, .. }
            | Holder::Socket { pid, .. }
            | Holder::Tun { pid, .. }
            | Holder::InFlight { pid, .. } => machine.process(*pid),
            Holder::Mount { .. } | Holder::Below { .. } => None,
        };
        let name = process.map(|process| format!(" ({})", screen.text(&process.name))).unwrap_or_default();
        text += &format!("  {}{name}\n", super::places::place(screen, machine, holder));
    }
    if holders.is_empty() && found.processes.is_empty() {
        text += &format!("kept alive by {}\n", super::places::NOTHING);
    }
    Ok(text)
}
