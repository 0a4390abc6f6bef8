//! Roots under names, in one private directory.
//!
//! | path | what |
//! |---|---|
//! | `version` | `holm store 1` |
//! | `lock` | locked (flock(2)) by whoever writes |
//! | `names/NAME.json` | [`Metadata`]: which root has this name, from where and since when |
//! | `roots/ID/files` | the files of a root, never written again; `ID` is the SHA-256 of its listing |
//! | `roots/ID/why` | the reason for each file, where it is known (`why`) |
//! | `roots/ID/listing` | every entry, as it should be (`listing`); locked, shared, by who runs in the root |
//! | `changes/NAME` | what sandboxes changed ([`crate::changes`]) |
//! | `pool/KEY` | one hard link to each file's content in all roots (`pool`) |
//! | `recipes/KEY.json` | [`Metadata`] of the root that was made by a recipe, `KEY` its hash (`recipes`) |
//! | `blobs/files/HASH` | layers of images, as registries sent them (`blobs`) |
//! | `draft-N` | a root in the making, locked while its maker lives; else the next writer removes it |
//! | `draft`, `draft.json`, `pool/link` | a root that is removed, a name, one more link in the making; at the beginning of a write it was left by a dead writer |
//! | `dead-N` | a draft with files of ids that the writer wasn't root of; removed by [`Writer::collect`] |
//!
//! The order of things when a root is stored: it is made in `draft-N`, and only then the lock is taken, but for whoever
//! needs it before: a download doesn't keep others waiting; what the pool has is linked from there; all is
//! synced to the disk; new content is linked into the pool; the draft is renamed; the name's file is written aside,
//! synced and renamed. So at any moment a name leads to a whole root, and the pool to whole files. What a kill leaves
//! behind is removed by the next writer, and roots without a name by [`Writer::collect`].
//!
//! The directory has mode 0700: an imported set-user-id program is in nobody else's reach. Stored by root, files have
//! their owners, and likewise if an ordinary user is root of a user namespace with its ranges of ids meanwhile: who
//! reads or removes those must be so, too. Stored by an ordinary user otherwise they are the user's own, always readable
//! and, if directories, writable by it, and only the listing tells the rest. [`Metadata::owners`] says which it is. Device
//! nodes are in the listing only, for root as well.
//!
//! Readers take no lock: what they read is renamed into place whole and never changed.

pub(crate) mod blobs;
mod collect;
pub(crate) mod draft;
pub(crate) mod error;
mod export;
pub(crate) mod laid;
pub(crate) mod listing;
mod metadata;
mod pool;
mod recipes;
mod usage;
mod verify;
mod why;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub use collect::Freed;
pub use draft::{Source, check_name};
pub use error::Error;
pub use metadata::{Metadata, NotOnDisk};
pub use usage::Usage;
pub use verify::Difference;

pub use crate::tree::Owners;

use listing::Listing;
use rustix::fs::{CWD, Mode, OFlags, Stat, openat};

use crate::image::Config;
use crate::tree::scan;

const VERSION: &str = "holm store 1\n";

/// A store; there may be nothing yet.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

/// The store, locked for writing.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    _lock: File,
}

/// A root of the store that stays there for as long as this exists.
#[derive(Debug)]
pub struct Held {
    /// Its files. They must not be written to.
    pub files: PathBuf,
    /// How a program is started in it, if it was made from an image.
    pub config: Option<Config>,
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    _listing: File,
}

