//! Roots that hold only named host programs and what they load, kept in a cache.
//!
//! A cache directory holds, below `programs`, for each list of programs (by its hash, `KEY`):
//!
//! | name | what |
//! |---|---|
//! | `KEY` | a link to the generation in use |
//! | `KEY-N/root` | one generation: a complete root; made once, never changed, removed a day after it was replaced |
//! | `KEY-N/facts` | every host path the root was made from, with its status at that time |
//! | `tmp-*` | a generation in the making; under the lock, whatever has such a name was left by a dead builder |
//! | `lock` | locked (flock(2)) while a generation is made |
//!
//! The order of things: if all facts of the generation in use still hold, it is the answer, after one stat call for
//! each. Otherwise, under the lock: look again, since somebody else may have been faster; make the closure; copy it;
//! check the facts once more, since the host may have changed meanwhile; rename; turn the link.
//!
//! What must not happen: a root that is half made is used; a host file is shared with a root by a hard link; a
//! root holds a set-user-id file; a host file or directory that not everybody may read becomes readable by a copy.

mod copy;
mod facts;
mod interpreters;
mod notes;
mod package;
mod rules;
mod skeleton;
mod store;
mod stored;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::closure::resolver::Resolver;
use crate::closure::{self, Entry};
use holm::model::text::cause;
use store::Store;

pub use notes::{Lost, Note};
pub(crate) use stored::Added;
pub use stored::store;

/// How often a root is begun anew because the host's files changed while it was made.
const TRIES: usize = 3;

/// Why a root of programs can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The programs, or what they need, can't be found.
    #[error(transparent)]
    Closure(#[from] closure::Error),
    /// Others could have put anything into the cache.
    #[error("cannot use cache directory {}: {cause}", path.display())]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// Who could have.
        cause: String,
    },
    /// Something in the cache can't be made, moved or locked.
    #[error("cannot make {}: {}", path.display(), cause(source))]
    Make {
        /// What was to be made.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A host file can't be copied.
    #[error("cannot copy {} to {}: {}", from.display(), to.display(), cause(source))]
    Copy {
        /// The host's file.
        from: PathBuf,
        /// The file in the root.
        to: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// No installed package has this name.
    #[error("cannot find package {name}: {}", not_installed(names))]
    NoPackage {
        /// As the caller named it.
        name: String,
        /// Those that are installed; none where dpkg(1) keeps no lists.
        names: Vec<String>,
    },
    /// No rule has this name.
    #[error("cannot find rule @{name}: there are {}", rules::names().collect::<Vec<_>>().join(", "))]
    NoRule {
        /// As the caller named it, without the `@`.
        name: String,
    },
    /// A root that programs are added to has another file at a place of theirs.
    #[error("cannot add the host's {}: the root has another file there", path.display())]
    Clash {
        /// Where.
        path: PathBuf,
    },
    /// The store can't take the root.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The host's files changed during every try.
    #[error("cannot copy programs: the files they need are changing")]
    Changing,
}

impl Error {
    fn make(path: &Path) -> impl FnOnce(io::Error) -> Error {
        |source| Error::Make { path: path.to_owned(), source }
    }
}

fn not_installed(names: &[String]) -> &'static str {
    match names {
        [] => "dpkg has no list of installed packages here",
        _ => "it is not installed",
    }
}

/// What a root is to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Programs: plain names, looked up on [`closure::PATH`], or absolute paths of the host.
    pub programs: Vec<OsString>,
    /// Installed Debian packages: `NAME` or `NAME:ARCHITECTURE`.
    pub packages: Vec<String>,
    /// Names of rules that hold in any case, such as `pam`.
    pub rules: Vec<String>,
}

impl Wanted {
    /// Takes one item of a list: a program, or a rule as `@NAME`.
    pub fn add(&mut self, item: OsString) {
        match item.to_str().and_then(|text| text.strip_prefix('@')) {
            Some(rule) => self.rules.push(rule.to_owned()),
            None => self.programs.push(item),
        }
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.programs.is_empty() && self.packages.is_empty()
    }

