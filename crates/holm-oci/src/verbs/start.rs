//! `start`: the program of a container that waits.

use super::{found, hooks};
use crate::state::{DOOR, Stage, Status};
use crate::{Error, Result};
use holm::run::{Door, NotStarted};
use std::path::Path;

/// Starts a container's program; returns once it runs.
///
/// # Errors
/// There is no such container, it doesn't wait, or its program can't be executed.
pub fn start(root: &Path, id: &str) -> Result<Vec<String>> {
    let (place, record) = found(root, id)?;
    let Some(mut record) = record.filter(|record| record.process.is_some()) else {
        return Err(Error::Failed(format!("cannot start container {id}: it was never made whole")));
    };
    let refused = |cause: &str| Error::Failed(format!("cannot start container {id}: {cause}"));
    match record.status() {
        Status::Created => {}
        Status::Paused => return Err(refused("it is paused; resume lets it go on")),
        Status::Stopped => return Err(refused("cannot start a container that has stopped")),
        Status::Creating => return Err(refused("it is still being made")),
        Status::Running => return Err(refused("cannot start an already running container")),
    }
    match Door::knock(place.directory(), DOOR) {
        Ok(()) => {}
        Err(NotStarted::Failed { errno, .. }) => return Err(Error::not_executable(record.program(), errno)),
        Err(other) => return Err(refused(&other.to_string())),
    }
    record.stage = Stage::Started;
    place.write(&record)?;
    // A hook may want to do something with the container, even remove it.
    drop(place);
    // The specification has their failures logged, and the container go on.
    let mut warnings = Vec::new();
    let listed = record.hooks.as_ref().and_then(|hooks| hooks.poststart().as_deref());
    if let Err(error) = hooks::run(listed.unwrap_or_default(), &record) {
        warnings.push(error.to_string());
    }
    Ok(warnings)
}
