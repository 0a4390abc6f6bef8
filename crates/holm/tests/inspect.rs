//! Namespaces kept alive in every way, by `places.py`, and that each is found.

use holm::inspect::detail::Open;
use holm::inspect::machine::{Holder, Link, Machine, Place};
use holm::inspect::read::read;
use holm::model::namespace::Namespace;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use testkit::{Scratch, is_root, skip};

/// A namespace that is kept alive: in which way, which one, and what holds it.
struct Kept {
    way: String,
    kind: String,
    inode: u64,
    held: String,
}

/// What is there. One reading at a time: what another one holds open is a holder, too.
fn look() -> Machine {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    read().expect("/proc is there")
}

/// The fixture, while it runs.
struct Places {
    child: Child,
    kept: Vec<Kept>,
    _scratch: Scratch,
}

impl Places {
    /// Starts it.
    fn new(name: &str) -> Places {
        let scratch = Scratch::new(name);
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "python3", "-c", include_str!("places.py")]);
        command.arg(scratch.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("unshare and python3 are there");
        let output = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut kept = Vec::new();
        for line in output.lines().map_while(Result::ok).take_while(|line| line != "ready") {
            let mut words = line.splitn(4, ' ').map(str::to_owned);
            let mut next = || words.next().expect("a line has four words");
            kept.push(Kept { way: next(), kind: next(), inode: next().parse().expect("a number"), held: next() });
        }
        assert!(kept.len() > 8, "the fixture makes them");
        Places { child, kept, _scratch: scratch }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        // Its end closes the fixture's standard input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A holder as `places.py` says it.
fn words(holder: &Holder, machine: &Machine) -> String {
    match holder {
        Holder::Thread { pid, tid } => format!("thread {tid} of {pid}"),
        Holder::Children { pid } => format!("children of {pid}"),
        Holder::Descriptor { pid, fd } => format!("fd {fd} of {pid}"),
        Holder::Socket { pid, fd } => format!("socket, fd {fd} of {pid}"),
        Holder::Tun { pid, fd } => format!("tun device, fd {fd} of {pid}"),
        Holder::InFlight { pid, fd } => format!("sent to socket, fd {fd} of {pid}"),
        Holder::Mount { path, inside } => {
            let place = machine.find(*inside).expect("a mount is in a namespace that is known");
            let there = if machine.namespaces[place].processes.is_empty() {
                format!(" in mnt {inside}")
            } else {
                String::new()
            };
            format!("bound at {}{there}", path.display())
        }
        Holder::Below { kind, inode } => format!("{kind} {inode} below it"),
    }
}

fn holders(machine: &Machine, place: Place) -> Vec<String> {
    machine.holders(place).iter().map(|holder| words(holder, machine)).collect()
}

#[test]
fn namespaces_are_found_in_every_place_that_keeps_them_alive() {
    let places = Places::new("places");
    let machine = look();
    let mut wrong = Vec::new();
    for Kept { way, kind, inode, held } in &places.kept {
        if kind == "skipped" {
            // An ordinary user has what rights it has.
            if is_root() {
                skip(&format!("{way}: {held}"));
            }
            continue;
        }
        let place = machine.find(*inode).filter(|&place| machine.namespaces[place].kind.name() == kind);
        match place.map(|place| holders(&machine, place)) {
            Some(found) if found.contains(held) => {}
            other => wrong.push(format!("{way}: {kind} {inode} is held by {other:?}, not {held:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn relations_lead_to_owners_and_parents() {
    let places = Places::new("relations");
    let machine = look();
    let pid = places.child.id();
    let user = machine.process(pid).and_then(|process| process.namespace(Namespace::User)).expect("it is ours");
    for kept in places.kept.iter().filter(|kept| ["thread", "descriptor", "bound", "socket"].contains(&&*kept.way)) {
        let place = machine.find(kept.inode).expect("it is found");
        assert_eq!(machine.namespaces[place].owner, Link::To(user), "{}", kept.way);
    }
    let own = machine.process(std::process::id()).expect("it is us");
    let above = own.namespace(Namespace::User).expect("it is ours");
    assert_eq!(machine.namespaces[user].parent, Link::To(above));
    assert_eq!(machine.namespaces[user].uid, Some(rustix::process::geteuid().as_raw()));
    for kind in Namespace::ALL {
        let text = std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("it is ours");
        let inode = machine.namespaces[own.namespace(kind).expect("it is ours")].inode;
        assert_eq!(text.to_string_lossy(), format!("{kind}:[{inode}]"));
    }
}

#[test]
fn two_readings_of_the_same_are_the_same() {
    let places = Places::new("order");
    let of = |machine: &Machine| -> Vec<(u64, Option<u64>, Vec<String>)> {
        let mut found = Vec::new();
        for kept in places.kept.iter().filter(|kept| kept.kind != "skipped") {
            let place = machine.find(kept.inode).expect("it is found");
            found.push((kept.inode, machine.namespaces[place].id, holders(machine, place)));
        }
        found
    };
    let (one, other) = (look(), look());
    assert_eq!(of(&one), of(&other));
    assert!(one.namespaces.is_sorted_by_key(|found| (found.kind, found.inode)));
    assert!(one.processes.is_sorted_by_key(|process| process.pid));
}

#[test]
fn what_an_ordinary_user_may_not_see_is_counted() {
    let machine = look();
    if is_root() {
        assert!(!machine.unread.without_process && machine.unread.mounts == 0, "{:?}", machine.unread);
    } else {
        assert!(machine.unread.without_process && machine.unread.processes > 0, "{:?}", machine.unread);
    }
}

#[test]
fn a_process_that_ended_is_not_taken_for_another() {
    let mut child = Command::new("sleep").arg("60").spawn().expect("sleep is there");
    let machine = look();
    let mut process = machine.process(child.id()).expect("it runs").clone();
    assert!(Open::new(&process).is_ok());
    process.start -= 1;
    assert_eq!(Open::new(&process).err(), Some(rustix::io::Errno::SRCH));
    process.start += 1;
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    assert_eq!(Open::new(&process).err(), Some(rustix::io::Errno::SRCH));
}