    /// The list as it is typed: `bins:A,B`, and `--deb` with the packages.
    fn words(&self) -> String {
        let programs = self.programs.iter().map(|name| name.to_string_lossy().into_owned());
        let rules = self.rules.iter().map(|name| format!("@{name}"));
        let bins = format!("bins:{}", programs.chain(rules).collect::<Vec<_>>().join(","));
        match self.packages.as_slice() {
            [] => bins,
            packages => format!("{bins} --deb {}", packages.join(",")),
        }
    }

    /// Names the list: 128 bits in hexadecimal. The same for the same items in any order.
    fn key(&self) -> String {
        let programs = self.programs.iter().map(|name| (b'p', name.as_encoded_bytes()));
        let packages = self.packages.iter().map(|name| (b'd', name.as_bytes()));
        let rules = self.rules.iter().map(|name| (b'r', name.as_bytes()));
        let mut items: Vec<(u8, &[u8])> = programs.chain(packages).chain(rules).collect();
        items.sort_unstable();
        items.dedup();
        let mut hash = Sha256::new();
        hash.update(facts::FORMAT);
        for (kind, name) in items {
            hash.update([kind]);
            hash.update(name);
            hash.update([0]);
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a root holds, as [`contents`] lists it.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Everything in it, each with the reason; what is passed on the way to a place stands before the place.
    pub entries: Vec<Entry>,
    /// What it hasn't of what the host's files have.
    pub notes: Vec<Note>,
}

/// Returns a directory that holds what is wanted, all that it needs to start, and empty directories to mount on.
///
/// Beside the closure of the programs, and the files of the packages with theirs, the root holds what named rules add:
/// the merged `/usr` links, terminal descriptions, the `C.UTF-8` locale, name services; the library of an interpreter;
/// certificates and modules for OpenSSL; and so on. Files keep their time; of modes the owner's and all others' part is
/// kept, without writing by others, and the group's part is that of all others. Set-user-id bits and file capabilities
/// are not kept.
///
/// The directory lies in `cache`, which is made (mode 0755) if it isn't there, so that a program with other ids reaches
/// its root. It is shared by all who want the same: mount it read-only or below an overlay. It stays unchanged for a day
/// after it was replaced, which happens when one of the host's files changed.
///
/// # Errors
/// A program, package, rule or library is missing or can't be read; `cache` belongs to somebody else, or others may
/// write to it; the copy fails.
pub fn root(wanted: &Wanted, cache: &Path) -> Result<PathBuf, Error> {
    let store = Store::open(cache)?;
    let key = wanted.key();
    if let Some(root) = store.current(&key) {
        return Ok(root);
    }
    let lock = store.lock()?;
    if let Some(root) = store.current(&key) {
        return Ok(root);
    }
    lock.sweep();
    for _ in 0..TRIES {
        let layout = resolve(wanted)?.finish()?;
        let draft = lock.draft(&key)?;
        let facts = copy::copy(&layout, &draft.root(), || facts::write(&layout.tree))?;
        if facts::hold(&facts) {
            return draft.publish(&facts);
        }
    }
    Err(Error::Changing)
}

/// Lists what [`root`] would put into the directory, beside the directories to mount on.
///
/// An entry that is there by a rule has that rule's name and reason as its `because`; one of a package `package NAME`.
///
/// # Errors
/// A program, package, rule or library is missing or can't be read.
pub fn contents(wanted: &Wanted) -> Result<Contents, Error> {
    let mut resolver = resolve(wanted)?;
    let notes = notes::all(&mut resolver);
    Ok(Contents { entries: resolver.finish()?.entries, notes })
}

fn resolve(wanted: &Wanted) -> Result<Resolver, Error> {
    if let Some(name) = wanted.rules.iter().find(|name| !rules::names().any(|rule| rule == **name)) {
        return Err(Error::NoRule { name: name.clone() });
    }
    let mut resolver = Resolver::new(Path::new("/"))?;
    for name in &wanted.programs {
        resolver.program(name, Path::new(name))?;
    }
    for name in &wanted.packages {
        package::place(&mut resolver, name)?;
    }
    rules::apply(&mut resolver, &wanted.rules)?;
    Ok(resolver)
}
