//! The kernel's look-ups against a plain model of them, on random trees.

use super::*;
use rustix::fs::fstat;
use std::collections::HashMap;
use std::ffi::CString;
use std::path::PathBuf;
use testkit::Scratch;
use testkit::forest::{self, Node, Nowhere, Tree};
use testkit::random::Random;

/// Each path is looked up twice: with its last link followed, and not.
const TREES: usize = 1_000;
const LOOKS: usize = 500;

/// A tree on disk.
struct Made {
    tree: Tree,
    path: PathBuf,
    root: OwnedFd,
    /// Which node an inode is.
    nodes: HashMap<u64, usize>,
}

impl Made {
    fn new(random: &mut Random, path: PathBuf) -> Made {
        let tree = Tree::random(random, 40);
        std::fs::create_dir(&path).expect("scratch is ours");
        tree.make(&path).expect("scratch is ours");
        let root = rustix::fs::open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).expect("it was made");
        let inode = |number| rustix::fs::lstat(path.join(tree.place(number))).expect("it was made").st_ino;
        let nodes = (0..tree.nodes.len()).map(|number| (inode(number), number)).collect();
        Made { tree, path, root, nodes }
    }

    /// What was opened, as the model says it.
    fn seen(&self, opened: Result<OwnedFd>) -> std::result::Result<usize, Nowhere> {
        match opened {
            Ok(file) => Ok(self.nodes[&fstat(&file).expect("it is open").st_ino]),
            Err(Errno::NOENT) => Err(Nowhere::Missing),
            Err(Errno::NOTDIR) => Err(Nowhere::NotDirectory),
            Err(Errno::LOOP) => Err(Nowhere::Loop),
            Err(errno) => panic!("{errno}"),
        }
    }
}

#[test]
fn a_path_leads_where_the_model_says() {
    let scratch = Scratch::new("forest");
    let mut random = Random::new(2);
    let none = Own::new(0);
    for number in 0..TREES {
        let made = Made::new(&mut random, scratch.join(number.to_string()));
        let inside = Inside { root: made.root.as_fd(), made: &none };
        for _ in 0..LOOKS {
            let path = forest::path(&mut random);
            let text = CString::new(path.clone()).expect("no NUL in it");
            for (flags, follow) in [(OFlags::NOFOLLOW, false), (OFlags::empty(), true)] {
                let expected = made.tree.look(&path, follow);
                let seen = made.seen(inside.look(&text, flags));
                assert_eq!(seen, expected, "{path:?} in {:?}, tree {number}", made.tree);
            }
        }
        std::fs::remove_dir_all(&made.path).expect("scratch is ours");
    }
}

#[test]
fn nothing_is_made_in_a_tree_of_the_host() {
    let scratch = Scratch::new("forest-made");
    let mut random = Random::new(3);
    let none = Own::new(0);
    for number in 0..TREES / 10 {
        let made = Made::new(&mut random, scratch.join(number.to_string()));
        let inside = Inside { root: made.root.as_fd(), made: &none };
        for _ in 0..LOOKS {
            // As planning hands it over: absolute, without "..".
            let path = format!("/{}", forest::path(&mut random).replace("..", "a"));
            let place = Place::new(Path::new(&path));
            let normal = place.whole.to_str().expect("it is text");
            let make = *random.pick(&[Make::Nothing, Make::Directory, Make::File]);
            match (made.tree.look(normal, false), inside.open(&place, make)) {
                (Ok(found), opened) if matches!(made.tree.nodes[found].0, Node::Link(_)) => {
                    assert_eq!(opened.err(), Some(Errno::LOOP), "{path}");
                }
                (Err(_), opened) => assert!(opened.is_err(), "{path}"),
                (expected, opened) => assert_eq!(made.seen(opened), expected, "{path}"),
            }
        }
        let count = |path: &Path| std::fs::read_dir(path).map_or(0, |entries| entries.count());
        for (place, (node, _)) in made.tree.nodes.iter().enumerate() {
            if let Node::Directory(entries) = node {
                assert_eq!(count(&made.path.join(made.tree.place(place))), entries.len(), "tree {number}");
            }
        }
        std::fs::remove_dir_all(&made.path).expect("scratch is ours");
    }
}
