//! Which package has a path, and which one where two do: `Replaces`.
//!
//! Directories are everybody's. A file is one package's; of two that have it the one that replaces the other in its
//! control file, whichever is unpacked first (dpkg(1), Debian Policy 7.6.1). Where each replaces the other it is the later
//! one in the list. The other package's list of files is then without it, as dpkg leaves it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::control::Control;
use super::package::Fetched;
use super::relation;

/// What becomes of a path that a package has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is made.
    Own,
    /// It is another's.
    Lost,
    /// It is the package's, though another one may be making it: it is made when all others are.
    Later,
}

/// The packages, by their places in the list, and what they have.
pub(super) struct Claims<'p> {
    packages: &'p [Fetched],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Which package has a path, and whether as a directory.
    owners: HashMap<Vec<u8>, (usize, bool)>,
    /// A package, and one that it replaces.
    replaces: HashSet<(usize, usize)>,
    /// Packages with paths that they have lost to others.
    lost: Vec<(usize, Vec<u8>)>,
}

impl State {
    fn wins(&self, one: usize, other: usize) -> bool {
        let replaces = |one, other| self.replaces.contains(&(one, other));
        replaces(one, other) && (one > other || !replaces(other, one))
    }

    fn alone(&mut self, at: usize, path: &[u8]) -> Result<(), usize> {
        match self.owners.get(path) {
            Some((other, _)) => Err(*other),
            None => {
                self.owners.insert(path.to_vec(), (at, false));
                Ok(())
            }
        }
    }
}

impl<'p> Claims<'p> {
    pub(super) fn new(packages: &'p [Fetched]) -> Claims<'p> {
        Claims { packages, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes which packages this one replaces; to be called before it claims anything.
    pub(super) fn begin(&self, at: usize, control: &Control) -> io::Result<()> {
        let fields = control.fields()?;
        let Some(value) = fields.value("Replaces") else { return Ok(()) };
        let groups = relation::parse(value)
            .map_err(|piece| io::Error::other(format!("its field Replaces has {piece:?}, which is no relation")))?;
        let mut state = self.state();
        for relation in groups.iter().flatten() {
            let meant = |package: &super::package::Package| {
                package.name == relation.name && relation.bound.is_none_or(|bound| bound.allows(&package.version))
            };
            let others = self.packages.iter().enumerate().filter(|(other, one)| *other != at && meant(&one.package));
            state.replaces.extend(others.map(|(other, _)| (at, other)));
        }
        Ok(())
    }

    /// Whether this package has the path of this file.
    pub(super) fn is_of(&self, at: usize, path: &[u8]) -> bool {
        self.state().owners.get(path) == Some(&(at, false))
    }

    /// Notes that a package has a directory.
    ///
    /// # Errors
    /// It is a file of that package.
    pub(super) fn directory(&self, at: usize, path: &[u8]) -> Result<(), usize> {
        match self.state().owners.entry(path.to_vec()).or_insert((at, true)) {
            (_, true) => Ok(()),
            (other, false) => Err(*other),
        }
    }

    /// Notes that a package has a file that no other has.
    ///
    /// # Errors
    /// That package has it.
    pub(super) fn alone(&self, at: usize, path: &[u8]) -> Result<(), usize> {
        self.state().alone(at, path)
    }

    /// Notes that a package has a file, and says what becomes of it.
    ///
    /// # Errors
    /// That package has it, and none of the two replaces the other; or it is a directory.
    pub(super) fn file(&self, at: usize, path: &[u8]) -> Result<Claim, usize> {
        let mut state = self.state();
        let Err(other) = state.alone(at, path) else { return Ok(Claim::Own) };
        if state.owners.get(path) == Some(&(other, true)) {
            return Err(other);
        }
        if state.wins(at, other) {
            state.owners.insert(path.to_vec(), (at, false));
            state.lost.push((other, path.to_vec()));
            return Ok(Claim::Later);
        }
        if state.wins(other, at) {
            state.lost.push((at, path.to_vec()));
            return Ok(Claim::Lost);
        }
        Err(other)
    }

    /// What packages have lost.
    pub(super) fn lost(self) -> Vec<(usize, Vec<u8>)> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).lost
    }
}
