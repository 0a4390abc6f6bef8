//! What `checkpoint` and `restore` have in common: the options that criu is given, by the numbers of its own message
//! (images/rpc.proto, `criu_opts`).

use crate::criu::images::{Directory, Missing};
use crate::criu::message::Message;
use crate::{Error, Result};
use holm::host::limits::is_machines_root;
use holm::model::namespace::Namespace;
use rustix::fs::{Mode, OFlags};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// What criu may do besides, or is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Also {
    /// Sockets of AF_UNIX that are connected to the outside are taken along.
    ExternalSockets = 4,
    /// Connections of TCP are taken along.
    EstablishedConnections = 5,
    /// Processes of a session, or with a terminal, of the outside are taken along.
    ShellJob = 7,
    /// Locks of files are taken along.
    FileLocks = 8,
    /// What an earlier image holds, too, is freed there.
    Deduplicated = 16,
    /// Connections of TCP that are being made are left out.
    SkippedConnections = 46,
}

/// What criu does about control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Groups {
    /// Nothing.
    Ignored = 0,
    /// Those that aren't there are made.
    #[default]
    Soft = 3,
    /// All are set as they were.
    Full = 4,
    /// None may be there.
    Strict = 5,
}

/// How criu is to work.
#[derive(Debug, Clone, Default)]
pub struct How {
    /// Where the images are.
    pub images: PathBuf,
    /// Where its log goes; where the images are if no other place is named.
    pub work: Option<PathBuf>,
    /// What it may do.
    pub also: Vec<Also>,
    /// What it does about control groups.
    pub groups: Groups,
    /// Whether the network namespace is left empty, for whoever sets it up.
    pub empty_network: bool,
}

/// The directories, open.
pub(super) struct Directories {
    pub(super) images: Directory,
    work: Option<Directory>,
}

impl How {
    /// Opens the directories; `missing` says what becomes of one for images that isn't there.
    pub(super) fn open(&self, missing: Missing) -> Result<Directories> {
        let images = Directory::open(&self.images, missing)?;
        let work = self.work.as_deref().map(|work| Directory::open(work, Missing::Made)).transpose()?;
        Ok(Directories { images, work })
    }

    /// The options so far; `log` is the name of criu's log.
    pub(super) fn options(&self, directories: &Directories, log: &str) -> Message {
        let mut options = Message::default();
        options.small(1, directories.images.number());
        self.also.iter().for_each(|also| options.flag(*also as u32, true));
        // As much as helps to understand a failure.
        options.number(9, 4);
        options.text(10, log);
        // It tells what it has come to.
        options.flag(12, true);
        if let Some(work) = &directories.work {
            options.small(17, work.number());
        }
        options.flag(24, true);
        options.number(34, self.groups as u64);
        if self.empty_network {
            options.number(38, rustix::thread::UnshareFlags::NEWNET.bits().into());
        }
        // A terminal's controlling side is outside.
        options.flag(50, true);
        options
    }
}

impl Directories {
    /// The same ones as a process with this root has them, in its mount namespace: criu mounts something where it works.
    pub(super) fn within(&self, root: BorrowedFd<'_>) -> Result<Directories> {
        let work = self.work.as_ref().map(|work| work.within(root)).transpose()?;
        Ok(Directories { images: self.images.within(root)?, work })
    }

    /// Where criu's log of this name is.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.work.as_ref().unwrap_or(&self.images).join(name)
    }
}

/// The root of a process.
pub(super) fn root(pid: i32) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}/root");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(&path, flags, Mode::empty()).map_err(|errno| Error::io(format!("open {path}"), errno))
}

/// What criu calls a namespace that it finds and leaves alone; none for kinds that it can't leave alone.
pub(super) fn key(kind: Namespace) -> Option<&'static str> {
    match kind {
        Namespace::Net => Some("extRootNetNS"),
        Namespace::Pid => Some("extRootPidNS"),
        _ => None,
    }
}

/// Only who has all rights over the machine can ask for it.
pub(super) fn allowed(what: &str) -> Result<()> {
    match is_machines_root() {
        true => Ok(()),
        false => Err(Error::Failed(format!("cannot {what}: criu needs to be root"))),
    }
}
