//! The model: namespaces, processes, and the places that keep namespaces alive. Plain values; nothing here reads.

use crate::model::namespace::Namespace;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// Inodes from here on are given to namespaces as they are made; below are those with which the machine started.
const DYNAMIC: u64 = 0xf000_0000;
/// Below these are no namespaces at all.
const FIRST: u64 = 0xefff_fff0;

/// So many namespaces of a kind are below each other at most: user namespaces below the first one, which have one level more
/// than pid namespaces (user_namespaces(7), pid_namespaces(7)).
pub const DEEPEST: usize = 33;

/// All that was found, in an order that doesn't depend on how it was found.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// By kind, in joining order, then by inode.
    pub namespaces: Vec<Found>,
    /// By pid.
    pub processes: Vec<Process>,
    /// What could not be read.
    pub unread: Unread,
}

/// A namespace, as a place in [`Machine::namespaces`].
pub type Place = usize;

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its kind.
    pub kind: Namespace,
    /// Its inode on nsfs, as in the links of `/proc/PID/ns`; another may get it once this one is gone.
    pub inode: u64,
    /// The number that no other namespace ever has; `None` before Linux 6.18, and where it couldn't be opened.
    pub id: Option<u64>,
    /// The user namespace that owns it: who has capabilities there has them over it (user_namespaces(7)).
    pub owner: Link,
    /// The namespace above; user and pid namespaces have one.
    pub parent: Link,
    /// The user who made it, as the caller's user namespace shows the id; user namespaces have one.
    pub uid: Option<u32>,
    /// Pids of the processes in it, in order.
    pub processes: Vec<u32>,
    /// What else keeps it alive, in order.
    pub holders: Vec<Holder>,
}

/// Where a relation leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// To this one.
    To(Place),
    /// Nowhere: its kind has no such relation, or it is the first.
    None,
    /// To one that the kernel doesn't show to the caller: neither the caller's own nor below that.
    Beyond,
    /// It couldn't be asked.
    Unread,
}

/// What keeps a namespace alive besides the processes in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A thread that left its process's namespace.
    Thread {
        /// The process.
        pid: u32,
        /// The thread.
        tid: u32,
    },
    /// A process whose next children start in it (`pid_for_children`, `time_for_children`).
    Children {
        /// The process.
        pid: u32,
    },
    /// An open descriptor.
    Descriptor {
        /// The process.
        pid: u32,
        /// Its number there.
        fd: u32,
    },
    /// A socket that was made in it, in a process that is elsewhere.
    Socket {
        /// The process.
        pid: u32,
        /// The descriptor's number there.
        fd: u32,
    },
    /// A tun or tap device in it, attached by a process that is elsewhere.
    Tun {
        /// The process.
        pid: u32,
        /// The descriptor's number there.
        fd: u32,
    },
    /// A descriptor that was sent by a socket and not yet received (unix(7), `SCM_RIGHTS`).
    InFlight {
        /// A process that can receive it.
        pid: u32,
        /// The socket's number there.
        fd: u32,
    },
    /// A bind mount.
    Mount {
        /// Where, as processes in that mount namespace see it.
        path: PathBuf,
        /// The inode of the mount namespace.
        inside: u64,
    },
    /// A namespace that it owns or is the parent of, by kind and inode.
    Below {
        /// Its kind.
        kind: Namespace,
        /// Its inode.
        inode: u64,
    },
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id, as the caller's pid namespace shows it.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// The name of its first thread, up to 15 bytes, which the program chooses itself (proc(5), "comm").
    pub name: OsString,
    /// Its effective user, as the caller's user namespace shows the id.
    pub uid: u32,
    /// When it started, in clock ticks since the machine did.
    pub start: u64,
    /// Whether it has ended and is only waited for: of its namespaces it keeps those of users and of pids alive until then.
    pub ended: bool,
    /// The number of its directory in /proc, for as long as the kernel remembers that: no other process's has it.
    pub entry: u64,
    /// Where it is, by kind, in the order of [`Namespace::ALL`]; `None` where that couldn't be read.
    pub namespaces: [Option<Place>; 8],
}

impl Process {
    /// Its namespace of a kind.
    pub fn namespace(&self, kind: Namespace) -> Option<Place> {
        self.namespaces[position(kind)]
    }
}

/// How much of the machine could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unread {
    /// Processes whose namespaces or descriptors are closed to the caller.
    pub processes: usize,
    /// Sockets and tun devices that couldn't be asked.
    pub sockets: usize,
    /// Mount namespaces whose mounts couldn't be listed.
    pub mounts: usize,
    /// Whether mount namespaces without a process couldn't be looked for.
    pub without_process: bool,
    /// Whether /proc hides processes of others (proc(5), "hidepid").
    pub hidden: bool,
}

/// The place of a kind in [`Namespace::ALL`].
pub fn position(kind: Namespace) -> usize {
    kind as usize
}

/// Processes with the same eight namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// The namespaces, in the order of [`Namespace::ALL`].
    pub namespaces: [Option<Place>; 8],
    /// Pids of the processes, in order.
    pub processes: Vec<u32>,
}

impl Machine {
    /// The process with this id.
    pub fn process(&self, pid: u32) -> Option<&Process> {
        self.processes.binary_search_by_key(&pid, |process| process.pid).ok().map(|place| &self.processes[place])
    }

