//! Opening a place that is to be entered: a process's namespaces, root, directory, control groups, and what it may do.
//!
//! A pid may be given anew at any moment. So a descriptor of the process comes first (pidfd_open(2)), then its directory in
//! /proc, and if the process still runs then, that is its directory and stays so: everything else is opened by it. A process
//! that changed namespaces meanwhile is noticed at the end. What is entered is what was opened here, whatever happens later.

pub(super) mod about;
mod groups;
mod order;
mod wish;

pub use groups::Closed;
pub use wish::{Part, Wish};

use super::detail::Open;
use super::found::ask_kind;
use super::process::{DIRECTORY, LINKS, Stat, number};
use crate::model::namespace::Namespace;
use crate::sys::namespace as ask;
use about::{About, User};
use groups::Group;
use order::Path;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, open, openat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};

/// Why a place can't be entered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The process has ended.
    #[error("it has ended")]
    Ended,
    /// The process has ended and its pid was given anew.
    #[error("its pid is another process's by now")]
    Another,
    /// It changed its namespaces while they were opened.
    #[error("it goes to other namespaces just now")]
    Moved,
    /// Something of it is closed to the caller.
    #[error("its {what} can't be opened: {}", crate::model::text::cause(&std::io::Error::from(*.errno)))]
    Refused {
        /// What.
        what: &'static str,
        /// Why.
        errno: Errno,
    },
    /// The caller has no rights over the owner of this namespace.
    #[error("its {0} namespace belongs to a user namespace that the caller has no capabilities in")]
    Closed(Namespace),
    /// The way into the user namespace leads past the owner of this one.
    #[error("its {0} namespace belongs to another user namespace than those on the way")]
    Apart(Namespace),
    /// It has no such namespace of its own.
    #[error("its {0} namespace is the caller's")]
    Shared(Namespace),
    /// Nothing of it differs from what the caller has.
    #[error("it is where the caller is: all its namespaces and its root are the caller's")]
    Nothing,
    /// Its ids aren't known inside.
    #[error("its user has no id in its user namespace that can be seen")]
    NoIds,
}

/// A place, open.
#[derive(Debug)]
pub struct Opened {
    /// What it is, for people.
    name: String,
    /// The namespaces that aren't the caller's.
    namespaces: Vec<Held>,
    /// The user namespace it is of, if it isn't the caller's and not beyond it.
    user: Option<Path>,
    /// Open user namespaces, by inode.
    users: HashMap<u64, OwnedFd>,
    /// What a process has besides.
    process: Option<Process>,
}

#[derive(Debug)]
struct Held {
    kind: Namespace,
    opened: OwnedFd,
    /// Where its owner is; where it is itself if it is a user namespace.
    owner: Option<Path>,
}

#[derive(Debug)]
struct Process {
    open: Open,
    root: OwnedFd,
    /// Whether its root is another than the caller's in the same mount namespace.
    chroot: bool,
    directory: Option<OwnedFd>,
    about: About,
    groups: Vec<Group>,
    /// The program of a sandbox, if this is its init, which has no limits itself and shows nobody its environment.
    program: Option<Open>,
    proc: Proc,
}

/// What is on `/proc` in there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proc {
    /// Processes of the caller's pid namespace.
    Callers,
    /// Processes of another one.
    Others,
    /// No such file system.
    None,
}

impl Opened {
    /// Opens the place of a process, by its pid; `start`, if known, is when it started, in clock ticks since the machine did.
    ///
    /// # Errors
    /// It ended, is another one, or closed to the caller.
    pub fn process(pid: u32, start: Option<u64>) -> Result<Opened, Error> {
        let id = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).ok_or(Error::Ended)?;
        // EINVAL: it is a thread.
        let process =
            rustix::process::pidfd_open(id, rustix::process::PidfdFlags::empty()).map_err(|_| Error::Ended)?;
        let proc = open(c"/proc", DIRECTORY, Mode::empty())
            .map_err(|errno| Error::Refused { what: "files in /proc", errno })?;
        let directory = openat(proc, number(pid).as_c_str(), DIRECTORY, Mode::empty()).map_err(|_| Error::Ended)?;
        let began = Stat::read(directory.as_fd()).map_err(|_| Error::Ended)?.start;
        if has_ended(&process) {
            return Err(Error::Ended);
        }
        if start.is_some_and(|start| start != began) {
            return Err(Error::Another);
        }
        // One that has ended and wasn't waited for refuses things.
        let opened = Opened::by(directory, pid);
        if has_ended(&process) { Err(Error::Ended) } else { opened }
    }

    /// Opens what there is by the directory of a process.
    fn by(directory: OwnedFd, pid: u32) -> Result<Opened, Error> {
        let mut opened = Opened::empty(format!("process {pid}"));
        for (link, kind) in LINKS.into_iter().zip(Namespace::ALL) {
            match openat(&directory, link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
                Ok(namespace) => opened.take(kind, namespace)?,
                // The kernel has none of that kind (time before Linux 5.6).
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(refused("namespaces", errno)),
            }
        }
        let user = if opened.held(Namespace::User).is_some() { User::Others } else { User::Callers };
        let process = Process::read(pid, directory, user)?;
        let stays = LINKS.into_iter().zip(Namespace::ALL).all(|(link, kind)| {
            let now =
                rustix::fs::statat(&process.open.directory, link, AtFlags::empty()).ok().map(|about| about.st_ino);
            now == opened.held(kind).map_or_else(|| own(kind).ok(), |held| inode(&held.opened))
        });
        opened.process = Some(process);
        if stays { Ok(opened) } else { Err(Error::Moved) }
    }

    /// The place of a namespace alone.
    ///
    /// # Errors
    /// It is the caller's own.
    pub fn namespace(namespace: OwnedFd, name: &str) -> Result<Opened, Error> {
        let kind = ask_kind(namespace.as_fd()).map_err(|errno| Error::Refused { what: "kind", errno })?;
        let mut opened = Opened::empty(name.to_owned());
        opened.take(kind, namespace)?;
        if opened.namespaces.is_empty() { Err(Error::Shared(kind)) } else { Ok(opened) }
    }

    /// How it is called in messages, `process 4711` if nothing better is known.
    #[must_use]
    pub fn called(self, name: String) -> Opened {
        Opened { name, ..self }
    }

    fn empty(name: String) -> Opened {
        Opened { name, namespaces: Vec::new(), user: None, users: HashMap::new(), process: None }
    }

    /// Notes a namespace that isn't the caller's.
    fn take(&mut self, kind: Namespace, opened: OwnedFd) -> Result<(), Error> {
        let own = own(kind).map_err(|errno| refused("namespaces", errno))?;
        if inode(&opened) == Some(own) {
            return Ok(());
        }
        let owner = match kind {
            Namespace::User => opened.try_clone().ok(),
            _ => ask::owner(opened.as_fd()).ok(),
        };
        let owner = owner.and_then(|owner| self.path(owner));
        if kind == Namespace::User {
            self.user.clone_from(&owner);
        }
        self.namespaces.push(Held { kind, opened, owner });
        Ok(())
    }

    /// The way from the caller's user namespace down to `user`; `None` if it isn't below.
    fn path(&mut self, user: OwnedFd) -> Option<Path> {
        let own = own(Namespace::User).ok()?;
        let (mut path, mut at) = (Path::new(), user);
        loop {
            let inode = inode(&at)?;
            if inode == own {
                path.reverse();
                return Some(path);
            }
            let above = ask::parent(at.as_fd()).ok()?;
            path.push(inode);
            self.users.entry(inode).or_insert(at);
            at = above;
        }
    }

    fn held(&self, kind: Namespace) -> Option<&Held> {
        self.namespaces.iter().find(|held| held.kind == kind)
    }
}

