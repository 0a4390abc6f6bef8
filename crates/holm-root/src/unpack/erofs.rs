//! Images of erofs become a tree. The kernel reads them, mounted from their file, read-only and without a place in any
//! mount namespace: only the descriptor leads there. It mounts them for root alone, since its reader was not made for images
//! of anybody; what it shows is copied as any directory is, within limits.
//!
//! Source: Documentation/filesystems/erofs.rst, fsopen(2), fsconfig(2), fsmount(2).

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::{Errno, Result};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

use super::{Limits, failed};
use crate::progress::Tell;
use crate::store::error::Error;
use crate::tree::{Tree, copy};

/// Where an image has its magic number, and that; no tar archive has one there.
pub(crate) const MAGIC: (usize, &[u8]) = (1024, &[0xe2, 0xe1, 0xf5, 0xe0]);

/// Makes the tree that an image holds; the directory `store` can't be in it.
pub(crate) fn unpack(
    tree: &mut Tree,
    path: &Path,
    store: &Path,
    limits: Limits,
    tell: Tell<'_>,
) -> std::result::Result<(), Error> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let root = mount(&file).map_err(|error| refused(path, error))?;
    copy::copy(root, store, Some(limits), tree, tell).map_err(|(inside, error)| {
        let inside = if inside.is_empty() { path } else { Path::new(OsStr::from_bytes(&inside)) };
        failed(inside, limits, error)
    })
}

/// The image's root directory.
fn mount(file: &File) -> Result<OwnedFd> {
    let context = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_flag(&context, "ro")?;
    fsconfig_set_string(&context, "source", format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    fsconfig_create(&context)?;
    let flags = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, flags)
}

fn refused(path: &Path, error: Errno) -> Error {
    let reason = match error {
        Errno::PERM | Errno::ACCESS => "which the kernel mounts for root alone",
        Errno::NOTBLK => "which the kernel mounts from files since Linux 6.12",
        Errno::NODEV | Errno::NOSYS => "which this kernel doesn't know",
        error => return Error::unpack(path)(error),
    };
    Error::Erofs { path: path.to_owned(), reason }
}
