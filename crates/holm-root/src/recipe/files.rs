//! Files that a recipe adds: of the host, or written in it.
//!
//! A path without `..` that isn't absolute is looked up beneath the recipe's directory (openat2(2), `RESOLVE_BENEATH`), so
//! that no link there leads out of it; any other path is what was typed, and followed. In a directory no link is
//! followed. A file is read twice, for the hash and into the root, and must be the same by the kernel's time of its last
//! change.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, readlinkat, statat};
use rustix::io::Errno;

use super::{Error, Recipe, place};
use crate::store::Store;
use crate::store::listing::{Facts, Hash};
use crate::tree::reach::beneath;
use crate::tree::scan::{hash_content, join};
use crate::tree::{Sink, Tree, modified, names};

/// One file or directory that is added.
#[derive(Clone, Debug)]
pub struct File {
    /// Where, from the root on; not empty, without `.` and `..`.
    pub at: PathBuf,
    /// What.
    pub content: Content,
    /// Permission bits of a file; without them a text has 644, and anything else its own (0777).
    pub mode: Option<u32>,
}

/// What a file holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// This text.
    Text(String),
    /// What is at this path of the host: a file, or a directory with all in it.
    Path(PathBuf),
}

/// What was found of all files.
#[derive(Debug)]
pub(super) struct Gathered(Vec<Item>);

#[derive(Debug)]
struct Item {
    at: Vec<u8>,
    mode: u32,
    what: What,
}

#[derive(Debug)]
enum What {
    Directory(Stat),
    Link(Stat, Vec<u8>),
    Text(Vec<u8>),
    /// A path as typed, and one below it.
    Content {
        from: PathBuf,
        below: Vec<u8>,
        status: Stat,
        hash: Hash,
    },
}

impl Gathered {
    /// Finds all files and reads them.
    pub(super) fn read(files: &[File], directory: &Path, store: &Store) -> Result<Gathered, Error> {
        let mut all = Gathered(Vec::new());
        for file in files {
            let at = file.at.strip_prefix("/").unwrap_or(&file.at).as_os_str().as_bytes().to_vec();
            match &file.content {
                Content::Text(text) => {
                    let what = What::Text(text.clone().into_bytes());
                    all.0.push(Item { at, mode: file.mode.unwrap_or(0o644), what });
                }
                Content::Path(from) => all.path(at, file.mode, from, directory, store)?,
            }
        }
        Ok(all)
    }

    fn path(
        &mut self,
        at: Vec<u8>,
        mode: Option<u32>,
        from: &Path,
        directory: &Path,
        store: &Store,
    ) -> Result<(), Error> {
        let failed = |error: io::Error| file_failed(from, b"", &error);
        let opened = typed(directory, from).map_err(|error| failed(error.into()))?;
        let status = fstat(&opened).map_err(|error| failed(error.into()))?;
        if !FileType::from_raw_mode(status.st_mode).is_dir() {
            let what = content(&opened, from, b"", status).map_err(failed)?;
            self.0.push(Item { at, mode: mode.unwrap_or(status.st_mode & 0o777), what });
            return Ok(());
        }
        if mode.is_some() {
            return Err(failed(io::Error::other("it is a directory, whose files have modes of their own")));
        }
        let own = statat(CWD, store.path(), rustix::fs::AtFlags::empty()).map(|own| (own.st_dev, own.st_ino));
        let mut left = vec![b".".to_vec()];
        while let Some(below) = left.pop() {
            let failed = |error: io::Error| file_failed(from, &below, &error);
            let (item, names) = entry(opened.as_fd(), from, &below, &at).map_err(failed)?;
            if matches!(&item.what, What::Directory(status) if Ok((status.st_dev, status.st_ino)) == own) {
                return Err(failed(io::Error::other("it is the store")));
            }
            self.0.push(item);
            left.extend(names.iter().rev().map(|name| join(&below, name)));
        }
        Ok(())
    }

    /// Gives all that counts to a hash.
    pub(super) fn hash(&self, add: &mut dyn FnMut(&[u8])) {
        for Item { at, mode, what } in &self.0 {
            add(b"file");
            add(at);
            add(&mode.to_le_bytes());
            match what {
                What::Directory(_) => add(b"directory"),
                What::Link(_, text) => [b"link", text.as_slice()].into_iter().for_each(&mut *add),
                What::Text(text) => [b"file", hash_bytes(text).as_slice()].into_iter().for_each(&mut *add),
                What::Content { hash, .. } => [b"file", hash.as_slice()].into_iter().for_each(&mut *add),
            }
        }
    }

    /// Makes all of it.
    pub(super) fn make(&self, tree: &mut Tree, recipe: &Recipe) -> Result<(), Error> {
        self.0.iter().try_for_each(|item| item.make(tree, &recipe.directory))
    }
}