impl Store {
    /// The store in the directory `path`.
    ///
    /// # Errors
    /// It belongs to somebody else, others may write to it, or another version made it. That there is none is no error.
    pub fn open(path: &Path) -> Result<Store, Error> {
        let unusable = |cause: String| Error::Unusable { path: path.to_owned(), cause };
        let store = Store { path: path.to_owned() };
        let status = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(store),
            status => status.map_err(|error| unusable(holm::model::text::cause(&error)))?,
        };
        let us = rustix::process::geteuid().as_raw();
        if !status.is_dir() {
            return Err(unusable("it is not a directory".to_owned()));
        }
        if status.uid() != us {
            return Err(unusable(format!("it belongs to user {}, not to user {us}", status.uid())));
        }
        if status.mode() & 0o077 != 0 {
            return Err(unusable(format!("others may enter it (mode {:o}, not 700)", status.mode() & 0o7777)));
        }
        match fs::read_to_string(path.join("version")) {
            Ok(version) if version == VERSION => Ok(store),
            Ok(other) => Err(unusable(format!("its version is {:?}, not {:?}", other.trim_end(), VERSION.trim_end()))),
            // A first writer that was killed has left nothing else.
            Err(error) if error.kind() == ErrorKind::NotFound && !path.join("names").exists() => Ok(store),
            Err(error) => Err(unusable(format!("its version can't be read: {}", holm::model::text::cause(&error)))),
        }
    }

    /// All names, sorted, each with what is known of it.
    ///
    /// # Errors
    /// The directory can't be read.
    #[expect(clippy::type_complexity, reason = "a pair of a name and a result is what it says")]
    pub fn all(&self) -> Result<Vec<(String, Result<Metadata, Error>)>, Error> {
        let names = self.names()?;
        Ok(names.into_iter().map(|name| (name.clone(), self.find(&name))).collect())
    }

    /// What is known of a root under any of its names.
    fn same(&self, id: &str) -> Result<Option<Metadata>, Error> {
        Ok(self.all()?.into_iter().filter_map(|(_, known)| known.ok()).find(|known| known.id == id))
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let path = self.path.join("names");
        let items = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            items => items.map_err(Error::io("read", &path))?,
        };
        let mut names = Vec::new();
        for item in items {
            let name = item.map_err(Error::io("read", &path))?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(".json"));
            names.extend(name.filter(|name| metadata::check_name(name).is_ok()).map(str::to_owned));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What is known of a name.
    ///
    /// # Errors
    /// There is no such name, or its file is damaged.
    pub fn find(&self, name: &str) -> Result<Metadata, Error> {
        let unknown = || Error::Unknown { name: name.to_owned(), names: self.names().unwrap_or_default() };
        if metadata::check_name(name).is_err() {
            return Err(unknown());
        }
        let path = self.name_file(name);
        let damaged = |cause: String| Error::Damaged { path: path.clone(), cause };
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(unknown()),
            text => text.map_err(Error::io("read", &path))?,
        };
        let found: Metadata =
            serde_json::from_slice(&text).map_err(|error| damaged(format!("it is no metadata: {error}")))?;
        if found.version != metadata::VERSION {
            return Err(damaged(format!("its version is {}, not {}", found.version, metadata::VERSION)));
        }
        match found.name == name && metadata::is_id(&found.id) {
            true => Ok(found),
            false => Err(damaged("it is of another name, or has no id".to_owned())),
        }
    }

    /// Finds a root, to run in it.
    ///
    /// # Errors
    /// There is no such name, or what it leads to is damaged.
    pub fn hold(&self, name: &str) -> Result<Held, Error> {
        loop {
            let found = self.find(name)?;
            let path = self.listing_file(&found.id);
            let listing = File::open(&path).map_err(Error::io("read", &path))?;
            if listing.try_lock_shared().is_err() {
                // Somebody removes it. Who has done so leaves no name.
                listing.lock_shared().map_err(Error::io("lock", &path))?;
                continue;
            }
            let same = |now: fs::Metadata| listing.metadata().is_ok_and(|held| held.ino() == now.ino());
            if fs::metadata(&path).is_ok_and(same) {
                let Metadata { name, id, config, .. } = found;
                return Ok(Held { files: self.files(&id), config, name, id, _listing: listing });
            }
        }
    }

    /// The listing of a root, if it is the one that the id is of.
    pub(crate) fn listing(&self, id: &str) -> Result<Listing, Error> {
        let path = self.listing_file(id);
        let text = fs::read(&path).map_err(Error::io("read", &path))?;
        let text = String::from_utf8(text).ok().filter(|text| listing::id(text) == id);
        let cause = || "it is not the listing that the root's id is of".to_owned();
        text.and_then(|text| Listing::parse(&text)).ok_or_else(|| Error::Damaged { path, cause: cause() })
    }

    /// Opens the directory with the files of a root.
    pub(crate) fn open_files(&self, id: &str) -> Result<OwnedFd, Error> {
        open_directory(&self.files(id))
    }

    /// Every path in that directory with its status.
    fn walk(&self, id: &str, root: BorrowedFd<'_>) -> Result<BTreeMap<Vec<u8>, Stat>, Error> {
        let failed = |(inside, error): (Vec<u8>, io::Error)| {
            Error::io("read", &self.files(id).join(OsStr::from_bytes(&inside)))(error)
        };
        scan::walk(root).map_err(failed)
    }

    /// Its directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it has been made.
    fn has_version(&self) -> bool {
        self.path.join("version").exists()
    }

    /// Makes the store if there is none. Where there is one nobody who writes to it is waited for.
    pub(crate) fn ensure(&self) -> Result<(), Error> {
        if !self.has_version() {
            self.clone().write()?;
        }
        Ok(())
    }

    fn name_file(&self, name: &str) -> PathBuf {
        self.path.join("names").join(format!("{name}.json"))
    }

    fn root(&self, id: &str) -> PathBuf {
        self.path.join("roots").join(id)
    }

    pub(crate) fn files(&self, id: &str) -> PathBuf {
        self.root(id).join("files")
    }

    fn listing_file(&self, id: &str) -> PathBuf {
        self.root(id).join("listing")
    }

    fn pool(&self) -> PathBuf {
        self.path.join("pool")
    }

    /// Where a root goes that is removed.
    fn draft(&self) -> PathBuf {
        self.path.join("draft")
    }

    /// Makes the store if there is none, and waits until nobody else writes to it. What a dead writer left is removed.
    ///
    /// # Errors
    /// The directory can't be made, or not be written to.
    pub fn write(self) -> Result<Writer, Error> {
        if !self.has_version() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.path).map_err(Error::io("make", &self.path))?;
        }
        let path = self.path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(Error::io("write", &path))?;
        while let Err(error) = lock.lock() {
            if error.kind() != ErrorKind::Interrupted {
                return Err(Error::io("lock", &path)(error));
            }
        }
        let writer = Writer { store: self, _lock: lock };
        writer.sweep()?;
        writer.prepare()?;
        Ok(writer)
    }
}

