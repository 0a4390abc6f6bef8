//! What nobody needs any more is removed.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::draft::DRAFT;
use super::{Error, Writer, metadata, pool};

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Roots.
    pub roots: u64,
    /// Contents that no root has any more, and downloads.
    pub files: u64,
    /// Bytes of these on disk.
    pub bytes: u64,
}

/// Begins the name of a draft that its finder couldn't remove.
const DEAD: &str = "dead-";

impl Writer {
    /// Removes roots without a name, contents without a root and downloaded layers. While the file of a name is damaged
    /// roots are left: one of them may be meant. So are roots that sandboxes run in, and those that changes are of.
    ///
    /// # Errors
    /// Something can't be removed.
    pub fn collect(&self) -> Result<Freed, Error> {
        let mut freed = self.tidy()?;
        self.drop_blobs(&mut freed)?;
        Ok(freed)
    }

    /// The same, but downloads stay.
    pub(super) fn tidy(&self) -> Result<Freed, Error> {
        let mut freed = Freed::default();
        let all = self.store.all()?;
        if all.iter().all(|(_, known)| known.is_ok()) {
            let mut ids: BTreeSet<String> = all.into_iter().filter_map(|(_, known)| Some(known.ok()?.id)).collect();
            ids.extend(self.store.changed_roots()?);
            let path = self.store.path.join("roots");
            for item in fs::read_dir(&path).map_err(Error::io("read", &path))? {
                let name = item.map_err(Error::io("read", &path))?.file_name();
                let Some(id) = name.to_str().filter(|id| metadata::is_id(id) && !ids.contains(*id)) else { continue };
                match self.unused(id, id) {
                    Err(Error::InUse { .. }) => continue,
                    lock => {
                        let _lock = lock?;
                        self.discard(id)?;
                        freed.roots += 1;
                    }
                }
            }
        }
        self.bury()?;
        self.forget()?;
        self.drain(&mut freed)?;
        Ok(freed)
    }

    /// Removes contents that only the pool has.
    fn drain(&self, freed: &mut Freed) -> Result<(), Error> {
        let pool = self.store.pool();
        for item in fs::read_dir(&pool).map_err(Error::io("read", &pool))? {
            let path = item.map_err(Error::io("read", &pool))?.path();
            let status = fs::symlink_metadata(&path).map_err(Error::io("read", &path))?;
            if status.nlink() == 1 {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                freed.files += 1;
                freed.bytes += status.blocks() * 512;
            }
        }
        Ok(())
    }

    /// Removes a root that has no name: it becomes a draft, at once, which the next writer would remove.
    pub(super) fn discard(&self, id: &str) -> Result<(), Error> {
        let (root, draft) = (self.store.root(id), self.store.draft());
        remove(&draft).map_err(Error::io("remove", &draft))?;
        fs::rename(&root, &draft).map_err(Error::io("remove", &root))?;
        remove(&draft).map_err(Error::io("remove", &draft))
    }

    /// Removes what dead writers left.
    pub(super) fn sweep(&self) -> Result<(), Error> {
        let path = &self.store.path;
        for left in [path.join("draft.json"), self.store.pool().join(pool::ASIDE)] {
            remove(&left).map_err(Error::io("remove", &left))?;
        }
        for item in fs::read_dir(path).map_err(Error::io("read", path))? {
            let item = item.map_err(Error::io("read", path))?;
            let is_draft = |name: &str| name == "draft" || name.starts_with(DRAFT);
            if item.file_name().to_str().is_some_and(is_draft) {
                self.sweep_draft(&item.path())?;
            }
        }
        Ok(())
    }

    fn sweep_draft(&self, draft: &Path) -> Result<(), Error> {
        // It is somebody's who lives, or is gone.
        let Some(_lock) = alone(draft).map_err(Error::io("lock", draft))? else { return Ok(()) };
        match remove(draft) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let free = (0..).map(|number: u64| self.store.path.join(format!("{DEAD}{number}")));
                let aside = free.into_iter().find(|path| !path.exists()).unwrap_or_else(|| draft.to_owned());
                fs::rename(draft, &aside).map_err(Error::io("remove", draft))
            }
            removed => removed.map_err(Error::io("remove", draft)),
        }
    }

    /// Removes drafts that other writers could not remove.
    fn bury(&self) -> Result<(), Error> {
        let path = &self.store.path;
        for item in fs::read_dir(path).map_err(Error::io("read", path))? {
            let item = item.map_err(Error::io("read", path))?;
            if item.file_name().to_str().is_some_and(|name| name.starts_with(DEAD)) {
                remove(&item.path()).map_err(Error::io("remove", &item.path()))?;
            }
        }
        Ok(())
    }
}

/// Locks a draft's directory; `None` if another has locked it, or removed it meanwhile.
pub(super) fn alone(path: &Path) -> io::Result<Option<File>> {
    let lock = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        lock => lock?,
    };
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
        Ok(()) => {}
    }
    let held = lock.metadata()?;
    let same = fs::symlink_metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (held.dev(), held.ino()));
    Ok(same.then_some(lock))
}

/// Removes a file or a directory with all in it, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(status) if status.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
