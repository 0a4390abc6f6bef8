//! A directory tree read as if it were `/`, remembering everything that was seen.
//!
//! Links are followed here and not by the kernel, for two reasons: each one has to be copied, and an absolute link
//! in a tree that isn't `/` has to stay inside. What was seen, and also what was looked for and wasn't there, is the
//! list of facts on which a result stands; [`Tree::seen`] hands it out, to be checked again before a later use.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::{Error, Kind, Levels};

/// Links followed in one path before it counts as a loop: the kernel's number, path_resolution(7).
const LINKS: usize = 40;
/// Paths looked at for one result. A thousand programs need some thousands; a hostile RPATH would need millions.
const PATHS: usize = 1 << 18;
/// Looks at paths, new or known, for one result.
const LOOKS: usize = 1 << 22;

/// What is at a path, not following a link there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Absent,
    Dir(Stamp),
    File(Stamp),
    Link(PathBuf),
    /// A device, fifo or socket: never opened, since that alone can have effects.
    Other,
}

/// Enough of a file's status to notice that it was changed or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) mode: u32,
    dev: u64,
    ino: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn new(status: &Metadata) -> Stamp {
        Stamp {
            mode: status.mode(),
            dev: status.dev(),
            ino: status.ino(),
            size: status.size(),
            modified: (status.mtime(), status.mtime_nsec()),
            changed: (status.ctime(), status.ctime_nsec()),
        }
    }
}

impl Node {
    /// Looks at `path` on the host.
    pub(crate) fn probe(path: &Path) -> io::Result<Node> {
        use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound, PermissionDenied};
        let status = match fs::symlink_metadata(path) {
            Ok(status) => status,
            // Too long a name and a name with a NUL can't exist; what can't be reached isn't there for the program.
            Err(e) => match e.kind() {
                NotFound | NotADirectory | InvalidFilename | InvalidInput | PermissionDenied => {
                    return Ok(Node::Absent);
                }
                _ => return Err(e),
            },
        };
        let kind = status.file_type();
        Ok(if kind.is_symlink() {
            Node::Link(fs::read_link(path)?)
        } else if kind.is_dir() {
            Node::Dir(Stamp::new(&status))
        } else if kind.is_file() {
            Node::File(Stamp::new(&status))
        } else {
            Node::Other
        })
    }

    /// Spells the node so that two looks at the same unchanged thing give the same bytes, which have no NUL.
    pub(crate) fn state(&self) -> Vec<u8> {
        let stamp = |letter: char, s: &Stamp| {
            let ((m, mn), (c, cn)) = (s.modified, s.changed);
            format!("{letter} {:o} {} {} {} {m}.{mn} {c}.{cn}", s.mode, s.dev, s.ino, s.size).into_bytes()
        };
        match self {
            Node::Absent => b"-".to_vec(),
            Node::Other => b"?".to_vec(),
            Node::Dir(s) => stamp('d', s),
            Node::File(s) => stamp('f', s),
            Node::Link(target) => [b"l ", target.as_os_str().as_bytes()].concat(),
        }
    }
}

/// Where following a path ended.
#[derive(Debug)]
pub(crate) enum Walked {
    At(Found),
    Absent,
    Loop,
}

/// An existing place and the way to it.
#[derive(Debug)]
pub(crate) struct Found {
    /// The place's path without any link.
    pub(crate) real: PathBuf,
    pub(crate) node: Node,
    /// Directories and links passed, in order, and the place itself.
    pub(crate) passed: Vec<(PathBuf, Kind)>,
}

pub(crate) struct Tree {
    root: PathBuf,
    dir: OwnedFd,
    nodes: HashMap<PathBuf, Node>,
    listed: Vec<PathBuf>,
    looks: usize,
}

