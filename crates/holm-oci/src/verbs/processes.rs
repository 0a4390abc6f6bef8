//! `ps`: who is in a container.

use crate::state::Place;
use crate::{Error, Result};
use holm::inspect::machine::{Link, Machine};
use holm::model::namespace::Namespace;
use std::path::Path;

/// The pids of all processes in a container, in order: those in its control groups, or in its pid namespace and those below.
///
/// # Errors
/// There is no such container, or nothing tells who is in it.
pub fn processes(root: &Path, id: &str) -> Result<Vec<i32>> {
    let refused = |cause: &str| Error::Failed(format!("cannot list processes of container {id}: {cause}"));
    let record = Place::look(root, id)?.ok_or_else(|| refused("it was never made whole"))?;
    let mut all: Vec<i32> = record.groups.iter().flat_map(|group| group.processes()).collect();
    all.sort_unstable();
    all.dedup();
    let init = match record.process {
        Some(init) if all.is_empty() && init.open().is_some() => init.pid.unsigned_abs(),
        _ => return Ok(all),
    };
    let machine = holm::inspect::read::read().map_err(|error| refused(&error.to_string()))?;
    let none = || refused("it has neither control groups nor a pid namespace of its own");
    within(&machine, init).ok_or_else(none)
}

/// All in the pid namespace of `init` and those below, if that isn't the caller's.
fn within(machine: &Machine, init: u32) -> Option<Vec<i32>> {
    let of = |pid| machine.process(pid)?.namespace(Namespace::Pid);
    let place = of(init).filter(|place| Some(*place) != of(std::process::id()))?;
    let is_below = |mut at: usize| loop {
        match machine.namespaces.get(at).map(|found| found.parent) {
            _ if at == place => return true,
            Some(Link::To(above)) => at = above,
            _ => return false,
        }
    };
    let inside = machine.processes.iter().filter(|process| process.namespace(Namespace::Pid).is_some_and(is_below));
    Some(inside.map(|process| process.pid as i32).collect())
}
