//! The control groups of one sandbox (cgroups(7)): made and limited before the clone, joined while the child waits, read
//! and removed at the end.
//!
//! A group can't outlive its last process, but its directory can: who is killed can't remove it. So its name tells its
//! owner, and whoever makes a group removes those beside it whose owner is gone.

use super::resctrl::Resctrl;
use crate::host::groups::{left_behind, this_process};
use crate::model::device::{DeviceRule, program};
use crate::plan::limits::{Limit, Resctrl as Act, Version};
use rustix::io::{Errno, Result};
use std::borrow::Cow;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// All groups of a sandbox; removed when dropped, which is to be after its last process.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    made: Vec<Made>,
    /// What was changed above, in the order in which it was.
    changed: Vec<Change>,
    resctrl: Option<Resctrl>,
}

#[derive(Debug)]
struct Made {
    path: PathBuf,
    version: Version,
    /// Whether it was there before.
    stays: bool,
    /// Groups above it that were made for it, the nearest first.
    above: Vec<PathBuf>,
    /// The program that says which devices may be used in it.
    devices: Option<OwnedFd>,
}

#[derive(Debug)]
enum Change {
    /// The caller was moved from this group to that one below it.
    Moved { from: PathBuf, to: PathBuf },
    /// Controllers were enabled below this group.
    Enabled { directory: PathBuf, controllers: Vec<&'static str> },
}

/// Files by which a process enters groups itself, with "0".
#[derive(Debug, Default)]
pub(crate) struct Entrances {
    /// Of version 1. A thread that moves itself alone, which that lets it, takes no lock that has to wait until every CPU has
    /// seen it.
    pub(crate) first: Vec<OwnedFd>,
    /// Of version 2, if it wasn't started there.
    pub(crate) second: Option<OwnedFd>,
}

/// Held while a process moves itself or looks whether it can move back.
static MOVING: Mutex<()> = Mutex::new(());

/// What a sandbox has used by its groups' own count; `None` where no group counts it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct GroupUsage {
    pub(crate) user: Option<Duration>,
    pub(crate) system: Option<Duration>,
    pub(crate) memory: Option<u64>,
    pub(crate) read: Option<u64>,
    pub(crate) written: Option<u64>,
}

impl Groups {
    /// Does a step that comes before the clone.
    pub(crate) fn prepare(&mut self, limit: &Limit) -> Result<()> {
        match limit {
            Limit::StandAside { directory } => self.stand_aside(directory),
            Limit::Enable { directory, controllers } => {
                write(&directory.join("cgroup.subtree_control"), &signed('+', controllers))?;
                let controllers = controllers.clone();
                self.changed.push(Change::Enabled { directory: directory.clone(), controllers });
                Ok(())
            }
            Limit::Make { directory, version } => self.make(directory, *version),
            Limit::MakeNamed { directory, version, controllers } => self.make_named(directory, *version, controllers),
            Limit::Write { group, files, .. } => self.limit(*group, files),
            Limit::Devices { group, rules } => self.restrict_devices(*group, rules),
            Limit::Resctrl { act: Act::Monitor(name, presence), .. } => {
                self.resctrl.as_mut().ok_or(Errno::NOENT)?.count(name, *presence)
            }
            Limit::Resctrl { mounted, act } => {
                self.resctrl = Some(Resctrl::new(mounted, act)?);
                Ok(())
            }
            _ => Err(Errno::NOSYS),
        }
    }

    /// Puts a process into the group of resctrl.
    pub(crate) fn enter_resctrl(&self, pid: i32) -> Result<()> {
        self.resctrl.as_ref().ok_or(Errno::NOENT)?.enter(pid)
    }

