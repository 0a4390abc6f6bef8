//! The state directory: a private directory for each container, with its record and its door.
//!
//! Whoever works on a container holds a lock (flock(2)) on its directory, which the kernel takes back if it dies. The record is
//! written aside and renamed, so it is whole or the one before. What the record says is checked against the machine: a
//! process is the container's only if it began when that did.

use crate::group::{Freezer, Group};
use crate::resctrl::Resctrl;
use crate::{Error, Result, shown};
use oci_spec::runtime::{self as oci, Hooks};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, fstat, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The door's name.
pub(crate) const DOOR: &str = "door";
const RECORD: &str = "state.json";
/// What has to end with a container is noted apart, so that a record which can't be read doesn't keep it alive.
const HOLDS: &str = "holds.json";
const ASIDE: &str = "new";
/// A record has at most so many bytes: what it takes from a configuration may be longer as it is escaped here.
const MOST: u64 = 8 * crate::bundle::MOST;
/// The version of the record's form.
const FORM: u32 = 6;

/// What is noted of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Record {
    /// The version of this form.
    pub form: u32,
    /// As in its configuration.
    pub oci_version: String,
    /// Its name.
    pub id: String,
    /// Its bundle's directory.
    pub bundle: PathBuf,
    /// Its root's directory.
    pub rootfs: PathBuf,
    /// Who made it, by the user id.
    pub owner: u32,
    /// When it was made, as RFC 3339 has it.
    pub created: String,
    /// What its configuration says about it.
    pub annotations: BTreeMap<String, String>,
    /// The hooks of its configuration: what becomes of the bundle later doesn't count (runtime.md, "Lifecycle").
    pub hooks: Option<Hooks>,
    /// The process of its configuration: what `exec` runs is like it.
    pub own: oci::Process,
    /// The filter of its configuration, for what `exec` runs.
    pub seccomp: Option<serde_json::Value>,
    /// The machine that it sees, for what `exec` runs.
    pub personality: Option<oci::LinuxPersonality>,
    /// Whether its root stands apart, in a mount namespace that is others', too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub apart: bool,
    /// Its control groups.
    pub groups: Vec<Group>,
    /// Its group of resctrl.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resctrl: Option<Resctrl>,
    /// The unit of systemd's that they belong to.
    pub unit: Option<String>,
    /// Its first process, once there is one.
    pub process: Option<Process>,
    /// How far it has come.
    pub stage: Stage,
    /// What has to be known to write it down by criu.
    pub outside: Outside,
}

/// What of a container comes from outside.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outside {
    /// What of the host's is mounted.
    pub mounts: Vec<Attached>,
    /// The kinds of namespaces that were joined (namespaces(7), /proc/PID/ns).
    pub namespaces: Vec<String>,
    /// Where its standard streams led to before anybody ran in it (proc(5), /proc/PID/fd).
    pub streams: [String; 3],
    /// Why it can't be written down, if that is so.
    pub lasting: Option<String>,
}

/// A mount that comes from outside, as it was before anybody ran in the container: what its path leads through may be renamed
/// there, but the mount keeps its number and what it shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attached {
    /// What of the configuration it belongs to.
    pub of: PathBuf,
    /// Where it is below that.
    pub below: PathBuf,
    /// Its number (proc(5), /proc/PID/mountinfo).
    pub id: u64,
    /// The file system, by major and minor number.
    pub device: String,
    /// What of the file system it shows.
    pub root: PathBuf,
}

/// How far a container has come, whatever has become of its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Its maker is at work, or its hooks are.
    Making,
    /// It may be started.
    Waits,
    /// Hooks are at work before its program is started.
    Starting,
    /// It was started.
    Started,
}

/// A process that can't be confused with a later one of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its pid.
    pub pid: i32,
    /// When it began, in clock ticks since boot (proc(5), `starttime`).
    pub start: u64,
}

/// What has to end with a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holds {
    /// Its first process, once there is one.
    pub process: Option<Process>,
    /// Its control groups.
    pub groups: Vec<Group>,
    /// Its group of resctrl.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resctrl: Option<Resctrl>,
    /// The unit of systemd's that they belong to.
    pub unit: Option<String>,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is being made, or its maker died over it.
    Creating,
    /// It waits to be started.
    Created,
    /// Its program runs.
    Running,
    /// It has begun, and is stopped.
    Paused,
    /// Its program has ended.
    Stopped,
}

impl Status {
    /// As the specification has it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }

    /// Whether it has been made and hasn't ended.
    pub(crate) fn lives(self) -> bool {
        matches!(self, Status::Created | Status::Running | Status::Paused)
    }
}

/// A process's state, start and name.
fn look(pid: i32) -> Option<(char, u64, String)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = text.rsplit_once(") ")?;
    let name = before.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = after.split(' ').collect();
    Some((fields.first()?.chars().next()?, fields.get(19)?.parse().ok()?, name))
}

impl Process {
    /// The process that has this pid now.
    pub fn of(pid: i32) -> Option<Process> {
        look(pid).map(|(_, start, _)| Process { pid, start })
    }

