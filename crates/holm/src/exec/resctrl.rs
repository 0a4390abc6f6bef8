//! The group of resctrl of one sandbox (Documentation/filesystems/resctrl.rst): made or found before the clone, entered while the child
//! waits, and removed if the start fails. Its files are the kernel's, which takes each write(2) for a whole value.

use crate::model::resctrl::says;
use crate::plan::limits::Resctrl as Act;
use crate::spec::limits::Presence;
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, open, openat, unlinkat};
use rustix::io::{Errno, Result};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

const SCHEMATA: &str = "schemata";

/// A sandbox's group; what was made is removed when it is dropped, and what was written is as before.
#[derive(Debug)]
pub(crate) struct Resctrl {
    /// Where the file system is mounted.
    mounted: OwnedFd,
    path: PathBuf,
    directory: OwnedFd,
    /// Its name, if it was made.
    made: Option<String>,
    /// What its schemata were, if they are others now.
    before: Option<String>,
    /// The group in it that counts.
    monitoring: Option<Monitoring>,
}

#[derive(Debug)]
struct Monitoring {
    /// From the group on.
    path: PathBuf,
    directory: OwnedFd,
}

impl Resctrl {
    /// Makes or opens it.
    pub(crate) fn new(mounted: &Path, name: Option<&str>, presence: Presence) -> Result<Resctrl> {
        let top = open(mounted, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let path = name.map_or_else(|| mounted.to_owned(), |name| mounted.join(name));
        let made = match (presence, make(&top, Path::new(name.unwrap_or(".")), presence)) {
            (Presence::Allowed, Err(Errno::EXIST)) => None,
            (_, made) => made?.then(|| name.unwrap_or_default().to_owned()),
        };
        let directory = directory(&top, Path::new(name.unwrap_or(".")));
        if let (Err(_), Some(name)) = (&directory, &made) {
            let _ = unlinkat(&top, name.as_str(), AtFlags::REMOVEDIR);
        }
        Ok(Resctrl { mounted: top, path, directory: directory?, made, before: None, monitoring: None })
    }

    /// Does a step that comes before the clone.
    pub(crate) fn prepare(&mut self, act: &Act) -> Result<()> {
        match act {
            Act::Agree(lines) if self.made.is_none() => {
                if says(&self.schemata()?, lines) {
                    Ok(())
                } else {
                    Err(Errno::EXIST)
                }
            }
            Act::Agree(lines) | Act::Write(lines) => {
                if self.made.is_none() {
                    self.before = Some(self.schemata()?);
                }
                write(&self.directory, SCHEMATA, &format!("{}\n", lines.join("\n")))
            }
            Act::Monitor(name) => {
                let path = Path::new("mon_groups").join(name);
                make(&self.directory, &path, Presence::Refused)?;
                let directory = directory(&self.directory, &path)?;
                self.monitoring = Some(Monitoring { path, directory });
                Ok(())
            }
            Act::Make { .. } | Act::Enter => Err(Errno::NOSYS),
        }
    }

    /// Puts a process into it; one that isn't in the group above can't be counted.
    pub(crate) fn enter(&self, pid: i32) -> Result<()> {
        let below = self.monitoring.as_ref().map(|one| &one.directory);
        let mut all = std::iter::once(&self.directory).chain(below);
        all.try_for_each(|directory| write(directory, "tasks", &pid.to_string()))
    }

    /// Where it is, if it was there before.
    pub(crate) fn found(&self) -> Option<&Path> {
        self.made.is_none().then_some(&self.path)
    }

    /// Leaves it to others.
    pub(crate) fn keep(mut self) {
        (self.made, self.before, self.monitoring) = (None, None, None);
    }

    fn schemata(&self) -> Result<String> {
        let file =
            openat(&self.directory, SCHEMATA, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
        let mut text = String::new();
        File::from(file)
            .read_to_string(&mut text)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(text)
    }
}

impl Drop for Resctrl {
    fn drop(&mut self) {
        if let Some(one) = &self.monitoring {
            let _ = unlinkat(&self.directory, &one.path, AtFlags::REMOVEDIR);
        }
        if let Some(text) = &self.before {
            let _ = write(&self.directory, SCHEMATA, text);
        }
        if let Some(name) = &self.made {
            let _ = unlinkat(&self.mounted, name.as_str(), AtFlags::REMOVEDIR);
        }
    }
}

/// Makes a directory, unless it is to be there; whether it did.
fn make(at: &OwnedFd, path: &Path, presence: Presence) -> Result<bool> {
    if presence == Presence::Needed {
        return Ok(false);
    }
    mkdirat(at, path, Mode::from_raw_mode(0o755)).map(|()| true)
}

fn directory(at: &OwnedFd, path: &Path) -> Result<OwnedFd> {
    openat(at, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn write(directory: &OwnedFd, name: &str, value: &str) -> Result<()> {
    let file = openat(directory, name, OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
    rustix::io::retry_on_intr(|| rustix::io::write(file.as_fd(), value.as_bytes())).map(drop)
}

/// No machine is sure to have resctrl: a directory that looks like it stands for it, and the tests fill each group as the kernel would.
#[cfg(test)]
mod tests {
    use super::*;

    fn fill(group: &Path, schemata: &str) {
        std::fs::create_dir_all(group.join("mon_groups")).expect("scratch is ours");
        std::fs::write(group.join("schemata"), schemata).expect("scratch is ours");
        std::fs::write(group.join("tasks"), "").expect("scratch is ours");
    }

    fn empty(group: &Path) {
        for file in ["schemata", "tasks"] {
            std::fs::remove_file(group.join(file)).expect("it is there");
        }
        let _ = std::fs::remove_dir(group.join("mon_groups"));
    }

    fn text(file: PathBuf) -> String {
        std::fs::read_to_string(file).expect("it is there")
    }

    fn lines(all: &[&str]) -> Vec<String> {
        all.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_group_that_is_made_says_what_is_wished_and_goes_unless_it_is_kept() {
        let top = testkit::Scratch::new("resctrl-made");
        let group = top.join("web");
        for is_kept in [false, true] {
            let mut made = Resctrl::new(&top.join("."), Some("web"), Presence::Allowed).expect("it is made");
            assert_eq!(made.found(), None);
            fill(&group, "");
            made.prepare(&Act::Agree(lines(&["L3:0=f", "MB:0=20"]))).expect("it is written");
            assert_eq!(text(group.join("schemata")), "L3:0=f\nMB:0=20\n");
            made.prepare(&Act::Write(lines(&["L2:0=3;1=00000f"]))).expect("it is written");
            assert_eq!(text(group.join("schemata")), "L2:0=3;1=00000f\n");
            made.prepare(&Act::Monitor("one".to_owned())).expect("it is made");
            let below = group.join("mon_groups/one");
            std::fs::write(below.join("tasks"), "").expect("scratch is ours");
            made.enter(4711).expect("it is written");
            assert_eq!([&group, &below].map(|group| text(group.join("tasks"))), ["4711", "4711"]);
            std::fs::remove_file(below.join("tasks")).expect("it is there");
            match is_kept {
                true => made.keep(),
                false => {
                    std::fs::remove_dir(&below).expect("it is empty");
                    empty(&group);
                    drop(made);
                }
            }
            assert_eq!(group.exists(), is_kept);
        }
    }

    #[test]
    fn a_group_that_is_there_stays_as_it_was() {
        let top = testkit::Scratch::new("resctrl-found");
        let group = top.join("web");
        let make = |presence| Resctrl::new(&top.join("."), Some("web"), presence);
        assert_eq!(make(Presence::Needed).map(drop), Err(Errno::NOENT));
        fill(&group, "L3:0=f\n");
        assert_eq!(make(Presence::Refused).map(drop), Err(Errno::EXIST));
        for presence in [Presence::Needed, Presence::Allowed] {
            let mut found = make(presence).expect("it is there");
            assert_eq!(found.found(), Some(group.as_path()));
            found.prepare(&Act::Agree(lines(&["L3:0=00f"]))).expect("it says so");
            assert_eq!(found.prepare(&Act::Agree(lines(&["L3:0=7"]))), Err(Errno::EXIST));
            assert_eq!(text(group.join("schemata")), "L3:0=f\n");
            found.prepare(&Act::Write(lines(&["L3:0=3"]))).expect("it is written");
            found.prepare(&Act::Monitor("one".to_owned())).expect("it is made");
            assert_eq!(found.prepare(&Act::Monitor("one".to_owned())), Err(Errno::EXIST));
            drop(found);
            assert_eq!(text(group.join("schemata")), "L3:0=f\n");
            assert!(!group.join("mon_groups/one").exists());
        }
    }

    #[test]
    fn the_default_group_is_the_top_itself_and_no_link_is_one() {
        let top = testkit::Scratch::new("resctrl-default");
        fill(&top.join("."), "L3:0=f\n");
        let all = Resctrl::new(&top.join("."), None, Presence::Needed).expect("it is there");
        all.enter(7).expect("it is written");
        assert_eq!(text(top.join("tasks")), "7");
        std::os::unix::fs::symlink("/", top.join("link")).expect("scratch is ours");
        let link = Resctrl::new(&top.join("."), Some("link"), Presence::Allowed).map(drop);
        assert_eq!(link, Err(Errno::NOTDIR));
    }
}