    fn stand_aside(&mut self, directory: &Path) -> Result<()> {
        let _moving = MOVING.lock();
        let to = directory.join(this_process().ok_or(Errno::NOENT)?.name("self"));
        match rustix::fs::mkdir(&to, rustix::fs::Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        self.changed.push(Change::Moved { from: directory.to_owned(), to: to.clone() });
        write(&to.join("cgroup.procs"), "0")
    }

    fn make(&mut self, directory: &Path, version: Version) -> Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        sweep(directory, version);
        let owner = this_process().ok_or(Errno::NOENT)?;
        let path = directory.join(owner.name(NEXT.fetch_add(1, Ordering::Relaxed)));
        rustix::fs::mkdir(&path, rustix::fs::Mode::from_raw_mode(0o755))?;
        self.made.push(Made { path, version, stays: false, above: Vec::new(), devices: None });
        Ok(())
    }

    /// Makes a group where its maker wants it; one that is there stays if this start fails.
    fn make_named(&mut self, directory: &Path, version: Version, controllers: &[String]) -> Result<()> {
        let above: Vec<&Path> = directory.ancestors().skip(1).filter(|path| is_group(path)).collect();
        let missing: Vec<&Path> = directory.ancestors().take_while(|path| !path.exists()).collect();
        let mut within = above.into_iter().rev().collect::<Vec<_>>();
        within.extend(missing.iter().rev().take(missing.len().saturating_sub(1)));
        // Before anything is made: what fails half-way is removed, too.
        let owned = |path: &&Path| path.to_path_buf();
        let (stays, above) = (missing.is_empty(), missing.iter().skip(1).map(owned).collect());
        self.made.push(Made { path: directory.to_owned(), version, stays, above, devices: None });
        for &path in missing.iter().rev() {
            match rustix::fs::mkdir(path, rustix::fs::Mode::from_raw_mode(0o755)) {
                // Those above may be made for another one, too.
                Err(Errno::EXIST) if path != directory => {}
                Err(errno) => {
                    self.made.last_mut().into_iter().for_each(|made| made.stays |= errno == Errno::EXIST);
                    return Err(errno);
                }
                Ok(()) => {}
            }
        }
        match version {
            // One that is there has perhaps never had anybody in it.
            Version::One => within.iter().chain([&directory]).try_for_each(|path| inherit_cpus(path)),
            Version::Two => {
                for (path, controller) in within.iter().flat_map(|path| controllers.iter().map(move |one| (path, one)))
                {
                    // Where it can't be enabled its files are missing, and writing there tells.
                    let _ = write(&path.join("cgroup.subtree_control"), &format!("+{controller}"));
                }
                Ok(())
            }
        }
    }