    /// The process, if it hasn't ended: a descriptor that means no other.
    pub fn open(self) -> Option<OwnedFd> {
        let process = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        self.name().map(|_| process)
    }

    /// Its name, if it hasn't ended.
    fn name(self) -> Option<String> {
        look(self.pid)
            .filter(|(state, start, _)| *start == self.start && !"ZX".contains(*state))
            .map(|(_, _, name)| name)
    }
}

impl Record {
    /// The name of its program.
    pub(crate) fn program(&self) -> &str {
        self.own.args().iter().flatten().next().map_or("", String::as_str)
    }

    /// What the container does now.
    pub fn status(&self) -> Status {
        let Some(process) = self.process else { return Status::Creating };
        match process.name() {
            None => Status::Stopped,
            Some(_) if self.stage == Stage::Making => Status::Creating,
            Some(_) if Freezer::of(&self.groups).is_some_and(|freezer| freezer.is_closed()) => Status::Paused,
            // It may have been started by who died before noting that.
            Some(name) if matches!(self.stage, Stage::Waits | Stage::Starting) && name == "holm-init" => {
                Status::Created
            }
            Some(_) => Status::Running,
        }
    }
}

/// A name of a container: letters, digits and `_+-.`, but neither `.` nor `..`, as runc has it.
///
/// # Errors
/// It is none.
pub fn check_id(id: &str) -> Result<()> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_+-.".contains(&b);
    let wrong = match id.chars().find(|one| !u8::try_from(*one).is_ok_and(fits)) {
        Some(one) => format!(": invalid character `{}` in the ID", one.escape_default()),
        None if id.is_empty() || id.len() > 255 || id == "." || id == ".." => String::new(),
        None => return Ok(()),
    };
    Err(Error::Failed(format!("cannot use the name {id:?}: invalid container ID format{wrong}")))
}

/// A container's directory, locked.
#[derive(Debug)]
pub struct Place {
    root: OwnedFd,
    id: String,
    directory: OwnedFd,
}

/// Opens a directory, which is no link.
pub(crate) fn open_directory(at: BorrowedFd<'_>, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

/// Opens the state directory; `None` if there is none yet.
fn open_root(root: &Path) -> Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::open(root, flags, Mode::empty()) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::io(format!("use state directory {}", shown(root)), errno)),
    }
}

impl Place {
    /// Makes the place of a new container.
    ///
    /// # Errors
    /// The name is none, or is in use.
    pub fn make(root: &Path, id: &str) -> Result<Place> {
        use std::os::unix::fs::DirBuilderExt;
        check_id(id)?;
        let failed = |error: std::io::Error| Error::io(format!("use state directory {}", shown(root)), error);
        loop {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(failed)?;
            // Whoever removes the last container may remove the directory meanwhile.
            let Some(top) = open_root(root)? else { continue };
            match mkdirat(&top, id, Mode::from_raw_mode(0o700)) {
                Ok(()) => return Place::lock(top, id),
                Err(Errno::NOENT) => {}
                Err(Errno::EXIST) => {
                    return Err(Error::Failed(format!(
                        "cannot make container {id}: container with given ID already exists"
                    )));
                }
                Err(errno) => return Err(failed(errno.into())),
            }
        }
    }

    /// The place of a container, once nobody else works on it.
    ///
    /// # Errors
    /// There is no such container.
    pub fn find(root: &Path, id: &str) -> Result<Place> {
        check_id(id)?;
        match open_root(root)? {
            Some(top) => Place::lock(top, id),
            None => Err(missing(id)),
        }
    }

    /// What is noted of a container, without waiting for whoever works on it: a record is whole or the one before.
    ///
    /// # Errors
    /// There is no such container, or its record can't be read.
    pub fn look(root: &Path, id: &str) -> Result<Option<Record>> {
        check_id(id)?;
        match open_root(root)? {
            Some(top) => Place::open(top, id)?.read(),
            None => Err(missing(id)),
        }
    }

    fn open(root: OwnedFd, id: &str) -> Result<Place> {
        let directory = open_directory(root.as_fd(), id).map_err(|errno| unusable(id, errno))?;
        Ok(Place { root, id: id.to_owned(), directory })
    }

    fn lock(root: OwnedFd, id: &str) -> Result<Place> {
        let place = Place::open(root, id)?;
        place.take_back()?;
        Ok(place)
    }

    /// Lets others work on the container, until it is taken back.
    ///
    /// # Errors
    /// The kernel's.
    pub fn give_up(&self) -> Result<()> {
        flock(&self.directory, FlockOperation::Unlock).map_err(|errno| unusable(&self.id, errno))
    }

    /// Waits until nobody else works on the container.
    ///
    /// # Errors
    /// It was removed meanwhile.
    pub fn take_back(&self) -> Result<()> {
        let failed = |errno| unusable(&self.id, errno);
        rustix::io::retry_on_intr(|| flock(&self.directory, FlockOperation::LockExclusive)).map_err(failed)?;
        // Who had the lock before may have removed it.
        if fstat(&self.directory).map_err(failed)?.st_nlink == 0 {
            return Err(missing(&self.id));
        }
        Ok(())
    }

