//! The verbs of the specification and of the engines, as functions. What they return is printed by whoever calls.

mod agent;
mod checkpoint;
mod create;
mod criu;
mod end;
mod events;
mod example;
mod exec;
mod features;
mod hand_over;
mod hooks;
mod look;
mod pause;
mod process;
mod processes;
mod restore;
mod start;
mod terminal;
mod update;

pub use checkpoint::{Checkpoint, Then, checkpoint};
pub use create::{Create, Created, GroupMaker, Mounted, create, explain};
pub use criu::{Also, Groups, How};
pub use end::{Force, Whom, delete, kill, signal};
pub use events::{Event, Watch};
pub use example::{Owner, specification};
pub use exec::{Exec, Executed, Paused, exec};
pub use features::features;
pub use holm::spec::policy::Keyring;
pub use look::{Shown, list, state};
pub use pause::{pause, resume};
pub use process::{Changes, What};
pub use processes::processes;
pub use restore::{Restore, restore};
pub use start::{Waits, start};
pub use terminal::Console;
pub use update::update;

use crate::Result;
use crate::state::{Place, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// A container that is there, with its record.
fn found(root: &Path, id: &str) -> Result<(Place, Option<Record>)> {
    let place = Place::find(root, id)?;
    let record = place.read()?;
    Ok((place, record))
}

/// Whether a process ends within a time; `None` is for ever. Its descriptor is readable then (pidfd_open(2)).
fn ends_within(process: &OwnedFd, time: Option<Duration>) -> rustix::io::Result<bool> {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let patience = time.map(|time| Timespec { tv_sec: seconds(time), tv_nsec: time.subsec_nanos().into() });
    let mut ended = [PollFd::new(process, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut ended, patience.as_ref())).map(|count| count > 0)
}
