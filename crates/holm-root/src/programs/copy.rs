//! A layout made real: its directories, links and files below one new directory.
//!
//! Files are cloned where the file system can (FICLONE), else copied. Never linked to the host's: a root must not change
//! with the host's file, nor the host's file through the root. Names of one file on the host are names of one file in
//! the root.
//!
//! The order of things: directories and links, in the layout's order; then files, in several threads, since most of the
//! time goes into the kernel's work for each; then further names.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, FileTimes, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::Error;
use super::skeleton::{DIRECTORIES, FILES};
use crate::closure::Kind;
use crate::closure::layout::Layout;
use crate::closure::tree::Tree;

/// Up to so many bytes a file is read and written at once: fewer system calls, and less work than a clone.
const SMALL: u64 = 1 << 16;
/// More threads than these only wait for each other, at the locks of the file system.
const THREADS: usize = 4;

/// A file of the layout, and its copy.
struct Pair<'l> {
    from: &'l Path,
    to: PathBuf,
}

/// Makes the directory `into` with everything in the layout, and the skeleton; what `beside` gives, which is done meanwhile.
pub(crate) fn copy<T>(layout: &Layout, into: &Path, beside: impl FnOnce() -> T) -> Result<T, Error> {
    make_dir(into, 0o755).map_err(Error::make(into))?;
    let (mut files, mut names) = (Vec::new(), Vec::new());
    let mut first: HashMap<(u64, u64), usize> = HashMap::new();
    for entry in &layout.entries {
        let to: PathBuf = into.join(entry.path.strip_prefix("/").unwrap_or(&entry.path));
        match &entry.kind {
            Kind::Dir => {
                let mode = layout.tree.mode(&entry.path).unwrap_or(0o700);
                make_dir(&to, mode).map_err(Error::make(&to))?;
            }
            Kind::Link { target } => symlink(target, &to).map_err(Error::make(&to))?,
            Kind::File => {
                let known = layout.tree.identity(&entry.path).map(|id| *first.entry(id).or_insert(files.len()));
                match known {
                    Some(index) if index < files.len() => names.push((index, to)),
                    _ => files.push(Pair { from: &entry.path, to }),
                }
            }
        }
    }
    for name in DIRECTORIES {
        let to = into.join(name);
        unless_there(make_dir(&to, 0o755)).map_err(Error::make(&to))?;
    }
    let beside = copy_files(&layout.tree, &files, beside)?;
    for (index, to) in names {
        if let Some(file) = files.get(index) {
            fs::hard_link(&file.to, &to).map_err(Error::make(&to))?;
        }
    }
    for (name, text) in FILES {
        let to = into.join(name);
        unless_there(make_file(&to, text)).map_err(Error::make(&to))?;
    }
    Ok(beside)
}

fn unless_there(made: io::Result<()>) -> io::Result<()> {
    made.or_else(|e| if e.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(e) })
}

fn make_file(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(Permissions::from_mode(0o644))
}

fn copy_files<T>(tree: &Tree, files: &[Pair<'_>], beside: impl FnOnce() -> T) -> Result<T, Error> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut copier = Copier::new();
        while let Some(Pair { from, to }) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (source, status) = tree.open(from)?;
            let failed = |source| Error::Copy { from: (*from).to_owned(), to: to.clone(), source };
            copier.copy(&source, &status, to).map_err(failed)?;
        }
        Ok(())
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS).min(files.len());
    thread::scope(|scope| {
        // Where there can be no further thread, this one does it all.
        let start = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..threads).filter_map(start).collect();
        let beside = beside();
        let own = work();
        let ends = others.into_iter().map(|thread| thread.join().expect("it doesn't panic"));
        ends.fold(own, Result::and).map(|()| beside)
    })
}

/// Makes a directory that shows what is in it to nobody who can't reach it in the original, whatever the umask.
fn make_dir(path: &Path, original: u32) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(copied(original) | 0o700))
}

/// The mode of a copy: its group is another one than the original's, and gets what all others get.
pub(super) fn copied(original: u32) -> u32 {
    let others = original & 0o005;
    original & 0o700 | others << 3 | others
}

/// What a thread that copies has, and has learnt.
struct Copier {
    buffer: Vec<u8>,
    /// Bits of modes that files here are made with as asked: nothing takes them away, as a umask would.
    granted: u32,
    /// Whether files can be cloned, as far as is known.
    clones: bool,
}

impl Copier {
    fn new() -> Copier {
        Copier { buffer: Vec::with_capacity(SMALL as usize), granted: 0, clones: true }
    }

    fn copy(&mut self, mut from: &File, status: &Metadata, to: &Path) -> io::Result<()> {
        let mode = copied(status.mode());
        let mut copy = OpenOptions::new().write(true).create_new(true).mode(mode).open(to)?;
        if status.len() <= SMALL {
            let buffer = &mut self.buffer;
            buffer.resize(status.len() as usize, 0);
            // A file that has changed its size is noticed by its time.
            from.read_exact(buffer)
                .or_else(|e| if e.kind() == io::ErrorKind::UnexpectedEof { Ok(()) } else { Err(e) })?;
            copy.write_all(buffer)?;
        } else {
            self.clones = self.clones && rustix::fs::ioctl_ficlone(&copy, from).is_ok();
            if !self.clones {
                // copy_file_range(2) where it works.
                io::copy(&mut from, &mut copy)?;
            }
        }
        if mode & !self.granted != 0 {
            match copy.metadata()?.mode() & 0o7777 == mode {
                true => self.granted |= mode,
                false => copy.set_permissions(Permissions::from_mode(mode))?,
            }
        }
        copy.set_times(FileTimes::new().set_modified(status.modified()?))
    }
}
