//! A reading of the whole machine.

use super::found::Finds;
use super::machine::Machine;
use super::mounts;
use super::process::{self, numbers};
use rustix::fs::{AtFlags, Mode, OFlags, open};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Why nothing can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// /proc can't be opened or listed.
    #[error("cannot read /proc: {}", crate::model::text::cause(&std::io::Error::from(*.0)))]
    Unreadable(Errno),
    /// /proc is something else.
    #[error("cannot read /proc: it is not a proc file system")]
    NotProc,
    /// /proc shows the processes of another pid namespace.
    #[error("cannot read /proc: it shows another pid namespace than the one holm is in")]
    OtherPids,
}

/// An open /proc, which shows this process by its pid.
pub(super) struct Proc {
    root: OwnedFd,
    /// The device of all namespaces.
    pub(super) nsfs: (u32, u32),
    /// This process's pid.
    pub(super) this: u32,
    /// The descriptors that this process had before: the others are of this reading.
    pub(super) own: Vec<u32>,
}

impl AsFd for Proc {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

impl Proc {
    pub(super) fn open() -> Result<Proc, Error> {
        let own = own_descriptors().map_err(Error::Unreadable)?;
        let root = open(c"/proc", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(Error::Unreadable)?;
        let system = rustix::fs::fstatfs(&root).map_err(Error::Unreadable)?;
        if system.f_type != rustix::fs::PROC_SUPER_MAGIC {
            return Err(Error::NotProc);
        }
        let this = std::process::id();
        let link = rustix::fs::readlinkat(&root, c"self", Vec::new()).map_err(|_| Error::OtherPids)?;
        if link.to_bytes() != this.to_string().as_bytes() {
            return Err(Error::OtherPids);
        }
        let namespace = rustix::fs::statat(&root, c"self/ns/user", AtFlags::empty());
        let device = namespace.map_err(Error::Unreadable)?.st_dev;
        Ok(Proc { root, nsfs: (rustix::fs::major(device), rustix::fs::minor(device)), this, own })
    }

    /// Whether it hides processes of others (proc(5), "hidepid"): there is always one with pid 1.
    pub(super) fn hides(&self) -> bool {
        rustix::fs::statat(&self.root, c"1", AtFlags::empty()).is_err()
    }
}

fn own_descriptors() -> Result<Vec<u32>, Errno> {
    let directory = open(c"/proc/self/fd", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let this = std::os::fd::AsRawFd::as_raw_fd(&directory) as u32;
    let mut own = numbers(directory.as_fd());
    own.retain(|&fd| fd != this);
    Ok(own)
}

/// Reads what the caller may see of this machine's namespaces.
///
/// Descriptors are open meanwhile: up to half of what the caller may have. None is left.
///
/// # Errors
/// There is no /proc that shows the caller's own pid namespace.
pub fn read() -> Result<Machine, Error> {
    let proc = Proc::open()?;
    let pids = numbers(proc.as_fd());
    if pids.is_empty() {
        return Err(Error::Unreadable(Errno::NOENT));
    }
    let most_pins = most_pins();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut finds = Finds::new(most_pins);
        while let Some(part) = take(&pids, &next) {
            for &pid in part {
                // One that ended meanwhile is left out; of others not even the name is shown ("hidepid").
                if let Err(Errno::ACCESS | Errno::PERM) = process::read(&proc, pid, &mut finds) {
                    finds.machine.unread.processes += 1;
                }
            }
        }
        finds
    };
    // The list of mount namespaces is walked by one of the threads while the other begins with processes.
    let (mut finds, numbers) = if pids.len() <= PART {
        (work(), mounts::numbers(&proc))
    } else {
        std::thread::scope(|scope| {
            let other = scope.spawn(work);
            let numbers = mounts::numbers(&proc);
            let mut own = work();
            own.join(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            (own, numbers)
        })
    };
    mounts::without_process(&proc, numbers, &mut finds);
    finds.machine.unread.hidden = proc.hides();
    Ok(finds.finish())
}

/// How many namespaces may be held open by a thread: two of them take half of what the caller may have.
pub(super) fn most_pins() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(1 << 16);
    usize::try_from(limit / 4).unwrap_or(1 << 16)
}

/// The inode of the namespace that is at `path`, links followed; `None` if something else is there. Nothing is opened but as
/// `O_PATH`.
///
/// # Errors
/// There is nothing there, or it can't be reached.
pub fn inode(path: &Path) -> std::io::Result<Option<u64>> {
    Ok(at(path)?.map(|(_, inode)| inode))
}

/// What is at `path`, as `O_PATH`, and its inode, if it is a namespace.
fn at(path: &Path) -> std::io::Result<Option<(OwnedFd, u64)>> {
    let there = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let about = rustix::fs::fstat(&there)?;
    let nsfs = rustix::fs::stat(c"/proc/self/ns/user")?.st_dev;
    Ok((about.st_dev == nsfs).then_some((there, about.st_ino)))
}

/// Opens a namespace by a path; `None` if there is something else. What isn't a namespace is never opened for reading: a pipe
/// would wait, a device might do something.
///
/// # Errors
/// There is nothing there, or it can't be reached.
pub fn open_namespace(path: &Path) -> std::io::Result<Option<OwnedFd>> {
    let Some((at, _)) = at(path)? else { return Ok(None) };
    let itself = format!("/proc/self/fd/{}", at.as_raw_fd());
    Ok(Some(open(itself, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?))
}

/// How many processes a thread takes at once.
const PART: usize = 32;

fn take<'a>(pids: &'a [u32], next: &AtomicUsize) -> Option<&'a [u32]> {
    let from = next.fetch_add(PART, Ordering::Relaxed);
    pids.get(from..).filter(|rest| !rest.is_empty()).map(|rest| &rest[..rest.len().min(PART)])
}
