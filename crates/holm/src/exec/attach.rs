//! Mounts of any kind and with any attributes, device nodes, and what is made read-only where it stands: for wishes that
//! say everything. Runs in the child (and, for sources, in the parent): nothing here allocates.

use super::beneath;
use super::mounts::{Prepared, attach, attach_inside, attach_on_top, by_mount, clone_at, is_directory};
use super::place::{Inside, Make, Own, Place};
use super::program::{Attached, FileSystem, Manner, READ_ONLY, Tree};
use super::within::Within;
use crate::model::mount::{Attributes, Propagation, Reach};
use crate::spec::filesystem::Beneath;
use crate::sys::mount::{change_attributes, propagate, set_attributes};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Uid, fstat};
use rustix::io::{Errno, Result};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, UnmountFlags, fsconfig_create, fsconfig_reconfigure,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, fspick, unmount,
};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Clones what is mounted at a path of the caller's, as it is wished.
pub(crate) fn clone(path: &CStr, manner: &Manner) -> Result<OwnedFd> {
    clone_in(CWD, path, manner)
}

/// Clones what is mounted by now at a place inside, as it is wished. Links are refused (ELOOP).
pub(crate) fn clone_inside(inside: Inside<'_>, place: &Place, manner: &Manner) -> Result<OwnedFd> {
    clone_in(inside.open_without_links(place)?.as_fd(), c"", manner)
}

fn clone_in(from: BorrowedFd<'_>, path: &CStr, manner: &Manner) -> Result<OwnedFd> {
    let tree = clone_at(from, path, manner.reach)?;
    let [every, first] = manner.attributes;
    change(tree.as_fd(), Reach::Tree, every)?;
    change(tree.as_fd(), Reach::One, first)?;
    for &propagation in manner.propagation {
        propagate(tree.as_fd(), Reach::Tree, propagation)?;
    }
    Ok(tree)
}

fn change(mount: BorrowedFd<'_>, reach: Reach, by: Attributes) -> Result<()> {
    match by == Attributes::default() {
        true => Ok(()),
        false => change_attributes(mount, reach, by.set, by.clear),
    }
}

/// What is attached, cloned by now.
pub(crate) fn prepare(attached: &Attached) -> Result<Prepared<'_>> {
    match &attached.tree {
        Tree::Opened(opened, _) => Ok(Prepared::Opened(opened.as_fd())),
        Tree::Path(path) => clone(path, &attached.manner).map(Prepared::Cloned),
        Tree::Descriptor(_) => Err(Errno::INVAL),
    }
}

/// Another clone of a tree of the parent's, which is of a directory, to be put into place instead of it. The kernel lists mounts in
/// the order of their cloning, and the parent cloned this one before the child made any: whoever reads the list takes the last for
/// the topmost. Only what is in the child's namespace can be cloned there, so it hangs on top of `/` for that, and is private before it
/// is taken off: what goes from a tree that is shared goes from the host, too.
pub(crate) fn again(tree: BorrowedFd<'_>) -> Result<OwnedFd> {
    attach_on_top(tree)?;
    let again = clone_at(tree, c"", Reach::Tree)?;
    propagate(tree, Reach::Tree, Propagation::Private)?;
    // By what it hangs on: it may be somebody's who lets nobody search it.
    unmount(c"/", UnmountFlags::DETACH)?;
    Ok(again)
}

/// A detached file system, whose root has this mode if one is said.
fn file_system(wished: &FileSystem, mode: Option<u32>) -> Result<OwnedFd> {
    let made = match &wished.long {
        Some(_) if mode.is_some() => return Err(Errno::TOOBIG),
        Some(options) => {
            let made = by_mount(&wished.source, &wished.kind, options)?;
            change_attributes(made.as_fd(), Reach::One, wished.attributes, libc::MOUNT_ATTR__ATIME)?;
            made
        }
        None => by_context(wished, mode)?,
    };
    for &propagation in wished.propagation {
        propagate(made.as_fd(), Reach::One, propagation)?;
    }
    Ok(made)
}

