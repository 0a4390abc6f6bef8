//! File systems and binds, by descriptor. Runs in the child (and, for sources, in the parent): nothing here allocates.

use super::place::{Inside, Make, Place, create, write_all};
use super::program::{READ_ONLY, TmpfsOptions, Tree};
use super::within::Within;
use crate::sys::mount::{Reach, set_attributes};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, open};
use rustix::io::{Errno, Result};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount, move_mount, open_tree, unmount,
};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

pub(crate) const PLAIN: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// Clones what is mounted at a path that counts from a directory; without a path, at what the descriptor is open on.
pub(crate) fn clone_at(from: BorrowedFd<'_>, path: &CStr, reach: Reach) -> Result<OwnedFd> {
    let below = match reach {
        Reach::One => OpenTreeFlags::empty(),
        Reach::Tree => OpenTreeFlags::AT_RECURSIVE,
    };
    let itself = if path.is_empty() { OpenTreeFlags::AT_EMPTY_PATH } else { OpenTreeFlags::empty() };
    open_tree(from, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | below | itself)
}

/// Clones the tree of mounts at a path of the caller's.
pub(crate) fn clone_path(path: &CStr) -> Result<OwnedFd> {
    clone_at(CWD, path, Reach::Tree)
}

/// Clones the mount at a directory of the caller's from there on, without the mounts below it.
pub(crate) fn clone_layer(path: &CStr) -> Result<OwnedFd> {
    let tree = clone_at(CWD, path, Reach::One)?;
    if is_directory(tree.as_fd())? { Ok(tree) } else { Err(Errno::NOTDIR) }
}

pub(crate) fn is_directory(file: BorrowedFd<'_>) -> Result<bool> {
    Ok(FileType::from_raw_mode(fstat(file)?.st_mode).is_dir())
}

/// Clones the tree of mounts that a descriptor is open on.
///
/// A descriptor from another mount namespace can't be cloned, so its path is looked up in this one; what is found must
/// be the same file (ESTALE).
pub(crate) fn clone_descriptor(number: i32) -> Result<OwnedFd> {
    let wanted = fstat(crate::sys::process::borrow(number).ok_or(Errno::BADF)?)?;
    let link = Link::to(number);
    let mut path = [0u8; 4096];
    let length = rustix::fs::readlinkat_raw(CWD, link.text()?, &mut path[..])?;
    if length == 0 || length >= path.len() || path[0] != b'/' {
        return Err(Errno::NOENT);
    }
    let path = CStr::from_bytes_until_nul(&path).map_err(|_| Errno::NAMETOOLONG)?;
    let tree = clone_path(path)?;
    let found = fstat(&tree)?;
    if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino) { Ok(tree) } else { Err(Errno::STALE) }
}

/// The path by which this process reaches what a descriptor is open on (proc(5)).
struct Link([u8; 25]);

impl Link {
    fn to(number: i32) -> Link {
        let mut bytes = *b"/proc/self/fd/0000000000\0";
        let length = decimal(number, &mut bytes[14..]);
        bytes[14 + length] = 0;
        Link(bytes)
    }

    fn text(&self) -> Result<&CStr> {
        CStr::from_bytes_until_nul(&self.0).map_err(|_| Errno::INVAL)
    }
}

/// A detached file system whose options mount(2) takes and fsconfig(2) doesn't: a value of that is at most 255 bytes.
pub(crate) fn by_mount(source: &CStr, kind: &CStr, options: &CStr) -> Result<OwnedFd> {
    let scratch = Scratch::new()?;
    let at = scratch.directory(c"at")?;
    mount(source, Link::to(at.as_raw_fd()).text()?, kind, MountFlags::empty(), options)?;
    clone_at(scratch.0.as_fd(), c"at", Reach::One)
}

