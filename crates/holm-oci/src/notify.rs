//! A container that tells when it is ready (sd_notify(3)): its messages come to a socket of its own, and who has started it passes
//! on that it is ready, and nothing else of what it says.
//!
//! The socket is in a directory of the container's place, which is mounted, read-only, where the container is told to look.
//! It is there once `start` listens, before any program runs. Who waits for the message is holm's caller: `start` returns when it
//! has come, or the container has ended, as engines know it.

use crate::state::open_directory;
use crate::{Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect, recv, send,
    socket_with,
};
use rustix::pipe::{PipeFlags, pipe_with};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// The directory's name in a container's place.
pub(crate) const DIRECTORY: &str = "notify";
const SOCKET: &str = "notify.sock";
/// Where it is in the container.
pub(crate) const INSIDE: &str = "/run/notify";
/// The variable that names such a socket.
pub(crate) const VARIABLE: &str = "NOTIFY_SOCKET";
/// What it says then, in the container.
pub(crate) const VALUE: &str = "/run/notify/notify.sock";
/// Longer messages are cut.
const LONGEST: usize = 4096;
/// So many messages at most wait to be read (net.unix.max_dgram_qlen, as distributions set it).
const WAITING: usize = 512;
/// How long who listens outside may take to have heard everything.
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// The socket at which somebody outside waits.
#[derive(Debug)]
pub(crate) struct Host(SocketAddrUnix);

impl Host {
    /// The one that this process's environment names: a path or, after an `@`, an abstract name.
    ///
    /// # Errors
    /// It is no such name.
    pub(crate) fn here() -> Result<Option<Host>> {
        let Some(name) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) else { return Ok(None) };
        let address = Host::address(&name);
        let failed = |errno| Error::io(format!("use {VARIABLE} {}", crate::shown(name.as_ref())), errno);
        address.map(|address| Some(Host(address))).map_err(failed)
    }

    fn address(name: &OsStr) -> rustix::io::Result<SocketAddrUnix> {
        match name.as_bytes() {
            [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name),
            [b'/', ..] => SocketAddrUnix::new(name),
            _ => Err(Errno::INVAL),
        }
    }

    /// Says that the container is ready, and which process it is, and waits until that has been heard: who is gone by then isn't
    /// known any more.
    fn tell(&self, pid: i32) -> rustix::io::Result<()> {
        let socket = socket()?;
        connect(&socket, &self.0)?;
        send(&socket, format!("MAINPID={pid}\nREADY=1\n").as_bytes(), SendFlags::NOSIGNAL)?;
        let (heard, closed) = pipe_with(PipeFlags::CLOEXEC)?;
        crate::socket::send(&socket, closed.as_fd(), b"BARRIER=1")?;
        drop(closed);
        // Whoever knows no barrier closes it at once.
        rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&heard, PollFlags::empty())], Some(&PATIENCE))).map(drop)
    }
}

fn socket() -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
}

/// Makes the directory in a container's place; everybody in the container may reach the socket.
///
/// # Errors
/// The kernel's.
pub(crate) fn prepare(place: BorrowedFd<'_>) -> Result<()> {
    let mode = Mode::from_raw_mode(0o755);
    let made = rustix::fs::mkdirat(place, DIRECTORY, mode).and_then(|()| {
        let directory = open_directory(place, DIRECTORY)?;
        // Whatever the caller's mask is.
        rustix::fs::fchmod(directory, mode)
    });
    made.map_err(|errno| Error::io("make the socket at which the container says that it is ready", errno))
}

/// A container's socket, and who is to be told.
#[derive(Debug)]
pub(crate) struct Listening {
    socket: OwnedFd,
    host: Host,
}

impl Listening {
    /// Listens from now on, if the container was made to be heard and somebody outside waits.
    ///
    /// # Errors
    /// The kernel's; what waits outside has no such name.
    pub(crate) fn begin(place: BorrowedFd<'_>) -> Result<Option<Listening>> {
        let failed = |errno| Error::io("listen to the container", errno);
        let Some(host) = Host::here()? else { return Ok(None) };
        let directory = match open_directory(place, DIRECTORY) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        let made = socket().and_then(|socket| {
            let path = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
            bind(&socket, &SocketAddrUnix::new(path.as_str())?)?;
            // Whatever is there by now: a link is not followed.
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = openat(&directory, SOCKET, flags, Mode::empty())?;
            if !FileType::from_raw_mode(fstat(&made)?.st_mode).is_socket() {
                return Err(Errno::NOTSOCK);
            }
            // fchmod(2) takes no such descriptor, and its link in /proc leads to nothing else.
            rustix::fs::chmod(format!("/proc/self/fd/{}", made.as_raw_fd()), Mode::from_raw_mode(0o777))?;
            Ok(socket)
        });
        made.map(|socket| Some(Listening { socket, host })).map_err(failed)
    }

    /// Waits until the container says that it is ready, and passes that on, or until its first process has ended.
    ///
    /// # Errors
    /// The kernel's: nobody listens outside.
    pub(crate) fn pass_on(&self, process: &OwnedFd, pid: i32) -> Result<()> {
        let failed = |errno| Error::io(format!("tell {VARIABLE} that the container is ready"), errno);
        let mut left = WAITING;
        loop {
            let mut polled = [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(process, PollFlags::IN)];
            rustix::io::retry_on_intr(|| poll(&mut polled, None)).map_err(failed)?;
            let [said, ended] = polled.map(|one| !one.revents().is_empty());
            let mut bytes = [0u8; LONGEST];
            if said {
                let (length, _) = rustix::io::retry_on_intr(|| recv(&self.socket, &mut bytes[..], RecvFlags::DONTWAIT))
                    .map_err(failed)?;
                if bytes[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                    return self.host.tell(pid).map_err(failed);
                }
            }
            // What it said last counts; who else writes on and on doesn't keep its end from being seen.
            left -= usize::from(ended);
            if ended && (!said || left == 0) {
                return Ok(());
            }
        }
    }
}

/// Removes the directory. Who has all rights in a container may have put anything there.
///
/// # Errors
/// The kernel's.
pub(crate) fn remove(place: BorrowedFd<'_>) -> std::io::Result<()> {
    match std::fs::remove_dir_all(format!("/proc/self/fd/{}/{DIRECTORY}", place.as_raw_fd())) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_a_path_or_an_abstract_name() {
        let of = |name: &str| Host::address(OsStr::new(name));
        assert_eq!(of("/run/x").map(|at| at.path().map(Into::into)), Ok(Some(c"/run/x".to_owned())));
        assert_eq!(of("@x").map(|at| at.abstract_name().map(<[u8]>::to_vec)), Ok(Some(b"x".to_vec())));
        assert_eq!([of("run"), of(""), of("vsock:2:1")].map(|at| at.err()), [Some(Errno::INVAL); 3]);
    }
}
