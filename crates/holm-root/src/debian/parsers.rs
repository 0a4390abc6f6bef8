//! What reads text of archives, as entries for tests that feed it anything.

use std::path::Path;
use std::time::SystemTime;

use super::archive::Selection;
use super::control::Control;
use super::deb::Deb;
use super::index::Universe;
use super::keyring::{Keyring, Trust};
use super::keys::Keys;
use super::package::Package;
use super::release::Release;
use super::solve::Solver;
use super::wish::ARCHITECTURE;
use super::{relation, source};
use crate::unpack::archive::Archive;

/// Reads a text in each form that archives have; how many took it.
pub fn texts(text: &str) -> usize {
    let none = Path::new("/nonexistent");
    let taken = [
        Release::parse(text).is_ok(),
        Selection::from_lock(text).is_ok(),
        source::lines(text, none).is_ok(),
        source::paragraphs(text, none).is_ok(),
        Keyring::default().open(text, SystemTime::UNIX_EPOCH).is_ok(),
        Keys::read(&Trust::Key(text.to_owned())).is_ok_and(|keys| keys.keyring().is_ok()),
        relations(text).is_some(),
    ];
    taken.into_iter().filter(|took| *took).count()
}

/// Reads bytes as keys, and as a signature of nothing.
pub fn keys(bytes: &[u8]) -> bool {
    let mut keyring = Keyring::default();
    keyring.add(bytes) > 0 && keyring.verify(b"", bytes, SystemTime::UNIX_EPOCH).is_ok()
}

/// Relations as they are read, in the form that they are shown in.
pub fn relations(text: &str) -> Option<String> {
    let groups = relation::parse(text).ok()?;
    let group = |group: &relation::Group<'_>| group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    Some(groups.iter().map(group).collect::<Vec<_>>().join(", "))
}

/// The packages of an index that come with the first one; `None` if it is none or they can't be together.
pub fn chosen(text: &str) -> Option<Vec<String>> {
    let mut universe = Universe::default();
    universe.add(text, 0, ARCHITECTURE).ok()?;
    universe.sort(&Default::default());
    let first = universe.versions(universe.entries.first()?.name);
    let mut solver = Solver::new(&universe, ARCHITECTURE);
    solver.add(first.get(..1)?).ok()?;
    solver.chosen().iter().map(|at| universe.entries[*at].package().ok().map(|package| package.name)).collect()
}

/// The names of a package file's control files, and how many members it installs; `None` if it isn't version 1 of a
/// package `a` for all architectures, or is none that can be read.
pub fn package(path: &Path) -> Option<(Vec<String>, usize)> {
    let deb = Deb::open(path).ok()?;
    let package = Package {
        name: "a".to_owned(),
        version: "1".to_owned(),
        architecture: "all".to_owned(),
        priority: String::new(),
        section: String::new(),
        essential: false,
        source: ("a".to_owned(), "1".to_owned()),
        archive: 0,
        filename: String::new(),
        size: 0,
        sha256: [0; 32],
    };
    let control = Control::read(&deb, &package).ok()?;
    let mut data = Archive::new(deb.data().ok()?);
    let mut count = 0;
    while data.next().ok()?.is_some() {
        count += 1;
    }
    Some((control.files.into_keys().collect(), count))
}
