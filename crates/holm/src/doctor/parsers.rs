//! What reads text of /proc about the machine, as an entry for tests that feed it anything.

use super::facts::{Caller, Layout};
use super::read::{covered, keys, layout};

/// Reads bytes as each of the files; how many told something.
pub fn of_machine(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let covered = covered(&text);
    assert!(covered.iter().all(|point| point.starts_with("/proc/")));
    let (_, used) = keys(&text, &Caller::default(), None);
    [layout(&text) != Layout::None, !covered.is_empty(), used.is_some_and(|used| used > 0)]
        .into_iter()
        .filter(|told| *told)
        .count()
}
