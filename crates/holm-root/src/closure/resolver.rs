//! The search for programs: names, scripts and their interpreters, and what all searches share.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::cache::{self, Cache};
use super::elf::{self, Object, Target};
use super::extra::Opens;
use super::layout::Layout;
use super::loader::{self, CACHE, Loader};
use super::reader::{Fault, Reader};
use super::script::{self, Script};
use super::tree::{Found, Node, Tree, Walked, looping};
use super::{Error, Lack, Levels, Missing, PATH};

/// Scripts whose interpreter is a script: execve(2).
const SCRIPTS: usize = 4;

/// What a file is, as far as starting a program goes.
#[derive(Clone)]
pub(crate) enum Content {
    Elf(Rc<Object>),
    Script(Rc<Script>),
    Other,
}

pub(crate) struct Resolver {
    pub(crate) layout: Layout,
    pub(super) missing: Vec<Missing>,
    contents: HashMap<PathBuf, Content>,
    /// By real path, for the machine that the asking object is of.
    pub(super) loaders: HashMap<(PathBuf, Target), Rc<Loader>>,
    cache: Option<Rc<Cache>>,
    /// Real paths of programs, interpreters among them.
    pub(crate) programs: BTreeSet<PathBuf>,
    pub(super) opens: Vec<Opens>,
    /// Objects of which it is noted what they open.
    pub(super) opening: HashSet<PathBuf>,
    /// Files of trees and packages that weren't placed, since not everybody may read them.
    pub(crate) left_out: Vec<PathBuf>,
}

/// A program that is asked for.
struct Ask {
    name: OsString,
    because: PathBuf,
    role: Role,
}

enum Role {
    Program,
    /// The interpreter of a script that is itself so many scripts deep.
    Interpreter(usize),
}

impl Resolver {
    pub(crate) fn new(root: &Path) -> Result<Resolver, Error> {
        Ok(Resolver {
            layout: Layout::new(Tree::new(root)?),
            missing: Vec::new(),
            contents: HashMap::new(),
            loaders: HashMap::new(),
            cache: None,
            programs: BTreeSet::new(),
            opens: Vec::new(),
            opening: HashSet::new(),
            left_out: Vec::new(),
        })
    }

    /// Ends the search.
    ///
    /// # Errors
    /// What was missing.
    pub(crate) fn finish(self) -> Result<Layout, Error> {
        let mut missing: Vec<Error> = self.missing.into_iter().map(Error::from).collect();
        match missing.len() {
            0 => Ok(self.layout),
            1 => Err(missing.remove(0)),
            _ => Err(Error::Several(missing)),
        }
    }

    pub(crate) fn into_missing(self) -> Vec<Missing> {
        self.missing
    }

    /// Notes that something isn't there; the search goes on.
    pub(crate) fn lacks(&mut self, name: &OsStr, needed_by: &Path, what: Lack) {
        let missing = Missing { name: name.to_owned(), needed_by: needed_by.to_owned(), what };
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
    }

    /// Places a program and all that it needs to start.
    pub(crate) fn program(&mut self, name: &OsStr, because: &Path) -> Result<(), Error> {
        let mut ahead = vec![Ask { name: name.to_owned(), because: because.to_owned(), role: Role::Program }];
        while let Some(ask) = ahead.pop() {
            let Some(found) = self.find(&ask)? else { continue };
            self.layout.place(&found, &ask.because);
            let first = self.programs.insert(found.real.clone());
            let depth = match ask.role {
                Role::Program if !first => continue,
                Role::Program => 0,
                Role::Interpreter(depth) => depth,
            };
            match self.content(&found.real)? {
                Content::Elf(object) if first => self.load(&found.real, object)?,
                Content::Elf(_) => {}
                Content::Script(_) if depth >= SCRIPTS => {
                    return Err(Error::Loop { path: found.real, of: Levels::Scripts });
                }
                Content::Script(script) => ahead.extend(asks(&script, &found.real, depth)),
                Content::Other => {
                    return Err(Error::Malformed { path: found.real, cause: "it is neither an ELF file nor a script" });
                }
            }
        }
        Ok(())
    }

    fn find(&mut self, ask: &Ask) -> Result<Option<Found>, Error> {
        let path = Path::new(&ask.name);
        let plain = !ask.name.as_encoded_bytes().contains(&b'/');
        let lack = match ask.role {
            Role::Program if !plain && path.is_relative() => return Err(Error::Relative { name: ask.name.clone() }),
            Role::Program if plain => return self.find_on_path(ask),
            Role::Program => Lack::Program,
            Role::Interpreter(_) => Lack::Interpreter(None),
        };
        if path.is_absolute() {
            match self.layout.tree.walk(path)? {
                Walked::At(found) if matches!(found.node, Node::File(_)) => return Ok(Some(found)),
                Walked::At(_) | Walked::Absent => {}
                Walked::Loop => return Err(looping(path)),
            }
        }
        self.lacks(&ask.name, &ask.because, lack);
        Ok(None)
    }

    fn find_on_path(&mut self, ask: &Ask) -> Result<Option<Found>, Error> {
        for dir in PATH {
            if let Walked::At(found) = self.layout.tree.walk(&Path::new(dir).join(&ask.name))?
                && matches!(found.node, Node::File(stamp) if stamp.mode & 0o111 != 0)
            {
                return Ok(Some(found));
            }
        }
        self.lacks(&ask.name, &ask.because, Lack::Program);
        Ok(None)
    }

