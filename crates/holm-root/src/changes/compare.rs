//! What a sandbox changed in one place: its layer laid over what it is of, and compared with that.
//!
//! A directory that the layer doesn't have is as it was. So only what the layer has is looked at, with what it covers;
//! but below a renamed directory all of what it was renamed from is looked at, too.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::layer::{Layer, Mark, same_content};
use super::{About, Place};
use crate::store::error::Error;
use crate::tree::scan::{attributes, join};

/// One change.
#[derive(Debug)]
pub struct Change {
    /// Where: relative to the place; the place itself is `.`.
    pub path: PathBuf,
    /// What was done.
    pub what: What,
    /// What was there.
    pub before: Option<Spot>,
    /// What is there now.
    pub after: Option<Spot>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Added,
    /// It is gone, with all in it.
    Deleted,
    /// It is another in these respects, at least one.
    Changed(Vec<Aspect>),
    /// It had this path before; and is another in these respects.
    Renamed(PathBuf, Vec<Aspect>),
}

/// In what something can be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// Its kind.
    Kind,
    /// Its content, the text of a link, or which device it is.
    Content,
    /// Its permission bits.
    Mode,
    /// Its owner or group.
    Owner,
    /// Its attributes: `user.*` and file capabilities.
    Attributes,
}

/// Something in a layer.
#[derive(Clone, Debug)]
pub struct Spot {
    /// What the disk tells of it.
    pub status: Stat,
    /// Where it is; a file may have its content elsewhere.
    own: (Side, Vec<u8>),
    content: (Side, Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Upper,
    Base,
}

/// How renamed directories are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renames {
    /// As renamed, with what is another in them.
    Told,
    /// As additions of all in them.
    Expanded,
}

/// One place, compared.
#[derive(Debug)]
pub struct Comparison {
    /// Which.
    pub place: Place,
    /// All that is another, sorted by path.
    pub changes: Vec<Change>,
    upper: Layer,
    base: Layer,
}

struct Walk<'w> {
    upper: &'w Layer,
    base: &'w Layer,
    about: &'w About,
    place: &'w Place,
    renames: Renames,
    changes: Vec<Change>,
}

/// Where a path is: in the layer of changes, in what lies below that, and in what it is compared with.
struct Trace {
    upper: Option<Vec<u8>>,
    under: Option<Vec<u8>>,
    base: Option<Vec<u8>>,
}

impl Comparison {
    /// Compares the layer `upper` of a place with `base`.
    pub(super) fn new(
        about: &About,
        place: &Place,
        layers: (Layer, Layer),
        renames: Renames,
    ) -> Result<Comparison, Error> {
        let (upper, base) = layers;
        let mut walk = Walk { upper: &upper, base: &base, about, place, renames, changes: Vec::new() };
        let top = || Some(b".".to_vec());
        let mut left = vec![(b".".to_vec(), Trace { upper: top(), under: top(), base: top() })];
        while let Some((path, trace)) = left.pop() {
            left.extend(walk.entry(&path, trace)?.into_iter().rev());
        }
        let changes = walk.changes;
        Ok(Comparison { place: place.clone(), changes, upper, base })
    }

    /// Opens a regular file, or a directory for its attributes.
    pub(super) fn reading(&self, spot: &Spot) -> io::Result<File> {
        let (side, path) = &spot.own;
        Ok(self.layer(*side).reading(path, &spot.status)?)
    }

    /// Opens the content of a regular file.
    ///
    /// # Errors
    /// It isn't one, it is another by now, or the caller may not read it.
    pub fn content(&self, spot: &Spot) -> io::Result<File> {
        content((&self.upper, &self.base), spot)
    }

    /// The text of a link.
    ///
    /// # Errors
    /// It isn't one.
    pub fn link(&self, spot: &Spot) -> io::Result<Vec<u8>> {
        let (side, path) = &spot.own;
        Ok(self.layer(*side).link(path)?)
    }

    /// The base's layer.
    pub(super) fn base(&self) -> &Layer {
        &self.base
    }

    fn layer(&self, side: Side) -> &Layer {
        if side == Side::Upper { &self.upper } else { &self.base }
    }

    /// A path of the place as it is inside.
    pub fn inside(&self, path: &Path) -> PathBuf {
        inside(&self.place, path)
    }
}

fn inside(place: &Place, path: &Path) -> PathBuf {
    if path == Path::new(".") { place.at.path().to_owned() } else { place.at.path().join(path) }
}

