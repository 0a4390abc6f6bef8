//! A root of programs in the store. There all belongs to user 0, so that the root's id depends on the files alone.

use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FileType, Stat, Timespec};

use super::copy::copied;
use super::skeleton::{DIRECTORIES, FILES};
use super::{Error, TRIES, Wanted, facts, resolve};
use crate::closure::layout::Layout;
use crate::closure::{Entry, Kind};
use crate::store::draft::check_name;
use crate::store::listing::{Facts, Hash};
use crate::store::{Metadata, Writer};
use crate::tree::scan::hash_content;
use crate::tree::{Tree, epoch};

/// Stores a root of what is wanted under a name, with the reason for each file.
///
/// # Errors
/// Those of [`super::root`]; the name is another root's; no space is left.
pub fn store(wanted: &Wanted, writer: &Writer, name: &str) -> Result<Metadata, Error> {
    check_name(name)?;
    for _ in 0..TRIES {
        let added = Added::find(wanted)?;
        let mut draft = writer.begin()?;
        match added.make(&mut draft.tree) {
            Err(Error::Changing) => continue,
            made => made?,
        }
        let entries = &added.layout.entries;
        draft.explain(entries.iter().map(|Entry { path, because, .. }| (&**path, &**because)))?;
        return Ok(writer.finish(draft, name, wanted.words(), None)?);
    }
    Err(Error::Changing)
}

/// What is wanted of the host, as it was found.
pub(crate) struct Added {
    layout: Layout,
    /// What it was found by.
    facts: Vec<u8>,
}

impl std::fmt::Debug for Added {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Added").field("entries", &self.layout.entries).finish_non_exhaustive()
    }
}

impl Added {
    /// Finds it.
    pub(crate) fn find(wanted: &Wanted) -> Result<Added, Error> {
        let layout = resolve(wanted)?.finish()?;
        let facts = facts::write(&layout.tree);
        Ok(Added { layout, facts })
    }

    /// Gives all that [`Added::make`] makes to a hash.
    pub(crate) fn hash(&self, add: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        for Entry { path, kind, .. } in &self.layout.entries {
            add(inside(path));
            let mode = copied(self.layout.tree.mode(path).unwrap_or(0)).to_le_bytes();
            match kind {
                Kind::Dir => [b"directory", mode.as_slice()].into_iter().for_each(&mut *add),
                Kind::Link { target } => [b"link", target.as_os_str().as_bytes()].into_iter().for_each(&mut *add),
                Kind::File => {
                    [b"file", mode.as_slice(), hash(&self.layout, path)?.as_slice()].into_iter().for_each(&mut *add)
                }
            }
        }
        Ok(())
    }

    /// Makes it in a tree; what that has already must be the same, but for directories.
    pub(crate) fn make(&self, tree: &mut Tree) -> Result<(), Error> {
        fill(&self.layout, tree)?;
        if facts::hold(&self.facts) { Ok(()) } else { Err(Error::Changing) }
    }
}

/// Makes all of a layout in a tree. What the tree has already stays, and must be the same; directories may be others.
fn fill(layout: &Layout, tree: &mut Tree) -> Result<(), Error> {
    let mut names: HashMap<(u64, u64), &Path> = HashMap::new();
    for Entry { path, kind, .. } in &layout.entries {
        let to = inside(path);
        if let Some(there) = tree.there(to).map_err(failed(path))? {
            match same(layout, path, kind, tree, &there)? {
                true => continue,
                false => return Err(Error::Clash { path: path.clone() }),
            }
        }
        match kind {
            Kind::Dir => {
                let (tv_sec, tv_nsec) = layout.tree.modified(path).unwrap_or_default();
                let mode = copied(layout.tree.mode(path).unwrap_or(0o700)) | 0o700;
                tree.directory(to, with_mode(mode), Timespec { tv_sec, tv_nsec }).map_err(failed(path))?;
            }
            Kind::Link { target } => {
                let text = target.as_os_str().as_bytes();
                tree.link(to, text, with_mode(0o777), epoch()).map_err(failed(path))?;
            }
            Kind::File => match layout.tree.identity(path).and_then(|id| names.insert(id, path)) {
                Some(first) => tree.hard_link(to, inside(first)).map_err(failed(path))?,
                None => file(layout, path, tree)?,
            },
        }
    }
    for name in DIRECTORIES {
        let at = Path::new(name);
        if tree.there(name.as_bytes()).map_err(failed(at))?.is_none() {
            tree.directory(name.as_bytes(), with_mode(0o755), epoch()).map_err(failed(at))?;
        }
    }
    for (name, text) in FILES {
        let at = Path::new(name);
        if tree.there(name.as_bytes()).map_err(failed(at))?.is_none() {
            tree.put(name.as_bytes(), 0o644, text.as_bytes()).map_err(failed(at))?;
        }
    }
    Ok(())
}

/// Whether what the tree has at a path of a layout is what the layout has there.
fn same(layout: &Layout, path: &Path, kind: &Kind, tree: &mut Tree, there: &Stat) -> Result<bool, Error> {
    let found = FileType::from_raw_mode(there.st_mode);
    match kind {
        Kind::Dir => Ok(found.is_dir()),
        Kind::Link { target } => tree.leads(inside(path), target.as_os_str().as_bytes()).map_err(failed(path)),
        Kind::File => {
            let noted = tree.note(there).and_then(|note| note.hash).filter(|_| found.is_file());
            Ok(noted.is_some() && noted == Some(hash(layout, path)?))
        }
    }
}

/// The hash of a file's content on the host.
fn hash(layout: &Layout, path: &Path) -> Result<Hash, Error> {
    let (file, _) = layout.tree.open(path)?;
    hash_content(file).map_err(failed(path))
}

fn with_mode(mode: u32) -> Facts {
    Facts { mode, ..Facts::default() }
}

fn file(layout: &Layout, path: &Path, tree: &mut Tree) -> Result<(), Error> {
    let (mut source, status) = layout.tree.open(path)?;
    let modified = Timespec { tv_sec: status.mtime(), tv_nsec: status.mtime_nsec() };
    let made = tree.file(inside(path), with_mode(copied(status.mode())), modified, |sink| sink.whole(&mut source));
    made.map_err(failed(path))
}

fn failed<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> Error {
    move |source| Error::Make { path: path.to_owned(), source: source.into() }
}

fn inside(path: &Path) -> &[u8] {
    path.strip_prefix("/").unwrap_or(path).as_os_str().as_bytes()
}
