//! `restore`: a container is made by criu of what `checkpoint` has written down.
//!
//! criu is run as a container would be: in the new container's control groups, with their limits, and in a mount namespace of its
//! own, in which the container's root is mounted where criu wants to find it; else nothing of the caller's is hidden from it. What
//! it makes are children of this process.

use super::create::{Create, Created, alone, ended, grantable, lowered, note_devices, outside, usable, write_pid};
use super::criu::{How, allowed, key, root};
use super::{hooks, terminal};
use crate::bundle::Bundle;
use crate::criu::images::{Missing, Notes, links};
use crate::criu::message::Message;
use crate::criu::{Come, Kind, Way, find, mounts, points};
use crate::group::{self, Group};
use crate::lower::Lowered;
use crate::notify;
use crate::resctrl::Resctrl;
use crate::state::{Outside, Place, Process, Record, Stage};
use crate::{Error, Result, shown, systemd};
use holm::Spec;
use holm::inspect::read::open_namespace;
use holm::model::mount::{Attributes, Propagation, Reach};
use holm::model::namespace::Namespace;
use holm::spec::Unsaid;
use holm::spec::filesystem::{BindSource, Entry, Operation, Root, Writes};
use holm::spec::life::{Base, Environment, Lifetime};
use holm::spec::namespaces::{Choice, Target};
use holm::spec::policy::{Calls, CapabilitySets, Nesting, NewPrivileges, ProcView};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// criu's log.
const LOG: &str = "restore.log";

/// What is to be made again, and of what.
#[derive(Debug, Clone, Default)]
pub struct Restore {
    /// The container.
    pub container: Create,
    /// How.
    pub how: How,
    /// What a security module has its processes run as, instead of what they were run as before.
    pub profile: Option<String>,
}

