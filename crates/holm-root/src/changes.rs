//! Changes that sandboxes made, kept apart under names in the store.
//!
//! | path in the store | what |
//! |---|---|
//! | `changes/NAME/about.json` | [`About`]: what the changes are of; written aside, synced and renamed before a program runs |
//! | `changes/NAME/lock` | locked (flock(2)) by whoever writes: a run, `apply`, `commit`, `drop` |
//! | `changes/NAME/KEY-upper`, `KEY-work` | what overlayfs keeps of one place, and its own directory |
//! | `changes/NAME/root-base` | what the host's root was made of, links and small files |
//! | `changes/.gone` | changes that are being removed; left by a dead process, the next one removes them |
//!
//! All of it has been written by whom nobody trusts: names, links and modes below an upper directory are the program's.
//! They are read by descriptor, never through a link (`layer`). What counts is overlayfs's own marks, which a program
//! inside can't set: it sees its attributes of such names under others (overlayfs, "Nesting overlayfs mounts").
//!
//! Readers take no lock; what they see of a running sandbox is what is there at that moment.

mod about;
mod apply;
mod base;
mod commit;
mod compare;
mod layer;
mod remove;

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, Gid, Mode, Stat, Uid, flock};
use rustix::time::{ClockId, clock_gettime};

pub use about::{About, Ids, Marks, Place, Root, Text};
pub use apply::{Act, Application, Clash, Step};
pub use base::Entry;
pub use compare::{Aspect, Change, Comparison, Renames, Spot, What};

use layer::Layer;

use crate::store::error::Error;
use crate::store::{Store, open_directory, sync_directory, write_synced};

/// Why a directory of this name isn't what changes are of.
const ANOTHER: &str = "it is another directory than the changes are of";

/// Changes that this process alone may write, or that it only looks at.
#[derive(Debug)]
pub struct Changes {
    store: Store,
    name: String,
    /// What is known of them; `None` before the first run.
    about: Option<About>,
    /// New, and to be removed unless a program ran.
    fresh: bool,
    /// `None` for who only looks: nothing is made.
    lock: Option<File>,
}

/// What a run says of itself.
#[derive(Clone, Debug)]
pub struct Run {
    /// How overlayfs marks what it does.
    pub marks: Marks,
    /// What the ids of files on disk are.
    pub ids: Ids,
    /// Where something is mounted inside.
    pub points: Vec<PathBuf>,
    /// The program and its arguments.
    pub command: Vec<Text>,
    /// What the host's root is made of, in order.
    pub entries: Vec<Entry>,
}

impl Store {
    /// All kept changes, sorted by name, each with what is known of them.
    ///
    /// # Errors
    /// The directory can't be read.
    #[expect(clippy::type_complexity, reason = "a pair of a name and a result is what it says")]
    pub fn all_changes(&self) -> Result<Vec<(String, Result<About, Error>)>, Error> {
        let names = self.changes_names()?;
        Ok(names.into_iter().map(|name| (name.clone(), self.changes(&name))).collect())
    }

    fn changes_names(&self) -> Result<Vec<String>, Error> {
        let path = self.changes_directory();
        let items = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            items => items.map_err(Error::io("read", &path))?,
        };
        let mut names = Vec::new();
        for item in items {
            let item = item.map_err(Error::io("read", &path))?;
            let name = item.file_name().into_string().ok();
            // Without it no program has run.
            let ran = item.path().join("about.json").exists();
            names.extend(name.filter(|name| ran && crate::store::check_name(name).is_ok()));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What is known of changes.
    ///
    /// # Errors
    /// There are none of that name, or their file is damaged.
    pub fn changes(&self, name: &str) -> Result<About, Error> {
        let unknown =
            || Error::UnknownChanges { name: name.to_owned(), names: self.changes_names().unwrap_or_default() };
        if crate::store::check_name(name).is_err() {
            return Err(unknown());
        }
        let path = self.changes_of(name).join("about.json");
        let damaged = |cause: String| Error::Damaged { path: path.clone(), cause };
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(unknown()),
            text => text.map_err(Error::io("read", &path))?,
        };
        About::parse(&text, name).map_err(damaged)
    }

    /// Compares all places of changes with what they are of.
    ///
    /// # Errors
    /// There are none of that name; what they are of is gone, or another directory by now; something can't be read.
    pub fn compare(&self, about: &About, renames: Renames) -> Result<Vec<Comparison>, Error> {
        about.places.iter().map(|place| self.compare_place(about, place, renames)).collect()
    }

