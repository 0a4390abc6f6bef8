//! Roots of chosen programs, and what a root lacks for a program.

use crate::report::{Fault, like};
use crate::stored::near;
use crate::values;
use holm::spec::filesystem::Root;
use holm_root::closure::{self, PATH};
use holm_root::programs::{Error, Wanted};
use holm_root::store::{Metadata, Store};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Before a list, it tells that a root of these programs is meant.
const PREFIX: &[u8] = b"bins:";

/// A root of programs as meant, and the option from which it comes.
pub(crate) struct Asked {
    wanted: Wanted,
    origin: String,
}

impl Asked {
    /// What a value `bins:A,B,...` asks for; `None` for any other.
    pub(crate) fn parse(value: &OsStr, origin: &str) -> Option<Result<Asked, Fault>> {
        let list = OsStr::from_bytes(value.as_bytes().strip_prefix(PREFIX)?);
        let mut asked = Asked::nothing(origin);
        asked.with(list);
        let nothing = || Fault {
            message: "cannot make a root without programs".to_owned(),
            origin: origin.to_owned(),
            hint: "bins:bash,ls".to_owned(),
        };
        Some(if asked.wanted.is_empty() { Err(nothing()) } else { Ok(asked) })
    }

    pub(crate) fn nothing(origin: &str) -> Asked {
        Asked { wanted: Wanted::default(), origin: origin.to_owned() }
    }

    /// All that is asked for.
    pub(crate) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Adds the programs and rules of a list `A,B,...`.
    pub(crate) fn with(&mut self, list: &OsStr) {
        for item in items(list) {
            self.wanted.add(item);
        }
    }

    /// Adds the packages of a list `A,B,...`.
    pub(crate) fn deb(&mut self, list: &OsStr) {
        self.wanted.packages.extend(items(list).map(|name| name.to_string_lossy().into_owned()));
    }

    /// The directory with all that is asked for, from the cache.
    pub(crate) fn root(&self) -> Result<PathBuf, Vec<Fault>> {
        if self.wanted.is_empty() {
            return Err(vec![self.fault("cannot make a root without programs".to_owned(), "bins:bash,ls")]);
        }
        let cache = crate::places::cache().map_err(|message| vec![self.fault(message, "")])?;
        holm_root::programs::root(&self.wanted, &cache).map_err(|error| self.faults(&error))
    }

    /// Puts a root with all that is asked for into the store.
    pub(crate) fn store(&self, store: Store, name: &str) -> Result<Metadata, Vec<Fault>> {
        let writer = store.write().map_err(|error| vec![crate::stored::fault(&error, &self.origin)])?;
        holm_root::programs::store(&self.wanted, &writer, name).map_err(|error| self.faults(&error))
    }

    /// Everything that the directory would hold, with reasons.
    pub(crate) fn contents(&self) -> Result<holm_root::programs::Contents, Vec<Fault>> {
        holm_root::programs::contents(&self.wanted).map_err(|error| self.faults(&error))
    }

    /// An error in having it, with what would help.
    pub(crate) fn faults(&self, error: &Error) -> Vec<Fault> {
        match error {
            Error::Closure(closure::Error::Several(all)) => all.iter().map(|one| self.closure_fault(one)).collect(),
            Error::Closure(one) => vec![self.closure_fault(one)],
            Error::Store(error) => vec![crate::stored::fault(error, &self.origin)],
            Error::Unsafe { .. } | Error::Make { .. } => vec![self.fault(error.to_string(), CACHE)],
            Error::NoPackage { name, names } => {
                let hint = like(&near(name, names), "dpkg-query -W lists the installed packages");
                vec![self.fault(error.to_string(), &hint)]
            }
            Error::Clash { .. } => {
                vec![self.fault(error.to_string(), "the source's own packages may have the program")]
            }
            _ => vec![self.fault(error.to_string(), "")],
        }
    }

    fn closure_fault(&self, error: &closure::Error) -> Fault {
        let hint = match error {
            closure::Error::NotFound { name } => like(&near(&name.to_string_lossy(), &all()), ""),
            _ => String::new(),
        };
        self.fault(error.to_string(), &hint)
    }

    fn fault(&self, message: String, hint: &str) -> Fault {
        Fault { message, origin: self.origin.clone(), hint: hint.to_owned() }
    }
}

fn items(list: &OsStr) -> impl Iterator<Item = OsString> {
    values::split(list, b',').into_iter().filter(|name| !name.is_empty())
}

/// The names of the programs that can be found by name.
fn all() -> Vec<String> {
    let files = PATH.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten();
    let mut names: Vec<String> = files.filter_map(|file| file.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

const CACHE: &str =
    "the cache is /var/cache/holm for user 0, else holm in XDG_CACHE_HOME or ~/.cache; it must be the caller's";

/// What the root directory lacks to run the program, as a hint; `None` if nothing, or if the root is not a directory of
/// the caller's.
pub(crate) fn lacks(spec: &holm::Spec) -> Option<String> {
    let Root::Directory(root) = &spec.root else { return None };
    let name = &spec.program.name;
    let inside = if name.as_encoded_bytes().contains(&b'/') {
        PathBuf::from(name)
    } else {
        let on_path = |directory: &&&str| root.join(&directory[1..]).join(name).symlink_metadata().is_ok();
        Path::new(PATH.iter().find(on_path)?).join(name)
    };
    let missing = closure::missing(&inside, root);
    let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        return None;
    }
    let program = name.display();
    Some(format!(
        "{program} needs {}, which {} lacks; --root bins:{program} makes a root that has all",
        names.join(", "),
        root.display()
    ))
}