/// Makes a container again; it runs, or is paused, as it was.
///
/// # Errors
/// As [`create`](super::create); criu isn't installed, or fails; a mount is less restricted than it was.
pub fn restore(wish: &Restore) -> Result<Created> {
    let id = &wish.container.id;
    let what = format!("restore container {id}");
    allowed(&what)?;
    let bundle = Bundle::read(&wish.container.bundle, wish.container.config.as_deref())?;
    let directories = wish.how.open(Missing::Refused)?;
    let notes = directories.images.notes()?;
    // Nobody waits for it to be ready any more, but what it may talk to is there.
    let talks = notes.outer.iter().any(|outer| outer.of.as_deref() == Some(Path::new(notify::INSIDE)));
    let notified = talks.then(|| wish.container.root.join(id).join(notify::DIRECTORY));
    let (Lowered { spec, warnings, .. }, scope) = lowered(&wish.container, &bundle, notified)?;
    let program = find().map_err(|cause| Error::Failed(format!("cannot {what}: {cause}")))?;
    let joined = joined(&spec, &what)?;
    let taker = terminal::connect(spec.terminal, &wish.container.console)?;
    let mut record = Record::new(id, &bundle);
    record.groups = spec.limits.groups.iter().map(Group::of).collect();
    record.resctrl = spec.limits.resctrl.as_ref().map(Resctrl::of);
    record.unit = scope.as_ref().map(|scope| scope.unit.clone());
    record.outside = outside(&spec);
    if let Some(cause) = &record.outside.lasting {
        return Err(Error::Failed(format!("cannot {what}: {cause}")));
    }
    let place = Place::make(&wish.container.root, id)?;
    // Until then its groups and its unit may be somebody else's.
    let mut theirs = Theirs::Nothing;
    let made = (|| {
        usable(&record)?;
        place.write(&record)?;
        talks.then(|| notify::prepare(place.directory())).transpose()?;
        let scope = scope.map(systemd::Wish::start).transpose()?;
        let way = Way::new().map_err(|errno| Error::io(&what, errno))?;
        let at = wish.container.root.join(id);
        let at = at.canonicalize().map_err(|error| Error::io(format!("use {}", shown(&at)), error))?;
        let mut descriptors: Vec<i32> = joined.iter().map(|(_, file)| file.as_raw_fd()).collect();
        descriptors.push(way.number());
        make_points(&spec, &notes, &record.rootfs)?;
        let (mounts, below) = sources(&spec, &notes, &record.rootfs, &at)?;
        let maker = maker(&spec, &program, mounts, descriptors);
        let plan = maker.plan().map_err(|refusal| Error::Start(refusal.into()))?;
        let held = plan.hold(None).map_err(Error::Start)?;
        alone(&mut record, &spec, || held.groups_found())?;
        note_devices(&mut record, held.device_programs());
        place.write(&record)?;
        let seen = root(held.id())?;
        let directories = directories.within(seen.as_fd())?;
        // They were looked up once more, by their paths.
        if let Some((path, _)) = below.iter().find(|(path, file)| !mounts::is_there(seen.as_fd(), path, file)) {
            let cause = format!("what is mounted below a source has changed: {}", shown(path));
            return Err(Error::Failed(format!("cannot {what}: {cause}")));
        }
        let around = Around { notes: &notes, joined: &joined, at: &at, criu: held.id() };
        let options = options_for(wish, wish.how.options(&directories, LOG), &around)?;
        let criu = held.start().map_err(|error| Error::Failed(format!("cannot {what}: {error}")))?;
        scope.into_iter().for_each(systemd::Scope::keep);
        theirs = Theirs::Groups;
        let mut terminal = None;
        let done = way.ask(Kind::Restore, &options, |come: Come| match come.to.as_str() {
            "setup-namespaces" => tell_hooks(&place, &mut record, come.pid),
            "orphan-pts-master" => {
                terminal = come.descriptor;
                Ok(())
            }
            "post-restore" => {
                record.process = Process::of(come.pid);
                note_again(&mut record.outside, &notes, come.pid);
                place.write(&record)?;
                unloosened(&notes, come.pid)
            }
            _ => Ok(()),
        });
        let ended = holm::run::reap(&criu);
        let pid = done.map_err(|failure| failure.told(&what, &directories.log(LOG)))?;
        ended.map_err(|errno| Error::io("wait for criu", errno))?;
        record.process = pid.and_then(Process::of);
        let process = record.process.and_then(Process::open);
        let process = process.ok_or_else(|| Error::Failed(format!("cannot {what}: it has ended")))?;
        let terminal = taker.take(terminal, record.own.console_size())?;
        record.stage = Stage::Started;
        place.write(&record)?;
        if let Some(file) = &wish.container.pid_file {
            write_pid(file, pid.unwrap_or_default())?;
        }
        Ok(Created { process, terminal, warnings, details: Vec::new() })
    })();
    let Err(error) = made else { return made };
    if place.take_back().is_ok() {
        // What is wrong is told already.
        if theirs == Theirs::Groups {
            let _ = super::end::end(id, record.process, &record.groups);
            let _ = group::clear(id, &record.groups);
            let _ = record.resctrl.as_ref().map(Resctrl::clear);
            let _ = record.unit.as_deref().map(systemd::stop);
        }
        let _ = place.remove();
    }
    Err(ended(error, &record))
}

/// What the container has by then, and takes along if it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Theirs {
    Nothing,
    /// Its control groups, the unit that they belong to, and its group of resctrl.
    Groups,
}

/// Runs the hooks whose time it is, without the container's lock.
fn tell_hooks(place: &Place, record: &mut Record, pid: i32) -> Result<()> {
    record.process = Process::of(pid);
    place.write(record)?;
    place.give_up()?;
    let done = hooks::run_first(record);
    place.take_back()?;
    done
}

/// Notes again what comes from outside, while all stand still yet.
fn note_again(outside: &mut Outside, notes: &Notes, pid: i32) {
    let given = |(number, link): (usize, String)| if notes.streams[number].is_some() { link } else { String::new() };
    let mut links = links(pid).into_iter().enumerate().map(given);
    outside.streams = std::array::from_fn(|_| links.next().unwrap_or_default());
    match mounts::attached_again(pid, &notes.outer) {
        Ok(mounts) => outside.mounts = mounts,
        Err(error) => outside.lasting = Some(error.to_string()),
    }
}

/// Processes that stand still yet must find their mounts as restricted as they were.
fn unloosened(notes: &Notes, pid: i32) -> Result<()> {
    match mounts::looser(&notes.restrictions, &mounts::restrictions(pid)?) {
        None => Ok(()),
        Some(point) => {
            let point = shown(point);
            Err(Error::Failed(format!(
                "cannot restore the container: its mount {point} is less restricted than it was"
            )))
        }
    }
}

