//! `holm diff PID PID`, two processes side by side: which of the eight namespaces differ, and what each difference isolates.

use super::screen::{Ink, Screen};
use super::table::fold;
use super::target::{label, process};
use super::{Done, fault};
use clap::ArgMatches;
use holm::inspect::machine::Machine;
use holm::model::namespace::Namespace;
use std::ffi::OsString;

/// The two processes that `holm diff` is to compare: its words are two numbers and nothing else.
pub(crate) fn processes(matches: &ArgMatches) -> Option<(u32, u32)> {
    let name = matches.get_one::<OsString>("name").into_iter();
    let words: Vec<_> = name.chain(matches.get_many::<OsString>("path").into_iter().flatten()).collect();
    let [one, other] = words[..] else { return None };
    Some((number(one)?, number(other)?))
}

fn number(word: &OsString) -> Option<u32> {
    let word = word.to_str()?;
    if word.bytes().all(|byte| byte.is_ascii_digit()) { word.parse().ok() } else { None }
}

/// What differs between the namespaces of two processes.
pub(crate) fn print(machine: &Machine, matches: &ArgMatches, screen: &Screen) -> Done {
    if let Some(flag) = ["patch", "json"].into_iter().find(|flag| matches.get_flag(flag)) {
        let message = format!("cannot show two processes with --{flag}: it is for the changes of a sandbox");
        return Err(vec![fault(message, "holm diff PID PID takes no option")]);
    }
    let (one, other) = processes(matches).expect("the command was chosen by them");
    let (one, other) = (process(machine, one)?, process(machine, other)?);
    let (first, second) = (label(screen, one), label(screen, other));
    let (mut text, mut shared) = (String::new(), Vec::new());
    for kind in Namespace::ALL {
        let inode = |place: usize| machine.namespaces[place].inode;
        match (one.namespace(kind), other.namespace(kind)) {
            (Some(here), Some(there)) if here == there => shared.push(kind.name()),
            (Some(here), Some(there)) => {
                let line = format!("{} {} / {}: {}", kind, inode(here), inode(there), apart(kind));
                let parts = fold(&line, screen.width.map_or(usize::MAX, |width| width.saturating_sub(4)));
                text += &format!("{}\n", screen.ink(Ink::Own, &parts[0]));
                parts[1..].iter().for_each(|part| text += &format!("    {part}\n"));
            }
            _ => text += &format!("{kind} can't be told\n"),
        }
    }
    let shared = if shared.is_empty() { "none".to_owned() } else { shared.join(", ") };
    Ok(format!("{first} / {second}\n{text}shared: {shared}\n"))
}

/// What two processes with different namespaces of a kind don't share (namespaces(7)).
fn apart(kind: Namespace) -> &'static str {
    match kind {
        Namespace::User => "ids and capabilities of one mean nothing to the other, unless it is above",
        Namespace::Cgroup => "they see different roots of control groups",
        Namespace::Ipc => "message queues, semaphores and shared memory of one are out of the other's reach",
        Namespace::Uts => "each has a host name of its own",
        Namespace::Net => "each has interfaces, addresses, ports and abstract sockets of its own",
        Namespace::Pid => "they count processes apart; who is further down doesn't see those above",
        Namespace::Time => "their monotonic and boot clocks may differ",
        Namespace::Mount => "what one mounts the other doesn't see, unless mounts are shared (mount_namespaces(7))",
    }
}
