//! `holm caps`: what a process may do in a namespace, and the rule that says so.

use super::screen::Screen;
use super::target::{label, namespace, process};
use super::{Done, fault};
use clap::ArgMatches;
use holm::inspect::detail::Open;
use holm::inspect::machine::{Machine, Place};
use holm::inspect::rights::{Rights, Rule, rights};
use holm::model::capability::Capability;
use holm::model::namespace::Namespace;
use std::ffi::OsString;

/// The verdict.
pub(crate) fn print(machine: &Machine, matches: &ArgMatches, screen: &Screen) -> Done {
    let pid = matches.get_one::<u32>("pid").copied().unwrap_or_default();
    let process = process(machine, pid)?;
    let name = matches.get_one::<OsString>("namespace").map(OsString::as_os_str).unwrap_or_default();
    let place = namespace(machine, name)?;
    let credentials = Open::new(process).and_then(|open| open.credentials()).map_err(|errno| {
        let cause = holm::model::text::cause(&errno.into());
        vec![fault(format!("cannot read the rights of process {pid}: {cause}"), "holm ls lists leaders")]
    })?;
    let verdict = rights(machine, process, &credentials, place);
    let found = &machine.namespaces[place];
    let mut text = format!("{} in {} {}\n", label(screen, process), found.kind, found.inode);
    text += &format!("rule: {}\n", rule(machine, &verdict, credentials.uid));
    text += &format!("capabilities: {}\n", list(verdict.capabilities));
    for (needed, deed) in deeds(found.kind) {
        let may = needed.iter().all(|one| verdict.capabilities & one.bit() != 0);
        let missing: Vec<String> = needed.iter().map(Capability::to_string).collect();
        let why = if may { String::new() } else { format!(" (needs {})", missing.join(", ")) };
        text += &format!("{} {deed}{why}\n", if may { "may" } else { "may not" });
    }
    text += &join(machine, place, &verdict, credentials.effective, process.namespace(Namespace::User));
    if credentials.filtered {
        text += "note: a filter of system calls is in force and may refuse what capabilities allow\n";
    }
    Ok(text)
}

fn rule(machine: &Machine, verdict: &Rights, uid: u32) -> String {
    let governing = verdict.governing.map(|place| machine.namespaces[place].inode).unwrap_or_default();
    match verdict.rule {
        Rule::Member => format!("it is in user {governing}, which governs: it has there what it has"),
        Rule::Above => {
            format!("user {governing} governs, which is below its own: it has there what it has in its own")
        }
        Rule::Maker(place) => format!(
            "its user {uid} made user {}, a child of its own: it has all capabilities there and below",
            machine.namespaces[place].inode
        ),
        Rule::Outside => {
            format!("user {governing} governs, which is neither its own nor below that: it has nothing there")
        }
        Rule::Unknown => "a relation that decides it can't be read: taken for nothing".to_owned(),
    }
}

fn list(bits: u64) -> String {
    let names: Vec<String> = Capability::all().filter(|one| bits & one.bit() != 0).map(|one| one.to_string()).collect();
    match names.len() {
        0 => "none".to_owned(),
        count if count == Capability::all().count() => "all".to_owned(),
        _ => names.join(", "),
    }
}

/// What a capability is good for over a namespace (capabilities(7)).
fn deeds(kind: Namespace) -> Vec<(Vec<Capability>, &'static str)> {
    let named = |name: &str| Capability::parse(name).into_iter().collect::<Vec<_>>();
    let one = |name: &str, deed| (named(name), deed);
    match kind {
        Namespace::User => vec![
            one("SYS_ADMIN", "make namespaces that it owns"),
            one("SETUID", "take any user id that is mapped in it, and map ids below it"),
            one("SYS_PTRACE", "trace the processes in it"),
            one("KILL", "send signals to the processes in it"),
        ],
        Namespace::Net => vec![
            one("NET_ADMIN", "configure interfaces, addresses, routes and the firewall"),
            one("NET_RAW", "see and forge packets"),
            one("NET_BIND_SERVICE", "listen on ports below 1024"),
        ],
        Namespace::Mount => vec![one("SYS_ADMIN", "mount and unmount"), one("SYS_CHROOT", "change its root")],
        Namespace::Uts => vec![one("SYS_ADMIN", "set the host name")],
        Namespace::Ipc => vec![one("IPC_OWNER", "use all message queues, semaphores and shared memory of System V")],
        Namespace::Pid => vec![
            one("SYS_ADMIN", "choose the number of the next process"),
            one("SYS_PTRACE", "trace the processes that the same user namespace governs"),
        ],
        Namespace::Cgroup => vec![one("SYS_ADMIN", "mount its view of control groups")],
        Namespace::Time => vec![one("SYS_TIME", "set the offsets before the first process is in it")],
    }
}

/// Whether it may join by setns(2): CAP_SYS_ADMIN there and, but for user namespaces, in its own.
fn join(machine: &Machine, place: Place, verdict: &Rights, effective: u64, own: Option<Place>) -> String {
    let kind = machine.namespaces[place].kind;
    let there = verdict.capabilities & Capability::SYS_ADMIN.bit() != 0;
    let here = |one: Capability| effective & one.bit() != 0;
    let missing = match kind {
        _ if !there => Some("CAP_SYS_ADMIN there"),
        Namespace::User if own == Some(place) => Some("another one: it is in it"),
        Namespace::User => None,
        _ if !here(Capability::SYS_ADMIN) => Some("CAP_SYS_ADMIN in its own user namespace"),
        Namespace::Mount if !here(Capability::SYS_CHROOT) => Some("CAP_SYS_CHROOT in its own user namespace"),
        _ => None,
    };
    missing.map_or_else(|| "may join it\n".to_owned(), |missing| format!("may not join it (needs {missing})\n"))
}
