//! Lines of an id map: user_namespaces(7), "User and group ID mappings".

use std::fmt;

/// The id that stands for those without one of their own (user_namespaces(7), "Unmapped user and group IDs").
pub(crate) const OVERFLOW: u32 = 65_534;

/// `count` ids from `inside` on in the new user namespace are the ids from `outside` on in the parent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMap {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many ids; at least one.
    pub count: u32,
}

impl IdMap {
    /// The map of one id.
    pub fn single(inside: u32, outside: u32) -> IdMap {
        IdMap { inside, outside, count: 1 }
    }

    /// Whether `id` has a place inside.
    pub fn covers(&self, id: u32) -> bool {
        id >= self.inside && u64::from(id) < u64::from(self.inside) + u64::from(self.count)
    }

    /// Whether the two share an id inside or an id outside, which the kernel refuses.
    pub fn overlaps(&self, other: &IdMap) -> bool {
        let meet = |a: u32, b: u32| {
            let (a, b) = (u64::from(a), u64::from(b));
            a < b + u64::from(other.count) && b < a + u64::from(self.count)
        };
        meet(self.inside, other.inside) || meet(self.outside, other.outside)
    }

    /// Whether all its ids outside are of this range: first id and count.
    pub fn is_of(&self, (first, count): (u32, u32)) -> bool {
        let end = |first: u32, count: u32| u64::from(first) + u64::from(count);
        self.outside >= first && end(self.outside, self.count) <= end(first, count)
    }

    /// Whether its last ids exist: 2^32 - 1 is no id.
    pub fn fits(&self) -> bool {
        let end = |first: u32| u64::from(first) + u64::from(self.count) <= u64::from(u32::MAX);
        self.count > 0 && end(self.inside) && end(self.outside)
    }
}

/// The text of /proc/PID/uid_map and gid_map: a line for each map.
pub fn lines(maps: &[IdMap]) -> String {
    maps.iter().map(|m| format!("{} {} {}\n", m.inside, m.outside, m.count)).collect()
}

impl fmt::Display for IdMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.inside, self.outside, self.count)
    }
}

/// Maps all of `ranges` (first id outside, count) and `own`, so that `own` has the id `inside` and the ranges fill the
/// ids from 0 on around it.
pub fn around(own: u32, inside: u32, ranges: &[(u32, u32)]) -> Vec<IdMap> {
    let mut maps = vec![IdMap::single(inside, own)];
    let mut next = 0u32;
    for &(mut outside, mut count) in ranges {
        while count > 0 {
            if next == inside {
                next += 1;
            }
            let room = if next < inside { inside - next } else { u32::MAX - next };
            let part = count.min(room);
            if part == 0 {
                break;
            }
            maps.push(IdMap { inside: next, outside, count: part });
            next += part;
            outside += part;
            count -= part;
        }
    }
    maps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_are_seen_on_both_sides() {
        let a = IdMap { inside: 0, outside: 1000, count: 10 };
        assert!(a.overlaps(&IdMap { inside: 9, outside: 5000, count: 1 }));
        assert!(a.overlaps(&IdMap { inside: 500, outside: 1009, count: 1 }));
        assert!(!a.overlaps(&IdMap { inside: 10, outside: 1010, count: 1 }));
    }

    #[test]
    fn a_map_past_the_last_id_does_not_fit() {
        assert!(IdMap { inside: 0, outside: 0, count: u32::MAX }.fits());
        assert!(!IdMap { inside: 1, outside: 0, count: u32::MAX }.fits());
        assert!(!IdMap { inside: 0, outside: 0, count: 0 }.fits());
    }

    #[test]
    fn ranges_are_laid_around_the_own_id() {
        let maps = around(1000, 1000, &[(100_000, 65_536)]);
        let text: Vec<String> = maps.iter().map(IdMap::to_string).collect();
        assert_eq!(text, ["1000:1000:1", "0:100000:1000", "1001:101000:64536"]);
        let root = around(1000, 0, &[(100_000, 10)]);
        assert_eq!(root[1], IdMap { inside: 1, outside: 100_000, count: 10 });
    }
}
