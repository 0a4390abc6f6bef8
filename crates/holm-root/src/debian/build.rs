//! A root of the store from packages.
//!
//! The order of things: packages are unpacked into a draft of the store (`unpack`), dpkg's database is written as if
//! dpkg had unpacked them (`database`), their scripts run in a sandbox (`configure`), what the build left is removed,
//! and the store takes the draft. The result depends on packages and sources alone: times are those of the packages,
//! and no newer than `SOURCE_DATE_EPOCH` or the newest file in them.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use rustix::fs::Timespec;
use sha2::{Digest, Sha256};

use super::configure::{self, WAITING, configure};
use super::database;
use super::package::{Fetched, Package};
use super::unpack::{Unpacked, unpack};
use crate::store::draft::{Draft, check_name};
use crate::store::listing::{Facts, hex};
use crate::store::{self, Metadata, Writer};
use crate::tree::Tree;

/// The version of what is made of packages: a new one makes other recipes.
const VERSION: &str = "holm debian 1\n";

/// What a root is made of.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The packages, each once.
    pub packages: Vec<Fetched>,
    /// The text of `/etc/apt/sources.list`.
    pub sources: String,
    /// No file is newer than this, in seconds since 1970; `None` for the newest file of the packages.
    pub epoch: Option<i64>,
}

/// What a build has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// So many bytes of so many, of packages, are unpacked.
    Unpacked(u64, u64),
    /// So many packages of so many are configured.
    Configured(u64, u64),
    /// All is there, and is being stored.
    Storing,
}

/// Why no root was made; the store is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store can't.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A package can't be unpacked.
    #[error("cannot unpack {}: {cause}", file.display())]
    Package {
        /// Its file.
        file: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A script of a package failed.
    #[error("cannot configure the packages: a script failed\n{said}")]
    Script {
        /// The last lines of what was said.
        said: String,
    },
    /// Their sandbox did not start.
    #[error("cannot run the packages' scripts: {0}")]
    Sandbox(holm::Error),
    /// Something in the root can't be changed.
    #[error("cannot finish the root at {}: {cause}", path.display())]
    Finish {
        /// The path inside.
        path: PathBuf,
        /// The reason.
        cause: String,
    },
}

impl Recipe {
    /// SHA-256 of everything that counts, in hexadecimal.
    fn hash(&self, owners: &str) -> String {
        let mut all = Sha256::new();
        let mut hashes: Vec<&[u8; 32]> = self.packages.iter().map(|fetched| &fetched.package.sha256).collect();
        hashes.sort_unstable();
        let epoch = self.epoch.map_or(String::new(), |epoch| epoch.to_string());
        for text in [VERSION, owners, &self.sources, &epoch] {
            all.update((text.len() as u64).to_le_bytes());
            all.update(text);
        }
        for fetched in &self.packages {
            for text in [&fetched.package.priority, &fetched.package.section] {
                all.update((text.len() as u64).to_le_bytes());
                all.update(text);
            }
        }
        hashes.into_iter().for_each(|hash| all.update(hash));
        hex(&all.finalize())
    }
}

/// Makes a root and stores it under `name`; the one that the same recipe has made before is taken if it is there.
///
/// # Errors
/// A package is damaged or has a path of another one; a script failed; the name is another root's; no space is left.
pub fn build(
    writer: &Writer,
    mut recipe: Recipe,
    name: &str,
    source: &str,
    progress: &mut dyn FnMut(Event),
) -> Result<Metadata, Error> {
    check_name(name)?;
    recipe.packages.sort_by(|one, other| rank(&one.package).cmp(&rank(&other.package)));
    let key = recipe.hash(crate::tree::Owners::here().word());
    if let Some(there) = writer.made(&key, name, source)? {
        return Ok(there);
    }
    let mut draft = writer.begin()?;
    fill(&mut draft, &recipe, progress)?;
    progress(Event::Storing);
    let metadata = writer.finish(draft, name, source.to_owned(), None)?;
    writer.note(&key, &metadata)?;
    Ok(metadata)
}

/// The order of packages: users must be there before scripts name them.
fn rank(package: &Package) -> (u8, &str) {
    let first = match package.name.as_str() {
        "base-passwd" => 0,
        "base-files" => 1,
        _ => 2,
    };
    (first, &package.name)
}

