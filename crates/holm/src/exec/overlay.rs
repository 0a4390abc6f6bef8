//! Overlays (overlayfs). Runs in the child: nothing here allocates.

use super::mounts::{Elsewhere, Names, PLAIN, Scratch, attach_on_top};
use super::program::{Layers, Tree, UpperLayer};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fstat, openat};
use rustix::io::{Errno, Result};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen, unmount,
};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Layers that the parent has cloned, reachable on top of `/` for as long as the overlay is made: overlayfs takes no
/// detached ones on older kernels.
struct OnTop(usize);

impl OnTop {
    fn layer(&mut self, tree: &Tree) -> Result<OwnedFd> {
        match tree {
            Tree::Opened(tree, _) => {
                attach_on_top(tree.as_fd())?;
                self.0 += 1;
                rustix::io::fcntl_dupfd_cloexec(tree, 3)
            }
            Tree::Path(path) => directory(CWD, path),
            Tree::Descriptor(_) => Err(Errno::BADF),
        }
    }
}

impl Drop for OnTop {
    fn drop(&mut self) {
        for _ in 0..self.0 {
            let _ = unmount(c"/", UnmountFlags::DETACH);
        }
    }
}

fn directory(base: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    openat(base, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// A detached overlay of `layers`; `root` is what was made so far.
pub(crate) fn overlay(layers: &Layers, root: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let mut stack = OnTop(0);
    let mut names = Names::new();
    if layers.so_far {
        names.add(root.ok_or(Errno::BADF)?.as_raw_fd())?;
    }
    const MOST: usize = crate::spec::filesystem::LAYERS;
    let mut opened = [const { None::<OwnedFd> }; MOST];
    for (slot, tree) in opened.iter_mut().zip(&layers.lower) {
        let layer = stack.layer(tree)?;
        names.add(layer.as_raw_fd())?;
        *slot = Some(layer);
    }
    if layers.lower.len() > MOST {
        return Err(Errno::TOOBIG);
    }
    let mut scratch = None;
    let upper = match &layers.upper {
        UpperLayer::None => None,
        UpperLayer::Temporary => {
            let made = scratch.insert(Scratch::new()?);
            Some((made.directory(c"upper")?, made.directory(c"work")?))
        }
        UpperLayer::Kept { tree, upper, work } => {
            let tree = tree.as_ref().map(|tree| stack.layer(tree)).transpose()?;
            let base = tree.as_ref().map_or(CWD, AsFd::as_fd);
            Some((directory(base, upper)?, directory(base, work)?))
        }
    };
    // Layers are named by descriptor numbers relative to /proc/self/fd: short, exact, and free of ':' and ','.
    let _there = Elsewhere::enter(c"/proc/self/fd")?;
    fsconfig_set_string(context.as_fd(), c"lowerdir", names.text()?)?;
    if let Some((upper, work)) = &upper {
        for (key, layer) in [(c"upperdir", upper), (c"workdir", work)] {
            let mut name = Names::new();
            name.add(layer.as_raw_fd())?;
            fsconfig_set_string(context.as_fd(), key, name.text()?)?;
        }
    }
    if layers.user_attributes {
        fsconfig_set_flag(context.as_fd(), c"userxattr")?;
    }
    fsconfig_create(context.as_fd())?;
    if let (UpperLayer::Kept { .. }, Some((_, work))) = (&layers.upper, &upper) {
        readable(work);
    }
    let read_only = if upper.is_none() { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, PLAIN | read_only)
}

/// Opens up the directory that overlayfs makes in its work directory, with no mode at all: its owner could not remove a
/// tree with it. The kernel works in it with the rights of who mounted. The working directory is /proc/self/fd.
fn readable(work: &OwnedFd) {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(inner) = openat(work, c"work", flags, Mode::empty()) else { return };
    let mut name = Names::new();
    if fstat(&inner).is_ok_and(|found| found.st_mode & 0o7777 == 0)
        && name.add(inner.as_raw_fd()).is_ok()
        && let Ok(name) = name.text()
    {
        // Where the directory belongs to somebody else, it stays as it is.
        let _ = rustix::fs::chmodat(CWD, name, Mode::from_raw_mode(0o700), AtFlags::empty());
    }
}
