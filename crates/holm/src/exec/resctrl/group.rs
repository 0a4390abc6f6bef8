//! A group of resctrl that is there (Documentation/filesystems/resctrl.rst): what is read and written of it. Its files are the kernel's,
//! which takes each write(2) for a whole value.
//!
//! Whoever is in a group that is removed is in the default group from then on, without a limit. So whoever makes, enters, changes or
//! removes one has locked the file system's top meanwhile ("Examples for working with locks" there), and one in which others are stays.

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, flock, open, openat, unlinkat};
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

const SCHEMATA: &str = "schemata";
/// How long another program may hold the lock, which whoever can read the directory can take.
const PATIENCE: Duration = Duration::from_secs(10);

/// One group.
#[derive(Debug)]
pub struct Group {
    /// Where the file system is mounted.
    pub(super) top: OwnedFd,
    pub(super) directory: OwnedFd,
}

/// What was written into a group's schemata.
#[derive(Debug)]
pub struct Written {
    before: String,
    after: String,
}

/// The lock of the file system, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(OwnedFd);

impl Lock {
    /// Waits for it; EAGAIN if another program keeps it.
    pub(super) fn take(top: &OwnedFd) -> Result<Lock> {
        let directory = openat(top, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let begin = Instant::now();
        loop {
            match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock(directory)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if begin.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(2)),
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A child of this process may have the same file open for a moment.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

impl Group {
    /// Opens one where the file system is mounted; `None` is the default group.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn open(mounted: &Path, name: Option<&str>) -> Result<Group> {
        let top = top(mounted)?;
        let directory = directory(&top, name.unwrap_or("."))?;
        Ok(Group { top, directory })
    }

    /// Writes lines of its schemata, at once: the kernel takes all or none.
    ///
    /// # Errors
    /// The kernel doesn't take them ([`said`]); another program keeps the lock (EAGAIN).
    pub fn set(&self, lines: &[String]) -> Result<Written> {
        self.set_locked(lines, &Lock::take(&self.top)?)
    }

    pub(super) fn set_locked(&self, lines: &[String], _lock: &Lock) -> Result<Written> {
        let before = self.schemata()?;
        self.write(SCHEMATA, &format!("{}\n", lines.join("\n")))?;
        Ok(Written { before, after: self.schemata()? })
    }

    /// Writes what its schemata were, unless somebody has changed them since.
    ///
    /// # Errors
    /// As [`set`](Group::set).
    pub fn put_back(&self, written: &Written) -> Result<()> {
        let _lock = Lock::take(&self.top)?;
        match self.schemata()? == written.after {
            true => self.write(SCHEMATA, &written.before),
            false => Ok(()),
        }
    }

    pub(super) fn schemata(&self) -> Result<String> {
        read(&self.directory, SCHEMATA)
    }

    pub(super) fn write(&self, path: impl AsRef<Path>, value: &str) -> Result<()> {
        let file =
            openat(&self.directory, path.as_ref(), OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
        rustix::io::retry_on_intr(|| rustix::io::write(file.as_fd(), value.as_bytes())).map(drop)
    }
}

/// Removes a group in which nobody is; whether it is gone.
///
/// # Errors
/// Who is in it can't be read; the kernel refuses; another program keeps the lock (EAGAIN).
pub fn remove(mounted: &Path, name: &str) -> Result<bool> {
    unless_missing(top(mounted))?.map_or(Ok(true), |top| remove_below(&top, name))
}

pub(super) fn remove_below(top: &OwnedFd, name: &str) -> Result<bool> {
    let _lock = Lock::take(top)?;
    let Some(group) = unless_missing(directory(top, name))? else { return Ok(true) };
    if is_used(&group)? {
        return Ok(false);
    }
    match unlinkat(top, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(errno) => Err(errno),
    }
}

/// What resctrl says about what it has refused (`info/last_cmd_status`). It says nothing about what was refused before it was asked.
pub fn said(mounted: &Path, errno: Errno) -> Option<String> {
    if matches!(errno, Errno::NOENT | Errno::EXIST | Errno::ACCESS | Errno::ROFS | Errno::AGAIN) {
        return None;
    }
    let words = std::fs::read_to_string(mounted.join("info/last_cmd_status")).ok()?;
    let words = words.trim().lines().next().filter(|words| *words != "ok")?;
    let mut shown = String::new();
    crate::model::text::escape(words.as_ref(), &mut shown).ok()?;
    Some(shown)
}

pub(super) fn top(mounted: &Path) -> Result<OwnedFd> {
    open(mounted, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

pub(super) fn directory(at: &OwnedFd, path: &str) -> Result<OwnedFd> {
    openat(at, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn read(directory: &OwnedFd, name: &str) -> Result<String> {
    let file = openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
    let mut text = String::new();
    let read = File::from(file).read_to_string(&mut text);
    read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(text)
}

/// Whether somebody is in it, or counts in it.
fn is_used(group: &OwnedFd) -> Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // A machine that counts nothing has no such directory.
    if let Some(below) = unless_missing(openat(group, "mon_groups", flags, Mode::empty()))? {
        for entry in Dir::read_from(below)? {
            let entry = entry?;
            if entry.file_type() == FileType::Directory && !is_dots(entry.file_name()) {
                return Ok(true);
            }
        }
    }
    let tasks = unless_missing(read(group, "tasks"))?.unwrap_or_default();
    Ok(tasks.lines().any(|pid| !has_ended(pid)))
}

fn unless_missing<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(Errno::NOENT) => Ok(None),
        found => found.map(Some),
    }
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// Whoever has ended and waits for its parent is still counted.
fn has_ended(pid: &str) -> bool {
    match std::fs::read(Path::new("/proc").join(pid).join("stat")) {
        Ok(stat) => {
            let after = stat.iter().rposition(|&byte| byte == b')').and_then(|place| stat.get(place + 2));
            matches!(after, Some(b'Z' | b'X'))
        }
        Err(error) => matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::SRCH)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_removed_once_nobody_is_in_it_or_counts_in_it() {
        let top = testkit::Scratch::new("resctrl-remove");
        let (mounted, group) = (top.join("."), top.join("web"));
        std::fs::create_dir_all(group.join("mon_groups/c1")).expect("scratch is ours");
        assert_eq!(remove(&mounted, "web"), Ok(false), "somebody counts in it");
        std::fs::remove_dir_all(group.join("mon_groups")).expect("it is there");
        std::fs::write(group.join("tasks"), format!("{}\n", std::process::id())).expect("scratch is ours");
        assert_eq!(remove(&mounted, "web"), Ok(false), "somebody is in it");
        std::fs::remove_file(group.join("tasks")).expect("it is there");
        // Who is in it can't be read: nobody knows whether it is used.
        std::fs::create_dir(group.join("tasks")).expect("it is gone");
        assert_eq!(remove(&mounted, "web"), Err(Errno::ISDIR));
        std::fs::remove_dir(group.join("tasks")).expect("it is empty");
        std::fs::write(group.join("mon_groups"), "").expect("it is gone");
        assert_eq!(remove(&mounted, "web"), Err(Errno::NOTDIR));
        std::fs::remove_file(group.join("mon_groups")).expect("it is there");
        assert_eq!(remove(&mounted, "web"), Ok(true));
        assert!(!group.exists());
        assert_eq!(remove(&mounted, "web"), Ok(true), "it is gone already");
        assert_eq!(remove(&top.join("gone"), "web"), Ok(true), "so is all of it");
    }

    #[test]
    fn whoever_has_ended_counts_no_more() {
        let mut child = std::process::Command::new("true").spawn().expect("it starts");
        let pid = child.id().to_string();
        let begin = Instant::now();
        while !has_ended(&pid) {
            assert!(begin.elapsed() < Duration::from_secs(10), "it waits for its parent");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.wait().expect("it is ours");
        assert!(has_ended(&pid) && !has_ended("self"));
    }

    #[test]
    fn what_somebody_else_has_written_since_stays() {
        let scratch = testkit::Scratch::new("resctrl-put-back");
        let file = scratch.join("schemata");
        let text = || std::fs::read_to_string(&file).expect("it is there");
        std::fs::write(&file, "L3:0=f\n").expect("scratch is ours");
        let group = Group::open(&scratch.join("."), None).expect("it is there");
        let written = group.set(&["L3:0=3".to_owned()]).expect("it is written");
        assert_eq!(text(), "L3:0=3\n");
        group.put_back(&written).expect("it is written");
        assert_eq!(text(), "L3:0=f\n");
        let written = group.set(&["L3:0=3".to_owned()]).expect("it is written");
        std::fs::write(&file, "L3:0=7\n").expect("scratch is ours");
        group.put_back(&written).expect("it is left");
        assert_eq!(text(), "L3:0=7\n");
    }

    #[test]
    fn one_waits_until_another_has_let_go_of_the_lock() {
        let scratch = testkit::Scratch::new("resctrl-lock");
        let mounted = scratch.join(".");
        std::fs::create_dir(scratch.join("web")).expect("scratch is ours");
        let held = Lock::take(&top(&mounted).expect("it is there")).expect("nobody has it");
        let other = {
            let mounted = mounted.clone();
            std::thread::spawn(move || remove(&mounted, "web"))
        };
        std::thread::sleep(Duration::from_millis(50));
        assert!(scratch.join("web").exists(), "it is not looked at without the lock");
        drop(held);
        assert_eq!(other.join().expect("it ends"), Ok(true));
        assert!(!scratch.join("web").exists());
    }
}