/// Writes `number` as decimal digits; returns how many.
pub(crate) fn decimal(mut number: i32, to: &mut [u8]) -> usize {
    let mut digits = [0u8; 10];
    let mut count = 0;
    loop {
        digits[count] = b'0' + (number % 10) as u8;
        number /= 10;
        count += 1;
        if number == 0 {
            break;
        }
    }
    for (place, digit) in digits[..count].iter().rev().enumerate() {
        to[place] = *digit;
    }
    count
}

/// A clone of `tree` with `attributes` on every mount of it, private.
pub(crate) fn prepare(tree: &Tree, attributes: u64) -> Result<Prepared<'_>> {
    let cloned = match tree {
        // The parent has set its attributes: this side has no right over a mount from outside.
        Tree::Opened(opened, _) => return Ok(Prepared::Opened(opened.as_fd())),
        Tree::Path(path) => clone_path(path)?,
        Tree::Descriptor(number) => clone_descriptor(*number)?,
    };
    set_attributes(cloned.as_fd(), Reach::Tree, attributes)?;
    Ok(Prepared::Cloned(cloned))
}

/// A detached tree of mounts.
pub(crate) enum Prepared<'a> {
    Opened(BorrowedFd<'a>),
    Cloned(OwnedFd),
}

impl AsFd for Prepared<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Prepared::Opened(fd) => *fd,
            Prepared::Cloned(fd) => fd.as_fd(),
        }
    }
}

/// Puts a detached tree on top of `/` of the namespace, where it is reached by its descriptor.
pub(crate) fn attach_on_top(tree: BorrowedFd<'_>) -> Result<()> {
    move_mount(tree, c"", CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Puts a detached tree where the directory is that it is of: nowhere else (ESTALE).
pub(crate) fn attach_in_place(tree: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    let at = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let (wanted, found) = (fstat(tree)?, fstat(&at)?);
    match (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino) {
        true => attach(tree, at.as_fd()),
        false => Err(Errno::STALE),
    }
}

/// Puts a detached tree on an open place.
pub(crate) fn attach(tree: BorrowedFd<'_>, at: BorrowedFd<'_>) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, c"", at, c"", flags)
}

/// Puts a detached tree at `place`, which is made if it is missing and may be.
pub(crate) fn attach_inside(tree: BorrowedFd<'_>, inside: Inside<'_>, place: &Place) -> Result<()> {
    let kind = FileType::from_raw_mode(fstat(tree)?.st_mode);
    let make = if kind.is_dir() { Make::Directory } else { Make::File };
    let at = inside.open(place, make)?;
    attach(tree, at.as_fd()).map_err(|errno| match fstat(&at).map(|found| FileType::from_raw_mode(found.st_mode)) {
        // The kernel's answer is EINVAL for both.
        Ok(stands) if stands.is_dir() && !kind.is_dir() => Errno::ISDIR,
        Ok(stands) if kind.is_dir() && !stands.is_dir() => Errno::NOTDIR,
        _ => errno,
    })
}

/// A detached file system of this kind, perhaps with an option.
pub(crate) fn plain(kind: &CStr, option: Option<(&CStr, &CStr)>, flags: MountAttrFlags) -> Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    if let Some((key, value)) = option {
        fsconfig_set_string(context.as_fd(), key, value)?;
    }
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)
}

/// A detached tmpfs.
pub(crate) fn tmpfs(mode: &CStr, options: Option<&TmpfsOptions>) -> Result<OwnedFd> {
    let context = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), c"mode", mode)?;
    if let Some(options) = options {
        if let Some(size) = &options.size {
            fsconfig_set_string(context.as_fd(), c"size", size.as_c_str())?;
        }
        if let Some((uid, gid)) = &options.owner {
            fsconfig_set_string(context.as_fd(), c"uid", uid.as_c_str())?;
            fsconfig_set_string(context.as_fd(), c"gid", gid.as_c_str())?;
        }
    }
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, PLAIN)
}

