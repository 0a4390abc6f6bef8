//! What a target names: a path or an id of a namespace, a pid, a sandbox, a container. Nobody inside of one can choose what a name
//! leads to: a sandbox's is said by its owner, a container's is where in the tree of control groups it is, or below which monitor.

use super::refused;
use crate::report::Fault;
use crate::see::containers::{Names, is_container};
use crate::see::sandboxes::{Known, known};
use crate::see::target::PIDS;
use crate::see::{self, fault};
use holm::host::groups::{self, lines};
use holm::inspect::detail::Open;
use holm::inspect::enter::{Error, Opened};
use holm::inspect::machine::{Found, Machine, Place, Process};
use holm::inspect::maker::{Clues, Tool, keeper, maker};
use holm::inspect::read::open_namespace;
use holm::inspect::reopen::reopen;
use holm::model::namespace::Namespace;
use holm::model::text::{cause, name};
use std::ffi::OsStr;
use std::path::Path;

/// Opens what `target` names. Whoever knows when a process started means that one, by its pid, and no sandbox of it.
pub(crate) fn open(target: &OsStr, started: Option<u64>) -> Result<Opened, Vec<Fault>> {
    let text = target.to_string_lossy();
    if let (Some(start), Ok(pid)) = (started, text.parse()) {
        return Opened::process(pid, Some(start)).map_err(|error| vec![refused(target, &error)]);
    }
    if text.contains('/') {
        return file(target);
    }
    if let Some((kind, number)) = Namespace::of_link(text.as_bytes()) {
        return namespace(target, Some(kind), number);
    }
    if let Some(number) = text.parse().ok().filter(|number| *number > PIDS) {
        return namespace(target, None, number);
    }
    let machine = see::processes().map_err(|fault| vec![fault])?;
    match text.parse::<u32>() {
        Ok(number) => match machine.process(number) {
            Some(process) => process_or_sandbox(&machine, process).map_err(|error| vec![refused(target, &error)]),
            None => {
                let message = format!("cannot enter {number}: there is no such process, or you may not see it");
                Err(vec![fault(message, "holm ps lists sandboxes, holm ls namespaces with a process in each")])
            }
        },
        Err(_) => named(&machine, target),
    }
}

/// A process, or the sandbox whose owner it is.
fn process_or_sandbox(machine: &Machine, process: &Process) -> Result<Opened, Error> {
    match known(machine).into_iter().find(|known| known.owner.pid == process.pid) {
        Some(known) => sandbox(&known),
        None => Opened::process(process.pid, Some(process.start)),
    }
}

fn sandbox(known: &Known<'_>) -> Result<Opened, Error> {
    let opened = Opened::process(known.init.pid, Some(known.init.start))?;
    let called =
        known.name().map_or_else(|| format!("the sandbox of {}", known.owner.pid), |name| format!("sandbox {name}"));
    Ok(opened.called(called))
}

/// The sandbox or the container of this name. The caller's own sandboxes hide those of other users.
fn named(machine: &Machine, target: &OsStr) -> Result<Opened, Vec<Fault>> {
    let text = target.to_string_lossy();
    let sandboxes: Vec<Known<'_>> = known(machine).into_iter().filter(|known| known.is_named(&text)).collect();
    let uid = rustix::process::geteuid().as_raw();
    let own = |known: &&Known<'_>| known.owner.uid == uid;
    let meant: Vec<&Known<'_>> = match sandboxes.iter().any(|known| own(&known)) {
        true => sandboxes.iter().filter(own).collect(),
        false => sandboxes.iter().collect(),
    };
    let opened = match meant[..] {
        [] => {
            let process = container(machine, &text)?;
            let opened = Opened::process(process.pid, Some(process.start));
            opened.map(|opened| opened.called(format!("container {text}")))
        }
        [one] => sandbox(one),
        _ => return Err(several(&text, meant.iter().map(|known| known.init.pid))),
    };
    opened.map_err(|error| vec![refused(target, &error)])
}

fn several(text: &str, pids: impl Iterator<Item = u32>) -> Vec<Fault> {
    let pids: Vec<String> = pids.map(|pid| pid.to_string()).collect();
    let message =
        format!("cannot enter {}: there are several: process {}", name(text.as_ref()), pids.join(", process "));
    vec![fault(message, "name one by its pid")]
}