    /// The directory.
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Notes what is known of the container.
    ///
    /// # Errors
    /// The directory can't be written; the record before stays.
    pub fn write(&self, record: &Record) -> Result<()> {
        let Record { process, groups, resctrl, unit, .. } = record.clone();
        let holds = Holds { process, groups, resctrl, unit };
        let noted = self.note(HOLDS, &holds).and_then(|()| self.note(RECORD, record));
        noted.map_err(|error| Error::io(format!("note the state of container {}", self.id), error))
    }

    fn note(&self, name: &str, value: &impl Serialize) -> std::io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.directory, ASIDE, flags, Mode::from_raw_mode(0o600))?;
        File::from(file).write_all(&serde_json::to_vec(value)?)?;
        Ok(renameat(&self.directory, ASIDE, &self.directory, name)?)
    }

    /// What was noted; `None` if its maker died before it noted anything.
    ///
    /// # Errors
    /// The record is none, or of another version.
    pub fn read(&self) -> Result<Option<Record>> {
        self.noted(RECORD, parse)
    }

    /// What has to end with the container, whatever became of its record.
    ///
    /// # Errors
    /// That can't be read either.
    pub fn holds(&self) -> Result<Holds> {
        let parse = |text: &[u8]| serde_json::from_slice(text).map_err(|error| error.to_string());
        self.noted(HOLDS, parse).map(Option::unwrap_or_default)
    }

    fn noted<T>(&self, name: &str, parse: impl Fn(&[u8]) -> std::result::Result<T, String>) -> Result<Option<T>> {
        let failed = |error: std::io::Error| Error::io(format!("read the state of container {}", self.id), error);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match openat(&self.directory, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened.map_err(|errno| failed(errno.into()))?,
        };
        let mut text = Vec::new();
        File::from(file).take(MOST).read_to_end(&mut text).map_err(failed)?;
        parse(&text)
            .map(Some)
            .map_err(|cause| Error::Failed(format!("cannot read the state of container {}: {cause}", self.id)))
    }

    /// Removes all that is noted of the container.
    ///
    /// # Errors
    /// Something can't be removed.
    pub fn remove(self) -> Result<()> {
        let failed = |errno| Error::io(format!("remove the state of container {}", self.id), errno);
        crate::notify::remove(self.directory())
            .map_err(|error| Error::io(format!("remove the state of container {}", self.id), error))?;
        for name in [DOOR, ASIDE, RECORD, HOLDS] {
            match unlinkat(&self.directory, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        unlinkat(&self.root, self.id.as_str(), AtFlags::REMOVEDIR).map_err(failed)
    }
}

fn unusable(id: &str, errno: Errno) -> Error {
    match errno {
        Errno::NOENT => missing(id),
        errno => Error::io(format!("use the state of container {id}"), errno),
    }
}

fn missing(id: &str) -> Error {
    Error::Missing(id.to_owned())
}

/// A record's text.
///
/// # Errors
/// It is none, or of another version of the form.
pub fn parse(text: &[u8]) -> std::result::Result<Record, String> {
    // As a value first, as configurations are read: then one way of reading what is in both is enough.
    let value: serde_json::Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let record = Record::deserialize(&value).map_err(|error| error.to_string())?;
    match record.form {
        FORM => Ok(record),
        other => Err(format!("it is of form {other}, and this holm knows form {FORM}")),
    }
}

/// The names of all containers, sorted.
///
/// # Errors
/// The state directory can't be read.
pub fn names(root: &Path) -> Result<Vec<String>> {
    let failed = |error: std::io::Error| Error::io(format!("read state directory {}", shown(root)), error);
    let entries = match std::fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string().ok().filter(|name| check_id(name).is_ok()));
    }
    names.sort();
    Ok(names)
}

impl Record {
    /// A record of what is about to be made.
    pub fn new(id: &str, bundle: &crate::bundle::Bundle) -> Record {
        let config = &bundle.config;
        let annotations = config.annotations().iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
        Record {
            form: FORM,
            oci_version: config.version().clone(),
            id: id.to_owned(),
            bundle: bundle.directory.clone(),
            rootfs: config.root().as_ref().map(|root| bundle.path(root.path())).unwrap_or_default(),
            owner: rustix::process::geteuid().as_raw(),
            created: humantime::format_rfc3339_nanos(std::time::SystemTime::now()).to_string(),
            annotations: annotations.collect(),
            hooks: config.hooks().clone(),
            own: config.process().clone().unwrap_or_default(),
            seccomp: bundle.seccomp.clone(),
            personality: config.linux().as_ref().and_then(|linux| linux.personality().clone()),
            apart: false,
            groups: Vec::new(),
            resctrl: None,
            unit: None,
            process: None,
            stage: Stage::Making,
            outside: Outside::default(),
        }
    }
}
