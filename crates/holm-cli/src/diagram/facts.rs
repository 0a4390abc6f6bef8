//! What a picture shows of the machine beyond its namespaces, read once it is known which processes are drawn.

use holm::inspect::detail::{Open, Root};
use holm::inspect::machine::{Machine, Place, Process, Set};
use holm::inspect::maker::Maker;
use holm::inspect::network::{self, Network};
use holm::model::namespace::Namespace;
use std::collections::HashMap;

/// Facts about processes and namespaces; one that couldn't be read is missing.
#[derive(Default)]
pub(crate) struct Facts {
    /// Pids of a process, from the caller's pid namespace down to its own.
    pub(crate) pids: HashMap<u32, Vec<u32>>,
    /// What a process sees as `/`.
    pub(crate) roots: HashMap<u32, Root>,
    /// How ids of a user namespace are mapped, in words.
    pub(crate) maps: HashMap<Place, String>,
    pub(crate) makers: HashMap<Place, Maker>,
    pub(crate) network: Network,
}

/// Reads them for these sets, of which so many processes each are drawn, and for these network namespaces.
pub(crate) fn read(machine: &Machine, sets: &[&Set], drawn: usize, networks: &[Place]) -> Facts {
    let mut facts = Facts { makers: crate::see::target::makers(machine), ..Facts::default() };
    for set in sets {
        let members = members(machine, set);
        for (place, process) in members.iter().take(drawn).enumerate() {
            let Ok(open) = Open::new(process) else { continue };
            facts.pids.insert(process.pid, open.pids());
            if place > 0 {
                continue;
            }
            facts.roots.extend(open.root().ok().map(|root| (process.pid, root)));
            let user = process.namespace(Namespace::User);
            if let Some(user) = user.filter(|&user| Some(user) != machine.host(Namespace::User)) {
                facts.maps.entry(user).or_insert_with(|| crate::see::tree::maps(&open));
            }
        }
    }
    facts.network = network::read(machine, networks);
    facts
}

/// The processes of a set: its leader first, threads of the kernel last. The caller itself isn't one unless it is alone: it
/// ends when the picture is made, and two pictures of the same are the same.
pub(crate) fn members<'a>(machine: &'a Machine, set: &Set) -> Vec<&'a Process> {
    let mut members: Vec<&Process> = set.processes.iter().filter_map(|pid| machine.process(*pid)).collect();
    if members.len() > 1 {
        members.retain(|process| process.pid != std::process::id());
    }
    // All are children of the thread with pid 2, or that.
    let of_kernel = |process: &Process| process.parent == 2 || (process.pid == 2 && process.name == "kthreadd");
    members.sort_by_key(|process| (of_kernel(process), process.start, process.pid));
    members
}
