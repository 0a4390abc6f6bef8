//! `holm ps`: the sandboxes of holm that run.
//!
//! One is known by its pid 1, whose program is the memory file `holm-init`; what was asked for by the arguments of its
//! owner, if that is `holm run` and may be read.

use super::screen::Screen;
use super::table::table;
use super::{Done, json};
use crate::{arguments, limits};
use clap::ArgMatches;
use holm::inspect::detail::Open;
use holm::inspect::machine::{Machine, Process};
use holm::inspect::maker::{Tool, maker};
use holm::model::limit::Bytes;
use holm::model::namespace::Namespace;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

/// A sandbox.
struct Sandbox<'a> {
    init: &'a Process,
    /// The user who started it.
    uid: u32,
    /// Pids of all its processes.
    processes: Vec<u32>,
    /// Bytes of memory in use, what processes share counted for each.
    memory: u64,
    /// What was asked for; `None` if the owner isn't `holm run`, or closed to the caller.
    asked: Option<Asked>,
}

/// What the owner's command line says.
pub(crate) struct Asked {
    name: Option<String>,
    pub(crate) root: String,
    pub(crate) limits: Vec<String>,
    pub(crate) program: String,
}

/// The sandboxes, as a table or as JSON.
pub(crate) fn print(machine: &Machine, matches: &ArgMatches, screen: &Screen) -> Done {
    let mut below: BTreeMap<u32, Vec<&Process>> = BTreeMap::new();
    for process in &machine.processes {
        below.entry(process.parent).or_default().push(process);
    }
    let sandboxes: Vec<Sandbox<'_>> = inits(machine).map(|init| sandbox(machine, init, &below)).collect();
    if matches.get_flag("json") {
        return document(&sandboxes);
    }
    let row = |one: &Sandbox<'_>| {
        let asked = |what: fn(&Asked) -> String| {
            one.asked.as_ref().map_or_else(|| "?".to_owned(), |asked| screen.text(what(asked)))
        };
        vec![
            one.init.pid.to_string(),
            asked(|asked| asked.name.clone().unwrap_or_else(|| "-".to_owned())),
            one.uid.to_string(),
            age(one.init),
            one.processes.len().to_string(),
            Bytes(one.memory).to_string(),
            asked(|asked| asked.root.clone()),
            asked(|asked| if asked.limits.is_empty() { "-".to_owned() } else { asked.limits.join(" ") }),
            asked(|asked| asked.program.clone()),
        ]
    };
    let rows: Vec<Vec<String>> = sandboxes.iter().map(row).collect();
    Ok(table(screen, &["PID", "NAME", "USER", "AGE", "PROCS", "MEMORY", "ROOT", "LIMITS", "PROGRAM"], &rows))
}

/// The first processes of all sandboxes.
fn inits(machine: &Machine) -> impl Iterator<Item = &Process> {
    machine.processes.iter().filter(|process| is_init(process))
}

/// A sandbox that can be entered.
pub(crate) struct Known<'a> {
    /// Its first process.
    pub(crate) init: &'a Process,
    /// Who started it.
    pub(crate) owner: &'a Process,
}

impl Known<'_> {
    /// What `holm run --name` gave it.
    pub(crate) fn name(&self) -> Option<String> {
        asked(&arguments_of(self.owner)?)?.name
    }

    /// Whether that is its name. Only a command line in which it stands is taken apart.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let words = arguments_of(self.owner).unwrap_or_default();
        words.iter().any(|word| word.ends_with(name))
            && asked(&words).is_some_and(|asked| asked.name.as_deref() == Some(name))
    }
}

/// The sandboxes whose owners are where the caller is: in its user, pid and mount namespace. What only looks like an owner, in a
/// sandbox or a container, is not.
pub(crate) fn known(machine: &Machine) -> Vec<Known<'_>> {
    let place = |process: &Process| {
        let kinds = [Namespace::User, Namespace::Pid, Namespace::Mount].map(|kind| process.namespace(kind));
        kinds.iter().all(Option::is_some).then_some(kinds)
    };
    let Some(here) = machine.process(std::process::id()).and_then(place) else { return Vec::new() };
    let one = |init| {
        let owner = owner(machine, init).filter(|owner| place(owner) == Some(here))?;
        Some(Known { init, owner })
    };
    inits(machine).filter_map(one).collect()
}