/// The container, unit or application whose name this is, or whose id begins with it. The name of a container is what the files
/// of its engine say, which nobody inside can write; its control group is root's or the caller's.
fn container<'a>(machine: &'a Machine, text: &str) -> Result<&'a Process, Vec<Fault>> {
    let names = Names::default();
    let ids: Vec<&str> = (text.len() >= LEAST).then_some(text).into_iter().chain(names.ids(text)).collect();
    let mut found: Vec<(String, bool, &'a Process)> = Vec::new();
    for process in &machine.processes {
        let Ok(mut clues) = Open::new(process).map(|open| open.clues()) else { continue };
        let kept = believed(machine, process);
        clues.keeper = kept.as_ref().map(Open::arguments).unwrap_or_default();
        let Some(maker) = maker(&clues).filter(|maker| !maker.name.is_empty()) else { continue };
        let part = match maker.tool {
            tool if is_container(tool) => ids.iter().copied().find(|id| is_start(id, &maker.name)),
            // Of a pod the model has no containers.
            Tool::Kubernetes if maker.name != text => ids.iter().copied().find(|id| has_container(&clues.groups, id)),
            _ => Some(text).filter(|text| maker.name == *text),
        };
        let Some(part) = part else { continue };
        let is_kept = says(clues.keeper, &maker.name);
        let one = one_of(&clues.groups, part, is_kept.then_some(maker.name.as_str()));
        found.extend(one.map(|one| (one, is_kept, process)));
    }
    // The oldest process of each place.
    found.sort_by_key(|(one, is_kept, process)| (one.clone(), !is_kept, process.start, process.pid));
    found.dedup_by(|(later, ..), (earlier, ..)| later == earlier);
    let (found, others): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(one, is_kept, _)| *is_kept || is_believed(one));
    match found[..] {
        [] if !others.is_empty() => Err(anothers(text, others.iter().map(|(.., process)| *process))),
        [] => {
            let message =
                format!("cannot enter {}: there is no sandbox or container of this name", name(text.as_ref()));
            Err(vec![fault(
                message,
                "holm ps lists sandboxes, holm ls who made what; a pid, a path or an id does, too",
            )])
        }
        [(.., process)] => Ok(process),
        _ => Err(several(text, found.iter().map(|(.., process)| process.pid))),
    }
}

/// Whether a control group, as the kernel tells it, was named by root or the caller, out here: it is theirs, and in no container's.
fn is_believed(group: &str) -> bool {
    let (own, users) = (rustix::process::geteuid().as_raw(), groups::users(Path::new(group)));
    !users.is_empty() && users.iter().all(|user| [0, own].contains(user)) && !is_within_another(group)
}

/// Whether one of the groups above is a container's, in which somebody may make groups of any name.
fn is_within_another(group: &str) -> bool {
    let groups = format!("0::{}\n", group.rsplit_once('/').map_or("", |(above, _)| above));
    let above = maker(&Clues { groups: groups.clone(), ..Clues::default() }).map(|above| above.tool);
    has_container(&groups, "")
        || above.is_some_and(|tool| is_container(tool) || matches!(tool, Tool::Lxc | Tool::Nspawn))
}

/// What is called so, but perhaps by somebody who is neither root nor the caller.
fn anothers<'a>(text: &str, processes: impl Iterator<Item = &'a Process>) -> Vec<Fault> {
    let those: Vec<String> = processes.map(|one| format!("process {} of user {}", one.pid, one.uid)).collect();
    let message = format!(
        "cannot enter {}: only what others may have named is called so: {}",
        name(text.as_ref()),
        those.join(", ")
    );
    vec![fault(message, "if that is meant, name it by its pid")]
}

/// So much of a container's id is needed.
const LEAST: usize = 4;

/// Whether one is the start of the other: the model has the first 12 digits.
fn is_start(text: &str, known: &str) -> bool {
    known.starts_with(text) || text.starts_with(known)
}

/// Whether a container whose id begins so has one of these control groups.
fn has_container(groups: &str, start: &str) -> bool {
    let is_it = |part: &str| {
        let name = part.trim_end_matches(".scope");
        let id = name.rsplit_once('-').map_or(name, |(_, id)| id);
        id.len() == 64 && id.starts_with(start)
    };
    lines(groups).any(|(_, path)| path.split('/').any(is_it))
}

/// What is above a process and keeps its container, as its name and arguments say: a container may have no control group of its own,
/// or one of any name. Nobody inside can be that keeper, which is out here, root's or the caller's, and runs the machine's own program.
fn believed(machine: &Machine, process: &Process) -> Option<Open> {
    const PROGRAMS: [&str; 9] = [
        "/usr/bin/conmon",
        "/usr/local/bin/conmon",
        "/usr/libexec/podman/conmon",
        "/usr/bin/containerd-shim",
        "/usr/bin/containerd-shim-runc-v1",
        "/usr/bin/containerd-shim-runc-v2",
        "/usr/local/bin/containerd-shim",
        "/usr/local/bin/containerd-shim-runc-v1",
        "/usr/local/bin/containerd-shim-runc-v2",
    ];
    let here = |process: &Process| process.namespace(Namespace::Pid);
    let (keeper, own) = (keeper(machine, process)?, machine.process(std::process::id())?);
    let is_out_here = here(keeper).is_some() && here(keeper) == here(own) && [0, own.uid].contains(&keeper.uid);
    let open = if is_out_here { Open::new(keeper).ok()? } else { return None };
    PROGRAMS.iter().any(|program| open.runs(Path::new(program))).then_some(open)
}

