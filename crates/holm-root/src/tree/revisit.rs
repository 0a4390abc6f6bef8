//! A tree in which programs have run: notes of what they have changed don't count any more.
//!
//! The kernel tells by the time of an inode's last change (`st_ctime`, inode(7)), which no program can set. What was
//! changed is as it is on disk; where files are the caller's own, though, they still belong to whom the note says, and
//! what has no note belongs to root, who ran inside.

use std::io;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, Stat, Timespec, utimensat};

use super::scan::walk;
use super::{Note, Owners, Tree, changed, times};
use crate::store::listing::Facts;

/// What was changed so shortly before programs ran may have the same time as what they did.
const MARGIN: Duration = Duration::from_millis(50);

impl Tree {
    /// Looks at everything again, after programs that were started at `start`; what is newer than `latest`, in seconds
    /// since 1970, becomes as old as that.
    pub(crate) fn revisit(&mut self, start: SystemTime, latest: i64) -> Result<(), (Vec<u8>, io::Error)> {
        let sure = start.checked_sub(MARGIN).and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let sure = sure.map_or((0, 0), |time| (time.as_secs().cast_signed(), i64::from(time.subsec_nanos())));
        self.latest = Some(latest);
        for (path, status) in walk(self.root())? {
            self.doubt(&status, sure);
            let directory = FileType::from_raw_mode(status.st_mode).is_dir();
            if !directory && (status.st_mtime, status.st_mtime_nsec) > (latest, 0) {
                let time = times(Timespec { tv_sec: latest, tv_nsec: 0 });
                utimensat(self.root(), path.as_slice(), &time, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|error| (path, error.into()))?;
            }
        }
        Ok(())
    }

    fn doubt(&mut self, status: &Stat, sure: (i64, i64)) {
        let directory = FileType::from_raw_mode(status.st_mode).is_dir();
        let note = self.notes.get_mut(&status.st_ino);
        // The place of a device node has no content that could be another.
        let is_sure = |note: &Note| note.changed < sure || note.device.is_some();
        if note.as_ref().is_some_and(|note| note.changed == changed(status) && is_sure(note)) {
            return;
        }
        let mode = status.st_mode & 0o7777;
        match (note, self.owners) {
            (Some(note), Owners::Kept) if directory => {
                let facts = &mut note.facts;
                (facts.mode, facts.uid, facts.gid) = (mode, status.st_uid, status.st_gid);
            }
            (_, Owners::Kept) => drop(self.notes.remove(&status.st_ino)),
            // The number may be that of something else by now; then its time is another, too.
            (Some(note), Owners::Listed) if directory || note.modified.tv_sec == status.st_mtime => {
                if mode != Owners::Listed.mode(note.facts.mode, directory) {
                    note.facts.mode = mode;
                }
                note.hash = None;
            }
            (_, Owners::Listed) => {
                let facts = Facts { mode, ..Facts::default() };
                let modified = Timespec { tv_sec: status.st_mtime, tv_nsec: 0 };
                let note = Note { facts, hash: None, device: None, modified, changed: changed(status), depth: 0 };
                self.notes.insert(status.st_ino, note);
            }
        }
    }
}
