//! Watches what a program is refused: a thread of the caller's answers the filter's notifications and keeps what they tell.
//!
//! A call that the filter refuses gets the errno that the filter says; its number and arguments are the kernel's copy, so
//! nothing that the program changes meanwhile counts. A call on a path or address, which the filter allows, is looked at
//! and goes on: what is read of the program's memory serves the record only. The program chooses these paths, so on the
//! host they are looked at without following links or mounting, and only whether something is there is kept.

use crate::model::denied::{Denied, What};
use crate::model::seccomp::{ARCHITECTURE, Action, Call, ENOSYS, EPERM, Instruction, answer};
use crate::sys::inside::look;
use crate::sys::notify::{self, Answer, Notification};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatVfsMountFlags, StatxFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use syscalls::x86_64::Sysno;

/// Where a call has its path, and what it is to do there.
#[derive(Clone, Copy)]
enum Watched {
    /// The path is this argument, relative to the working directory.
    Path(usize, Access),
    /// The path is this argument, relative to the directory that the one before it is open on.
    PathAt(usize, Access),
    /// The address is the argument 1.
    Address,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Look,
    Write,
    /// As the flags in this argument say (open(2)).
    Flags(usize),
}

const WATCHED: &[(Sysno, Watched)] = &[
    (Sysno::open, Watched::Path(0, Access::Flags(1))),
    (Sysno::openat, Watched::PathAt(1, Access::Flags(2))),
    (Sysno::creat, Watched::Path(0, Access::Write)),
    (Sysno::execve, Watched::Path(0, Access::Look)),
    (Sysno::stat, Watched::Path(0, Access::Look)),
    (Sysno::lstat, Watched::Path(0, Access::Look)),
    (Sysno::newfstatat, Watched::PathAt(1, Access::Look)),
    (Sysno::statx, Watched::PathAt(1, Access::Look)),
    (Sysno::access, Watched::Path(0, Access::Look)),
    (Sysno::faccessat, Watched::PathAt(1, Access::Look)),
    (Sysno::faccessat2, Watched::PathAt(1, Access::Look)),
    (Sysno::readlink, Watched::Path(0, Access::Look)),
    (Sysno::readlinkat, Watched::PathAt(1, Access::Look)),
    (Sysno::chdir, Watched::Path(0, Access::Look)),
    (Sysno::mkdir, Watched::Path(0, Access::Write)),
    (Sysno::mkdirat, Watched::PathAt(1, Access::Write)),
    (Sysno::rmdir, Watched::Path(0, Access::Write)),
    (Sysno::unlink, Watched::Path(0, Access::Write)),
    (Sysno::unlinkat, Watched::PathAt(1, Access::Write)),
    (Sysno::rename, Watched::Path(1, Access::Write)),
    (Sysno::renameat, Watched::PathAt(3, Access::Write)),
    (Sysno::renameat2, Watched::PathAt(3, Access::Write)),
    (Sysno::truncate, Watched::Path(0, Access::Write)),
    (Sysno::connect, Watched::Address),
];

/// How many different denials are kept.
const MOST: usize = 1000;

/// The filter that notifies: of what `filter` refuses but for ENOSYS, after which a C library tries another call; and of the
/// calls that are looked at.
pub(crate) fn notifying(filter: &[Instruction]) -> Vec<Instruction> {
    const NOTIFY: u32 = Action::Notify.word();
    let one = |code, if_true, if_false, value| Instruction { code, if_true, if_false, value };
    // The call's number; of another architecture it means nothing, and the filter behind looks at that itself.
    let mut words = vec![one(Instruction::LOAD, 0, 0, 4), one(Instruction::IF_EQUAL, 1, 0, ARCHITECTURE)];
    let count = WATCHED.len() as u8;
    words.push(one(Instruction::JUMP, 0, 0, u32::from(count) + 2));
    words.push(one(Instruction::LOAD, 0, 0, 0));
    for (place, (call, _)) in WATCHED.iter().enumerate() {
        words.push(one(Instruction::IF_EQUAL, count - place as u8, 0, *call as u32));
    }
    words.push(one(Instruction::JUMP, 0, 0, 1));
    words.push(one(Instruction::RETURN, 0, 0, NOTIFY));
    words.extend(filter.iter().map(|instruction| match Action::from_word(instruction.value) {
        Action::Errno(errno) if instruction.code == Instruction::RETURN && errno != ENOSYS => {
            Instruction { value: NOTIFY, ..*instruction }
        }
        _ => *instruction,
    }));
    words
}