    fn compare_place(&self, about: &About, place: &Place, renames: Renames) -> Result<Comparison, Error> {
        let upper = self.changes_of(&about.name).join(place.upper());
        let base = self.base(about, place);
        let same = |found: &fs::Metadata| place.inode == 0 || found.ino() == place.inode;
        if !fs::metadata(&base).map_err(Error::io("read", &base)).map(|found| same(&found))? {
            return Err(Error::Damaged { path: base, cause: ANOTHER.to_owned() });
        }
        let layers = (Layer::open(&upper, Some(about.marks))?, Layer::open(&base, None)?);
        Comparison::new(about, place, layers, renames)
    }

    /// The directory that a place's changes are of.
    fn base(&self, about: &About, place: &Place) -> PathBuf {
        match (&about.root, place.key.as_str()) {
            (Root::Host, "root") => self.changes_of(&about.name).join(base::BASE),
            (Root::Stored { id, .. }, "root") => self.files(id),
            _ => place.base.path().to_owned(),
        }
    }

    /// The ids of stored roots that changes are of.
    pub(crate) fn changed_roots(&self) -> Result<BTreeSet<String>, Error> {
        let mut ids = BTreeSet::new();
        for (_, about) in self.all_changes()? {
            if let Root::Stored { id, .. } = about?.root {
                ids.insert(id);
            }
        }
        Ok(ids)
    }

    /// Locks changes, to write them; with `root` they are made if there are none of that name.
    ///
    /// # Errors
    /// The name can't be one; there are none, or of another root; somebody else writes them.
    pub fn take_changes(&self, name: &str, root: Option<&Root>) -> Result<Changes, Error> {
        match root {
            Some(_) => {
                crate::store::check_name(name)?;
                self.prepare_changes()?;
            }
            None => match self.changes(name) {
                // They can still be dropped.
                Err(Error::Damaged { .. }) => {}
                found => drop(found?),
            },
        }
        let path = self.changes_of(name);
        let lock = loop {
            if root.is_some() {
                match DirBuilder::new().mode(0o700).create(&path) {
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    made => made.map_err(Error::io("make", &path))?,
                }
            }
            let file = path.join("lock");
            let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&file);
            let lock = match lock {
                // Somebody has just removed the changes.
                Err(error) if error.kind() == ErrorKind::NotFound && root.is_some() => continue,
                lock => lock.map_err(Error::io("lock", &file))?,
            };
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Error::ChangesInUse { name: name.to_owned() }),
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", &file)(error)),
            }
            let same = |now: fs::Metadata| lock.metadata().is_ok_and(|held| held.ino() == now.ino());
            if fs::metadata(&file).is_ok_and(same) {
                break lock;
            }
        };
        let about = match self.changes(name) {
            Err(Error::UnknownChanges { .. }) if root.is_some() => None,
            Err(Error::Damaged { .. }) if root.is_none() => None,
            about => Some(about?),
        };
        if let (Some(about), Some(root)) = (&about, root) {
            about.is_of(root)?;
        }
        Ok(Changes {
            store: self.clone(),
            name: name.to_owned(),
            fresh: about.is_none() && root.is_some(),
            about,
            lock: Some(lock),
        })
    }

    /// Looks at what [`Store::take_changes`] would take: nothing is made or locked, and places get the layers that they would have.
    ///
    /// # Errors
    /// The name can't be one; they are of another root, or damaged.
    pub fn look_at_changes(&self, name: &str, root: &Root) -> Result<Changes, Error> {
        crate::store::check_name(name)?;
        let about = match self.changes(name) {
            Err(Error::UnknownChanges { .. }) => None,
            about => Some(about?),
        };
        if let Some(about) = &about {
            about.is_of(root)?;
        }
        Ok(Changes { store: self.clone(), name: name.to_owned(), about, fresh: false, lock: None })
    }

    fn prepare_changes(&self) -> Result<(), Error> {
        self.ensure()?;
        let path = self.changes_directory();
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            made => made.map_err(Error::io("make", &path)),
        }
    }

    fn changes_directory(&self) -> PathBuf {
        self.path().join("changes")
    }

    fn changes_of(&self, name: &str) -> PathBuf {
        self.changes_directory().join(name)
    }
}

