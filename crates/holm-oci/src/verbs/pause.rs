//! `pause` and `resume`: everybody in a container stops, and goes on.

use super::found;
use crate::group::Freezer;
use crate::state::{Record, Status};
use crate::{Error, Result};
use std::path::Path;

/// Stops all processes of a container; returns once they are.
///
/// # Errors
/// There is no such container, it doesn't run, or it has no control group that could.
pub fn pause(root: &Path, id: &str) -> Result<()> {
    let (place, record) = found(root, id)?;
    let refused = |cause: &str| Error::Failed(format!("cannot pause container {id}: {cause}"));
    match record.as_ref().map(Record::status) {
        Some(Status::Created | Status::Running) => {}
        Some(Status::Paused) => return Err(refused("it is paused already")),
        _ => return Err(refused("container not running")),
    }
    let groups = record.map(|record| record.groups).unwrap_or_default();
    // It may take its time, and nobody who wants to kill has to wait.
    drop(place);
    let none = || refused("it has no control group that can stop everybody in it");
    Freezer::of(&groups).ok_or_else(none)?.close()
}

/// Lets all processes of a container go on.
///
/// # Errors
/// There is no such container, or it isn't paused.
pub fn resume(root: &Path, id: &str) -> Result<()> {
    let (_place, record) = found(root, id)?;
    let record = record.filter(|record| record.status() == Status::Paused);
    let refused = || Error::Failed(format!("cannot resume container {id}: container not paused"));
    let groups = record.ok_or_else(refused)?.groups;
    Freezer::of(&groups).ok_or_else(refused)?.open()
}
