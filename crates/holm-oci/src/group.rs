//! A container's control groups (cgroups(7)): who is in them, and all of them stopped at once.

use crate::state::Process;
use crate::{Error, Result, shown};
use holm::host::groups::Hierarchy;
use holm::model::group::Version;
use holm::spec::limits::NamedGroup;
use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

/// How long it may take until everybody in a group has stopped.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many processes are held open at once.
const AT_ONCE: usize = 256;
/// How long whoever has ended may still be counted.
const LEAVING: Duration = Duration::from_secs(1);

/// A control group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its directory.
    pub directory: PathBuf,
    /// Whether it is of version 2.
    pub unified: bool,
    /// Whose it is.
    pub origin: Origin,
    /// The kernel's number of the program that says which devices may be used in it, in version 2.
    pub devices: Option<u32>,
}

/// Where a control group comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// It was made with the container, and goes with it.
    Made,
    /// It was there before, and stays, with all that is in it.
    Found,
}

impl Group {
    /// What is noted of one that isn't used yet.
    pub(crate) fn of(group: &NamedGroup) -> Group {
        let directory = group.directory.clone();
        let origin = if directory.exists() { Origin::Found } else { Origin::Made };
        Group { directory, unified: group.version == Version::Two, origin, devices: None }
    }

    /// The one of these that it is in.
    pub(crate) fn hierarchy<'a>(&self, all: &'a [Hierarchy]) -> Option<&'a Hierarchy> {
        all.iter().find(|one| one.version == self.version() && self.directory.starts_with(&one.mounted))
    }

    /// Whether nobody is in it, and no group below it.
    pub(crate) fn is_empty(&self) -> bool {
        let mut entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        self.processes().is_empty() && !entries.any(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
    }

    /// Whether whoever is put into it would stand still: by itself, or the nearest group above it that is there.
    pub(crate) fn is_frozen(&self) -> bool {
        let there = self.directory.ancestors().find(|path| path.exists());
        let group = Group { directory: there.unwrap_or(&self.directory).to_owned(), ..self.clone() };
        match group.unified {
            true => group.stands_still(),
            false => group.text("freezer.state").is_some_and(|text| text.trim() != "THAWED"),
        }
    }

    /// Whether everybody in it has stopped, in version 2.
    fn stands_still(&self) -> bool {
        self.text("cgroup.events").is_some_and(|text| text.lines().any(|line| line == "frozen 1"))
    }

    fn version(&self) -> Version {
        if self.unified { Version::Two } else { Version::One }
    }

    /// Removes it, once the container has ended.
    fn remove(&self) -> Result<()> {
        holm::run::remove_group(&self.directory, self.version());
        match self.directory.exists() {
            false => Ok(()),
            true => Err(Error::io(format!("remove control group {}", shown(&self.directory)), Errno::BUSY)),
        }
    }

    /// Has the groups above it give it the controller of a file, in version 2. Where that can't be done the file stays missing,
    /// and who writes it is told.
    pub(crate) fn enable(&self, file: &str) {
        let Some((controller, _)) = file.split_once('.').filter(|_| !self.directory.join(file).exists()) else {
            return;
        };
        let above: Vec<&Path> =
            self.directory.ancestors().skip(1).filter(|path| path.join("cgroup.procs").exists()).collect();
        for directory in above.into_iter().rev() {
            let group = Group { directory: directory.to_owned(), unified: true, origin: Origin::Found, devices: None };
            let _ = group.write("cgroup.subtree_control", &format!("+{controller}"));
        }
    }

    /// Sends a signal to everybody in it and below, each by a descriptor that means no other; but not to who got it already.
    pub(crate) fn signal(&self, number: i32, already: Option<Process>) {
        let mut all = self.processes();
        all.retain(|pid| already.is_none_or(|process| process.pid != *pid));
        for some in all.chunks(AT_ONCE) {
            let open = |pid: &i32| Some((*pid, pidfd_open(Pid::from_raw(*pid)?, PidfdFlags::empty()).ok()?));
            let opened: Vec<(i32, OwnedFd)> = some.iter().filter_map(open).collect();
            // Who is in it still has had its number when that was opened.
            let now: HashSet<i32> = self.processes().into_iter().collect();
            for (_, process) in opened.iter().filter(|(pid, _)| now.contains(pid)) {
                // One that has ended needs none.
                let _ = holm::signal::send(process.as_fd(), number);
            }
        }
    }

    /// One of its files; `None` if it has no such file.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.directory.join(name)).ok()
    }

    /// Writes one of its files, at once: the kernel takes each write(2) for a whole value.
    pub(crate) fn write(&self, name: &str, value: &str) -> Result<()> {
        let path = self.directory.join(name);
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let written = open(&path, flags, Mode::empty())
            .and_then(|file| rustix::io::retry_on_intr(|| rustix::io::write(&file, value.as_bytes())));
        written.map(drop).map_err(|errno| Error::io(format!("write {value:?} to {}", shown(&path)), errno))
    }

    /// The pids in it and in those below it.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let mut all = Vec::new();
        members(&self.directory, &mut |_, pid| all.push(pid));
        all
    }

    /// Where another process is to be put, to be with `init`: in version 2 that is below, once the container has made groups
    /// with controllers of its own, for then nobody may be in this one ("no internal processes").
    pub(crate) fn place(&self, init: i32) -> PathBuf {
        let inner = self.unified && self.text("cgroup.subtree_control").is_some_and(|text| !text.trim().is_empty());
        let mut place = self.directory.clone();
        if inner {
            members(&self.directory, &mut |directory, pid| {
                if pid == init {
                    place = directory.to_owned();
                }
            });
        }
        place
    }

    /// Opens the list of processes of `place`, or of the group `below` that, to be written. The container names what is below
    /// its group.
    pub(crate) fn open(&self, place: &Path, below: &Path) -> Result<OwnedFd> {
        let path = place.join(below);
        if below.components().any(|part| part == Component::ParentDir) {
            let cause = format!("{} is not a sub cgroup path", shown(below));
            return Err(Error::Failed(format!("cannot enter a control group below {}: {cause}", shown(place))));
        }
        let failed = |errno| {
            let cause = holm::model::text::cause(&std::io::Error::from(errno));
            let file = shown(&path.join("cgroup.procs"));
            Error::Failed(format!("cannot enter a control group: adding pid to {file}: {cause}"))
        };
        let from = open(place, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        openat2(from, below.join("cgroup.procs"), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), within)
            .map_err(failed)
    }
}

