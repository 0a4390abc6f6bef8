//! Stored roots compared with their listings.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{FileType, Stat, readlinkat};

use super::listing::{Facts, Item};
use super::{Error, Store};
use crate::tree::{Owners, scan};

/// Something in a stored root that isn't as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where, relative to the root.
    pub path: PathBuf,
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl Store {
    /// Compares a root with its listing, content and all; what differs.
    ///
    /// # Errors
    /// There is no such name; its file or its listing is damaged.
    pub fn verify(&self, name: &str) -> Result<Vec<Difference>, Error> {
        let found = self.find(name)?;
        let listing = self.listing(&found.id)?;
        let root = self.open_files(&found.id)?;
        let mut there = self.walk(&found.id, root.as_fd())?;
        let mut differences = Vec::new();
        for (path, item) in &listing.0 {
            // A hard link is as its file; whether they are one isn't known where the pool has joined files.
            let item = match item {
                Item::Hard { of } => listing.0.get(of).unwrap_or(item),
                item => item,
            };
            let what = match (there.remove(path), item) {
                (None, Item::Device { .. }) => continue,
                (None, _) => Some("it is missing"),
                (Some(status), item) => compare(root.as_fd(), path, &status, item, found.owners),
            };
            differences.extend(what.map(|what| difference(path, what)));
        }
        differences.extend(extra(&there));
        differences.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        Ok(differences)
    }
}

fn extra(there: &BTreeMap<Vec<u8>, Stat>) -> impl Iterator<Item = Difference> {
    there.keys().map(|path| difference(path, "it was not there when the root was stored"))
}

fn difference(path: &[u8], what: &'static str) -> Difference {
    Difference { path: PathBuf::from(OsStr::from_bytes(path)), what }
}

fn compare(root: BorrowedFd<'_>, path: &[u8], status: &Stat, item: &Item, owners: Owners) -> Option<&'static str> {
    let kind = FileType::from_raw_mode(status.st_mode);
    let expected = match item {
        Item::Directory(_) => FileType::Directory,
        Item::File { .. } => FileType::RegularFile,
        Item::Link { .. } => FileType::Symlink,
        Item::Fifo(_) => FileType::Fifo,
        Item::Device { .. } | Item::Hard { .. } => return Some("it should not be on disk"),
    };
    if kind != expected {
        return Some("it is of another kind");
    }
    if let Some(what) = item.facts().and_then(|facts| owned(root, path, status, facts, owners)) {
        return Some(what);
    }
    match item {
        Item::File { size, .. } if status.st_size.cast_unsigned() != *size => Some("its size is another"),
        Item::File { hash, .. } => match scan::hash_file(root, path) {
            Ok(found) if found == *hash => None,
            Ok(_) => Some("its content is another"),
            Err(_) => Some("it can't be read"),
        },
        Item::Link { text, .. } => match readlinkat(root, path, Vec::new()) {
            Ok(found) if found.as_bytes() == text => None,
            _ => Some("it leads elsewhere"),
        },
        _ => None,
    }
}

/// Mode, owner and attributes, as they are on disk.
fn owned(root: BorrowedFd<'_>, path: &[u8], status: &Stat, facts: &Facts, owners: Owners) -> Option<&'static str> {
    let kind = FileType::from_raw_mode(status.st_mode);
    let mode = owners.mode(facts.mode, kind.is_dir());
    if kind != FileType::Symlink && status.st_mode & 0o7777 != mode {
        return Some("its mode is another");
    }
    if owners == Owners::Kept && (status.st_uid, status.st_gid) != (facts.uid, facts.gid) {
        return Some("its owner is another");
    }
    let Ok(found) = scan::facts(root, path, status, &mut 0) else { return Some("it can't be read") };
    let set = facts.attributes.iter().filter(|(name, _)| owners.sets(name));
    match set.eq(found.attributes.iter().filter(|(name, _)| owners.sets(name))) {
        true => None,
        false => Some("its attributes are others"),
    }
}
