//! `start`: the program of a container that waits.

use super::end::end;
use super::{found, hooks};
use crate::notify::Listening;
use crate::state::{DOOR, Record, Stage, Status};
use crate::{Error, Result};
use holm::run::{Door, NotStarted};
use std::path::Path;

/// Who waits for a container to say that it is ready, where somebody outside wants to know (sd_notify(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// The caller: it has said so, or has ended, when `start` returns.
    Caller,
    /// A thread, as long as this process is there.
    Thread,
}

/// Starts a container's program; returns once it runs.
///
/// # Errors
/// There is no such container, it doesn't wait, or its program can't be executed. A hook has failed: then it was ended. Who is to
/// be told that it is ready isn't there.
pub fn start(root: &Path, id: &str, waits: Waits) -> Result<()> {
    let (place, record) = found(root, id)?;
    let Some(mut record) = record.filter(|record| record.process.is_some()) else {
        return Err(Error::Failed(format!("cannot start container {id}: it was never made whole")));
    };
    let refused = |cause: &str| Error::Failed(format!("cannot start container {id}: {cause}"));
    match record.status() {
        Status::Created if record.stage == Stage::Starting => return Err(refused("it is being started")),
        Status::Created => {}
        Status::Paused => return Err(refused("it is paused; resume lets it go on")),
        Status::Stopped => return Err(refused("cannot start a container that has stopped")),
        Status::Creating => return Err(refused("it is still being made")),
        Status::Running => return Err(refused("cannot start an already running container")),
    }
    let hooks = record.hooks.clone().unwrap_or_default();
    if hooks.start_container().iter().flatten().next().is_some() {
        record.stage = Stage::Starting;
        place.write(&record)?;
        place.give_up()?;
        let done = hooks::run_inside("startContainer", hooks.start_container(), &record, hooks::As::Process);
        place.take_back()?;
        done.or_else(|error| stop(&record, error))?;
    }
    let process = || record.process.and_then(|process| Some((process.open()?, process.pid)));
    let listening = Listening::begin(place.directory())?.and_then(|listening| Some((process()?, listening)));
    match Door::knock(place.directory(), DOOR) {
        Ok(()) => {}
        Err(NotStarted::Failed { errno, .. }) => return Err(Error::not_executable(record.program(), errno)),
        Err(other) => return Err(refused(&other.to_string())),
    }
    record.stage = Stage::Started;
    place.write(&record)?;
    // A hook may want to do something with the container, even remove it.
    drop(place);
    hooks::run("poststart", hooks.poststart(), &record, Status::Running).or_else(|error| stop(&record, error))?;
    let Some(((process, pid), listening)) = listening else { return Ok(()) };
    match waits {
        Waits::Caller => listening.pass_on(&process, pid),
        Waits::Thread => {
            // What it can't tell there is nobody to hear.
            std::thread::spawn(move || _ = listening.pass_on(&process, pid));
            Ok(())
        }
    }
}

/// Ends a container one of whose hooks has failed: what is left is its `delete`.
fn stop(record: &Record, error: Error) -> Result<()> {
    end(&record.id, record.process, &record.groups)?;
    Err(error)
}
