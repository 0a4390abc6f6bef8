//! The verbs of the specification and of the engines, as functions. What they return is printed by whoever calls.

mod create;
mod end;
mod features;
mod hooks;
mod look;
mod start;
mod terminal;

pub use create::{Create, Created, create};
pub use end::{Force, delete, kill, signal};
pub use features::features;
pub use look::{Shown, list, specification, state};
pub use start::start;

use crate::Result;
use crate::state::{Place, Record};
use std::path::Path;

/// A container that is there, with its record.
fn found(root: &Path, id: &str) -> Result<(Place, Option<Record>)> {
    let place = Place::find(root, id)?;
    let record = place.read()?;
    Ok((place, record))
}