impl Tree {
    pub(crate) fn new(root: &Path) -> Result<Tree, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(CWD, root, flags, Mode::empty())
            .map_err(|e| Error::Read { path: root.to_owned(), source: e.into() })?;
        Ok(Tree { root: root.to_owned(), dir, nodes: HashMap::new(), listed: Vec::new(), looks: 0 })
    }

    /// Follows `path`, which is absolute inside the tree.
    pub(crate) fn walk(&mut self, path: &Path) -> Result<Walked, Error> {
        let mut real = PathBuf::from("/");
        let mut passed = Vec::new();
        let mut ahead: Vec<PathBuf> = parts(path);
        let mut links = 0;
        let mut node = None;
        while let Some(part) = ahead.pop() {
            if part == Path::new("..") {
                real.pop();
                node = None;
                continue;
            }
            // All that is walked through is a directory, and so is this.
            if part == Path::new(".") {
                continue;
            }
            let here = real.join(&part);
            let seen = self.look(&here)?.clone();
            match &seen {
                Node::Link(target) => {
                    links += 1;
                    if links > LINKS {
                        return Ok(Walked::Loop);
                    }
                    passed.push((here, Kind::Link { target: target.clone() }));
                    if target.is_absolute() {
                        real = PathBuf::from("/");
                        node = None;
                    }
                    ahead.extend(parts(target));
                    continue;
                }
                Node::Dir(_) => passed.push((here.clone(), Kind::Dir)),
                Node::File(_) if ahead.is_empty() => passed.push((here.clone(), Kind::File)),
                Node::Other if ahead.is_empty() => {}
                Node::Absent | Node::File(_) | Node::Other => return Ok(Walked::Absent),
            }
            real = here;
            node = Some(seen);
        }
        // The path ended in "..", in a link to "/", or is "/".
        let node = match node {
            Some(node) => node,
            None => self.look(&real)?.clone(),
        };
        Ok(Walked::At(Found { real, node, passed }))
    }

    /// What is in the directory `real` under a name that [`Tree::list`] gave; `None` for a link, which has to be walked. As
    /// passed counts the place alone.
    pub(crate) fn below(&mut self, real: &Path, name: &Path) -> Result<Option<Walked>, Error> {
        let here = real.join(name);
        let node = self.look(&here)?.clone();
        let kind = match node {
            Node::Link(_) => return Ok(None),
            Node::Absent => return Ok(Some(Walked::Absent)),
            Node::Dir(_) => Some(Kind::Dir),
            Node::File(_) => Some(Kind::File),
            Node::Other => None,
        };
        let passed = kind.into_iter().map(|kind| (here.clone(), kind)).collect();
        Ok(Some(Walked::At(Found { real: here, node, passed })))
    }

    /// Opens a regular file for reading, and tells its status; `real` comes from [`Tree::walk`].
    pub(crate) fn open(&self, real: &Path) -> Result<(File, Metadata), Error> {
        let failed = |source| Error::Read { path: real.to_owned(), source };
        // Should the tree have been changed since the walk, by whom a directory on the way belongs to: no link is
        // followed, a fifo can't block, and another file is noticed.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        let file = rustix::fs::openat2(&self.dir, real, flags, Mode::empty(), within).map_err(|e| failed(e.into()))?;
        let file = File::from(file);
        let status = file.metadata().map_err(failed)?;
        let cause = match self.nodes.get(real) {
            _ if !status.is_file() => "not a regular file",
            Some(Node::File(stamp)) if (stamp.dev, stamp.ino) != (status.dev(), status.ino()) => {
                "it was replaced while it was looked at"
            }
            _ => return Ok((file, status)),
        };
        Err(Error::Malformed { path: real.to_owned(), cause })
    }

    /// The mode of a directory or file that was met.
    pub(crate) fn mode(&self, real: &Path) -> Option<u32> {
        match self.nodes.get(real)? {
            Node::Dir(stamp) | Node::File(stamp) => Some(stamp.mode),
            _ => None,
        }
    }

    /// When a directory that was met was changed last: seconds and nanoseconds since 1970.
    pub(crate) fn modified(&self, real: &Path) -> Option<(i64, i64)> {
        match self.nodes.get(real)? {
            Node::Dir(stamp) => Some(stamp.modified),
            _ => None,
        }
    }

    /// The device and inode of a file that was met: the same for all names of one file.
    pub(crate) fn identity(&self, real: &Path) -> Option<(u64, u64)> {
        match self.nodes.get(real)? {
            Node::File(stamp) => Some((stamp.dev, stamp.ino)),
            _ => None,
        }
    }

    /// Lists the names in the directory `real`, sorted. From then on its own change counts as a change.
    pub(crate) fn list(&mut self, real: &Path) -> Result<Vec<PathBuf>, Error> {
        let failed = |source| Error::Read { path: real.to_owned(), source };
        let mut names = Vec::new();
        for item in fs::read_dir(self.on_host(real)).map_err(failed)? {
            names.push(PathBuf::from(item.map_err(failed)?.file_name()));
        }
        names.sort_unstable_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
        self.listed.push(real.to_owned());
        Ok(names)
    }

    /// All facts met so far, sorted by path: host paths and what is there. A directory is a fact if it was listed.
    pub(crate) fn seen(&self) -> Vec<(PathBuf, &Node)> {
        let fact = |(path, node): &(&PathBuf, &Node)| !matches!(node, Node::Dir(_)) || self.listed.contains(path);
        let mut all: Vec<_> = self.nodes.iter().filter(fact).map(|(path, node)| (self.on_host(path), node)).collect();
        all.sort_unstable_by(|a, b| a.0.as_os_str().cmp(b.0.as_os_str()));
        all
    }

    fn look(&mut self, path: &Path) -> Result<&Node, Error> {
        let too_many = |limit| Error::TooMany { path: path.to_owned(), limit };
        self.looks += 1;
        if self.looks > LOOKS {
            return Err(too_many(LOOKS));
        }
        if !self.nodes.contains_key(path) {
            if self.nodes.len() >= PATHS {
                return Err(too_many(PATHS));
            }
            let failed = |source| Error::Read { path: path.to_owned(), source };
            let node = Node::probe(&self.on_host(path)).map_err(failed)?;
            self.nodes.insert(path.to_owned(), node);
        }
        Ok(self.nodes.get(path).unwrap_or(&Node::Absent))
    }

    fn on_host(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// The parts of a path that matter to a walk, last one first. A '/' or a "." at the end asks for a directory.
fn parts(path: &Path) -> Vec<PathBuf> {
    let named = path.components().rev().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    let bytes = path.as_os_str().as_bytes();
    let directory = bytes.ends_with(b"/") || bytes.ends_with(b"/.") || bytes == b".";
    directory.then(|| PathBuf::from(".")).into_iter().chain(named.map(|part| PathBuf::from(part.as_os_str()))).collect()
}

/// The loop error for a path whose walk ended in [`Walked::Loop`].
pub(crate) fn looping(path: &Path) -> Error {
    Error::Loop { path: path.to_owned(), of: Levels::Links }
}

#[cfg(test)]
mod tests;
