//! Which files a program needs in order to start, found by reading them.
//!
//! The order of things: a name is looked up on [`PATH`]; a script leads to its interpreter; an ELF file leads to its
//! loader (`PT_INTERP`) and, breadth first as the loader itself goes, to its libraries. Each path is walked part by
//! part, and every directory and symbolic link passed on the way becomes an [`Entry`] of its own, so that a copy of
//! the entries has the same shape as the original (`/lib64` stays a link to `usr/lib64`).
//!
//! This module must not execute anything, must not write, and must not trust what it reads: files may be hostile,
//! and so may the tree they are in. What a program opens later by itself (`dlopen`, data files) isn't found here.
//!
//! Sources: ld.so(8), execve(2), the System V ABI's chapter on dynamic linking, and the loaders of glibc and musl.

mod cache;
mod elf;
mod extra;
pub(crate) mod layout;
mod load;
mod loader;
mod note;
mod reader;
pub(crate) mod resolver;
mod script;
mod search;
mod token;
pub(crate) mod tree;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use holm::model::text::cause;
use resolver::Resolver;

/// Directories in which a program's name is looked up, first match first.
pub const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// One thing that must exist in the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it must exist: absolute, without `.`, `..` or a symbolic link before its last part.
    pub path: PathBuf,
    /// What must be there.
    pub kind: Kind,
    /// What asked for it: the program as named by the caller, or the file that needs it.
    pub because: PathBuf,
}

/// What an [`Entry`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A symbolic link.
    Link {
        /// The link's text, as it is: it may be relative.
        target: PathBuf,
    },
    /// A regular file with the contents of the one at the same path.
    File,
}

/// Something a program needs that isn't there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is missing, as the file that needs it spells it.
    pub name: OsString,
    /// The file that needs it; the program itself if that is what is missing.
    pub needed_by: PathBuf,
    /// What it would have been.
    pub what: Lack,
}

/// How a [`Missing`] thing is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// No such program.
    Program,
    /// No such loader, or no such interpreter of a script; with the machine that the program is for, if not this one.
    Interpreter(Option<&'static str>),
    /// No such shared library, or only ones of another machine.
    Library,
    /// It is there, but can't be used. Nothing behind it was looked at.
    Unusable {
        /// The reason, as one line.
        cause: String,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, by) = (self.name.display(), self.needed_by.display());
        match &self.what {
            Lack::Program => write!(f, "program {name}"),
            Lack::Interpreter(machine) => write!(f, "interpreter {name}, needed by {by}{}", of(*machine)),
            Lack::Library => write!(f, "library {name}, needed by {by}"),
            Lack::Unusable { cause } => write!(f, "{cause}"),
        }
    }
}

/// Why a closure can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such program.
    #[error("cannot find program {}: no such executable file{}", name.display(), searched(name))]
    NotFound {
        /// As the caller or a script named it.
        name: OsString,
    },
    /// A program named by a relative path.
    #[error("cannot find program {}: it must be a plain name or an absolute path", name.display())]
    Relative {
        /// As the caller named it.
        name: OsString,
    },
    /// The loader of a program, or the interpreter of a script, doesn't exist.
    #[error("cannot find interpreter {}: no such file, but {} needs it{}", name.display(), needed_by.display(), of(*machine))]
    MissingInterpreter {
        /// The machine that the program is for, if it isn't this one.
        machine: Option<&'static str>,
        /// The file that needs it.
        needed_by: PathBuf,
        /// As that file spells it.
        name: OsString,
    },
    /// A shared library doesn't exist, or only for another machine.
    #[error("cannot find library {}: no such file, but {} needs it", name.display(), needed_by.display())]
    MissingLibrary {
        /// The file that needs it.
        needed_by: PathBuf,
        /// As that file spells it.
        name: OsString,
    },
    /// Two or more of the errors above.
    #[error("{}", .0.iter().map(Error::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Error>),
    /// A file that isn't what it has to be.
    #[error("cannot read {}: {cause}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// Symbolic links, or scripts that interpret each other, without an end.
    #[error("cannot follow {}: too many levels of {}", path.display(), of.words())]
    Loop {
        /// Where it began.
        path: PathBuf,
        /// Levels of what.
        of: Levels,
    },
    /// More paths looked at than any honest set of programs needs.
    #[error("cannot look at {}: {limit} paths were looked at before it, which is the limit", path.display())]
    TooMany {
        /// The path that was one too many.
        path: PathBuf,
        /// How many are allowed.
        limit: usize,
    },
    /// The system refused.
    #[error("cannot read {}: {}", path.display(), cause(source))]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// What an [`Error::Loop`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Levels {
    /// Symbolic links in one path; 40 are allowed (path_resolution(7)).
    Links,
    /// Scripts whose interpreter is a script; 4 are allowed (execve(2)).
    Scripts,
}

impl Levels {
    fn words(self) -> &'static str {
        match self {
            Levels::Links => "symbolic links",
            Levels::Scripts => "interpreters",
        }
    }
}

/// Words behind a missing loader's name.
fn of(machine: Option<&str>) -> String {
    machine.map(|machine| format!(", a program for {machine}")).unwrap_or_default()
}

fn searched(name: &OsStr) -> String {
    match name.as_encoded_bytes().contains(&b'/') {
        true => String::new(),
        false => format!(" in {}", PATH.join(":")),
    }
}

impl From<Missing> for Error {
    fn from(missing: Missing) -> Error {
        let Missing { name, needed_by, what } = missing;
        match what {
            Lack::Program => Error::NotFound { name },
            Lack::Library => Error::MissingLibrary { needed_by, name },
            Lack::Interpreter(machine) => Error::MissingInterpreter { machine, needed_by, name },
            Lack::Unusable { .. } => Error::MissingInterpreter { machine: None, needed_by, name },
        }
    }
}

/// Finds everything `programs` need to start: plain names, looked up on [`PATH`], or absolute paths.
///
/// Paths are resolved inside `root`, so that absolute links in it stay inside; it is `/` for the host's own programs.
/// Directories and links come before what is found through them.
///
/// # Errors
/// Every program, interpreter or library that doesn't exist; a file that isn't ELF where it has to be, or is
/// malformed; a loop of links; a file that can't be read. A file that isn't ELF counts as a program if it starts
/// with `#!`.
pub fn closure(programs: &[OsString], root: &Path) -> Result<Vec<Entry>, Error> {
    let mut resolver = Resolver::new(root)?;
    for name in programs {
        resolver.program(name, Path::new(name))?;
    }
    resolver.finish().map(|layout| layout.entries)
}

/// Lists all that the one program at `program` needs and that doesn't exist inside `root`.
///
/// `program` is a path inside `root`. The list is empty if the program should start. A malformed file ends the
/// search there, as [`Lack::Unusable`], the last item.
pub fn missing(program: &Path, root: &Path) -> Vec<Missing> {
    let unusable = |error: Error| Missing {
        name: program.as_os_str().to_owned(),
        needed_by: program.to_owned(),
        what: Lack::Unusable { cause: error.to_string() },
    };
    let mut resolver = match Resolver::new(root) {
        Ok(resolver) => resolver,
        Err(error) => return vec![unusable(error)],
    };
    let end = resolver.program(program.as_os_str(), program);
    let mut all = resolver.into_missing();
    all.extend(end.err().map(unusable));
    all
}
