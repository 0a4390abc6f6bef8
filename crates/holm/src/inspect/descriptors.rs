//! Namespaces held by open descriptors: on nsfs itself, sockets, tun devices, and descriptors on their way through a socket.
//!
//! A descriptor is judged by the device that it is on, not by the text of its link: a namespace that was opened through a
//! bind mount shows the path of that. Sockets are duplicated (pidfd_getfd(2)) and asked; nothing is taken from them.

use super::found::Finds;
use super::machine::{Holder, Place, position};
use super::read::Proc;
use crate::model::namespace::Namespace;
use crate::sys::namespace as ask;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, StatxFlags, openat};
use rustix::io::{Errno, Result};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A descriptor whose namespace must be asked for.
struct Question {
    fd: u32,
    asked: Asked,
}

#[derive(Clone, Copy, PartialEq)]
enum Asked {
    /// A socket, by its inode.
    Socket(u64),
    Tun,
}

/// Reads the descriptors of process `pid`, whose directory in /proc and namespaces are given.
///
/// # Errors
/// Its descriptors are closed to the caller.
pub(super) fn read(
    proc: &Proc,
    directory: BorrowedFd<'_>,
    pid: u32,
    namespaces: &[Option<Place>; 8],
    finds: &mut Finds,
) -> Result<()> {
    let descriptors = openat(directory, c"fd", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut room = [MaybeUninit::uninit(); 8192];
    let mut entries = rustix::fs::RawDir::new(&descriptors, &mut room);
    let (mut questions, mut count) = (Vec::new(), 0);
    // A directory that leaves room for more is not asked again.
    while !(entries.is_buffer_empty() && (1..ENTRIES).contains(&count))
        && let Some(Ok(entry)) = entries.next()
    {
        count += 1;
        let Some(fd) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) else { continue };
        if pid == proc.this && proc.own.binary_search(&fd).is_err() {
            continue;
        }
        // A file system that doesn't answer isn't asked.
        let flags = AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
        let wanted = StatxFlags::TYPE | StatxFlags::INO;
        let Ok(about) = rustix::fs::statx(&descriptors, entry.file_name(), flags, wanted) else { continue };
        if (about.stx_dev_major, about.stx_dev_minor) == proc.nsfs {
            let found = match finds.lasting(about.stx_ino) {
                Some(known) => Ok(known),
                None => proc
                    .open_namespace(descriptors.as_fd(), entry.file_name())
                    .and_then(|file| finds.take(file.as_fd(), None)),
            };
            if let Ok(place) = found {
                finds.hold(place, Holder::Descriptor { pid, fd });
            }
            continue;
        }
        match FileType::from_raw_mode(about.stx_mode.into()) {
            FileType::Socket => questions.push(Question { fd, asked: Asked::Socket(about.stx_ino) }),
            FileType::CharacterDevice if (about.stx_rdev_major, about.stx_rdev_minor) == TUN => {
                questions.push(Question { fd, asked: Asked::Tun });
            }
            _ => {}
        }
    }
    if !questions.is_empty() {
        ask_all(proc, &Process { directory, pid, net: namespaces[position(Namespace::Net)] }, &questions, finds);
    }
    Ok(())
}

/// So many entries of /proc/PID/fd fit into the room at least: each has 20 bytes and a name of up to 10 digits (getdents(2)).
const ENTRIES: usize = 8192 / 40;

/// Character device 10:200 (Documentation/admin-guide/devices.txt).
const TUN: (u32, u32) = (10, 200);

/// The process that is read: its directory in /proc, and its network namespace.
struct Process<'a> {
    directory: BorrowedFd<'a>,
    pid: u32,
    net: Option<Place>,
}

fn ask_all(proc: &Proc, of: &Process<'_>, questions: &[Question], finds: &mut Finds) {
    let Process { directory, pid, net: own } = *of;
    let Some(process) = open_same(directory, pid) else { return };
    for &Question { fd, asked } in questions {
        match asked {
            Asked::Socket(inode) => {
                let told = match finds.sockets.get(&inode) {
                    Some(known) => known.clone(),
                    // Another process that has it may be one that can be asked.
                    None => {
                        let Some(told) = ask_socket(proc, process.as_fd(), fd, inode, finds) else { continue };
                        finds.sockets.insert(inode, told.clone());
                        told
                    }
                };
                if let Some(place) = told.namespace.filter(|&place| Some(place) != own) {
                    finds.hold(place, Holder::Socket { pid, fd });
                }
                told.in_flight.into_iter().for_each(|place| finds.hold(place, Holder::InFlight { pid, fd }));
            }
            Asked::Tun => {
                let found =
                    ask_tun(process.as_fd(), fd).and_then(|file| finds.take(file.as_fd(), Some(Namespace::Net)));
                if let Some(place) = told(found, finds).filter(|&place| Some(place) != own) {
                    finds.hold(place, Holder::Tun { pid, fd });
                }
            }
        }
    }
}

