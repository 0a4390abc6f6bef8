//! `holm tree`: namespaces and processes below each other.

use super::Done;
use super::screen::{Branches, Ink, Screen};
use super::table::fold;
use super::target::{label, makers};
use clap::ArgMatches;
use holm::inspect::detail::Open;
use holm::inspect::machine::{DEEPEST, Link, Machine, Place, Process};
use holm::inspect::maker::Maker;
use holm::model::id::IdMap;
use holm::model::namespace::Namespace;
use std::collections::{BTreeMap, HashMap, HashSet};

/// An item and those below it.
struct Node {
    text: String,
    below: Vec<Node>,
}

/// How many processes of a namespace are named.
const NAMED: usize = 8;

/// The tree that `--by` asks for.
pub(crate) fn print(machine: &Machine, matches: &ArgMatches, screen: &Screen) -> Done {
    let nodes = match matches.get_one::<String>("by").map(String::as_str) {
        Some("pid") => nested(screen, machine, Namespace::Pid),
        Some("process") => by_process(screen, machine),
        Some("container") => by_container(screen, machine),
        _ => nested(screen, machine, Namespace::User),
    };
    let mut text = String::new();
    for node in &nodes {
        draw(screen, node, "", "", &mut text);
    }
    Ok(text)
}

fn draw(screen: &Screen, node: &Node, first: &str, rest: &str, text: &mut String) {
    let Branches { item, last, through, below_last } = screen.branches();
    let under = if node.below.is_empty() { "    " } else { through };
    let width = screen.width.map_or(usize::MAX, |width| width.saturating_sub(first.chars().count()).max(16));
    for (place, part) in fold(&node.text, width.saturating_sub(under.len())).iter().enumerate() {
        *text += &if place == 0 { format!("{first}{part}\n") } else { format!("{rest}{under}{part}\n") };
    }
    for (place, below) in node.below.iter().enumerate() {
        let end = place + 1 == node.below.len();
        let (here, further) = if end { (last, below_last) } else { (item, through) };
        draw(screen, below, &format!("{rest}{here}"), &format!("{rest}{further}"), text);
    }
}

/// User namespaces with what they own, or pid namespaces with their processes, below their parents.
fn nested(screen: &Screen, machine: &Machine, kind: Namespace) -> Vec<Node> {
    let mut below = Below::default();
    let mut tops = Vec::new();
    for (place, found) in machine.namespaces.iter().enumerate() {
        match (found.parent, found.owner) {
            (Link::To(parent), _) if found.kind == kind => below.children.entry(parent).or_default().push(place),
            _ if found.kind == kind => tops.push(place),
            (_, Link::To(owner)) if kind == Namespace::User => below.owned.entry(owner).or_default().push(place),
            _ => {}
        }
    }
    tops.into_iter().map(|top| nest(screen, machine, &below, top, 0)).collect()
}

/// What is directly below a namespace, in order.
#[derive(Default)]
struct Below {
    children: HashMap<Place, Vec<Place>>,
    owned: HashMap<Place, Vec<Place>>,
}

fn nest(screen: &Screen, machine: &Machine, all: &Below, place: Place, depth: usize) -> Node {
    let found = &machine.namespaces[place];
    let mut below = Vec::new();
    match found.kind {
        Namespace::User => {
            let owned = all.owned.get(&place).into_iter().flatten();
            below.extend(owned.map(|&place| Node { text: title(screen, machine, place), below: Vec::new() }));
        }
        _ => below.extend(members(screen, machine, &found.processes)),
    }
    if depth < DEEPEST {
        let children = all.children.get(&place).into_iter().flatten();
        below.extend(children.map(|&child| nest(screen, machine, all, child, depth + 1)));
    }
    Node { text: screen.ink(Ink::Bold, &title(screen, machine, place)), below }
}

/// The first processes of a namespace, and how many more there are.
fn members(screen: &Screen, machine: &Machine, pids: &[u32]) -> Vec<Node> {
    let shown = pids.iter().take(NAMED).filter_map(|pid| machine.process(*pid));
    let mut nodes: Vec<Node> = shown.map(|one| Node { text: label(screen, one), below: Vec::new() }).collect();
    if pids.len() > NAMED {
        nodes.push(Node { text: format!("{} more", pids.len() - NAMED), below: Vec::new() });
    }
    nodes
}