impl Item {
    fn make(&self, tree: &mut Tree, directory: &Path) -> Result<(), Error> {
        let Item { at, mode, what } = self;
        let facts = Facts { mode: *mode, ..Facts::default() };
        let failed = |error: io::Error| place(at, &error);
        if !matches!(what, What::Directory(_)) {
            let there = tree.there(at).map_err(|error| failed(error.into()))?;
            if there.is_some_and(|there| FileType::from_raw_mode(there.st_mode).is_dir()) {
                return Err(failed(io::Error::other("a directory is there")));
            }
        }
        match what {
            // A directory that is there stays as it is, behind a link, too.
            What::Directory(_) if tree.has_directory(at) => Ok(()),
            What::Directory(status) => tree.reached(at, facts, modified(status)).map_err(|error| failed(error.into())),
            What::Link(status, text) => {
                tree.link(at, text, facts, modified(status)).map_err(|error| failed(error.into()))
            }
            What::Text(text) => tree.put(at, *mode, text).map_err(failed),
            What::Content { from, below, status, .. } => {
                let file = again(directory, from, below).map_err(|error| file_failed(from, below, &error.into()))?;
                let same = || -> io::Result<()> {
                    let now = fstat(&file)?;
                    let of = |one: &Stat| (one.st_dev, one.st_ino, one.st_size, one.st_ctime, one.st_ctime_nsec);
                    if of(&now) == of(status) { Ok(()) } else { Err(io::Error::other("it changed meanwhile")) }
                };
                let mut source = std::fs::File::from(file.try_clone().map_err(failed)?);
                same().map_err(|error| file_failed(from, below, &error))?;
                let made = tree.file(at, facts, modified(status), |sink: &mut Sink| sink.whole(&mut source));
                made.map_err(failed)?;
                same().map_err(|error| file_failed(from, below, &error))
            }
        }
    }
}

/// What a directory has at a path below it, and the names in it, sorted, if it is a directory.
fn entry(top: BorrowedFd<'_>, from: &Path, below: &[u8], at: &[u8]) -> io::Result<(Item, Vec<Vec<u8>>)> {
    let opened = beneath(top, below, OFlags::PATH)?;
    let status = fstat(&opened)?;
    let inside = match (below, at) {
        (b".", at) => at.to_vec(),
        (below, b"") => below.to_vec(),
        (below, at) => join(at, below),
    };
    let mode = status.st_mode & 0o777;
    let mut found = Vec::new();
    let what = match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => {
            found = names(beneath(top, below, OFlags::RDONLY | OFlags::DIRECTORY)?)?;
            found.sort_unstable();
            What::Directory(status)
        }
        FileType::Symlink => What::Link(status, readlinkat(&opened, "", Vec::new())?.into_bytes()),
        FileType::RegularFile => {
            let file = beneath(top, below, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
            content(&file, from, below, status)?
        }
        // Never opened: that can end whoever waits to write to a FIFO.
        _ => return Err(io::Error::other("only files, directories and links are added")),
    };
    Ok((Item { at: inside, mode, what }, found))
}

/// What an open file holds.
fn content(file: &OwnedFd, from: &Path, below: &[u8], status: Stat) -> io::Result<What> {
    let hash = hash_content(std::fs::File::from(file.try_clone()?))?;
    Ok(What::Content { from: from.to_owned(), below: below.to_vec(), status, hash })
}

/// Opens what was typed: a file or directory.
fn typed(directory: &Path, from: &Path) -> Result<OwnedFd, Errno> {
    let top = openat(CWD, directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let outside = from.is_absolute() || from.components().any(|part| part == Component::ParentDir);
    let resolve = if outside { ResolveFlags::empty() } else { ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS };
    let open = |flags| openat2(&top, from, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
    // Opening a FIFO can end whoever waits to write to it, so it is looked at first.
    let kind = FileType::from_raw_mode(fstat(open(OFlags::PATH)?)?.st_mode);
    if !matches!(kind, FileType::RegularFile | FileType::Directory) {
        return Err(Errno::NXIO);
    }
    open(OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
}

/// Opens it again, or what is below it.
fn again(directory: &Path, from: &Path, below: &[u8]) -> Result<OwnedFd, Errno> {
    let top = typed(directory, from)?;
    if below.is_empty() {
        Ok(top)
    } else {
        beneath(top.as_fd(), below, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
    }
}

fn hash_bytes(bytes: &[u8]) -> Hash {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).into()
}

fn file_failed(from: &Path, below: &[u8], error: &io::Error) -> Error {
    let whole = match below {
        b"" | b"." => from.to_owned(),
        below => from.join(std::ffi::OsString::from_vec(below.to_vec())),
    };
    let cause = match Errno::from_io_error(error) {
        Some(Errno::XDEV) => "it leads out of the recipe's directory, or is on another file system there".to_owned(),
        Some(Errno::NXIO) => "it is neither a file nor a directory".to_owned(),
        _ => holm::model::text::cause(error),
    };
    Error::File { from: whole, cause }
}
