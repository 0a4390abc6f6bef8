//! What is told of the chosen row, in lines; more of it is read than of the others.

use super::rows::Of;
use crate::see::containers::Names;
use crate::see::matrix::{Sharing, With, leader, letters};
use crate::see::sandboxes::{age, asked_of, is_init};
use crate::see::screen::Screen;
use crate::see::target::{label, maker_by};
use crate::see::tree::title;
use holm::inspect::detail::{Counted, Of as Measure, Open};
use holm::inspect::machine::{Link, Machine, Place, Process};
use holm::model::limit::Bytes;
use holm::model::namespace::Namespace;

/// Lines of any length.
pub(super) fn lines(screen: &Screen, machine: &Machine, sharing: &Sharing, names: &Names, of: Of) -> Vec<String> {
    match of {
        Of::Set(number) => of_set(screen, machine, sharing, names, number),
        Of::User(place) => of_user(screen, machine, place),
        Of::Process(pid) => machine.process(pid).map(|process| of_process(screen, process)).unwrap_or_default(),
    }
}

fn of_set(screen: &Screen, machine: &Machine, sharing: &Sharing, names: &Names, number: usize) -> Vec<String> {
    let set = &sharing.sets[number];
    let mut lines = Vec::new();
    let Some(leader) = leader(machine, set) else { return lines };
    let maker = (set.namespaces != sharing.host).then(|| maker_by(machine, leader, names)).flatten();
    let made_by = maker.map(|maker| format!(", made by {}", screen.text(maker.to_string()))).unwrap_or_default();
    let count = match set.processes.len() {
        1 => "1 process".to_owned(),
        count => format!("{count} processes"),
    };
    lines.push(format!("{}: {count}, leader {}, user {}{made_by}", letters(number), label(screen, leader), leader.uid));
    lines.push(namespaces(machine, sharing, number));
    if is_init(leader) {
        let age = age(leader);
        lines.extend(asked_of(machine, leader).map(|asked| {
            let limits = if asked.limits.is_empty() { "no limits".to_owned() } else { asked.limits.join(" ") };
            screen.text(format!("{}; root {}; {limits}; runs for {age}", asked.program, asked.root))
        }));
    }
    lines.extend(usage(leader));
    lines
}

/// The namespaces of a set that aren't the host's, by whose they are.
fn namespaces(machine: &Machine, sharing: &Sharing, number: usize) -> String {
    let mut parts = Vec::new();
    for (kind, place) in Namespace::ALL.into_iter().zip(sharing.sets[number].namespaces) {
        let Some(inode) = place.map(|place| machine.namespaces[place].inode) else { continue };
        match sharing.with(number, kind) {
            With::Own => parts.push(format!("own {kind} {inode}")),
            With::Sets(sets) => {
                const SHOWN: usize = 4;
                let others = sets.iter().filter(|&&set| set != number);
                let mut with: Vec<String> = others.clone().take(SHOWN).map(|&set| letters(set)).collect();
                if others.count() > SHOWN {
                    with.push("more".to_owned());
                }
                parts.push(format!("{kind} {inode} with {}", with.join(" ")));
            }
            With::Host | With::Unknown => {}
        }
    }
    if parts.is_empty() { "all namespaces are the host's".to_owned() } else { parts.join(", ") }
}

/// Use and limits by control groups, if there is any limit: the use of a group that holds everything tells nothing.
fn usage(process: &Process) -> Option<String> {
    let counted = Open::new(process).ok()?.usage();
    let one = |Counted { what, used, limit }: &Counted| {
        let number = |number: u64| match what {
            Measure::Memory => Bytes(number).to_string(),
            Measure::Tasks => number.to_string(),
        };
        let name = match what {
            Measure::Memory => "memory",
            Measure::Tasks => "tasks",
        };
        let limit = limit.map_or_else(|| "no limit".to_owned(), |limit| format!("of {}", number(limit)));
        format!("{name} {} {limit}", number(*used))
    };
    let parts: Vec<String> = counted.iter().map(one).collect();
    counted.iter().any(|one| one.limit.is_some()).then(|| format!("control group: {}", parts.join(", ")))
}

fn of_user(screen: &Screen, machine: &Machine, place: Place) -> Vec<String> {
    let owned = |kind: Namespace| {
        let is = |found: &&holm::inspect::machine::Found| found.kind == kind && found.owner == Link::To(place);
        let count = machine.namespaces.iter().filter(is).count();
        (count > 0).then(|| format!("{count} {kind}"))
    };
    let owned: Vec<String> = Namespace::ALL.into_iter().filter_map(owned).collect();
    let owned = if owned.is_empty() { "nothing".to_owned() } else { owned.join(", ") };
    vec![title(screen, machine, place), format!("owns {owned}")]
}

fn of_process(screen: &Screen, process: &Process) -> Vec<String> {
    let mut lines = vec![format!("{}, user {}, parent {}", label(screen, process), process.uid, process.parent)];
    if let Ok(open) = Open::new(process) {
        lines.push(screen.text(open.arguments().join(" ")));
        lines.extend(open.memory().map(|bytes| format!("memory {}", Bytes(bytes))));
        lines.extend(usage(process));
    }
    lines
}
