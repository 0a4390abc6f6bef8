//! The control groups of a process that aren't the caller's, and whether another may be put into them (cgroups(7)).

use crate::host::groups::{Seen, may_write, seen};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A control group.
#[derive(Debug)]
pub(super) struct Group {
    /// Where it is, or how the kernel calls it if it can't be seen.
    pub(super) path: PathBuf,
    /// Its `cgroup.procs`, to be written.
    pub(super) opened: Result<OwnedFd, Errno>,
}

/// A control group whose limits won't bind what is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Where it is, or how the kernel calls it if it can't be seen.
    pub path: PathBuf,
    /// Why nothing can be put into it.
    pub errno: Errno,
}

/// Those of a text of `/proc/PID/cgroup` that differ from the caller's.
pub(super) fn of(text: &str) -> Vec<Group> {
    let own = seen(&std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default());
    let theirs = seen(text).into_iter().filter(|one| !own.contains(one));
    theirs.map(|one| Group { opened: procs(&one, &own), path: one.directory.unwrap_or(one.group) }).collect()
}

fn procs(group: &Seen, own: &[Seen]) -> Result<OwnedFd, Errno> {
    let directory = group.directory.as_ref().ok_or(Errno::NOENT)?;
    // Version 2 asks for the right above both, too ("Delegation containment").
    let here = own.iter().filter(|one| one.controllers.is_empty()).find_map(|one| one.directory.as_ref());
    if group.controllers.is_empty()
        && let Some(here) = here
        && !may_write(&common(directory, here).join("cgroup.procs"))
    {
        return Err(Errno::ACCESS);
    }
    open(directory.join("cgroup.procs"), OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
}

fn common(one: &Path, other: &Path) -> PathBuf {
    one.components().zip(other.components()).take_while(|(one, other)| one == other).map(|(part, _)| part).collect()
}
