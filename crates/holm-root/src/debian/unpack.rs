//! Packages become files of a tree: several at once, each straight to where it belongs.
//!
//! What dpkg(1) does with a fresh root holds here, too: a directory that is there stays as the first package had it, one
//! that is reached through a link (`/lib` to `usr/lib`) stays a link, and the files of two packages never share a path,
//! unless one says that it replaces the other ([`claims`](super::claims)): its file is made when all others are. Which
//! package is the first doesn't depend on threads: it is the first in the list.
//!
//! Packages that tell in their preinst where files go (dpkg-divert(1)) come after all others. If one of them has a path
//! of another package it is left for dpkg, which puts the file where the preinst has said.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use md5::{Digest, Md5};
use rustix::fs::Timespec;

use super::claims::{Claim, Claims};
use super::control::Control;
use super::deb::Deb;
use super::package::Fetched;
use crate::store::listing::{Device, Facts, hex};
use crate::tree::{Sink, Tree};
use crate::unpack::archive::{Archive, Kind, Member};
use crate::unpack::inside;

/// Directories of the root that are links into `/usr`.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// A package that was read.
pub(super) struct Unpacked {
    pub(super) control: Control,
    /// Its paths in the order they have in the package, as dpkg lists them.
    pub(super) list: Vec<Vec<u8>>,
    /// MD5 of its configuration files, and of all files if it doesn't tell itself, in that order; by path.
    pub(super) hashes: Vec<(Vec<u8>, String)>,
    /// Whether its files are there: else they are left for dpkg.
    pub(super) done: bool,
    /// When its newest file was changed: seconds since 1970.
    pub(super) newest: i64,
    directories: Vec<(Vec<u8>, Facts, Timespec)>,
    /// Paths that are made when all others are.
    later: HashSet<Vec<u8>>,
    /// Files of which it has other names.
    linked: HashSet<Vec<u8>>,
}

impl Unpacked {
    /// A hard link has the hash of its file.
    fn hash_as_target(&mut self, member: &Member, path: Vec<u8>) -> io::Result<()> {
        if let Kind::Hard(of) = &member.kind {
            let of = inside(of)?;
            let found = self.hashes.iter().find(|(hashed, _)| *hashed == of).map(|(_, hash)| hash.clone());
            self.hashes.extend(found.map(|hash| (path, hash)));
        }
        Ok(())
    }
}

/// A package that failed, by its place in the list, and why.
pub(super) type Failed = (usize, io::Error);

/// When a package is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    First,
    /// After all others: its preinst moves files.
    Second,
}

/// Unpacks all packages; `done` is told the size of each that is ready, and says whether to go on.
pub(super) fn unpack(
    tree: &mut Tree,
    packages: &[Fetched],
    done: &mut dyn FnMut(u64) -> bool,
) -> Result<Vec<Unpacked>, Failed> {
    merge(tree).map_err(|error| (0, error))?;
    // The largest first: else the last to be unpacked may be the one that takes longest.
    let mut order: Vec<usize> = (0..packages.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(packages[*at].package.size));
    let claims = Claims::new(packages);
    let mut all: Vec<Option<Unpacked>> = packages.iter().map(|_| None).collect();
    for turn in [Turn::First, Turn::Second] {
        let mut later = Vec::new();
        let work = |hand: &mut Tree, at| one(hand, packages, at, &claims, turn);
        // Who has a path first counts among the last ones: so it is not left to chance which that is.
        let together = if turn == Turn::First { order.len().max(1) } else { 1 };
        for some in order.chunks(together) {
            round(tree, some, &work, &mut |at, made| match made {
                Some(unpacked) => {
                    all[at] = Some(unpacked);
                    done(packages[at].package.size)
                }
                None => {
                    later.push(at);
                    true
                }
            })?;
        }
        later.sort_unstable();
        order = later;
    }
    let mut all: Vec<Unpacked> = all.into_iter().flatten().collect();
    for (at, unpacked) in all.iter_mut().enumerate() {
        replace(tree, packages, at, &claims, unpacked).map_err(|error| (at, error))?;
    }
    for (at, lost) in claims.lost() {
        if let Some(unpacked) = all.get_mut(at) {
            if unpacked.linked.contains(&lost) {
                let cause = "it has other names of it, and another package replaces it";
                return Err((at, at_path(&lost, io::Error::other(cause))));
            }
            let is_lost = |path: &[u8]| merged(path, false) == lost;
            unpacked.list.retain(|shown| !is_lost(&shown[1..]));
            unpacked.hashes.retain(|(path, _)| !is_lost(path));
        }
    }
    settle(tree, &mut all)?;
    Ok(all)
}

