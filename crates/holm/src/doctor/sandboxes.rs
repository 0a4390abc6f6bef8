//! Whole sandboxes, started and ended at once: what counts in the end is whether these work. Each is started by a thread, so
//! that one that hangs is left to its end with this process.

use super::Asked;
use super::aside::{Alone, aside};
use super::facts::{Controller, Facts, Helper, Sandbox, Started, Try};
use super::needs;
use crate::error::Error;
use crate::host::Host;
use crate::host::groups::{left_behind, this_process};
use crate::model::group::Owner;
use crate::model::limit::{Cpus, Rates};
use crate::model::namespace::Namespace;
use crate::plan::limits::Limit;
use crate::plan::step::Act;
use crate::plan::{Plan, Refusal};
use crate::run::Exit;
use crate::spec::Spec;
use crate::spec::filesystem::{Access, Entry, Missing, Operation, Source, Upper, Writes};
use crate::spec::identity::{Maps, User};
use crate::spec::life::{Stdio, Terminal};
use crate::spec::limits::{Disk, DiskLimit, Limits};
use crate::spec::namespaces::{Choice, TimeOffsets};
use crate::spec::policy::{Calls, Denials, Nesting, ProcView, SysView};
use crate::sys::signal::Blocked;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// A limit for each controller.
pub(super) fn limits() -> Limits {
    let io = whole_disk().into_iter().collect();
    Limits { memory: Some(64 << 20), pids: Some(64), cpus: Some(Cpus(500)), io, ..Limits::default() }
}

/// Where the caller's controllers are, by the plan of a sandbox that needs one: each with the group that would be made. `host` is
/// read for `all` of the limits.
pub(super) fn controllers(host: &Host, all: Limits) -> Vec<(Controller, Option<PathBuf>)> {
    let limits = [
        ("--memory", "memory", Limits { memory: all.memory, ..Limits::default() }),
        ("--pids", "pids", Limits { pids: all.pids, ..Limits::default() }),
        ("--cpus", "cpu", Limits { cpus: all.cpus, ..Limits::default() }),
        ("--io", "io", Limits { io: all.io, ..Limits::default() }),
    ];
    let look = |(option, name, limits): (&'static str, &'static str, Limits)| {
        let mut spec = Spec::new("true");
        spec.limits = limits;
        match Plan::new(&spec, host) {
            Ok(plan) => (Controller { option, name, refused: None }, made(&plan)),
            Err(refusal) => (Controller { option, name, refused: Some(said(&refusal)) }, None),
        }
    };
    limits.into_iter().filter(|(.., limits)| limits.need_group()).map(look).collect()
}

/// The groups that children try to make.
pub(super) fn places(controllers: &[(Controller, Option<PathBuf>)]) -> Vec<(&'static str, PathBuf)> {
    let Some(this) = this_process() else { return Vec::new() };
    let place = |(controller, directory): &(Controller, Option<PathBuf>)| {
        Some((controller.name, directory.as_ref()?.join(this.name(NAME))))
    };
    controllers.iter().filter_map(place).collect()
}

fn made(plan: &Plan) -> Option<PathBuf> {
    plan.steps().iter().find_map(|step| match &step.act {
        Act::Limit(Limit::Make { directory, .. }) => Some(directory.clone()),
        _ => None,
    })
}

/// A disk of this machine, to plan a limit of it.
fn whole_disk() -> Option<DiskLimit> {
    let number = |entry: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(entry.ok()?.path().join("dev")).ok()?;
        let (major, minor) = text.trim().split_once(':')?;
        Some(Disk::Number(major.parse().ok()?, minor.parse().ok()?))
    };
    let disk = std::fs::read_dir("/sys/block").ok()?.find_map(number)?;
    Some(DiskLimit { disk, rates: Rates { read_bytes: Some(1 << 20), ..Rates::default() } })
}

/// The first reason, and what would help.
fn said(refusal: &Refusal) -> (String, String) {
    refusal.reasons.first().map(|reason| (reason.message.clone(), reason.hint.clone())).unwrap_or_default()
}

