//! `holm matrix`: who shares what.

use super::Done;
use super::screen::Screen;
use super::table::table;
use super::target::label;
use clap::ArgMatches;
use holm::inspect::machine::{Machine, Place, Process, Set, position};
use holm::model::namespace::Namespace;
use std::collections::HashMap;
use std::fmt;

const LEGEND: &str = "\
A row is a set of processes with the same eight namespaces.
-  the host's    own  of this set alone    a letter  shared, with all sets that show it    ?  not known\n";

/// One row an isolation set, one column a kind.
pub(crate) fn print(machine: &Machine, _: &ArgMatches, screen: &Screen) -> Done {
    let sharing = Sharing::of(machine);
    let mut heading = vec!["SET"];
    heading.extend(Namespace::ALL.map(Namespace::name));
    heading.extend(["PROCS", "LEADER"]);
    let heading: Vec<String> = heading.iter().map(|word| word.to_uppercase()).collect();
    let heading: Vec<&str> = heading.iter().map(String::as_str).collect();
    let rows = sharing.sets.iter().enumerate().map(|(number, set)| {
        let mut row = vec![letters(number)];
        row.extend(Namespace::ALL.into_iter().map(|kind| sharing.with(number, kind).to_string()));
        let leader = leader(machine, set).map(|leader| label(screen, leader)).unwrap_or_default();
        row.extend([set.processes.len().to_string(), leader]);
        row
    });
    Ok(table(screen, &heading, &rows.collect::<Vec<_>>()) + "\n" + LEGEND)
}

/// All isolation sets, and which share what.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    pub(crate) sets: Vec<Set>,
    pub(crate) host: [Option<Place>; 8],
    users: HashMap<Place, Vec<usize>>,
}

/// Whose a namespace of a set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum With<'a> {
    /// It couldn't be read.
    Unknown,
    Host,
    /// This set's alone.
    Own,
    /// Shared by these sets, this one among them.
    Sets(&'a [usize]),
}

impl Sharing {
    pub(crate) fn of(machine: &Machine) -> Sharing {
        let sets = machine.sets();
        let mut users: HashMap<Place, Vec<usize>> = HashMap::new();
        for (number, set) in sets.iter().enumerate() {
            for place in set.namespaces.iter().flatten() {
                users.entry(*place).or_default().push(number);
            }
        }
        Sharing { sets, host: machine.hosts(), users }
    }

    /// The sets that are in a namespace.
    pub(crate) fn users(&self, place: Place) -> &[usize] {
        self.users.get(&place).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whose namespace of a kind the set with this number is in.
    pub(crate) fn with(&self, number: usize, kind: Namespace) -> With<'_> {
        let place = self.sets[number].namespaces[position(kind)];
        match place.map(|place| (place, self.users(place))) {
            None => With::Unknown,
            Some((place, _)) if self.host[position(kind)] == Some(place) => With::Host,
            Some((_, [_])) => With::Own,
            Some((_, sets)) => With::Sets(sets),
        }
    }
}

impl fmt::Display for With<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            With::Unknown => f.write_str("?"),
            With::Host => f.write_str("-"),
            With::Own => f.write_str("own"),
            With::Sets(sets) => f.write_str(&letters(sets[0])),
        }
    }
}

/// The process that has been in a set for longest.
pub(crate) fn leader<'a>(machine: &'a Machine, set: &Set) -> Option<&'a Process> {
    let processes = set.processes.iter().filter_map(|pid| machine.process(*pid));
    processes.min_by_key(|process| (process.start, process.pid))
}

/// A, B, … Z, AA, AB, …
pub(crate) fn letters(number: usize) -> String {
    let last = char::from(b'A' + (number % 26) as u8);
    if number < 26 { last.to_string() } else { letters(number / 26 - 1) + &last.to_string() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn letters_go_on_after_z() {
        assert_eq!([0, 25, 26, 27, 701, 702].map(super::letters), ["A", "Z", "AA", "AB", "ZZ", "AAA"]);
    }
}
