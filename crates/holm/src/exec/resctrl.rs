//! The group of resctrl of one sandbox (Documentation/filesystems/resctrl.rst): made or found before the clone, entered while the child
//! waits, and removed if the start fails, unless others are in it by then.

pub mod group;

use crate::host::resctrl::step;
use crate::model::resctrl::{directory as place_of, says};
use crate::plan::limits::Resctrl as Act;
use crate::spec::limits::Presence;
use group::{Group, Lock, Written, directory, remove_below, top};
use rustix::fs::{AtFlags, Mode, mkdirat, unlinkat};
use rustix::io::{Errno, Result};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A sandbox's group; what was made is removed when it is dropped, and what was written is as before.
#[derive(Debug)]
pub(crate) struct Resctrl {
    path: PathBuf,
    group: Group,
    /// Its name, if it was made.
    made: Option<String>,
    /// What its schemata were and are, if it was there before.
    written: Option<Written>,
    /// The group in it that counts.
    counting: Option<Counting>,
}

#[derive(Debug)]
struct Counting {
    /// From the group on.
    path: PathBuf,
    made: bool,
}

impl Resctrl {
    /// Makes or finds it, and has it say what is wished; until all is said nobody else makes, compares or enters it.
    pub(crate) fn new(mounted: &Path, act: &Act) -> Result<Resctrl> {
        let Act::Make { name, presence, agreed, written } = act else { return Err(Errno::NOSYS) };
        let (mut one, lock) = Resctrl::make(mounted, name.as_deref(), *presence)?;
        let done = one.say(mounted, agreed, written, &lock);
        // What is dropped takes it by itself.
        drop(lock);
        done.map(|()| one)
    }

    fn make(mounted: &Path, name: Option<&str>, presence: Presence) -> Result<(Resctrl, Lock)> {
        let top = top(mounted)?;
        let lock = Lock::take(&top)?;
        let place = name.unwrap_or(".");
        let made = match (presence, make(&top, place, presence)) {
            (Presence::Allowed, Err(Errno::EXIST)) => None,
            (_, made) => made?.then(|| place.to_owned()),
        };
        let directory = directory(&top, place).inspect_err(|_| {
            let _ = made.as_ref().map(|name| unlinkat(&top, name.as_str(), AtFlags::REMOVEDIR));
        })?;
        let (path, group) = (place_of(mounted, name), Group { top, directory });
        Ok((Resctrl { path, group, made, written: None, counting: None }, lock))
    }

    fn say(&mut self, mounted: &Path, agreed: &[String], written: &[String], lock: &Lock) -> Result<()> {
        if self.made.is_some() {
            let mut all = [agreed, written].into_iter().filter(|lines| !lines.is_empty());
            return all.try_for_each(|lines| self.group.set_locked(lines, lock).map(drop));
        }
        if !agreed.is_empty() && !says(&self.group.schemata()?, agreed, |resource| step(mounted, resource)) {
            return Err(Errno::EXIST);
        }
        if !written.is_empty() {
            self.written = Some(self.group.set_locked(written, lock)?);
        }
        Ok(())
    }

    /// Makes or finds the group in it that counts.
    pub(crate) fn count(&mut self, name: &str, presence: Presence) -> Result<()> {
        let path = Path::new("mon_groups").join(name);
        let _lock = Lock::take(&self.group.top)?;
        let made = make(&self.group.directory, &path, presence)?;
        self.counting = Some(Counting { path, made });
        Ok(())
    }

    /// Puts a process into it; one that isn't in the group above can't be counted.
    pub(crate) fn enter(&self, pid: i32) -> Result<()> {
        let _lock = Lock::take(&self.group.top)?;
        let below = self.counting.as_ref().map(|one| one.path.as_path());
        let mut all = std::iter::once(Path::new("")).chain(below);
        all.try_for_each(|group| self.group.write(group.join("tasks"), &pid.to_string()))
    }

    /// Where it is, if it was there before.
    pub(crate) fn found(&self) -> Option<&Path> {
        self.made.is_none().then_some(&self.path)
    }

    /// Leaves it to others.
    pub(crate) fn keep(mut self) {
        (self.made, self.written, self.counting) = (None, None, None);
    }
}

impl Drop for Resctrl {
    fn drop(&mut self) {
        if let Some(one) = self.counting.as_ref().filter(|one| one.made) {
            let _ = unlinkat(&self.group.directory, &one.path, AtFlags::REMOVEDIR);
        }
        let _ = self.written.as_ref().map(|written| self.group.put_back(written));
        let _ = self.made.as_ref().map(|name| remove_below(&self.group.top, name));
    }
}

/// Makes a directory, unless it is to be there; whether it did.
fn make(at: &OwnedFd, path: impl AsRef<Path>, presence: Presence) -> Result<bool> {
    if presence == Presence::Needed {
        return Ok(false);
    }
    mkdirat(at, path.as_ref(), Mode::from_raw_mode(0o755)).map(|()| true)
}

