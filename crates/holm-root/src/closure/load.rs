//! The load of one program, as its loader would do it: its libraries breadth first, each name once.
//!
//! The order matters. A library that is already loaded serves every later need for its name or its `DT_SONAME`,
//! whatever directories that later object has; and RPATH is inherited along the chain of who first asked for whom.
//!
//! Source: glibc's elf/dl-deps.c `_dl_map_object_deps` and elf/dl-load.c `_dl_map_object`.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::elf::{Hints, Object, Why};
use super::loader::{self, Family, Loader};
use super::resolver::Resolver;
use super::search::{Library, Need};
use super::token::Tokens;
use super::{Error, Lack};

/// An object in the process.
struct Loaded {
    object: Rc<Object>,
    /// Its real path.
    real: PathBuf,
    /// What `$ORIGIN` stands for in it.
    origin: PathBuf,
    /// Its own search directories, expanded.
    dirs: Vec<PathBuf>,
    /// Which object asked for it first.
    by: Option<usize>,
}

struct Process {
    loader: Rc<Loader>,
    /// In the order of loading; the program first.
    objects: Vec<Loaded>,
    /// Names that are served already.
    names: HashSet<OsString>,
    files: HashSet<PathBuf>,
}

impl Resolver {
    /// Places all that the ELF program at `real` loads when it starts, its loader included.
    pub(crate) fn load(&mut self, real: &Path, object: Rc<Object>) -> Result<(), Error> {
        if object.interpreter.is_none() && object.needed.is_empty() {
            return Ok(());
        }
        let loader = self.loader(real, &object)?;
        let mut process = Process { loader, objects: Vec::new(), names: HashSet::new(), files: HashSet::new() };
        // The kernel tells the loader the program's real path: /proc/self/exe has no links left.
        process.add(real, real, object, None);
        let mut next = 0;
        while let Some(object) = process.objects.get(next).map(|loaded| Rc::clone(&loaded.object)) {
            for (why, text) in &object.needed {
                self.need(&mut process, next, *why, text)?;
            }
            if !object.opened.is_empty() {
                let (real, dirs) = process.place(next);
                self.note_opens(&real, &object, &process.loader, dirs);
            }
            next += 1;
        }
        Ok(())
    }

    fn need(&mut self, process: &mut Process, by: usize, why: Why, text: &OsStr) -> Result<(), Error> {
        let Some(asking) = process.objects.get(by) else { return Ok(()) };
        if why != Why::Needed && matches!(process.loader.family, Family::Musl) {
            return Ok(());
        }
        let because = asking.real.clone();
        let name = asking.tokens(&process.loader).expand(text.as_bytes());
        let Some(name) = name.filter(|name| is_searchable(name)) else {
            if why != Why::Auxiliary {
                self.lacks(text, &because, Lack::Library);
            }
            return Ok(());
        };
        if process.names.contains(&name) || process.loader.is_named(&name) {
            return Ok(());
        }
        let need = Need {
            name: &name,
            target: asking.object.target,
            loader: &process.loader,
            dirs: &process.search_dirs(by),
            defaults: asking.object.defaults,
            because: &because,
        };
        let libraries = self.search(&need)?;
        if libraries.is_empty() && why == Why::Auxiliary {
            return Ok(());
        }
        if libraries.is_empty() {
            self.lacks(&name, &because, Lack::Library);
        }
        process.names.insert(name);
        for Library { path, found, object } in libraries {
            self.layout.place(&found, &because);
            process.add(&path, &found.real, object, Some(by));
        }
        Ok(())
    }
}

impl Process {
    fn add(&mut self, path: &Path, real: &Path, object: Rc<Object>, by: Option<usize>) {
        if !self.files.insert(real.to_owned()) {
            return;
        }
        self.names.extend(object.soname.clone());
        let origin = path.parent().unwrap_or(Path::new("/")).to_owned();
        let mut loaded = Loaded { object, real: real.to_owned(), origin, dirs: Vec::new(), by };
        loaded.dirs = loaded.expanded(&self.loader);
        self.objects.push(loaded);
    }

    /// The real path of an object, and where what it opens is searched first.
    fn place(&self, of: usize) -> (PathBuf, Vec<PathBuf>) {
        let real = self.objects.get(of).map(|loaded| loaded.real.clone());
        (real.unwrap_or_default(), self.search_dirs(of))
    }

    /// Where the needs of an object are searched before the loader's own places.
    fn search_dirs(&self, of: usize) -> Vec<PathBuf> {
        let mut dirs = Vec::new();
        let mut next = Some(of);
        while let Some(loaded) = next.and_then(|index| self.objects.get(index)) {
            match (&loaded.object.hints, &self.loader.family) {
                (Hints::Runpath(_), Family::Glibc(_)) if next == Some(of) => return loaded.dirs.clone(),
                (Hints::Runpath(_), Family::Glibc(_)) | (Hints::None, _) => {}
                // musl treats both alike: ldso/dynlink.c `decode_dyn`.
                (Hints::Rpath(_), _) | (Hints::Runpath(_), Family::Musl) => dirs.extend_from_slice(&loaded.dirs),
            }
            next = loaded.by;
        }
        dirs
    }
}

impl Loaded {
    fn tokens<'a>(&'a self, loader: &'a Loader) -> Tokens<'a> {
        Tokens { origin: &self.origin, lib: loader.lib.as_deref(), platform: loader::platform(self.object.target) }
    }

    fn expanded(&self, loader: &Loader) -> Vec<PathBuf> {
        let (Hints::Rpath(list) | Hints::Runpath(list)) = &self.object.hints else { return Vec::new() };
        let tokens = self.tokens(loader);
        let mut once = HashSet::new();
        // Relative directories depend on where the program is started: neither useful in a root nor safe.
        list.as_bytes()
            .split(|byte| *byte == b':')
            .filter_map(|dir| tokens.expand(dir).map(PathBuf::from))
            .filter(|dir| dir.is_absolute() && once.insert(dir.clone()))
            .collect()
    }
}

/// Whether a name can be looked for: a relative path would depend on where the program is started.
fn is_searchable(name: &OsStr) -> bool {
    let name = name.as_bytes();
    !name.is_empty() && (name.starts_with(b"/") || !name.contains(&b'/'))
}