/// What a socket tells.
#[derive(Clone, Default)]
pub(super) struct Told {
    namespace: Option<Place>,
    /// Namespaces whose descriptors were sent to it.
    in_flight: Vec<Place>,
}

/// The answer, if there is one; a refusal is counted.
fn told(answer: Result<Place>, finds: &mut Finds) -> Option<Place> {
    if let Err(Errno::PERM | Errno::ACCESS) = answer {
        finds.machine.unread.sockets += 1;
    }
    answer.ok()
}

fn ask_socket(proc: &Proc, process: BorrowedFd<'_>, fd: u32, inode: u64, finds: &mut Finds) -> Option<Told> {
    // By now the number may be open on something else: requests of one kind of file mean other things to others.
    let same = |about: &Stat| FileType::from_raw_mode(about.st_mode) == FileType::Socket && about.st_ino == inode;
    let copy = match duplicate(process, fd, same) {
        Ok(copy) => copy,
        Err(errno) => {
            told(Err(errno), finds);
            return None;
        }
    };
    let namespace = ask::of_socket(copy.as_fd()).and_then(|file| finds.take(file.as_fd(), Some(Namespace::Net)));
    let namespace = told(namespace, finds);
    let namespaces =
        peek(copy.as_fd()).into_iter().filter_map(|file| finds.take(proc.reopen(file).ok()?.as_fd(), None).ok());
    Some(Told { namespace, in_flight: namespaces.collect() })
}

fn ask_tun(process: BorrowedFd<'_>, fd: u32) -> Result<OwnedFd> {
    let is_tun = |about: &Stat| {
        FileType::from_raw_mode(about.st_mode) == FileType::CharacterDevice
            && about.st_rdev == rustix::fs::makedev(TUN.0, TUN.1)
    };
    ask::of_tun(duplicate(process, fd, is_tun)?.as_fd())
}

/// A copy of a descriptor of another process, if it is what is expected.
fn duplicate(process: BorrowedFd<'_>, fd: u32, expected: impl Fn(&Stat) -> bool) -> Result<OwnedFd> {
    let copy = pidfd_getfd(process, fd as i32, PidfdGetfdFlags::empty())?;
    if expected(&rustix::fs::fstat(&copy)?) { Ok(copy) } else { Err(Errno::BADF) }
}

/// The process itself, if its directory in /proc is still that of `pid`: a number may be given anew.
pub(super) fn open_same(directory: BorrowedFd<'_>, pid: u32) -> Option<OwnedFd> {
    let process = pidfd_open(Pid::from_raw(i32::try_from(pid).ok()?)?, PidfdFlags::empty()).ok()?;
    // Once a process is reaped nothing can be looked up in its directory any more.
    rustix::fs::accessat(directory, c"stat", rustix::fs::Access::EXISTS, AtFlags::empty()).ok()?;
    Some(process)
}

/// The descriptors in the first message that a socket holds for its receiver, who gets it all the same (recvmsg(2),
/// `MSG_PEEK`).
fn peek(socket: BorrowedFd<'_>) -> Vec<OwnedFd> {
    // The kernel's limit for one message (unix(7), `SCM_MAX_FD`).
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut messages = RecvAncillaryBuffer::new(&mut room);
    let is_local = rustix::net::sockopt::socket_domain(socket) == Ok(rustix::net::AddressFamily::UNIX);
    // Where the owner has set an offset, looking would move it (socket(7), `SO_PEEK_OFF`).
    if !is_local || !crate::sys::socket::peeks_at_start(socket) {
        return Vec::new();
    }
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let mut byte = [0];
    if rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut messages, flags).is_err() {
        return Vec::new();
    }
    let rights = messages.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    rights.flatten().collect()
}

impl Proc {
    /// Opens the namespace that a link in `/proc/PID/fd` leads to. Opening anything but a namespace could have effects, so it is
    /// looked at first.
    ///
    /// # Errors
    /// EINVAL: it is no namespace.
    pub(super) fn open_namespace(&self, directory: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<OwnedFd> {
        self.reopen(openat(directory, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// Opens for questions what is open as `O_PATH`, if it is a namespace.
    pub(super) fn reopen(&self, path: OwnedFd) -> Result<OwnedFd> {
        let device = rustix::fs::fstat(&path)?.st_dev;
        if (rustix::fs::major(device), rustix::fs::minor(device)) != self.nsfs {
            return Err(Errno::INVAL);
        }
        openat(self, format!("self/fd/{}", path.as_raw_fd()), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    }
}
