//! The cache of downloaded layers, `blobs/files/SHA256`. Whoever uses it has a shared lock, so that what it has found
//! there isn't removed before it is opened.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
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

    fn lock_file(&self) -> Result<File, Error> {
        let path = self.path.join("blobs/lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        lock.map_err(Error::io("write", &path))
    }
}

impl Writer {
    /// Removes all downloaded layers, whole and begun, unless somebody uses them.
    pub(super) fn drop_blobs(&self, freed: &mut Freed) -> Result<(), Error> {
        let path = self.store.path.join("blobs/files");
        let items = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            items => items.map_err(Error::io("read", &path))?,
        };
        let lock = self.store.lock_file()?;
        if lock.try_lock().is_err() {
            return Ok(());
        }
        for item in items {
            let path = item.map_err(Error::io("read", &path))?.path();
            let status = fs::symlink_metadata(&path).map_err(Error::io("read", &path))?;
            remove(&path).map_err(Error::io("remove", &path))?;
            freed.files += 1;
            freed.bytes += status.blocks() * 512;
        }
        Ok(())
    }
}
