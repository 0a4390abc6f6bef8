//! More about one process, read when it is shown: who made its namespaces, its ids, maps and rights.

use super::descriptors::open_same;
use super::machine::Process;
use super::maker::Clues;
use super::mounts;
use super::process::{DIRECTORY, Stat};
use crate::host::groups::directories;
use crate::model::id::IdMap;
use rustix::fs::{AtFlags, Mode, OFlags, open, openat};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A process that was found, open: all that is read is of that one, not of another with its pid.
#[derive(Debug)]
pub struct Open {
    pub(super) pid: u32,
    pub(super) directory: OwnedFd,
}

/// Arguments may have megabytes; nobody wants to see more than so many bytes.
const SHOWN: usize = 64 << 10;

impl Open {
    /// Opens the process's directory in /proc.
    ///
    /// # Errors
    /// ESRCH: it ended, whether or not its pid was given anew.
    pub fn new(process: &Process) -> Result<Open> {
        let gone = |errno| if errno == Errno::NOENT { Errno::SRCH } else { errno };
        let directory = open(format!("/proc/{}", process.pid), DIRECTORY, Mode::empty()).map_err(gone)?;
        // The kernel may have forgotten the directory that was read, and made another one for the same process.
        let same = rustix::fs::fstat(&directory).map_err(gone)?.st_ino == process.entry
            || Stat::read(directory.as_fd()).map_err(gone)?.start == process.start;
        if same { Ok(Open { pid: process.pid, directory }) } else { Err(Errno::SRCH) }
    }

    /// What a file of it holds, of at most some 4 KiB more than `most` bytes.
    fn bytes(&self, name: &CStr, most: usize) -> Result<Vec<u8>> {
        let file = openat(&self.directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        // Most files have less, and are read by two calls.
        let mut bytes = Vec::with_capacity(4096);
        while bytes.len() < most && rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes))? > 0 {
            bytes.reserve(4096);
        }
        Ok(bytes)
    }

    pub(super) fn text(&self, name: &CStr) -> Result<String> {
        self.bytes(name, SHOWN).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What tells who made its namespaces, but for its keeper; what can't be read is empty.
    pub fn clues(&self) -> Clues {
        let program = rustix::fs::readlinkat(&self.directory, c"exe", Vec::new()).unwrap_or_default();
        Clues {
            groups: self.text(c"cgroup").unwrap_or_default(),
            program: program.to_string_lossy().into_owned(),
            arguments: self.arguments(),
            keeper: Vec::new(),
        }
    }

    /// Whether it runs the program at `path`, links followed.
    pub fn runs(&self, path: &Path) -> bool {
        let program = rustix::fs::statat(&self.directory, c"exe", AtFlags::empty());
        let there = rustix::fs::stat(path);
        program.is_ok_and(|one| there.is_ok_and(|other| (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)))
    }

    /// Its arguments, the zeroth included; none of a thread of the kernel.
    pub fn arguments(&self) -> Vec<String> {
        let bytes = self.bytes(c"cmdline", SHOWN).unwrap_or_default();
        let parts = bytes.strip_suffix(b"\0").unwrap_or(&bytes).split(|&byte| byte == 0);
        let parts = parts.map(|part| String::from_utf8_lossy(part).into_owned());
        if bytes.is_empty() { Vec::new() } else { parts.collect() }
    }

    /// Its pids, from the caller's pid namespace down to its own (proc_pid_status(5), "NSpid").
    pub fn pids(&self) -> Vec<u32> {
        pids(&self.text(c"status").unwrap_or_default())
    }

    /// Bytes of memory that are in use (proc_pid_statm(5), "resident"); what it shares counts, too.
    pub fn memory(&self) -> Option<u64> {
        let pages: u64 = self.text(c"statm").ok()?.split_whitespace().nth(1)?.parse().ok()?;
        Some(pages * 4096)
    }

    /// What it sees as `/` (proc_pid_root(5), proc_pid_mountinfo(5)).
    ///
    /// # Errors
    /// It ended, or is closed to the caller.
    pub fn root(&self) -> Result<Root> {
        let directory = rustix::fs::readlinkat(&self.directory, c"root", Vec::new())?;
        let directory = PathBuf::from(OsString::from_vec(directory.into_bytes()));
        Ok(Root { directory, mount: mounts::root(&self.bytes(c"mountinfo", usize::MAX)?) })
    }

    /// What its control groups count, and to what they limit it.
    pub fn usage(&self) -> Vec<Counted> {
        let groups = directories(&self.text(c"cgroup").unwrap_or_default());
        let number = |file: &str| {
            let read = |group: &PathBuf| std::fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
            groups.iter().find_map(read)
        };
        let counted = |&(what, [used, used_before], [most, most_before]): &(Of, [&str; 2], [&str; 2])| {
            // Without a limit version 2 says "max", and version 1 the largest number of pages.
            let limit = number(most).or_else(|| number(most_before)).filter(|&limit| limit < 1 << 62);
            Some(Counted { what, used: number(used).or_else(|| number(used_before))?, limit })
        };
        COUNTED.iter().filter_map(counted).collect()
    }

    /// A descriptor of the process itself (pidfd_open(2)), by which it can be sent a signal and nobody else.
    ///
    /// # Errors
    /// ESRCH: it ended.
    pub fn pidfd(&self) -> Result<OwnedFd> {
        open_same(self.directory.as_fd(), self.pid).ok_or(Errno::SRCH)
    }

    /// Its maps of user and of group ids (user_namespaces(7)), with ids outside as the caller's user namespace shows them.
    pub fn maps(&self) -> [Vec<IdMap>; 2] {
        [c"uid_map", c"gid_map"].map(|name| {
            let text = self.text(name).unwrap_or_default();
            text.lines().filter_map(map).collect()
        })
    }

    /// Whether supplementary groups can be set in its user namespace (user_namespaces(7), "setgroups").
    pub(super) fn setgroups(&self) -> bool {
        self.text(c"setgroups").is_ok_and(|text| text.starts_with("allow"))
    }

    /// Its environment as it started, in order; a variable without a value is left out.
    ///
    /// # Errors
    /// It is closed to the caller, or the process ended.
    pub fn environment(&self) -> Result<Vec<(OsString, OsString)>> {
        // The kernel bounds it (execve(2), "Limits on size of arguments and environment").
        let bytes = self.bytes(c"environ", usize::MAX)?;
        let pair = |text: &[u8]| {
            let at = text.iter().position(|&byte| byte == b'=').filter(|&at| at > 0)?;
            Some((OsString::from_vec(text[..at].to_vec()), OsString::from_vec(text[at + 1..].to_vec())))
        };
        Ok(bytes.split(|&byte| byte == 0).filter_map(pair).collect())
    }

    /// The user and the capabilities with which it acts.
    ///
    /// # Errors
    /// It ended.
    pub fn credentials(&self) -> Result<Credentials> {
        let text = self.text(c"status")?;
        Credentials::parse(&text).ok_or(Errno::SRCH)
    }
}

