//! What a process may do in a namespace, by the rules of user_namespaces(7), "Capabilities". Pure.

use super::detail::Credentials;
use super::machine::{DEEPEST, Link, Machine, Place, Process};
use crate::model::capability::Capability;
use crate::model::id::OVERFLOW;
use crate::model::namespace::Namespace;

/// Which rule says what a process may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It is in the user namespace that governs: it has there what it has.
    Member,
    /// It is in one above that: it has there what it has in its own.
    Above,
    /// It is in the parent of this user namespace, whose maker has its effective user id: it has all there and below.
    Maker(Place),
    /// None of these: the governing user namespace is neither its own nor below that.
    Outside,
    /// A relation that decides it couldn't be read.
    Unknown,
}

/// What a process may do in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// The rule that says so.
    pub rule: Rule,
    /// The user namespace that governs it: its owner, or itself.
    pub governing: Option<Place>,
    /// Its capabilities there, a bit each (capabilities(7)).
    pub capabilities: u64,
}

/// Every capability that this crate knows.
const ALL: u64 = (1 << Capability::COUNT) - 1;

/// What `process`, which acts with `credentials`, may do in the namespace at `place`.
pub fn rights(machine: &Machine, process: &Process, credentials: &Credentials, place: Place) -> Rights {
    let found = &machine.namespaces[place];
    let governing = match (found.kind, found.owner) {
        (Namespace::User, _) => Some(place),
        (_, Link::To(owner)) => Some(owner),
        _ => None,
    };
    let (Some(governing), Some(own)) = (governing, process.namespace(Namespace::User)) else {
        return Rights { rule: Rule::Unknown, governing, capabilities: 0 };
    };
    let rule = rule(machine, own, credentials.uid, governing);
    let capabilities = match rule {
        Rule::Member | Rule::Above => credentials.effective,
        Rule::Maker(_) => ALL,
        Rule::Outside | Rule::Unknown => 0,
    };
    Rights { rule, governing: Some(governing), capabilities }
}

/// The kernel walks up from the governing namespace until it meets the process's own (security/commoncap.c is described in
/// user_namespaces(7)).
fn rule(machine: &Machine, own: Place, uid: u32, governing: Place) -> Rule {
    let mut at = governing;
    for _ in 0..=DEEPEST {
        if at == own {
            return if at == governing { Rule::Member } else { Rule::Above };
        }
        let found = &machine.namespaces[at];
        match found.parent {
            // Two users without an id here may be different ones.
            Link::To(parent) if parent == own && found.uid == Some(uid) && uid != OVERFLOW => return Rule::Maker(at),
            Link::To(parent) => at = parent,
            // What is above isn't shown to the caller; nor is the process's own then, or it would be below.
            Link::None | Link::Beyond => return Rule::Outside,
            Link::Unread => return Rule::Unknown,
        }
    }
    Rule::Unknown
}

#[cfg(test)]
mod tests {
    use super::super::machine::{Found, position};
    use super::*;

    /// First, below it one that user 7 made, below that one that user 8 made; a network namespace of the last.
    fn machine() -> Machine {
        let user = |inode, parent, uid| {
            let (owner, processes, holders) = (parent, Vec::new(), Vec::new());
            Found { kind: Namespace::User, inode, id: None, owner, parent, uid: Some(uid), processes, holders }
        };
        let mut net = user(4, Link::To(2), 0);
        (net.kind, net.parent, net.uid) = (Namespace::Net, Link::None, None);
        let namespaces = vec![user(1, Link::None, 0), user(2, Link::To(0), 7), user(3, Link::To(1), 8), net];
        Machine { namespaces, ..Machine::default() }
    }

    fn asked(own: Place, uid: u32, effective: u64, place: Place) -> (Rule, u64) {
        let mut namespaces = [None; 8];
        namespaces[position(Namespace::User)] = Some(own);
        let process =
            Process { pid: 1, parent: 0, name: "x".into(), uid, start: 0, ended: false, entry: 0, namespaces };
        let permitted = effective;
        let credentials = Credentials { uid, gid: 0, effective, permitted, no_new_privs: false, filtered: false };
        let rights = rights(&machine(), &process, &credentials, place);
        (rights.rule, rights.capabilities)
    }

    #[test]
    fn members_have_what_they_have() {
        assert_eq!(asked(2, 5, 0b101, 3), (Rule::Member, 0b101));
        assert_eq!(asked(2, 5, 0, 2), (Rule::Member, 0));
    }

    #[test]
    fn who_is_above_keeps_capabilities_below() {
        assert_eq!(asked(0, 0, 0b1, 3), (Rule::Above, 0b1));
        assert_eq!(asked(0, 5, 0, 3), (Rule::Above, 0));
    }

    #[test]
    fn the_maker_has_all_below_but_only_from_the_parent() {
        assert_eq!(asked(0, 7, 0, 1), (Rule::Maker(1), ALL));
        assert_eq!(asked(0, 7, 0, 3), (Rule::Maker(1), ALL));
        assert_eq!(asked(1, 8, 0, 3), (Rule::Maker(2), ALL));
        assert_eq!(asked(0, 8, 0, 2), (Rule::Above, 0));
    }

    #[test]
    fn who_is_below_or_beside_has_nothing() {
        assert_eq!(asked(2, 0, ALL, 1), (Rule::Outside, 0));
        assert_eq!(asked(1, 0, ALL, 0), (Rule::Outside, 0));
    }
}
