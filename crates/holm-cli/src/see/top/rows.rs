//! The rows of a view: which there are, in which order, and how one is known again after an update.

use crate::see::matrix::{Sharing, leader, letters};
use holm::inspect::machine::{DEEPEST, Link, Machine, Place, Process, Set};
use holm::model::namespace::Namespace;
use std::collections::HashMap;
use std::ffi::OsStr;

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum View {
    /// Isolation sets.
    Matrix,
    /// User namespaces, and the sets in them.
    Tree,
    /// The processes of a set.
    Members(Key),
}

/// What a row shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// The set with this number.
    Set(usize),
    /// A user namespace.
    User(Place),
    /// A process, by its pid.
    Process(u32),
}

/// A row, moved to the right by `depth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) of: Of,
    pub(super) depth: usize,
}

/// What a row shows, as it is known again after an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// Inodes of a set's namespaces.
    Set([Option<u64>; 8]),
    /// The inode of a user namespace.
    User(u64),
    /// Pid and start of a process.
    Process(u32, u64),
}

/// The order of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// As found: the host's first, then by lowest pid.
    Pid,
    /// Most processes first.
    Processes,
    /// By name of the leader or process.
    Name,
}

impl Sort {
    pub(super) fn next(self) -> Sort {
        match self {
            Sort::Pid => Sort::Processes,
            Sort::Processes => Sort::Name,
            Sort::Name => Sort::Pid,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Sort::Pid => "pid",
            Sort::Processes => "processes",
            Sort::Name => "name",
        }
    }
}

/// What the rows are made of.
pub(super) struct Source<'a> {
    pub(super) machine: &'a Machine,
    pub(super) sharing: &'a Sharing,
    /// Rows without this text are left out.
    pub(super) filter: &'a str,
    pub(super) sort: Sort,
}

impl Source<'_> {
    pub(super) fn rows(&self, view: &View) -> Vec<Row> {
        let flat = |of| Row { of, depth: 0 };
        match view {
            View::Matrix => self.sets().into_iter().map(Of::Set).map(flat).collect(),
            View::Tree => self.tree(),
            View::Members(key) => self.members(key).into_iter().map(Of::Process).map(flat).collect(),
        }
    }

    pub(super) fn key(&self, of: Of) -> Key {
        let inode = |place: Place| self.machine.namespaces[place].inode;
        match of {
            Of::Set(number) => Key::Set(self.sharing.sets[number].namespaces.map(|place| place.map(inode))),
            Of::User(place) => Key::User(inode(place)),
            Of::Process(pid) => Key::Process(pid, self.machine.process(pid).map_or(0, |process| process.start)),
        }
    }

    fn leader(&self, number: usize) -> Option<&Process> {
        leader(self.machine, &self.sharing.sets[number])
    }

    /// Numbers of the sets that have the text, in order.
    fn sets(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.sharing.sets.len()).filter(|&number| self.has_text(number)).collect();
        match self.sort {
            Sort::Pid => {}
            Sort::Processes => numbers.sort_by_key(|&number| usize::MAX - self.sharing.sets[number].processes.len()),
            Sort::Name => numbers.sort_by_cached_key(|&number| self.leader(number).map(|leader| leader.name.clone())),
        }
        numbers
    }

    fn has_text(&self, number: usize) -> bool {
        let Set { processes, .. } = &self.sharing.sets[number];
        let named = |pid: &u32| self.machine.process(*pid).is_some_and(|process| self.fits(process));
        self.filter.is_empty() || letters(number) == self.filter || processes.iter().any(named)
    }

    fn fits(&self, process: &Process) -> bool {
        contains(&process.name, self.filter) || process.pid.to_string() == self.filter
    }

    fn members(&self, key: &Key) -> Vec<u32> {
        let number = (0..self.sharing.sets.len()).find(|&number| self.key(Of::Set(number)) == *key);
        let pids = number.map(|number| self.sharing.sets[number].processes.as_slice()).unwrap_or_default();
        let mut found: Vec<&Process> = pids.iter().filter_map(|pid| self.machine.process(*pid)).collect();
        found.retain(|process| self.fits(process));
        if self.sort == Sort::Name {
            found.sort_by_key(|process| &process.name);
        }
        found.iter().map(|process| process.pid).collect()
    }

    /// User namespaces below their parents, and in each the sets whose processes are in it.
    fn tree(&self) -> Vec<Row> {
        let mut sets: HashMap<Place, Vec<usize>> = HashMap::new();
        for number in self.sets() {
            if let Some(user) = self.sharing.sets[number].namespaces[Namespace::User as usize] {
                sets.entry(user).or_default().push(number);
            }
        }
        let (mut tops, mut below): (Vec<Place>, HashMap<Place, Vec<Place>>) = (Vec::new(), HashMap::new());
        for (place, found) in self.machine.namespaces.iter().enumerate() {
            match (found.kind, found.parent) {
                (Namespace::User, Link::To(parent)) => below.entry(parent).or_default().push(place),
                (Namespace::User, _) => tops.push(place),
                _ => {}
            }
        }
        let mut rows = Vec::new();
        tops.into_iter().for_each(|top| self.nest(top, 0, &sets, &below, &mut rows));
        rows
    }

    fn nest(
        &self,
        place: Place,
        depth: usize,
        sets: &HashMap<Place, Vec<usize>>,
        below: &HashMap<Place, Vec<Place>>,
        rows: &mut Vec<Row>,
    ) {
        let start = rows.len();
        rows.push(Row { of: Of::User(place), depth });
        rows.extend(sets.get(&place).into_iter().flatten().map(|&set| Row { of: Of::Set(set), depth: depth + 1 }));
        if depth < DEEPEST {
            let children = below.get(&place).into_iter().flatten();
            children.for_each(|&child| self.nest(child, depth + 1, sets, below, rows));
        }
        // One in which nothing has the text.
        if !self.filter.is_empty() && !rows[start..].iter().any(|row| matches!(row.of, Of::Set(_))) {
            rows.truncate(start);
        }
    }
}

