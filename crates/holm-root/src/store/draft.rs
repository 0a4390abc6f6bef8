//! A root that is being stored.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::listing::{self, Item, Listing};
use super::metadata::{self, Metadata, NotOnDisk};
use super::{Error, Store, Writer, collect, open_directory, pool, sync_directory, write_private};
use crate::image::{self, Config, Image};
use crate::progress::{Progress, Stage, Tell};
use crate::tree::scan::{Found, scan};
use crate::tree::{Owners, Tree, copy};
use crate::unpack::decoder::{Digests, decode};
use crate::unpack::{Form, Limits, Unpack, erofs, squashfs};

/// What a root is made from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'p> {
    /// A copy of a directory.
    Directory(&'p Path),
    /// A tar archive, plain or compressed by gzip, xz or zstd, within limits.
    Archive(&'p Path, Limits),
    /// An image of squashfs, within limits.
    Squashfs(&'p Path, Limits),
    /// An image of erofs, within limits.
    Erofs(&'p Path, Limits),
    /// The layers of an image, within limits.
    Image(&'p Image, Limits),
}

impl<'p> Source<'p> {
    /// A directory, archive or image of a file system at `path`, as it turns out.
    ///
    /// # Errors
    /// There is none of them.
    pub fn find(path: &'p Path, limits: Limits) -> Result<Source<'p>, Error> {
        let kind = fs::metadata(path).map_err(Error::io("read", path))?.file_type();
        if kind.is_file() {
            let mut start = Vec::new();
            let read = File::open(path).and_then(|file| file.take(2048).read_to_end(&mut start));
            read.map_err(Error::io("read", path))?;
            if start.starts_with(squashfs::MAGIC) {
                return Ok(Source::Squashfs(path, limits));
            }
            if start.get(erofs::MAGIC.0..).is_some_and(|rest| rest.starts_with(erofs::MAGIC.1)) {
                return Ok(Source::Erofs(path, limits));
            }
        }
        match kind.is_dir() {
            true => Ok(Source::Directory(path)),
            false if kind.is_file() || kind.is_fifo() => Ok(Source::Archive(path, limits)),
            false => {
                let cause = "it is neither a directory nor a file".to_owned();
                Err(Error::Unpack { path: path.to_owned(), cause })
            }
        }
    }

    fn config(&self) -> Option<Config> {
        match self {
            Source::Image(image, _) => Some(image.config.clone()),
            Source::Directory(_) | Source::Archive(..) | Source::Squashfs(..) | Source::Erofs(..) => None,
        }
    }

    fn words(&self) -> String {
        let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        match self {
            Source::Directory(path) => format!("directory {}", whole(path).display()),
            Source::Archive(path, _) => format!("archive {}", whole(path).display()),
            Source::Squashfs(path, _) => format!("squashfs {}", whole(path).display()),
            Source::Erofs(path, _) => format!("erofs {}", whole(path).display()),
            Source::Image(image, _) => image.source.clone(),
        }
    }
}

/// A file that is opened when it is read.
struct Later {
    path: PathBuf,
    file: Option<File>,
}

impl Read for Later {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.path)?),
        };
        file.read(buffer)
    }
}

/// Begins the name of a root in the making.
pub(super) const DRAFT: &str = "draft-";

/// Begins what is said of a root that a recipe's file made; the rest is the file's path.
pub(crate) const RECIPE: &str = "recipe ";

/// A root in the making; its directory is removed unless it was renamed.
pub(crate) struct Draft {
    path: PathBuf,
    pub(crate) tree: Tree,
    /// Of the directory; none once that is a root's.
    lock: Option<File>,
}

impl Draft {
    /// The directory of its files.
    pub(crate) fn files(&self) -> PathBuf {
        self.beside("files")
    }

    /// What is of this name beside its files.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // What can't be removed now is for the next writer.
            let _ = collect::remove(&self.path);
        }
    }
}

impl Store {
    /// Stores a root under a name; if it is there under that name already, it stays as it is. The store is locked only when
    /// all of the root is there.
    ///
    /// # Errors
    /// The source can't be read or is refused; the name is another root's; no space is left; `tell` wanted it to stop.
    pub fn import(&self, source: Source<'_>, name: &str, tell: Tell<'_>) -> Result<Metadata, Error> {
        check_name(name)?;
        let draft = self.filled(source, tell)?;
        let metadata = self.clone().write()?.finish(draft, name, source.words(), source.config())?;
        // It is stored, whatever the answer.
        let _ = tell(Progress { stage: Stage::Store, done: 1, total: 1 });
        Ok(metadata)
    }

