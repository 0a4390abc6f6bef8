//! Files of the same content, mode, owner, attributes and time are one file on disk, in whatever roots they are.
//!
//! All of that is in an inode, so files that differ in any of it can't be one. Empty files aren't shared: they have
//! nothing to save. A file of the pool is compared byte by byte before it is used: one that has rotted is not spread.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{AtFlags, Mode, OFlags, Stat, linkat, openat, renameat, unlinkat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::listing::{Facts, Hash, Item, Listing, hex};
use crate::tree::Owners;

/// The name of a file in the pool.
fn key(hash: &Hash, facts: &Facts, status: &Stat, owners: Owners) -> String {
    let mut key = Sha256::new();
    key.update(hash);
    for number in [
        u64::from(status.st_mode),
        u64::from(status.st_uid),
        u64::from(status.st_gid),
        status.st_mtime.cast_unsigned(),
        status.st_mtime_nsec,
    ] {
        key.update(number.to_le_bytes());
    }
    for (name, value) in facts.attributes.iter().filter(|(name, _)| owners.sets(name)) {
        for bytes in [name, value] {
            key.update((bytes.len() as u64).to_le_bytes());
            key.update(bytes);
        }
    }
    hex(&key.finalize())
}

/// A name that one more link to a file has in the pool for a moment; none of a file is so short.
pub(super) const ASIDE: &str = "link";

/// Files that the pool doesn't have, by their name in it.
pub(super) type New = Vec<(String, Vec<u8>)>;

/// Replaces files of the tree `root` by those of the pool; the rest is new.
pub(super) fn share(
    root: BorrowedFd<'_>,
    pool: BorrowedFd<'_>,
    listing: &Listing,
    status: &BTreeMap<Vec<u8>, Stat>,
    owners: Owners,
) -> Result<New, (Vec<u8>, io::Error)> {
    let mut names: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
    for (path, item) in &listing.0 {
        if let Item::Hard { of } = item {
            names.entry(of).or_default().push(path);
        }
    }
    let mut new = Vec::new();
    for (path, item) in &listing.0 {
        let (Item::File { facts, size: 1.., hash }, Some(status)) = (item, status.get(path)) else { continue };
        let key = key(hash, facts, status, owners);
        let same = same(pool, key.as_bytes(), root, path).map_err(|error| (path.clone(), error))?;
        if !same {
            new.push((key, path.clone()));
            continue;
        }
        for path in std::iter::once(path.as_slice()).chain(names.remove(path.as_slice()).unwrap_or_default()) {
            replace(root, path, pool, &key).map_err(|error| (path.to_vec(), error.into()))?;
        }
    }
    Ok(new)
}

/// Puts one file in the place of another, unless it has as many names as it can have.
fn replace(root: BorrowedFd<'_>, path: &[u8], pool: BorrowedFd<'_>, key: &str) -> Result<(), Errno> {
    match linkat(pool, key, pool, ASIDE, AtFlags::empty()) {
        Ok(()) => {}
        Err(Errno::MLINK) => return Ok(()),
        Err(error) => return Err(error),
    }
    renameat(pool, ASIDE, root, path)
}

/// Gives the pool names of new files; where it has a file of that name already it is one that isn't right.
pub(super) fn add(root: BorrowedFd<'_>, pool: BorrowedFd<'_>, new: &New) -> Result<(), (Vec<u8>, io::Error)> {
    for (key, path) in new {
        let failed = |error: Errno| (path.clone(), io::Error::from(error));
        match linkat(root, path.as_slice(), pool, key, AtFlags::empty()) {
            Err(Errno::EXIST) => {
                unlinkat(pool, key, AtFlags::empty()).map_err(failed)?;
                linkat(root, path.as_slice(), pool, key, AtFlags::empty()).map_err(failed)?;
            }
            // The file system has no hard links: every root has its own files.
            Err(Errno::PERM | Errno::NOTSUP | Errno::MLINK) => {}
            done => done.map_err(failed)?,
        }
    }
    Ok(())
}

/// Whether two files have the same content.
fn same(pool: BorrowedFd<'_>, key: &[u8], root: BorrowedFd<'_>, path: &[u8]) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut one = match openat(pool, key, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(false),
        one => File::from(one?),
    };
    let mut other = File::from(openat(root, path, flags, Mode::empty())?);
    if one.metadata()?.size() != other.metadata()?.size() {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; 128 << 10], vec![0; 128 << 10]);
    loop {
        let count = one.read(&mut left)?;
        other.read_exact(&mut right[..count])?;
        match count {
            0 => return Ok(true),
            _ if left[..count] != right[..count] => return Ok(false),
            _ => {}
        }
    }
}