    /// Tells what the regular file at a real path is.
    pub(crate) fn content(&mut self, real: &Path) -> Result<Content, Error> {
        if let Some(content) = self.contents.get(real) {
            return Ok(content.clone());
        }
        let (file, status) = self.layout.tree.open(real)?;
        let content = read_content(&file, status.len()).map_err(|fault| at(real, fault))?;
        self.contents.insert(real.to_owned(), content.clone());
        Ok(content)
    }

    /// The machine that the program at a real path is for, if it isn't this one.
    pub(crate) fn foreign(&mut self, real: &Path) -> Result<Option<&'static str>, Error> {
        Ok(match self.content(real)? {
            Content::Elf(object) => loader::foreign(object.target),
            Content::Script(_) | Content::Other => None,
        })
    }

    /// Places and describes the loader of an object. One that names none gets its machine's usual one, not placed.
    pub(crate) fn loader(&mut self, real: &Path, object: &Object) -> Result<Rc<Loader>, Error> {
        let path = match &object.interpreter {
            Some(path) => Some(Path::new(path)),
            None => loader::usual_path(object.target),
        };
        let found = match path.filter(|path| path.is_absolute()).map(|path| self.layout.tree.walk(path)) {
            Some(walked) => walked?,
            None => Walked::Absent,
        };
        let found = match found {
            Walked::At(found) if matches!(found.node, Node::File(_)) => Some(found),
            Walked::At(_) | Walked::Absent | Walked::Loop => None,
        };
        if let Some(name) = &object.interpreter {
            match &found {
                Some(found) => self.layout.place(found, real),
                None => self.lacks(name, real, Lack::Interpreter(loader::foreign(object.target))),
            }
        }
        let key = (found.as_ref().map(|found| found.real.clone()).unwrap_or_default(), object.target);
        if let Some(known) = self.loaders.get(&key) {
            return Ok(Rc::clone(known));
        }
        let loader = Rc::new(self.describe(path.unwrap_or(Path::new("")), found.as_ref(), object.target)?);
        self.loaders.insert(key, Rc::clone(&loader));
        Ok(loader)
    }

    fn describe(&mut self, path: &Path, found: Option<&Found>, target: Target) -> Result<Loader, Error> {
        let mut names = vec![path.as_os_str().to_owned()];
        if let Some(found) = found {
            match self.content(&found.real)? {
                Content::Elf(object) => names.extend(object.soname.clone()),
                Content::Script(_) | Content::Other => {
                    let cause = "it is named as a program's loader but isn't an ELF file";
                    return Err(Error::Malformed { path: found.real.clone(), cause });
                }
            }
        }
        let mut loader = if loader::is_musl(path) {
            let config = match loader::musl_config(path) {
                Some(config) => self.place_if_there(&config, path)?.map(|found| self.bytes(&found.real, cache::LIMIT)),
                None => None,
            };
            Loader::musl(config.transpose()?)
        } else {
            let bytes = match found {
                Some(found) => self.bytes(&found.real, loader::LIMIT)?,
                None => Vec::new(),
            };
            Loader::glibc(&bytes, target, self.cache()?)
        };
        loader.names = names;
        Ok(loader)
    }

    fn cache(&mut self) -> Result<Rc<Cache>, Error> {
        if let Some(cache) = &self.cache {
            return Ok(Rc::clone(cache));
        }
        let cache = match self.layout.tree.walk(Path::new(CACHE))? {
            Walked::At(found) if matches!(found.node, Node::File(_)) => {
                Cache::parse(self.bytes(&found.real, cache::LIMIT)?)
            }
            _ => Cache::default(),
        };
        Ok(Rc::clone(self.cache.insert(Rc::new(cache))))
    }

    /// Places the file at `path`, if there is one.
    pub(crate) fn place_if_there(&mut self, path: &Path, because: &Path) -> Result<Option<Found>, Error> {
        let Walked::At(found) = self.layout.tree.walk(path)? else { return Ok(None) };
        if !matches!(found.node, Node::File(_)) {
            return Ok(None);
        }
        self.layout.place(&found, because);
        Ok(Some(found))
    }

    /// Reads a whole file, or nothing if it is larger than `limit` bytes.
    pub(crate) fn bytes(&self, real: &Path, limit: u64) -> Result<Vec<u8>, Error> {
        let (file, status) = self.layout.tree.open(real)?;
        let read = || {
            let reader = Reader::new(&file, status.len())?;
            let size = if reader.len() > limit { 0 } else { reader.len() };
            reader.part(0, size, "").map(std::borrow::Cow::into_owned)
        };
        read().map_err(|fault| at(real, fault))
    }
}

fn read_content(file: &std::fs::File, len: u64) -> Result<Content, Fault> {
    let reader = Reader::new(file, len)?;
    let head = reader.head();
    if head.starts_with(b"\x7fELF") {
        return elf::parse(&reader).map(|object| Content::Elf(Rc::new(object)));
    }
    Ok(script::parse(head).map_or(Content::Other, |script| Content::Script(Rc::new(script))))
}

fn asks(script: &Script, real: &Path, depth: usize) -> impl Iterator<Item = Ask> {
    let interpreter = (script.interpreter.clone().into_os_string(), Role::Interpreter(depth + 1));
    let program = script.program.clone().map(|program| (program, Role::Program));
    let because = real.to_owned();
    let ask = move |(name, role)| Ask { name, because: because.clone(), role };
    // The last one is taken up first.
    program.into_iter().chain([interpreter]).map(ask)
}

fn at(path: &Path, fault: Fault) -> Error {
    match fault {
        Fault::Malformed(cause) => Error::Malformed { path: path.to_owned(), cause },
        Fault::Io(source) => Error::Read { path: path.to_owned(), source },
    }
}