    /// Stores a root without a name, for something to be made of it as long as the store is locked.
    ///
    /// # Errors
    /// The source can't be read or is refused; no space is left; `tell` wanted it to stop.
    pub fn import_unnamed(&self, source: Source<'_>, tell: Tell<'_>) -> Result<(Metadata, Writer), Error> {
        let draft = self.filled(source, tell)?;
        let writer = self.clone().write()?;
        let metadata = writer.keep(draft, source.words(), source.config())?;
        Ok((metadata, writer))
    }

    /// A root with all of a source.
    fn filled(&self, source: Source<'_>, tell: Tell<'_>) -> Result<Draft, Error> {
        // There must be a store for a draft to be in it.
        self.ensure()?;
        let draft = match source {
            Source::Directory(path) => {
                let mut draft = self.begin()?;
                let source = copy::open(path).map_err(Error::unpack(path))?;
                copy::copy(source, &self.path, None, &mut draft.tree, tell)
                    .map_err(|(inside, error)| Error::unpack(&path.join(OsStr::from_bytes(&inside)))(error))?;
                draft
            }
            Source::Archive(path, limits) => self.archive(path, limits, tell)?,
            Source::Squashfs(path, limits) => {
                let mut draft = self.begin()?;
                squashfs::unpack(&mut draft.tree, path, limits, tell)?;
                draft
            }
            Source::Erofs(path, limits) => {
                let mut draft = self.begin()?;
                erofs::unpack(&mut draft.tree, path, &self.path, limits, tell)?;
                draft
            }
            Source::Image(image, limits) => image.unpack(|| self.begin(), limits, tell)?,
        };
        match tell(Progress { stage: Stage::Store, done: 0, total: 1 }).is_break() {
            true => Err(Error::Interrupted),
            false => Ok(draft),
        }
    }

    fn archive(&self, path: &Path, limits: Limits, tell: Tell<'_>) -> Result<Draft, Error> {
        let mut draft = self.begin()?;
        // A pipe's length is 0.
        let status = fs::metadata(path).map_err(Error::io("read", path))?;
        let (total, read) = (status.len(), Arc::new(AtomicU64::new(0)));
        let stream = match status.is_file() {
            true => {
                let file = File::open(path).map_err(Error::io("read", path))?;
                decode(file, Digests::default(), Arc::clone(&read))
            }
            // Opening it waits for who writes to it, perhaps for ever: not in this thread.
            false => decode(Later { path: path.to_owned(), file: None }, Digests::default(), Arc::clone(&read)),
        };
        let stream = stream.map_err(Error::unpack(path))?;
        let mut go_on = || tell(Progress { stage: Stage::Unpack, done: read.load(Ordering::Relaxed), total });
        Unpack::new(&mut draft.tree, Form::Whole, limits, &mut go_on).archive(stream, path)?;
        match image::is_archive_of_one(&draft.tree).map_err(Error::unpack(path))? {
            true => Err(Error::Packed { path: path.to_owned() }),
            false => Ok(draft),
        }
    }

    /// Begins a root. Other writers leave it alone while there is the draft.
    fn begin(&self) -> Result<Draft, Error> {
        for number in 0_u64.. {
            let path = self.path.join(format!("{DRAFT}{number}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                made => made.map_err(Error::io("make", &path))?,
            }
            // Until it is locked another writer may take it for a dead one's.
            let Some(lock) = collect::alone(&path).map_err(Error::io("lock", &path))? else { continue };
            let files = path.join("files");
            DirBuilder::new().mode(0o700).create(&files).map_err(Error::io("make", &files))?;
            let tree = Tree::new(&files).map_err(Error::io("make", &files))?;
            return Ok(Draft { path, tree, lock: Some(lock) });
        }
        unreachable!("there are more numbers than directories")
    }
}

impl Writer {
    /// Begins a root.
    pub(crate) fn begin(&self) -> Result<Draft, Error> {
        self.store.begin()
    }

    /// Stores a root that is complete under a name that there can be; if it is there under that name already, it stays
    /// as it is.
    pub(crate) fn finish(
        &self,
        mut draft: Draft,
        name: &str,
        source: String,
        config: Option<Config>,
    ) -> Result<Metadata, Error> {
        let (mut metadata, found, text) = describe(&mut draft, name, source, config)?;
        if let Some(there) = self.vacant(&metadata)? {
            return Ok(there);
        }
        self.publish(&mut draft, &found, &text, &mut metadata)?;
        self.put_name(&metadata)?;
        Ok(metadata)
    }

