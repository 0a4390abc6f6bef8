//! Wishes about the file system: a root, where writes go, and an ordered list of operations on it.
//!
//! Every path named `at` is inside the new root and is resolved there (openat2(2), `RESOLVE_IN_ROOT`): a symbolic link
//! in the root never leads out of it. Every path named `source`, `lower` or `upper` is the caller's, unless its type says otherwise.

use super::policy::SysView;
use super::{Origin, Spec};
use crate::model::id::IdMap;
use crate::model::mount::{Attributes, Propagation, Reach};
use std::ffi::OsString;
use std::path::PathBuf;

/// What the root directory is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Root {
    /// The host's `/usr` and its links, a small `/etc`, nothing of the host's data.
    #[default]
    Host,
    /// A directory of programs made for this: as `Host`, but from that directory.
    Programs(PathBuf),
    /// Any directory, as it is, with fresh `/proc`, `/dev` and `/tmp`.
    Directory(PathBuf),
    /// An empty tmpfs, without anything.
    Empty,
}

/// Where writes to the root go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Writes {
    /// Nowhere: the root is read-only, with fresh `/tmp`, `/run` and home.
    #[default]
    Refused,
    /// Into the root itself.
    Through,
    /// Into memory, gone with the sandbox.
    Temporary,
    /// Into the directories `upper` and `work` of this directory (overlayfs).
    Kept(PathBuf),
}

/// One operation with where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What is done.
    pub operation: Operation,
    /// Where the wish came from.
    pub origin: Origin,
}

/// What is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A path of the caller's.
    Path(PathBuf),
    /// What a descriptor of the caller is open on.
    Descriptor(i32),
}

/// What is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindSource {
    /// A path of the caller's.
    Outside(PathBuf),
    /// A path inside, with what is mounted there by then. A symbolic link anywhere in it is refused: whoever made the root chose
    /// where it leads.
    Inside(PathBuf),
}

/// What may be done through a bind mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading. Holds for every mount below, too (mount_setattr(2), `AT_RECURSIVE`).
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
    /// Reading, writing and using device nodes.
    Devices,
}

/// What happens if a source is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The plan is refused.
    Refuse,
    /// The operation is left out.
    Skip,
}

/// A file is made from at most so many bytes, wherever they are read from: 16 MiB.
pub const CONTENT_MOST: usize = 16 << 20;

/// So many directories can be the lower ones of an overlay: a mount option has 255 bytes for them (fsconfig(2)).
pub const LAYERS: usize = 60;

/// What a new file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What can be read from this descriptor of the caller up to its end, at most [`CONTENT_MOST`].
    Descriptor(i32),
}

/// Where an overlay's changes go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upper {
    /// There are none: it is read-only.
    None,
    /// Into memory.
    Temporary,
    /// Into `upper`; `work` is on the same file system and the kernel's own.
    Kept {
        /// The directory of changes.
        upper: PathBuf,
        /// The kernel's work directory.
        work: PathBuf,
    },
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A character device, by its major and minor number.
    Character(u32, u32),
    /// A block device.
    Block(u32, u32),
    /// A pipe.
    Pipe,
}

/// What a new file system takes over from the directory that it hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Beneath {
    /// Nothing.
    #[default]
    Hidden,
    /// Its mode.
    Mode,
    /// A copy of all that is in it, and its owner and mode.
    Content,
}

/// Whose the files of a mount are shown to be (mount_setattr(2), `MOUNT_ATTR_IDMAP`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Owners {
    /// Whose they are on disk, as ids outside.
    #[default]
    Outside,
    /// Whose they are on disk, as ids inside the new user namespace.
    Inside(Reach),
    /// By these maps: `inside` is on disk, `outside` is what they are shown to be, as ids outside.
    Mapped {
        /// Of user ids.
        uid: Vec<IdMap>,
        /// Of group ids.
        gid: Vec<IdMap>,
        /// With the mounts below, or without.
        reach: Reach,
    },
}

