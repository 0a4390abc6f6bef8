//! One process: where it and its threads are.

use super::descriptors;
use super::found::Finds;
use super::machine::{Holder, Place, Process, position};
use super::mounts;
use super::read::Proc;
use crate::model::namespace::Namespace;
use crate::sys::namespace as ask;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, CString, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// Opening what has no file of its own to be read.
pub(super) const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Links in `/proc/PID` to namespaces, in the order of [`Namespace::ALL`].
pub(super) const LINKS: [&CStr; 8] =
    [c"ns/user", c"ns/cgroup", c"ns/ipc", c"ns/uts", c"ns/net", c"ns/pid", c"ns/time", c"ns/mnt"];
const FOR_CHILDREN: [(&CStr, Namespace); 2] =
    [(c"ns/pid_for_children", Namespace::Pid), (c"ns/time_for_children", Namespace::Time)];

/// Reads process `pid`.
///
/// # Errors
/// It ended meanwhile.
pub(super) fn read(proc: &Proc, pid: u32, finds: &mut Finds) -> Result<()> {
    let Found { directory, stat, process, mut closed } = find(proc, pid, finds)?;
    if closed {
        // So are its threads and descriptors.
        finds.machine.unread.processes += usize::from(!stat.zombie);
        finds.machine.processes.push(process);
        return Ok(());
    }
    let namespaces = process.namespaces;
    for (link, kind) in FOR_CHILDREN.into_iter().filter(|_| !stat.kernel) {
        let own = namespaces[position(kind)];
        let place = for_children(Here { directory: directory.as_fd(), pid }, link, kind, own, finds).ok();
        if let Some(place) = place.filter(|_| place != own) {
            finds.hold(place, Holder::Children { pid });
        }
    }
    // Whatever was mounted by then: paths of new mount namespaces are this process's.
    mounts::list_new(proc, Some(directory.as_fd()), finds);
    if stat.threads > 1 {
        threads(proc, directory.as_fd(), pid, &namespaces, finds);
    }
    if !stat.kernel && descriptors::read(proc, directory.as_fd(), pid, &namespaces, finds).is_err() {
        closed = true;
    }
    mounts::list_new(proc, Some(directory.as_fd()), finds);
    if closed && !stat.zombie {
        finds.machine.unread.processes += 1;
    }
    finds.machine.processes.push(process);
    Ok(())
}

/// Process `pid` without its threads, descriptors and mounts, and whether its namespaces are closed to the caller. One
/// that has ended, and is only waited for, is nowhere.
///
/// # Errors
/// It ended meanwhile.
pub(super) fn glance(proc: &Proc, pid: u32, finds: &mut Finds) -> Result<(Process, bool)> {
    let Found { mut process, closed, stat, .. } = find(proc, pid, finds)?;
    if stat.zombie {
        process.namespaces = [None; 8];
    }
    Ok((process, closed && !stat.zombie))
}

/// A process, and what more of it is read by.
struct Found {
    directory: OwnedFd,
    stat: Stat,
    process: Process,
    closed: bool,
}

fn find(proc: &Proc, pid: u32, finds: &mut Finds) -> Result<Found> {
    let directory = openat(proc, number(pid).as_c_str(), DIRECTORY, Mode::empty())?;
    let mut stat = Stat::read(directory.as_fd())?;
    let about = rustix::fs::fstat(&directory)?;
    let here = Here { directory: directory.as_fd(), pid };
    let namespaces = match finds.kernel.filter(|_| stat.kernel) {
        Some(known) => here.of_kernel(known, finds),
        None => here.namespaces(finds),
    };
    let closed = matches!(namespaces, Err(Errno::ACCESS | Errno::PERM));
    let namespaces = namespaces.unwrap_or_default();
    if stat.kernel && namespaces.iter().all(Option::is_some) {
        finds.kernel.get_or_insert(namespaces);
    }
    let (parent, name, start) = (stat.parent, std::mem::take(&mut stat.name), stat.start);
    let (uid, entry, ended) = (about.st_uid, about.st_ino, stat.zombie);
    Ok(Found { directory, stat, process: Process { pid, parent, name, uid, start, ended, entry, namespaces }, closed })
}

/// How a namespace is looked up. All ways lead to the same; the one that most likely takes the least time is chosen.
#[derive(Debug)]
enum Way {
    /// By the inode in the text of the link, which is enough if it is one of the first.
    Text,
    /// By its number.
    Number,
    /// By opening it: the process itself is asked, or without that (before Linux 6.11) the link followed.
    Open(Option<OwnedFd>),
}