/// A namespace in one line: kind, inode, how many processes, leader, and the id maps of a user namespace.
pub(crate) fn title(screen: &Screen, machine: &Machine, place: Place) -> String {
    let found = &machine.namespaces[place];
    let mut text = format!("{} {}", found.kind, found.inode);
    if found.kind == Namespace::User
        && let Some(uid) = found.uid
    {
        text += &format!(", made by user {uid}");
    }
    let leader = machine.leader(place);
    match (leader, found.processes.len()) {
        (Some(leader), 1) => text += &format!(": {}", label(screen, leader)),
        (Some(leader), count) => text += &format!(": {} and {} more", label(screen, leader), count - 1),
        (None, _) => text += &format!(": {}", super::places::summary(screen, machine, place)),
    }
    if found.kind == Namespace::User && !found.is_first() {
        let maps = leader.and_then(|leader| Open::new(leader).ok()).map(|open| format!("; {}", maps(&open)));
        text += &maps.unwrap_or_default();
    }
    text
}

/// The id maps of a user namespace, as its member sees them: inside from outside, and how many.
pub(crate) fn maps(open: &Open) -> String {
    let one = |name: &str, maps: &[IdMap]| {
        let ranges = maps.iter().map(|IdMap { inside, outside, count }| format!("{inside}={outside} x {count}"));
        format!("{name} {}", ranges.collect::<Vec<_>>().join(", "))
    };
    match open.maps() {
        [users, groups] if users.is_empty() && groups.is_empty() => "no ids mapped".to_owned(),
        [users, groups] if users == groups => one("ids", &users),
        [users, groups] => format!("{}; {}", one("users", &users), one("groups", &groups)),
    }
}

/// Processes below their parents: those that are elsewhere than these, and the ways to them.
fn by_process(screen: &Screen, machine: &Machine) -> Vec<Node> {
    let mut children: BTreeMap<u32, Vec<&Process>> = BTreeMap::new();
    for process in &machine.processes {
        // A parent that isn't shown, or outside of this pid namespace, is 0.
        let parent = machine.process(process.parent).map_or(0, |parent| parent.pid);
        children.entry(parent).or_default().push(process);
    }
    let mut seen = HashSet::new();
    let tops = children.get(&0).cloned().unwrap_or_default();
    tops.into_iter().filter_map(|top| descend(screen, machine, top, &children, &mut seen)).collect()
}

fn descend(
    screen: &Screen,
    machine: &Machine,
    process: &Process,
    children: &BTreeMap<u32, Vec<&Process>>,
    seen: &mut HashSet<u32>,
) -> Option<Node> {
    // What was read at different times may be a circle.
    if !seen.insert(process.pid) {
        return None;
    }
    let own = children.get(&process.pid).into_iter().flatten();
    let below: Vec<Node> = own.filter_map(|child| descend(screen, machine, child, children, seen)).collect();
    let parent = machine.process(process.parent);
    let from = parent.map_or_else(|| machine.hosts(), |parent| parent.namespaces);
    let differs = |kind: &Namespace| {
        let (here, there) = (process.namespace(*kind), from[holm::inspect::machine::position(*kind)]);
        here.is_some() && there.is_some() && here != there
    };
    let new: Vec<&str> = Namespace::ALL.into_iter().filter(differs).map(Namespace::name).collect();
    if new.is_empty() && below.is_empty() {
        return None;
    }
    let text = label(screen, process);
    let text = if new.is_empty() {
        text
    } else {
        format!("{text}: {}", screen.ink(Ink::Own, &format!("other {}", new.join(", "))))
    };
    Some(Node { text, below })
}

/// Isolation sets below who made them.
fn by_container(screen: &Screen, machine: &Machine) -> Vec<Node> {
    let makers = makers(machine);
    let host = machine.hosts();
    let mut groups: BTreeMap<String, Vec<Node>> = BTreeMap::new();
    for set in machine.sets().into_iter().filter(|set| set.namespaces != host) {
        let other = Namespace::ALL.into_iter().zip(set.namespaces.iter().zip(host));
        let other: Vec<(Namespace, Place)> =
            other.filter_map(|(kind, (own, host))| own.filter(|_| *own != host).map(|own| (kind, own))).collect();
        let by = other.iter().find_map(|(_, place)| makers.get(place));
        let name = by.map_or_else(|| "maker unknown".to_owned(), |by: &Maker| screen.text(by.to_string()));
        let kinds: Vec<&str> = other.iter().map(|(kind, _)| kind.name()).collect();
        let text = format!("own {}", kinds.join(", "));
        groups.entry(name).or_default().push(Node { text, below: members(screen, machine, &set.processes) });
    }
    groups.into_iter().map(|(name, below)| Node { text: screen.ink(Ink::Bold, &name), below }).collect()
}
