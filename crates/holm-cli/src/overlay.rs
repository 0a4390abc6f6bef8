//! Changes that a run keeps under a name: `--overlay=NAME`.
//!
//! The root's are kept where `--overlay=DIR` would keep them, in a directory of the store's; each directory that is bound
//! becomes an overlay of its own, so that nothing of the host changes. All of it is in the wish before it is planned.

use crate::fill::Intent;
use crate::report::Fault;
use crate::stored;
use holm::Spec;
use holm::host::{Host, Kind};
use holm::plan::Plan;
use holm::plan::step::Act;
use holm::spec::filesystem::{Access, Content, Entry, Operation, Root, Source, Upper, Writes};
use holm::spec::origins::Wish;
use holm_root::changes::{self, Changes, Ids, Marks, Place, Run, Text};
use holm_root::store::Held;
use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Before a name, it tells that no directory is meant.
const PREFIX: &[u8] = b"changes:";

/// Where an overlay sends writes, as typed.
#[derive(Clone)]
pub(crate) enum Overlay {
    /// To memory.
    Memory,
    /// To a directory of the caller's.
    Directory(PathBuf),
    /// To the changes of this name.
    Named(String),
}

impl Overlay {
    /// What a value means: whatever has a `/` or is there is a directory; `changes:NAME` and anything else is a name.
    pub(crate) fn parse(value: &OsStr) -> Overlay {
        let named = value.as_bytes().strip_prefix(PREFIX).map(OsStr::from_bytes);
        match named {
            None if value.is_empty() || value.as_bytes().contains(&b'/') || Path::new(value).exists() => {
                Overlay::Directory(value.into())
            }
            named => Overlay::Named(named.unwrap_or(value).to_string_lossy().into_owned()),
        }
    }
}

/// The changes of a run.
pub(crate) struct Named {
    changes: Changes,
    root: changes::Root,
    places: Vec<Place>,
}

impl Named {
    /// Takes the changes of this name, or looks at them, and keeps those of `spec` in them.
    pub(crate) fn take(
        name: &str,
        spec: &mut Spec,
        stored: Option<&Held>,
        intent: Intent,
    ) -> Result<Named, Vec<Fault>> {
        let origin = spec.origins.of(Wish::Writes).to_owned();
        let root = match (&spec.root, stored) {
            (_, Some(held)) => changes::Root::Stored { name: held.name.clone(), id: held.id.clone() },
            (Root::Host, _) => changes::Root::Host,
            (Root::Programs(path), _) => changes::Root::Programs(whole(path).into()),
            (Root::Directory(path), _) => changes::Root::Directory(whole(path).into()),
            (Root::Empty, _) => {
                let message = "cannot keep changes of an empty root: it stands in memory".to_owned();
                return Err(vec![Fault { message, origin, hint: "give it another --root".to_owned() }]);
            }
        };
        let store = stored::open().map_err(|fault| vec![fault])?;
        let failed = |error| vec![stored::fault(&error, &origin)];
        let changes = match intent {
            Intent::Run => store.take_changes(name, Some(&root)),
            Intent::Explain => store.look_at_changes(name, &root),
        };
        let mut named = Named { changes: changes.map_err(failed)?, root, places: Vec::new() };
        named.changes.root(&mut named.places, &named.root).map_err(failed)?;
        spec.writes = Writes::Kept(named.changes.directory());
        // To explain, any number will do: that there is a lock is what the plan tells.
        spec.held = Some(named.changes.lock().map_or(0, |lock| lock.as_raw_fd()));
        let mut faults = Vec::new();
        for entry in &mut spec.filesystem {
            if let Err(fault) = named.copy(entry) {
                faults.push(fault);
            }
        }
        if faults.is_empty() { Ok(named) } else { Err(faults) }
    }

