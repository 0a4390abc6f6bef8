//! A selection as a file, which pins a later one to exactly these packages.
//!
//! The form is TOML: `version`, then `[[archive]]` and `[[package]]`, whose fields are those of [`Stand`] and
//! [`Package`]. Who has such a file needs no signature of an archive: it names each package's hash.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::archive::{Selection, Stand};
use super::error::Error;
use super::index::is_path;
use super::keyring::Trust;
use super::package::Package;
use super::relation::{is_name, is_word};
use super::source::Archive;
use super::version::is_version;
use super::wish::is_address;
use crate::store::listing::{hex, parse_hash};

/// Of the form.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    version: u32,
    archive: Vec<LockedArchive>,
    package: Vec<LockedPackage>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LockedArchive {
    uri: String,
    suite: String,
    components: Vec<String>,
    origin: String,
    date: String,
    release_sha256: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keyrings: Vec<PathBuf>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fingerprints: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LockedPackage {
    name: String,
    version: String,
    architecture: String,
    /// Counted from zero.
    archive: usize,
    filename: String,
    size: u64,
    sha256: String,
    priority: String,
    section: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    essential: bool,
    source: String,
    source_version: String,
}

impl Selection {
    /// The text of a lock file; the same selection has the same text.
    ///
    /// # Errors
    /// A size is larger than TOML's numbers.
    pub fn to_lock(&self) -> Result<String, Error> {
        let archive = self.archives.iter().map(lock_archive).collect();
        let package = self.packages.iter().map(lock_package).collect();
        let lock = Lock { version: VERSION, archive, package };
        toml::to_string(&lock).map_err(|error| Error::malformed("the selection", error))
    }

    /// Reads a lock file's text.
    ///
    /// # Errors
    /// It is no lock file, one of another version, or has fields that can't be.
    pub fn from_lock(text: &str) -> Result<Selection, Error> {
        let bad = |cause: String| Error::malformed("the lock file", cause);
        let lock: Lock = toml::from_str(text).map_err(|error| bad(one_line(&error)))?;
        if lock.version != VERSION {
            return Err(bad(format!("its version is {}, not {VERSION}", lock.version)));
        }
        let archives: Vec<Stand> = lock
            .archive
            .into_iter()
            .map(|archive| {
                let name = format!("{} {}", archive.uri, archive.suite);
                read_archive(archive).ok_or_else(|| bad(format!("archive {name} has a field that can't be")))
            })
            .collect::<Result<_, _>>()?;
        let count = archives.len();
        let mut packages: Vec<Package> = lock
            .package
            .into_iter()
            .map(|package| {
                let name = package.name.clone();
                let read = read_package(package).filter(|package| package.archive < count);
                read.ok_or_else(|| bad(format!("package {name} has a field that can't be")))
            })
            .collect::<Result<_, _>>()?;
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some([twice, _]) = packages.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(bad(format!("it has package {} twice", twice.name)));
        }
        Ok(Selection { archives, packages })
    }
}

/// What is wrong, with the line where.
fn one_line(error: &toml::de::Error) -> String {
    error.to_string().lines().filter(|line| !line.contains('|')).collect::<Vec<_>>().join(": ")
}

fn lock_archive(stand: &Stand) -> LockedArchive {
    let (keyrings, fingerprints, key) = match stand.archive.trust.clone() {
        Trust::Files(files) => (files, Vec::new(), None),
        Trust::Only(files, fingerprints) => (files, fingerprints, None),
        Trust::Key(key) => (Vec::new(), Vec::new(), Some(key)),
    };
    LockedArchive {
        uri: stand.archive.uri.clone(),
        suite: stand.archive.suite.clone(),
        components: stand.archive.components.clone(),
        origin: stand.origin.clone(),
        date: humantime::format_rfc3339_seconds(stand.date).to_string(),
        release_sha256: hex(&stand.sha256),
        keyrings,
        fingerprints,
        key,
    }
}

fn read_archive(locked: LockedArchive) -> Option<Stand> {
    let trust = match (locked.key, locked.fingerprints) {
        (Some(key), _) => Trust::Key(key),
        (None, fingerprints) if fingerprints.is_empty() => Trust::Files(locked.keyrings),
        (None, fingerprints) => Trust::Only(locked.keyrings, fingerprints),
    };
    let words = locked.components.iter().chain([&locked.suite]).all(|word| word.split('/').all(is_name));
    let archive = Archive {
        uri: Some(locked.uri).filter(|uri| words && is_address(uri))?,
        suite: locked.suite,
        components: locked.components,
        trust,
        ends: true,
    };
    let date = humantime::parse_rfc3339(&locked.date).ok()?;
    Some(Stand { archive, origin: locked.origin, date, sha256: parse_hash(&locked.release_sha256)? })
}

fn lock_package(package: &Package) -> LockedPackage {
    let package = package.clone();
    LockedPackage {
        name: package.name,
        version: package.version,
        architecture: package.architecture,
        archive: package.archive,
        filename: package.filename,
        size: package.size,
        sha256: hex(&package.sha256),
        priority: package.priority,
        section: package.section,
        essential: package.essential,
        source: package.source.0,
        source_version: package.source.1,
    }
}

fn read_package(locked: LockedPackage) -> Option<Package> {
    let good = is_name(&locked.name)
        && is_version(&locked.version)
        && is_word(&locked.architecture)
        && is_path(&locked.filename)
        && is_name(&locked.source)
        && is_version(&locked.source_version);
    good.then_some(Package {
        sha256: parse_hash(&locked.sha256)?,
        name: locked.name,
        version: locked.version,
        architecture: locked.architecture,
        priority: locked.priority,
        section: locked.section,
        essential: locked.essential,
        source: (locked.source, locked.source_version),
        archive: locked.archive,
        filename: locked.filename,
        size: locked.size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debian::sbom::tests::selection;

    #[test]
    fn what_is_written_is_read_again() {
        let mut selection = selection();
        let text = selection.to_lock().expect("it is small");
        assert_eq!(Selection::from_lock(&text).expect("it is one"), selection);
        for trust in [Trust::Key("-----BEGIN\n\nx\n".to_owned()), Trust::Only(vec!["/k".into()], vec!["AB".to_owned()])]
        {
            selection.archives[0].archive.trust = trust;
            let text = selection.to_lock().expect("it is small");
            assert_eq!(Selection::from_lock(&text).expect("it is one"), selection);
        }
    }

    #[test]
    fn what_is_no_lock_file_is_refused() {
        let text = selection().to_lock().expect("it is small");
        let changes = [
            ("version = 1", "version = 2", "its version is 2"),
            ("version = 1", "", "missing field `version`"),
            ("filename = \"pool", "filename = \"../pool", "package bash has a field"),
            ("name = \"bash\"", "name = \"/bash\"", "package /bash has a field"),
            ("archive = 0", "archive = 1", "package bash has a field"),
            ("http://", "file://", "archive file://a.example/debian bookworm has a field"),
            ("sha256 = \"07", "sha256 = \"7", "has a field"),
            ("size = 5", "size = -5", "invalid value"),
            ("essential", "esential", "unknown field"),
            ("[[package]]", "[[package", "TOML parse error"),
        ];
        for (from, to, cause) in changes {
            let error = Selection::from_lock(&text.replacen(from, to, 1)).expect_err(cause).to_string();
            assert!(error.contains(cause) && !error.contains('\n'), "{error}");
        }
        let (_, package) = text.split_once("[[package]]").expect("it has one");
        let error = Selection::from_lock(&format!("{text}[[package]]{package}")).expect_err("it is there twice");
        assert!(error.to_string().contains("bash twice"), "{error}");
    }
}
