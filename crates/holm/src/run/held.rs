//! A sandbox that is made and not yet started, and outlives who made it.
//!
//! Until it is let go or started it ends with its maker, who has written down by then what it is. Its first process then
//! becomes the program. It may wait at a door first, a listening socket in a directory of its maker's, who alone can reach it
//! there: whoever knocks starts it.

use super::unfit;
use crate::error::Error;
use crate::exec::cgroup::Groups;
use crate::exec::parent::{self, GivenUp, Running, Visited};
use crate::model::group::Version;
use crate::plan::Plan;
use crate::spec::life::Lifetime;
use crate::sys::init::wire::{self, Record};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, recv, send,
    socket_with,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

impl Plan {
    /// Carries the plan of a detached sandbox out up to the point where it waits: at `door`, or for its holder alone.
    ///
    /// # Errors
    /// As [`Plan::spawn`]. A program that is missing is known by now, why else it can't be executed only when it is.
    pub fn hold(&self, door: Option<Door>) -> Result<Held, Error> {
        self.hold_visited(door, |_| Ok(()))
    }

    /// The same; `visitor` does what it has to do in the sandbox while that waits ([`Visit`](crate::spec::life::Visit)).
    ///
    /// # Errors
    /// As [`Plan::hold`]; where the visitor gives it up, why is known to that one (ECANCELED).
    pub fn hold_visited(
        &self,
        door: Option<Door>,
        mut visitor: impl FnMut(&Visited<'_>) -> Result<(), GivenUp>,
    ) -> Result<Held, Error> {
        if self.launch.lifetime == Lifetime::Owned {
            return Err(unfit("cannot hold a sandbox that is not detached"));
        }
        let running = parent::spawn(self, door.as_ref().map(|door| door.0.as_fd()), &mut visitor)
            .map_err(|stop| Error::new(self, stop))?;
        let Running { pidfd, pid, control, terminal, listener, groups, .. } = running;
        Ok(Held { terminal, listener, pidfd: Some(pidfd), pid, control, groups })
    }
}

/// A sandbox that waits. Dropping it ends it; [`Held::let_go`] doesn't.
#[derive(Debug)]
pub struct Held {
    /// The controlling side of its terminal, if it has one of its own (pty(7)).
    pub terminal: Option<OwnedFd>,
    /// Where its filter's notifications come from (seccomp_unotify(2)), if they are to be
    /// [handed over](crate::spec::policy::Denials::HandedOver): whoever starts it must have given it away, or answer.
    pub listener: Option<OwnedFd>,
    /// There until it is let go.
    pidfd: Option<OwnedFd>,
    pid: i32,
    control: OwnedFd,
    groups: Groups,
}

impl Held {
    /// The pid of its first process, which will be the program, in the caller's pid namespace.
    pub fn id(&self) -> i32 {
        self.pid
    }

    /// Its first process (pidfd_open(2)).
    pub fn process(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Its control groups that were there before ([`NamedGroup`](crate::spec::limits::NamedGroup)): they stay when it ends.
    pub fn groups_found(&self) -> impl Iterator<Item = &Path> {
        self.groups.found()
    }

    /// The programs, by their numbers, that its control groups ask which devices may be used, in version 2.
    pub fn device_programs(&self) -> impl Iterator<Item = (&Path, u32)> {
        self.groups.device_programs()
    }

    /// From now on it needs nobody: it waits until somebody knocks at its door, however long that takes. Its first process,
    /// a child of this one still, is returned (pidfd_open(2)).
    ///
    /// # Errors
    /// It has ended (EPIPE).
    pub fn let_go(mut self) -> io::Result<OwnedFd> {
        send(&self.control, &Record::new(wire::GO, 0, 0).to_bytes(), SendFlags::NOSIGNAL)?;
        std::mem::take(&mut self.groups).keep();
        self.pidfd.take().ok_or(Errno::CHILD.into())
    }

    /// Starts one that waits for its holder alone, and returns its first process once the program runs. From then on it
    /// needs nobody.
    ///
    /// # Errors
    /// See [`NotStarted`].
    pub fn start(mut self) -> Result<OwnedFd, NotStarted> {
        tell_to_start(&self.control)?;
        hear_of_start(&self.control)?;
        std::mem::take(&mut self.groups).keep();
        self.pidfd.take().ok_or(NotStarted::Nobody)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(pidfd) = &self.pidfd
            && rustix::net::shutdown(&self.control, rustix::net::Shutdown::Write).is_ok()
        {
            let _ = parent::reap(pidfd);
        }
    }
}

/// Where a detached sandbox waits, and nobody else listens: a socket with a name (unix(7), `SOCK_SEQPACKET`).
#[derive(Debug)]
pub struct Door(OwnedFd);

/// Why a sandbox was not started.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// Nobody waits there: it was started already, or has ended.
    #[error("nobody waits to be started")]
    Nobody,
    /// A step failed, and the sandbox has ended with it.
    #[error("{}", crate::model::text::cause(&io::Error::from_raw_os_error(*errno)))]
    Failed {
        /// The step's number in the plan; the last one is the program.
        step: u32,
        /// The kernel's answer.
        errno: i32,
    },
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] Errno),
}

