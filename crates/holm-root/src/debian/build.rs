//! A root of the store from packages.
//!
//! The order of things: packages are unpacked into a draft of the store (`unpack`), dpkg's database is written as if
//! dpkg had unpacked them (`database`), their scripts run in a sandbox (`configure`), what the build left is removed,
//! and the store takes the draft. The result depends on packages and sources alone: times are those of the packages,
//! and no newer than `SOURCE_DATE_EPOCH` or the newest file in them.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::archive::{Selection, Stand};
use super::configure::{WAITING, configure};
use super::database;
use super::package::{Fetched, Package};
use super::source::Archive;
use super::unpack::{Unpacked, unpack};
use crate::progress::{Progress, Stage, Tell};
use crate::store::draft::{Draft, check_name};
use crate::store::listing::hex;
use crate::store::{self, Metadata, Writer};
use crate::tree::{Owners, Tree};
use crate::within::Failed;

/// The version of what is made of packages: a new one makes other recipes.
const VERSION: &str = "holm debian 1\n";

/// What a root is made of.
#[derive(Clone, Debug)]
pub struct Recipe {
    packages: Vec<Package>,
    /// The text of `/etc/apt/sources.list`.
    sources: String,
    epoch: Option<i64>,
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
    /// Whoever is told how far it is wanted it to stop.
    #[error("cannot build the root: it was interrupted")]
    Interrupted,
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
    /// Of these packages, with the archives that they are from. No file of the root is newer than `epoch`, in seconds
    /// since 1970; `None` stands for the newest file of the packages.
    pub fn new(selection: &Selection, epoch: Option<i64>) -> Recipe {
        let line = |stand: &Stand| {
            let Archive { uri, suite, components, .. } = &stand.archive;
            format!("deb {uri} {suite} {}\n", components.join(" "))
        };
        let mut packages = selection.packages.clone();
        packages.sort_by(|one, other| rank(one).cmp(&rank(other)));
        Recipe { packages, sources: selection.archives.iter().map(line).collect(), epoch }
    }

    /// SHA-256 of everything that counts, in hexadecimal.
    pub fn hash(&self) -> String {
        let epoch = self.epoch.map_or(String::new(), |epoch| epoch.to_string());
        let mut all = Sha256::new();
        let mut add = |bytes: &[u8]| {
            all.update((bytes.len() as u64).to_le_bytes());
            all.update(bytes);
        };
        for text in [VERSION, Owners::here().word(), &self.sources, &epoch] {
            add(text.as_bytes());
        }
        for package in &self.packages {
            add(&package.sha256);
            add(package.priority.as_bytes());
            add(package.section.as_bytes());
        }
        hex(&all.finalize())
    }

    /// Gives `name` to the root that the same recipe has made before, if it is still there.
    ///
    /// # Errors
    /// There can be no such name, or it is another root's.
    pub fn made(&self, writer: &Writer, name: &str, source: &str) -> Result<Option<Metadata>, store::Error> {
        check_name(name)?;
        writer.made(&self.hash(), name, source)
    }

    /// Makes the root and stores it under `name`, unless [`Recipe::made`] does. `fetched` are the packages' files, and
    /// `source` says in words what was wished.
    ///
    /// # Errors
    /// A package is missing, damaged, or has a path of another one; a script failed; the name is another root's; no
    /// space is left.
    pub fn build(
        &self,
        writer: &Writer,
        fetched: &[Fetched],
        name: &str,
        source: &str,
        progress: Tell<'_>,
    ) -> Result<Metadata, Error> {
        if let Some(there) = self.made(writer, name, source)? {
            return Ok(there);
        }
        let draft = self.draft(writer, fetched, progress)?;
        tell(progress, Stage::Store, 0, 1)?;
        let metadata = writer.finish(draft, name, source.to_owned(), None)?;
        writer.note(&self.hash(), &metadata)?;
        Ok(metadata)
    }

    /// The root that the same recipe has made before, if it is still there.
    pub fn known(&self, writer: &Writer) -> Option<Metadata> {
        writer.known(&self.hash())
    }

