//! The names of control groups that holm makes: they tell whose they are, so that what a killed owner left can be removed.

use std::fmt;

/// The version of a hierarchy of control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy for each controller or a few.
    One,
    /// One for all.
    Two,
}

/// A process that owns control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The inode of its pid namespace.
    pub namespace: u64,
    /// Its pid there.
    pub pid: i32,
    /// When it started, in clock ticks after boot (proc(5), `starttime`): a pid alone may be another's by now.
    pub start: u64,
}

impl Owner {
    /// The owner that a name tells, if it is such a name.
    pub fn of(name: &str) -> Option<Owner> {
        let mut parts = name.strip_prefix("holm-")?.split('-');
        let mut next = || parts.next();
        let owner =
            Owner { namespace: next()?.parse().ok()?, pid: next()?.parse().ok()?, start: next()?.parse().ok()? };
        next().is_some().then_some(owner)
    }

    /// The name of one of its groups.
    pub fn name(&self, which: impl fmt::Display) -> String {
        let Owner { namespace, pid, start } = self;
        format!("holm-{namespace}-{pid}-{start}-{which}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_owner() {
        let owner = Owner { namespace: 4_026_531_836, pid: 7, start: 123 };
        assert_eq!(Owner::of(&owner.name("self")), Some(owner));
        assert!(["holm", "holm-1-2-3", "holm-1-2-x-4", "x-1-2-3-4", ""].iter().all(|name| Owner::of(name).is_none()));
    }
}
