//! `checkpoint`: a container's processes are written down by criu.

use super::criu::{How, allowed, key};
use super::end::delete;
use super::{ends_within, found};
use crate::criu::images::{Missing, Notes, streams};
use crate::criu::message::Message;
use crate::criu::{Come, Kind, Way, find, mounts};
use crate::group::Freezer;
use crate::state::{Process, Record, Stage, Status};
use crate::{Error, Result};
use holm::model::namespace::Namespace;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long killed processes may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// criu's log.
const LOG: &str = "dump.log";

/// What is to be written down, and where to.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The state directory.
    pub root: PathBuf,
    /// The container's name.
    pub id: String,
    /// How.
    pub how: How,
    /// Images that were made before, from the new ones on: what hasn't changed since isn't written again.
    pub parent: Option<PathBuf>,
    /// Who takes the memory, by address and port, if that isn't for the images.
    pub page_server: Option<(String, u16)>,
    /// What becomes of the container.
    pub then: Then,
}

/// What becomes of a container that is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Then {
    /// It ends, and is removed.
    #[default]
    Ends,
    /// It goes on.
    GoesOn,
    /// It goes on, and only its memory was written down, for a later one to be quick.
    Later,
}

/// Writes a container down.
///
/// # Errors
/// There is no such container, or it doesn't run; it has what criu doesn't know; criu isn't installed, or fails.
pub fn checkpoint(wish: &Checkpoint) -> Result<Vec<String>> {
    let what = format!("checkpoint container {}", wish.id);
    let failed = |cause: &str| Error::Failed(format!("cannot {what}: {cause}"));
    let (place, record) = found(&wish.root, &wish.id)?;
    let record = record.ok_or_else(|| failed("it was never made whole"))?;
    match record.status() {
        Status::Running | Status::Paused => {}
        other => return Err(failed(&format!("container not running: it is {}", other.name()))),
    }
    // One that is paused may not have begun.
    if record.stage != Stage::Started {
        return Err(failed("container not running: it was never started"));
    }
    allowed(&what)?;
    if let Some(cause) = &record.outside.lasting {
        return Err(failed(cause));
    }
    let program = find().map_err(|cause| failed(&cause))?;
    let (process, opened) =
        record.process.and_then(|process| Some((process, process.open()?))).ok_or_else(|| failed("it has ended"))?;
    if let Some(parent) = wish.parent.as_ref().filter(|parent| parent.is_absolute()) {
        return Err(failed(&format!("--parent-path {} is not relative to the images", crate::shown(parent))));
    }
    let directories = wish.how.open(Missing::Made)?;
    let mut options = wish.how.options(&directories, LOG);
    let told = outside(wish, &record, process, &mut options)?;
    let way = Way::new().and_then(|way| way.inherit().map(|()| way)).map_err(|errno| Error::io(&what, errno))?;
    let mut criu = Command::new(&program);
    criu.arg("swrk").arg(way.number().to_string()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut criu = criu.spawn().map_err(|error| Error::io(format!("run {}", crate::shown(&program)), error))?;
    let each = |come: Come| match (come.to.as_str(), wish.then) {
        // They stand still: what is noted is what was written down.
        ("post-dump", Then::Ends | Then::GoesOn) => {
            let outer =
                mounts::outer(process.pid, &record.outside.mounts).map_err(|error| failed(&error.to_string()))?;
            if outer != told {
                return Err(failed("its mounts are others than when it was asked for"));
            }
            let restrictions = mounts::restrictions(process.pid)?;
            let streams = streams(process.pid, &record.outside.streams);
            directories.images.note(&Notes { outer, restrictions, streams }, &record.outside.streams)
        }
        _ => Ok(()),
    };
    let kind = if wish.then == Then::Later { Kind::PreDump } else { Kind::Dump };
    let done = way.ask(kind, &options, each);
    criu.wait().map_err(|error| Error::io("wait for criu", error))?;
    done.map_err(|failure| failure.told(&what, &directories.log(LOG)))?;
    drop(place);
    match wish.then {
        Then::GoesOn | Then::Later => Ok(Vec::new()),
        Then::Ends => {
            ends_within(&opened, Some(PATIENCE)).map_err(|errno| Error::io(&what, errno))?;
            delete(&wish.root, &wish.id, super::Force::No)
        }
    }
}

/// Adds what belongs to this container to criu's options; its mounts that come from outside are returned.
fn outside(wish: &Checkpoint, record: &Record, process: Process, options: &mut Message) -> Result<Vec<mounts::Outer>> {
    options.small(2, process.pid);
    options.flag(3, wish.then != Then::Ends);
    options.text(13, record.rootfs.as_os_str().as_encoded_bytes());
    if let Some((address, port)) = &wish.page_server {
        let mut server = Message::default();
        server.text(1, address);
        server.small(2, (*port).into());
        options.message(11, &server);
    }
    if let Some(parent) = &wish.parent {
        options.text(14, parent.as_os_str().as_encoded_bytes());
    }
    options.flag(15, wish.then == Then::Later || wish.parent.is_some());
    if let Some(freezer) = Freezer::of(&record.groups) {
        options.text(44, freezer.directory().as_os_str().as_encoded_bytes());
    }
    for name in &record.outside.namespaces {
        let path = |process: &str| format!("/proc/{process}/ns/{name}");
        let inode = |path: String| {
            let failed = |errno| Error::io(format!("look at {path}"), errno);
            rustix::fs::stat(&path).map(|about| about.st_ino).map_err(failed)
        };
        let own = inode(path(&process.pid.to_string()))?;
        let kind = Namespace::ALL.into_iter().find(|kind| kind.name() == name);
        match kind.and_then(key) {
            Some(key) => options.text(37, format!("{name}[{own}]:{key}")),
            // What is the caller's, too, is left alone by itself.
            None if own == inode(path("self"))? => {}
            None => {
                let cause =
                    format!("criu can't leave a {name} namespace alone that the container shares with another one");
                return Err(Error::Failed(format!("cannot checkpoint container {}: {cause}", record.id)));
            }
        }
    }
    let streams = streams(process.pid, &record.outside.streams);
    for name in streams.into_iter().flatten().filter(|name| name.starts_with("file[")) {
        options.text(37, name);
    }
    let failed = |error: Error| Error::Failed(format!("cannot checkpoint container {}: {error}", record.id));
    let outer = mounts::outer(process.pid, &record.outside.mounts).map_err(failed)?;
    for point in outer.iter().filter_map(|outer| outer.point.to_str()) {
        options.text(37, format!("mnt[{point}]:{point}"));
    }
    Ok(outer)
}
