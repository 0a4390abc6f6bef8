//! What the parent makes outside on wish, undone if a later step fails.

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};
use std::path::{Path, PathBuf};

/// Makes a directory unless it is there.
pub(crate) fn make_directory(path: &Path) -> Result<()> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) if path.is_dir() => Ok(()),
        other => other,
    }
}

/// A kept namespace; gone again when dropped, unless `commit` was called.
pub(crate) struct Kept {
    path: PathBuf,
    made: bool,
    mounted: bool,
}

impl Kept {
    /// Binds the namespace file `name` of process `pid` on `path`, which must not hold one already.
    pub(crate) fn new(pid: i32, name: &str, path: &Path) -> Result<Kept> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::RDONLY;
        let made = match rustix::fs::open(path, flags, Mode::from_raw_mode(0o444)) {
            Ok(_) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(errno),
        };
        let mut kept = Kept { path: path.to_owned(), made, mounted: false };
        let there = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        const NSFS_MAGIC: i64 = 0x6e73_6673;
        if rustix::fs::fstatfs(&there)?.f_type as i64 == NSFS_MAGIC {
            return Err(Errno::EXIST);
        }
        rustix::mount::mount_bind(format!("/proc/{pid}/ns/{name}"), path)?;
        kept.mounted = true;
        Ok(kept)
    }

    /// Leaves it in place.
    pub(crate) fn commit(mut self) {
        self.made = false;
        self.mounted = false;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.mounted {
            let _ = rustix::mount::unmount(&self.path, rustix::mount::UnmountFlags::DETACH);
        }
        if self.made {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
