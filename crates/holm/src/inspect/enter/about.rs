//! What a process may do and use, for what enters its place: ids, rights, limits. Text of /proc becomes values.

use super::super::detail::Open;
use crate::model::id::IdMap;
use crate::model::limit::{Resource, ResourceLimit};
use std::path::Path;

/// Ids of a user and a group.
pub(super) type Ids = (u32, u32);

/// What is known of a process.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    /// Its effective ids, as its own user namespace shows them; `None` if they have none there, or aren't known.
    pub(super) ids: Option<Ids>,
    /// Permitted capabilities, a bit each.
    pub(super) capabilities: u64,
    /// Whether a filter of system calls is in force.
    pub(super) filtered: bool,
    /// Whether its user namespace has no setgroups(2).
    pub(super) fixed_groups: bool,
    /// Whether its user namespace maps user 0 of the caller's.
    pub(super) reaches_root: bool,
}

/// In whose user namespace a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum User {
    /// In the caller's, whose ids are its own.
    Callers,
    /// In another one, whose maps show the caller's ids outside.
    Others,
}

impl About {
    /// Reads it; `None` if the process ended.
    pub(super) fn read(open: &Open, user: User) -> Option<About> {
        let credentials = open.credentials().ok()?;
        let maps = match user {
            User::Callers => [(); 2].map(|()| vec![IdMap { inside: 0, outside: 0, count: u32::MAX }]),
            User::Others => open.maps(),
        };
        Some(About {
            ids: inside(&maps[0], credentials.uid).zip(inside(&maps[1], credentials.gid)),
            capabilities: credentials.permitted,
            filtered: credentials.filtered,
            fixed_groups: !open.setgroups(),
            reaches_root: inside(&maps[0], 0).is_some(),
        })
    }
}

/// An id inside of a user namespace, by its id outside.
pub(in super::super) fn inside(maps: &[IdMap], id: u32) -> Option<u32> {
    let map = maps.iter().find(|map| id >= map.outside && id - map.outside < map.count)?;
    map.inside.checked_add(id - map.outside)
}

/// The limits of a text of `/proc/PID/limits` (proc_pid_limits(5)): a line for each resource, in the kernel's order, with soft
/// and hard limit behind a name of 26 bytes.
pub(in super::super) fn limits(text: &str) -> Vec<ResourceLimit> {
    let amount = |word: &str| if word == "unlimited" { Some(None) } else { word.parse().ok().map(Some) };
    let line = |(resource, line): (Resource, &str)| {
        let mut words = line.get(26..)?.split_whitespace();
        let (soft, hard) = (amount(words.next()?)?, amount(words.next()?)?);
        Some(ResourceLimit { resource, soft, hard })
    };
    Resource::all().zip(text.lines().skip(1)).filter_map(line).collect()
}

/// Those of `theirs` that are stricter than `own`; core files are refused anyway.
pub(super) fn stricter(theirs: &[ResourceLimit], own: &[ResourceLimit]) -> Vec<ResourceLimit> {
    let least = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    let pairs = theirs.iter().filter(|limit| limit.resource != Resource::CORE);
    let pairs = pairs.filter_map(|limit| Some((limit, own.iter().find(|own| own.resource == limit.resource)?)));
    let strict = pairs.map(|(limit, own)| {
        let (soft, hard) = (least(limit.soft, own.soft), least(limit.hard, own.hard));
        (ResourceLimit { resource: limit.resource, soft, hard }, *own)
    });
    strict.filter(|(limit, own)| limit != own).map(|(limit, _)| limit).collect()
}

/// The limits of this process.
pub(super) fn own_limits() -> Vec<ResourceLimit> {
    limits(&std::fs::read_to_string(Path::new("/proc/self/limits")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_of_two_limits_counts() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max cpu time              10                   unlimited            seconds   \n\
                    Max file size             unlimited            unlimited            bytes     \n";
        let theirs = limits(text);
        let own: Vec<ResourceLimit> =
            ["cpu=unlimited:20", "fsize=5"].map(|text| text.parse().expect("it is one")).to_vec();
        assert_eq!(stricter(&theirs, &own), ["cpu=10:20".parse().expect("it is one")]);
        assert!(limits("").is_empty() && limits("x\nMax cpu time\n").is_empty());
    }

    #[test]
    fn the_limits_of_this_process_are_all_read() {
        assert_eq!(own_limits().len(), Resource::all().count());
    }
}