/// Does the same work for all places of a list, as many at once as there are processors; `seen` is told what
/// is made, and says whether to go on.
fn round<T: Send>(
    tree: &mut Tree,
    order: &[usize],
    work: &(impl Fn(&mut Tree, usize) -> io::Result<T> + Sync),
    seen: &mut dyn FnMut(usize, T) -> bool,
) -> Result<(), Failed> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(order.len());
    let hands = (0..workers).map(|_| tree.hand()).collect::<Result<Vec<Tree>, _>>();
    let hands = hands.map_err(|error| (0, error.into()))?;
    let all = |mut hand: Tree, sender: mpsc::Sender<(usize, io::Result<T>)>| {
        while let Some(at) = order.get(next.fetch_add(1, Ordering::Relaxed))
            && !stop.load(Ordering::Relaxed)
            && sender.send((*at, work(&mut hand, *at))).is_ok()
        {}
        hand
    };
    let mut failed: Option<Failed> = None;
    let hands = std::thread::scope(|scope| {
        let (sender, ready) = mpsc::channel();
        let start = |hand| {
            let (sender, all) = (sender.clone(), &all);
            scope.spawn(move || all(hand, sender))
        };
        let threads: Vec<_> = hands.into_iter().map(start).collect();
        drop(sender);
        for (at, made) in ready {
            match made {
                Ok(made) => {
                    if !seen(at, made) {
                        stop.store(true, Ordering::Relaxed);
                        failed.get_or_insert((at, io::ErrorKind::Interrupted.into()));
                    }
                }
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    failed.get_or_insert((at, error));
                }
            }
        }
        let joined = threads.into_iter().map(|thread| thread.join().map_err(|_| (0, io::Error::other("it panicked"))));
        joined.collect::<Result<Vec<Tree>, Failed>>()
    })?;
    hands.into_iter().for_each(|hand| tree.join(hand));
    failed.map_or(Ok(()), Err)
}

/// Makes the links of a merged `/usr`: every package since Debian 12 needs them.
fn merge(tree: &mut Tree) -> io::Result<()> {
    for name in MERGED {
        tree.reach(format!("usr/{name}").as_bytes())?;
        let facts = Facts { mode: 0o777, ..Facts::default() };
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        tree.link(name.as_bytes(), format!("usr/{name}").as_bytes(), facts, never)?;
    }
    Ok(())
}

/// Gives directories what the first package that has them says.
fn settle(tree: &mut Tree, all: &mut [Unpacked]) -> Result<(), Failed> {
    let mut seen = HashSet::new();
    for (at, unpacked) in all.iter_mut().enumerate() {
        for (path, facts, modified) in std::mem::take(&mut unpacked.directories) {
            if seen.insert(path.clone()) {
                tree.reached(&path, facts, modified).map_err(|error| (at, at_path(&path, error.into())))?;
            }
        }
    }
    Ok(())
}

fn at_path(path: &[u8], error: io::Error) -> io::Error {
    io::Error::other(format!("/{}: {}", OsStr::from_bytes(path).display(), holm::model::text::cause(&error)))
}