/// Starts them one after another.
pub(super) fn start(asked: &Asked, facts: &Facts) -> Vec<(Sandbox, Started)> {
    let mut all = Vec::new();
    let first = attempt(base());
    let runs = first == Started::Yes;
    all.push((Sandbox::Default, first));
    let mut base = base();
    if !runs {
        for (sandbox, kind) in [(Sandbox::SharedPids, Namespace::Pid), (Sandbox::SharedUsers, Namespace::User)] {
            if kind == Namespace::User && !facts.caller.privileged {
                continue;
            }
            let mut spec = Spec::clone(&base);
            spec.namespaces.choices.push((kind, Choice::Share));
            let started = attempt(spec.clone());
            let works = started == Started::Yes;
            all.push((sandbox, started));
            if works {
                // The others are tried with what is left.
                base = spec;
                break;
            }
        }
        if !all.iter().any(|(_, started)| *started == Started::Yes) {
            return all;
        }
    }
    all.extend(together(&base, facts));
    if maps_ranges(facts) {
        let mut spec = base.clone();
        spec.identity.maps = Maps::Subordinate;
        spec.identity.user = User::Ids { uid: 0, gid: 0 };
        all.push((Sandbox::Ranges, attempt(spec)));
    }
    // Where the default one doesn't start, one in another tells nothing that its own cause doesn't.
    if let Some((program, arguments)) = asked.within.as_ref().filter(|_| runs && facts.of(Try::Nested).works()) {
        let mut spec = within(base, program, facts);
        spec.program.arguments.clone_from(arguments);
        all.push((Sandbox::Within, attempt(spec)));
    }
    all
}

fn base() -> Spec {
    let mut spec = Spec::new("true");
    spec.stdio = [Stdio::Null; 3];
    spec.directory = Some("/".into());
    spec
}

/// What a sandbox can have besides: all of it in one, and only if that doesn't start each alone.
fn together(base: &Spec, facts: &Facts) -> Vec<(Sandbox, Started)> {
    // Whoever interrupts now has to wait until nothing is left.
    let _blocked = Blocked::new();
    let spots = facts.spots.iter().filter(|spot| spot.writable);
    let mut scratches: Vec<Scratch> = Vec::new();
    for spot in spots {
        if !scratches.iter().any(|scratch| scratch.directory == spot.directory) {
            scratches.extend(Scratch::new(&spot.directory));
        }
    }
    let mut wishes = vec![Sandbox::Terminal, Sandbox::Clocks, Sandbox::Queues, Sandbox::Sys, Sandbox::Overlay];
    // Who tells of refusals is this process.
    wishes.extend((!facts.kills_for(needs::DENIALS)).then_some(Sandbox::Denials));
    for scratch in &scratches {
        // Owners are shown by maps only where the caller has a right to.
        wishes.extend(facts.caller.privileged.then(|| Sandbox::Bind(scratch.directory.clone())));
        wishes.push(Sandbox::Upper(scratch.directory.clone()));
    }
    let whole = wishes.iter().fold(base.clone(), |spec, wish| with(spec, wish, &scratches));
    let all = attempt(whole) == Started::Yes;
    let each = |wish: Sandbox| {
        let started = if all { Started::Yes } else { attempt(with(base.clone(), &wish, &scratches)) };
        (wish, started)
    };
    wishes.into_iter().map(each).collect()
}

/// Whether there are ranges to be mapped, and helpers that can do so as far as is seen: what is wrong with them is told without
/// their own complaints.
fn maps_ranges(facts: &Facts) -> bool {
    let ids = &facts.ids;
    let helpers = [&ids.newuidmap, &ids.newgidmap];
    let works = |helper: &Option<Helper>| helper.as_ref().is_some_and(Helper::has_rights);
    !facts.caller.privileged
        && !ids.users.own.is_empty()
        && !ids.groups.own.is_empty()
        && !facts.security.no_new_privileges
        && helpers.into_iter().all(works)
}

fn with(mut spec: Spec, sandbox: &Sandbox, scratches: &[Scratch]) -> Spec {
    let in_scratch = |directory: &PathBuf| {
        let place = scratches.iter().position(|scratch| scratch.directory == *directory)?;
        Some((&scratches[place], PathBuf::from(format!("/tried/{place}"))))
    };
    match sandbox {
        Sandbox::Terminal => {
            spec.terminal = Terminal::Own;
            spec.stdio = [Stdio::Inherit; 3];
        }
        Sandbox::Clocks => spec.namespaces.time = Some(TimeOffsets { boot: 1_000_000_000, monotonic: 1_000_000_000 }),
        Sandbox::Queues => add(&mut spec, Operation::Mqueue { at: "/tried/queues".into() }),
        Sandbox::Sys => spec.policy.sys = SysView::ReadOnly,
        Sandbox::Overlay => spec.writes = Writes::Temporary,
        Sandbox::Denials => spec.policy.denials = Denials::Told,
        Sandbox::Bind(directory) => {
            if let Some((scratch, at)) = in_scratch(directory) {
                let (source, at) = (Source::Path(scratch.part("lower")), at.join("bind"));
                add(&mut spec, Operation::Bind { source, at, access: Access::ReadWrite, missing: Missing::Refuse });
            }
        }
        Sandbox::Upper(directory) => {
            if let Some((scratch, at)) = in_scratch(directory) {
                let upper = Upper::Kept { upper: scratch.part("upper"), work: scratch.part("work") };
                let at = at.join("upper");
                add(&mut spec, Operation::Overlay { at, lower: vec![scratch.part("lower")], upper });
            }
        }
        _ => {}
    }
    spec
}

