//! `create`: everything but the program itself.

use super::criu::root;
use super::hand_over::Listeners;
use super::hooks;
use super::terminal::Console;
use crate::bundle::Bundle;
use crate::criu::{images::links, mounts};
use crate::group::{Group, Origin};
use crate::lower::{Listening, Lowered, Surroundings, lower};
use crate::notify::{self, Host};
use crate::resctrl::Resctrl;
use crate::state::{DOOR, Outside, Place, Process, Record, Stage};
use crate::{Error, Result, shown, systemd};
use holm::Error as Start;
use holm::Spec;
use holm::host::inherited;
use holm::host::labels::in_force;
use holm::host::limits::is_machines_root;
use holm::model::label::Module;
use holm::model::namespace::Namespace;
use holm::plan::Plan;
use holm::run::{Door, GivenUp, Visited};
use holm::spec::filesystem::{BindSource, Operation, Owners};
use holm::spec::namespaces::Choice;
use holm::spec::policy::{Calls, Denials, Keyring};
use rustix::fs::{Mode, OFlags};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What is to be made.
#[derive(Debug, Clone, Default)]
pub struct Create {
    /// The state directory.
    pub root: PathBuf,
    /// The container's name.
    pub id: String,
    /// The bundle's directory.
    pub bundle: PathBuf,
    /// Its configuration, if that is another file than `config.json`: absolute, or from the bundle on.
    pub config: Option<PathBuf>,
    /// Where the pid is written.
    pub pid_file: Option<PathBuf>,
    /// Who gets the controlling side of its terminal.
    pub console: Console,
    /// Who listens at this socket gets a descriptor of its first process (pidfd_open(2)).
    pub pidfd_socket: Option<PathBuf>,
    /// Which session keyring it has.
    pub keyring: Keyring,
    /// Those of so many descriptors from 3 on, or behind those of LISTEN_FDS, are passed on that are open.
    pub preserved: i32,
    /// Who makes its control groups.
    pub groups: GroupMaker,
    /// Where resctrl is, if it is asked for.
    pub resctrl: Mounted,
}

/// Where a file system is that the machine may have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mounted {
    /// Where it is mounted, which is looked for.
    #[default]
    Somewhere,
    /// There.
    At(PathBuf),
}

/// Who makes the control groups of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupMaker {
    /// This program.
    #[default]
    Holm,
    /// systemd: a scope for each (systemd.scope(5)).
    Systemd,
    /// Nobody: it stays in those of the caller, and nothing of it is limited as a whole.
    Nobody,
}

/// A container that waits to be started.
#[derive(Debug)]
pub struct Created {
    /// Its first process, a child of this one (pidfd_open(2)).
    pub process: OwnedFd,
    /// The controlling side of its terminal, if the caller gets it.
    pub terminal: Option<OwnedFd>,
    /// What is done otherwise than asked.
    pub warnings: Vec<String>,
    /// What else helps to find out what went on.
    pub details: Vec<String>,
}

/// What is so of every container that waits, in runc's words: its log is searched for them.
const WAITS: [&str; 3] =
    ["nsexec container setup", "child process in init()", "init: closing the pipe to signal completion"];