    /// The namespaces with this inode or number that no other has; one, if any.
    pub fn find(&self, number: u64) -> Option<Place> {
        let by = |is: &dyn Fn(&Found) -> bool| self.namespaces.iter().position(is);
        by(&|found| found.inode == number).or_else(|| by(&|found| found.id == Some(number)))
    }

    /// The process that has been in a namespace for longest, of those that haven't ended; one whose pid is 1 there is that.
    pub fn leader(&self, place: Place) -> Option<&Process> {
        let processes = self.namespaces[place].processes.iter().filter_map(|pid| self.process(*pid));
        processes.min_by_key(|process| (process.ended, process.start, process.pid))
    }

    /// The host's namespace of a kind: the one with which the machine started or, where that can't be told by its inode,
    /// the one of the first process that can be seen.
    pub fn host(&self, kind: Namespace) -> Option<Place> {
        let first = self.namespaces.iter().position(|found| found.kind == kind && found.is_first());
        first.or_else(|| self.processes.iter().find_map(|process| process.namespace(kind)))
    }

    /// The host's namespaces, in the order of [`Namespace::ALL`].
    pub fn hosts(&self) -> [Option<Place>; 8] {
        Namespace::ALL.map(|kind| self.host(kind))
    }

    /// Isolation sets: all processes that haven't ended, by their eight namespaces; the one of the most processes that are the
    /// host's first, then by lowest pid.
    pub fn sets(&self) -> Vec<Set> {
        let mut sets: BTreeMap<[Option<Place>; 8], Vec<u32>> = BTreeMap::new();
        for process in self.processes.iter().filter(|process| !process.ended && process.namespaces != [None; 8]) {
            sets.entry(process.namespaces).or_default().push(process.pid);
        }
        let host = self.hosts();
        let mut sets: Vec<Set> =
            sets.into_iter().map(|(namespaces, processes)| Set { namespaces, processes }).collect();
        sets.sort_by_key(|set| (set.namespaces != host, set.processes.first().copied()));
        sets
    }

    /// All that keeps a namespace alive besides the processes in it, namespaces below it included.
    pub fn holders(&self, place: Place) -> Vec<Holder> {
        let below = |found: &&Found| found.owner == Link::To(place) || found.parent == Link::To(place);
        let below = self.namespaces.iter().filter(below);
        let below = below.map(|found| Holder::Below { kind: found.kind, inode: found.inode });
        self.namespaces[place].holders.iter().cloned().chain(below).collect()
    }
}

impl Found {
    /// Whether the machine started with it. Before Linux 6.18 that can't be told of mount and network namespaces.
    pub fn is_first(&self) -> bool {
        (FIRST..DYNAMIC).contains(&self.inode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::namespace::FIRST_USER;

    fn found(kind: Namespace, inode: u64, processes: &[u32]) -> Found {
        let (owner, parent) = (Link::None, Link::None);
        let (id, uid, holders) = (Some(inode % 1000), None, Vec::new());
        Found { kind, inode, id, owner, parent, uid, processes: processes.to_vec(), holders }
    }

    fn process(pid: u32, start: u64, user: Place, net: Place) -> Process {
        let mut namespaces = [None; 8];
        namespaces[position(Namespace::User)] = Some(user);
        namespaces[position(Namespace::Net)] = Some(net);
        Process { pid, parent: 1, name: "x".into(), uid: 0, start, ended: false, entry: 0, namespaces }
    }

    fn machine() -> Machine {
        let mut own = found(Namespace::Net, 4_026_532_000, &[5, 9]);
        own.owner = Link::To(0);
        own.holders.push(Holder::Descriptor { pid: 2, fd: 7 });
        let namespaces =
            vec![found(Namespace::User, FIRST_USER, &[2, 5, 9]), found(Namespace::Net, 4_026_531_833, &[2]), own];
        // 5 is a pid that was given anew: it is younger than 9.
        let processes = vec![process(2, 10, 0, 1), process(5, 90, 0, 2), process(9, 50, 0, 2)];
        Machine { namespaces, processes, unread: Unread::default() }
    }

    #[test]
    fn a_namespace_is_found_by_inode_and_by_number() {
        assert_eq!((machine().find(4_026_532_000), machine().find(0), machine().find(7)), (Some(2), Some(2), None));
    }

    #[test]
    fn the_leader_is_the_oldest_process_and_not_the_lowest_pid() {
        assert_eq!(machine().leader(2).map(|leader| leader.pid), Some(9));
    }

    #[test]
    fn sets_are_processes_that_share_all_and_the_hosts_is_first() {
        let sets: Vec<Vec<u32>> = machine().sets().into_iter().map(|set| set.processes).collect();
        assert_eq!(sets, [vec![2], vec![5, 9]]);
    }

    #[test]
    fn who_has_ended_leads_none_and_is_in_no_set() {
        let mut machine = machine();
        machine.processes[2].ended = true;
        assert_eq!(machine.leader(2).map(|leader| leader.pid), Some(5));
        let sets: Vec<Vec<u32>> = machine.sets().into_iter().map(|set| set.processes).collect();
        assert_eq!(sets, [[2], [5]]);
        machine.processes[1].ended = true;
        assert_eq!(machine.leader(2).map(|leader| leader.pid), Some(9), "they are all that is left");
    }

    #[test]
    fn an_owner_is_held_by_what_it_owns() {
        let below = Holder::Below { kind: Namespace::Net, inode: 4_026_532_000 };
        assert_eq!(machine().holders(0), [below]);
        assert_eq!(machine().holders(2), [Holder::Descriptor { pid: 2, fd: 7 }]);
    }
}
