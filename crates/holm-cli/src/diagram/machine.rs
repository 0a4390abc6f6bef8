//! The picture of a machine: the host system, its global namespaces, and in nested user namespaces the sets of processes that
//! are elsewhere. A pure function of what was read.

use super::facts::{Facts, members};
use super::owners::Owners;
use super::picture::{self, Area, Chip, Item, Line, Picture, Role, What, lines, shown};
use crate::see::matrix::{Sharing, With, letters};
use crate::see::places;
use crate::see::screen::Screen;
use holm::inspect::detail::Root;
use holm::inspect::machine::{DEEPEST, Machine, Place, Process, Set, position};
use holm::inspect::network::Interface;
use holm::model::namespace::Namespace;
use std::collections::HashSet;
use std::path::Path;

/// So many processes of a set are drawn, interfaces of a namespace, and namespaces without a process of one owner.
pub(crate) const DRAWN: usize = 6;

/// Which of a machine's sets are drawn.
pub(crate) enum Wanted {
    All,
    /// Those with these numbers.
    These(HashSet<usize>),
}

struct Drawing<'a> {
    machine: &'a Machine,
    facts: &'a Facts,
    sharing: &'a Sharing,
    wanted: &'a Wanted,
    owners: Owners,
}

/// Draws the machine's sets: those that are wanted, within what they are in.
pub(crate) fn picture(machine: &Machine, facts: &Facts, sharing: &Sharing, wanted: &Wanted) -> Picture {
    let mut system = Area::new(Role::System, "Host system".to_owned());
    if let Some(user) = sharing.host[position(Namespace::User)] {
        let owners = Owners::new(machine, &sharing.sets, user);
        let drawing = Drawing { machine, facts, sharing, wanted, owners };
        system.below = drawing.inside(user, 0).into_iter().map(|(_, area)| area).collect();
        let left = (0..sharing.sets.len()).filter(|&set| !drawing.is_drawn(set)).count();
        system.items.extend((left > 0).then(|| Item::more(left, if left == 1 { " set" } else { " sets" })));
    }
    let title = "Namespaces of this machine".to_owned();
    let line = |ends: &[usize; 2]| Line { ends: *ends, text: "veth".to_owned() };
    let lines = facts.network.pairs.iter().map(line).collect();
    // A line ends at what is drawn.
    Picture { title, areas: vec![system], lines, notes: Vec::new() }.fewer(usize::MAX)
}