/// Makes a container.
///
/// # Errors
/// The configuration is refused, the name is in use, the kernel refuses a step, a hook fails. Nothing is left behind.
pub fn create(wish: &Create) -> Result<Created> {
    let bundle = Bundle::read(&wish.bundle, wish.config.as_deref())?;
    let notified = Host::here()?.map(|_| wish.root.join(&wish.id).join(notify::DIRECTORY));
    let (Lowered { mut spec, agent, warnings }, scope) = lowered(wish, &bundle, notified.clone())?;
    spec.policy.keyring = wish.keyring;
    let listeners = Listeners::connect(agent, wish.pidfd_socket.as_deref(), spec.terminal, &wish.console)?;
    let plan = spec.plan().map_err(|refusal| Error::Start(refusal.into()))?;
    let mut record = Record::new(&wish.id, &bundle);
    record.groups = spec.limits.groups.iter().map(Group::of).collect();
    record.resctrl = spec.limits.resctrl.as_ref().map(Resctrl::of);
    record.apart = spec.root_stands_apart();
    record.unit = scope.as_ref().map(|scope| scope.unit.clone());
    record.outside = outside(&spec);
    let place = Place::make(&wish.root, &wish.id)?;
    let made = (|| {
        usable(&record)?;
        place.write(&record)?;
        notified.map(|_| notify::prepare(place.directory())).transpose()?;
        let scope = scope.map(systemd::Wish::start).transpose()?;
        let door =
            Door::make(place.directory(), DOOR).map_err(|error| Error::io("make the container's door", error))?;
        let mut stopped = None;
        let held = plan.hold_visited(Some(door), |visited| {
            visit(&place, &mut record, &spec, visited).map_err(|(error, given_up)| {
                stopped = Some(error);
                given_up
            })
        });
        let mut held = match stopped {
            Some(error) => return Err(error),
            None => held.map_err(|error| unstarted(error, record.program()))?,
        };
        alone(&mut record, &spec, || held.groups_found())?;
        record.process = Process::of(held.id());
        note_devices(&mut record, held.device_programs());
        let terminal = listeners.tell(&mut held, record.own.console_size(), &record)?;
        if let Some(file) = &wish.pid_file {
            write_pid(file, held.id())?;
        }
        note_outside(&mut record.outside, &spec, held.id());
        record.stage = Stage::Waits;
        place.write(&record)?;
        let process = held.let_go().map_err(|error| Error::io("let the container go", error))?;
        scope.into_iter().for_each(systemd::Scope::keep);
        plan.give_descriptors_away();
        let mut details: Vec<String> = WAITS.map(str::to_owned).into();
        if let Calls::Filter(filter) = &spec.policy.calls {
            details.push(format!("seccomp filter flags: {}", filter.flags));
        }
        Ok(Created { process, terminal, warnings, details })
    })();
    let Err(error) = made else { return made };
    if place.take_back().is_ok() {
        // What is wrong is told already.
        let _ = place.remove();
    }
    Err(ended(error, &record))
}

/// A failure, once nothing is left: after hooks were run the container's end is told, too (runtime.md, "Lifecycle").
pub(super) fn ended(error: Error, record: &Record) -> Error {
    let warnings = if record.process.is_some() { hooks::run_last(record) } else { Vec::new() };
    match warnings.is_empty() {
        true => error,
        false => Error::Failed(format!("{error}; and then: {}", warnings.join("; "))),
    }
}

/// Runs the hooks whose time has come before the container's root is taken, without its lock.
fn visit(
    place: &Place,
    record: &mut Record,
    spec: &Spec,
    visited: &Visited<'_>,
) -> std::result::Result<(), (Error, GivenUp)> {
    let whole = |error| (error, GivenUp::Whole);
    alone(record, spec, || visited.groups_found()).map_err(whole)?;
    record.process = Process::of(visited.pid);
    place.write(record).and_then(|()| place.give_up()).map_err(whole)?;
    let hooks = record.hooks.clone().unwrap_or_default();
    let done = hooks::run_first(record)
        .and_then(|()| hooks::run_inside("createContainer", hooks.create_container(), record, hooks::As::Maker));
    if place.take_back().is_err() {
        let cause = "it was removed meanwhile";
        let error = Error::Failed(format!("cannot make container {}: {cause}", record.id));
        return Err((error, GivenUp::WithoutGroups));
    }
    done.map_err(whole)
}

/// Whoever is in a container's groups, or in groups below, is paused, limited and killed with it; and in one that is paused
/// nothing starts.
pub(super) fn usable(record: &Record) -> Result<()> {
    let refused = |cause: &str, group: &Group| {
        let group = shown(&group.directory);
        Err(Error::Failed(format!("cannot make container {}: container's cgroup {cause}: {group}", record.id)))
    };
    if let Some(group) = record.groups.iter().find(|group| !group.is_empty()) {
        return refused("is not empty", group);
    }
    record.groups.iter().find(|group| group.is_frozen()).map_or(Ok(()), |group| refused("unexpectedly frozen", group))
}

