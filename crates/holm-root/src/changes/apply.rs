//! Changes of a bound directory written back to the host's.
//!
//! First all is checked: what the host has changed since the run began is refused, and nothing is done. Then each change is
//! made beneath the directory that was opened once (openat2(2), `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`): no link, the
//! sandbox's or anybody's, is followed, and no other file system is entered. A file is written aside, in the directory
//! `.holm-apply` of the place, and renamed; what is in the way goes aside in the same way. Removals come last. What a
//! killed process left aside the next one removes.
//!
//! What comes out is a file, a directory or a link of the caller's own, with permission bits (0777), `user.*`
//! attributes and its time; no set-user-id bit, capability, device, FIFO or socket.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps, XattrFlags, fchmod, fsetxattr, fstat, futimens,
    mkdirat, openat, renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::compare::{Aspect, Change, Comparison, Spot, What};
use super::layer::{Layer, data};
use super::remove;
use crate::store::error::Error;
use crate::tree::reach::beneath;
use crate::tree::scan::{attributes, join};

/// A directory that this command has for itself, with the file in the making and what was in its way.
const OWN: &str = ".holm-apply";
const ASIDE: &str = "part";
const GONE: &str = "gone";

/// What happens with what the host changed since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    /// It is refused.
    Refuse,
    /// It is written over.
    Overwrite,
}

/// What is to be written to one directory of the host.
#[derive(Debug)]
pub struct Application<'c> {
    comparison: &'c Comparison,
    clash: Clash,
    /// The changes, in the order in which they are made.
    pub steps: Vec<Step<'c>>,
    /// What isn't written, and why.
    pub left: Vec<(PathBuf, &'static str)>,
}

/// One change that is to be made.
#[derive(Debug)]
pub struct Step<'c> {
    change: &'c Change,
    /// What is done.
    pub act: Act,
    /// Where: a path of the host.
    pub path: PathBuf,
    /// What doesn't come out.
    pub without: Option<&'static str>,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A file, directory or link is written.
    Write,
    /// Permission bits are changed.
    Mode,
    /// Something is removed.
    Remove,
}