/// The root directory of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Its path, as the caller's own mount namespace shows it; `/` if it is the root of the process's mount namespace.
    pub directory: PathBuf,
    /// The mount on it, if there is one.
    pub mount: Option<RootMount>,
}

/// The mount at the root of a mount namespace, as the kernel describes it. Who mounted it chooses the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootMount {
    /// The kind of file system: `ext4`, `overlay`, `tmpfs`.
    pub system: OsString,
    /// What is mounted: a device or, for file systems without one, any word.
    pub source: OsString,
    /// The directory of that file system which is mounted.
    pub directory: PathBuf,
    /// Whether nothing can be written through it.
    pub read_only: bool,
}

/// What a process's control groups count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// What is counted.
    pub what: Of,
    /// How much is in use: bytes or tasks.
    pub used: u64,
    /// How much may be; `None` without a limit of this group.
    pub limit: Option<u64>,
}

/// What a control group counts (cgroups(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Bytes of memory.
    Memory,
    /// Processes and threads.
    Tasks,
}

/// Files of use and limit, of version 2 and of version 1.
const COUNTED: [(Of, [&str; 2], [&str; 2]); 2] = [
    (Of::Memory, ["memory.current", "memory.usage_in_bytes"], ["memory.max", "memory.limit_in_bytes"]),
    (Of::Tasks, ["pids.current", "pids.current"], ["pids.max", "pids.max"]),
];

/// With which rights a process acts (credentials(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// Effective user id, as the caller's user namespace shows it.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Effective capabilities, a bit each (capabilities(7)).
    pub effective: u64,
    /// Permitted capabilities.
    pub permitted: u64,
    /// Whether it can't gain rights any more by execve(2).
    pub no_new_privs: bool,
    /// Whether a filter of system calls is in force (seccomp(2)).
    pub filtered: bool,
}

impl Credentials {
    pub(super) fn parse(status: &str) -> Option<Credentials> {
        let bits = |name| u64::from_str_radix(field(status, name)?, 16).ok();
        let id = |name| field(status, name)?.split_whitespace().nth(1)?.parse().ok();
        Some(Credentials {
            uid: id("Uid")?,
            gid: id("Gid")?,
            effective: bits("CapEff")?,
            permitted: bits("CapPrm")?,
            no_new_privs: field(status, "NoNewPrivs") == Some("1"),
            filtered: field(status, "Seccomp") == Some("2"),
        })
    }
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// The pids in a text of `status`, from the reader's pid namespace down to its own (proc_pid_status(5), "NSpid").
pub fn pids(status: &str) -> Vec<u32> {
    let all = field(status, "NSpid").unwrap_or_default();
    all.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// A line of a map of ids.
pub(super) fn map(line: &str) -> Option<IdMap> {
    let numbers: Vec<u32> = line.split_whitespace().map_while(|number| number.parse().ok()).collect();
    let [inside, outside, count] = numbers.try_into().ok()?;
    Some(IdMap { inside, outside, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_in_its_own_namespace_is_the_last_one() {
        assert_eq!(pids("Name:\tx\nNSpid:\t812\t7\t1\n"), [812, 7, 1]);
        assert_eq!(pids("NSpid:\t812\n"), [812]);
        assert_eq!(pids("Name:\tx\n"), [0; 0]);
    }

    #[test]
    fn a_status_tells_rights() {
        let text = "Name:\tUid: 5\nUid:\t1000\t1001\t1000\t1000\nGid:\t5\t6\t5\t5\nNSpid:\t5709\t72\nCapPrm:\t00000000000000c0\n\
            CapEff:\t0000000000000040\nCapBnd:\t000001ffffffffff\nNoNewPrivs:\t1\nSeccomp:\t2\n";
        let credentials = Credentials::parse(text).expect("it is whole");
        assert_eq!(credentials.gid, 6);
        assert_eq!((credentials.uid, credentials.effective, credentials.permitted), (1001, 0x40, 0xc0));
        assert!(credentials.no_new_privs && credentials.filtered);
        assert_eq!(Credentials::parse("Uid:\t1\n"), None);
        assert_eq!(map("         0       1000          1"), Some(IdMap::single(0, 1000)));
        assert_eq!(map("0 1000"), None);
    }
}