fn by_context(wished: &FileSystem, mode: Option<u32>) -> Result<OwnedFd> {
    let context = fsopen(wished.kind.as_c_str(), FsOpenFlags::FSOPEN_CLOEXEC)?;
    if !wished.source.is_empty() {
        fsconfig_set_string(context.as_fd(), c"source", wished.source.as_c_str())?;
    }
    set_options(context.as_fd(), &wished.options)?;
    if let Some(mode) = mode {
        // Four octal digits and the end of the text.
        let digits = [9, 6, 3, 0].map(|place| b'0' + (mode >> place & 7) as u8);
        let text = [digits[0], digits[1], digits[2], digits[3], 0];
        fsconfig_set_string(context.as_fd(), c"mode", CStr::from_bytes_with_nul(&text).map_err(|_| Errno::INVAL)?)?;
    }
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::from_bits_retain(wished.attributes as u32);
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Changes the mount at `place`, which must be one, and its file system only if that is one of `made` (EXDEV): who made the root, or what
/// was mounted since, may have led to another.
pub(crate) fn remount(
    inside: Inside<'_>,
    place: &Place,
    by: Attributes,
    options: &[(CString, Option<CString>)],
    made: &Own,
) -> Result<()> {
    let at = inside.open(place, Make::Nothing)?;
    if !options.is_empty() && !made.contains(at.as_fd())? {
        return Err(Errno::XDEV);
    }
    change(at.as_fd(), Reach::One, by)?;
    if options.is_empty() {
        return Ok(());
    }
    let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
    let context = fspick(at.as_fd(), c"", flags)?;
    set_options(context.as_fd(), options)?;
    fsconfig_reconfigure(context.as_fd())
}

fn set_options(context: BorrowedFd<'_>, options: &[(CString, Option<CString>)]) -> Result<()> {
    options.iter().try_for_each(|(key, value)| match value {
        Some(value) => fsconfig_set_string(context, key.as_c_str(), value.as_c_str()),
        None => fsconfig_set_flag(context, key.as_c_str()),
    })
}

/// Puts a new file system at `place`, with what it takes over from the directory there.
pub(crate) fn mount(wished: &FileSystem, inside: Inside<'_>, place: &Place) -> Result<OwnedFd> {
    let hidden = match wished.beneath {
        Beneath::Hidden => None,
        _ => match inside.open_through(place, Make::Nothing) {
            Err(Errno::NOENT) => None,
            found => Some(found?),
        },
    };
    let mode = match &hidden {
        Some(hidden) if wished.beneath == Beneath::Mode => Some(fstat(hidden)?.st_mode & 0o7777),
        _ => None,
    };
    let made = file_system(wished, mode)?;
    if let (Some(hidden), Beneath::Content) = (hidden, wished.beneath) {
        beneath::copy(hidden.as_fd(), made.as_fd())?;
    }
    put(made.as_fd(), inside, place, wished.kind.as_c_str())?;
    Ok(made)
}

/// Puts a detached tree at `place`, made if it is missing. What shows processes or devices is put on no link: whoever made
/// the root could have it elsewhere, and have what guards it guard nothing.
pub(crate) fn put(tree: BorrowedFd<'_>, inside: Inside<'_>, place: &Place, kind: &CStr) -> Result<()> {
    let make = if is_directory(tree)? { Make::Directory } else { Make::File };
    let at = match kind == c"proc" || kind == c"sysfs" {
        true => inside.open(place, make)?,
        false => inside.open_through(place, make)?,
    };
    attach(tree, at.as_fd())
}

/// Shows a terminal of the sandbox's own at `place`, as a mount of its device, and gives it to a user.
pub(crate) fn terminal(peer: BorrowedFd<'_>, inside: Inside<'_>, place: &Place, uid: u32) -> Result<()> {
    rustix::fs::fchown(peer, Some(Uid::from_raw(uid)), None)?;
    let tree = clone_at(peer, c"", Reach::One)?;
    attach_inside(tree.as_fd(), inside, place)
}

/// Makes a node. One that is there stays, if it is the same (EEXIST): what an image has there could be anything.
pub(crate) fn node(
    inside: Inside<'_>,
    place: &Place,
    (kind, device): (FileType, u64),
    mode: u32,
    (uid, gid): (u32, u32),
) -> Result<()> {
    let parent = inside.directory(place)?;
    let (_, name) = place.last()?;
    match rustix::fs::mknodat(&parent, name, kind, Mode::from_raw_mode(mode), device) {
        Err(Errno::EXIST) => {
            let found = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let is_same = FileType::from_raw_mode(found.st_mode) == kind && found.st_rdev == device;
            return if is_same { Ok(()) } else { Err(Errno::EXIST) };
        }
        made => made?,
    }
    let owner = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    rustix::fs::chownat(&parent, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
}

/// Makes what is at `place` read-only with all mounts below: a clone of it is put over it. What is missing needs none.
pub(crate) fn protect(inside: Inside<'_>, place: &Within) -> Result<()> {
    let Some(at) = place.open(inside)? else { return Ok(()) };
    let tree = clone_at(at.as_fd(), c"", Reach::Tree)?;
    set_attributes(tree.as_fd(), Reach::Tree, READ_ONLY)?;
    attach(tree.as_fd(), at.as_fd())
}
