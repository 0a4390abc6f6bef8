//! Paths inside the new root, resolved without ever leaving it. Runs in the child: nothing here allocates.
//!
//! Each look-up is openat2(2) with `RESOLVE_IN_ROOT`, so a symbolic link, absolute or climbing, stays inside. A link as
//! the last part is refused. Missing parts are made only on file systems that this sandbox made: nothing appears on a
//! disk of the host.

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxFlags, openat2};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// A path inside, cut into C strings beforehand.
pub(crate) struct Place {
    /// The whole path, relative to the root; `.` is the root.
    whole: CString,
    /// Each part with the path of the directory it is in.
    parts: Vec<(CString, CString)>,
}

impl Place {
    /// Cuts `path`, which planning has checked: absolute, without `..` and NUL.
    pub(crate) fn new(path: &Path) -> Place {
        let text = |path: &Path| {
            let bytes = path.as_os_str().as_bytes();
            CString::new(if bytes.is_empty() { b"." } else { bytes }).expect("planning refuses NUL bytes")
        };
        let relative: std::path::PathBuf =
            path.components().filter(|c| matches!(c, std::path::Component::Normal(_))).collect();
        let mut parts: Vec<(CString, CString)> =
            relative.ancestors().filter_map(|p| Some((text(p.parent()?), text(Path::new(p.file_name()?))))).collect();
        parts.reverse();
        Place { whole: text(&relative), parts }
    }

    /// The path of the directory it is in, and the last part; the root has none (EEXIST).
    pub(crate) fn last(&self) -> Result<(&CStr, &CStr)> {
        self.parts.last().map(|(directory, name)| (directory.as_c_str(), name.as_c_str())).ok_or(Errno::EXIST)
    }
}

/// The mounts that this sandbox made, by the kernel's id; directories and files may be made on them.
pub(crate) struct Own(Box<[AtomicU64]>);

impl Own {
    /// Room for `count` mounts.
    pub(crate) fn new(count: usize) -> Own {
        Own((0..count).map(|_| AtomicU64::new(0)).collect())
    }

    /// Notes the mount that `mount` is open on.
    pub(crate) fn add(&self, mount: BorrowedFd<'_>) -> Result<()> {
        let id = mount_id(mount)?;
        let free = self.0.iter().find(|slot| slot.load(Ordering::Relaxed) == 0).ok_or(Errno::NOBUFS)?;
        free.store(id, Ordering::Relaxed);
        Ok(())
    }

    /// Whether a descriptor is on one of them.
    pub(crate) fn contains(&self, directory: BorrowedFd<'_>) -> Result<bool> {
        let id = mount_id(directory)?;
        Ok(self.0.iter().any(|slot| slot.load(Ordering::Relaxed) == id))
    }
}

/// The kernel's id of the mount that a descriptor is on.
pub(crate) fn mount_id(file: BorrowedFd<'_>) -> Result<u64> {
    Ok(rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?.stx_mnt_id)
}

/// What to make if the last part is missing.
#[derive(Clone, Copy)]
pub(crate) enum Make {
    Nothing,
    Directory,
    File,
}

/// The root with what was made in it.
#[derive(Clone, Copy)]
pub(crate) struct Inside<'a> {
    pub(crate) root: BorrowedFd<'a>,
    pub(crate) made: &'a Own,
}

