//! The search for one library: the object's own directories, the cache, the loader's directories.
//!
//! The loader takes the first match that the processor can use. Here every tuned copy (glibc-hwcaps) on the way to
//! the first plain one is taken as well as that, so that the result holds on any processor of the machine's kind.
//!
//! Source: ld.so(8); glibc's elf/dl-load.c `_dl_map_object`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::cache::Variety;
use super::elf::{Defaults, Object, Target};
use super::loader::{self, Family, Loader};
use super::resolver::{Content, Resolver};
use super::tree::{Found, Node, Walked};
use super::{Error, loader::CACHE};

/// One library that an object asks for.
pub(crate) struct Need<'a> {
    /// A plain name, or an absolute path.
    pub(crate) name: &'a OsStr,
    pub(crate) target: Target,
    pub(crate) loader: &'a Loader,
    /// The directories that RPATH or RUNPATH give.
    pub(crate) dirs: &'a [PathBuf],
    pub(crate) defaults: Defaults,
    /// The file that asks.
    pub(crate) because: &'a Path,
}

/// A library that serves a need.
pub(crate) struct Library {
    /// The path by which the loader opens it; links in it are as they are.
    pub(crate) path: PathBuf,
    pub(crate) found: Found,
    pub(crate) object: Rc<Object>,
}

/// Whether a search may stop.
#[derive(PartialEq, Eq)]
enum Search {
    Done,
    On,
}

impl Resolver {
    /// Finds what serves a need, best first; nothing if nothing does.
    pub(crate) fn search(&mut self, need: &Need<'_>) -> Result<Vec<Library>, Error> {
        let mut all = Vec::new();
        if need.name.as_encoded_bytes().contains(&b'/') {
            all.extend(self.candidate(Path::new(need.name), need.target)?);
            return Ok(all);
        }
        for dir in need.dirs {
            if self.search_dir(dir, need, &mut all)? == Search::Done {
                return Ok(all);
            }
        }
        if self.search_cache(need, &mut all)? == Search::Done || need.defaults == Defaults::Refused {
            return Ok(all);
        }
        for dir in &need.loader.dirs {
            if self.search_dir(dir, need, &mut all)? == Search::Done {
                break;
            }
        }
        Ok(all)
    }

    fn search_dir(&mut self, dir: &Path, need: &Need<'_>, all: &mut Vec<Library>) -> Result<Search, Error> {
        let tunings = match need.loader.family {
            Family::Glibc(_) => loader::tunings(need.target),
            Family::Musl => &[],
        };
        let tuned = dir.join("glibc-hwcaps");
        if !tunings.is_empty() && matches!(self.layout.tree.walk(&tuned)?, Walked::At(_)) {
            for tuning in tunings {
                all.extend(self.candidate(&tuned.join(tuning).join(need.name), need.target)?);
            }
        }
        let plain = self.candidate(&dir.join(need.name), need.target)?;
        let search = if plain.is_some() { Search::Done } else { Search::On };
        all.extend(plain);
        Ok(search)
    }

    fn search_cache(&mut self, need: &Need<'_>, all: &mut Vec<Library>) -> Result<Search, Error> {
        let Family::Glibc(cache) = &need.loader.family else { return Ok(Search::On) };
        for (path, variety) in cache.lookup(need.name) {
            // The cache also lists the default directories, which this object doesn't want.
            let refused =
                need.defaults == Defaults::Refused && need.loader.dirs.iter().any(|dir| path.starts_with(dir));
            if refused || !path.is_absolute() {
                continue;
            }
            let Some(library) = self.candidate(path, need.target)? else { continue };
            all.push(library);
            if !path.parent().is_some_and(|dir| need.loader.knows(dir)) {
                // Without its cache the loader wouldn't look there.
                self.place_if_there(Path::new(CACHE), need.because)?;
            }
            if variety == Variety::Plain {
                return Ok(Search::Done);
            }
        }
        Ok(Search::On)
    }

    /// Looks whether the file at `path` can be loaded into a process of the target.
    fn candidate(&mut self, path: &Path, target: Target) -> Result<Option<Library>, Error> {
        let Walked::At(found) = self.layout.tree.walk(path)? else { return Ok(None) };
        if !matches!(found.node, Node::File(_)) {
            return Ok(None);
        }
        match self.content(&found.real)? {
            Content::Elf(object) if object.target == target => {
                Ok(Some(Library { path: path.to_owned(), found, object }))
            }
            // Of another machine or class: the loader searches on.
            Content::Elf(_) => Ok(None),
            // The loader would stop here with "invalid ELF header".
            Content::Script(_) | Content::Other => {
                Err(Error::Malformed { path: found.real, cause: "it has the name of a library but isn't an ELF file" })
            }
        }
    }
}