/// Calls `each` with every process below a group, and where it is.
fn members(directory: &Path, each: &mut impl FnMut(&Path, i32)) {
    let text = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).for_each(|pid| each(directory, pid));
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            members(&entry.path(), each);
        }
    }
}

/// Removes the groups that were made with a container that has ended; whoever is left in them is killed. Where one that was there
/// before has somebody in it, that is told: whose they are isn't known.
pub(crate) fn clear(id: &str, groups: &[Group]) -> Result<()> {
    let (made, found): (Vec<Group>, Vec<Group>) = groups.iter().cloned().partition(|one| one.origin == Origin::Made);
    end(&made);
    made.iter().try_for_each(Group::remove)?;
    let begin = Instant::now();
    while let Some(group) = found.iter().find(|group| !group.processes().is_empty()) {
        // Who has just ended may still be counted.
        if begin.elapsed() > LEAVING {
            let group = shown(&group.directory);
            let cause = format!("processes are in control group {group}, which was there before it");
            return Err(Error::Failed(format!("cannot delete container {id}: {cause}; kill --all ends them")));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    for (group, program) in found.iter().filter_map(|group| Some((group, group.devices?))) {
        let freed = holm::run::free_devices(&group.directory, program);
        let what = || format!("let control group {} use devices as before", shown(&group.directory));
        match freed {
            // It was removed meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            done => done.map_err(|error| Error::io(what(), error))?,
        }
    }
    Ok(())
}

/// Kills everybody in these groups, and waits until they are empty. Where there is no pid namespace of their own nobody else's end
/// is theirs.
pub(crate) fn end(groups: &[Group]) {
    let begin = Instant::now();
    while groups.iter().any(|group| !group.processes().is_empty()) && begin.elapsed() < PATIENCE {
        // Whoever stands still starts nobody meanwhile.
        let freezer = Freezer::of(groups);
        let held = freezer.as_ref().is_some_and(|freezer| freezer.close().is_ok());
        for group in groups {
            // In version 2 the kernel misses nobody.
            if !group.unified || group.write("cgroup.kill", "1").is_err() {
                group.signal(Signal::KILL.as_raw(), None);
            }
        }
        if let Some(freezer) = freezer.filter(|_| held) {
            let _ = freezer.open();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The group by which all processes of a container can be stopped at once.
pub(crate) struct Freezer<'a>(&'a Group);

impl<'a> Freezer<'a> {
    /// That one of a container's groups.
    pub(crate) fn of(groups: &'a [Group]) -> Option<Freezer<'a>> {
        let can = |group: &&Group| {
            let file = if group.unified { "cgroup.freeze" } else { "freezer.state" };
            group.directory.join(file).exists()
        };
        groups.iter().find(can).map(Freezer)
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// Whether it is asked to hold everybody in it, whatever those above it are asked.
    pub(crate) fn is_closed(&self) -> bool {
        let file = if self.0.unified { "cgroup.freeze" } else { "freezer.self_freezing" };
        self.0.text(file).is_some_and(|text| text.trim() == "1")
    }

    /// Stops everybody, and returns once they are.
    pub(crate) fn close(&self) -> Result<()> {
        let begin = Instant::now();
        loop {
            // Who was just forked may have been missed: in version 1 it is asked again.
            match self.0.unified {
                true => self.0.write("cgroup.freeze", "1")?,
                false => self.0.write("freezer.state", "FROZEN")?,
            }
            if self.holds_all() {
                return Ok(());
            }
            if begin.elapsed() > PATIENCE {
                self.open()?;
                let group = shown(&self.0.directory);
                return Err(Error::io(format!("stop everybody in control group {group}"), Errno::TIMEDOUT));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn holds_all(&self) -> bool {
        match self.0.unified {
            true => self.0.stands_still(),
            false => self.0.text("freezer.state").is_some_and(|text| text.trim() == "FROZEN"),
        }
    }

    /// Lets everybody go on.
    pub(crate) fn open(&self) -> Result<()> {
        match self.0.unified {
            true => self.0.write("cgroup.freeze", "0"),
            false => self.0.write("freezer.state", "THAWED"),
        }
    }
}
