//! The root as meant, and where writes go.
//!
//! A root may have to be made, fetched or built first: that is done when all other options are known to be right, and
//! only for the root that counts in the end.

use super::Fill;
use super::typed::Typed;
use crate::overlay::Overlay;
use crate::programs::Asked;
use crate::report::Fault;
use crate::values;
use holm::spec::filesystem::{Root, Writes};
use holm::spec::origins::Wish;
use holm_root::store::Held;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Which root is meant.
pub(super) enum Meant {
    Host,
    Empty,
    Programs(Asked),
    /// A directory, or a root of the store, as typed, and the option from which it comes.
    Named(OsString, String),
}

impl Fill {
    pub(super) fn root(&mut self, typed: &Typed) {
        if let Some(root) = &typed.root {
            self.spec.origins.set(Wish::Root, format!("{}root", typed.place));
            let origin = values::origin(&typed.place, "root", root);
            self.root = match (root.as_bytes(), Asked::parse(root, &origin)) {
                (b"host", _) => Meant::Host,
                (b"none", _) => Meant::Empty,
                (_, Some(Ok(asked))) => Meant::Programs(asked),
                (_, Some(Err(fault))) => {
                    self.faults.push(fault);
                    Meant::Host
                }
                _ => Meant::Named(root.clone(), origin),
            };
        }
        self.add_programs(typed);
        let place = &typed.place;
        let (writes, name) = match (&typed.overlay, typed.rw) {
            (Some(_), true) => {
                let message = "cannot both write through (rw) and to an overlay".to_owned();
                let origin = format!("{place}rw, {place}overlay");
                return self.faults.push(Fault { message, origin, hint: String::new() });
            }
            (Some(overlay), false) => (self.overlay(overlay), "overlay"),
            (None, true) => {
                self.changes = None;
                (Writes::Through, "rw")
            }
            (None, false) => return,
        };
        self.spec.writes = writes;
        self.spec.origins.set(Wish::Writes, format!("{place}{name}"));
    }

    /// Programs and packages beside those of `root`, or the root of these if no other is wished.
    fn add_programs(&mut self, typed: &Typed) {
        let lists = [("with", &typed.with), ("deb", &typed.deb)];
        for (name, list) in lists.iter().flat_map(|(name, lists)| lists.iter().map(|list| (*name, list))) {
            let origin = values::origin(&typed.place, name, list);
            if typed.root.is_none() && matches!(self.root, Meant::Host) {
                self.root = Meant::Programs(Asked::nothing(&origin));
            }
            let Meant::Programs(asked) = &mut self.root else {
                let message = "cannot add programs to this root: it is not one of programs".to_owned();
                let hint = "--root bins:A,B, or no --root; --bind shows more of the host in any root".to_owned();
                self.faults.push(Fault { message, origin, hint });
                return;
            };
            match name {
                "with" => asked.with(list),
                _ => asked.deb(list),
            }
            self.spec.origins.set(Wish::Root, format!("{}{name}", typed.place));
        }
    }

    /// Where writes go; what is kept under a name is taken when all else is known.
    fn overlay(&mut self, overlay: &Overlay) -> Writes {
        self.changes = None;
        match overlay {
            Overlay::Memory => Writes::Temporary,
            Overlay::Directory(path) => Writes::Kept(path.clone()),
            Overlay::Named(name) => {
                self.changes = Some(name.clone());
                Writes::Temporary
            }
        }
    }

    /// Finds the root, or makes it, and completes the wish by what its image says of the program; the root, if it is the
    /// store's.
    pub(super) fn find_root(&mut self) -> Result<Option<Held>, Vec<Fault>> {
        let held = match std::mem::replace(&mut self.root, Meant::Host) {
            Meant::Named(root, origin) => self.directory_or_stored(&root, &origin).map_err(|fault| vec![fault])?,
            _ if self.spec.program.name.is_empty() => None,
            Meant::Host => None,
            Meant::Empty => {
                self.spec.root = Root::Empty;
                None
            }
            Meant::Programs(asked) => {
                self.spec.root = Root::Programs(asked.root()?);
                None
            }
        };
        match held.as_ref().and_then(|held| Some((held.config.as_ref()?, &held.files))) {
            Some((config, files)) => {
                crate::image::complete(&mut self.spec, config, files).map_err(|fault| vec![fault])?;
            }
            None if self.spec.program.name.is_empty() => {
                return Err(vec![Fault {
                    message: "cannot run: no program is given".to_owned(),
                    origin: String::new(),
                    hint:
                        "holm run [OPTIONS] PROGRAM [ARGUMENT]...; only a root that was made from an image may have one"
                            .to_owned(),
                }]);
            }
            None => {}
        }
        Ok(held)
    }

    /// A stored root is never written: what is written goes to memory, or where `overlay` says.
    fn directory_or_stored(&mut self, root: &OsStr, origin: &str) -> Result<Option<Held>, Fault> {
        let Some(held) = crate::stored::root(root, origin, self.intent)? else {
            self.spec.root = Root::Directory(PathBuf::from(root));
            return Ok(None);
        };
        match self.spec.writes {
            Writes::Through => {
                let message = format!("cannot write through to the stored root {}", root.display());
                let hint = "--overlay=DIR keeps what is written; without --rw it goes to memory".to_owned();
                return Err(Fault { message, origin: self.spec.origins.of(Wish::Writes).to_owned(), hint });
            }
            Writes::Refused => {
                self.spec.writes = Writes::Temporary;
                let origin = self.spec.origins.of(Wish::Root).to_owned();
                self.spec.origins.set(Wish::Writes, origin);
            }
            Writes::Temporary | Writes::Kept(_) => {}
        }
        self.spec.root = Root::Directory(held.files.clone());
        Ok(Some(held))
    }
}
