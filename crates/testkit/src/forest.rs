//! Random trees of directories, files and links, and a plain model of how the kernel follows a path in one of them
//! (path_resolution(7), openat2(2) with `RESOLVE_IN_ROOT`).

use crate::random::Random;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Links followed in one look-up.
const LINKS: usize = 40;
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What a node of a tree is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory with what is in it, by number of node.
    Directory(BTreeMap<String, usize>),
    /// A file.
    File,
    /// A symbolic link.
    Link(String),
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nowhere {
    /// ENOENT.
    Missing,
    /// ENOTDIR.
    NotDirectory,
    /// ELOOP.
    Loop,
}

/// A tree; node 0 is its root.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Each with the number of the directory that it is in.
    pub nodes: Vec<(Node, usize)>,
}

impl Tree {
    /// A tree of some `size` nodes.
    pub fn random(random: &mut Random, size: usize) -> Tree {
        let mut tree = Tree { nodes: vec![(Node::Directory(BTreeMap::new()), 0)] };
        for _ in 0..size {
            let directories: Vec<usize> =
                (0..tree.nodes.len()).filter(|&n| matches!(tree.nodes[n].0, Node::Directory(_))).collect();
            let parent = *random.pick(&directories);
            let name = (*random.pick(&NAMES)).to_owned();
            let node = match random.below(10) {
                0..4 => Node::Directory(BTreeMap::new()),
                4 => Node::File,
                _ => Node::Link(path(random)),
            };
            let number = tree.nodes.len();
            if let Node::Directory(entries) = &mut tree.nodes[parent].0
                && !entries.contains_key(&name)
            {
                entries.insert(name, number);
                tree.nodes.push((node, parent));
            }
        }
        tree
    }

    /// The path of a node below the root, without links.
    pub fn place(&self, number: usize) -> PathBuf {
        let (_, parent) = &self.nodes[number];
        let Node::Directory(entries) = &self.nodes[*parent].0 else { return PathBuf::new() };
        match entries.iter().find(|&(_, &entry)| entry == number) {
            Some((name, _)) => self.place(*parent).join(name),
            None => PathBuf::new(),
        }
    }

    /// Makes it in the empty directory `at`.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn make(&self, at: &Path) -> io::Result<()> {
        self.make_node(0, at)
    }

    fn make_node(&self, number: usize, at: &Path) -> io::Result<()> {
        let Node::Directory(entries) = &self.nodes[number].0 else { return Ok(()) };
        for (name, &entry) in entries {
            let path = at.join(name);
            match &self.nodes[entry].0 {
                Node::Directory(_) => {
                    std::fs::create_dir(&path)?;
                    self.make_node(entry, &path)?;
                }
                Node::File => drop(std::fs::File::create(&path)?),
                Node::Link(target) => std::os::unix::fs::symlink(target, &path)?,
            }
        }
        Ok(())
    }

    /// The node that `path` leads to; a link as its last part is followed only where `follow` says so.
    ///
    /// # Errors
    /// It leads nowhere.
    pub fn look(&self, path: &str, follow: bool) -> Result<usize, Nowhere> {
        let (mut here, mut links) = (0, 0);
        // The last part is at the end; one that has to be a directory is followed by a ".".
        let mut ahead = parts(path);
        while let Some(part) = ahead.pop() {
            let Node::Directory(entries) = &self.nodes[here].0 else { return Err(Nowhere::NotDirectory) };
            let next = match &*part {
                "." => here,
                ".." => self.nodes[here].1,
                name => *entries.get(name).ok_or(Nowhere::Missing)?,
            };
            match &self.nodes[next].0 {
                Node::Link(target) if follow || !ahead.is_empty() => {
                    links += 1;
                    if links > LINKS {
                        return Err(Nowhere::Loop);
                    }
                    if target.starts_with('/') {
                        here = 0;
                    }
                    ahead.extend(parts(target));
                }
                _ => here = next,
            }
        }
        Ok(here)
    }
}

/// The parts of a path, the last one first.
fn parts(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if path.ends_with('/') {
        parts.push(".".to_owned());
    }
    parts.reverse();
    parts
}

/// A path that may climb, be absolute, repeat or end in a '/'.
pub fn path(random: &mut Random) -> String {
    let mut text = String::from(if random.one_in(3) { "/" } else { "" });
    for place in 0..=random.below(5) {
        if place > 0 {
            text += if random.one_in(8) { "//" } else { "/" };
        }
        text += match random.below(10) {
            0 | 1 => "..",
            2 => ".",
            _ => *random.pick(&NAMES),
        };
    }
    if random.one_in(8) {
        text += "/";
    }
    text
}
