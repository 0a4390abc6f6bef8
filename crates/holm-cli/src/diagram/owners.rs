//! User namespaces below each other, and what is in each: sets of processes, and namespaces in which no process is.

use holm::inspect::machine::{Link, Machine, Place, Set, position};
use holm::model::namespace::Namespace;
use std::collections::{HashMap, HashSet};

/// By user namespace; what can't be told is the host's.
pub(crate) struct Owners {
    sets: HashMap<Place, Vec<usize>>,
    children: HashMap<Place, Vec<Place>>,
    empty: HashMap<Place, Vec<Place>>,
}

impl Owners {
    /// Sorts them below `host`, the host's user namespace.
    pub(crate) fn new(machine: &Machine, sets: &[Set], host: Place) -> Owners {
        let mut owners = Owners { sets: HashMap::new(), children: HashMap::new(), empty: HashMap::new() };
        let mut owning: HashSet<Place> = HashSet::new();
        for (place, found) in machine.namespaces.iter().enumerate() {
            if let (Link::To(parent), Namespace::User) = (found.parent, found.kind) {
                owners.children.entry(parent).or_default().push(place);
            }
            owning.extend([found.owner, found.parent].iter().filter_map(|link| match link {
                Link::To(above) => Some(*above),
                _ => None,
            }));
        }
        let below = owners.below(host);
        let or_host = |user: Option<Place>| user.filter(|user| below.contains(user)).unwrap_or(host);
        for (number, set) in sets.iter().enumerate() {
            let user = or_host(set.namespaces[position(Namespace::User)]);
            owners.sets.entry(user).or_default().push(number);
        }
        for (place, found) in machine.namespaces.iter().enumerate() {
            let above = if found.kind == Namespace::User { found.parent } else { found.owner };
            let above = if let Link::To(above) = above { Some(above) } else { None };
            if found.processes.is_empty() && !owning.contains(&place) {
                owners.empty.entry(or_host(above)).or_default().push(place);
            }
        }
        owners
    }

    /// A user namespace and all below it.
    fn below(&self, top: Place) -> HashSet<Place> {
        let (mut found, mut left) = (HashSet::from([top]), vec![top]);
        while let Some(one) = left.pop() {
            left.extend(self.children(one).iter().copied().filter(|child| found.insert(*child)));
        }
        found
    }

    /// The sets in a user namespace, in order.
    pub(crate) fn sets(&self, user: Place) -> &[usize] {
        self.sets.get(&user).map_or(&[], Vec::as_slice)
    }

    /// The user namespaces right below one.
    pub(crate) fn children(&self, user: Place) -> &[Place] {
        self.children.get(&user).map_or(&[], Vec::as_slice)
    }

    /// Namespaces of one in which no process is, and which own none.
    pub(crate) fn empty(&self, user: Place) -> &[Place] {
        self.empty.get(&user).map_or(&[], Vec::as_slice)
    }
}
