//! The cache directory: whose it is, which generation is in use, and how a new one takes its place.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Error, facts};

/// A replaced generation is kept this long, since sandboxes may still be in it.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Where generations are. Earlier ones, in `bins`, relied on a cache that nobody else could enter.
const DIRECTORY: &str = "programs";
/// What a generation in the making is named.
const DRAFT: &str = "tmp-";

pub(crate) struct Store {
    bins: PathBuf,
}

/// The store, locked by this process.
pub(crate) struct Lock<'s> {
    store: &'s Store,
    /// Unlocked when it is closed.
    _file: File,
}

/// A generation in the making; removed again if it isn't published.
pub(crate) struct Draft<'l> {
    lock: &'l Lock<'l>,
    key: String,
    path: PathBuf,
}

impl Store {
    /// Opens the store in a cache directory, which is made if it isn't there.
    pub(crate) fn open(cache: &Path) -> Result<Store, Error> {
        let bins = cache.join(DIRECTORY);
        if own(cache)? == Own::Absent
            && let Some(above) = cache.parent()
        {
            DirBuilder::new().recursive(true).mode(0o700).create(above).map_err(Error::make(above))?;
        }
        for directory in [cache, &bins] {
            passable(directory)?;
        }
        Ok(Store { bins })
    }

    /// The root in use for `key`, if the host's files are still those it was made from.
    pub(crate) fn current(&self, key: &str) -> Option<PathBuf> {
        let generation = self.bins.join(self.generation(key)?);
        let facts = fs::read(generation.join("facts")).ok()?;
        let root = generation.join("root");
        (facts::hold(&facts) && root.is_dir()).then_some(root)
    }

    /// The name of the generation in use.
    fn generation(&self, key: &str) -> Option<String> {
        let name = fs::read_link(self.bins.join(key)).ok()?.into_os_string().into_string().ok()?;
        let number = name.strip_prefix(key)?.strip_prefix('-')?;
        number.bytes().all(|byte| byte.is_ascii_digit()).then_some(name)
    }

    /// Waits until no other process makes a generation.
    pub(crate) fn lock(&self) -> Result<Lock<'_>, Error> {
        let path = self.bins.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(Error::make(&path))?;
        loop {
            match file.lock() {
                Ok(()) => return Ok(Lock { store: self, _file: file }),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::make(&path)(e)),
            }
        }
    }
}

impl Lock<'_> {
    /// Removes what dead builders left, and generations replaced long ago.
    pub(crate) fn sweep(&self) {
        let Ok(items) = fs::read_dir(&self.store.bins) else { return };
        for item in items.flatten() {
            let name = item.file_name();
            let Some(name) = name.to_str() else { continue };
            let dead = match name.split_once('-') {
                _ if name.starts_with(DRAFT) => true,
                Some((key, _)) if self.store.generation(key).is_some_and(|used| used == name) => false,
                Some(_) => item.metadata().and_then(|status| status.modified()).is_ok_and(is_old),
                None => false,
            };
            if dead {
                // What can't be removed is in nobody's way; the next sweep tries again.
                let _ = remove(&item.path());
            }
        }
    }

    /// Begins a generation.
    pub(crate) fn draft(&self, key: &str) -> Result<Draft<'_>, Error> {
        let path = self.store.bins.join(format!("{DRAFT}{key}"));
        let draft = Draft { lock: self, key: key.to_owned(), path };
        DirBuilder::new().mode(0o755).create(&draft.path).map_err(Error::make(&draft.path))?;
        Ok(draft)
    }
}

impl Draft<'_> {
    pub(crate) fn root(&self) -> PathBuf {
        self.path.join("root")
    }

    /// Makes this the generation in use, and returns its root.
    pub(crate) fn publish(self, facts: &[u8]) -> Result<PathBuf, Error> {
        let bins = &self.lock.store.bins;
        let list = self.path.join("facts");
        // It names paths that not everybody may know.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&list);
        file.and_then(|mut file| file.write_all(facts)).map_err(Error::make(&list))?;
        let now = SystemTime::now();
        let number = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let name = format!("{}-{number}", self.key);
        let generation = bins.join(&name);
        fs::rename(&self.path, &generation).map_err(Error::make(&generation))?;
        let old = self.lock.store.generation(&self.key);
        let link = bins.join(format!("{DRAFT}link"));
        symlink(&name, &link).map_err(Error::make(&link))?;
        let current = bins.join(&self.key);
        fs::rename(&link, &current).map_err(Error::make(&current))?;
        if let Some(old) = old.and_then(|old| File::open(bins.join(old)).ok()) {
            // From now on its age counts. If this fails it is removed early, as if replaced when it was made.
            let _ = old.set_modified(now);
        }
        Ok(generation.join("root"))
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // After publishing there is nothing under this name.
        let _ = remove(&self.path);
    }
}

#[derive(PartialEq, Eq)]
enum Own {
    Ours,
    Absent,
}

/// Makes sure that nobody else can have put something into a directory.
fn own(path: &Path) -> Result<Own, Error> {
    let unsafe_dir = |cause: String| Error::Unsafe { path: path.to_owned(), cause };
    let status = match fs::metadata(path) {
        Ok(status) => status,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Own::Absent),
        Err(e) => return Err(unsafe_dir(holm::model::text::cause(&e))),
    };
    let us = rustix::process::geteuid().as_raw();
    if !status.is_dir() {
        return Err(unsafe_dir("it is not a directory".to_owned()));
    }
    if status.uid() != us {
        return Err(unsafe_dir(format!("it belongs to user {}, not to user {us}", status.uid())));
    }
    match status.mode() & 0o7777 {
        mode if mode & 0o022 != 0 => Err(unsafe_dir(format!("others may write to it (mode {mode:o})"))),
        _ => Ok(Own::Ours),
    }
}

/// Makes a directory of our own, or opens up one from before, so that a program that runs as somebody else reaches its
/// root. What is in it guards itself, by modes as the host's (`copy`).
fn passable(path: &Path) -> Result<(), Error> {
    if own(path)? == Own::Absent {
        match DirBuilder::new().mode(0o755).create(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(Error::make(path))?,
        }
        own(path)?;
    }
    let mode = fs::metadata(path).map_err(Error::make(path))?.mode() & 0o7777;
    match mode & 0o755 {
        0o755 => Ok(()),
        _ => fs::set_permissions(path, Permissions::from_mode(mode | 0o755)).map_err(Error::make(path)),
    }
}

fn is_old(modified: SystemTime) -> bool {
    modified.elapsed().is_ok_and(|age| age > KEPT)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path)?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}