/// The thread that answers.
#[derive(Debug)]
pub(crate) struct Watcher(Option<JoinHandle<Vec<Denied>>>);

impl Watcher {
    /// Starts it. It ends with the last process under the filter.
    pub(crate) fn start(listener: OwnedFd, filter: Vec<Instruction>) -> std::io::Result<Watcher> {
        let mut watch = Watch { listener, filter, found: Vec::new() };
        let answer = move || {
            watch.answer_all();
            watch.found
        };
        std::thread::Builder::new().name("holm-watch".to_owned()).spawn(answer).map(|thread| Watcher(Some(thread)))
    }

    /// What was refused; waits for the end of the sandbox.
    pub(crate) fn finish(&mut self) -> Vec<Denied> {
        self.0.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.finish();
    }
}

struct Watch {
    listener: OwnedFd,
    filter: Vec<Instruction>,
    found: Vec<Denied>,
}

impl Watch {
    fn answer_all(&mut self) {
        loop {
            let mut wanted = [PollFd::new(&self.listener, PollFlags::IN)];
            match poll(&mut wanted, None) {
                Ok(_) if wanted[0].revents().contains(PollFlags::IN) => {}
                Err(Errno::INTR) => continue,
                // Nobody is under the filter any more.
                _ => return,
            }
            let Ok(call) = notify::receive(self.listener.as_fd()) else { continue };
            let answer = self.judge(&call);
            // If the process is gone there is nobody to answer.
            let _ = notify::answer(self.listener.as_fd(), call.id, answer);
        }
    }

    fn judge(&mut self, call: &Notification) -> Answer {
        let data = Call {
            number: call.number,
            architecture: call.architecture,
            instruction_pointer: call.instruction_pointer,
            arguments: call.arguments,
        };
        match answer(&self.filter, &data) {
            Action::Allow | Action::Log => {
                if let Some(what) = self.look(call) {
                    self.keep(call, what);
                }
                Answer::Continue
            }
            Action::Errno(errno) => {
                let name =
                    Sysno::new(call.number as usize).map_or_else(|| call.number.to_string(), |s| s.name().to_owned());
                self.keep(call, What::Call { name, arguments: call.arguments, errno });
                Answer::Fail(errno)
            }
            // The filter itself has answered these.
            _ => Answer::Fail(EPERM),
        }
    }

