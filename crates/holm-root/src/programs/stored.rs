//! A root of programs in the store. There all belongs to user 0, so that the root's id depends on the files alone.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::Timespec;

use super::copy::copied;
use super::skeleton::{DIRECTORIES, FILES};
use super::{Error, TRIES, Wanted, facts, resolve};
use crate::closure::layout::Layout;
use crate::closure::{Entry, Kind};
use crate::store::draft::check_name;
use crate::store::listing::Facts;
use crate::store::{Metadata, Writer};
use crate::tree::Tree;

/// Stores a root of what is wanted under a name, with the reason for each file.
///
/// # Errors
/// Those of [`super::root`]; the name is another root's; no space is left.
pub fn store(wanted: &Wanted, writer: &Writer, name: &str) -> Result<Metadata, Error> {
    check_name(name)?;
    for _ in 0..TRIES {
        let layout = resolve(wanted)?.finish()?;
        let facts = facts::write(&layout.tree);
        let mut draft = writer.begin()?;
        fill(&layout, &mut draft.tree)?;
        if facts::hold(&facts) {
            draft.explain(layout.entries.iter().map(|Entry { path, because, .. }| (&**path, &**because)))?;
            return Ok(writer.finish(draft, name, wanted.words(), None)?);
        }
    }
    Err(Error::Changing)
}

fn fill(layout: &Layout, tree: &mut Tree) -> Result<(), Error> {
    let mut names: HashMap<(u64, u64), &Path> = HashMap::new();
    for Entry { path, kind, .. } in &layout.entries {
        let to = inside(path);
        match kind {
            Kind::Dir => {
                let (tv_sec, tv_nsec) = layout.tree.modified(path).unwrap_or_default();
                let mode = copied(layout.tree.mode(path).unwrap_or(0o700)) | 0o700;
                tree.directory(to, with_mode(mode), Timespec { tv_sec, tv_nsec }).map_err(failed(path))?;
            }
            Kind::Link { target } => {
                let text = target.as_os_str().as_bytes();
                tree.link(to, text, with_mode(0o777), EPOCH).map_err(failed(path))?;
            }
            Kind::File => match layout.tree.identity(path).and_then(|id| names.insert(id, path)) {
                Some(first) => tree.hard_link(to, inside(first)).map_err(failed(path))?,
                None => file(layout, path, tree)?,
            },
        }
    }
    let there = |path: &Path| layout.entries.iter().any(|entry| entry.path == path);
    for name in DIRECTORIES.iter().filter(|name| !there(&Path::new("/").join(name))) {
        tree.directory(name.as_bytes(), with_mode(0o755), EPOCH).map_err(failed(Path::new(name)))?;
    }
    for (name, text) in FILES.iter().filter(|(name, _)| !there(&Path::new("/").join(name))) {
        let made = tree.file(name.as_bytes(), with_mode(0o644), EPOCH, |sink| sink.write_all(text.as_bytes()));
        made.map_err(failed(Path::new(name)))?;
    }
    Ok(())
}

const EPOCH: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

fn with_mode(mode: u32) -> Facts {
    Facts { mode, ..Facts::default() }
}

fn file(layout: &Layout, path: &Path, tree: &mut Tree) -> Result<(), Error> {
    let (mut source, status) = layout.tree.open(path)?;
    let modified = Timespec { tv_sec: status.mtime(), tv_nsec: status.mtime_nsec() };
    let made = tree
        .file(inside(path), with_mode(copied(status.mode())), modified, |sink| io::copy(&mut source, sink).map(drop));
    made.map_err(failed(path))
}

fn failed<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> Error {
    move |source| Error::Make { path: path.to_owned(), source: source.into() }
}

fn inside(path: &Path) -> &[u8] {
    path.strip_prefix("/").unwrap_or(path).as_os_str().as_bytes()
}