impl Drawing<'_> {
    fn is_wanted(&self, set: usize) -> bool {
        match self.wanted {
            Wanted::All => true,
            Wanted::These(wanted) => wanted.contains(&set),
        }
    }

    fn is_global(&self, set: usize) -> bool {
        self.sharing.sets[set].namespaces == self.sharing.host
    }

    /// The global one always is, but for its processes.
    fn is_drawn(&self, set: usize) -> bool {
        self.is_wanted(set) || self.is_global(set)
    }

    /// What is in a user namespace, by the first set in each: sets, further user namespaces, and namespaces without a process.
    fn inside(&self, user: Place, depth: usize) -> Vec<(usize, Area)> {
        let sets = self.owners.sets(user).iter().filter(|&&set| self.is_drawn(set));
        let mut areas: Vec<(usize, Area)> = sets.map(|&set| (set, self.set(set))).collect();
        for &child in self.owners.children(user).iter().filter(|_| depth < DEEPEST) {
            let mut inner = self.inside(child, depth + 1);
            let Some(first) = inner.iter().map(|(first, _)| *first).min() else { continue };
            // One with nothing but a set is drawn as one box.
            let alone =
                self.owners.sets(child).len() == 1 && self.owners.children(child).is_empty() && inner.len() == 1;
            let area = match inner.pop() {
                Some((_, mut set)) if alone => {
                    set.about.extend(self.about_user(child));
                    set
                }
                last => {
                    let title = format!("User namespace {}", self.machine.namespaces[child].inode);
                    let mut area = Area::new(Role::Owner, title);
                    area.about = self.about_user(child);
                    area.below = inner.into_iter().chain(last).map(|(_, area)| area).collect();
                    area
                }
            };
            areas.push((first, area));
        }
        areas.sort_by_key(|(first, _)| *first);
        if matches!(self.wanted, Wanted::All) {
            areas.extend(self.empty(user).into_iter().map(|area| (usize::MAX, area)));
        }
        areas
    }

    fn about_user(&self, user: Place) -> Vec<String> {
        let made = self.machine.namespaces[user].uid.map(|uid| format!("made by user {uid}"));
        let maps = self.facts.maps.get(&user).map(lines);
        made.into_iter().chain(maps.into_iter().flatten()).collect()
    }

    fn set(&self, number: usize) -> Area {
        let set = &self.sharing.sets[number];
        let mut area = if self.is_global(number) {
            Area::new(Role::Global, "Global namespaces".to_owned())
        } else {
            Area::new(Role::Set, format!("{} · {}", letters(number), self.name(number)))
        };
        area.about.push(match set.processes.len() {
            1 => "1 process".to_owned(),
            count => format!("{count} processes"),
        });
        area.chips = self.chips(number);
        if self.is_wanted(number) {
            area.items = self.processes(set);
            area.below.extend(self.root(number));
        }
        area.below.extend(set.namespaces[position(Namespace::Net)].and_then(|net| self.network(net, number)));
        area
    }

    /// Who made the namespaces in which it is first, or the name of its leader.
    fn name(&self, number: usize) -> String {
        let set = &self.sharing.sets[number];
        let own = set.namespaces.iter().flatten().filter(|&place| self.sharing.users(*place)[0] == number);
        let maker = own.filter_map(|place| self.facts.makers.get(place)).next();
        let leader = || members(self.machine, set).first().map(|leader| shown(&leader.name));
        maker.map(|maker| shown(maker.to_string())).or_else(leader).unwrap_or_default()
    }

    fn chips(&self, number: usize) -> Vec<Chip> {
        let chip = |kind: Namespace| {
            let sharing = match self.sharing.with(number, kind) {
                With::Unknown => picture::Sharing::Unknown,
                With::Host => picture::Sharing::Host,
                With::Own => picture::Sharing::Own,
                With::Sets(sets) => {
                    let other = sets.iter().find(|&&other| other != number);
                    other.map_or(picture::Sharing::Own, |&other| picture::Sharing::With(letters(other)))
                }
            };
            let place = self.sharing.sets[number].namespaces[position(kind)];
            Chip { kind, inode: place.map(|place| self.machine.namespaces[place].inode), sharing }
        };
        Namespace::ALL.map(chip).to_vec()
    }

    fn processes(&self, set: &Set) -> Vec<Item> {
        let item = |process: &Process| {
            let known = self.facts.pids.get(&process.pid).filter(|pids| pids.first() == Some(&process.pid));
            let pids = known.map_or_else(|| vec![process.pid], Vec::clone);
            let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
            Item {
                text: shown(format!("{} {}", pids.join("/"), crate::report::plain(&process.name))),
                what: What::Process,
            }
        };
        first(members(self.machine, set).into_iter().map(item).collect())
    }

    /// The mount namespace of a set, if it isn't the host's, with its root; or a root that chroot(2) gave it.
    fn root(&self, number: usize) -> Option<Area> {
        let set = &self.sharing.sets[number];
        let root = self.facts.roots.get(&members(self.machine, set).first()?.pid)?;
        let in_hosts = set.namespaces[position(Namespace::Mount)] == self.sharing.host[position(Namespace::Mount)];
        let mut inner = Area::new(Role::Root, "root /".to_owned());
        inner.about = about_root(root);
        if in_hosts && !self.is_global(number) {
            return (root.directory != Path::new("/")).then_some(inner);
        }
        let mut area = Area::new(Role::Namespace(Namespace::Mount), "mount namespace".to_owned());
        area.below.push(inner);
        Some(area)
    }

    /// A network namespace with its interfaces, in the first of the sets that have it.
    fn network(&self, net: Place, set: usize) -> Option<Area> {
        let first = self.sharing.users(net).iter().find(|&&set| self.is_drawn(set));
        let hosts = self.sharing.host[position(Namespace::Net)] == Some(net);
        let mut area = Area::new(Role::Namespace(Namespace::Net), "network namespace".to_owned());
        area.items =
            if first == Some(&set) && (!hosts || self.is_global(set)) { self.interfaces(net) } else { Vec::new() };
        (!area.items.is_empty()).then_some(area)
    }

    /// Those that lead elsewhere first: lines end there.
    fn interfaces(&self, net: Place) -> Vec<Item> {
        let network = &self.facts.network;
        let of_net = |(_, one): &(usize, &Interface)| one.namespace == net;
        let mut found: Vec<(usize, &Interface)> = network.interfaces.iter().enumerate().filter(of_net).collect();
        let leads = |number: usize| network.pairs.iter().flatten().any(|end| *end == number);
        found.sort_by_cached_key(|(number, _)| (!leads(*number), *number));
        let item = |(number, one): (usize, &Interface)| Item { text: shown(&one.name), what: What::Interface(number) };
        first(found.into_iter().map(item).collect())
    }

    /// The namespaces of an owner in which no process is.
    fn empty(&self, user: Place) -> Vec<Area> {
        let area = |&place: &Place| {
            let found = &self.machine.namespaces[place];
            let title = format!("{} {}, no process", found.kind, found.inode);
            let mut area = Area::new(Role::Namespace(found.kind), title);
            area.about = lines(places::summary(&Screen::document(), self.machine, place));
            area.items = if found.kind == Namespace::Net { self.interfaces(place) } else { Vec::new() };
            area
        };
        let all = self.owners.empty(user);
        let mut areas: Vec<Area> = all.iter().take(DRAWN).map(area).collect();
        if all.len() > DRAWN {
            areas.push(Area::new(Role::Owner, format!("+{} more without a process", all.len() - DRAWN)));
        }
        areas
    }
}

/// The first ones, and how many more there are.
fn first(mut items: Vec<Item>) -> Vec<Item> {
    let left = items.len().saturating_sub(DRAWN);
    items.truncate(DRAWN);
    items.extend((left > 0).then(|| Item::more(left, "")));
    items
}

/// What is mounted as a root, a line each.
fn about_root(root: &Root) -> Vec<String> {
    let plain = |text: &std::ffi::OsStr| crate::report::plain(text);
    let mut about = Vec::new();
    if let Some(mount) = &root.mount {
        about.extend(lines(format!("{}{}", plain(&mount.system), if mount.read_only { ", read-only" } else { "" })));
        if mount.directory != Path::new("/") {
            about.extend(lines(format!("{} of {}", plain(mount.directory.as_os_str()), plain(&mount.source))));
        } else if mount.source != mount.system && mount.source != "none" {
            about.extend(lines(&mount.source));
        }
    }
    if root.directory != Path::new("/") {
        about.extend(lines(format!("in {}", plain(root.directory.as_os_str()))));
    }
    about
}
