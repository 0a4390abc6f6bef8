//! One directory of an overlay, read as what it is: somebody else's, who may be changing it.
//!
//! Every path is opened from the directory's descriptor by openat2(2), beneath it, through no link and onto no other
//! file system, and what was opened is what counts. Marks are overlayfs's own attributes only (overlayfs, "Whiteouts and
//! opaque directories", "redirect_dir", "Metadata only copy up"), of the kind that the overlay was mounted with.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FileType, OFlags, SeekFrom, Stat, fgetxattr, fstat, readlinkat};
use rustix::io::{Errno, Result};

use super::Marks;
use crate::store::error::Error;
use crate::store::open_directory;
use crate::tree::names;
use crate::tree::reach::beneath;

/// A layer: what a sandbox changed, or what its changes are of.
#[derive(Debug)]
pub(super) struct Layer {
    root: OwnedFd,
    /// How changes are marked; `None` where there are none.
    marks: Option<Marks>,
}

/// What is at a path of a layer.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) status: Stat,
    pub(super) mark: Mark,
    /// Where a directory or file was before it was renamed; from the layer's root if it begins with `/`.
    pub(super) redirect: Option<Vec<u8>>,
}

/// What overlayfs says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nothing.
    None,
    /// That what lies below it is removed.
    Whiteout,
    /// That it covers the directory below it.
    Opaque,
    /// That its content is that of the file below it.
    Metadata,
}

impl Layer {
    pub(super) fn open(path: &Path, marks: Option<Marks>) -> std::result::Result<Layer, Error> {
        Ok(Layer { root: open_directory(path)?, marks })
    }

    /// The same with a descriptor of its own.
    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    fn at(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        beneath(self.root.as_fd(), path, flags)
    }

    /// What is at a path; `None` if nothing, or what isn't of this layer: it is on another file system, or behind a link.
    pub(super) fn node(&self, path: &[u8]) -> Result<Option<Node>> {
        let opened = match self.at(path, OFlags::PATH) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Ok(None),
            opened => opened?,
        };
        let status = fstat(&opened)?;
        let mut node = Node { status, mark: Mark::None, redirect: None };
        let Some(marks) = self.marks else { return Ok(Some(node)) };
        let kind = FileType::from_raw_mode(status.st_mode);
        if kind == FileType::CharacterDevice && status.st_rdev == 0 {
            node.mark = Mark::Whiteout;
        }
        if matches!(kind, FileType::Directory | FileType::RegularFile) {
            let file = self.reading(path, &status)?;
            let value = |name: &str| attribute(file.as_fd(), marks, name);
            node.redirect = value("redirect")?.filter(|text| !text.is_empty());
            node.mark = match kind {
                FileType::Directory if value("opaque")?.is_some_and(|value| value == b"y") => Mark::Opaque,
                FileType::RegularFile if value("metacopy")?.is_some() => Mark::Metadata,
                FileType::RegularFile if status.st_size == 0 && value("whiteout")?.is_some() => Mark::Whiteout,
                _ => Mark::None,
            };
        }
        Ok(Some(node))
    }

    /// Opens a file or directory that still is what it was.
    pub(super) fn reading(&self, path: &[u8], status: &Stat) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = self.at(path, flags)?;
        let now = fstat(&opened)?;
        let same = (now.st_dev, now.st_ino) == (status.st_dev, status.st_ino);
        if same { Ok(File::from(opened)) } else { Err(Errno::STALE) }
    }

    /// The names in a directory, sorted.
    pub(super) fn names(&self, path: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut names = names(&self.at(path, OFlags::RDONLY | OFlags::DIRECTORY)?)?;
        names.sort_unstable();
        Ok(names)
    }

    /// The text of a link.
    pub(super) fn link(&self, path: &[u8]) -> Result<Vec<u8>> {
        let opened = self.at(path, OFlags::PATH)?;
        Ok(readlinkat(&opened, "", Vec::new())?.into_bytes())
    }
}

/// The value of a mark.
fn attribute(file: BorrowedFd<'_>, marks: Marks, name: &str) -> Result<Option<Vec<u8>>> {
    let space = if marks == Marks::User { "user" } else { "trusted" };
    let mut value = vec![0; 4096];
    match fgetxattr(file, format!("{space}.overlay.{name}"), value.as_mut_slice()) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether two files of one length hold the same. Holes of both are skipped: a file can be larger than any disk.
pub(super) fn same_content(one: &File, other: &File, length: u64) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; 128 << 10], vec![0; 128 << 10]);
    let mut at = 0;
    while at < length {
        at = data(one, at)?.unwrap_or(length).min(data(other, at)?.unwrap_or(length));
        let most = usize::try_from(length - at).unwrap_or(usize::MAX).min(left.len());
        one.read_exact_at(&mut left[..most], at)?;
        other.read_exact_at(&mut right[..most], at)?;
        if left[..most] != right[..most] {
            return Ok(false);
        }
        at += most as u64;
    }
    Ok(true)
}

/// Where the next data begins that a file holds; `None` if there is only a hole up to its end (lseek(2), `SEEK_DATA`).
pub(super) fn data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Err(Errno::NXIO) => Ok(None),
        start => Ok(Some(start?)),
    }
}