impl Door {
    /// Makes one named `name` in `directory`, which nobody else may search.
    ///
    /// # Errors
    /// As bind(2): there is such a name (EADDRINUSE), or the directory can't be written.
    pub fn make(directory: BorrowedFd<'_>, name: &str) -> io::Result<Door> {
        let door = socket()?;
        bind(&door, &address(directory, name)?)?;
        listen(&door, 4)?;
        Ok(Door(door))
    }

    /// Starts what waits at the door named `name` in `directory`; returns once the program runs.
    ///
    /// # Errors
    /// See [`NotStarted`].
    pub fn knock(directory: BorrowedFd<'_>, name: &str) -> Result<(), NotStarted> {
        let caller = socket()?;
        match connect(&caller, &address(directory, name)?) {
            Err(Errno::CONNREFUSED | Errno::NOENT) => return Err(NotStarted::Nobody),
            done => done?,
        }
        tell_to_start(&caller)?;
        hear_of_start(&caller)
    }
}

fn tell_to_start(waiting: &OwnedFd) -> Result<(), NotStarted> {
    match send(waiting, &Record::new(wire::GO, 0, 0).to_bytes(), SendFlags::NOSIGNAL) {
        Err(Errno::PIPE | Errno::CONNRESET) => Err(NotStarted::Nobody),
        sent => Ok(sent.map(drop)?),
    }
}

/// Returns once what was told to start has become the program: that closes the socket.
fn hear_of_start(waiting: &OwnedFd) -> Result<(), NotStarted> {
    let mut began = false;
    let mut bytes = [0u8; wire::LENGTH];
    loop {
        match recv(waiting, &mut bytes, RecvFlags::empty()) {
            Err(Errno::INTR) => continue,
            Ok((wire::LENGTH, _)) => match Record::from_bytes(bytes) {
                Record { kind: wire::STARTED, .. } => began = true,
                Record { kind: wire::FAILED, step, value } => {
                    return Err(NotStarted::Failed { step, errno: value });
                }
                _ => {}
            },
            // Not taken in before the first one was the program: nobody was there any more.
            Err(Errno::CONNRESET) | Ok(_) if !began => return Err(NotStarted::Nobody),
            Ok(_) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Removes a control group that a sandbox was put into by its name ([`NamedGroup`](crate::spec::limits::NamedGroup)), once
/// it has ended. What still runs in it is killed where the kernel can do that at once; else the group stays.
pub fn remove_group(directory: &Path, version: Version) {
    crate::exec::cgroup::remove(directory, version);
}

/// Lets a control group of version 2 that stays use devices as before its sandbox, which has ended, by the number of the program
/// that the sandbox had it ask ([`Held::device_programs`]).
///
/// # Errors
/// The kernel's: there is no such group, or the caller may not (EPERM).
pub fn free_devices(directory: &Path, program: u32) -> io::Result<()> {
    Ok(crate::exec::cgroup::free_devices(directory, program)?)
}

fn socket() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// By the descriptor of its directory: an address has room for 107 bytes, and a path is looked up once.
fn address(directory: BorrowedFd<'_>, name: &str) -> Result<SocketAddrUnix, Errno> {
    SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()))
}