/// A tmpfs that is reachable by path for as long as it is needed: overlayfs and binds take no detached ones on older
/// kernels. It hangs on top of `/` and is taken off when dropped.
pub(crate) struct Scratch(OwnedFd);

impl Scratch {
    pub(crate) fn new() -> Result<Scratch> {
        let mount = tmpfs(c"755", None)?;
        attach_on_top(mount.as_fd())?;
        Ok(Scratch(mount))
    }

    pub(crate) fn directory(&self, name: &CStr) -> Result<OwnedFd> {
        rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o755))?;
        rustix::fs::openat(&self.0, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The topmost mount at `/` is this one: nothing else is put there while it exists.
        let _ = unmount(c"/", UnmountFlags::DETACH);
    }
}

/// Another working directory, until dropped: the caller's relative paths count from the one before.
pub(crate) struct Elsewhere(Option<OwnedFd>);

impl Elsewhere {
    pub(crate) fn enter(path: &CStr) -> Result<Elsewhere> {
        // With ids inside it may not be searched: then no later step could look up anything from it either.
        let before = match open(c".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::ACCESS) => None,
            before => Some(before?),
        };
        rustix::process::chdir(path)?;
        Ok(Elsewhere(before))
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.as_ref().map(rustix::process::fchdir);
    }
}

/// Descriptor numbers joined by ':', as overlayfs lists layers. An option's value is at most 255 bytes (fsconfig(2)).
pub(crate) struct Names {
    bytes: [u8; 256],
    length: usize,
}

impl Names {
    pub(crate) fn new() -> Names {
        Names { bytes: [0; 256], length: 0 }
    }

    pub(crate) fn add(&mut self, number: i32) -> Result<()> {
        if self.length + 12 > self.bytes.len() {
            return Err(Errno::TOOBIG);
        }
        if self.length > 0 {
            self.bytes[self.length] = b':';
            self.length += 1;
        }
        self.length += decimal(number, &mut self.bytes[self.length..]);
        Ok(())
    }

    pub(crate) fn text(&self) -> Result<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).map_err(|_| Errno::INVAL)
    }
}

/// A detached mount of one new file that holds `bytes`.
pub(crate) fn data(bytes: &[u8], mode: u32, attributes: u64) -> Result<OwnedFd> {
    let scratch = Scratch::new()?;
    let file = create(scratch.0.as_fd(), c"data", 0o600)?;
    write_all(file.as_fd(), bytes)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    let tree = clone_at(scratch.0.as_fd(), c"data", Reach::One)?;
    set_attributes(tree.as_fd(), Reach::One, attributes)?;
    Ok(tree)
}