/// A process's user namespace. Beside a new one the others are most likely new, too; beside one that was made, not the first.
struct User {
    place: Place,
    others: Way,
    /// Held open while those that it owns are asked: the kernel needn't make its inode for each.
    _held: Option<OwnedFd>,
}

/// The directory in /proc of a process or a thread.
#[derive(Clone, Copy)]
struct Here<'a> {
    directory: BorrowedFd<'a>,
    pid: u32,
}

impl Here<'_> {
    /// Where it is.
    ///
    /// # Errors
    /// Its namespaces are closed to the caller, all of them.
    fn namespaces(self, finds: &mut Finds) -> Result<[Option<Place>; 8]> {
        let user = match self.user(finds) {
            // The kernel has one rule for all (ptrace(2), "access mode checking").
            Err(closed @ (Errno::ACCESS | Errno::PERM)) => return Err(closed),
            user => user.ok(),
        };
        let mut places = [user.as_ref().map(|user| user.place); 8];
        let others = user.as_ref().map_or(&Way::Text, |user| &user.others);
        for ((place, link), kind) in places.iter_mut().zip(LINKS).zip(Namespace::ALL).skip(1) {
            *place = self.namespace(link, kind, others, finds).ok();
        }
        Ok(places)
    }

    /// Where a thread of the kernel is, another of which is at `known`: with that, but for mounts, since devtmpfs has its own.
    fn of_kernel(self, known: [Option<Place>; 8], finds: &mut Finds) -> Result<[Option<Place>; 8]> {
        let mut places = known;
        places[position(Namespace::Mount)] = Some(self.namespace(c"ns/mnt", Namespace::Mount, &Way::Text, finds)?);
        Ok(places)
    }

    fn user(self, finds: &mut Finds) -> Result<User> {
        let inode = inode(self.directory, LINKS[0])?;
        if let Some(known) = finds.lasting(inode) {
            return Ok(User { place: known, others: Way::Text, _held: None });
        }
        if finds.by_inode(inode).is_some() {
            let place = self.namespace(LINKS[0], Namespace::User, &Way::Number, finds)?;
            return Ok(User { place, others: Way::Number, _held: None });
        }
        let process = descriptors::open_same(self.directory, self.pid);
        let file = self.open(LINKS[0], Namespace::User, process.as_ref())?;
        let place = finds.take(file.as_fd(), Some(Namespace::User))?;
        Ok(User { place, others: Way::Open(process), _held: Some(file) })
    }

    /// The namespace of this kind, to which `link` leads.
    fn namespace(self, link: &CStr, kind: Namespace, way: &Way, finds: &mut Finds) -> Result<Place> {
        let known = match way {
            Way::Text => by_text(self.directory, link, finds)?,
            Way::Number => by_number(self.directory, link, finds),
            Way::Open(_) => None,
        };
        let process = if let Way::Open(process) = way { process.as_ref() } else { None };
        match known {
            Some(known) => Ok(known),
            // What is opened may be another one by now; then that is where the process is.
            None => finds.take(self.open(link, kind, process)?.as_fd(), Some(kind)),
        }
    }

    /// Opens a namespace. `process`, where it is open, takes two thirds of the time that the link does.
    fn open(self, link: &CStr, kind: Namespace, process: Option<&OwnedFd>) -> Result<OwnedFd> {
        match process.map(|process| ask::of_process(process.as_fd(), kind.flag())) {
            Some(Ok(file)) => Ok(file),
            _ => openat(self.directory, link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()),
        }
    }
}

fn by_text(directory: BorrowedFd<'_>, link: &CStr, finds: &Finds) -> Result<Option<Place>> {
    let inode = inode(directory, link)?;
    let lasting = finds.lasting(inode);
    Ok(lasting.or_else(|| finds.by_inode(inode).and_then(|_| by_number(directory, link, finds))))
}

fn by_number(directory: BorrowedFd<'_>, link: &CStr, finds: &Finds) -> Option<Place> {
    ask::id_of_link(directory, link).ok().and_then(|id| finds.by_id(id))
}