impl<'c> Application<'c> {
    /// Decides about the changes of a comparison (with [`super::Renames::Expanded`]) that are chosen by their paths inside.
    ///
    /// # Errors
    /// All that the host has changed since.
    pub fn new(
        comparison: &'c Comparison,
        chosen: impl Fn(&Path) -> bool,
        clash: Clash,
    ) -> Result<Application<'c>, Vec<Error>> {
        let mut new = Application { comparison, clash, steps: Vec::new(), left: Vec::new() };
        let mut refused = Vec::new();
        let all = &comparison.changes;
        let is_chosen = |change: &&Change| chosen(&comparison.inside(&change.path));
        // A new directory goes with what is chosen in it.
        let mut above: HashSet<&Path> = HashSet::new();
        for change in all.iter().filter(is_chosen) {
            // What is above one that is known is known, too.
            change.path.ancestors().skip(1).take_while(|path| above.insert(path)).for_each(drop);
        }
        let holds = |change: &&Change| change.what == What::Added && above.contains(&*change.path);
        for change in all.iter().filter(|change| is_chosen(change) || holds(change)) {
            match act(change).and_then(|act| if change.path.starts_with(OWN) { Err(RESERVED) } else { Ok(act) }) {
                Err(why) => new.left.push((comparison.inside(&change.path), why)),
                Ok(None) => {}
                Ok(Some(act)) => {
                    let path = comparison.place.base.path();
                    let path = if change.path == Path::new(".") { path.to_owned() } else { path.join(&change.path) };
                    let without = change.after.as_ref().and_then(without);
                    refused.extend(new.check(change, &path).err());
                    new.steps.push(Step { change, act, path, without });
                }
            }
        }
        new.steps.sort_by_key(|step| step.act == Act::Remove);
        if refused.is_empty() { Ok(new) } else { Err(refused) }
    }

    /// Whether the host still has what the program saw.
    fn check(&self, change: &Change, path: &Path) -> Result<(), Error> {
        let (Some(before), Clash::Refuse) = (&change.before, self.clash) else { return Ok(()) };
        let place = &self.comparison.place;
        let changed = |path: &[u8], status: &Stat| {
            let now = (status.st_ino, status.st_ctime, i64::try_from(status.st_ctime_nsec).unwrap_or_default());
            let ours = place.applied.iter().any(|one| one.0.0.as_bytes() == path && (one.1, one.2, one.3) == now);
            (now.1, now.2) > place.began && !ours
        };
        let bytes = change.path.as_os_str().as_bytes();
        let whole = change.after.as_ref().is_none_or(|after| after.kind() != before.kind());
        let found = match before.kind() {
            // A file that comes or goes changes a directory's time, and no file's.
            FileType::Directory if whole => changed_below(self.comparison.base(), bytes, &changed),
            FileType::Directory => Ok(false),
            _ => Ok(changed(bytes, &before.status)),
        };
        match found.map_err(Error::io("read", path))? {
            true => Err(Error::Clash { path: path.to_owned() }),
            false => Ok(()),
        }
    }

    /// Removes what a killed process left aside.
    ///
    /// # Errors
    /// It can't be removed.
    pub fn begin(&self) -> Result<(), Error> {
        let cleared = clear(self.comparison.base().root(), OWN);
        cleared.map_err(Error::io("remove", &self.comparison.place.base.path().join(OWN)))
    }

    /// Makes one change.
    ///
    /// # Errors
    /// It is another by now, behind a link or on another file system, or the caller may not.
    pub fn make(&self, step: &Step<'_>) -> Result<(), Error> {
        let made = self.carry_out(step).map_err(Error::io("apply", &step.path));
        if made.is_err() {
            // What failed first is the cause.
            let _ = self.begin();
        }
        made
    }

    fn carry_out(&self, step: &Step<'_>) -> io::Result<()> {
        let path = step.change.path.as_os_str().as_bytes();
        let root = self.comparison.base().root();
        if step.act == Act::Mode {
            let directory = beneath(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
            self.still(step.change, &fstat(&directory)?)?;
            return Ok(fchmod(&directory, mode(step.change.after.as_ref()))?);
        }
        let (above, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&b"."[..], path),
        };
        let parent = beneath(root, above, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let there = match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => None,
            there => Some(there?),
        };
        match &there {
            Some(there) => self.still(step.change, there)?,
            None if step.change.before.is_some() && self.clash == Clash::Refuse => return Err(changed_now()),
            None => {}
        }
        let is_directory = |status: &Stat| FileType::from_raw_mode(status.st_mode).is_dir();
        match &step.change.after {
            Some(after) if after.kind().is_dir() => {
                if let Some(there) = &there {
                    if is_directory(there) {
                        return Ok(());
                    }
                    unlinkat(&parent, name, AtFlags::empty())?;
                }
                make_directory(parent.as_fd(), name)
            }
            after => {
                let own = own(root)?;
                if let Some(after) = after {
                    self.aside(own.as_fd(), after)?;
                }
                if there.as_ref().is_some_and(|there| is_directory(there) || after.is_none()) {
                    renameat(&parent, name, &own, GONE)?;
                }
                if after.is_some() {
                    renameat(&own, ASIDE, &parent, name)?;
                }
                clear(own.as_fd(), GONE)
            }
        }
    }

    /// Whether what is there now is what was compared.
    fn still(&self, change: &Change, there: &Stat) -> io::Result<()> {
        let of = |status: &Stat| (status.st_ino, status.st_ctime, status.st_ctime_nsec);
        match (&change.before, self.clash) {
            (_, Clash::Overwrite) => Ok(()),
            // What is done to a directory's entries changes its time, too.
            (Some(before), _) if before.kind().is_dir() && before.status.st_ino == there.st_ino => Ok(()),
            (Some(before), _) if of(&before.status) == of(there) => Ok(()),
            // It was made meanwhile, perhaps by an earlier try.
            (None, _) if FileType::from_raw_mode(there.st_mode).is_dir() => Ok(()),
            _ => Err(changed_now()),
        }
    }

    /// Writes a file or link under a name of its own.
    fn aside(&self, parent: BorrowedFd<'_>, spot: &Spot) -> io::Result<()> {
        if spot.kind() == FileType::Symlink {
            let text = self.comparison.link(spot)?;
            return Ok(symlinkat(text.as_slice(), parent, ASIDE)?);
        }
        let own = self.comparison.reading(spot)?;
        let content = self.comparison.content(spot)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(parent, ASIDE, flags, Mode::from_raw_mode(0o600))?);
        copy(content, &mut file)?;
        for (name, value) in attributes(own.as_fd(), &mut 0)? {
            if name.starts_with(b"user.") {
                fsetxattr(&file, name.as_slice(), &value, XattrFlags::empty())?;
            }
        }
        fchmod(&file, mode(Some(spot)))?;
        let nanoseconds = i64::try_from(spot.status.st_mtime_nsec).unwrap_or_default();
        let time = Timespec { tv_sec: spot.status.st_mtime, tv_nsec: nanoseconds };
        Ok(futimens(&file, &Timestamps { last_access: time, last_modification: time })?)
    }

    /// Gives new directories their modes, once all is in them, and syncs, after so many steps were made; what was written,
    /// as it is now on the host.
    ///
    /// # Errors
    /// A directory is gone, or the disk fails.
    pub fn finish(&self, made: usize) -> Result<Vec<(PathBuf, Stat)>, Error> {
        let root = self.comparison.base().root();
        let mut done = Vec::new();
        for step in self.steps.iter().take(made).rev().filter(|step| step.act != Act::Remove) {
            let path = step.change.path.as_os_str().as_bytes();
            let failed = || Error::io("apply", &step.path);
            if step.act == Act::Write && step.change.after.as_ref().is_some_and(|after| after.kind().is_dir()) {
                let directory: OwnedFd = beneath(root, path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed())?;
                fchmod(&directory, mode(step.change.after.as_ref())).map_err(failed())?;
            }
            let there = beneath(root, path, OFlags::PATH).and_then(fstat).map_err(failed())?;
            done.push((step.change.path.clone(), there));
        }
        self.begin()?;
        rustix::fs::syncfs(root).map_err(Error::io("sync", self.comparison.place.base.path()))?;
        Ok(done)
    }
}