/// A group that was noted as one to be made, and was there by then, is another one's; a scope's are there before, and its own. One of
/// resctrl may be shared.
pub(super) fn alone<'a, Found: Iterator<Item = &'a Path>>(
    record: &mut Record,
    spec: &Spec,
    found: impl Fn() -> Found,
) -> Result<()> {
    if let Some((noted, group)) = record.resctrl.as_mut().zip(spec.limits.resctrl.as_ref()) {
        noted.note(group, found());
    }
    if record.unit.is_some() {
        return Ok(());
    }
    let noted = |path: &&Path| record.groups.iter().any(|one| one.origin == Origin::Made && one.directory == *path);
    let Some(group) = found().find(noted) else { return Ok(()) };
    let cause = format!("somebody else has made control group {} meanwhile", shown(group));
    Err(Error::Failed(format!("cannot make container {}: {cause}", record.id)))
}

pub(super) fn note_devices<'a>(record: &mut Record, programs: impl Iterator<Item = (&'a Path, u32)>) {
    for (directory, number) in programs {
        let group = record.groups.iter_mut().find(|group| group.directory == directory);
        group.into_iter().for_each(|group| group.devices = Some(number));
    }
}

/// What of a container comes from outside.
pub(super) fn outside(spec: &Spec) -> Outside {
    let mut attached = spec.filesystem.iter().filter_map(|entry| match &entry.operation {
        Operation::Attach { owners, .. } => Some(owners),
        _ => None,
    });
    let joined = spec.namespaces.choices.iter().filter(|(_, choice)| matches!(choice, Choice::Join(..)));
    let mapped = attached.any(|owners| *owners != Owners::Outside);
    let notices = spec.policy.denials == Denials::HandedOver;
    let users = *spec.namespaces.choice(Namespace::User) != Choice::Share;
    let why = [
        (spec.root_stands_apart(), "criu needs a mount namespace of the container's own"),
        (notices, "criu doesn't know filters that ask (linux.seccomp, SCMP_ACT_NOTIFY)"),
        (mapped, "criu doesn't know mounts with maps of ids (idmap)"),
        (users, "in a user namespace criu could not read its own files again, which are root's alone"),
    ];
    Outside {
        namespaces: joined.map(|(kind, _)| kind.name().to_owned()).collect(),
        lasting: why.into_iter().find(|(is_so, _)| *is_so).map(|(_, why)| why.to_owned()),
        ..Outside::default()
    }
}

/// Notes what else of it comes from outside, while nobody has run in it who could make it look otherwise. Only who could write it
/// down has to know.
fn note_outside(outside: &mut Outside, spec: &Spec, pid: i32) {
    if outside.lasting.is_some() || !is_machines_root() {
        return;
    }
    outside.streams = links(pid);
    let places = spec.filesystem.iter().filter_map(|entry| match &entry.operation {
        Operation::Attach { at, source: BindSource::Outside(source), .. } => Some((at.clone(), source.clone())),
        _ => None,
    });
    let places: Vec<_> = places.collect();
    if places.is_empty() {
        return;
    }
    match root(pid).and_then(|root| mounts::attached(pid, root.as_fd(), &places)) {
        Ok(mounts) => outside.mounts = mounts,
        Err(error) => outside.lasting = Some(error.to_string()),
    }
}

/// What making a container would do; nothing is done. What would be done otherwise than asked is returned beside.
///
/// # Errors
/// The configuration is refused.
pub fn explain(wish: &Create) -> Result<(Plan, Vec<String>)> {
    let bundle = Bundle::read(&wish.bundle, wish.config.as_deref())?;
    let (Lowered { spec, warnings, .. }, _) = lowered(wish, &bundle, None)?;
    Ok((spec.plan().map_err(|refusal| Error::Start(refusal.into()))?, warnings))
}

