//! The packages that archives have: their indexes, read once, without copies.
//!
//! Source: deb822(5), deb-control(5); Debian policy, chapter 5.

use std::collections::HashMap;

use super::package::Package;
use super::relation::{self, Bound, Relation};
use super::version;
use crate::deb822::{self, Paragraph};
use crate::store::listing::parse_hash;

/// One package of an index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'t> {
    pub(super) name: &'t str,
    pub(super) version: &'t str,
    pub(super) architecture: &'t str,
    pub(super) archive: usize,
    pub(super) priority: &'t str,
    pub(super) essential: bool,
    section: &'t str,
    source: Option<&'t str>,
    filename: &'t str,
    size: &'t str,
    sha256: &'t str,
    pub(super) pre_depends: &'t str,
    pub(super) depends: &'t str,
    pub(super) conflicts: &'t str,
    pub(super) breaks: &'t str,
    pub(super) provides: &'t str,
    /// Any architecture may use it: `Multi-Arch: allowed`.
    pub(super) for_any: bool,
}

impl<'t> Entry<'t> {
    fn read(paragraph: &Paragraph<'t>, archive: usize) -> Option<Entry<'t>> {
        let value = |name| paragraph.value(name).unwrap_or("");
        Some(Entry {
            name: paragraph.value("Package")?,
            version: paragraph.value("Version")?,
            architecture: paragraph.value("Architecture")?,
            archive,
            priority: value("Priority"),
            essential: value("Essential") == "yes",
            section: value("Section"),
            source: paragraph.value("Source"),
            filename: value("Filename"),
            size: value("Size"),
            sha256: value("SHA256"),
            pre_depends: value("Pre-Depends"),
            depends: value("Depends"),
            conflicts: value("Conflicts"),
            breaks: value("Breaks"),
            provides: value("Provides"),
            for_any: value("Multi-Arch") == "allowed",
        })
    }

    /// The package to download; an error says what its index entry lacks.
    pub(super) fn package(&self) -> Result<Package, String> {
        let bad = |field: &str| format!("{} {} has no usable {field}", self.name, self.version);
        let (source, source_version) = match self.source.map(|source| source.split_once('(')) {
            None => (self.name, self.version),
            Some(None) => (self.source.unwrap_or(self.name), self.version),
            Some(Some((name, version))) => (name.trim_end(), version.trim_end_matches(')').trim()),
        };
        let checks = [
            (relation::is_name(self.name), "Package"),
            (version::is_version(self.version), "Version"),
            (relation::is_word(self.architecture), "Architecture"),
            (is_path(self.filename), "Filename"),
            (relation::is_name(source) && version::is_version(source_version), "Source"),
        ];
        if let Some((_, field)) = checks.iter().find(|(good, _)| !good) {
            return Err(bad(field));
        }
        Ok(Package {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            architecture: self.architecture.to_owned(),
            priority: self.priority.to_owned(),
            section: self.section.to_owned(),
            essential: self.essential,
            source: (source.to_owned(), source_version.to_owned()),
            archive: self.archive,
            filename: self.filename.to_owned(),
            size: self.size.parse().map_err(|_| bad("Size"))?,
            sha256: parse_hash(self.sha256).ok_or_else(|| bad("SHA256"))?,
        })
    }
}

/// Whether a text is a path below an address, of characters that mean nothing else there.
pub(super) fn is_path(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._~:/=@,%".contains(&byte);
    !text.is_empty()
        && text.bytes().all(plain)
        && text.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

/// All packages for one architecture, of which for each name the latest version is the one to choose.
#[derive(Debug, Default)]
pub(super) struct Universe<'t> {
    pub(super) entries: Vec<Entry<'t>>,
    /// By name, the latest first.
    by_name: HashMap<&'t str, Vec<usize>>,
    /// What is provided by another name, with which version.
    provided: HashMap<&'t str, Vec<(usize, Option<&'t str>)>>,
}

impl<'t> Universe<'t> {
    /// Adds an index; what is for other architectures is left out.
    pub(super) fn add(&mut self, text: &'t str, archive: usize, architecture: &str) -> Result<(), String> {
        for paragraph in deb822::paragraphs(text) {
            let paragraph = paragraph.map_err(|error| error.to_string())?;
            let entry = Entry::read(&paragraph, archive).ok_or("a package lacks its name, version or architecture")?;
            if entry.architecture == architecture || entry.architecture == "all" {
                self.entries.push(entry);
            }
        }
        Ok(())
    }

    /// Puts what was added in order. `pins` are versions that are asked for by name.
    pub(super) fn sort(&mut self, pins: &HashMap<&str, &str>) {
        self.by_name.clear();
        for (at, entry) in self.entries.iter().enumerate() {
            self.by_name.entry(entry.name).or_default().push(at);
        }
        for (name, all) in &mut self.by_name {
            let pinned = |at: usize| pins.get(name).is_some_and(|version| *version == self.entries[at].version);
            // Of equal ones the archive that is named first comes first: the sort is stable.
            all.sort_by(|a, b| {
                let later = version::compare(self.entries[*b].version, self.entries[*a].version);
                pinned(*b).cmp(&pinned(*a)).then(later)
            });
        }
        self.provided.clear();
        let mut candidates: Vec<usize> = self.by_name.values().map(|all| all[0]).collect();
        candidates.sort_unstable();
        for at in candidates {
            for (name, version) in self.entries[at].provides() {
                self.provided.entry(name).or_default().push((at, version));
            }
        }
    }

    /// All versions of a package, the one to choose first.
    pub(super) fn versions(&self, name: &str) -> &[usize] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// What provides this name, without the package of that name.
    pub(super) fn providers(&self, name: &str) -> &[(usize, Option<&'t str>)] {
        self.provided.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names that are most like this one.
    pub(super) fn near(&self, name: &str) -> Vec<String> {
        near(name, self.by_name.keys().copied())
    }
}

/// The three names that are most like this one.
pub(super) fn near<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let most = (name.chars().count() / 3).max(1);
    let mut close: Vec<(usize, &str)> = names
        .filter(|other| other.len().abs_diff(name.len()) <= most)
        .map(|other| (strsim::damerau_levenshtein(name, other), other))
        .filter(|(changes, _)| *changes <= most)
        .collect();
    close.sort_unstable();
    close.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

impl<'t> Entry<'t> {
    /// The names that it provides besides its own. What is malformed provides nothing.
    pub(super) fn provides(&self) -> impl Iterator<Item = (&'t str, Option<&'t str>)> + use<'t> {
        let groups = relation::parse(self.provides).unwrap_or_default();
        groups
            .into_iter()
            .flatten()
            .map(|one: Relation<'t>| (one.name, one.bound.map(|bound: Bound<'t>| bound.version)))
    }
}
