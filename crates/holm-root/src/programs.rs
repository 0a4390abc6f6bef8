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
mod rules;
mod store;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::closure::layout::Layout;
use crate::closure::resolver::Resolver;
use crate::closure::{self, Entry, cause};
use store::Store;

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
    /// The host's files changed during every try.
    #[error("cannot copy programs: the files they need are changing")]
    Changing,
}

impl Error {
    fn make(path: &Path) -> impl FnOnce(io::Error) -> Error {
        |source| Error::Make { path: path.to_owned(), source }
    }
}

/// Returns a directory that holds `programs`, all they need to start, and empty directories to mount on.
///
/// The programs are plain names, looked up on [`closure::PATH`], or absolute paths of the host; their order doesn't
/// matter. Beside their closure the root holds what a few named rules add, so that a shell is usable: the merged
/// `/usr` links, terminal descriptions, the `C.UTF-8` locale, name services. Files keep their time; of modes the
/// owner's and all others' part is kept, without writing by others, and the group's part is that of all others.
///
/// The directory lies in `cache`, which is made (mode 0755) if it isn't there, so that a program with other ids reaches
/// its root. It is shared by all who ask for the
/// same programs: mount it read-only or below an overlay. It stays unchanged for a day after it was replaced, which
/// happens when one of the host's files changed.
///
/// # Errors
/// A program or library is missing or can't be read; `cache` belongs to somebody else, or others may write to it;
/// the copy fails.
pub fn root(programs: &[OsString], cache: &Path) -> Result<PathBuf, Error> {
    let store = Store::open(cache)?;
    let key = key(programs);
    if let Some(root) = store.current(&key) {
        return Ok(root);
    }
    let lock = store.lock()?;
    if let Some(root) = store.current(&key) {
        return Ok(root);
    }
    lock.sweep();
    for _ in 0..TRIES {
        let layout = layout(programs)?;
        let facts = facts::write(&layout.tree);
        let draft = lock.draft(&key)?;
        copy::copy(&layout, &draft.root())?;
        if facts::hold(&facts) {
            return draft.publish(&facts);
        }
    }
    Err(Error::Changing)
}

/// Lists what [`root`] would put into the directory, beside the directories to mount on.
///
/// An entry that is there by a rule has that rule's name and reason as its `because`.
///
/// # Errors
/// Those of [`closure::closure`].
pub fn contents(programs: &[OsString]) -> Result<Vec<Entry>, closure::Error> {
    layout(programs).map(|layout| layout.entries)
}

fn layout(programs: &[OsString]) -> Result<Layout, closure::Error> {
    let mut resolver = Resolver::new(Path::new("/"))?;
    for name in programs {
        resolver.program(name, Path::new(name))?;
    }
    rules::apply(&mut resolver)?;
    resolver.finish()
}

/// Names a list of programs: 128 bits in hexadecimal. The same for the same programs in any order.
fn key(programs: &[OsString]) -> String {
    let mut names: Vec<&[u8]> = programs.iter().map(|name| name.as_encoded_bytes()).collect();
    names.sort_unstable();
    names.dedup();
    let mut hash = Sha256::new();
    hash.update(facts::FORMAT);
    for name in names {
        hash.update(name);
        hash.update([0]);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