fn content((upper, base): (&Layer, &Layer), spot: &Spot) -> io::Result<File> {
    let (side, path) = &spot.content;
    let layer = if *side == Side::Upper { upper } else { base };
    let there = layer.node(path)?.ok_or(io::ErrorKind::NotFound)?;
    if FileType::from_raw_mode(there.status.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is no file"));
    }
    Ok(layer.reading(path, &there.status)?)
}

impl Spot {
    fn base(path: &[u8], status: Stat) -> Spot {
        let own = (Side::Base, path.to_vec());
        Spot { status, content: own.clone(), own }
    }

    /// What it is.
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.status.st_mode)
    }
}

impl Walk<'_> {
    fn failed(&self, path: &[u8]) -> impl FnOnce(Errno) -> Error + use<> {
        let whole = inside(self.place, &as_path(path));
        move |errno| Error::io("read", &whole)(errno)
    }

    /// Looks at a path; what lies right below it and is to be looked at, too, in order.
    fn entry(&mut self, path: &[u8], trace: Trace) -> Result<Vec<(Vec<u8>, Trace)>, Error> {
        let upper = self.look(self.upper, trace.upper.as_deref(), path)?;
        let under = self.look(self.base, trace.under.as_deref(), path)?;
        let before = match trace.base == trace.under {
            true => under.clone(),
            false => self.look(self.base, trace.base.as_deref(), path)?,
        };
        let before = before.zip(trace.base).map(|(node, at)| Spot::base(&at, node.status));
        let (mut below, mut from) = (trace.under.clone().filter(|_| under.is_some()), None);
        let after = match (&upper, &trace.upper) {
            (Some(node), Some(at)) if node.mark != Mark::Whiteout => {
                if let Some(redirect) = &node.redirect {
                    from = redirected(redirect, path);
                    let there = self.look(self.base, from.as_deref(), path)?;
                    let kind = |status: &Stat| FileType::from_raw_mode(status.st_mode);
                    from = from.filter(|_| there.is_some_and(|there| kind(&there.status) == kind(&node.status)));
                    below.clone_from(&from);
                }
                if node.mark == Mark::Opaque {
                    below = None;
                }
                let own = (Side::Upper, at.clone());
                let content = match (node.mark, &below) {
                    (Mark::Metadata, Some(below)) => (Side::Base, below.clone()),
                    _ => own.clone(),
                };
                Some(Spot { status: node.status, own, content })
            }
            (Some(_), _) => None,
            (None, _) => under.zip(trace.under).map(|(node, at)| Spot::base(&at, node.status)),
        };
        self.compared(path, before, after, (trace.upper.filter(|_| upper.is_some()), below), from)
    }

    /// Notes what is another at a path; what lies right below it.
    fn compared(
        &mut self,
        path: &[u8],
        before: Option<Spot>,
        after: Option<Spot>,
        (upper, below): (Option<Vec<u8>>, Option<Vec<u8>>),
        from: Option<Vec<u8>>,
    ) -> Result<Vec<(Vec<u8>, Trace)>, Error> {
        let told = from.filter(|_| self.renames == Renames::Told && before.is_none());
        let origin = match &told {
            Some(from) => self.look(self.base, Some(from), path)?.map(|node| Spot::base(from, node.status)),
            None => before.clone(),
        };
        let is_directory = |spot: &Option<Spot>| spot.as_ref().is_some_and(|spot| spot.kind().is_dir());
        let (whole, base) = (is_directory(&after), origin.as_ref().map(|spot| spot.own.1.clone()));
        let base = base.filter(|_| is_directory(&origin));
        let what = match (&origin, &after) {
            (None, None) => None,
            (Some(_), None) => Some(What::Deleted),
            (None, Some(after)) => (!self.is_point(path, after)).then_some(What::Added),
            (Some(before), Some(after)) => {
                let aspects = self.aspects(path, before, after)?;
                match told {
                    Some(from) => Some(What::Renamed(inside(self.place, &as_path(&from)), aspects)),
                    None => (!aspects.is_empty()).then_some(What::Changed(aspects)),
                }
            }
        };
        if let Some(what) = what {
            self.changes.push(Change { path: as_path(path), what, before: origin, after });
        }
        match whole && (upper.is_some() || below != base) {
            true => self.below(path, &upper, &below, &base),
            false => Ok(Vec::new()),
        }
    }

    /// The entries of a directory, wherever they are.
    fn below(
        &self,
        path: &[u8],
        upper: &Option<Vec<u8>>,
        below: &Option<Vec<u8>>,
        base: &Option<Vec<u8>>,
    ) -> Result<Vec<(Vec<u8>, Trace)>, Error> {
        let mut names = Vec::new();
        if let Some(upper) = upper {
            names = self.upper.names(upper).map_err(self.failed(path))?;
        }
        if below != base {
            for other in below.iter().chain(base) {
                names.extend(self.base.names(other).map_err(self.failed(path))?);
            }
            names.sort_unstable();
            names.dedup();
        }
        let trace = |name: &Vec<u8>| {
            let at = |directory: &Option<Vec<u8>>| directory.as_ref().map(|directory| join(directory, name));
            (join(path, name), Trace { upper: at(upper), under: at(below), base: at(base) })
        };
        Ok(names.iter().map(trace).collect())
    }

    fn look(&self, layer: &Layer, path: Option<&[u8]>, shown: &[u8]) -> Result<Option<super::layer::Node>, Error> {
        path.map_or(Ok(None), |path| layer.node(path)).map_err(self.failed(shown))
    }

    /// Whether it was made to mount something there, and nothing was put into its place.
    fn is_point(&self, path: &[u8], after: &Spot) -> bool {
        let whole = inside(self.place, &as_path(path));
        let mut points = self.about.points.iter().map(|point| point.path());
        match after.kind() {
            FileType::Directory => points.any(|point| point.starts_with(&whole)),
            FileType::RegularFile => after.status.st_size == 0 && points.any(|point| point == whole),
            _ => false,
        }
    }

    /// In what two are not the same.
    fn aspects(&self, path: &[u8], before: &Spot, after: &Spot) -> Result<Vec<Aspect>, Error> {
        let (kind, old) = (after.kind(), before.kind());
        if kind != old {
            return Ok(vec![Aspect::Kind]);
        }
        let layers = (self.upper, self.base);
        let whole = inside(self.place, &as_path(path));
        let differs = || -> io::Result<Vec<Aspect>> {
            let mut found = Vec::new();
            let link = |spot: &Spot| match spot.own.0 {
                Side::Upper => self.upper.link(&spot.own.1),
                Side::Base => self.base.link(&spot.own.1),
            };
            let same = match kind {
                FileType::RegularFile if after.content == before.content => true,
                FileType::RegularFile => {
                    let (now, then) = (content(layers, after)?, content(layers, before)?);
                    let length = now.metadata()?.len();
                    length == then.metadata()?.len() && same_content(&now, &then, length)?
                }
                FileType::Symlink => link(after)? == link(before)?,
                _ => after.status.st_rdev == before.status.st_rdev,
            };
            found.extend((!same).then_some(Aspect::Content));
            let bits = |spot: &Spot| spot.status.st_mode & 0o7777;
            found.extend((kind != FileType::Symlink && bits(after) != bits(before)).then_some(Aspect::Mode));
            let owner = |spot: &Spot| (spot.status.st_uid, spot.status.st_gid);
            // The place itself, and what a start makes, belong to whom could make them.
            let owned = path != b"." && self.place.base.path() != Path::new("");
            found.extend((owned && owner(after) != owner(before)).then_some(Aspect::Owner));
            if matches!(kind, FileType::RegularFile | FileType::Directory) {
                let all = |spot: &Spot| {
                    let layer = if spot.own.0 == Side::Upper { self.upper } else { self.base };
                    attributes(layer.reading(&spot.own.1, &spot.status)?.as_fd(), &mut 0)
                };
                found.extend((all(after)? != all(before)?).then_some(Aspect::Attributes));
            }
            Ok(found)
        };
        differs().map_err(Error::io("read", &whole))
    }
}

/// Where something was before it was renamed; a path that no kernel writes is none.
fn redirected(redirect: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    let whole = match redirect.strip_prefix(b"/") {
        Some(whole) => whole.to_vec(),
        None if redirect.contains(&b'/') => return None,
        None => join(path.iter().rposition(|byte| *byte == b'/').map_or(&b"."[..], |at| &path[..at]), redirect),
    };
    let plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
    whole.split(|byte| *byte == b'/').all(plain).then_some(whole)
}

fn as_path(path: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(path).into()
}
