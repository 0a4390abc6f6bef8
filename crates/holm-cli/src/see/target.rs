//! Processes and namespaces that a command names, and who made what.

use super::fault;
use crate::report::Fault;
use holm::inspect::detail::Open;
use holm::inspect::machine::{Machine, Place, Process};
use holm::inspect::maker::{Maker, maker};
use std::collections::HashMap;

/// The process with this pid.
pub(crate) fn process(machine: &Machine, pid: u32) -> Result<&Process, Vec<Fault>> {
    machine.process(pid).ok_or_else(|| {
        vec![fault(format!("cannot show process {pid}: there is none, or you may not see it"), "holm ls lists leaders")]
    })
}

/// Who made the namespaces of each process that leads one that isn't the host's.
pub(crate) fn makers(machine: &Machine) -> HashMap<u32, Maker> {
    let own = |place: &Place| machine.host(machine.namespaces[*place].kind) != Some(*place);
    let places = (0..machine.namespaces.len()).filter(own);
    let mut makers = HashMap::new();
    let mut asked = std::collections::HashSet::new();
    for leader in places.filter_map(|place| machine.leader(place)) {
        if asked.insert(leader.pid) {
            let found = Open::new(leader).ok().and_then(|open| maker(&open.clues()));
            makers.extend(found.map(|maker| (leader.pid, maker)));
        }
    }
    makers
}
