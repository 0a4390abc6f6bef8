//! What one thread has found so far. A namespace is opened once, when it is new, and asked for all that is told of it.
//!
//! An inode is given anew once its namespace is gone. Where namespaces have numbers, an inode is believed only of those that
//! never end, and nothing is held open; else each is, until the end.

use super::descriptors::Told;
use super::machine::{Found, Holder, Link, Machine, Place, Process, Unread};
use crate::model::namespace::{FIRST_PID, FIRST_USER, Namespace};
use crate::sys::namespace as ask;
use rustix::io::{Errno, Result};
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What was found, and how to find it again.
#[derive(Default)]
pub(super) struct Finds {
    pub(super) machine: Machine,
    by_inode: HashMap<u64, Place>,
    by_id: HashMap<u64, Place>,
    /// Those without a number, held open: an inode isn't given to another namespace while it is.
    pins: Vec<OwnedFd>,
    /// How many may be held.
    most_pins: usize,
    /// Mount namespaces whose mounts are still to be listed, and their numbers for listmount(2).
    pub(super) to_list: Vec<(Place, Option<u64>)>,
    /// Where threads of the kernel are.
    pub(super) kernel: Option<[Option<Place>; 8]>,
    /// What sockets have told, by their inodes.
    pub(super) sockets: HashMap<u64, Told>,
}

impl Finds {
    pub(super) fn new(most_pins: usize) -> Finds {
        Finds { most_pins, ..Finds::default() }
    }

    /// The namespace with this inode, if it is known.
    pub(super) fn by_inode(&self, inode: u64) -> Option<Place> {
        self.by_inode.get(&inode).copied()
    }

    /// The namespace with this number, if it is known.
    pub(super) fn by_id(&self, id: u64) -> Option<Place> {
        self.by_id.get(&id).copied()
    }

    /// The namespace with this inode, if it is known and no other can have got the inode by now.
    pub(super) fn lasting(&self, inode: u64) -> Option<Place> {
        let lasts = |found: &Found| found.is_first() || found.id.is_none();
        self.by_inode(inode).filter(|&place| lasts(&self.machine.namespaces[place]))
    }

    /// The namespace that `file`, which must be on nsfs, is open on, and which has this kind if one is told; one that wasn't
    /// known, and those that it leads to, are known then.
    pub(super) fn take(&mut self, file: BorrowedFd<'_>, kind: Option<Namespace>) -> Result<Place> {
        let id = ask::id(file).ok();
        if let Some(known) = id.and_then(|id| self.by_id(id)) {
            return Ok(known);
        }
        let inode = rustix::fs::fstat(file)?.st_ino;
        let known = self.by_inode(inode).filter(|&known| same(self.machine.namespaces[known].id, id));
        if let Some(opened) = known.filter(|&known| self.machine.namespaces[known].owner != Link::Unread) {
            return Ok(opened);
        }
        let kind = kind.map_or_else(|| ask_kind(file), Ok)?;
        let place = known.unwrap_or_else(|| self.push(kind, inode, id));
        self.machine.namespaces[place].id = id;
        self.index(place);
        if kind == Namespace::Mount {
            self.to_list.push((place, ask::mount_id(file).ok()));
        }
        let owner = self.relation(ask::owner(file), Namespace::User, inode);
        let found = &mut self.machine.namespaces[place];
        found.owner = owner;
        match kind {
            Namespace::User => {
                found.parent = owner;
                found.uid = ask::owner_uid(file).ok();
            }
            Namespace::Pid => {
                let parent = self.relation(ask::parent(file), Namespace::Pid, inode);
                self.machine.namespaces[place].parent = parent;
            }
            _ => {}
        }
        if id.is_none() && self.pins.len() < self.most_pins {
            self.pins.extend(file.try_clone_to_owned());
        }
        Ok(place)
    }

    /// Where a relation to a namespace of `kind`, of the one with this inode, leads.
    fn relation(&mut self, answer: Result<OwnedFd>, kind: Namespace, inode: u64) -> Link {
        match answer {
            Ok(file) => self.take(file.as_fd(), Some(kind)).map_or(Link::Unread, Link::To),
            // The kernel says the same of the first one, which has nothing above.
            Err(Errno::PERM) if inode == FIRST_USER || inode == FIRST_PID => Link::None,
            Err(Errno::PERM) => Link::Beyond,
            Err(_) => Link::Unread,
        }
    }

    /// Makes one known of which there is no more than a mount's text.
    pub(super) fn take_unopened(&mut self, kind: Namespace, inode: u64) -> Place {
        let place = self.push(kind, inode, None);
        let found = &mut self.machine.namespaces[place];
        found.owner = Link::Unread;
        if matches!(kind, Namespace::User | Namespace::Pid) {
            found.parent = Link::Unread;
        }
        place
    }

    fn push(&mut self, kind: Namespace, inode: u64, id: Option<u64>) -> Place {
        let place = self.machine.namespaces.len();
        let (owner, parent) = (Link::None, Link::None);
        let found = Found { kind, inode, id, owner, parent, uid: None, processes: Vec::new(), holders: Vec::new() };
        self.machine.namespaces.push(found);
        self.index(place);
        place
    }