    /// Makes an overlay of a bound directory.
    fn copy(&mut self, entry: &mut Entry) -> Result<(), Fault> {
        let Operation::Bind { source, at, access, .. } = &entry.operation else { return Ok(()) };
        let base = match source {
            Source::Path(path) if path.is_dir() && *access != Access::Devices => path,
            Source::Path(path) if *access == Access::ReadWrite && path.exists() => {
                return Err(uncopied(&path.display().to_string(), &entry.origin));
            }
            Source::Descriptor(number) if *access == Access::ReadWrite => {
                return Err(uncopied(&format!("descriptor {number}"), &entry.origin));
            }
            _ => return Ok(()),
        };
        let made = self.changes.place(&mut self.places, base, at);
        let (upper, work) = made.map_err(|error| stored::fault(&error, &entry.origin))?;
        entry.operation =
            Operation::Overlay { at: at.clone(), lower: vec![base.clone()], upper: Upper::Kept { upper, work } };
        Ok(())
    }

    /// To explain a run that would make their directories: they are there.
    pub(crate) fn imagine(&self, host: &mut Host) {
        let own = self.changes.directory();
        for (_, found) in host.sources.iter_mut().filter(|(path, _)| path.starts_with(&own)) {
            *found = found.or(Ok(Kind::Directory));
        }
    }

    /// Notes what a run is about to do.
    pub(crate) fn begin(&mut self, spec: &Spec, plan: &Plan) -> Result<(), Fault> {
        let acts = || plan.steps().iter().map(|step| &step.act);
        let points = acts().filter_map(|act| match act {
            Act::Operate { operation, .. } if operation.mounts() => Some(operation.at().clone()),
            Act::MountProc { at, .. } => Some(at.clone()),
            _ => None,
        });
        let program = std::iter::once(&spec.program.name).chain(&spec.program.arguments);
        let run = Run {
            marks: if acts().any(|act| matches!(act, Act::WriteMaps { .. })) { Marks::User } else { Marks::Trusted },
            ids: ids(plan),
            points: points.collect(),
            command: program.map(|word| Text(word.clone())).collect(),
            entries: acts().take_while(|act| !matches!(act, Act::RootOverlay { .. })).filter_map(made).collect(),
        };
        let begun = self.changes.begin(self.root.clone(), self.places.clone(), run);
        begun.map_err(|error| stored::fault(&error, spec.origins.of(Wish::Writes)))
    }

    /// The program runs.
    pub(crate) fn keep(&mut self) {
        self.changes.keep();
    }
}

fn uncopied(what: &str, origin: &str) -> Fault {
    let message = format!("cannot bind a copy of {what}: only directories have changes");
    let hint = "bind its directory, or make it --bind, which shows a file as it is".to_owned();
    Fault { message, origin: origin.to_owned(), hint }
}

/// What the ids of files on disk are under a plan.
fn ids(plan: &Plan) -> Ids {
    let shown = plan.steps().iter().any(|step| matches!(step.act, Act::MapOwners { .. }));
    let maps = plan.steps().iter().find_map(|step| match &step.act {
        Act::WriteMaps { uid, gid, .. } if !shown => Some((uid, gid)),
        _ => None,
    });
    let plain = |maps: &[holm::model::id::IdMap]| maps.iter().map(|m| (m.inside, m.outside, m.count)).collect();
    maps.map_or(Ids::Inside, |(users, groups)| Ids::Outside { users: plain(users), groups: plain(groups) })
}

/// What a step before the root's overlay makes.
fn made(act: &Act) -> Option<changes::Entry> {
    let Act::Operate { operation, .. } = act else { return None };
    Some(match operation {
        Operation::Directory { at, mode } => changes::Entry::Directory(at.clone(), *mode),
        Operation::File { at, content: Content::Bytes(bytes), mode } => {
            changes::Entry::File(at.clone(), bytes.clone(), *mode)
        }
        Operation::Symlink { target, at } => changes::Entry::Link(at.clone(), target.clone()),
        _ => return None,
    })
}

fn whole(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
