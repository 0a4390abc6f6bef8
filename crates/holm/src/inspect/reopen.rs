//! Opening a namespace that was found, by whatever keeps it alive.

use super::machine::{Found, Holder, Machine, Place};
use super::read::Proc;
use crate::model::namespace::Namespace;
use crate::sys::namespace as ask;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Opens it by a process that is in it or will have children there, by a descriptor, or where it is bound in the caller's own
/// mount namespace.
///
/// # Errors
/// ENOENT: none of these leads to it, or none that the caller may open.
pub fn reopen(machine: &Machine, place: Place) -> Result<OwnedFd> {
    reopen_by(&Proc::open().map_err(|_| Errno::NOENT)?, machine, place)
}

pub(super) fn reopen_by(proc: &Proc, machine: &Machine, place: Place) -> Result<OwnedFd> {
    let found = &machine.namespaces[place];
    let kind = found.kind;
    let own = machine.process(proc.this).and_then(|own| own.namespace(Namespace::Mount));
    let own = own.map(|own| machine.namespaces[own].inode);
    let open = |path: String| proc.reopen(openat(proc, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
    let by_process = found.processes.iter().map(|pid| open(format!("{pid}/ns/{kind}")));
    let by_holder = found.holders.iter().map(|holder| match holder {
        Holder::Descriptor { pid, fd } => open(format!("{pid}/fd/{fd}")),
        Holder::Thread { pid, tid } => open(format!("{pid}/task/{tid}/ns/{kind}")),
        Holder::Children { pid } => open(format!("{pid}/ns/{kind}_for_children")),
        Holder::Mount { path, inside } if Some(*inside) == own => bound(proc, path),
        _ => Err(Errno::NOENT),
    });
    by_process.chain(by_holder).flatten().find(|file| is(found, file)).ok_or(Errno::NOENT)
}

/// Whether that is open by now: something else may stand there meanwhile. While it is open its inode is no other's.
fn is(found: &Found, file: &OwnedFd) -> bool {
    fstat(file).is_ok_and(|about| about.st_ino == found.inode)
        && found.id.is_none_or(|id| ask::id(file.as_fd()) == Ok(id))
}

/// Others may choose what is on the way: nothing is waited for, and no link is followed.
fn bound(proc: &Proc, path: &Path) -> Result<OwnedFd> {
    let how = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::CACHED;
    proc.reopen(openat2(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), how)?)
}