/// What is wished, and the scope that it is to be in; `notified` is the directory of the socket at which it says that it is ready.
pub(super) fn lowered(
    wish: &Create,
    bundle: &Bundle,
    notified: Option<PathBuf>,
) -> Result<(Lowered, Option<systemd::Wish>)> {
    let listening = Listening::here();
    let first = 3 + i32::from(listening.count);
    let preserved = inherited(first..first + wish.preserved);
    let label = bundle.config.linux().as_ref().and_then(|linux| linux.mount_label().as_ref());
    let selinux = label.is_some_and(|label| !label.is_empty()) && in_force(Module::Selinux);
    let mut around = Surroundings { preserved, listening, notified, selinux, ..Surroundings::here() };
    around.group = around.makes_nodes.then(|| PathBuf::from(&wish.id));
    if wish.groups != GroupMaker::Nobody {
        around.hierarchies = holm::host::groups::hierarchies();
    }
    if bundle.config.linux().as_ref().is_some_and(|linux| linux.intel_rdt().is_some()) {
        let mounted = match &wish.resctrl {
            Mounted::Somewhere => holm::host::resctrl::mounted(),
            Mounted::At(path) => Some(path.clone()),
        };
        around.resctrl = mounted.map(|mounted| (mounted, wish.id.clone()));
    }
    let mut scope = None;
    if wish.groups == GroupMaker::Systemd {
        let wished = systemd::Wish::new(bundle, &wish.id)?;
        around.scope = Some(wished.group.clone());
        scope = Some(wished);
    }
    Ok((lower(bundle, &around)?, scope))
}

/// A program that can't be executed has words of its own.
pub(super) fn unstarted(error: Start, program: &str) -> Error {
    match &error {
        Start::Failed(failure) if failure.program => Error::not_found(program, failure.errno),
        _ => Error::Start(error),
    }
}

/// Written aside and renamed: who waits for it never reads half of it.
pub(super) fn write_pid(file: &Path, pid: i32) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(format!("write {}", shown(file)), error);
    // Renamed over, a device or a link would be gone for everybody.
    if std::fs::symlink_metadata(file).is_ok_and(|there| !there.is_file()) {
        return Err(Error::Failed(format!("cannot write {}: it is no regular file", shown(file))));
    }
    let name = file.file_name().ok_or_else(|| failed(rustix::io::Errno::ISDIR.into()))?;
    let mut aside = std::ffi::OsString::from(".");
    aside.push(name);
    let aside = file.with_file_name(aside);
    // What a maker that died left there, or somebody has put there, is not written to.
    match rustix::fs::unlink(&aside) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(errno) => return Err(failed(errno.into())),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(&aside, flags, Mode::from_raw_mode(0o644)).map_err(|errno| failed(errno.into()))?;
    std::fs::File::from(opened).write_all(pid.to_string().as_bytes()).map_err(failed)?;
    std::fs::rename(&aside, file).map_err(failed)
}

impl Surroundings {
    /// What this process adds, without control groups and labels of mounts: what is entered has those that it is in.
    pub fn here() -> Surroundings {
        let waits_killable = holm::host::kernel().is_none_or(|version| version >= (5, 19));
        let (grantable, makes_nodes) = (grantable(), is_machines_root());
        Surroundings { grantable, makes_nodes, waits_killable, ..Surroundings::default() }
    }
}

/// Capabilities that can be granted here, as bits.
pub(super) fn grantable() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    bounding.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_written_to_nothing_that_somebody_has_put_aside() {
        let scratch = testkit::Scratch::new("pid-file");
        let (file, other) = (scratch.join("pid"), scratch.join("other"));
        std::fs::write(&other, "kept").expect("scratch is ours");
        let links: [fn(&Path, &Path) -> std::io::Result<()>; 2] =
            [|from, to| std::fs::hard_link(from, to), |from, to| std::os::unix::fs::symlink(from, to)];
        for link in links {
            link(&other, &scratch.join(".pid")).expect("scratch is ours");
            write_pid(&file, 7).expect("it is written");
            assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "7");
            assert_eq!(std::fs::read_to_string(&other).expect("it is there"), "kept");
        }
    }
}