    /// Stores a root that is complete without a name: [`Writer::collect`] removes it.
    pub(crate) fn keep(&self, mut draft: Draft, source: String, config: Option<Config>) -> Result<Metadata, Error> {
        let (mut metadata, found, text) = describe(&mut draft, "", source, config)?;
        self.publish(&mut draft, &found, &text, &mut metadata)?;
        Ok(metadata)
    }

    /// Whether a root has its name already; another root must not.
    pub(super) fn vacant(&self, metadata: &Metadata) -> Result<Option<Metadata>, Error> {
        match self.store.find(&metadata.name) {
            Ok(there) if (&there.id, &there.config) == (&metadata.id, &metadata.config) => Ok(Some(there)),
            // The same recipe has made another root: the name moves.
            Ok(there) if there.source == metadata.source && metadata.source.starts_with(RECIPE) => Ok(None),
            Ok(_) => Err(Error::Taken { name: metadata.name.clone() }),
            Err(Error::Unknown { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a finished draft a root of the store, unless the same root is there.
    fn publish(&self, draft: &mut Draft, found: &Found, text: &str, metadata: &mut Metadata) -> Result<(), Error> {
        let root = self.store.root(&metadata.id);
        if root.exists() {
            // It may have been about to be removed: whoever renamed it has not seen its name written.
            sync_directory(&self.store.path.join("roots"))?;
            // It stays as whoever stored it could make it.
            if let Some(same) = self.store.same(&metadata.id)? {
                (metadata.owners, metadata.not_on_disk) = (same.owners, same.not_on_disk);
            }
            return Ok(());
        }
        let tree = &draft.tree;
        let Found { listing, status, .. } = found;
        let path = self.store.pool();
        let pool = open_directory(&path)?;
        let new = pool::share(tree.root(), pool.as_fd(), listing, status, tree.owners()).map_err(store_failed)?;
        let is_directory = |(_, item): &(&Vec<u8>, &Item)| matches!(item, Item::Directory(_));
        let directories = listing.0.iter().filter(is_directory).map(|(path, _)| path.as_slice());
        tree.set_times(directories).map_err(Error::io("store", &draft.path))?;
        let list = draft.path.join("listing");
        write_private(&list, text.as_bytes()).map_err(Error::io("write", &list))?;
        // Once for all files: one by one takes longer than making them.
        rustix::fs::syncfs(tree.root()).map_err(Error::io("sync", &draft.path))?;
        pool::add(tree.root(), pool.as_fd(), &new).map_err(store_failed)?;
        fs::rename(&draft.path, &root).map_err(Error::io("store", &root))?;
        draft.lock = None;
        sync_directory(&self.store.path.join("roots"))
    }
}

/// What is known of a draft that is complete.
fn describe(
    draft: &mut Draft,
    name: &str,
    source: String,
    config: Option<Config>,
) -> Result<(Metadata, Found, String), Error> {
    let found = scan(&mut draft.tree).map_err(store_failed)?;
    let text = found.listing.text();
    let owners = draft.tree.owners();
    let metadata = Metadata {
        version: metadata::VERSION,
        name: name.to_owned(),
        id: listing::id(&text),
        source,
        created: SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()),
        size: found.listing.size(),
        entries: found.listing.0.len() as u64,
        owners,
        not_on_disk: not_on_disk(&found.listing, owners, found.left_out),
        config,
    };
    Ok((metadata, found, text))
}

/// Refuses what can't be a name.
///
/// # Errors
/// It breaks a rule.
pub fn check_name(name: &str) -> Result<(), Error> {
    metadata::check_name(name).map_err(|cause| Error::Name { name: name.to_owned(), cause })
}

fn store_failed((path, error): (Vec<u8>, io::Error)) -> Error {
    Error::io("store", Path::new(OsStr::from_bytes(&path)))(error)
}

fn not_on_disk(listing: &Listing, owners: Owners, left_out: u64) -> NotOnDisk {
    let us = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let others = |item: &&Item| item.facts().is_some_and(|facts| (facts.uid, facts.gid) != us);
    NotOnDisk {
        owners: match owners {
            Owners::Kept => 0,
            Owners::Listed => listing.0.values().filter(others).count() as u64,
        },
        devices: listing.0.values().filter(|item| matches!(item, Item::Device { .. })).count() as u64,
        left_out,
    }
}