impl Changes {
    /// What holds the lock: for whoever writes the changes and may live longer than this. `None` for who only looks.
    pub fn lock(&self) -> Option<BorrowedFd<'_>> {
        self.lock.as_ref().map(AsFd::as_fd)
    }

    /// What is known of them, read after they were locked.
    ///
    /// # Errors
    /// Their file is damaged.
    pub fn about(&self) -> Result<About, Error> {
        self.about.clone().map_or_else(|| self.store.changes(&self.name), Ok)
    }

    /// The directory of the layers: where a plan keeps what is written to the root.
    pub fn directory(&self) -> PathBuf {
        self.store.changes_of(&self.name)
    }

    /// Makes the layer of one more place, or finds the one it has; its two directories, for changes and for the kernel.
    ///
    /// # Errors
    /// It is the store itself or a directory above it; it has another place inside this run; a layer can't be made.
    pub fn place(&mut self, places: &mut Vec<Place>, base: &Path, at: &Path) -> Result<(PathBuf, PathBuf), Error> {
        let found = fs::canonicalize(base).map_err(Error::io("read", base))?;
        let refused = |cause: &'static str| Error::Uncopied { path: base.to_owned(), cause };
        let store = match fs::canonicalize(self.store.path()) {
            // Who only looks may find none.
            Err(error) if error.kind() == ErrorKind::NotFound => self.store.path().to_owned(),
            store => store.map_err(Error::io("read", self.store.path()))?,
        };
        if store.starts_with(&found) || found.starts_with(&store) {
            return Err(Error::HoldsStore { path: base.to_owned() });
        }
        let inode = fs::metadata(&found).map_err(Error::io("read", base))?.ino();
        if places.iter().any(|place| place.is_bound() && place.base.path() == found) {
            return Err(refused("it is bound twice, and its changes would meet"));
        }
        let known = self.about.iter().flat_map(|about| &about.places);
        let place = match known.clone().find(|place| place.base.path() == found && place.is_bound()) {
            Some(known) if known.inode != inode => return Err(refused(ANOTHER)),
            Some(known) => Place { at: at.into(), ..known.clone() },
            None => {
                let used = |key: &String| known.clone().chain(places.iter()).any(|place| place.key == *key);
                let key = (1_u32..).map(|number| number.to_string()).find(|key| !used(key));
                Place {
                    key: key.unwrap_or_default(),
                    base: found.into(),
                    at: at.into(),
                    inode,
                    began: (0, 0),
                    applied: Vec::new(),
                }
            }
        };
        let made = self.layer(&place)?;
        places.push(place);
        Ok(made)
    }

    /// Makes the layers of the root: one, or for the host's a second one for `/usr`.
    ///
    /// # Errors
    /// A layer can't be made.
    pub fn root(&mut self, places: &mut Vec<Place>, root: &Root) -> Result<(), Error> {
        let layers: &[(&str, PathBuf, &str)] = match root {
            Root::Host => &[("root", PathBuf::new(), "/"), ("usr", "/usr".into(), "/usr")],
            Root::Programs(path) | Root::Directory(path) => &[("root", path.path().to_owned(), "/")],
            Root::Stored { id, .. } => &[("root", self.store.files(id), "/")],
        };
        for (key, base, at) in layers {
            let inode = fs::metadata(base).map_or(0, |found| found.ino());
            let known = self.about.iter().flat_map(|about| &about.places).find(|place| place.key == *key);
            if known.is_some_and(|known| known.inode != inode) {
                return Err(Error::Uncopied { path: base.clone(), cause: ANOTHER });
            }
            let began = known.map_or((0, 0), |known| known.began);
            let (base, at) = (base.clone().into(), Path::new(at).into());
            let place = Place { key: (*key).to_owned(), base, at, inode, began, applied: Vec::new() };
            self.layer(&place)?;
            places.push(place);
        }
        Ok(())
    }

    /// Makes the two directories of a place, for who may write. Inside, the upper one is what the directory itself looks like.
    fn layer(&self, place: &Place) -> Result<(PathBuf, PathBuf), Error> {
        let (upper, work) = (self.directory().join(place.upper()), self.directory().join(place.work()));
        if self.lock.is_none() {
            return Ok((upper, work));
        }
        let listed = self.about.iter().flat_map(|about| &about.places).any(|known| known.key == place.key);
        if !listed {
            self.clear(&upper)?;
        }
        let base = fs::metadata(place.base.path()).ok();
        for (directory, base) in [(&work, None), (&upper, base)] {
            match DirBuilder::new().mode(0o700).create(directory) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                made => made.map_err(Error::io("make", directory))?,
            }
            let mode = base.as_ref().map_or(0o755, |base| base.mode() & 0o1777);
            if let Some(base) = base.filter(|_| rustix::process::geteuid().is_root()) {
                let (uid, gid) = (Uid::from_raw(base.uid()), Gid::from_raw(base.gid()));
                let owned = rustix::fs::chownat(CWD, directory, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
                owned.map_err(Error::io("make", directory))?;
            }
            let set = rustix::fs::chmodat(CWD, directory, Mode::from_raw_mode(mode), AtFlags::empty());
            set.map_err(Error::io("make", directory))?;
        }
        Ok((upper, work))
    }

    /// Removes a layer that a process made which was killed before its program ran.
    fn clear(&self, layer: &Path) -> Result<(), Error> {
        let directory = open_directory(&self.directory())?;
        let name = layer.file_name().unwrap_or_default();
        remove::remove(directory.as_fd(), name.as_encoded_bytes()).map_err(Error::io("remove", layer))
    }

    /// Writes what is known, right before a program runs. Returns when every change that comes later to the host's files of a
    /// place that is new has a later time.
    ///
    /// # Errors
    /// It can't be written, or overlayfs has marked changes of that name in another way.
    pub fn begin(&mut self, root: Root, mut places: Vec<Place>, run: Run) -> Result<(), Error> {
        if self.about.as_ref().is_some_and(|about| about.marks != run.marks || about.ids != run.ids) {
            return Err(Error::OtherIds { name: self.name.clone() });
        }
        if root == Root::Host {
            base::write(&self.directory(), &run.entries)?;
        }
        let now = clock_gettime(ClockId::Realtime);
        let new = places.iter().any(|place| place.began == (0, 0));
        for place in places.iter_mut().filter(|place| place.began == (0, 0)) {
            place.began = (now.tv_sec, now.tv_nsec);
        }
        let mut points: BTreeSet<Text> = run.points.into_iter().map(Text::from).collect();
        if let Some(about) = &self.about {
            points.extend(about.points.iter().cloned());
            let others = about.places.iter().filter(|old| !places.iter().any(|place| place.key == old.key));
            places.extend(others.cloned().collect::<Vec<_>>());
        }
        let about = About {
            version: about::VERSION,
            name: self.name.clone(),
            root,
            places,
            marks: run.marks,
            ids: run.ids,
            points: points.into_iter().collect(),
            started: u64::try_from(now.tv_sec).unwrap_or_default(),
            command: run.command,
        };
        self.write(&about)?;
        self.about = Some(about);
        // A file's time is that of the last tick of the clock (at most 10 ms old), `now` is exact.
        while new && clock_gettime(ClockId::RealtimeCoarse) <= now {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Ok(())
    }

    fn write(&self, about: &About) -> Result<(), Error> {
        let (aside, path) = (self.directory().join("about.new"), self.directory().join("about.json"));
        let mut text = serde_json::to_vec_pretty(about).map_err(|error| Error::io("write", &path)(error))?;
        text.push(b'\n');
        write_synced(&aside, &text).map_err(Error::io("write", &aside))?;
        fs::rename(&aside, &path).map_err(Error::io("write", &path))?;
        sync_directory(&self.directory())
    }

    /// Notes what was applied to the host's directory of a place.
    ///
    /// # Errors
    /// It can't be written.
    pub fn applied(&mut self, place: &Place, done: &[(PathBuf, Stat)]) -> Result<(), Error> {
        let Some(mut about) = self.about.clone() else { return Ok(()) };
        for place in about.places.iter_mut().filter(|known| known.key == place.key) {
            for (path, status) in done {
                let path = Text::from(path.as_path());
                place.applied.retain(|one| one.0 != path);
                let nanoseconds = i64::try_from(status.st_ctime_nsec).unwrap_or_default();
                place.applied.push((path, status.st_ino, status.st_ctime, nanoseconds));
            }
        }
        self.write(&about)?;
        self.about = Some(about);
        Ok(())
    }

    /// The program runs: the changes stay.
    pub fn keep(&mut self) {
        self.fresh = false;
    }

    /// Removes them.
    ///
    /// # Errors
    /// Something of them belongs to somebody else, or can't be removed.
    pub fn drop_all(mut self) -> Result<(), Error> {
        self.fresh = false;
        self.discard()
    }

    /// Under another name first, so that they are gone at once or not at all.
    fn discard(&self) -> Result<(), Error> {
        let (path, above) = (self.directory(), self.store.changes_directory());
        let parent = open_directory(&above)?;
        // Two that remove at once would remove each other's.
        flock(&parent, FlockOperation::LockExclusive).map_err(Error::io("lock", &above))?;
        let _ = DirBuilder::new().mode(0o700).create(above.join(".gone"));
        let gone = above.join(".gone").join(format!("{}-{}", self.name, std::process::id()));
        fs::rename(&path, &gone).map_err(Error::io("remove", &path))?;
        remove::remove(parent.as_fd(), b".gone").map_err(Error::io("remove", &path))
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        if self.fresh {
            // What can't be removed now has no `about.json`, and is nobody's changes.
            let _ = self.discard();
        }
    }
}
