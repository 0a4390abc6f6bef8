//! The cache of downloaded layers, `blobs/files/SHA256`. Whoever uses it has a shared lock, so that what it has found
//! there isn't removed before it is opened.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::collect::{Freed, remove};
use super::{Error, Store, Writer};

/// The cache, in use.
#[derive(Debug)]
pub(crate) struct Blobs {
    path: PathBuf,
    _lock: File,
}

impl Blobs {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Store {
    /// The cache, made if it isn't there.
    pub(crate) fn blobs(&self) -> Result<Blobs, Error> {
        let path = self.path.join("blobs");
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made.map_err(Error::io("make", &path))?,
        }
        let lock = self.lock_file()?;
        lock.lock_shared().map_err(Error::io("lock", &path))?;
        Ok(Blobs { path, _lock: lock })
    }

    /// Downloaded layers, whole and begun, with what each takes on disk.
    fn blob_files(&self) -> Result<Vec<(PathBuf, u64)>, Error> {
        let path = self.path.join("blobs/files");
        let items = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            items => items.map_err(Error::io("read", &path))?,
        };
        let one = |item: io::Result<fs::DirEntry>| {
            let path = item.map_err(Error::io("read", &path))?.path();
            match fs::symlink_metadata(&path) {
                // Its download has just ended.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                status => Ok(Some((path.clone(), status.map_err(Error::io("read", &path))?.blocks() * 512))),
            }
        };
        items.filter_map(|item| one(item).transpose()).collect()
    }

    /// How many bytes downloaded layers take on disk.
    pub(super) fn blob_bytes(&self) -> Result<u64, Error> {
        Ok(self.blob_files()?.iter().map(|(_, bytes)| bytes).sum())
    }

    fn lock_file(&self) -> Result<File, Error> {
        let path = self.path.join("blobs/lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        lock.map_err(Error::io("write", &path))
    }
}

impl Writer {
    /// Removes all downloaded layers, whole and begun, unless somebody uses them.
    pub(super) fn drop_blobs(&self, freed: &mut Freed) -> Result<(), Error> {
        if !self.store.path.join("blobs").exists() {
            return Ok(());
        }
        let lock = self.store.lock_file()?;
        if lock.try_lock().is_err() {
            return Ok(());
        }
        for (path, bytes) in self.store.blob_files()? {
            remove(&path).map_err(Error::io("remove", &path))?;
            freed.files += 1;
            freed.bytes += bytes;
        }
        Ok(())
    }
}