    /// Writes limits into files of one of them.
    pub(crate) fn limit(&self, group: usize, files: &[(Cow<'static, str>, String)]) -> Result<()> {
        let made = self.made.get(group).ok_or(Errno::NOENT)?;
        files.iter().try_for_each(|(name, value)| {
            let file = made.path.join(&**name);
            if name == "devices.deny" { refuse_devices(&file, value) } else { write(&file, value) }
        })
    }

    fn restrict_devices(&mut self, group: usize, rules: &[DeviceRule]) -> Result<()> {
        let made = self.made.get_mut(group).ok_or(Errno::NOENT)?;
        made.devices = Some(crate::sys::device::restrict(open_directory(&made.path)?.as_fd(), &program(rules))?);
        Ok(())
    }

    /// How a process enters them itself.
    pub(crate) fn entrances(&self) -> Result<Entrances> {
        let mut entrances = Entrances::default();
        for made in &self.made {
            match made.version {
                Version::One => entrances.first.push(open_to_write(&made.path.join("tasks"))?),
                Version::Two => entrances.second = Some(open_to_write(&made.path.join("cgroup.procs"))?),
            }
        }
        Ok(entrances)
    }

    /// The directory of the one of version 2, in which a process may be started (`CLONE_INTO_CGROUP`).
    pub(crate) fn unified(&self) -> Option<OwnedFd> {
        // Of several the last one holds, as for who enters them in their order.
        let made = self.made.iter().rfind(|made| made.version == Version::Two)?;
        open_directory(&made.path).ok()
    }

    /// How many processes the kernel has killed in them for want of memory; `None` if no group counts it.
    pub(crate) fn killed_for_memory(&self) -> Option<u64> {
        let count = |made: &Made| {
            let file = if made.version == Version::One { "memory.oom_control" } else { "memory.events" };
            named(&read(&made.path.join(file))?, "oom_kill")
        };
        self.made.iter().find_map(count)
    }

    /// What they have counted.
    pub(crate) fn usage(&self) -> GroupUsage {
        let mut usage = GroupUsage::default();
        for made in &self.made {
            let text = |name: &str| read(&made.path.join(name));
            let number = |name: &str| text(name)?.trim().parse::<u64>().ok();
            if made.version == Version::One {
                usage.memory = number("memory.max_usage_in_bytes").or(usage.memory);
                let served = text("blkio.throttle.io_service_bytes_recursive");
                usage.read = served.as_deref().map(|text| sum(text, "Read ")).or(usage.read);
                usage.written = served.as_deref().map(|text| sum(text, "Write ")).or(usage.written);
                continue;
            }
            let cpu = text("cpu.stat").unwrap_or_default();
            let time = |name: &str| named(&cpu, name).map(Duration::from_micros);
            usage.user = time("user_usec");
            usage.system = time("system_usec");
            usage.memory = number("memory.peak").or(usage.memory);
            let served = text("io.stat");
            usage.read = served.as_deref().map(|text| sum(text, "rbytes=")).or(usage.read);
            usage.written = served.as_deref().map(|text| sum(text, "wbytes=")).or(usage.written);
        }
        usage
    }

    /// Programs that say which devices may be used in them, by their numbers.
    pub(crate) fn device_programs(&self) -> impl Iterator<Item = (&Path, u32)> {
        let program = |made: &Made| made.devices.as_ref().and_then(|one| crate::sys::device::number(one.as_fd()).ok());
        self.made.iter().filter_map(move |made| Some((made.path.as_path(), program(made)?)))
    }

    /// Those that were there before, that of resctrl with them.
    pub(crate) fn found(&self) -> impl Iterator<Item = &Path> {
        let named = self.made.iter().filter(|made| made.stays).map(|made| made.path.as_path());
        named.chain(self.resctrl.as_ref().and_then(Resctrl::found))
    }

    /// Leaves them to others, who will remove them.
    pub(crate) fn keep(mut self) {
        self.made.clear();
        self.changed.clear();
        self.resctrl.take().into_iter().for_each(Resctrl::keep);
    }

    /// Goes back to where the caller was, if nobody else depends on the change by now.
    fn undo(&mut self) {
        let _moving = MOVING.lock();
        let [Change::Moved { from, to }, rest @ ..] = &self.changed[..] else { return };
        let others = std::fs::read_dir(from)
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| entry.path() != *to && entry.file_type().is_ok_and(|kind| kind.is_dir()));
        if others {
            return;
        }
        for change in rest {
            if let Change::Enabled { directory, controllers } = change {
                let _ = write(&directory.join("cgroup.subtree_control"), &signed('-', controllers));
            }
        }
        let _ = write(&from.join("cgroup.procs"), "0");
        let _ = std::fs::remove_dir(to);
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for made in self.made.drain(..) {
            if made.stays {
                // What stays there refuses more, not less.
                if let Some(program) = &made.devices
                    && let Ok(group) = open_directory(&made.path)
                {
                    let _ = crate::sys::device::release(group.as_fd(), program.as_fd());
                }
                continue;
            }
            remove(&made.path, made.version);
            for above in &made.above {
                // One that others use by now stays.
                let _ = rustix::fs::rmdir(above);
            }
        }
        self.undo();
    }
}

fn open_directory(path: &Path) -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Has a group of version 2 that stays ask no more about devices what a sandbox had it ask, by the number of that program.
pub(crate) fn free_devices(path: &Path, program: u32) -> Result<()> {
    use crate::sys::device::{find, release};
    let directory = open_directory(path)?;
    find(directory.as_fd(), program)?.map_or(Ok(()), |program| release(directory.as_fd(), program.as_fd()))
}

fn is_group(path: &Path) -> bool {
    path.join("cgroup.procs").exists()
}

/// A new group of the cpuset controller of version 1 has no CPU, and takes nobody in, until it is given some: those of the
/// one above (cpuset(7)).
fn inherit_cpus(path: &Path) -> Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        // Without that controller there is no such file.
        let Some(own) = read(&path.join(name)) else { break };
        if own.trim().is_empty()
            && path.join("cgroup.clone_children").exists()
            && let Some(above) = path.parent().and_then(|above| read(&above.join(name)))
        {
            write(&path.join(name), above.trim())?;
        }
    }
    Ok(())
}