/// One thing done to the root. Missing parent directories are made, with mode 755, on file systems of the sandbox only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Makes a file or directory tree of the caller's visible, with all that is mounted below it.
    Bind {
        /// What.
        source: Source,
        /// Where.
        at: PathBuf,
        /// For what.
        access: Access,
        /// If there is none.
        missing: Missing,
    },
    /// A new file system in memory.
    Tmpfs {
        /// Where.
        at: PathBuf,
        /// At most so many bytes; `None` is the kernel's limit, half of memory (tmpfs(5)).
        size: Option<u64>,
        /// Permission bits of its root.
        mode: u32,
    },
    /// Directories laid over each other (overlayfs), the first of `lower` on top.
    Overlay {
        /// Where.
        at: PathBuf,
        /// At least one directory; at least two without an upper one.
        lower: Vec<PathBuf>,
        /// Where changes go.
        upper: Upper,
    },
    /// A directory; one that is there stays.
    Directory {
        /// Where.
        at: PathBuf,
        /// Permission bits if it is made.
        mode: u32,
    },
    /// A new file.
    File {
        /// Where; nothing may be there.
        at: PathBuf,
        /// What it holds.
        content: Content,
        /// Permission bits.
        mode: u32,
    },
    /// A file that shadows what is there: read-only, from data, mounted over it.
    BindData {
        /// Where.
        at: PathBuf,
        /// What it holds.
        content: Content,
        /// For what: `Devices` is as `ReadWrite`.
        access: Access,
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link.
    Symlink {
        /// Its text.
        target: PathBuf,
        /// Where; nothing but the same link may be there.
        at: PathBuf,
    },
    /// Changes permission bits.
    Chmod {
        /// Of what; a symbolic link is refused.
        at: PathBuf,
        /// The new bits.
        mode: u32,
    },
    /// The processes of the new pid namespace (proc(5)).
    Proc {
        /// Where.
        at: PathBuf,
    },
    /// A small /dev: null, zero, full, random, urandom, tty, fd, stdin, stdout, stderr, ptmx, pts, shm.
    Dev {
        /// Where.
        at: PathBuf,
    },
    /// POSIX message queues of the new IPC namespace (mq_overview(7)).
    Mqueue {
        /// Where.
        at: PathBuf,
    },
    /// Makes the mount at a path read-only, not the mounts below it.
    RemountReadOnly {
        /// Of which mount.
        at: PathBuf,
    },
    /// Changes a mount that is there, and no mount below it: these attributes, and these options of its file system, which holds
    /// for all its mounts. What isn't named stays.
    Remount {
        /// Which mount.
        at: PathBuf,
        /// Its attributes.
        attributes: Attributes,
        /// Options of its file system, with their values.
        options: Vec<(OsString, Option<OsString>)>,
    },
    /// A file system of any kind, with the options that mount(8) takes for it. Mount points may be made on it.
    Mount {
        /// Its kind, as in /proc/filesystems.
        kind: OsString,
        /// What it is of, for the kinds that say so.
        source: OsString,
        /// Where; a symbolic link is followed inside the root, but for `proc` and `sysfs`.
        at: PathBuf,
        /// Its own options, with their values.
        options: Vec<(OsString, Option<OsString>)>,
        /// The mount's attributes.
        attributes: Attributes,
        /// Where what is mounted below it shows.
        propagation: Propagation,
        /// What it takes over from the directory there.
        beneath: Beneath,
    },
    /// As `Bind`, with any attributes. Mount points may be made on it.
    Attach {
        /// What.
        source: BindSource,
        /// Where; a symbolic link is followed inside the root.
        at: PathBuf,
        /// With what is mounted below the source or not.
        reach: Reach,
        /// Attributes of the first mount.
        attributes: Attributes,
        /// Attributes of every mount.
        below: Attributes,
        /// Where what is mounted below any of them shows.
        propagation: Propagation,
        /// Whose its files are shown to be.
        owners: Owners,
    },
    /// A device or a pipe with a name (mknod(2)), and its owner and mode.
    Node {
        /// Where; what is there stays.
        at: PathBuf,
        /// What it is.
        kind: NodeKind,
        /// Permission bits.
        mode: u32,
        /// User and group id inside.
        owner: (u32, u32),
    },
    /// Makes what is at a path read-only with all that is mounted below it. What is missing needs no protection.
    Protect {
        /// Of what.
        at: PathBuf,
    },
    /// Hides a file behind an empty one, or a directory behind an empty one. What is missing needs no hiding.
    Mask {
        /// What.
        at: PathBuf,
    },
}

impl Operation {
    /// The path inside that it works on.
    pub fn at(&self) -> &PathBuf {
        match self {
            Operation::Bind { at, .. }
            | Operation::Tmpfs { at, .. }
            | Operation::Overlay { at, .. }
            | Operation::Directory { at, .. }
            | Operation::File { at, .. }
            | Operation::BindData { at, .. }
            | Operation::Symlink { at, .. }
            | Operation::Chmod { at, .. }
            | Operation::Proc { at }
            | Operation::Dev { at }
            | Operation::Mqueue { at }
            | Operation::Mount { at, .. }
            | Operation::Attach { at, .. }
            | Operation::Node { at, .. }
            | Operation::Protect { at }
            | Operation::RemountReadOnly { at }
            | Operation::Remount { at, .. }
            | Operation::Mask { at } => at,
        }
    }

    /// The descriptor of the caller that it names.
    pub fn descriptor(&self) -> Option<i32> {
        match self {
            Operation::Bind { source: Source::Descriptor(number), .. }
            | Operation::File { content: Content::Descriptor(number), .. }
            | Operation::BindData { content: Content::Descriptor(number), .. } => Some(*number),
            _ => None,
        }
    }

    /// Whether it mounts something on `at`, which therefore has to exist.
    pub fn mounts(&self) -> bool {
        matches!(
            self,
            Operation::Bind { .. }
                | Operation::Tmpfs { .. }
                | Operation::Overlay { .. }
                | Operation::BindData { .. }
                | Operation::Proc { .. }
                | Operation::Dev { .. }
                | Operation::Mqueue { .. }
        )
    }
}

/// The paths that a root directory must have for the mounts of `spec`: its own and the default ones, without those
/// that lie on a mount made before.
pub(crate) fn mount_points(spec: &Spec) -> Vec<PathBuf> {
    let mut points: Vec<PathBuf> = ["/proc", "/dev", "/tmp"].map(PathBuf::from).to_vec();
    points.extend((spec.policy.sys == SysView::ReadOnly).then(|| PathBuf::from("/sys")));
    for entry in &spec.filesystem {
        let at = entry.operation.at();
        if entry.operation.mounts() && !points.iter().any(|earlier| at.starts_with(earlier)) {
            points.push(at.clone());
        }
    }
    points
}