/// The small /dev, in place.
pub(crate) fn dev(inside: Inside<'_>, place: &Place) -> Result<OwnedFd> {
    let dev = tmpfs(c"755", None)?;
    attach_inside(dev.as_fd(), inside, place)?;
    for name in [c"null", c"zero", c"full", c"random", c"urandom", c"tty"] {
        let tree = device(name)?;
        drop(create(dev.as_fd(), name, 0o444)?);
        move_mount(&tree, c"", &dev, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    }
    let links = [
        (c"/proc/self/fd", c"fd"),
        (c"/proc/self/fd/0", c"stdin"),
        (c"/proc/self/fd/1", c"stdout"),
        (c"/proc/self/fd/2", c"stderr"),
        (c"pts/ptmx", c"ptmx"),
    ];
    for (target, name) in links {
        rustix::fs::symlinkat(target, &dev, name)?;
    }
    let exec = MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let pts = fsopen(c"devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_flag(pts.as_fd(), c"newinstance")?;
    fsconfig_set_string(pts.as_fd(), c"ptmxmode", c"0666")?;
    fsconfig_set_string(pts.as_fd(), c"mode", c"620")?;
    fsconfig_create(pts.as_fd())?;
    let pts = fsmount(pts.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_NOSUID | exec)?;
    for (mount, name) in [(pts, c"pts"), (tmpfs(c"1777", None)?, c"shm")] {
        rustix::fs::mkdirat(&dev, name, Mode::from_raw_mode(0o755))?;
        move_mount(&mount, c"", &dev, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    }
    set_attributes(dev.as_fd(), Reach::One, READ_ONLY)?;
    Ok(dev)
}

/// A detached mount of one device node of the caller's /dev.
pub(crate) fn device(name: &CStr) -> Result<OwnedFd> {
    let mut path = [0u8; 16];
    path[..5].copy_from_slice(b"/dev/");
    path[5..5 + name.count_bytes()].copy_from_slice(name.to_bytes());
    let path = CStr::from_bytes_until_nul(&path).map_err(|_| Errno::INVAL)?;
    let tree = clone_at(CWD, path, Reach::One)?;
    if !FileType::from_raw_mode(fstat(&tree)?.st_mode).is_char_device() {
        return Err(Errno::NODEV);
    }
    set_attributes(tree.as_fd(), Reach::One, libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC)?;
    Ok(tree)
}

/// A detached directory that is empty and read-only.
pub(crate) fn empty_directory() -> Result<OwnedFd> {
    let made = tmpfs(c"555", None)?;
    set_attributes(made.as_fd(), Reach::One, READ_ONLY)?;
    Ok(made)
}

/// Hides what is at `place`: a directory by an empty read-only one, which is made once and kept in `empty`, a file by the
/// null device.
pub(crate) fn mask(inside: Inside<'_>, place: &Within, empty: &mut Option<OwnedFd>) -> Result<()> {
    let Some(at) = place.open(inside)? else { return Ok(()) };
    if !is_directory(at.as_fd())? {
        return attach(device(c"null")?.as_fd(), at.as_fd());
    }
    let cover = match empty {
        Some(first) => clone_at(first.as_fd(), c"", Reach::One)?,
        None => empty_directory()?,
    };
    attach(cover.as_fd(), at.as_fd())?;
    empty.get_or_insert(cover);
    Ok(())
}

/// Changes permission bits at `place`; only on file systems of the sandbox, as for anything that is made.
pub(crate) fn chmod(inside: Inside<'_>, place: &Place, mode: u32) -> Result<()> {
    let at = inside.open(place, Make::Nothing)?;
    inside.own(at.as_fd())?;
    // fchmodat on an O_PATH descriptor by its magic link: fchmodat2 with AT_EMPTY_PATH is Linux 6.6.
    rustix::fs::chmodat(CWD, Link::to(at.as_raw_fd()).text()?, Mode::from_raw_mode(mode), AtFlags::empty())
}

/// Whether a directory is there, which could not be made because of `cause`.
pub(crate) fn directory(inside: Inside<'_>, place: &Place, cause: Errno) -> Result<()> {
    match inside.open(place, Make::Nothing) {
        Err(Errno::NOENT) => Err(cause),
        found => match is_directory(found?.as_fd())? {
            true => Ok(()),
            false => Err(Errno::NOTDIR),
        },
    }
}

/// Makes a file with `bytes`.
pub(crate) fn file(parent: BorrowedFd<'_>, name: &CStr, bytes: &[u8], mode: u32) -> Result<()> {
    let file = create(parent, name, mode)?;
    write_all(file.as_fd(), bytes)
}

/// Makes a symbolic link; the same one may be there.
pub(crate) fn symlink(parent: BorrowedFd<'_>, name: &CStr, target: &CString) -> Result<()> {
    match rustix::fs::symlinkat(target.as_c_str(), parent, name) {
        Err(Errno::EXIST) => {
            let mut text = [0u8; 4096];
            match rustix::fs::readlinkat_raw(parent, name, &mut text[..]) {
                Ok(length) if text[..length] == *target.as_bytes() => Ok(()),
                _ => Err(Errno::EXIST),
            }
        }
        made => made,
    }
}
