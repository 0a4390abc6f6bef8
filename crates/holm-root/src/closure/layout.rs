//! The entries found so far, each once, in an order in which they can be made: what is passed on the way to a place
//! stands before the place.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::Entry;
use super::tree::{Found, Tree};

pub(crate) struct Layout {
    pub(crate) tree: Tree,
    pub(crate) entries: Vec<Entry>,
    placed: HashSet<PathBuf>,
}

impl Layout {
    pub(crate) fn new(tree: Tree) -> Layout {
        Layout { tree, entries: Vec::new(), placed: HashSet::new() }
    }

    /// Adds a place and the way to it.
    pub(crate) fn place(&mut self, found: &Found, because: &Path) {
        for (path, kind) in &found.passed {
            if !self.placed.contains(path) {
                self.placed.insert(path.clone());
                self.entries.push(Entry { path: path.clone(), kind: kind.clone(), because: because.to_owned() });
            }
        }
    }
}