/// No machine is sure to have resctrl: a directory that looks like it stands for it, and the tests fill each group as the kernel would.
#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Scratch;

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

    /// A wish for the group `web`: the schemata that it is to say, and those that are written there.
    fn wish(presence: Presence, agreed: &[&str], written: &[&str]) -> Act {
        let [agreed, written] = [agreed, written].map(|all| all.iter().map(|line| (*line).to_owned()).collect());
        Act::Make { name: Some("web".to_owned()), presence, agreed, written }
    }

    /// As [`Resctrl::new`], of a group that the kernel fills when it is made.
    fn made(top: &Scratch, act: &Act) -> Resctrl {
        let Act::Make { name, presence, agreed, written } = act else { panic!("{act:?}") };
        let (mut one, lock) = Resctrl::make(&top.join("."), name.as_deref(), *presence).expect("it is made");
        assert_eq!(one.found(), None);
        fill(&one.path, "");
        one.say(&top.join("."), agreed, written, &lock).expect("it is written");
        one
    }

    #[test]
    fn a_group_that_is_made_says_what_is_wished_and_goes_unless_it_is_kept() {
        let top = Scratch::new("resctrl-made");
        let group = top.join("web");
        for is_kept in [false, true] {
            let (lines, expected): (&[&str], _) =
                if is_kept { (&["L2:0=3;1=00000f"], "L2:0=3;1=00000f\n") } else { (&[], "L3:0=f\nMB:0=20\n") };
            let mut made = made(&top, &wish(Presence::Allowed, &["L3:0=f", "MB:0=20"], lines));
            assert_eq!(text(group.join("schemata")), expected);
            made.count("one", Presence::Refused).expect("it is made");
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
        let top = Scratch::new("resctrl-found");
        let group = top.join("web");
        let make = |act: &Act| Resctrl::new(&top.join("."), act);
        assert_eq!(make(&wish(Presence::Needed, &[], &[])).map(drop), Err(Errno::NOENT));
        fill(&group, "L3:0=f\n");
        assert_eq!(make(&wish(Presence::Refused, &[], &[])).map(drop), Err(Errno::EXIST));
        for presence in [Presence::Needed, Presence::Allowed] {
            assert_eq!(make(&wish(presence, &["L3:0=7"], &["L3:0=3"])).map(drop), Err(Errno::EXIST));
            assert_eq!(text(group.join("schemata")), "L3:0=f\n");
            let mut found = make(&wish(presence, &["L3:0=00f"], &["L3:0=3"])).expect("it says so");
            assert_eq!(found.found(), Some(group.as_path()));
            assert_eq!(text(group.join("schemata")), "L3:0=3\n");
            found.count("one", Presence::Refused).expect("it is made");
            assert_eq!(found.count("one", Presence::Refused), Err(Errno::EXIST));
            drop(found);
            assert_eq!(text(group.join("schemata")), "L3:0=f\n");
            assert!(!group.join("mon_groups/one").exists());
        }
        // What counts in it and was there stays, too, and so does what somebody else has written meanwhile.
        std::fs::create_dir(group.join("mon_groups/one")).expect("scratch is ours");
        let mut found = make(&wish(Presence::Needed, &[], &["L3:0=3"])).expect("it is there");
        found.count("one", Presence::Needed).expect("it is there");
        std::fs::write(group.join("schemata"), "L3:0=1\n").expect("scratch is ours");
        drop(found);
        assert!(group.join("mon_groups/one").exists());
        assert_eq!(text(group.join("schemata")), "L3:0=1\n");
    }

    #[test]
    fn of_two_with_one_group_the_one_that_fails_leaves_it_to_the_other() {
        let top = Scratch::new("resctrl-two");
        let group = top.join("web");
        let act = wish(Presence::Allowed, &["L3:0=f"], &[]);
        let first = made(&top, &act);
        let second = Resctrl::new(&top.join("."), &act).expect("it says the same");
        assert_eq!(second.found(), Some(group.as_path()));
        second.enter(std::process::id() as i32).expect("it is written");
        // As a directory of the kernel's, which could be removed with its files.
        std::fs::remove_file(group.join("schemata")).expect("it is there");
        std::fs::remove_dir(group.join("mon_groups")).expect("it is empty");
        let tasks = text(group.join("tasks"));
        assert_eq!(tasks, std::process::id().to_string());
        drop(first);
        assert_eq!(text(group.join("tasks")), tasks);
        // Who comes to one that counts for itself isn't in it yet.
        let mut first = second;
        first.made = Some("web".to_owned());
        std::fs::remove_file(group.join("tasks")).expect("it is there");
        let mut third = Resctrl::new(&top.join("."), &wish(Presence::Needed, &[], &[])).expect("it is there");
        std::fs::create_dir(group.join("mon_groups")).expect("scratch is ours");
        third.count("three", Presence::Refused).expect("it is made");
        drop(first);
        assert!(group.join("mon_groups/three").exists());
    }

    #[test]
    fn another_one_finds_a_group_only_when_all_is_said() {
        let top = Scratch::new("resctrl-race");
        let act = wish(Presence::Allowed, &["L3:0=f"], &[]);
        let (mut first, lock) = Resctrl::make(&top.join("."), Some("web"), Presence::Allowed).expect("it is made");
        fill(&first.path, "L3:0=7ff\n");
        let other = {
            let (top, act) = (top.join("."), act.clone());
            std::thread::spawn(move || Resctrl::new(&top, &act).map(Resctrl::keep))
        };
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::fs::write(first.path.join("schemata"), "").expect("scratch is ours");
        first.say(&top.join("."), &["L3:0=f".to_owned()], &[], &lock).expect("it is written");
        drop(lock);
        assert_eq!(other.join().expect("it ends"), Ok(()), "it finds what is said by then");
        first.keep();
    }

    #[test]
    fn the_default_group_is_the_top_itself_and_no_link_is_one() {
        let top = Scratch::new("resctrl-default");
        fill(&top.join("."), "L3:0=f\n");
        let make = |name: Option<&str>, presence| {
            let name = name.map(str::to_owned);
            Resctrl::new(&top.join("."), &Act::Make { name, presence, agreed: Vec::new(), written: Vec::new() })
        };
        let all = make(None, Presence::Needed).expect("it is there");
        all.enter(7).expect("it is written");
        assert_eq!(text(top.join("tasks")), "7");
        std::os::unix::fs::symlink("/", top.join("link")).expect("scratch is ours");
        assert_eq!(make(Some("link"), Presence::Allowed).map(drop), Err(Errno::NOTDIR));
    }
}