    /// What an allowed call is about to miss.
    fn look(&self, call: &Notification) -> Option<What> {
        let watched = WATCHED.iter().find(|(known, _)| *known as u32 == call.number)?.1;
        let (place, base, access) = match watched {
            Watched::Address => return unreachable(call),
            Watched::Path(place, access) => (place, None, access),
            Watched::PathAt(place, access) => (place, Some(call.arguments[place - 1] as i32), access),
        };
        let path = absolute(call.pid, base, &text(call.pid, call.arguments[place])?)?;
        let root = rustix::fs::open(format!("/proc/{}/root", call.pid), OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let root = root.ok().filter(|_| notify::is_valid(self.listener.as_fd(), call.id))?;
        let writes = match access {
            Access::Look => false,
            Access::Write => true,
            Access::Flags(place) => {
                call.arguments[place] & (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) as u64 != 0
            }
        };
        missed(&root, path, writes)
    }

    fn keep(&mut self, call: &Notification, what: What) {
        let program = std::fs::read_to_string(format!("/proc/{}/comm", call.pid)).unwrap_or_default();
        let program = program.trim_end().to_owned();
        match self.found.iter().position(|one| one.program == program && one.what.same(&what)) {
            Some(place) => self.found[place].count += 1,
            None if self.found.len() < MOST => self.found.push(Denied { what, program, count: 1 }),
            None => {}
        }
    }
}

/// What of `path` is missed in `root`: all of it, where the host has it; or the right to write.
fn missed(root: &OwnedFd, path: PathBuf, writes: bool) -> Option<What> {
    let inside = |path: &Path| look(root.as_fd(), path, OFlags::empty());
    // What a /proc shows depends on who looks.
    if path.starts_with("/proc") {
        return None;
    }
    match inside(&path) {
        Err(Errno::NOENT | Errno::NOTDIR) => {
            let parent = path.parent().and_then(|parent| inside(parent).ok());
            match parent.filter(|_| writes) {
                Some(parent) => read_only(&parent).then_some(What::ReadOnly(path)),
                // A link that leads nowhere inside is there.
                None => (look(root.as_fd(), &path, OFlags::NOFOLLOW).is_err() && on_host(&path))
                    .then_some(What::Absent(path)),
            }
        }
        Ok(found) if writes => {
            let device = rustix::fs::fstat(&found).is_ok_and(|facts| {
                let kind = rustix::fs::FileType::from_raw_mode(facts.st_mode);
                kind.is_char_device() || kind.is_fifo()
            });
            (!device && read_only(&found)).then_some(What::ReadOnly(path))
        }
        _ => None,
    }
}

fn read_only(file: &OwnedFd) -> bool {
    rustix::fs::fstatvfs(file).is_ok_and(|system| system.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Whether the caller has something at this path: looked at without following a last link and without mounting anything.
fn on_host(path: &Path) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    rustix::fs::statx(CWD, path, flags, StatxFlags::TYPE).is_ok()
}

/// The path in a process's memory, up to its NUL byte.
fn text(pid: u32, address: u64) -> Option<PathBuf> {
    let mut bytes = [0u8; 4096];
    // Memory is read up to the end of its page first: the next one may not be there.
    let first = (4096 - (address % 4096) as usize).min(bytes.len());
    let mut length = notify::read_memory(pid, address, &mut bytes[..first]).ok()?;
    if !bytes[..length].contains(&0) && length == first && first < bytes.len() {
        length += notify::read_memory(pid, address + first as u64, &mut bytes[first..]).unwrap_or(0);
    }
    let end = bytes[..length].iter().position(|&byte| byte == 0)?;
    (end > 0).then(|| PathBuf::from(OsStr::from_bytes(&bytes[..end])))
}

/// `path` from the process's root on.
fn absolute(pid: u32, base: Option<i32>, path: &Path) -> Option<PathBuf> {
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    let link = match base {
        None | Some(libc::AT_FDCWD) => format!("/proc/{pid}/cwd"),
        Some(number) => format!("/proc/{pid}/fd/{number}"),
    };
    let base = std::fs::read_link(link).ok()?;
    base.is_absolute().then(|| base.join(path))
}

/// An address of the internet, which nothing leads to where the loopback is all there is.
fn unreachable(call: &Notification) -> Option<What> {
    let mut bytes = [0u8; 28];
    let length = (call.arguments[2] as usize).min(bytes.len());
    let length = notify::read_memory(call.pid, call.arguments[1], &mut bytes[..length]).ok()?;
    let port = u16::from_be_bytes([bytes[2], bytes[3]]);
    let address: SocketAddr = match (i32::from(u16::from_ne_bytes([bytes[0], bytes[1]])), length) {
        (libc::AF_INET, 16..) => (Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]), port).into(),
        (libc::AF_INET6, 24..) => {
            let parts: [u8; 16] = bytes[8..24].try_into().ok()?;
            (Ipv6Addr::from(parts), port).into()
        }
        _ => return None,
    };
    let alone = std::fs::read_to_string(format!("/proc/{}/net/dev", call.pid))
        .is_ok_and(|devices| devices.lines().skip(2).all(|line| line.trim_start().starts_with("lo:")));
    (alone && !address.ip().is_loopback()).then_some(What::Unreachable(address))
}