impl Process {
    fn read(pid: u32, directory: OwnedFd, user: User) -> Result<Process, Error> {
        let look = |name: &CStr| openat(&directory, name, DIRECTORY, Mode::empty());
        let root = look(c"root").map_err(|errno| refused("root", errno))?;
        let current = look(c"cwd").ok();
        let open = Open { pid, directory };
        let about = About::read(&open, user).ok_or(Error::Ended)?;
        let groups = groups::of(&open.text(c"cgroup").map_err(|_| Error::Ended)?);
        let program = program(&open);
        let (proc, chroot) = (Proc::look(&root), is_other(&root));
        Ok(Process { open, root, chroot, directory: current, about, groups, program, proc })
    }
}

/// The program of a sandbox, its init's first child; `None` if this is no init of holm's.
fn program(open: &Open) -> Option<Open> {
    super::maker::maker(&open.clues()).filter(|maker| maker.tool == super::maker::Tool::Holm)?;
    let children = open.text(CString::new(format!("task/{}/children", open.pid)).ok()?.as_c_str()).ok()?;
    let first: u32 = children.split_whitespace().next()?.parse().ok()?;
    let directory = rustix::fs::open(format!("/proc/{first}"), DIRECTORY, Mode::empty()).ok()?;
    // Its pid may have been given anew since it was told.
    let is_child = Stat::read(directory.as_fd()).is_ok_and(|stat| stat.parent == open.pid);
    is_child.then_some(Open { pid: first, directory })
}

/// Whether `root` is another directory than this process's own root, or on another mount.
fn is_other(root: &OwnedFd) -> bool {
    let about = |at: &OwnedFd| {
        let flags = StatxFlags::INO | StatxFlags::MNT_ID;
        rustix::fs::statx(at, c"", AtFlags::EMPTY_PATH, flags).map(|about| (about.stx_ino, about.stx_mnt_id)).ok()
    };
    let own = open(c"/", DIRECTORY, Mode::empty()).ok();
    own.and_then(|own| about(&own)) != about(root)
}

impl Proc {
    /// Looks without following a link or waiting for a file system of theirs.
    fn look(root: &OwnedFd) -> Proc {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let Ok(proc) = crate::sys::inside::look(root.as_fd(), c"proc", flags) else { return Proc::None };
        match rustix::fs::fstatfs(&proc) {
            Ok(system) if system.f_type == rustix::fs::PROC_SUPER_MAGIC => {}
            _ => return Proc::None,
        }
        // It names who asks by its pid in the pid namespace of this file system, and not at all if it has none there.
        match rustix::fs::readlinkat(&proc, c"self", Vec::new()) {
            Ok(own) if own.to_bytes() == std::process::id().to_string().as_bytes() => Proc::Callers,
            _ => Proc::Others,
        }
    }
}

fn refused(what: &'static str, errno: Errno) -> Error {
    if matches!(errno, Errno::SRCH | Errno::NOENT) { Error::Ended } else { Error::Refused { what, errno } }
}

/// The inode of the caller's own namespace of a kind.
fn own(kind: Namespace) -> rustix::io::Result<u64> {
    Ok(rustix::fs::stat(format!("/proc/self/ns/{kind}"))?.st_ino)
}

fn inode(file: &OwnedFd) -> Option<u64> {
    Some(rustix::fs::fstat(file).ok()?.st_ino)
}

/// A descriptor of a process that has ended is readable (pidfd_open(2)); while it isn't, its pid is nobody else's.
fn has_ended(process: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut ended = [PollFd::new(process, PollFlags::IN)];
    !matches!(poll(&mut ended, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0))
}
