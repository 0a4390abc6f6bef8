//! What reads the files of a process in /proc, as an entry for tests that feed it anything: names, paths and arguments in them are
//! what somebody chose.

use super::detail::{Credentials, map, pids};
use super::enter::about::{inside, limits};
use super::maker::{Clues, maker};
use super::mounts;
use super::process::Stat;
use crate::host::groups::located;
use std::path::{Component, PathBuf};

/// Reads bytes as each of the files; how many told something.
pub fn of_process(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let word = || text.split('\0').map(str::to_owned);
    let clues = Clues {
        groups: text.clone().into_owned(),
        program: word().next().unwrap_or_default(),
        arguments: word().collect(),
        keeper: word().collect(),
    };
    let maps: Vec<_> = text.lines().filter_map(map).collect();
    let ids = maps.iter().flat_map(|one| [one.outside, one.outside.wrapping_add(one.count)]).chain([0, u32::MAX]);
    let mapped = ids.filter(|&id| inside(&maps, id).is_some()).count();
    let places = located(&text, &text);
    let is_below = |(mount, place): &(PathBuf, PathBuf)| {
        place.strip_prefix(mount).is_ok_and(|below| below.components().all(|part| part != Component::ParentDir))
    };
    assert!(places.iter().all(is_below), "a group leads out of its hierarchy: {places:?}");
    let told = [
        Stat::parse(bytes).is_some(),
        Credentials::parse(&text).is_some(),
        !pids(&text).is_empty(),
        mounts::root(bytes).is_some(),
        !mounts::bound_in(bytes).is_empty(),
        maker(&clues).is_some(),
        mapped > 0,
        !limits(&text).is_empty(),
        !places.is_empty(),
    ];
    told.into_iter().filter(|told| *told).count()
}