/// Whether a name has a text in it, in letters of either size.
fn contains(name: &OsStr, text: &str) -> bool {
    name.to_string_lossy().to_lowercase().contains(&text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use holm::inspect::machine::{Found, position};

    /// The host with two processes, and one below it with one in a user and a network namespace of its own.
    fn machine() -> Machine {
        let found = |kind, inode, parent| Found {
            kind,
            inode,
            id: Some(inode),
            owner: parent,
            parent,
            uid: None,
            processes: Vec::new(),
            holders: Vec::new(),
        };
        let namespaces = vec![
            found(Namespace::User, 0xefff_fffd, Link::None),
            found(Namespace::User, 0xf000_0001, Link::To(0)),
            found(Namespace::Net, 0xefff_fff9, Link::None),
            found(Namespace::Net, 0xf000_0002, Link::None),
        ];
        let process = |pid, name: &str, user, net| {
            let mut namespaces = [None; 8];
            namespaces[position(Namespace::User)] = Some(user);
            namespaces[position(Namespace::Net)] = Some(net);
            Process { pid, parent: 1, name: name.into(), uid: 0, start: pid.into(), ended: false, entry: 0, namespaces }
        };
        let processes = vec![process(1, "init", 0, 2), process(2, "Shell", 0, 2), process(3, "inside", 1, 3)];
        Machine { namespaces, processes, ..Machine::default() }
    }

    fn rows(view: &View, filter: &str, sort: Sort) -> Vec<(Of, usize)> {
        let machine = machine();
        let sharing = Sharing::of(&machine);
        let source = Source { machine: &machine, sharing: &sharing, filter, sort };
        source.rows(view).into_iter().map(|row| (row.of, row.depth)).collect()
    }

    #[test]
    fn sets_are_left_out_by_the_names_in_them() {
        assert_eq!(rows(&View::Matrix, "", Sort::Pid), [(Of::Set(0), 0), (Of::Set(1), 0)]);
        assert_eq!(rows(&View::Matrix, "shell", Sort::Pid), [(Of::Set(0), 0)]);
        assert_eq!(rows(&View::Matrix, "3", Sort::Pid), [(Of::Set(1), 0)]);
        assert_eq!(rows(&View::Matrix, "B", Sort::Pid), [(Of::Set(1), 0)]);
        assert_eq!(rows(&View::Matrix, "nothing", Sort::Pid), []);
    }

    #[test]
    fn a_tree_has_sets_below_their_user_namespaces() {
        let all = [(Of::User(0), 0), (Of::Set(0), 1), (Of::User(1), 1), (Of::Set(1), 2)];
        assert_eq!(rows(&View::Tree, "", Sort::Pid), all);
        assert_eq!(rows(&View::Tree, "inside", Sort::Pid), [all[0], all[2], all[3]]);
        assert_eq!(rows(&View::Tree, "shell", Sort::Pid), all[..2]);
    }

    #[test]
    fn members_are_those_of_one_set_by_pid_or_name() {
        let machine = machine();
        let sharing = Sharing::of(&machine);
        let key = Source { machine: &machine, sharing: &sharing, filter: "", sort: Sort::Pid }.key(Of::Set(0));
        let view = View::Members(key);
        assert_eq!(rows(&view, "", Sort::Pid), [(Of::Process(1), 0), (Of::Process(2), 0)]);
        assert_eq!(rows(&view, "", Sort::Name), [(Of::Process(2), 0), (Of::Process(1), 0)]);
        assert_eq!(rows(&View::Members(Key::Set([None; 8])), "", Sort::Pid), []);
    }
}
