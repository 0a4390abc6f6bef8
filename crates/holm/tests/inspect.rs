//! Namespaces kept alive in every way, by `places.py`, and that each is found.

use holm::inspect::detail::Open;
use holm::inspect::live::Live;
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
    // The kernel may have forgotten the directory that was read.
    process.entry += 1;
    assert!(Open::new(&process).is_ok());
    process.start -= 1;
    assert_eq!(Open::new(&process).err(), Some(rustix::io::Errno::SRCH));
    process.start += 1;
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    assert_eq!(Open::new(&process).err(), Some(rustix::io::Errno::SRCH));
}

#[test]
fn threads_of_the_kernel_are_where_their_links_say() {
    let machine = look();
    // Where there are none, as in a pid namespace, or where they are closed to the caller, there is nothing to compare.
    for thread in machine.processes.iter().filter(|process| process.parent == 2) {
        for kind in Namespace::ALL {
            let link = std::fs::read_link(format!("/proc/{}/ns/{kind}", thread.pid));
            if let (Ok(link), Some(place)) = (link, thread.namespace(kind)) {
                assert_eq!(link.to_str(), Some(&*format!("{kind}:[{}]", machine.namespaces[place].inode)));
            }
        }
    }
}

#[test]
fn a_reading_is_kept_up_to_date() {
    let mut live = Live::new().expect("/proc is there");
    let before = live.update().expect("/proc is there");
    let own = std::process::id();
    assert!(before.process(own).is_some_and(|own| own.namespaces.iter().all(Option::is_some)));
    let mut child = Command::new("unshare").args(["--user", "--net", "sleep", "60"]).spawn().expect("unshare is there");
    let apart = |machine: &Machine| {
        let process = machine.process(child.id()).filter(|process| process.name == "sleep")?;
        let place = process.namespace(Namespace::Net)?;
        assert_eq!(machine.namespaces[place].processes, [child.id()]);
        Some(machine.namespaces[place].owner == Link::To(process.namespace(Namespace::User)?))
    };
    // A process that moves is seen when its turn has come.
    let mut seen = None;
    for _ in 0..100 {
        seen = apart(&live.update().expect("/proc is there"));
        if seen.is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(seen, Some(true));
    child.kill().expect("it runs");
    child.wait().expect("it was started here");
    assert!(live.update().expect("/proc is there").process(child.id()).is_none());
}

#[test]
fn a_mount_point_longer_than_a_path_may_be_is_read() {
    let script = "import ctypes, os, sys
libc = ctypes.CDLL(None)
assert libc.mount(b'none', b'/mnt', b'tmpfs', 0, None) == 0
os.chdir('/mnt')
for _ in range(60):
    os.mkdir('d' * 200)
    os.chdir('d' * 200)
open('here', 'w').close()
assert libc.mount(b'/proc/self/ns/uts', b'here', None, 4096, None) == 0
print(os.stat('/proc/self/ns/uts').st_ino, flush=True)
sys.stdin.read()";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--uts", "python3", "-c", script]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare is there");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("it is a pipe")).read_line(&mut line).expect("it says its inode");
    let machine = look();
    drop(child.stdin.take());
    child.wait().expect("it was started here");
    let place = machine.find(line.trim().parse().expect("a number")).expect("it is found");
    let is_long = |holder: &Holder| matches!(holder, Holder::Mount { path, .. } if path.as_os_str().len() > 12_000);
    assert!(machine.namespaces[place].holders.iter().any(is_long), "{:?}", machine.namespaces[place].holders.len());
}
