//! The last steps: terminal, identity, privileges, directory, descriptors, and what is started.

use super::step::{Act, Actor, Otherwise, Step};
use super::{Launch, identity, policy, push};
use crate::host::Host;
use crate::model::namespace::Namespace;
use crate::spec::entry::Entry;
use crate::spec::filesystem::Root;
use crate::spec::identity::{Groups, User};
use crate::spec::life::{Base, Change, Lifetime, Terminal};
use crate::spec::namespaces::Choice;
use crate::spec::origins::Wish;
use crate::spec::{Spec, Unsaid};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const HOME: &str = "HOME";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn settle(spec: &Spec, host: &Host, launch: &Launch, steps: &mut Vec<Step>) {
    if spec.terminal == Terminal::Console {
        let why = "while there is the right to mount it";
        push(steps, Actor::Child, Act::OpenTerminal, why, spec.origins.of(Wish::Terminal));
        let (at, (uid, _)) = ("/dev/console".into(), identity::ids(spec, host));
        let why = "programs look for their terminal there";
        push(steps, Actor::Child, Act::ShowTerminal { at, uid }, why, spec.origins.of(Wish::Terminal));
    }
    if identity::can_drop_groups(spec, host) {
        let why = "the caller's groups would give it the caller's rights";
        match &spec.identity.groups {
            Groups::Callers => {}
            Groups::Listed(groups) if groups.is_empty() => push(steps, Actor::Child, Act::DropGroups, why, ""),
            Groups::Listed(groups) => {
                push(steps, Actor::Child, Act::TakeGroups(groups.clone()), why, spec.origins.of(Wish::Groups));
            }
        }
    }
    if let (Some(path), Unsaid::Nothing) = (&spec.directory, spec.unsaid) {
        let why = "the user's own rights may not do, or those before";
        let act = Act::ChangeDirectory { path: path.clone(), otherwise: Otherwise::Later };
        push(steps, Actor::Child, act, why, spec.origins.of(Wish::Directory));
    }
    let (uid, gid) = identity::ids(spec, host);
    if changes_ids(spec, host) && identity::early(spec, host) != Some((uid, gid)) {
        let why = "set-up is over; the program runs as this user";
        push(steps, Actor::Child, Act::TakeIds { uid, gid }, why, spec.origins.of(Wish::User));
    }
    policy::give_up(spec, host, steps);
    if spec.terminal == Terminal::Own {
        let why = "the program can't put keystrokes into the caller's terminal (TIOCSTI) if it never has it";
        push(steps, Actor::Child, Act::OpenTerminal, why, spec.origins.of(Wish::Terminal));
    }
    if let Some(personality) = spec.personality {
        push(steps, Actor::Child, Act::Personality(personality), "wished", spec.origins.of(Wish::Personality));
    }
    if let Some(policy) = &spec.limits.memory_policy {
        let act = Act::MemoryPolicy(policy.clone());
        push(steps, Actor::Child, act, "all that it starts inherits it", spec.origins.of(Wish::MemoryPolicy));
    }
    push(steps, Actor::Child, Act::Umask(spec.umask), "the caller's habits are not the program's", "");
    let (act, origin) = directory(spec, host);
    push(steps, Actor::Child, act, "where the program starts", origin);
    if spec.environment.changes.contains(&Change::FindHome) && variable(&launch.environment, HOME).is_none() {
        let why = "no variable says it, and programs look for it";
        push(steps, Actor::Child, Act::FindHome { uid }, why, "");
    }
    if spec.lifetime == Lifetime::Detached {
        let why = "what is missing is told to who makes the sandbox, not later to who starts it";
        push(steps, Actor::Child, Act::Seek(launch.paths.clone()), why, "");
    }
    let filters_last = policy::filters_last(spec);
    if !filters_last {
        policy::restrict_last(spec, host, steps);
    }
    let why = "an open descriptor is a door that no namespace closes";
    let origin = if spec.descriptors.is_empty() { "" } else { spec.origins.of(Wish::Descriptors) };
    push(steps, Actor::Child, Act::Descriptors(spec.descriptors.clone()), why, origin);
    if filters_last {
        policy::restrict_last(spec, host, steps);
    }
    let (act, why) = match spec.lifetime {
        Lifetime::Owned => (
            Act::Init,
            "a small program of its own reaps, forwards signals, ends with the caller, and hides the caller's memory",
        ),
        Lifetime::Detached => (
            Act::WaitAtDoor,
            "a small program of its own, without the caller's memory, that needs the caller no longer",
        ),
    };
    push(steps, Actor::Child, act, why, "");
    super::entry::go_in(spec, steps);
    super::entry::take_groups(spec, steps);
    super::limits::finish(spec, host, steps);
    policy::label(spec, steps);
    let why = match spec.namespaces.choice(Namespace::Pid) {
        _ if spec.lifetime != Lifetime::Owned => "in place of what waited, so that its pid is the sandbox's",
        Choice::New => "as pid 2: signals it doesn't handle still end it, as they would not end pid 1",
        _ => "as the init's child",
    };
    push(steps, Actor::Child, Act::Execute(spec.program.name.clone()), why, "");
}

