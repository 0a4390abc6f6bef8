//! What is placed beside a closure: trees, single files and libraries that no file states a need for.
//!
//! Nobody asked for each of these files by name, so they are taken more carefully than a program is. What not everybody
//! may read isn't taken, so that no key or password comes along, and root gets what an ordinary user gets. A link is
//! followed to a file, but no directory is listed that a link leads to. And what an extra file itself lacks is no error:
//! the host lacks it, too.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::elf::{Defaults, Object, Target};
use super::loader::{Family, Loader};
use super::resolver::{Content, Resolver};
use super::search::{Library, Need};
use super::tree::{Found, Node, Walked};
use super::{Error, Kind};

/// Directories deeper than this below a placed one are left out.
const DEPTH: usize = 16;

/// What an object opens while it runs, by its own words.
pub(crate) struct Opens {
    by: PathBuf,
    target: Target,
    loader: Rc<Loader>,
    dirs: Vec<PathBuf>,
    features: Vec<Vec<OsString>>,
}

impl Resolver {
    /// Notes what a loaded object opens later, once.
    pub(super) fn note_opens(&mut self, real: &Path, object: &Object, loader: &Rc<Loader>, dirs: Vec<PathBuf>) {
        if !object.opened.is_empty() && self.opening.insert(real.to_owned()) {
            let (by, features) = (real.to_owned(), object.opened.clone());
            self.opens.push(Opens { by, target: object.target, loader: Rc::clone(loader), dirs, features });
        }
    }

    /// Places what the objects so far open later, and what those libraries open.
    pub(crate) fn place_opened(&mut self) -> Result<(), Error> {
        while let Some(opens) = self.opens.pop() {
            let because = PathBuf::from(format!("rule opened: {} says that it opens this", opens.by.display()));
            for names in &opens.features {
                for name in names {
                    let Opens { target, loader, dirs, .. } = &opens;
                    let (target, defaults) = (*target, Defaults::Allowed);
                    let need = Need { name, target, loader, dirs, defaults, because: &because };
                    if self.place_needed(&need)? {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Places the library `name`, if the programs' loader finds it.
    pub(crate) fn library(&mut self, name: &OsStr, because: &Path) -> Result<(), Error> {
        for (loader, target) in self.loaders_met() {
            let defaults = Defaults::Allowed;
            self.place_needed(&Need { name, target, loader: &loader, dirs: &[], defaults, because })?;
        }
        Ok(())
    }

    /// Places what serves a need; whether anything does.
    fn place_needed(&mut self, need: &Need<'_>) -> Result<bool, Error> {
        let found = self.forgiven(|resolver| {
            let libraries = resolver.search(need)?;
            let any = !libraries.is_empty();
            for Library { found, object, .. } in libraries {
                resolver.layout.place(&found, need.because);
                resolver.load(&found.real, object)?;
            }
            Ok(any)
        })?;
        Ok(found.unwrap_or(false))
    }

    /// The directories of this name beside the libraries that the programs' loaders know.
    pub(crate) fn beside_libraries(&self, name: &str) -> Vec<PathBuf> {
        let loaders = self.loaders_met();
        let mut all: Vec<PathBuf> =
            loaders.iter().flat_map(|(loader, _)| &loader.dirs).map(|dir| dir.join(name)).collect();
        all.sort();
        all.dedup();
        all
    }

    /// The loaders that the programs so far have, without musl's, which has no extras.
    fn loaders_met(&self) -> Vec<(Rc<Loader>, Target)> {
        let glibc = |loader: &Loader| matches!(loader.family, Family::Glibc(_));
        let mut all: Vec<_> = self.loaders.iter().filter(|(_, loader)| glibc(loader)).collect();
        all.sort_by(|one, other| one.0.0.cmp(&other.0.0));
        all.into_iter().map(|((_, target), loader)| (Rc::clone(loader), *target)).collect()
    }

    /// Adds the link at `path` and what it leads to, if it is a link.
    pub(crate) fn link(&mut self, path: &Path, because: &Path) -> Result<(), Error> {
        if let Walked::At(found) = self.layout.tree.walk(path)?
            && found.passed.iter().any(|(passed, kind)| passed == path && matches!(kind, Kind::Link { .. }))
        {
            self.layout.place(&found, because);
        }
        Ok(())
    }

    /// Adds what is at `path`, if anything is; a directory with all that is below it, but for names to skip.
    pub(crate) fn tree(&mut self, path: &Path, skip: impl Fn(&OsStr) -> bool, because: &Path) -> Result<(), Error> {
        let Walked::At(top) = self.layout.tree.walk(path)? else { return Ok(()) };
        let mut ahead = vec![(top, 0)];
        while let Some((found, depth)) = ahead.pop() {
            self.extra(&found, because)?;
            if !matches!(found.node, Node::Dir(_)) || depth >= DEPTH || !self.is_public(&found) {
                continue;
            }
            for name in self.layout.tree.list(&found.real)?.into_iter().rev().filter(|name| !skip(name.as_os_str())) {
                // The way to the directory has been placed, so that no part of it is looked at again.
                match self.layout.tree.below(&found.real, &name)? {
                    Some(Walked::At(next)) => ahead.push((next, depth + 1)),
                    Some(Walked::Absent | Walked::Loop) => {}
                    None => match self.layout.tree.walk(&found.real.join(name))? {
                        Walked::At(next) => self.extra(&next, because)?,
                        Walked::Absent | Walked::Loop => {}
                    },
                }
            }
        }
        Ok(())
    }

    /// Adds one file or directory, and the way to it; with an object comes what it loads.
    pub(crate) fn extra(&mut self, found: &Found, because: &Path) -> Result<(), Error> {
        if !self.is_public(found) {
            self.left_out.push(found.real.clone());
            return Ok(());
        }
        self.layout.place(found, because);
        let Node::File(stamp) = found.node else { return Ok(()) };
        if stamp.mode & 0o111 == 0 && !has_name_of_object(&found.real) {
            return Ok(());
        }
        let real = &found.real;
        self.forgiven(|resolver| match resolver.content(real)? {
            Content::Elf(object) => resolver.load(real, object),
            Content::Script(_) | Content::Other => Ok(()),
        })?;
        Ok(())
    }

    /// Whether everybody may read what was found, and reach it.
    fn is_public(&self, found: &Found) -> bool {
        let passable = |(path, kind): &(PathBuf, Kind)| {
            *kind != Kind::Dir || self.layout.tree.mode(path).is_some_and(|mode| mode & 0o001 != 0)
        };
        let readable = match &found.node {
            Node::File(stamp) => stamp.mode & 0o004 != 0,
            Node::Dir(stamp) => stamp.mode & 0o005 == 0o005,
            Node::Absent | Node::Link(_) | Node::Other => false,
        };
        readable && found.passed.iter().all(passable)
    }

    /// Does what may fail for reasons that are the host's: a missing library, a malformed file.
    pub(crate) fn forgiven<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<Option<T>, Error> {
        let missing = self.missing.len();
        let done = act(self);
        self.missing.truncate(missing);
        match done {
            Ok(done) => Ok(Some(done)),
            Err(Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => Ok(None),
            Err(error @ (Error::TooMany { .. } | Error::Read { .. })) => Err(error),
            Err(_) => Ok(None),
        }
    }
}

/// Whether a file is called as shared objects are: `NAME.so`, `NAME.so.1`.
fn has_name_of_object(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.ends_with(b".so") || name.windows(4).any(|part| part == b".so.")
}
