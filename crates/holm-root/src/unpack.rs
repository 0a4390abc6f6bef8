//! Archives whose maker isn't trusted become a tree.
//!
//! The order of things: bytes are decompressed (`decoder`) in a thread of their own, counted against the limits, read
//! as members (`archive`), and each member is made in a [`Tree`], which keeps everything inside.
//!
//! Names are relative to the root, whether they begin with `/` or not; a name with `..` is refused: no honest archive
//! has one. Of members with the same name the last counts. An archive without an end marker is taken if it ends
//! between two members, since some programs write such.

pub(crate) mod archive;
pub(crate) mod decoder;
pub(crate) mod erofs;
mod layer;
pub(crate) mod squashfs;

use std::ffi::OsStr;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::Timespec;

use crate::store::error::Error;
use crate::store::listing::{Device, Facts};
use crate::tree::{Sink, Tree, keeps_attribute};
use archive::{Archive, Kind, Member};
use decoder::{Ahead, Watched};

/// What an archive may become at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes: of the archive once it is decompressed, and of all files with their holes.
    pub bytes: u64,
    /// Members.
    pub members: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bytes: 32 << 30, members: 4_000_000 }
    }
}

/// Inside an error of the system's: the limits are reached.
#[derive(Debug, thiserror::Error)]
#[error("it is larger than the limit")]
struct TooMuch;

pub(crate) fn too_much() -> io::Error {
    io::Error::other(TooMuch)
}

/// Why something could not be unpacked, or was too much for these limits.
fn failed(path: &Path, limits: Limits, error: io::Error) -> Error {
    match error.get_ref().is_some_and(|inner| inner.is::<TooMuch>()) {
        true => Error::TooLarge { path: path.to_owned(), limits },
        false => Error::unpack(path)(error),
    }
}

/// What names that begin with `.wh.` mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nothing: the archive is a whole root.
    Whole,
    /// The archive is a layer, and they hide what is below it.
    Layer,
}

/// Archives that become one tree, within limits for all of them together.
pub(crate) struct Unpack<'t> {
    tree: &'t mut Tree,
    go_on: &'t mut dyn FnMut() -> ControlFlow<()>,
    form: Form,
    limits: Limits,
    left: Limits,
    /// Bytes that may still be decompressed.
    stream: u64,
}

impl<'t> Unpack<'t> {
    /// `go_on` is asked again and again whether to.
    pub(crate) fn new(
        tree: &'t mut Tree,
        form: Form,
        limits: Limits,
        go_on: &'t mut dyn FnMut() -> ControlFlow<()>,
    ) -> Unpack<'t> {
        Unpack { tree, go_on, form, limits, left: limits, stream: limits.bytes.saturating_add(1) }
    }

    /// What comes next is a layer above all there is.
    pub(crate) fn next_layer(&mut self) {
        self.tree.next_layer();
    }

    /// Unpacks one archive, `path` in messages, and reads it to its end.
    pub(crate) fn archive(&mut self, stream: Ahead, path: &Path) -> Result<(), Error> {
        let whole = Error::unpack(path);
        let limits = self.limits;
        let over = |path: &Path| Error::TooLarge { path: path.to_owned(), limits };
        let mut archive = Archive::new(Watched { stream, go_on: self.go_on }.take(self.stream));
        let mut any = self.form == Form::Layer;
        loop {
            let member = match archive.next() {
                Ok(Some(member)) => member,
                Ok(None) => break,
                Err(_) if archive.source().limit() == 0 => return Err(over(path)),
                Err(error) => return Err(whole(error)),
            };
            any = true;
            let name = PathBuf::from(OsStr::from_bytes(&member.path));
            self.left.members = self.left.members.checked_sub(1).ok_or_else(|| over(&name))?;
            self.left.bytes = self.left.bytes.checked_sub(member.size).ok_or_else(|| over(&name))?;
            let made = match self.form {
                Form::Whole => make(self.tree, &member, &mut archive),
                Form::Layer => layer::make(self.tree, &member, &mut archive),
            };
            made.map_err(|error| match archive.source().limit() {
                0 => over(&name),
                _ => Error::unpack(&name)(error),
            })?;
        }
        let mut rest = archive.into_source();
        io::copy(&mut rest, &mut io::sink()).map_err(whole)?;
        self.stream = rest.limit();
        match (self.stream, any) {
            (0, _) => Err(over(path)),
            (_, true) => Ok(()),
            (_, false) => Err(Error::Unpack { path: path.to_owned(), cause: "it is empty".to_owned() }),
        }
    }
}

fn make(tree: &mut Tree, member: &Member, archive: &mut Archive<impl Read>) -> io::Result<()> {
    let path = inside(&member.path)?;
    let facts = facts(tree, member.mode, (member.uid, member.gid), &member.attributes);
    let modified = Timespec { tv_sec: member.modified, tv_nsec: 0 };
    if path.is_empty() && !matches!(member.kind, Kind::Directory) {
        return Err(io::Error::other("it would take the place of the root"));
    }
    match &member.kind {
        Kind::Directory => tree.directory(&path, facts, modified)?,
        Kind::File => tree.file(&path, facts, modified, |sink: &mut Sink| archive.content(member, sink))?,
        Kind::Link(text) => tree.link(&path, text, facts, modified)?,
        Kind::Hard(of) => tree.hard_link(&path, &inside(of)?).map_err(|error| {
            let shown = OsStr::from_bytes(of).display();
            io::Error::other(format!("it is a link to {shown}: {}", holm::model::text::cause(&error.into())))
        })?,
        Kind::Fifo => tree.fifo(&path, facts, modified)?,
        Kind::Device { block, major, minor } => {
            tree.device(&path, facts, Device { block: *block, major: *major, minor: *minor })?;
        }
    }
    Ok(())
}

/// Mode, owner, and those of the attributes that are kept; the others are counted.
fn facts(tree: &mut Tree, mode: u32, (uid, gid): (u32, u32), attributes: &[(Vec<u8>, Vec<u8>)]) -> Facts {
    let mut facts = Facts { mode, uid, gid, attributes: Default::default() };
    for (name, value) in attributes {
        match keeps_attribute(name) {
            true => drop(facts.attributes.insert(name.clone(), value.clone())),
            false => tree.left_out += 1,
        }
    }
    facts
}

/// A member's name as a path in the tree, without `.` and empty parts.
pub(crate) fn inside(name: &[u8]) -> io::Result<Vec<u8>> {
    let parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.contains(&b"..".as_slice()) {
        return Err(io::Error::other("its name has a part '..'"));
    }
    if name.is_empty() || name.contains(&0) {
        return Err(io::Error::other("it has no usable name"));
    }
    Ok(parts.join(&b'/'))
}
