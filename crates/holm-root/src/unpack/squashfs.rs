//! Images of squashfs 4.0 become a tree, read here and not by the kernel, whose reader isn't made for hostile ones; so it needs
//! no rights, either.
//!
//! The order of things: the superblock and its tables (`image`), then directories from the root down, each with its
//! inodes (`inode`), each of which is made in a [`Tree`]. Everything an image says is doubted: a directory counts once, so
//! there are no loops; all that is decompressed counts against the limits, however often it is named.
//!
//! Crates for this format lose attributes, among them file capabilities, and the identity of hard links, and hold all
//! inodes in memory.
//!
//! Source: the kernel's `fs/squashfs/squashfs_fs.h` and Documentation/filesystems/squashfs.rst.

mod image;
mod inode;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::Timespec;

use super::{Limits, facts, failed, too_much};
use crate::progress::{Progress, Stage, Tell};
use crate::store::error::{Error, Stopped};
use crate::tree::{Sink, Tree};
use image::{Fragment, Image};
use inode::{Content, Inode, Kind};

/// What an image begins with.
pub(crate) const MAGIC: &[u8] = b"hsqs";

/// Makes the tree that an image holds.
pub(crate) fn unpack(tree: &mut Tree, path: &Path, limits: Limits, tell: Tell<'_>) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let image = Image::open(file, limits.bytes).map_err(Error::unpack(path))?;
    let mut unpack = Unpack { tree, image, left: limits, tell, names: HashMap::new(), seen: HashSet::new() };
    unpack.all().map_err(|(inside, error)| {
        let inside = if inside.is_empty() { path } else { Path::new(OsStr::from_bytes(&inside)) };
        failed(inside, limits, error)
    })
}

fn bad(text: &'static str) -> io::Error {
    io::Error::other(text)
}

/// A path inside that failed, and why.
type Failed = (Vec<u8>, io::Error);

struct Unpack<'t> {
    tree: &'t mut Tree,
    image: Image,
    left: Limits,
    tell: Tell<'t>,
    /// The path of each inode that may have several names, by where it is.
    names: HashMap<u64, Vec<u8>>,
    /// Where the inodes of directories are.
    seen: HashSet<u64>,
}

impl Unpack<'_> {
    fn all(&mut self) -> Result<(), Failed> {
        let root = self.image.root;
        let mut left = vec![(Vec::new(), root)];
        while let Some((path, at)) = left.pop() {
            let below = self.directory(&path, at).map_err(|error| (path.clone(), error))?;
            for (name, at) in below {
                let path = if path.is_empty() { name } else { [&path, &b"/"[..], &name].concat() };
                match self.entry(&path, at) {
                    Ok(Made::Directory) => left.push((path, at)),
                    Ok(Made::Other) => {}
                    Err(error) => return Err((path, error)),
                }
            }
        }
        Ok(())
    }

    /// Makes a directory; the names in it with their inodes' places.
    fn directory(&mut self, path: &[u8], at: u64) -> io::Result<Vec<(Vec<u8>, u64)>> {
        if !self.seen.insert(at) {
            return Err(bad("the image is damaged: a directory is in two places"));
        }
        let inode = Inode::read(&mut self.image, at)?;
        let Kind::Directory { start, offset, size } = inode.kind else {
            return Err(bad("the image is damaged: its root is no directory"));
        };
        let attributes = self.image.attributes(inode.attributes)?;
        let facts = facts(self.tree, inode.mode, (inode.uid, inode.gid), &attributes);
        self.tree.directory(path, facts, time(&inode))?;
        let left = &mut self.left.members;
        self.image.entries(start, offset, size, || {
            *left = left.checked_sub(1).ok_or_else(too_much)?;
            Ok(())
        })
    }

    fn go_on(&mut self) -> io::Result<()> {
        let progress = Progress { stage: Stage::Unpack, done: self.image.read, total: self.image.size };
        match (self.tell)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(io::Error::other(Stopped)),
        }
    }

    /// Makes what isn't a directory.
    fn entry(&mut self, path: &[u8], at: u64) -> io::Result<Made> {
        self.go_on()?;
        if let Some(of) = self.names.get(&at) {
            return Ok(self.tree.hard_link(path, of).map(|()| Made::Other)?);
        }
        let inode = Inode::read(&mut self.image, at)?;
        if matches!(inode.kind, Kind::Directory { .. }) {
            return Ok(Made::Directory);
        }
        if inode.links > 1 {
            self.names.insert(at, path.to_vec());
        }
        let attributes = self.image.attributes(inode.attributes)?;
        let facts = facts(self.tree, inode.mode, (inode.uid, inode.gid), &attributes);
        let modified = time(&inode);
        match inode.kind {
            Kind::Directory { .. } => {}
            Kind::File(content) => {
                self.left.bytes = self.left.bytes.checked_sub(content.size).ok_or_else(too_much)?;
                // The tree makes the file, and all else of this its content.
                let Unpack { tree, image, tell, .. } = self;
                tree.file(path, facts, modified, |sink: &mut Sink| copy(image, content, sink, &mut **tell))?;
            }
            Kind::Link(text) => self.tree.link(path, &text, facts, modified)?,
            Kind::Device(device) => self.tree.device(path, facts, device)?,
            Kind::Fifo => self.tree.fifo(path, facts, modified)?,
            Kind::Socket => {
                self.names.remove(&at);
                self.tree.left_out += 1;
            }
        }
        Ok(Made::Other)
    }
}

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    /// Nothing yet: a directory is made when it is read.
    Directory,
    Other,
}

fn time(inode: &Inode) -> Timespec {
    Timespec { tv_sec: inode.modified.into(), tv_nsec: 0 }
}

/// Writes a file's content, block by block.
fn copy(image: &mut Image, content: Content, sink: &mut Sink, tell: Tell<'_>) -> io::Result<()> {
    let Content { mut start, size, fragment, mut blocks } = content;
    let block = u64::from(image.block);
    let mut left = size;
    while left > 0 && (left >= block || fragment.is_none()) {
        let progress = Progress { stage: Stage::Unpack, done: image.read, total: image.size };
        if tell(progress).is_break() {
            return Err(io::Error::other(Stopped));
        }
        let now = left.min(block);
        let stored = blocks.u32(image)?;
        match stored & 0x00ff_ffff {
            0 => sink.zeros(now)?,
            length => {
                let bytes = image.data(start, stored)?;
                if bytes.len() as u64 != now {
                    return Err(bad("a block of it has another length"));
                }
                sink.write_all(&bytes)?;
                start = start.checked_add(length.into()).ok_or_else(|| bad("a block of it lies nowhere"))?;
            }
        }
        left -= now;
    }
    match fragment {
        Some(Fragment { number, offset }) if left > 0 => {
            let bytes = image.fragment(number)?;
            let (from, length) = (offset as usize, usize::try_from(left).unwrap_or(usize::MAX));
            let end = from.checked_add(length).filter(|end| *end <= bytes.len());
            let end = end.ok_or_else(|| bad("its end lies outside of its fragment"))?;
            sink.write_all(&bytes[from..end])
        }
        _ => Ok(()),
    }
}