/// Enters the directory that the program starts in; from where that was wished.
fn directory<'a>(spec: &'a Spec, host: &Host) -> (Act, &'a str) {
    let at = |path: &Path, otherwise| Act::ChangeDirectory { path: path.to_owned(), otherwise };
    match (&spec.directory, &spec.entry) {
        (Some(path), _) => (at(path, Otherwise::Fail), spec.origins.of(Wish::Directory)),
        (None, Some(Entry { directory: Some(descriptor), name, origin, .. })) => {
            (Act::EnterDirectory { descriptor: *descriptor, of: name.clone() }, origin)
        }
        (None, Some(_)) => (at(Path::new("/"), Otherwise::Root), ""),
        (None, None) => (at(host.directory.as_deref().unwrap_or(Path::new("/")), Otherwise::Root), ""),
    }
}

/// Whether the program's ids differ from those that the child has anyway.
fn changes_ids(spec: &Spec, host: &Host) -> bool {
    let (uid, gid) = identity::ids(spec, host);
    match spec.namespaces.choice(Namespace::User) {
        Choice::Share => (uid, gid) != (host.uid, host.gid),
        Choice::Join(..) => spec.identity.user != User::Own,
        Choice::New => {
            let (users, groups) = identity::maps(spec, host);
            let own = |maps: &[crate::model::id::IdMap], inside: u32, outside: u32| {
                maps.iter().any(|m| m.covers(inside) && m.outside + (inside - m.inside) == outside)
            };
            !own(&users, uid, host.uid) || !own(&groups, gid, host.gid)
        }
    }
}

pub(super) fn launch(spec: &Spec, host: &Host) -> Launch {
    let environment = environment(spec, host);
    let (name, paths) = (&spec.program.name, paths(spec, &environment));
    let zeroth = spec.program.zeroth.clone().unwrap_or_else(|| name.clone());
    Launch {
        name: name.clone(),
        paths,
        arguments: std::iter::once(zeroth).chain(spec.program.arguments.iter().cloned()).collect(),
        environment,
        stdio: spec.stdio,
        descriptors: spec.descriptors.clone(),
        held: spec.held,
        terminal: spec.terminal,
        lifetime: spec.lifetime,
        wait_all: spec.wait_all,
        own_pids: *spec.namespaces.choice(Namespace::Pid) == Choice::New,
        new_time: *spec.namespaces.choice(Namespace::Time) == Choice::New,
        own_memory: matches!(spec.namespaces.choice(Namespace::Time), Choice::Join(..))
            || spec.limits.oom_score.is_some(),
    }
}

/// The paths inside that are tried for the program, in order.
fn paths(spec: &Spec, environment: &[(OsString, OsString)]) -> Vec<PathBuf> {
    let path = variable(environment, "PATH").map_or(OsStr::new(PATH), |value| value);
    let name = &spec.program.name;
    match name.as_bytes().contains(&b'/') {
        true => vec![PathBuf::from(name)],
        false => path.as_bytes().split(|&b| b == b':').map(|d| Path::new(OsStr::from_bytes(d)).join(name)).collect(),
    }
}

fn variable<'a>(environment: &'a [(OsString, OsString)], name: &str) -> Option<&'a OsString> {
    environment.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// The name, home and shell of the program's user inside.
pub(super) fn account(spec: &Spec, host: &Host) -> (String, PathBuf, PathBuf) {
    let (uid, _) = identity::ids(spec, host);
    match (&host.user, spec.identity.user) {
        (Some(user), User::Own) => (user.name.clone(), user.home.clone(), user.shell.clone()),
        _ if uid == 0 => ("root".to_owned(), "/root".into(), "/bin/bash".into()),
        _ => ("user".to_owned(), "/home/user".into(), "/bin/sh".into()),
    }
}

fn environment(spec: &Spec, host: &Host) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<(OsString, OsString)> = match spec.environment.base {
        Base::Caller => host.environment.clone(),
        Base::Empty => Vec::new(),
        Base::Clean => {
            let (name, home, shell) = account(spec, host);
            let home = match spec.root {
                Root::Host | Root::Programs(_) if spec.entry.is_none() => home,
                _ => {
                    if name == "root" {
                        "/root".into()
                    } else {
                        "/".into()
                    }
                }
            };
            let passed = |name: &str| Some((name.into(), caller(host, OsStr::new(name))?.clone()));
            let own: [(OsString, OsString); 4] = [
                ("PATH".into(), PATH.into()),
                (HOME.into(), home.into()),
                ("USER".into(), name.into()),
                ("SHELL".into(), shell.into()),
            ];
            own.into_iter().chain(["TERM", "LANG"].into_iter().filter_map(passed)).collect()
        }
    };
    for change in &spec.environment.changes {
        let (name, value) = match change {
            Change::Set(name, value) => (name, Some(value)),
            Change::Pass(name) => (name, caller(host, name)),
            Change::Unset(name) => (name, None),
            Change::FindHome => {
                variables.retain(|(name, value)| name != HOME || !value.is_empty());
                continue;
            }
        };
        if value.is_some() || matches!(change, Change::Unset(_)) {
            variables.retain(|(n, _)| n != name);
        }
        variables.extend(value.map(|value| (name.clone(), value.clone())));
    }
    variables
}

fn caller<'a>(host: &'a Host, name: &OsStr) -> Option<&'a OsString> {
    host.environment.iter().find(|(n, _)| n == name).map(|(_, value)| value)
}
