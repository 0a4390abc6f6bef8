//! What a wish names outside and the parent opens or reads before the clone: namespaces, contents, standard descriptors.

use crate::spec::filesystem::{CONTENT_MOST, Content};
use crate::spec::life::Stdio;
use crate::spec::namespaces::Target;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::{Errno, Result};

/// Reads a content to its end; more than [`CONTENT_MOST`] is refused (EFBIG).
pub(super) fn read(content: &Content) -> Result<Vec<u8>> {
    let number = match content {
        Content::Bytes(bytes) => return Ok(bytes.clone()),
        Content::Descriptor(number) => *number,
    };
    let file = crate::sys::process::borrow(number).ok_or(Errno::BADF)?;
    let (mut all, mut part) = (Vec::new(), [0u8; 8192]);
    loop {
        match rustix::io::retry_on_intr(|| rustix::io::read(file, &mut part))? {
            0 => return Ok(all),
            length if all.len() + length > CONTENT_MOST => return Err(Errno::FBIG),
            length => all.extend_from_slice(&part[..length]),
        }
    }
}

/// Opens a namespace to join.
pub(super) fn open_namespace(target: &Target, name: &str) -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match target {
        Target::Path(path) => open(path, flags, Mode::empty()),
        Target::Descriptor(number) | Target::Opened { descriptor: number, .. } => {
            rustix::io::fcntl_dupfd_cloexec(crate::sys::process::borrow(*number).ok_or(Errno::BADF)?, 3)
        }
        Target::Process(pid) => {
            let pid = rustix::process::Pid::from_raw(*pid).ok_or(Errno::SRCH)?;
            let process = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
            let opened = open(format!("/proc/{}/ns/{name}", pid.as_raw_pid()), flags, Mode::empty())?;
            // A descriptor of a process that has ended is readable; one that hasn't pins the meaning of its number.
            let mut ended = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
            match rustix::event::poll(&mut ended, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }))? {
                0 => Ok(opened),
                _ => Err(Errno::SRCH),
            }
        }
    }
}

/// Whether an opened namespace is the one that the caller, whose child is cloned by this thread, is in.
pub(super) fn is_callers(opened: &OwnedFd, name: &str) -> Result<bool> {
    let own = rustix::fs::stat(format!("/proc/thread-self/ns/{name}"))?;
    let other = rustix::fs::fstat(opened)?;
    Ok((own.st_dev, own.st_ino) == (other.st_dev, other.st_ino))
}

/// The caller's /proc: what is written to the kernel's files is written below it, and it must be one (ESTALE).
pub(super) fn proc_handle() -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, fstatfs, open};
    let proc = open(c"/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    if fstatfs(&proc)?.f_type == super::within::PROC { Ok(proc) } else { Err(Errno::STALE) }
}

/// One descriptor, or none, for each of standard input, output and error.
pub(crate) type Three = [Option<OwnedFd>; 3];

/// Opens what the standard descriptors will be; the ends for the caller are returned beside.
pub(crate) fn open_stdio(wishes: [Stdio; 3]) -> Result<(Three, Three)> {
    use rustix::fs::{Mode, OFlags, open};
    use rustix::pipe::{PipeFlags, pipe_with};
    let (mut inside, mut outside) = ([const { None }; 3], [const { None }; 3]);
    for (number, wish) in wishes.into_iter().enumerate() {
        let opened = match wish {
            Stdio::Inherit => continue,
            Stdio::Null => open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?,
            Stdio::Descriptor(n) => {
                rustix::io::fcntl_dupfd_cloexec(crate::sys::process::borrow(n).ok_or(Errno::BADF)?, 3)?
            }
            Stdio::Piped => {
                let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
                let (mine, theirs) = if number == 0 { (read, write) } else { (write, read) };
                outside[number] = Some(theirs);
                mine
            }
        };
        // A program that closed its standard descriptors may get one of their numbers here; move out of the way.
        let high = if opened.as_raw_fd() > 2 { opened } else { rustix::io::fcntl_dupfd_cloexec(&opened, 3)? };
        inside[number] = Some(high);
    }
    Ok((inside, outside))
}
