//! The machine as JSON; docs/reference/see.md is its description.

use super::Done;
use holm::inspect::machine::{Holder, Link, Machine, Place, Process, Unread};
use holm::inspect::maker::Maker;
use holm::model::namespace::Namespace;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The version of the schema: it grows when something is removed or means something else.
pub(crate) const VERSION: u32 = 1;

/// The namespaces at `places` and the processes in them.
pub(crate) fn document(machine: &Machine, places: &[Place], makers: &HashMap<Place, Maker>) -> Done {
    let namespaces: Vec<Value> = places.iter().map(|&place| namespace(machine, place, makers)).collect();
    let shown =
        |process: &&Process| process.namespaces.iter().flatten().any(|place| places.binary_search(place).is_ok());
    let processes: Vec<Value> = machine.processes.iter().filter(shown).map(|one| process(machine, one)).collect();
    crate::root::pretty(&json!({
        "version": VERSION,
        "namespaces": namespaces,
        "processes": processes,
        "unread": unread(&machine.unread),
    }))
}

fn namespace(machine: &Machine, place: Place, makers: &HashMap<Place, Maker>) -> Value {
    let found = &machine.namespaces[place];
    let made_by = makers
        .get(&place)
        .map(|maker| json!({ "tool": maker.tool.name(), "name": maker.name, "called": maker.called }));
    json!({
        "kind": found.kind.name(),
        "inode": found.inode,
        "id": found.id,
        "owner": link(machine, found.owner),
        "parent": link(machine, found.parent),
        "uid": found.uid,
        "processes": found.processes,
        "leader": machine.leader(place).map(|leader| leader.pid),
        "made-by": made_by,
        "held-by": found.holders.iter().map(holder).collect::<Vec<Value>>(),
    })
}

fn link(machine: &Machine, link: Link) -> Value {
    match link {
        Link::To(place) => json!({ "is": "known", "inode": machine.namespaces[place].inode }),
        Link::None => json!({ "is": "none" }),
        Link::Beyond => json!({ "is": "beyond" }),
        Link::Unread => json!({ "is": "unread" }),
    }
}

fn holder(holder: &Holder) -> Value {
    match holder {
        Holder::Thread { pid, tid } => json!({ "by": "thread", "pid": pid, "tid": tid }),
        Holder::Children { pid } => json!({ "by": "children", "pid": pid }),
        Holder::Descriptor { pid, fd } => json!({ "by": "descriptor", "pid": pid, "fd": fd }),
        Holder::Socket { pid, fd } => json!({ "by": "socket", "pid": pid, "fd": fd }),
        Holder::Tun { pid, fd } => json!({ "by": "tun", "pid": pid, "fd": fd }),
        Holder::InFlight { pid, fd } => json!({ "by": "in-flight", "pid": pid, "fd": fd }),
        Holder::Mount { path, inside } => json!({ "by": "mount", "path": path.to_string_lossy(), "inside": inside }),
        Holder::Below { kind, inode } => json!({ "by": "below", "kind": kind.name(), "inode": inode }),
    }
}

fn process(machine: &Machine, process: &Process) -> Value {
    let mut namespaces = Map::new();
    for kind in Namespace::ALL {
        let inode = process.namespace(kind).map(|place| machine.namespaces[place].inode);
        namespaces.insert(kind.name().to_owned(), json!(inode));
    }
    json!({
        "pid": process.pid,
        "parent": process.parent,
        "name": process.name.to_string_lossy(),
        "uid": process.uid,
        "start": process.start,
        "ended": process.ended,
        "namespaces": namespaces,
    })
}

fn unread(unread: &Unread) -> Value {
    json!({
        "processes": unread.processes,
        "sockets": unread.sockets,
        "mounts": unread.mounts,
        "without-process": unread.without_process,
        "hidden": unread.hidden,
    })
}