/// Whether it is the keeper who says this name: a group in the container may say another one.
fn says(keeper: Vec<String>, name: &str) -> bool {
    maker(&Clues { keeper, ..Clues::default() }).is_some_and(|kept| kept.name == name)
}

/// What tells a container from others whose names begin with `text`: its control group, or the whole name that its keeper says.
fn one_of(groups: &str, text: &str, kept: Option<&str>) -> Option<String> {
    place(groups, text).or_else(|| kept.map(str::to_owned))
}

/// Where in the tree of control groups that is: a path down to the part that holds `text`. A container that makes a group of
/// this name below its own is at another place.
fn place(groups: &str, text: &str) -> Option<String> {
    lines(groups).find_map(|(_, path)| {
        let parts: Vec<&str> = path.split('/').collect();
        let last = parts.iter().position(|part| part.contains(text))?;
        Some(parts[..=last].join("/"))
    })
}

/// The namespace at a path.
fn file(target: &OsStr) -> Result<Opened, Vec<Fault>> {
    let wrong = |cause: String| {
        vec![fault(
            format!("cannot enter {}: {cause}", name(target)),
            "a path such as /run/netns/NAME or /proc/PID/ns/net does",
        )]
    };
    match open_namespace(Path::new(target)) {
        Ok(Some(opened)) => Opened::namespace(opened, &name(target)).map_err(|error| vec![refused(target, &error)]),
        Ok(None) => Err(wrong("it is no namespace".to_owned())),
        Err(error) => Err(wrong(cause(&error))),
    }
}

/// The namespace with this number, by whatever keeps it alive.
fn namespace(target: &OsStr, kind: Option<Namespace>, number: u64) -> Result<Opened, Vec<Fault>> {
    let machine = see::machine().map_err(|fault| vec![fault])?;
    let none = |what: &str| {
        let message = format!("cannot enter {}: {what}", name(target));
        vec![fault(message, "holm ls lists namespaces by their ids, holm ps sandboxes")]
    };
    let of_kind = |place: &Place| kind.is_none_or(|kind| kind == machine.namespaces[*place].kind);
    let Some(place) = machine.find(number).filter(of_kind) else {
        return Err(none("there is no such namespace, or you may not see it"));
    };
    let opened = reopen(&machine, place).map_err(|_| none("nothing that keeps it alive can be opened"))?;
    let Found { kind, inode, .. } = machine.namespaces[place];
    Opened::namespace(opened, &format!("{kind} {inode}")).map_err(|error| vec![refused(target, &error)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f5e0c9a7b3d21e8f60a9c4b5d7e8f1023456789abcdef0123456789abcdef01";

    #[test]
    fn a_container_is_where_its_group_is_and_not_what_it_makes_below() {
        let honest = format!("0::/docker/{ID}/below\n");
        let forged = format!("0::/docker/{}/docker/{ID}\n", "0".repeat(64));
        assert_eq!(place(&honest, "4f5e0c9a"), Some(format!("/docker/{ID}")));
        assert_ne!(place(&forged, "4f5e0c9a"), place(&honest, "4f5e0c9a"));
        assert_eq!(place("0::/user.slice\n", "4f5e0c9a"), None);
        let [one, other] = ["4f5e0c9a7b3d", "4f5e11111111"].map(|name| one_of("0::/\n", "4f5e", Some(name)));
        assert!(one.is_some() && one != other, "what was typed may fit several");
        assert_eq!(one_of("0::/\n", "4f5e", None), None);
        let pod = format!("0::/kubepods/pod0d5f4a3e/cri-containerd-{ID}.scope/below\n");
        assert!(has_container(&pod, "4f5e") && has_container(&honest, ID) && !has_container(&pod, "5e0c"));
        let keeper: Vec<String> = ["conmon", "-c", ID].map(str::to_owned).into();
        assert!(says(keeper.clone(), &ID[..12]) && !says(keeper, "web") && !says(Vec::new(), "web"));
        for (group, within) in [
            (format!("/docker/{ID}"), false),
            (format!("/docker/{ID}/lxc/web"), true),
            (format!("/kubepods/pod0d5f4a3e/cri-containerd-{ID}.scope"), false),
            (format!("/kubepods/pod0d5f4a3e/cri-containerd-{ID}.scope/docker/{ID}"), true),
            ("/lxc.payload.web/lxc/db".to_owned(), true),
            ("/machine.slice/systemd-nspawn@web.service".to_owned(), false),
            ("/machine.slice/systemd-nspawn@web.service/payload/lxc/db".to_owned(), true),
            ("/lxc/web".to_owned(), false),
        ] {
            assert_eq!(is_within_another(&group), within, "{group}");
        }
        assert!(is_start("4f5e", &ID[..12]) && is_start(ID, &ID[..12]) && !is_start("5e", &ID[..12]));
    }
}