    /// Makes the root and stores it without a name, unless it was made before: something is made of it.
    ///
    /// # Errors
    /// As of [`Recipe::build`].
    pub fn base(
        &self,
        writer: &Writer,
        fetched: &[Fetched],
        source: &str,
        progress: Tell<'_>,
    ) -> Result<Metadata, Error> {
        if let Some(there) = self.known(writer) {
            return Ok(there);
        }
        let draft = self.draft(writer, fetched, progress)?;
        let metadata = writer.keep(draft, source.to_owned(), None)?;
        writer.note(&self.hash(), &metadata)?;
        Ok(metadata)
    }

    /// A draft with all of it.
    fn draft(&self, writer: &Writer, fetched: &[Fetched], progress: Tell<'_>) -> Result<Draft, Error> {
        let mut fetched = fetched.to_vec();
        fetched.sort_by(|one, other| rank(&one.package).cmp(&rank(&other.package)));
        if !fetched.iter().map(|one| &one.package).eq(&self.packages) {
            let cause = "it isn't the one that was chosen".to_owned();
            let other = fetched.iter().find(|one| !self.packages.contains(&one.package));
            return Err(Error::Package { file: other.map(|one| one.file.clone()).unwrap_or_default(), cause });
        }
        let mut draft = writer.begin()?;
        self.fill(&mut draft, &fetched, progress)?;
        Ok(draft)
    }

    fn fill(&self, draft: &mut Draft, packages: &[Fetched], progress: Tell<'_>) -> Result<(), Error> {
        let failed = |(at, error): (usize, io::Error)| Error::Package {
            file: packages.get(at).map(|fetched| fetched.file.clone()).unwrap_or_default(),
            cause: holm::model::text::cause(&error),
        };
        let total = packages.iter().map(|fetched| fetched.package.size).sum();
        let mut bytes = 0;
        let mut flow = Ok(());
        let mut count = |size| {
            bytes += size;
            flow = tell(progress, Stage::Unpack, bytes, total);
            flow.is_ok()
        };
        let unpacked = unpack(&mut draft.tree, packages, &mut count).map_err(failed);
        flow?;
        let unpacked = unpacked?;
        let known: Vec<&Package> = packages.iter().map(|fetched| &fetched.package).collect();
        database::write(&mut draft.tree, &known, &unpacked).map_err(failed)?;
        let newest = unpacked.iter().map(|one| one.newest).max().unwrap_or(0);
        let epoch = self.epoch.unwrap_or(newest);
        let policy = prepare(&mut draft.tree, self, &unpacked).map_err(finish)?;
        let start = SystemTime::now();
        let both: Vec<(&Fetched, &Unpacked)> = packages.iter().zip(&unpacked).collect();
        let (mut configured, all) = (0, packages.len() as u64);
        let mut flow = Ok(());
        let mut count = |one| {
            configured += u64::from(one);
            flow = tell(progress, Stage::Configure, configured, all);
            flow.is_ok()
        };
        let (files, owners) = (draft.files(), draft.tree.owners());
        draft.tree.begin_sync();
        let done = configure(&files, &both, owners, epoch, &mut count);
        flow?;
        done.map_err(|error| match error {
            Failed::Start(error) => Error::Sandbox(error),
            Failed::Program(_, said) => Error::Script { said },
        })?;
        clean(&mut draft.tree, policy).map_err(finish)?;
        draft.tree.revisit(start, epoch).map_err(finish)
    }
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

fn tell(progress: Tell<'_>, stage: Stage, done: u64, total: u64) -> Result<(), Error> {
    match progress(Progress { stage, done, total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Interrupted),
    }
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
    tree.put(path, mode, bytes).map_err(|error| (path.to_vec(), error))
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
const LEFT: [&str; 16] = [
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
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/tmp.ci",
];

fn clean(tree: &mut Tree, policy: Policy) -> Result<(), Unfinished> {
    let own = (policy == Policy::OfBuild).then_some(POLICY);
    for path in LEFT.iter().chain([&&WAITING[1..]]).map(|path| path.as_bytes()).chain(own) {
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