fn add(spec: &mut Spec, operation: Operation) {
    spec.filesystem.push(Entry { operation, origin: String::new() });
}

/// The sandbox in which another one is started.
fn within(mut spec: Spec, program: &Path, facts: &Facts) -> Spec {
    if facts.ids.free {
        // Who is root without capabilities can't map itself once more (user_namespaces(7), "CAP_SETFCAP").
        spec.identity.user = User::Ids { uid: 1000, gid: 1000 };
    }
    spec.policy.nesting = Nesting::Allowed;
    spec.policy.calls = Calls::All;
    // A /proc that is covered can't be mounted again (mount_too_revealing).
    spec.policy.proc = ProcView::Full;
    let inside = PathBuf::from("/holm");
    spec.program.name = inside.clone().into();
    let source = Source::Path(program.to_owned());
    let bind = Operation::Bind { source, at: inside, access: Access::ReadOnly, missing: Missing::Refuse };
    add(&mut spec, bind);
    spec.stdio[2] = Stdio::Piped;
    spec
}

/// A directory in another one that is removed when dropped. Only empty directories are: what somebody else puts there stays.
struct Scratch {
    /// The other one.
    directory: PathBuf,
    path: PathBuf,
}

/// What their names end with.
const NAME: &str = "doctor";
/// In the order in which they are removed; the first one is overlayfs's own.
const PARTS: [&str; 4] = ["work/work", "work", "upper", "lower"];

impl Scratch {
    fn new(directory: &Path) -> Option<Scratch> {
        use std::os::unix::fs::DirBuilderExt;
        if !is_kept(directory) {
            return None;
        }
        Scratch::sweep(directory);
        let make = |path: &Path| std::fs::DirBuilder::new().mode(0o700).create(path).ok();
        let path = directory.join(this_process()?.name(NAME));
        make(&path)?;
        let scratch = Scratch { directory: directory.to_owned(), path };
        PARTS[1..].iter().try_for_each(|part| make(&scratch.part(part)))?;
        Some(scratch)
    }

    /// Removes those of the caller's that were killed.
    fn sweep(directory: &Path) {
        use std::os::unix::fs::MetadataExt;
        let euid = rustix::process::geteuid().as_raw();
        // Where anybody may write, somebody else's may be links that lead elsewhere. The caller's own directories stay what
        // they are.
        let is_own = |path: &PathBuf| {
            let found = std::fs::symlink_metadata(path);
            found.is_ok_and(|found| found.is_dir() && found.uid() == euid && found.mode() & 0o777 == 0o700)
        };
        let is_scratch = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(is_scratch);
        for path in left_behind(directory).into_iter().filter(is_scratch).filter(is_own) {
            drop(Scratch { directory: directory.to_owned(), path });
        }
    }

    fn part(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Whether a name is one of a scratch directory.
fn is_scratch(name: &str) -> bool {
    Owner::of(name).is_some_and(|owner| owner.name(NAME) == name)
}

/// Whether nobody but root and the caller can put something else where the caller has made a directory.
fn is_kept(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(found) = std::fs::metadata(directory) else { return false };
    let (sticky, others) = (found.mode() & 0o1000 != 0, found.mode() & 0o022 != 0);
    [0, rustix::process::geteuid().as_raw()].contains(&found.uid()) && (sticky || !others)
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for part in PARTS {
            let _ = std::fs::remove_dir(self.part(part));
        }
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// Starts one and waits for its end.
fn attempt(spec: Spec) -> Started {
    aside(PATIENCE, move || run(&spec)).unwrap_or_else(|alone| match alone {
        Alone::Silent => Started::Hung,
        Alone::NoThread => Started::Untried,
    })
}

fn run(spec: &Spec) -> Started {
    let no = |message: String, hint: &str| Started::No { message, hint: hint.to_owned() };
    let mut child = match spec.spawn() {
        Ok(child) => child,
        // All that this is about is done by then: there is no `true` here.
        Err(Error::Failed(failure)) if failure.program && spec.program.name == "true" => return Started::Yes,
        Err(Error::Failed(failure)) => return no(failure.to_string(), &failure.hint),
        Err(Error::Refused(refusal)) => {
            let (message, hint) = said(&refusal);
            return no(message, &hint);
        }
        Err(error) => return no(error.to_string(), ""),
    };
    let mut text = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // What is more than this explains nothing.
        let _ = stderr.take(4096).read_to_end(&mut text);
    }
    match child.wait() {
        Ok(Exit::Code(0)) => Started::Yes,
        // It started; what a `true` of somebody's says is its own affair.
        Ok(_) if spec.program.name == "true" => Started::Yes,
        Ok(_) => no(String::from_utf8_lossy(&text).trim().replace('\n', "; "), ""),
        Err(error) => no(crate::model::text::cause(&error), ""),
    }
}
