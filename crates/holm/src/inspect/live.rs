//! A reading of processes and the namespaces they are in that is kept up to date.
//!
//! Most of what a machine runs is the same a second later. One listing of /proc tells which processes are new and which are
//! gone: with each name comes the number of its directory, and a pid that was given anew has another. New ones are read at
//! once; of the others some are read again each time, in turn, since a process may move (setns(2), unshare(2)) or take another
//! name. What else keeps a namespace alive isn't looked for.

use super::found::Finds;
use super::machine::{Machine, Process};
use super::process;
use super::read::{Error, Proc, most_pins};
use rustix::fs::{RawDir, SeekFrom, seek};
use rustix::io::{Errno, Result};
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::ops::Bound::{Excluded, Unbounded};
use std::os::fd::AsFd;

/// A reading of the machine that is kept up to date.
pub struct Live {
    proc: Proc,
    finds: Finds,
    known: BTreeMap<u32, Known>,
    /// The last process that was read again.
    last: u32,
}

/// A process that was read.
struct Known {
    process: Process,
    /// Whether any of its namespaces is closed to the caller.
    closed: bool,
}

/// In so many updates each process is read again; at least so many a time.
const TURNS: usize = 5;
const LEAST: usize = 64;

impl Live {
    /// Nothing is read yet.
    ///
    /// # Errors
    /// There is no /proc that shows the caller's own pid namespace.
    pub fn new() -> std::result::Result<Live, Error> {
        let proc = Proc::open()?;
        Ok(Live { proc, finds: Finds::new(most_pins()), known: BTreeMap::new(), last: 0 })
    }

    /// What there is now: processes, the namespaces they are in, and the owners and parents of these.
    ///
    /// # Errors
    /// /proc can't be listed.
    pub fn update(&mut self) -> std::result::Result<Machine, Error> {
        let entries = self.entries().map_err(Error::Unreadable)?;
        self.known.retain(|pid, known| entries.get(pid) == Some(&known.process.entry));
        let new: Vec<u32> = entries.keys().copied().filter(|pid| !self.known.contains_key(pid)).collect();
        let again = self.turn();
        for pid in new.into_iter().chain(again) {
            match process::glance(&self.proc, pid, &mut self.finds) {
                Ok((process, closed)) => drop(self.known.insert(pid, Known { process, closed })),
                // It ended, or not even its name is shown.
                Err(_) => drop(self.known.remove(&pid)),
            }
        }
        // Their mounts aren't asked for.
        self.finds.to_list.clear();
        let mut machine = self.finds.of(self.known.values().map(|known| known.process.clone()).collect());
        machine.unread.processes = self.known.values().filter(|known| known.closed).count();
        machine.unread.hidden = self.proc.hides();
        self.forget();
        Ok(machine)
    }

    /// The pids that /proc lists, and the number of each one's directory.
    fn entries(&self) -> Result<BTreeMap<u32, u64>> {
        seek(&self.proc, SeekFrom::Start(0))?;
        let mut room = [MaybeUninit::uninit(); 32 * 1024];
        let mut entries = RawDir::new(self.proc.as_fd(), &mut room);
        let mut found = BTreeMap::new();
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let pid = entry.file_name().to_str().ok().and_then(|name| name.parse().ok());
            found.extend(pid.map(|pid| (pid, entry.ino())));
        }
        if found.is_empty() { Err(Errno::NOENT) } else { Ok(found) }
    }

    /// The next processes to be read again.
    fn turn(&mut self) -> Vec<u32> {
        let count = self.known.len().div_ceil(TURNS).max(LEAST).min(self.known.len());
        let after = self.known.range((Excluded(self.last), Unbounded)).map(|(pid, _)| *pid);
        let turn: Vec<u32> = after.chain(self.known.keys().copied()).take(count).collect();
        self.last = turn.last().copied().unwrap_or_default();
        turn
    }

    /// Forgets all where most namespaces that are known may be gone, or where knowing them keeps them alive.
    fn forget(&mut self) {
        let used = self.known.len() * 8;
        if self.finds.holds() || self.finds.count() > 2 * used + 1024 {
            self.finds = Finds::new(most_pins());
            self.known.clear();
        }
    }
}