/// The namespace of a process's next children, which most often is its own.
fn for_children(here: Here<'_>, link: &CStr, kind: Namespace, own: Option<Place>, finds: &mut Finds) -> Result<Place> {
    let inode = inode(here.directory, link)?;
    match own.filter(|&own| finds.machine.namespaces[own].inode == inode) {
        Some(own) => Ok(own),
        None => here.namespace(link, kind, &Way::Text, finds),
    }
}

/// The inode that the text of a link to a namespace tells.
fn inode(directory: BorrowedFd<'_>, link: &CStr) -> Result<u64> {
    let mut text = [MaybeUninit::uninit(); 64];
    let (text, _) = rustix::fs::readlinkat_raw(directory, link, &mut text)?;
    Namespace::of_link(text).map(|(_, inode)| inode).ok_or(Errno::INVAL)
}

/// Threads that are elsewhere than their process (setns(2), unshare(2)).
fn threads(proc: &Proc, directory: BorrowedFd<'_>, pid: u32, process: &[Option<Place>; 8], finds: &mut Finds) {
    let Ok(tasks) = openat(directory, c"task", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) else { return };
    for tid in numbers(tasks.as_fd()).into_iter().filter(|tid| *tid != pid) {
        let Ok(thread) = openat(&tasks, number(tid).as_c_str(), DIRECTORY, Mode::empty()) else { continue };
        let here = Here { directory: thread.as_fd(), pid: tid };
        for (link, kind) in LINKS.into_iter().zip(Namespace::ALL).chain(FOR_CHILDREN) {
            match here.namespace(link, kind, &Way::Text, finds) {
                Ok(place) if Some(place) != process[position(kind)] => finds.hold(place, Holder::Thread { pid, tid }),
                _ => {}
            }
        }
        mounts::list_new(proc, Some(thread.as_fd()), finds);
    }
}

/// The entries of a directory whose names are numbers, in order.
pub(super) fn numbers(directory: BorrowedFd<'_>) -> Vec<u32> {
    let mut room = [MaybeUninit::uninit(); 8192];
    let mut entries = rustix::fs::RawDir::new(directory, &mut room);
    let mut found = Vec::new();
    while let Some(Ok(entry)) = entries.next() {
        found.extend(entry.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()));
    }
    found.sort_unstable();
    found
}

/// A number as the name of a file.
pub(super) fn number(number: u32) -> CString {
    CString::new(number.to_string()).expect("digits hold no NUL")
}

/// What `/proc/PID/stat` tells (proc_pid_stat(5)).
pub(super) struct Stat {
    name: OsString,
    pub(super) parent: u32,
    threads: u32,
    pub(super) start: u64,
    zombie: bool,
    kernel: bool,
}

impl Stat {
    pub(super) fn read(directory: BorrowedFd<'_>) -> Result<Stat> {
        let file: OwnedFd = openat(directory, c"stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = [0u8; 1024];
        let length = rustix::io::read(&file, &mut text)?;
        Stat::parse(&text[..length]).ok_or(Errno::INVAL)
    }

    pub(super) fn parse(text: &[u8]) -> Option<Stat> {
        /// Set for threads of the kernel (linux/sched.h, `PF_KTHREAD`).
        const KERNEL: u32 = 0x0020_0000;
        // The name may hold anything, parentheses and spaces included; nothing after it does.
        let open = text.iter().position(|&byte| byte == b'(')?;
        let close = text.iter().rposition(|&byte| byte == b')')?;
        let name = OsString::from_vec(text.get(open + 1..close)?.to_vec());
        let fields: Vec<&str> = std::str::from_utf8(&text[close + 1..]).ok()?.split_whitespace().collect();
        // The state, field 3 of the page, is the first here.
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Stat {
            name,
            parent: field(4)?.parse().ok()?,
            threads: field(20)?.parse().ok()?,
            start: field(22)?.parse().ok()?,
            zombie: matches!(field(3)?, "Z" | "X"),
            kernel: field(9)?.parse::<u32>().ok()? & KERNEL != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_lines_does_not_shift_the_fields() {
        let text = b"42 (a) R 1 (\n) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 12345 0 0\n";
        let stat = Stat::parse(text).expect("it is whole");
        assert_eq!((stat.name.as_encoded_bytes(), stat.parent, stat.threads), (&b"a) R 1 (\n"[..], 7, 3));
        assert_eq!((stat.start, stat.zombie, stat.kernel), (12345, false, false));
        assert!(Stat::parse(b"42 (a) S 7").is_none() && Stat::parse(b"").is_none() && Stat::parse(b")(").is_none());
    }
}