/// Unpacks one package; `None` if it has its turn later.
fn one(
    tree: &mut Tree,
    packages: &[Fetched],
    at: usize,
    claims: &Claims<'_>,
    turn: Turn,
) -> io::Result<Option<Unpacked>> {
    let Fetched { package, file } = &packages[at];
    let deb = Deb::open(file)?;
    let control = Control::read(&deb, package)?;
    if control.moves_files() && turn == Turn::First {
        return Ok(None);
    }
    claims.begin(at, &control)?;
    let mut unpacked = Unpacked {
        control,
        list: Vec::new(),
        hashes: Vec::new(),
        done: true,
        newest: 0,
        directories: Vec::new(),
        later: HashSet::new(),
        linked: HashSet::new(),
    };
    let hashed = Hashed::of(&unpacked.control)?;
    let place = Place { at, claims, turn };
    let mut archive = Archive::new(deb.data()?);
    while let Some(member) = archive.next()? {
        let path = inside(&member.path)?;
        let shown = if path.is_empty() { b"/.".to_vec() } else { [b"/", path.as_slice()].concat() };
        unpacked.list.push(shown);
        unpacked.newest = unpacked.newest.max(member.modified);
        if member.is_sparse() {
            return Err(at_path(&path, io::Error::other("it is a sparse file, which no package can have (deb(5))")));
        }
        let made = place.claim(tree, &member, &path, &mut unpacked).and_then(|claim| match claim {
            Some(file) => make(tree, &member, &file, &mut archive, hashed.has(&path)).map_err(Unmade::Failed),
            None => Ok(None),
        });
        match made {
            Ok(Some(hash)) => unpacked.hashes.push((path, hash)),
            Ok(None) => unpacked.hash_as_target(&member, path)?,
            Err(Unmade::Taken(_)) if turn == Turn::Second => {
                unpacked.done = false;
                unpacked.directories.clear();
                break;
            }
            Err(Unmade::Taken(other)) => {
                let other = &packages[other].package.name;
                return Err(at_path(&path, io::Error::other(format!("the package {other} has it, too"))));
            }
            Err(Unmade::Failed(error)) => return Err(at_path(&path, error)),
        }
    }
    Ok(Some(unpacked))
}

/// Makes what a package has in the place of others' files, when these are there.
fn replace(
    tree: &mut Tree,
    packages: &[Fetched],
    at: usize,
    claims: &Claims<'_>,
    unpacked: &mut Unpacked,
) -> io::Result<()> {
    let later = std::mem::take(&mut unpacked.later);
    if later.is_empty() || !unpacked.done {
        return Ok(());
    }
    let hashed = Hashed::of(&unpacked.control)?;
    let deb = Deb::open(&packages[at].file)?;
    let mut archive = Archive::new(deb.data()?);
    while let Some(member) = archive.next()? {
        let path = inside(&member.path)?;
        let file = merged(&path, false);
        // A third package may have it by now.
        if !later.contains(&file) || !claims.is_of(at, &file) {
            continue;
        }
        let hash =
            make(tree, &member, &file, &mut archive, hashed.has(&path)).map_err(|error| at_path(&path, error))?;
        match hash {
            Some(hash) => unpacked.hashes.push((path, hash)),
            None => unpacked.hash_as_target(&member, path)?,
        }
    }
    Ok(())
}

/// The files of a package whose MD5 is needed.
enum Hashed {
    All,
    Only(Vec<Vec<u8>>),
}

impl Hashed {
    fn of(control: &Control) -> io::Result<Hashed> {
        if !control.files.contains_key("md5sums") {
            return Ok(Hashed::All);
        }
        let conffiles = control.lines("conffiles")?;
        Ok(Hashed::Only(conffiles.into_iter().filter_map(|line| Some(line.strip_prefix('/')?.into())).collect()))
    }

    fn has(&self, path: &[u8]) -> bool {
        match self {
            Hashed::All => true,
            Hashed::Only(paths) => paths.iter().any(|one| one == path),
        }
    }
}

/// Why a member was not made.
enum Unmade {
    /// This package has its path.
    Taken(usize),
    Failed(io::Error),
}

impl<E: Into<io::Error>> From<E> for Unmade {
    fn from(error: E) -> Unmade {
        Unmade::Failed(error.into())
    }
}

