//! A root that is being stored.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::listing::{self, Item, Listing};
use super::metadata::{self, Metadata, NotOnDisk};
use super::{Error, Writer, collect, open_directory, pool, sync_directory, write_synced};
use crate::tree::scan::{Found, scan};
use crate::tree::{Owners, Tree, copy};
use crate::unpack::{Limits, unpack};

/// What a root is made from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'p> {
    /// A copy of a directory.
    Directory(&'p Path),
    /// A tar archive, plain or compressed by gzip, xz or zstd, within limits.
    Archive(&'p Path, Limits),
}

impl<'p> Source<'p> {
    /// A directory or archive at `path`, as it turns out.
    ///
    /// # Errors
    /// There is neither.
    pub fn find(path: &'p Path, limits: Limits) -> Result<Source<'p>, Error> {
        let kind = fs::metadata(path).map_err(Error::io("read", path))?.file_type();
        match kind.is_dir() {
            true => Ok(Source::Directory(path)),
            false if kind.is_file() || kind.is_fifo() => Ok(Source::Archive(path, limits)),
            false => {
                let cause = "it is neither a directory nor a file".to_owned();
                Err(Error::Unpack { path: path.to_owned(), cause })
            }
        }
    }

    fn words(&self) -> String {
        let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        match self {
            Source::Directory(path) => format!("directory {}", whole(path).display()),
            Source::Archive(path, _) => format!("archive {}", whole(path).display()),
        }
    }
}

/// A draft's directory, removed unless it was renamed.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // What can't be removed now is for the next writer.
        let _ = collect::remove(&self.0);
    }
}

impl Writer {
    /// Stores a root under a name; if it is there under that name already, it stays as it is.
    ///
    /// # Errors
    /// The source can't be read or is refused; the name is another root's; no space is left.
    pub fn import(&self, source: Source<'_>, name: &str) -> Result<Metadata, Error> {
        metadata::check_name(name).map_err(|cause| Error::Name { name: name.to_owned(), cause })?;
        let draft = Draft(self.store.draft());
        let files = draft.0.join("files");
        for path in [&draft.0, &files] {
            DirBuilder::new().mode(0o700).create(path).map_err(Error::io("make", path))?;
        }
        let mut tree = Tree::new(&files).map_err(Error::io("make", &files))?;
        match source {
            Source::Directory(path) => copy::copy(path, &self.store.path, &mut tree)
                .map_err(|(inside, error)| Error::unpack(&path.join(OsStr::from_bytes(&inside)))(error))?,
            Source::Archive(path, limits) => {
                let file = File::open(path).map_err(Error::io("read", path))?;
                unpack(file, path, &mut tree, limits)?;
            }
        }
        let found = scan(&mut tree).map_err(store_failed)?;
        let text = found.listing.text();
        let metadata = Metadata {
            version: metadata::VERSION,
            name: name.to_owned(),
            id: listing::id(&text),
            source: source.words(),
            created: SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()),
            size: found.listing.size(),
            entries: found.listing.0.len() as u64,
            not_on_disk: not_on_disk(&found.listing, tree.owners(), found.left_out),
        };
        match self.store.find(name) {
            Ok(there) if there.id == metadata.id => return Ok(there),
            Ok(_) => return Err(Error::Taken { name: name.to_owned() }),
            Err(Error::Unknown { .. }) => {}
            Err(error) => return Err(error),
        }
        if self.store.root(&metadata.id).exists() {
            // It may have been about to be removed: whoever renamed it has not seen its name written.
            sync_directory(&self.store.path.join("roots"))?;
        } else {
            self.publish(&draft, &tree, &found, &text, &metadata.id)?;
        }
        self.put_name(&metadata)?;
        Ok(metadata)
    }

    /// Makes a finished draft a root of the store.
    fn publish(&self, draft: &Draft, tree: &Tree, found: &Found, text: &str, id: &str) -> Result<(), Error> {
        let Found { listing, status, .. } = found;
        let path = self.store.pool();
        let pool = open_directory(&path)?;
        let new = pool::share(tree.root(), pool.as_fd(), listing, status, tree.owners()).map_err(store_failed)?;
        let is_directory = |(_, item): &(&Vec<u8>, &Item)| matches!(item, Item::Directory(_));
        let directories = listing.0.iter().filter(is_directory).map(|(path, _)| path.as_slice());
        tree.set_times(directories).map_err(Error::io("store", &draft.0))?;
        let list = draft.0.join("listing");
        write_synced(&list, text.as_bytes()).map_err(Error::io("write", &list))?;
        // Once for all files: one by one takes longer than making them.
        rustix::fs::syncfs(tree.root()).map_err(Error::io("sync", &draft.0))?;
        pool::add(tree.root(), pool.as_fd(), &new).map_err(store_failed)?;
        let root = self.store.root(id);
        fs::rename(&draft.0, &root).map_err(Error::io("store", &root))?;
        sync_directory(&self.store.path.join("roots"))
    }
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
