//! The entries found so far, each once, in an order in which they can be made: what is passed on the way to a place
//! stands before the place.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::tree::{Found, Node, Tree, Walked};
use super::{Entry, Error, Kind};

/// Directories deeper than this below a placed one are left out.
const DEPTH: usize = 16;

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
            if self.placed.insert(path.clone()) {
                self.entries.push(Entry { path: path.clone(), kind: kind.clone(), because: because.to_owned() });
            }
        }
    }

    /// Adds the link at `path` and what it leads to, if it is a link.
    pub(crate) fn place_link(&mut self, path: &Path, because: &Path) -> Result<(), Error> {
        if let Walked::At(found) = self.tree.walk(path)?
            && found.passed.iter().any(|(passed, kind)| passed == path && matches!(kind, Kind::Link { .. }))
        {
            self.place(&found, because);
        }
        Ok(())
    }

    /// Adds what is at `path`, if anything is; a directory with all that is below it.
    pub(crate) fn place_all(&mut self, path: &Path, because: &Path) -> Result<(), Error> {
        let mut ahead = vec![(path.to_owned(), 0)];
        while let Some((path, depth)) = ahead.pop() {
            let found = match self.tree.walk(&path)? {
                Walked::At(found) => found,
                Walked::Absent | Walked::Loop => continue,
            };
            self.place(&found, because);
            if matches!(found.node, Node::Dir(_)) && depth < DEPTH {
                let names = self.tree.list(&found.real)?;
                ahead.extend(names.into_iter().rev().map(|name| (found.real.join(name), depth + 1)));
            }
        }
        Ok(())
    }
}