fn owner<'a>(machine: &'a Machine, init: &Process) -> Option<&'a Process> {
    machine.process(init.parent)
}

/// Whether a process is pid 1 of a sandbox.
pub(crate) fn is_init(process: &Process) -> bool {
    let made = || maker(&Open::new(process).ok()?.clues());
    process.name == "holm-init" && made().is_some_and(|maker| maker.tool == Tool::Holm)
}

/// The sandbox with this pid 1, where these are the processes below each other by pid.
fn sandbox<'a>(machine: &'a Machine, init: &'a Process, below: &BTreeMap<u32, Vec<&'a Process>>) -> Sandbox<'a> {
    let (mut processes, mut memory, mut found) = (BTreeSet::new(), 0, vec![init]);
    while let Some(process) = found.pop() {
        // What was read at different times may be a circle.
        if processes.insert(process.pid) {
            memory += Open::new(process).ok().and_then(|open| open.memory()).unwrap_or_default();
            found.extend(below.get(&process.pid).into_iter().flatten());
        }
    }
    let uid = owner(machine, init).unwrap_or(init).uid;
    let asked = asked_of(machine, init);
    Sandbox { init, uid, processes: processes.into_iter().collect(), memory, asked }
}

/// What the owner of the sandbox with this pid 1 asked for.
pub(crate) fn asked_of(machine: &Machine, init: &Process) -> Option<Asked> {
    asked(&arguments_of(owner(machine, init)?)?)
}

fn arguments_of(process: &Process) -> Option<Vec<String>> {
    Some(Open::new(process).ok()?.arguments())
}

/// For how long the sandbox with this pid 1 has run.
pub(crate) fn age(init: &Process) -> String {
    humantime::format_duration(std::time::Duration::from_secs(seconds(init))).to_string()
}

/// Seconds since a process started.
fn seconds(process: &Process) -> u64 {
    uptime().saturating_sub(process.start / TICKS)
}

/// Clock ticks a second in /proc (time(7), `USER_HZ`), on x86-64.
const TICKS: u64 = 100;

fn uptime() -> u64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or_default()
}

/// What the arguments of `holm run` ask for.
fn asked(words: &[String]) -> Option<Asked> {
    let matches = arguments::command().try_get_matches_from(words).ok()?;
    let (_, run) = matches.subcommand().filter(|(name, _)| *name == "run")?;
    let text = |value: &OsString| value.to_string_lossy().into_owned();
    let given = |name: &str| run.get_many::<OsString>(name).map(|values| values.map(text).collect::<Vec<_>>());
    let names = limits::SINGLE.iter().chain(limits::REPEATED.iter()).map(|(name, ..)| *name);
    let limits = names.filter_map(|name| Some(format!("{name}={}", given(name)?.join(","))));
    Some(Asked {
        name: given("name").map(|name| name.join(" ")),
        root: given("root").map_or_else(|| "host".to_owned(), |root| root.join(" ")),
        limits: limits.collect(),
        program: given("program").unwrap_or_default().join(" "),
    })
}

fn document(sandboxes: &[Sandbox<'_>]) -> Done {
    let one = |one: &Sandbox<'_>| {
        serde_json::json!({
            "pid": one.init.pid,
            "owner": one.init.parent,
            "name": one.asked.as_ref().and_then(|asked| asked.name.as_ref()),
            "uid": one.uid,
            "age": seconds(one.init),
            "processes": one.processes,
            "memory": one.memory,
            "root": one.asked.as_ref().map(|asked| &asked.root),
            "limits": one.asked.as_ref().map(|asked| &asked.limits),
            "program": one.asked.as_ref().map(|asked| &asked.program),
        })
    };
    let sandboxes: Vec<serde_json::Value> = sandboxes.iter().map(one).collect();
    crate::root::pretty(&serde_json::json!({ "version": json::VERSION, "sandboxes": sandboxes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_tells_what_was_asked_for() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let found = asked(&words("/usr/bin/holm run --name web --root bins:sh --memory 64M --pids 9 sh -c x"))
            .expect("it runs");
        assert_eq!((found.root.as_str(), found.program.as_str()), ("bins:sh", "sh -c x"));
        assert_eq!(found.name.as_deref(), Some("web"));
        assert_eq!(found.limits, ["memory=64M", "pids=9"]);
        assert!(asked(&words("bash")).is_none() && asked(&words("holm ls")).is_none() && asked(&[]).is_none());
    }
}