fn changed_now() -> io::Error {
    io::Error::other("the host changed it meanwhile")
}

const RESERVED: &str = "holm apply has this name for itself";

/// Opens the directory for what is aside, made if it isn't there.
fn own(root: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    match mkdirat(root, OWN, Mode::from_raw_mode(0o700)) {
        Err(Errno::EXIST) => {}
        made => made?,
    }
    Ok(beneath(root, OWN.as_bytes(), OFlags::RDONLY | OFlags::DIRECTORY)?)
}

/// What is to be done, or why it can't be.
fn act(change: &Change) -> Result<Option<Act>, &'static str> {
    let kind = change.after.as_ref().map(Spot::kind);
    match kind {
        Some(FileType::RegularFile | FileType::Directory | FileType::Symlink) | None => {}
        Some(_) => return Err("only files, directories and links come out"),
    }
    let aspects = match &change.what {
        What::Deleted => return Ok(Some(Act::Remove)),
        What::Added => return Ok(Some(Act::Write)),
        What::Changed(aspects) | What::Renamed(_, aspects) => aspects,
    };
    let is = |aspect: Aspect| aspects.contains(&aspect);
    match kind {
        _ if is(Aspect::Kind) || is(Aspect::Content) => Ok(Some(Act::Write)),
        Some(FileType::RegularFile) if is(Aspect::Attributes) => Ok(Some(Act::Write)),
        _ if is(Aspect::Mode) => {
            let bits = |spot: &Option<Spot>| spot.as_ref().map(|spot| spot.status.st_mode & 0o777);
            match bits(&change.before) == bits(&change.after) {
                true => Err("set-user-id bits stay inside"),
                false => Ok(Some(Act::Mode)),
            }
        }
        _ => Err("owners and attributes of directories stay inside"),
    }
}

/// What of it stays inside.
fn without(spot: &Spot) -> Option<&'static str> {
    let special = spot.kind() == FileType::RegularFile && spot.status.st_mode & 0o6000 != 0;
    special.then_some("without its set-user-id bits")
}

fn mode(spot: Option<&Spot>) -> Mode {
    Mode::from_raw_mode(spot.map_or(0o600, |spot| spot.status.st_mode & 0o777))
}

/// Whether anything in a directory of the host is another.
fn changed_below(base: &Layer, path: &[u8], changed: &impl Fn(&[u8], &Stat) -> bool) -> io::Result<bool> {
    let mut left = vec![path.to_vec()];
    while let Some(path) = left.pop() {
        let Some(node) = base.node(&path)? else { return Ok(true) };
        if changed(&path, &node.status) {
            return Ok(true);
        }
        if FileType::from_raw_mode(node.status.st_mode).is_dir() {
            left.extend(base.names(&path)?.iter().map(|name| join(&path, name)));
        }
    }
    Ok(false)
}

/// Makes a directory for its owner alone, for now.
fn make_directory(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    Ok(mkdirat(parent, name, Mode::from_raw_mode(0o700))?)
}

/// Removes what has a name that is for this command alone.
fn clear(parent: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => Ok(remove::remove(parent, name.as_bytes())?),
        Err(error) => Err(error.into()),
    }
}

/// Copies what a file holds, and its holes as holes: a file can be larger than any disk.
fn copy(mut from: File, to: &mut File) -> io::Result<()> {
    to.set_len(from.metadata()?.len())?;
    let mut at = 0;
    while let Some(start) = data(&from, at)? {
        let end = rustix::fs::seek(&from, rustix::fs::SeekFrom::Hole(start))?;
        from.seek(SeekFrom::Start(start))?;
        to.seek(SeekFrom::Start(start))?;
        let copied = io::copy(&mut from.by_ref().take(end - start), to)?;
        if copied == 0 {
            break;
        }
        at = start + copied;
    }
    Ok(())
}
