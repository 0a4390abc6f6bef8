//! The listing of a tree: what is there, completed by what was noted.
//!
//! What was noted while something was made counts; for what somebody else put into the directory the disk does, and
//! content is read. Paths are opened from the root and have no links on the way, so no descriptor is kept a level.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fgetxattr, flistxattr, openat, readlinkat, statat, unlinkat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::{DIRECTORY, Tree, keeps_attribute, names};
use crate::store::listing::{Device, Facts, Hash, Item, Listing};

/// What a walk found.
pub(crate) struct Found {
    pub(crate) listing: Listing,
    /// Every path with its status, those of placeholders among them.
    pub(crate) status: BTreeMap<Vec<u8>, Stat>,
    /// Attributes and sockets that are no part of a root.
    pub(crate) left_out: u64,
}

/// Lists a tree; the placeholders of device nodes are removed.
pub(crate) fn scan(tree: &mut Tree) -> Result<Found, (Vec<u8>, io::Error)> {
    let mut found = BTreeMap::new();
    let mut seen: HashMap<u64, Vec<u8>> = HashMap::new();
    let mut placeholders = Vec::new();
    let mut left_out = tree.left_out;
    let paths = walk(tree.root())?;
    for (path, status) in &paths {
        let failed = |error: Errno| (path.clone(), io::Error::from(error));
        let kind = FileType::from_raw_mode(status.st_mode);
        let note = tree.note(status);
        if kind == FileType::Socket {
            left_out += 1;
            unlinkat(tree.root(), path.as_slice(), AtFlags::empty()).map_err(failed)?;
            continue;
        }
        let device = note.and_then(|note| note.device).or_else(|| device(status));
        if device.is_some() {
            placeholders.push(path.clone());
        }
        if !kind.is_dir()
            && let Some(of) = seen.get(&status.st_ino)
        {
            found.insert(path.clone(), Item::Hard { of: of.clone() });
            continue;
        }
        seen.insert(status.st_ino, path.clone());
        let facts = match note {
            Some(note) => note.facts.clone(),
            None => facts(tree.root(), path, status, &mut left_out).map_err(failed)?,
        };
        let item = match kind {
            _ if device.is_some() => Item::Device { facts, device: device.unwrap_or(NONE) },
            FileType::Directory => Item::Directory(facts),
            FileType::Symlink => {
                let text = readlinkat(tree.root(), path.as_slice(), Vec::new()).map_err(failed)?.into_bytes();
                Item::Link { facts, text }
            }
            FileType::Fifo => Item::Fifo(facts),
            _ => {
                let hash = match note.and_then(|note| note.hash) {
                    Some(hash) => hash,
                    None => hash_file(tree.root(), path).map_err(|error| (path.clone(), error))?,
                };
                Item::File { facts, size: u64::try_from(status.st_size).unwrap_or_default(), hash }
            }
        };
        found.insert(path.clone(), item);
    }
    for path in placeholders {
        let removed = unlinkat(tree.root(), path.as_slice(), AtFlags::empty());
        removed.map_err(|error| (path, io::Error::from(error)))?;
    }
    Ok(Found { listing: Listing(found), status: paths, left_out })
}

const NONE: Device = Device { block: false, major: 0, minor: 0 };

/// Every path with its status, sorted; the root is `.`.
pub(crate) fn walk(root: BorrowedFd<'_>) -> Result<BTreeMap<Vec<u8>, Stat>, (Vec<u8>, io::Error)> {
    let mut all = BTreeMap::new();
    let mut left = vec![b".".to_vec()];
    while let Some(path) = left.pop() {
        let failed = |error: Errno| (path.clone(), io::Error::from(error));
        let status = statat(root, path.as_slice(), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        if FileType::from_raw_mode(status.st_mode).is_dir() {
            let directory = openat(root, path.as_slice(), DIRECTORY, Mode::empty()).map_err(failed)?;
            left.extend(names(&directory).map_err(failed)?.iter().map(|name| join(&path, name)));
        }
        all.insert(path, status);
    }
    Ok(all)
}

/// The path of `name` in the directory `path`.
pub(crate) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path == b"." { name.to_vec() } else { [path, b"/", name].concat() }
}

/// The device that a node is of.
pub(crate) fn device(status: &Stat) -> Option<Device> {
    let kind = FileType::from_raw_mode(status.st_mode);
    let (major, minor) = (rustix::fs::major(status.st_rdev), rustix::fs::minor(status.st_rdev));
    matches!(kind, FileType::BlockDevice | FileType::CharacterDevice).then_some(Device {
        block: kind == FileType::BlockDevice,
        major,
        minor,
    })
}

/// What the disk tells of something.
pub(crate) fn facts(root: BorrowedFd<'_>, path: &[u8], status: &Stat, left_out: &mut u64) -> Result<Facts, Errno> {
    let kind = FileType::from_raw_mode(status.st_mode);
    let attributes = match kind {
        FileType::Directory | FileType::RegularFile => {
            let file = openat(root, path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
            attributes(file.as_fd(), left_out)?
        }
        _ => BTreeMap::new(),
    };
    let mode = if kind == FileType::Symlink { 0o777 } else { status.st_mode & 0o7777 };
    Ok(Facts { mode, uid: status.st_uid, gid: status.st_gid, attributes })
}

/// The attributes that are part of a root; the others are counted.
pub(crate) fn attributes(file: BorrowedFd<'_>, left_out: &mut u64) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Errno> {
    let mut names = vec![0; 65_536];
    let length = match flistxattr(file, names.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => 0,
        Err(error) => return Err(error),
    };
    let mut kept = BTreeMap::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if !keeps_attribute(name) {
            // A security module's label is the machine's, not the root's.
            *left_out += u64::from(name != b"security.selinux");
            continue;
        }
        let mut value = vec![0; 65_536];
        let length = fgetxattr(file, name, value.as_mut_slice())?;
        value.truncate(length);
        kept.insert(name.to_vec(), value);
    }
    Ok(kept)
}

/// The hash of a file's content.
pub(crate) fn hash_file(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<Hash> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    hash_content(File::from(openat(root, path, flags, Mode::empty())?))
}

/// The hash of what an open file holds.
pub(crate) fn hash_content(mut file: File) -> io::Result<Hash> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&buffer[..count]),
        }
    }
}
