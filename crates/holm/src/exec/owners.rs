//! Owners of files, where ids inside are others outside: the parent's part, while the child waits.

use super::maps;
use super::program::{Maps, Op, Owners, Program};
use crate::model::id::IdMap;
use crate::plan::step::MapWriter;
use crate::sys::clone::{Kind, Stack, start};
use crate::sys::mount::{Reach, map_owners};
use crate::sys::signal::Blocked;
use rustix::fs::{FileType, Mode, OFlags, fchown, fstat, fstatfs};
use rustix::io::{Errno, Result};
use rustix::process::{Gid, Signal, Uid, pidfd_send_signal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Shows files of the mounts that were opened for it with their owners on disk, by the id maps of a user namespace. Those that
/// can't are left with owners that nobody inside is, where they are only read: less is allowed.
pub(crate) fn map(program: &Program, user: Option<&OwnedFd>) -> Result<()> {
    let maps = user.ok_or(Errno::BADF)?;
    for (tree, owners) in program.mapped() {
        if let Owners::OnDiskOf(reach) = owners {
            map_owners(tree, reach, maps.as_fd())?;
            continue;
        }
        let mapped = map_owners(tree, Reach::Tree, maps.as_fd());
        let mapped = if mapped.is_err() { map_owners(tree, Reach::One, maps.as_fd()) } else { mapped };
        match mapped {
            // Not every kind of file system can: devtmpfs, overlayfs, before Linux 6.3 tmpfs.
            Err(Errno::INVAL | Errno::PERM) if owners == Owners::OnDiskIfPossible => {}
            done => done?,
        }
    }
    Ok(())
}

/// Shows files of a tree that `step` has cloned by the maps it names, `user` being the sandbox's own user namespace.
pub(crate) fn show(program: &Program, step: u32, tree: BorrowedFd<'_>, user: Option<&OwnedFd>) -> Result<()> {
    let op = program.steps.iter().find(|(number, _)| *number == step).map(|(_, op)| op);
    let Some(Op::AttachInside { maps: Some((maps, reach)), .. }) = op else { return Err(Errno::BADF) };
    let maps = match maps {
        Maps::Of(namespace) => namespace,
        Maps::Own => user.ok_or(Errno::BADF)?,
    };
    map_owners(tree, *reach, maps.as_fd())
}

/// A user namespace with these maps, which nobody is in. `proc` is the caller's /proc.
pub(crate) fn maps_of(proc: &OwnedFd, uid: &[IdMap], gid: &[IdMap]) -> Result<OwnedFd> {
    extern "C" fn wait(_: &()) -> ! {
        loop {
            rustix::event::pause();
        }
    }
    let stack = Stack::new()?;
    let holder = {
        let _blocked = Blocked::new();
        start(libc::CLONE_NEWUSER as u64, Kind::Shared, &stack, wait, &())?
    };
    let made = maps::write(MapWriter::Parent, Some(proc), holder.pid, uid, gid).and_then(|()| {
        let path = format!("/proc/{}/ns/user", holder.pid);
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    });
    // It is not reaped yet, and runs on the stack until then.
    let ended = pidfd_send_signal(&holder.pidfd, Signal::KILL).and_then(|()| super::parent::reap(&holder.pidfd));
    ended.and(made)
}

/// Gives pipes among the program's descriptors to the program's ids, so that it can open them again by /dev/stdout: a pipe
/// belongs to who made it. Files and terminals stay as they are: they are the host's.
pub(crate) fn give_pipes(program: &Program, uid: u32, gid: u32) -> Result<()> {
    /// `PIPEFS_MAGIC`, statfs(2): a pipe without a name.
    const PIPE: i64 = 0x5049_5045;
    for descriptor in program.given() {
        let is_pipe = |fd: BorrowedFd<'_>| {
            fstat(fd).is_ok_and(|facts| FileType::from_raw_mode(facts.st_mode).is_fifo())
                && fstatfs(fd).is_ok_and(|system| system.f_type == PIPE)
        };
        if is_pipe(descriptor) {
            fchown(descriptor, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
    }
    Ok(())
}