struct Place<'a> {
    at: usize,
    claims: &'a Claims<'a>,
    turn: Turn,
}

impl Place<'_> {
    /// Claims the path of a member, and makes it if it is a directory; says where something else is to be made now.
    fn claim(
        &self,
        tree: &mut Tree,
        member: &Member,
        path: &[u8],
        unpacked: &mut Unpacked,
    ) -> Result<Option<Vec<u8>>, Unmade> {
        if matches!(member.kind, Kind::Directory) {
            let path = merged(path, true);
            self.claims.directory(self.at, &path).map_err(Unmade::Taken)?;
            tree.reach(&path)?;
            let modified = Timespec { tv_sec: member.modified, tv_nsec: 0 };
            unpacked.directories.push((path, facts(member), modified));
            return Ok(None);
        }
        if path.is_empty() {
            return Err(Unmade::Failed(io::Error::other("it would take the place of the root")));
        }
        let path = merged(path, false);
        if let Kind::Link(text) = &member.kind
            && tree.leads(&path, text)?
        {
            return Ok(None);
        }
        let claim = match self.turn {
            Turn::First => self.claims.file(self.at, &path),
            // Who moves files has said where they go, whoever replaces whom.
            Turn::Second => self.claims.alone(self.at, &path).map(|()| Claim::Own),
        };
        let mut claim = claim.map_err(Unmade::Taken)?;
        if claim == Claim::Own
            && let Kind::Hard(of) = &member.kind
        {
            let of = merged(&inside(of)?, false);
            unpacked.linked.insert(of.clone());
            // What it is a name of is another's, or isn't there yet.
            if !self.claims.is_of(self.at, &of) || unpacked.later.contains(&of) {
                claim = Claim::Later;
            }
        }
        match claim {
            Claim::Own => return Ok(Some(path)),
            Claim::Later => drop(unpacked.later.insert(path)),
            Claim::Lost => {}
        }
        Ok(None)
    }
}

/// Makes what isn't a directory; tells the MD5 of a file if it is asked for.
fn make(
    tree: &mut Tree,
    member: &Member,
    path: &[u8],
    archive: &mut Archive<impl Read>,
    hashed: bool,
) -> io::Result<Option<String>> {
    let facts = facts(member);
    let modified = Timespec { tv_sec: member.modified, tv_nsec: 0 };
    let mut hash = None;
    match &member.kind {
        Kind::Directory => {}
        Kind::File if hashed => {
            let mut md5 = Md5::new();
            tree.file(path, facts, modified, |sink| copy(&mut archive.content_reader(), sink, &mut md5))?;
            hash = Some(hex(&md5.finalize()));
        }
        Kind::File => tree.file(path, facts, modified, |sink: &mut Sink| archive.content(member, sink))?,
        Kind::Link(text) => tree.link(path, text, facts, modified)?,
        Kind::Hard(of) => tree.hard_link(path, &inside(of)?)?,
        Kind::Fifo => tree.fifo(path, facts, modified)?,
        Kind::Device { block, major, minor } => {
            tree.device(path, facts, Device { block: *block, major: *major, minor: *minor })?;
        }
    }
    Ok(hash)
}

fn facts(member: &Member) -> Facts {
    Facts { mode: member.mode, uid: member.uid, gid: member.gid, ..Facts::default() }
}

/// The path without the links of a merged `/usr`; the last part stays as it is but for directories.
fn merged(path: &[u8], directory: bool) -> Vec<u8> {
    let first = path.split(|byte| *byte == b'/').next().unwrap_or_default();
    let through = directory || path.len() > first.len();
    match through && MERGED.iter().any(|name| name.as_bytes() == first) {
        true => [b"usr/", path].concat(),
        false => path.to_vec(),
    }
}

fn copy(from: &mut impl Read, sink: &mut Sink, md5: &mut Md5) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            count => {
                md5.update(&buffer[..count]);
                sink.write_all(&buffer[..count])?;
            }
        }
    }
}