impl Inside<'_> {
    fn look(&self, path: &CStr, flags: OFlags) -> Result<OwnedFd> {
        crate::sys::inside::look(self.root, path, flags)
    }

    /// Opens what is at `place` (`O_PATH`), makes it first if it is missing, and refuses a symbolic link (ELOOP).
    pub(crate) fn open(&self, place: &Place, make: Make) -> Result<OwnedFd> {
        self.open_by(place, make, OFlags::NOFOLLOW)
    }

    /// The same, but a symbolic link leads to what it names inside.
    pub(crate) fn open_through(&self, place: &Place, make: Make) -> Result<OwnedFd> {
        self.open_by(place, make, OFlags::empty())
    }

    /// Opens what is at `place` (`O_PATH`), and refuses symbolic links anywhere in it (ELOOP).
    pub(crate) fn open_without_links(&self, place: &Place) -> Result<OwnedFd> {
        crate::sys::inside::look_without_links(self.root, place.whole.as_c_str())
    }

    fn open_by(&self, place: &Place, make: Make, links: OFlags) -> Result<OwnedFd> {
        let found = match (self.look(&place.whole, links), make) {
            // A link as the last part may lead to what is missing.
            (Err(Errno::NOENT), Make::Directory | Make::File) if links.is_empty() => {
                self.make_through(&place.whole, make)?
            }
            (Err(Errno::NOENT), Make::Directory | Make::File) => {
                let (directory, name) = (self.directory(place)?, place.last()?.1);
                let made = match make {
                    Make::Directory => rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o755)),
                    _ => create(directory.as_fd(), name, 0o444).map(drop),
                };
                let there = || self.look(&place.whole, OFlags::NOFOLLOW);
                match made {
                    // Another sandbox with this root has made it meanwhile, or it is a link that leads nowhere.
                    Err(Errno::EXIST) => no_link(there()).map_err(|errno| match errno {
                        Errno::LOOP => Errno::EXIST,
                        errno => errno,
                    })?,
                    made => made.and_then(|()| there())?,
                }
            }
            (found, _) => found?,
        };
        no_link(Ok(found))
    }

    /// The directory that `place` is in, made where it is missing, checked to be one of ours.
    pub(crate) fn directory(&self, place: &Place) -> Result<OwnedFd> {
        let Some(((last_in, _), before)) = place.parts.split_last() else { return Err(Errno::EXIST) };
        let directory = match self.look(last_in, OFlags::DIRECTORY) {
            Err(Errno::NOENT) => {
                for (parent, name) in before {
                    let parent = self.look(parent, OFlags::DIRECTORY)?;
                    match self
                        .own(parent.as_fd())
                        .and_then(|()| rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)))
                    {
                        Ok(()) | Err(Errno::EXIST) => {}
                        // Not ours, but it may be there already.
                        Err(Errno::ROFS)
                            if rustix::fs::accessat(&parent, name, rustix::fs::Access::EXISTS, AtFlags::empty())
                                .is_ok() => {}
                        Err(errno) => return Err(errno),
                    }
                }
                self.look(last_in, OFlags::DIRECTORY)?
            }
            found => found?,
        };
        self.own(directory.as_fd())?;
        Ok(directory)
    }

    /// Refuses (EROFS) a directory on a file system of the host.
    pub(crate) fn own(&self, directory: BorrowedFd<'_>) -> Result<()> {
        if self.made.contains(directory)? { Ok(()) } else { Err(Errno::ROFS) }
    }
}

/// Refuses a symbolic link (ELOOP).
pub(crate) fn no_link(found: Result<OwnedFd>) -> Result<OwnedFd> {
    let found = found?;
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode);
    if kind.is_symlink() { Err(Errno::LOOP) } else { Ok(found) }
}

/// Makes a file that isn't there and opens it for writing.
pub(crate) fn create(directory: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(mode))
}

/// Writes all of `bytes`.
pub(crate) fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(file, bytes))?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// Writes all of `bytes` to an existing file of a /proc in one write, as the kernel wants it there: of that very file system,
/// whatever is mounted below it (EXDEV).
pub(crate) fn write_at(proc: BorrowedFd<'_>, path: &CStr, bytes: &[u8]) -> Result<()> {
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    let file = openat2(proc, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), within)?;
    match rustix::io::write(&file, bytes)? == bytes.len() {
        true => Ok(()),
        false => Err(Errno::IO),
    }
}

mod through;

#[cfg(test)]
mod tests;
