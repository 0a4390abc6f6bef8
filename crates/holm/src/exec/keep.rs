//! What the parent makes outside on wish, undone if a later step fails.

use rustix::fs::{FileType, Mode, OFlags, fstat, fstatfs, open};
use rustix::io::{Errno, Result};
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Makes a directory of mode 755, whatever the caller's umask, unless it is there.
pub(crate) fn make_directory(path: &Path) -> Result<()> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o700)) {
        Err(Errno::EXIST) if path.is_dir() => return Ok(()),
        made => made?,
    }
    let directory = open(path, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    rustix::fs::fchmod(&directory, Mode::from_raw_mode(0o755))
}

/// A kept namespace; gone again when dropped, unless `commit` was called.
pub(crate) struct Kept {
    /// The file that was made for it, and where.
    made: Option<(PathBuf, OwnedFd)>,
    mounted: Option<OwnedFd>,
}

impl Kept {
    /// Binds the namespace file `name` of process `pid` on `path`, which must not hold one already.
    pub(crate) fn new(pid: i32, name: &str, path: &Path) -> Result<Kept> {
        let mut kept = Kept { made: None, mounted: None };
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::RDONLY;
        let existing;
        let file = match open(path, flags, Mode::from_raw_mode(0o444)) {
            Ok(file) => &kept.made.insert((path.to_owned(), file)).1,
            Err(Errno::EXIST) => {
                existing = empty_file(path)?;
                &existing
            }
            Err(errno) => return Err(errno),
        };
        mount_bind(format!("/proc/{pid}/ns/{name}"), itself(file))?;
        kept.mounted = Some(open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?);
        Ok(kept)
    }

    /// Leaves it in place.
    pub(crate) fn commit(mut self) {
        self.made = None;
        self.mounted = None;
    }
}

/// Opens what stands at `path`: a namespace is EEXIST, a symbolic link ELOOP, anything but an empty file of the
/// caller's EPERM.
fn empty_file(path: &Path) -> Result<OwnedFd> {
    const NSFS_MAGIC: i64 = 0x6e73_6673;
    let file = open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let found = fstat(&file)?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Symlink => Err(Errno::LOOP),
        _ if fstatfs(&file)?.f_type as i64 == NSFS_MAGIC => Err(Errno::EXIST),
        FileType::RegularFile if found.st_size == 0 && found.st_uid == rustix::process::geteuid().as_raw() => Ok(file),
        _ => Err(Errno::PERM),
    }
}

/// A path that leads to what `file` is open on, whatever has its name by now.
fn itself(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(tree) = &self.mounted {
            let _ = unmount(itself(tree), UnmountFlags::DETACH);
        }
        if let Some((path, file)) = &self.made
            && let (Ok(made), Ok(there)) = (fstat(file), rustix::fs::lstat(path))
            && (made.st_dev, made.st_ino) == (there.st_dev, there.st_ino)
        {
            let _ = std::fs::remove_file(path);
        }
    }
}