/// The namespaces that are joined, open. criu is handed those that it can leave alone.
fn joined(spec: &Spec, what: &str) -> Result<Vec<(Namespace, OwnedFd)>> {
    let mut all = Vec::new();
    for (kind, choice) in &spec.namespaces.choices {
        let Choice::Join(Target::Path(path), _) = choice else { continue };
        let failed = |error| Error::io(format!("open {}", shown(path)), error);
        let file = open_namespace(path).and_then(|found| found.ok_or_else(|| Errno::INVAL.into())).map_err(failed)?;
        let inode = rustix::fs::fstat(&file).map_err(|errno| failed(errno.into()))?.st_ino;
        let own = rustix::fs::stat(format!("/proc/self/ns/{kind}")).map(|about| about.st_ino);
        match key(*kind) {
            Some(_) => all.push((*kind, file)),
            None if own == Ok(inode) => {}
            None => return Err(Error::Failed(format!("cannot {what}: criu can't join a {kind} namespace"))),
        }
    }
    Ok(all)
}

/// criu as something that holm runs.
fn maker(spec: &Spec, program: &Path, mounts: Vec<Entry>, descriptors: Vec<i32>) -> Spec {
    let mut maker = Spec::new(program);
    let socket = descriptors.last().map_or_else(String::new, i32::to_string);
    maker.program.arguments = vec!["swrk".into(), socket.into()];
    maker.unsaid = Unsaid::Nothing;
    maker.lifetime = Lifetime::Detached;
    let choice = |kind| (kind, if kind == Namespace::Mount { Choice::New } else { Choice::Share });
    maker.namespaces.choices = Namespace::ALL.into_iter().map(choice).collect();
    maker.root = Root::Directory("/".into());
    maker.writes = Writes::Through;
    // What is mounted outside from now on is of use, what criu mounts is nobody's.
    maker.propagation = Propagation::Slave;
    maker.filesystem = mounts;
    maker.environment = Environment { base: Base::Caller, changes: Vec::new() };
    maker.directory = Some("/".into());
    maker.descriptors = descriptors;
    maker.limits.groups = spec.limits.groups.clone();
    maker.limits.resctrl = spec.limits.resctrl.clone();
    maker.origins = spec.origins.clone();
    let all = grantable();
    maker.policy.sets =
        Some(CapabilitySets { bounding: all, permitted: all, effective: all, ..CapabilitySets::default() });
    maker.policy.calls = Calls::All;
    maker.policy.nesting = Nesting::Allowed;
    maker.policy.proc = ProcView::Full;
    maker.policy.new_privileges = NewPrivileges::Allowed;
    maker
}

/// What criu has to know of the container.
struct Around<'a> {
    notes: &'a Notes,
    joined: &'a [(Namespace, OwnedFd)],
    /// Where it finds the root and what is mounted from outside.
    at: &'a Path,
    /// criu itself, in the container's groups.
    criu: i32,
}

fn options_for(wish: &Restore, mut options: Message, around: &Around<'_>) -> Result<Message> {
    // Devices are opened by the names that they have now.
    options.flag(6, true);
    options.text(13, around.at.join(ROOT).as_os_str().as_encoded_bytes());
    // They are children of this process, not of criu.
    options.flag(26, true);
    let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", around.criu));
    let groups = groups.map_err(|error| Error::io("read the control groups of criu", error))?;
    for (controllers, path) in holm::host::groups::own(&groups) {
        let mut group = Message::default();
        group.text(1, controllers.join(","));
        group.text(2, path.as_os_str().as_encoded_bytes());
        options.message(25, &group);
    }
    let mut inherited = |name: &str, descriptor: i32| {
        let mut one = Message::default();
        one.text(1, name);
        one.small(2, descriptor);
        options.message(27, &one);
    };
    for (number, name) in around.notes.streams.iter().enumerate() {
        if let Some(name) = name {
            inherited(name, number as i32);
        }
    }
    for (kind, file) in around.joined {
        key(*kind).into_iter().for_each(|key| inherited(key, file.as_raw_fd()));
    }
    for (number, outer) in around.notes.outer.iter().enumerate() {
        let source = around.at.join(number.to_string());
        options.text(37, format!("mnt[{}]:{}", outer.point.display(), source.display()));
    }
    if let Some(profile) = &wish.profile {
        options.text(53, profile);
    }
    Ok(options)
}