impl Writer {
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    fn prepare(&self) -> Result<(), Error> {
        let version = self.store.path.join("version");
        if !version.exists() {
            let aside = self.store.path.join("draft.json");
            write_synced(&aside, VERSION.as_bytes()).map_err(Error::io("write", &aside))?;
            fs::rename(&aside, &version).map_err(Error::io("write", &version))?;
        }
        for name in ["names", "roots", "pool", "recipes"] {
            let path = self.store.path.join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => made.map_err(Error::io("make", &path))?,
            }
        }
        Ok(())
    }

    /// Gives a root a name, at once.
    fn put_name(&self, metadata: &Metadata) -> Result<(), Error> {
        let path = self.store.name_file(&metadata.name);
        self.put(metadata, &path, |file| file.sync_all())?;
        sync_directory(&self.store.path.join("names"))
    }

    /// Writes a file of metadata, at once; `sync` has it reach the disk before it gets its name.
    fn put(&self, metadata: &Metadata, path: &Path, sync: fn(&File) -> io::Result<()>) -> Result<(), Error> {
        let aside = self.store.path.join("draft.json");
        let mut text = serde_json::to_vec_pretty(metadata).map_err(|error| Error::io("write", path)(error))?;
        text.push(b'\n');
        write_private(&aside, &text).and_then(|file| sync(&file)).map_err(Error::io("write", &aside))?;
        fs::rename(&aside, path).map_err(Error::io("write", path))
    }

    /// Takes a name away; its root goes with it, unless another name has it.
    ///
    /// # Errors
    /// There is no such name; a sandbox runs in the root.
    pub fn remove(&self, name: &str) -> Result<Freed, Error> {
        let found = match self.store.find(name) {
            // Without the name's file its root has no name, and `collect` can tell.
            Err(Error::Damaged { .. }) => None,
            found => Some(found?),
        };
        let others = |metadata: &Metadata| {
            let same = |(other, known): &(String, Result<Metadata, Error>)| {
                other != name && known.as_ref().is_ok_and(|known| known.id == metadata.id)
            };
            self.store.all().map(|all| all.iter().any(same))
        };
        let alone = match &found {
            Some(metadata) => !others(metadata)?,
            None => false,
        };
        let alone = match &found {
            // Changes need what they are of; `collect` removes it when they are gone.
            Some(metadata) => alone && !self.store.changed_roots()?.contains(&metadata.id),
            None => alone,
        };
        let lock = match &found {
            Some(metadata) if alone => self.unused(&metadata.id, name)?,
            _ => None,
        };
        let path = self.store.name_file(name);
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        sync_directory(&self.store.path.join("names"))?;
        if let (Some(metadata), Some(_lock)) = (&found, &lock) {
            self.discard(&metadata.id)?;
        }
        self.tidy()
    }

    /// Locks a root against use; `None` if it is damaged so far that nobody can use it.
    fn unused(&self, id: &str, name: &str) -> Result<Option<File>, Error> {
        let path = self.store.listing_file(id);
        let listing = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            listing => listing.map_err(Error::io("read", &path))?,
        };
        match listing.try_lock() {
            Ok(()) => Ok(Some(listing)),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { name: name.to_owned() }),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
        }
    }
}

pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).map_err(Error::io("read", path))
}

pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_private(path, bytes)?.sync_all()
}

/// Writes a file that is the caller's alone.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<File> {
    use std::io::Write;
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    Ok(file)
}

pub(crate) fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(Error::io("sync", path))
}
