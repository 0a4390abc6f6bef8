//! Ranges of ids: those that files of subuid(5) give to users, and one that belongs to nobody.

use rustix::io::Errno;
use std::hash::BuildHasher;
use std::path::Path;

/// How many ids an automatic map has.
pub(crate) const RANGE: u32 = 65_536;

/// What a file of subuid(5) gives away: owner, first id and count.
#[derive(Default)]
pub(crate) struct Ranges(Vec<(String, u64, u64)>);

impl Ranges {
    /// Reads a file; one that isn't there gives nothing away.
    ///
    /// # Errors
    /// It is there and can't be read.
    pub(crate) fn read(file: &Path) -> Result<Ranges, Errno> {
        match std::fs::read(file) {
            Ok(bytes) => Ok(Ranges::parse(&bytes)),
            Err(error) => match Errno::from_io_error(&error).unwrap_or(Errno::IO) {
                Errno::NOENT => Ok(Ranges::default()),
                errno => Err(errno),
            },
        }
    }

    /// Reads lines, whatever their owners' names are made of.
    fn parse(bytes: &[u8]) -> Ranges {
        let line = |line: &[u8]| {
            let text = String::from_utf8_lossy(line);
            let mut fields = text.split(':');
            let owner = fields.next()?.to_owned();
            let mut numbers = fields.map_while(|field| field.trim().parse().ok());
            Some((owner, numbers.next()?, numbers.next()?))
        };
        Ranges(bytes.split(|&byte| byte == b'\n').filter_map(line).collect())
    }

    /// First id and count of a user's ranges: named by login name or by number.
    pub(crate) fn of(&self, uid: u32, name: Option<&str>) -> Vec<(u32, u32)> {
        let number = uid.to_string();
        let own = self.0.iter().filter(|(owner, ..)| Some(owner.as_str()) == name || *owner == number);
        own.filter_map(|(_, first, count)| Some(((*first).try_into().ok()?, (*count).try_into().ok()?))).collect()
    }

    /// The owners of ranges that have ids of this user's in them.
    pub(crate) fn shared_with(&self, uid: u32, name: Option<&str>) -> Vec<String> {
        let number = uid.to_string();
        let is_own = |owner: &str| Some(owner) == name || owner == number;
        let (own, others): (Vec<_>, Vec<_>) = self.0.iter().partition(|(owner, ..)| is_own(owner));
        let end = |first: u64, count: u64| first.saturating_add(count);
        let overlaps = |(_, first, count): &&&(String, u64, u64)| {
            own.iter().any(|(_, start, length)| *first < end(*start, *length) && *start < end(*first, *count))
        };
        let mut names: Vec<String> = others.iter().filter(overlaps).map(|(owner, ..)| owner.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The first id above all that are given away, where useradd(8) would begin.
    pub(crate) fn next(&self) -> u64 {
        self.0.iter().map(|(_, first, count)| first.saturating_add(*count)).fold(100_000, u64::max)
    }
}

/// Whether an id of the caller's is mapped by a file such as /proc/self/uid_map: one that isn't owns nothing and can make no
/// user namespace.
pub(crate) fn is_mapped(file: &str, id: u32) -> bool {
    maps(file, (u64::from(id), u64::from(id) + 1))
}

/// Whether a line of such a file has all of a range: first id inside, first outside, count. One that can't be read refuses
/// nothing here: if the range isn't there its own map can't be written, while without a range root inside would be root outside.
fn maps(file: &str, range: (u64, u64)) -> bool {
    let Ok(lines) = std::fs::read_to_string(file) else { return true };
    let mut lines = lines.lines().map(|line| line.split_whitespace().filter_map(|n| n.parse::<u64>().ok()));
    lines.any(|mut line| {
        matches!((line.next(), line.nth(1)), (Some(first), Some(count)) if first <= range.0 && range.1 <= first + count)
    })
}

/// The first id of a range of [`RANGE`] ids that none of `given` gives to anybody and that may be mapped. It lies among
/// those that are left to containers (systemd's UIDS-GIDS), and each start takes another one, so that sandboxes have nothing
/// in common.
pub(super) fn free(given: &[Ranges]) -> Option<u32> {
    const FIRST: u32 = 0x8_0000;
    const RANGES: u64 = (0x7000_0000 - FIRST as u64) / RANGE as u64;
    let ends = |(_, first, count): &(String, u64, u64)| Some((*first, first.checked_add(*count)?));
    let taken: Vec<(u64, u64)> = given.iter().flat_map(|ranges| &ranges.0).filter_map(ends).collect();
    let random = BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
    let candidates =
        (0..100).map(|turn| u64::from(FIRST) + random.wrapping_add(turn * 7919) % RANGES * u64::from(RANGE));
    let free = candidates
        .map(|first| (first, first + u64::from(RANGE)))
        .find(|range| taken.iter().all(|(first, end)| range.1 <= *first || *end <= range.0))?;
    let usable = maps("/proc/self/uid_map", free) && maps("/proc/self/gid_map", free);
    usable.then_some(free.0 as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_utf_8_hides_no_line() {
        let ranges = Ranges::parse(b"\xff:100000:65536\nalice:165536:65536\n7:1:2:3\nno line\n");
        assert_eq!(ranges.of(1000, Some("alice")), [(165_536, 65_536)]);
        assert_eq!(ranges.of(7, None), [(1, 2)]);
        assert_eq!(ranges.0.len(), 3);
    }

    #[test]
    fn ranges_that_overlap_tell_with_whom() {
        let ranges = Ranges::parse(b"a:100000:65536\nb:165535:10\nc:300000:65536\na:400000:1\n");
        assert_eq!(ranges.shared_with(1, Some("a")), ["b"]);
        assert_eq!(ranges.shared_with(1, Some("c")), Vec::<String>::new());
        assert_eq!((ranges.next(), Ranges::default().next()), (400_001, 100_000));
    }

    #[test]
    fn a_range_that_is_given_away_is_not_free() {
        let all = Ranges::parse(b"alice:0:4294967296\n");
        assert_eq!(free(&[Ranges::default(), all]), None);
    }
}