/// Makes what the root lacks of the places where something is mounted on it.
fn make_points(spec: &Spec, notes: &Notes, rootfs: &Path) -> Result<()> {
    let all = notes.restrictions.keys().map(PathBuf::as_path);
    let all: Vec<&Path> = all.filter(|point| *point != Path::new("/")).collect();
    let on_root = all.iter().filter(|point| !all.iter().any(|other| other != *point && point.starts_with(other)));
    let kind = |point: &Path| -> Result<points::Kind> {
        let outer = notes.outer.iter().find(|outer| outer.point == point);
        let source = outer.map(|outer| source(spec, outer)).transpose()?;
        let is_file = source.is_some_and(|(source, ..)| source.exists() && !source.is_dir());
        Ok(if is_file { points::Kind::File } else { points::Kind::Directory })
    };
    let all = on_root.map(|point| Ok((*point, kind(point)?))).collect::<Result<Vec<_>>>()?;
    points::make(rootfs, all.into_iter())
}

/// What has to be found at these paths.
type Found = Vec<(PathBuf, OwnedFd)>;

/// The root's name among what criu finds.
const ROOT: &str = "root";

/// What criu finds at `at`: the root, and by its number each mount that comes from outside, as restricted as it was. criu takes
/// what two of them have in common for done. With them what has to be found there, by its path: whoever can write to a source can
/// move what is mounted below it.
fn sources(spec: &Spec, notes: &Notes, rootfs: &Path, at: &Path) -> Result<(Vec<Entry>, Found)> {
    let (options, attributes, beneath) = Default::default();
    let (kind, propagation) = ("tmpfs".into(), Propagation::Private);
    let base =
        Operation::Mount { kind, source: "criu".into(), at: at.into(), options, attributes, propagation, beneath };
    let root = attach(rootfs.to_owned(), at.join(ROOT), Reach::Tree, attributes, propagation);
    let mut all = vec![base, root];
    let mut found = Found::new();
    for (number, outer) in notes.outer.iter().enumerate() {
        let (mut source, mut attributes, propagation) = source(spec, outer)?;
        let at = at.join(number.to_string());
        if !outer.below.as_os_str().is_empty() {
            let what = || format!("restore the mount {} from {}", shown(&outer.point), shown(&source));
            let file = mounts::submount(&source, &outer.below).map_err(|errno| Error::io(what(), errno))?;
            source.push(&outer.below);
            found.push((at.clone(), file));
        }
        let restrictions = notes.restrictions.get(&outer.point).into_iter().flatten().flatten();
        restrictions.for_each(|word| _ = attributes.add(word));
        all.push(attach(source, at, Reach::One, attributes, propagation));
    }
    let origin = crate::lower::origin("root.path, mounts");
    let all = all.into_iter().map(|operation| Entry { operation, origin: origin.clone() }).collect();
    Ok((all, found))
}

fn attach(source: PathBuf, at: PathBuf, reach: Reach, attributes: Attributes, propagation: Propagation) -> Operation {
    let (below, owners) = Default::default();
    Operation::Attach { source: BindSource::Outside(source), at, reach, attributes, below, propagation, owners }
}

/// What a mount comes from, or is below of, as the configuration says it now.
fn source(spec: &Spec, outer: &mounts::Outer) -> Result<(PathBuf, Attributes, Propagation)> {
    let Some(of) = &outer.of else { return Ok(("/dev/null".into(), Attributes::default(), Propagation::Private)) };
    let attached = spec.filesystem.iter().find_map(|entry| match &entry.operation {
        Operation::Attach { source: BindSource::Outside(source), at, attributes, below, propagation, .. }
            if at == of =>
        {
            Some((source, *attributes, *below, *propagation))
        }
        _ => None,
    });
    let climbs = outer.below.components().any(|part| !matches!(part, std::path::Component::Normal(_)));
    match attached.filter(|_| !climbs) {
        Some((source, attributes, _, propagation)) if outer.below.as_os_str().is_empty() => {
            Ok((source.clone(), attributes, propagation))
        }
        Some((source, _, below, propagation)) => Ok((source.clone(), below, propagation)),
        None => {
            let message = format!("cannot restore the mount {}: the configuration has none there", shown(of));
            Err(Error::refused(message, crate::lower::origin("mounts")))
        }
    }
}