    fn index(&mut self, place: Place) {
        let Found { inode, id, .. } = self.machine.namespaces[place];
        self.by_inode.insert(inode, place);
        if let Some(id) = id {
            self.by_id.insert(id, place);
        }
    }

    pub(super) fn hold(&mut self, place: Place, holder: Holder) {
        self.machine.namespaces[place].holders.push(holder);
    }

    /// Adds what another thread found.
    pub(super) fn join(&mut self, other: Finds) {
        let Machine { namespaces, processes, unread } = other.machine;
        let known = |found: &Found| {
            let by_id = found.id.and_then(|id| self.by_id(id));
            let same = |&place: &Place| same(self.machine.namespaces[place].id, found.id);
            by_id.or_else(|| self.by_inode(found.inode).filter(same))
        };
        let mut next = self.machine.namespaces.len();
        let mut fresh = || {
            next += 1;
            next - 1
        };
        let places: Vec<Place> = namespaces.iter().map(|found| known(found).unwrap_or_else(&mut fresh)).collect();
        let all = self.machine.namespaces.len();
        for (mut found, place) in namespaces.into_iter().zip(places.iter().copied()) {
            move_links(&mut found, &places);
            if place >= all {
                self.machine.namespaces.push(found);
                self.index(place);
                continue;
            }
            let known = &mut self.machine.namespaces[place];
            known.holders.append(&mut found.holders);
            if known.id.is_none() && known.owner == Link::Unread {
                *known = Found { holders: std::mem::take(&mut known.holders), ..found };
                self.index(place);
            }
        }
        self.machine.processes.extend(processes.into_iter().map(|process| moved(process, &places)));
        self.machine.unread = sum(self.machine.unread, unread);
        self.pins.extend(other.pins);
    }

    /// Whether any is held open.
    pub(super) fn holds(&self) -> bool {
        !self.pins.is_empty()
    }

    /// How many namespaces are known.
    pub(super) fn count(&self) -> usize {
        self.machine.namespaces.len()
    }

    /// What `processes` are in, and the owners and parents of that.
    pub(super) fn of(&self, processes: Vec<Process>) -> Machine {
        let all = &self.machine.namespaces;
        let mut wanted: Vec<Place> = processes.iter().flat_map(|process| process.namespaces).flatten().collect();
        let (mut places, mut namespaces) = (vec![usize::MAX; all.len()], Vec::new());
        while let Some(place) = wanted.pop() {
            if places[place] == usize::MAX {
                places[place] = namespaces.len();
                namespaces.push(all[place].clone());
                let links = [all[place].owner, all[place].parent];
                wanted
                    .extend(links.into_iter().filter_map(|link| if let Link::To(to) = link { Some(to) } else { None }));
            }
        }
        namespaces.iter_mut().for_each(|found| move_links(found, &places));
        let processes = processes.into_iter().map(|process| moved(process, &places)).collect();
        let machine = Machine { namespaces, processes, unread: Unread::default() };
        Finds { machine, ..Finds::default() }.finish()
    }

    /// All of it, in order.
    pub(super) fn finish(self) -> Machine {
        let Machine { namespaces, processes, unread } = self.machine;
        let mut order: Vec<Place> = (0..namespaces.len()).collect();
        order.sort_by_key(|&place| (namespaces[place].kind, namespaces[place].inode, namespaces[place].id));
        let mut places = vec![0; order.len()];
        for (place, &old) in order.iter().enumerate() {
            places[old] = place;
        }
        let mut sorted: Vec<Option<Found>> = namespaces.into_iter().map(Some).collect();
        let mut namespaces: Vec<Found> = order.iter().filter_map(|&old| sorted[old].take()).collect();
        for found in &mut namespaces {
            move_links(found, &places);
            found.holders.sort();
            found.holders.dedup();
        }
        let mut processes: Vec<Process> = processes.into_iter().map(|process| moved(process, &places)).collect();
        processes.sort_by_key(|process| process.pid);
        for process in &processes {
            for place in process.namespaces.iter().flatten() {
                namespaces[*place].processes.push(process.pid);
            }
        }
        Machine { namespaces, processes, unread }
    }
}

pub(super) fn ask_kind(file: BorrowedFd<'_>) -> Result<Namespace> {
    let flag = ask::kind(file)?;
    Namespace::ALL.into_iter().find(|kind| kind.flag() == flag).ok_or(Errno::INVAL)
}

/// Whether two namespaces with the same inode are the same one, as far as is known.
fn same(one: Option<u64>, other: Option<u64>) -> bool {
    one.is_none() || other.is_none() || one == other
}

fn move_links(found: &mut Found, places: &[Place]) {
    for link in [&mut found.owner, &mut found.parent] {
        if let Link::To(place) = link {
            *place = places[*place];
        }
    }
}

fn moved(process: Process, places: &[Place]) -> Process {
    Process { namespaces: process.namespaces.map(|place| place.map(|place| places[place])), ..process }
}

fn sum(one: Unread, other: Unread) -> Unread {
    Unread {
        processes: one.processes + other.processes,
        sockets: one.sockets + other.sockets,
        mounts: one.mounts + other.mounts,
        without_process: one.without_process || other.without_process,
        hidden: one.hidden || other.hidden,
    }
}