fn fill(draft: &mut Draft, recipe: &Recipe, progress: &mut dyn FnMut(Event)) -> Result<(), Error> {
    let packages = &recipe.packages;
    let failed = |(at, error): (usize, io::Error)| Error::Package {
        file: packages.get(at).map(|fetched| fetched.file.clone()).unwrap_or_default(),
        cause: holm::model::text::cause(&error),
    };
    let total = packages.iter().map(|fetched| fetched.package.size).sum();
    let mut bytes = 0;
    let mut count = |size| {
        bytes += size;
        progress(Event::Unpacked(bytes, total));
    };
    let unpacked = unpack(&mut draft.tree, packages, &mut count).map_err(failed)?;
    let known: Vec<&Package> = packages.iter().map(|fetched| &fetched.package).collect();
    database::write(&mut draft.tree, &known, &unpacked).map_err(failed)?;
    let newest = unpacked.iter().map(|one| one.newest).max().unwrap_or(0);
    let epoch = recipe.epoch.unwrap_or(newest);
    let policy = prepare(&mut draft.tree, recipe, &unpacked).map_err(finish)?;
    let start = SystemTime::now();
    let both: Vec<(&Fetched, &Unpacked)> = packages.iter().zip(&unpacked).collect();
    let (mut configured, all) = (0, packages.len() as u64);
    let mut count = || {
        configured += 1;
        progress(Event::Configured(configured, all));
    };
    configure(&draft.files(), &both, draft.tree.owners(), epoch, &mut count).map_err(|error| match error {
        configure::Failed::Start(error) => Error::Sandbox(error),
        configure::Failed::Script(said) => Error::Script { said },
    })?;
    clean(&mut draft.tree, policy).map_err(finish)?;
    draft.tree.revisit(start, epoch).map_err(finish)
}

type Unfinished = (Vec<u8>, io::Error);

fn finish((path, error): Unfinished) -> Error {
    use std::os::unix::ffi::OsStringExt;
    let path = PathBuf::from(std::ffi::OsString::from_vec([b"/".as_slice(), &path].concat()));
    Error::Finish { path, cause: holm::model::text::cause(&error) }
}

/// Whether the root has a policy-rc.d of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Own,
    OfBuild,
}

const POLICY: &[u8] = b"usr/sbin/policy-rc.d";

fn put(tree: &mut Tree, path: &[u8], mode: u32, bytes: &[u8]) -> Result<(), Unfinished> {
    let facts = Facts { mode, ..Facts::default() };
    let made = tree.file(path, facts, Timespec { tv_sec: 0, tv_nsec: 0 }, |sink| sink.write_all(bytes));
    made.map_err(|error| (path.to_vec(), error))
}

/// What scripts find beside the packages.
fn prepare(tree: &mut Tree, recipe: &Recipe, all: &[Unpacked]) -> Result<Policy, Unfinished> {
    for path in [b"dev".as_slice(), b"proc", b"tmp"] {
        tree.reach(path).map_err(|error| (path.to_vec(), error.into()))?;
    }
    for unpacked in all.iter().filter(|one| one.done && one.control.files.contains_key("preinst")) {
        let control = &unpacked.control;
        let files = control.files.iter().map(|(name, (mode, bytes))| (name.as_str(), *mode, bytes.as_slice()));
        for (name, mode, bytes) in files.chain([("control", 0o644, control.text.as_bytes())]) {
            let path = format!("{}/{}/{name}", &WAITING[1..], control.key());
            put(tree, path.as_bytes(), mode, bytes)?;
        }
    }
    put(tree, b"etc/apt/sources.list", 0o644, recipe.sources.as_bytes())?;
    if all.iter().any(|one| one.list.iter().any(|path| path.strip_prefix(b"/") == Some(POLICY))) {
        return Ok(Policy::Own);
    }
    put(tree, POLICY, 0o755, b"#!/bin/sh\nexit 101\n")?;
    Ok(Policy::OfBuild)
}

/// Logs, caches and what else only says that and when a build took place.
const LEFT: [&str; 17] = [
    "var/log/dpkg.log",
    "var/log/alternatives.log",
    "var/log/bootstrap.log",
    "var/log/apt/history.log",
    "var/log/apt/term.log",
    "var/log/apt/eipp.log.xz",
    "var/cache/ldconfig/aux-cache",
    "var/cache/apt/pkgcache.bin",
    "var/cache/apt/srcpkgcache.bin",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/lib/apt/lists/auxfiles",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/holm.ci",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/tmp.ci",
];

fn clean(tree: &mut Tree, policy: Policy) -> Result<(), Unfinished> {
    let own = (policy == Policy::OfBuild).then_some(POLICY);
    for path in LEFT.iter().map(|path| path.as_bytes()).chain(own) {
        tree.remove(path).map_err(|error| (path.to_vec(), error.into()))?;
    }
    for name in tree.listed(b"run").map_err(|error| (b"run".to_vec(), error.into()))? {
        if name != b"lock" {
            let path = [b"run/".as_slice(), &name].concat();
            tree.remove(&path).map_err(|error| (path.clone(), error.into()))?;
        }
    }
    // Empty, it is made anew by whatever boots or runs there (machine-id(5)).
    if tree.listed(b"etc").is_ok_and(|names| names.iter().any(|name| name == b"machine-id")) {
        put(tree, b"etc/machine-id", 0o644, b"")?;
    }
    Ok(())
}
