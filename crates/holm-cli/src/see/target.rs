//! Processes and namespaces that a command names, and who made what.

use super::containers::Names;
use super::fault;
use super::halves::halves;
use super::screen::Screen;
use crate::report::Fault;
use holm::inspect::detail::Open;
use holm::inspect::machine::{Machine, Place, Process};
use holm::inspect::maker::{Clues, Maker, keeper, maker};
use holm::inspect::read::inode;
use holm::model::namespace::Namespace;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::path::Path;

/// The process with this pid, if its namespaces are to be seen.
pub(crate) fn process(machine: &Machine, pid: u32) -> Result<&Process, Vec<Fault>> {
    let (cause, hint) = match machine.process(pid) {
        None => ("there is none, or you may not see it", "holm ls lists leaders"),
        Some(process) if process.ended => ("it has ended and is only waited for", "holm ls lists leaders"),
        Some(process) if process.namespaces == [None; 8] => {
            ("its namespaces are closed to you", "only its owner and root may look at a process (ptrace(2))")
        }
        Some(process) => return Ok(process),
    };
    Err(vec![fault(format!("cannot show process {pid}: {cause}"), hint)])
}

/// No pid is larger (proc(5), `pid_max`): such a number can only be a namespace's. A smaller one is a pid and nothing else, or
/// that of a process that ended would be the number of some namespace.
pub(crate) const PIDS: u64 = 1 << 22;

/// Who made each namespace that isn't the host's: who made those of its leader.
pub(crate) fn makers(machine: &Machine) -> HashMap<Place, Maker> {
    let host = machine.hosts();
    let others = (0..machine.namespaces.len()).filter(|&place| !host.contains(&Some(place)));
    let led: Vec<(Place, &Process)> = others.filter_map(|place| Some((place, machine.leader(place)?))).collect();
    let leaders: BTreeMap<u32, &Process> = led.iter().map(|(_, leader)| (leader.pid, *leader)).collect();
    let leaders: Vec<&Process> = leaders.into_values().collect();
    let names = Names::default();
    let ask = |leaders: &[&Process]| {
        leaders.iter().filter_map(|leader| Some((leader.pid, maker_by(machine, leader, &names)?))).collect()
    };
    let makers: HashMap<u32, Maker> = halves(&leaders, ALONE, ask).into_iter().collect();
    led.into_iter().filter_map(|(place, leader)| Some((place, makers.get(&leader.pid)?.clone()))).collect()
}

/// So many processes one thread asks alone.
const ALONE: usize = 16;

/// Who made the namespaces of a process.
pub(crate) fn maker_by(machine: &Machine, leader: &Process, names: &Names) -> Option<Maker> {
    let made = maker(&clues(machine, leader)?)?;
    Some(Maker { called: names.of(&made).map(str::to_owned), ..made })
}

/// What tells it.
fn clues(machine: &Machine, process: &Process) -> Option<Clues> {
    let clues = Open::new(process).ok()?.clues();
    let keeper = keeper(machine, process).and_then(|keeper| Open::new(keeper).ok());
    Some(Clues { keeper: keeper.map(|keeper| keeper.arguments()).unwrap_or_default(), ..clues })
}

/// A process as `5709/72 sleep`: its pid as the caller's pid namespace shows it, then as those further down do.
pub(crate) fn label(screen: &Screen, process: &Process) -> String {
    let pids = Open::new(process).map(|open| open.pids()).unwrap_or_default();
    let pids = if pids.first() == Some(&process.pid) { pids } else { vec![process.pid] };
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    format!("{} {}", pids.join("/"), name(screen, process))
}

/// The name of a process, as it can be shown.
pub(crate) fn name(screen: &Screen, process: &Process) -> String {
    let ended = if process.ended { " (ended)" } else { "" };
    screen.text(&process.name) + ended
}

/// The namespace that is named by its inode or number, by the text of a link (`net:[4026531840]`), or by a path.
pub(crate) fn namespace(machine: &Machine, wanted: &OsStr) -> Result<Place, Vec<Fault>> {
    let text = wanted.to_string_lossy();
    let in_link = Namespace::of_link(text.as_bytes());
    let wrong = |cause: &str| {
        let message = format!("cannot show namespace {}: {cause}", holm::model::text::name(wanted));
        vec![fault(message, "holm ls lists ids; a path such as /proc/PID/ns/net or /run/netns/NAME does, too")]
    };
    let number = match in_link.map(|(_, inode)| inode).or(text.parse().ok()) {
        Some(number) => number,
        None => inode(Path::new(wanted))
            .map_err(|error| wrong(&holm::model::text::cause(&error)))?
            .ok_or_else(|| wrong("it is no namespace"))?,
    };
    let found = machine.find(number);
    let of_kind = |place: &Place| in_link.is_none_or(|(kind, _)| kind == machine.namespaces[*place].kind);
    found.filter(of_kind).ok_or_else(|| wrong("there is none, or you may not see it"))
}
