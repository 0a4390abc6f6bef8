//! `events`: what a container uses, and when it runs out of memory.

use crate::group::Group;
use crate::resctrl::Resctrl;
use crate::state::{Place, Process};
use crate::stats::stats;
use crate::{Error, Result};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use serde::Serialize;
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// A container that is watched.
#[derive(Debug)]
pub struct Watch {
    id: String,
    groups: Vec<Group>,
    resctrl: Option<Resctrl>,
    /// Its first process.
    process: OwnedFd,
    alarm: Option<Alarm>,
}

/// Who tells that memory has run out (cgroups(7)).
#[derive(Debug)]
enum Alarm {
    /// An eventfd(2) that the kernel counts up, in version 1.
    Counter(OwnedFd),
    /// `memory.events`, in version 2, and how many were killed up to now.
    File(File, u64),
}

/// What is told of a container, in the order in which engines know it.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

impl Watch {
    /// Watches a container from now on.
    ///
    /// # Errors
    /// There is no such container, or it doesn't run.
    pub fn new(root: &Path, id: &str) -> Result<Watch> {
        let refused = || Error::Failed(format!("cannot watch container {id}: container not running"));
        let record = Place::look(root, id)?.ok_or_else(refused)?;
        let process = record.process.filter(|_| record.status().lives()).and_then(Process::open).ok_or_else(refused)?;
        let alarm = record.groups.iter().find_map(alarm);
        Ok(Watch { id: id.to_owned(), groups: record.groups, resctrl: record.resctrl, process, alarm })
    }

    /// What it uses now.
    pub fn stats(&self) -> Event {
        Event { kind: "stats", id: self.id.clone(), data: Some(stats(&self.groups, self.resctrl.as_ref())) }
    }

    /// Waits for what comes first: it runs out of memory, or so much time is over, and then what it uses; `None` once it has
    /// ended.
    ///
    /// # Errors
    /// It can't be waited for.
    pub fn next(&mut self, interval: Duration) -> Result<Option<Event>> {
        let end = Instant::now() + interval;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            let (source, flags) = match &self.alarm {
                Some(Alarm::Counter(counter)) => (counter.as_fd(), PollFlags::IN),
                Some(Alarm::File(file, _)) => (file.as_fd(), PollFlags::PRI),
                None => (self.process.as_fd(), PollFlags::IN),
            };
            let mut polled = [PollFd::new(&self.process, PollFlags::IN), PollFd::from_borrowed_fd(source, flags)];
            let failed = |errno| Error::io(format!("watch container {}", self.id), errno);
            let count = rustix::io::retry_on_intr(|| poll(&mut polled, Some(&left))).map_err(failed)?;
            match polled.map(|one| !one.revents().is_empty()) {
                [true, _] => return Ok(None),
                [_, true] if self.has_run_out() => {
                    return Ok(Some(Event { kind: "oom", id: self.id.clone(), data: None }));
                }
                _ if count == 0 => return Ok(Some(self.stats())),
                _ => {}
            }
        }
    }

    /// Whether it is that of which the alarm tells.
    fn has_run_out(&mut self) -> bool {
        match &mut self.alarm {
            Some(Alarm::Counter(counter)) => rustix::io::read(counter, &mut [0; 8]).is_ok(),
            Some(Alarm::File(file, before)) => {
                let now = killed(file);
                now > std::mem::replace(before, now)
            }
            None => false,
        }
    }
}

fn alarm(group: &Group) -> Option<Alarm> {
    if group.unified {
        let mut file = File::open(group.directory.join("memory.events")).ok()?;
        let before = killed(&mut file);
        return Some(Alarm::File(file, before));
    }
    let file = File::open(group.directory.join("memory.oom_control")).ok()?;
    let counter = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()?;
    let line = format!("{} {}", counter.as_raw_fd(), file.as_raw_fd());
    group.write("cgroup.event_control", &line).ok()?;
    Some(Alarm::Counter(counter))
}

/// How many processes were killed for want of memory. Once it is read, poll(2) tells of the next change.
fn killed(file: &mut File) -> u64 {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
    read.ok().and(count).unwrap_or(0)
}
