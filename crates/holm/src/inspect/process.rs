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

/// Links of `/proc/PID/ns`, in the order of [`Namespace::ALL`].
pub(super) const LINKS: [&CStr; 8] = [c"user", c"cgroup", c"ipc", c"uts", c"net", c"pid", c"time", c"mnt"];
const FOR_CHILDREN: [(&CStr, Namespace); 2] =
    [(c"pid_for_children", Namespace::Pid), (c"time_for_children", Namespace::Time)];

/// Reads process `pid`.
///
/// # Errors
/// It ended meanwhile.
pub(super) fn read(proc: &Proc, pid: u32, finds: &mut Finds) -> Result<()> {
    let Found { directory, links, stat, process, mut seen } = find(proc, pid, finds)?;
    let namespaces = process.namespaces;
    for (link, kind) in FOR_CHILDREN {
        let own = namespaces[position(kind)];
        let place = seen.note(for_children(links.as_fd(), link, kind, own, finds));
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
        seen.closed = true;
    }
    mounts::list_new(proc, Some(directory.as_fd()), finds);
    if seen.closed && !stat.zombie {
        finds.machine.unread.processes += 1;
    }
    finds.machine.processes.push(process);
    Ok(())
}

/// Process `pid` without its threads, descriptors and mounts, and whether any of its namespaces is closed to the caller. One
/// that has ended, and is only waited for, is nowhere.
///
/// # Errors
/// It ended meanwhile.
pub(super) fn glance(proc: &Proc, pid: u32, finds: &mut Finds) -> Result<(Process, bool)> {
    let Found { mut process, seen, stat, .. } = find(proc, pid, finds)?;
    if stat.zombie {
        process.namespaces = [None; 8];
    }
    Ok((process, seen.closed && !stat.zombie))
}

/// A process, and what more of it is read by.
struct Found {
    directory: OwnedFd,
    links: OwnedFd,
    stat: Stat,
    process: Process,
    seen: Seen,
}

fn find(proc: &Proc, pid: u32, finds: &mut Finds) -> Result<Found> {
    let directory = openat(proc, number(pid).as_c_str(), DIRECTORY, Mode::empty())?;
    let mut stat = Stat::read(directory.as_fd())?;
    let uid = rustix::fs::fstat(&directory)?.st_uid;
    let links = openat(&directory, c"ns", DIRECTORY, Mode::empty())?;
    let mut seen = Seen::default();
    let namespaces = namespaces(links.as_fd(), &mut seen, finds);
    let (parent, name, start) = (stat.parent, std::mem::take(&mut stat.name), stat.start);
    Ok(Found { directory, links, stat, process: Process { pid, parent, name, uid, start, namespaces }, seen })
}

/// Whether anything was refused.
#[derive(Default)]
struct Seen {
    closed: bool,
}

impl Seen {
    fn note(&mut self, found: Result<Place>) -> Option<Place> {
        self.closed |= matches!(found, Err(Errno::ACCESS | Errno::PERM));
        found.ok()
    }
}

/// Where a process or a thread is, by the links of its `ns` directory.
fn namespaces(links: BorrowedFd<'_>, seen: &mut Seen, finds: &mut Finds) -> [Option<Place>; 8] {
    let user = match user(links, finds) {
        Ok(user) => user,
        Err(errno) => User { place: seen.note(Err(errno)), others: Way::Text, _held: None },
    };
    let mut places = [user.place; 8];
    for ((place, link), kind) in places.iter_mut().zip(LINKS).zip(Namespace::ALL).skip(1) {
        *place = seen.note(namespace(links, link, kind, user.others, finds));
    }
    places
}

/// How a namespace is looked up. All ways lead to the same; the one that most likely takes the fewest calls is chosen.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// By the inode in the text of the link, which is enough if it is one of the first.
    Text,
    /// By its number.
    Number,
    /// By opening it.
    Open,
}

/// A process's user namespace. Beside a new one the others are most likely new, too; beside one that was made, not the first.
struct User {
    place: Option<Place>,
    others: Way,
    /// Held open while those that it owns are asked: the kernel needn't make its inode for each.
    _held: Option<OwnedFd>,
}

fn user(links: BorrowedFd<'_>, finds: &mut Finds) -> Result<User> {
    let (link, inode) = (LINKS[0], inode(links, LINKS[0])?);
    if let Some(known) = finds.lasting(inode) {
        return Ok(User { place: Some(known), others: Way::Text, _held: None });
    }
    if finds.by_inode(inode).is_some() {
        let place = namespace(links, link, Namespace::User, Way::Number, finds)?;
        return Ok(User { place: Some(place), others: Way::Number, _held: None });
    }
    let file = openat(links, link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let place = finds.take(file.as_fd(), Some(Namespace::User))?;
    Ok(User { place: Some(place), others: Way::Open, _held: Some(file) })
}

/// The namespace that a link of `/proc/PID/ns` leads to, which has this kind.
fn namespace(links: BorrowedFd<'_>, link: &CStr, kind: Namespace, way: Way, finds: &mut Finds) -> Result<Place> {
    let by_number = |finds: &Finds| ask::id_of_link(links, link).ok().and_then(|id| finds.by_id(id));
    let known = match way {
        Way::Text => {
            let inode = inode(links, link)?;
            finds.lasting(inode).or_else(|| finds.by_inode(inode).and_then(|_| by_number(finds)))
        }
        Way::Number => by_number(finds),
        Way::Open => None,
    };
    match known {
        Some(known) => Ok(known),
        // What is opened may be another one by now; then that is where the process is.
        None => {
            let file = openat(links, link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
            finds.take(file.as_fd(), Some(kind))
        }
    }
}

/// The namespace of a process's next children, which most often is its own.
fn for_children(
    links: BorrowedFd<'_>,
    link: &CStr,
    kind: Namespace,
    own: Option<Place>,
    finds: &mut Finds,
) -> Result<Place> {
    let inode = inode(links, link)?;
    match own.filter(|&own| finds.machine.namespaces[own].inode == inode) {
        Some(own) => Ok(own),
        None => namespace(links, link, kind, Way::Text, finds),
    }
}

/// The inode that the text of a link to a namespace tells.
fn inode(links: BorrowedFd<'_>, link: &CStr) -> Result<u64> {
    let mut text = [MaybeUninit::uninit(); 64];
    let (text, _) = rustix::fs::readlinkat_raw(links, link, &mut text)?;
    Namespace::of_link(text).map(|(_, inode)| inode).ok_or(Errno::INVAL)
}

/// Threads that are elsewhere than their process (setns(2), unshare(2)).
fn threads(proc: &Proc, directory: BorrowedFd<'_>, pid: u32, process: &[Option<Place>; 8], finds: &mut Finds) {
    let Ok(tasks) = openat(directory, c"task", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) else { return };
    for tid in numbers(tasks.as_fd()).into_iter().filter(|tid| *tid != pid) {
        let Ok(thread) = openat(&tasks, number(tid).as_c_str(), DIRECTORY, Mode::empty()) else { continue };
        let Ok(links) = openat(&thread, c"ns", DIRECTORY, Mode::empty()) else { continue };
        for (link, kind) in LINKS.into_iter().zip(Namespace::ALL).chain(FOR_CHILDREN) {
            match namespace(links.as_fd(), link, kind, Way::Text, finds) {
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

    fn parse(text: &[u8]) -> Option<Stat> {
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
