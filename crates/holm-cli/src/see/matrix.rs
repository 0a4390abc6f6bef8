//! `holm matrix`: who shares what.

use super::Done;
use super::screen::Screen;
use super::table::table;
use super::target::label;
use clap::ArgMatches;
use holm::inspect::machine::{Machine, Place, Set, position};
use holm::model::namespace::Namespace;
use std::collections::HashMap;

const LEGEND: &str = "\
A row is a set of processes with the same eight namespaces.
-  the host's    own  of this set alone    a letter  shared, with all sets that show it    ?  not known\n";

/// One row an isolation set, one column a kind.
pub(crate) fn print(machine: &Machine, _: &ArgMatches, screen: &Screen) -> Done {
    let sets = machine.sets();
    let host = Namespace::ALL.map(|kind| machine.host(kind));
    let mut users: HashMap<Place, Vec<usize>> = HashMap::new();
    for (number, set) in sets.iter().enumerate() {
        for place in set.namespaces.iter().flatten() {
            users.entry(*place).or_default().push(number);
        }
    }
    let mut heading = vec!["SET"];
    heading.extend(Namespace::ALL.map(Namespace::name));
    heading.extend(["PROCS", "LEADER"]);
    let heading: Vec<String> = heading.iter().map(|word| word.to_uppercase()).collect();
    let heading: Vec<&str> = heading.iter().map(String::as_str).collect();
    let rows = sets.iter().enumerate().map(|(number, set)| {
        let mut row = vec![letters(number)];
        row.extend(
            Namespace::ALL
                .into_iter()
                .zip(set.namespaces)
                .map(|(kind, place)| cell(host[position(kind)], place, &users)),
        );
        row.extend([set.processes.len().to_string(), leader(screen, machine, set)]);
        row
    });
    Ok(table(screen, &heading, &rows.collect::<Vec<_>>()) + "\n" + LEGEND)
}

fn cell(host: Option<Place>, place: Option<Place>, users: &HashMap<Place, Vec<usize>>) -> String {
    match place.map(|place| (place, users[&place].as_slice())) {
        None => "?".to_owned(),
        Some((place, _)) if host == Some(place) => "-".to_owned(),
        Some((_, [_])) => "own".to_owned(),
        Some((_, sets)) => letters(sets[0]),
    }
}

fn leader(screen: &Screen, machine: &Machine, set: &Set) -> String {
    let processes = set.processes.iter().filter_map(|pid| machine.process(*pid));
    processes.min_by_key(|process| (process.start, process.pid)).map(|one| label(screen, one)).unwrap_or_default()
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