/// Removes what is left of groups whose owner, in this pid namespace, is gone.
fn sweep(directory: &Path, version: Version) {
    for left in left_behind(directory) {
        remove(&left, version);
    }
}

/// Removes a group with those below it. What still runs in it is killed where the kernel can do that at once; elsewhere
/// the end of the init has.
pub(crate) fn remove(path: &Path, version: Version) {
    const TRIES: u32 = 8;
    if version == Version::Two {
        let _ = write(&path.join("cgroup.kill"), "1");
    }
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path(), version);
        }
    }
    for attempt in 0..TRIES {
        match rustix::fs::rmdir(path) {
            // A process that has just ended may still be counted.
            Err(Errno::BUSY) => std::thread::sleep(Duration::from_millis(1 << attempt)),
            _ => return,
        }
    }
}

fn signed(sign: char, controllers: &[&str]) -> String {
    controllers.iter().map(|name| format!("{sign}{name}")).collect::<Vec<_>>().join(" ")
}

/// Writes a file of a group at once: the kernel takes each write(2) for a whole value.
fn write(path: &Path, value: &str) -> Result<()> {
    let file = open_to_write(path)?;
    rustix::io::retry_on_intr(|| rustix::io::write(&file, value.as_bytes())).map(|_| ())
}

/// A group below that was removed counts until every CPU has seen that, and as long as one counts the kernel refuses no group all
/// devices.
fn refuse_devices(file: &Path, value: &str) -> Result<()> {
    const TRIES: u32 = 8;
    for attempt in 0..TRIES {
        match write(file, value) {
            Err(Errno::INVAL) => std::thread::sleep(Duration::from_millis(1 << attempt)),
            done => return done,
        }
    }
    write(file, value)
}

fn open_to_write(path: &Path) -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    open(path, OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
}

/// Puts a process into the group whose `cgroup.procs` a descriptor of the caller is open on.
pub(crate) fn enter(group: i32, pid: i32) -> Result<()> {
    let file = crate::sys::process::borrow(group).ok_or(Errno::BADF)?;
    rustix::io::retry_on_intr(|| rustix::io::write(file, pid.to_string().as_bytes())).map(|_| ())
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The number of a line `name NUMBER`.
fn named(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// The sum of the numbers that stand behind `before` in each line.
fn sum(text: &str, before: &str) -> u64 {
    let number = |line: &str| line.split_once(before)?.1.split(' ').next()?.parse::<u64>().ok();
    text.lines().filter_map(number).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_either_version() {
        let legacy = "254:0 Read 4096\n254:0 Write 8\n7:0 Read 1\nTotal 4105\n";
        assert_eq!((sum(legacy, "Read "), sum(legacy, "Write ")), (4097, 8));
        assert_eq!(sum("254:0 rbytes=10 wbytes=20 rios=1\n7:1 rbytes=5 wbytes=0\n", "rbytes="), 15);
        assert_eq!(named("oom 3\noom_kill 1\n", "oom_kill"), Some(1));
        assert_eq!(named("oom_kill_disable 0\n", "oom_kill"), None);
    }
}
