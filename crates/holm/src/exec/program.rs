//! What the child walks: the plan as C strings, descriptors and argument lists, ready-made, for the child can't allocate.
//!
//! `compile` makes it; here is only what it holds.

use super::cgroup::Entrances;
use super::outside::Three;
use super::place::{Own, Place};
use super::wall::Wall;
use super::within::Within;
use crate::model::mount::{Attributes, Propagation, Reach};
use crate::plan::step::{Otherwise, Stand};
use crate::spec::filesystem::Beneath;
use crate::spec::policy::{CapabilitySets, NewPrivileges};
use crate::sys::clone::Stack;
use crate::sys::policy;
use crate::sys::process::Line;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::FileType;
use rustix::process::Gid;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;

/// Attributes of mounts, as mount_setattr(2) takes them.
pub(crate) const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;

/// Where a tree of mounts comes from.
pub(crate) enum Tree {
    /// The parent cloned it.
    Opened(OwnedFd, Owners),
    /// The child clones what is at a path of the caller's.
    Path(CString),
    /// The child clones what a descriptor is open on.
    Descriptor(i32),
}

impl Op {
    /// The trees that the parent cloned for it.
    fn trees(&self) -> impl Iterator<Item = &Tree> {
        let (one, layers) = match self {
            Op::RootBind { tree, .. } | Op::Bind { tree, .. } => (Some(tree), None),
            Op::RootAsIs { attached, .. } | Op::Attach { attached, .. } => (Some(&attached.tree), None),
            Op::RootOverlay(layers) | Op::Overlay { layers, .. } => (None, Some(layers)),
            _ => (None, None),
        };
        let upper = layers.and_then(|layers| match &layers.upper {
            UpperLayer::Kept { tree, .. } => tree.as_ref(),
            _ => None,
        });
        one.into_iter().chain(layers.into_iter().flat_map(|layers| &layers.lower)).chain(upper)
    }
}

/// Whose the files of a tree are shown to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owners {
    /// Whose they are on disk, by the sandbox's id maps. What is to be written needs it.
    OnDisk,
    /// The same, for so many of its mounts.
    OnDiskOf(Reach),
    /// The same, where the kind of file system can: what is read needs no owner.
    OnDiskIfPossible,
    /// Nobody's, where the owner isn't mapped.
    Unknown,
}

/// The user namespace by whose maps files are shown.
pub(crate) enum Maps {
    Of(OwnedFd),
    /// The sandbox's own.
    Own,
}

/// Layers of an overlay.
pub(crate) struct Layers {
    /// Directories of the caller's, below what was made so far if that is a layer.
    pub(crate) lower: Vec<Tree>,
    pub(crate) so_far: bool,
    pub(crate) upper: UpperLayer,
    /// Whether the mounter is in a user namespace and may use the `user.` attributes only (overlayfs, `userxattr`).
    pub(crate) user_attributes: bool,
}

pub(crate) enum UpperLayer {
    None,
    Temporary,
    /// Two directories, by their names in `tree` if it is one that the parent cloned, else by their paths.
    Kept {
        tree: Option<Tree>,
        upper: CString,
        work: CString,
    },
}

/// A tree of mounts with attributes of any kind.
pub(crate) struct Attached {
    pub(crate) tree: Tree,
    pub(crate) manner: Manner,
}

/// How a tree of mounts is cloned.
pub(crate) struct Manner {
    pub(crate) reach: Reach,
    /// For every mount, and then for the first one alone.
    pub(crate) attributes: [Attributes; 2],
    /// What it is made, one after the other.
    pub(crate) propagation: &'static [Propagation],
}

/// A file system of any kind.
pub(crate) struct FileSystem {
    pub(crate) kind: CString,
    pub(crate) source: CString,
    pub(crate) options: Vec<(CString, Option<CString>)>,
    /// All of them in the form of mount(2), where fsconfig(2) doesn't take one.
    pub(crate) long: Option<CString>,
    pub(crate) attributes: u64,
    pub(crate) propagation: &'static [Propagation],
    pub(crate) beneath: Beneath,
}

/// Options of a tmpfs.
pub(crate) struct TmpfsOptions {
    pub(crate) mode: CString,
    pub(crate) size: Option<CString>,
    /// The owner of its root, if it isn't the one who mounts.
    pub(crate) owner: Option<(CString, CString)>,
}

/// What the child does in one step. `Await` waits for what the parent does at once, `Ask` asks it for its steps first.
/// Files of /proc are those of the caller's, which `Write` names from there on: in a mount namespace that is joined it may be
/// guarded, or anything.
pub(crate) enum Op {
    Write {
        path: CString,
        bytes: Vec<u8>,
    },
    HideMemory,
    Enter {
        namespace: usize,
        flag: u64,
    },
    EnterRoot(i32),
    EnterDirectory(i32),
    Fork(u64),
    EnterUser,
    MakeNetwork,
    HandOverNetwork,
    EnterNetwork,
    Await,
    Ask,
    WriteMaps {
        uid: Vec<u8>,
        gid: Vec<u8>,
    },
    OffsetTime(Vec<u8>),
    Loopback,
    Hostname(Vec<u8>),
    Domain(Vec<u8>),
    Private,
    RootTmpfs,
    RootBind {
        tree: Tree,
        attributes: u64,
    },
    /// `place` is the path of its directory.
    RootAsIs {
        attached: Attached,
        stand: Stand,
        place: CString,
    },
    RootOverlay(Layers),
    Bind {
        tree: Tree,
        at: Place,
        attributes: u64,
    },
    Tmpfs {
        at: Place,
        options: TmpfsOptions,
    },
    Overlay {
        at: Place,
        layers: Layers,
    },
    Directory {
        at: Place,
        mode: u32,
    },
    File {
        at: Place,
        bytes: Vec<u8>,
        mode: u32,
    },
    BindData {
        at: Place,
        bytes: Vec<u8>,
        mode: u32,
        attributes: u64,
    },
    Symlink {
        target: CString,
        at: Place,
    },
    Chmod {
        at: Place,
        mode: u32,
    },
    Proc {
        at: Place,
        processes_only: bool,
        read_only: bool,
    },
    GuardProc {
        at: Place,
    },
    Dev {
        at: Place,
    },
    Mqueue {
        at: Place,
    },
    RemountReadOnly {
        at: Place,
    },
    Remount {
        at: Place,
        attributes: Attributes,
        options: Vec<(CString, Option<CString>)>,
    },
    Mask {
        at: Within,
    },
    Mount {
        at: Place,
        file_system: FileSystem,
    },
    /// `again` if it is cloned once more in its place.
    Attach {
        attached: Attached,
        at: Place,
        again: bool,
    },
    /// What is at `from` by then, perhaps shown with other owners.
    AttachInside {
        from: Place,
        manner: Manner,
        maps: Option<(Maps, Reach)>,
        at: Place,
    },
    Node {
        at: Place,
        kind: FileType,
        device: u64,
        mode: u32,
        owner: (u32, u32),
    },
    Protect {
        at: Within,
    },
    Seal,
    Pivot,
    TakeRoot,
    Propagate(Propagation),
    OpenTerminal,
    ShowTerminal {
        at: Place,
        uid: u32,
    },
    TakeGroups(Vec<Gid>),
    TakeIds {
        uid: u32,
        gid: u32,
    },
    TakeMappedIds,
    JoinKeyring,
    RefuseCores,
    SetCapabilities {
        sets: CapabilitySets,
        new: NewPrivileges,
    },
    GiveUpAdministration(CapabilitySets),
    DropPrivileges {
        kept: u64,
        new: NewPrivileges,
    },
    AdmitQueues,
    Confine,
    /// `raises` if CAP_SYS_ADMIN was kept for it.
    FilterCalls {
        filter: Vec<policy::Instruction>,
        flags: u32,
        watched: bool,
        raises: bool,
    },
    EnterGroups(Entrances),
    OwnGroups,
    Personality(u32),
    MemoryPolicy {
        mode: u32,
        nodes: Vec<u64>,
    },
    Umask(u32),
    ChangeDirectory {
        path: CString,
        otherwise: Otherwise,
    },
    Seek(Vec<CString>),
    FindHome(u32),
    Descriptors {
        kept: Vec<i32>,
        gaps: Vec<(u32, u32)>,
    },
    Init,
}

/// Descriptors for the init alone, besides the socket.
pub(crate) struct Inherited {
    /// A /proc, for an init that has to end its children itself.
    pub(crate) proc: Option<OwnedFd>,
    /// What it keeps open to the end.
    pub(crate) held: Option<OwnedFd>,
    /// Where it waits to be started.
    pub(crate) door: Option<OwnedFd>,
}

impl Inherited {
    pub(crate) fn iter(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [&self.proc, &self.held, &self.door].into_iter().flatten().map(AsFd::as_fd)
    }
}

/// Everything the child reads.
pub(crate) struct Program {
    pub(crate) steps: Vec<(u32, Op)>,
    /// What the aide does.
    pub(crate) aide: Vec<(u32, Op)>,
    /// The numbers of the child's and the aide's end of the socket between them.
    pub(crate) aide_socket: Option<(i32, i32)>,
    pub(crate) fault: Option<(u32, i32)>,
    pub(crate) own: Own,
    /// The mounts of new file systems that a wish describes: no other file system is changed, which may be the host's.
    pub(crate) file_systems: Own,
    pub(crate) namespaces: Vec<OwnedFd>,
    /// The caller's /proc, if a step writes there.
    pub(crate) proc: Option<OwnedFd>,
    /// The number of the child's end of the socket, above all that are passed on.
    pub(crate) control: i32,
    pub(crate) inherited: Inherited,
    pub(crate) init: OwnedFd,
    /// Restrictions that grow with the root.
    pub(crate) wall: Option<Wall>,
    /// Descriptors of the caller that the program keeps.
    pub(crate) kept: Vec<i32>,
    /// What becomes descriptors 0, 1 and 2, where they are not just inherited; all above 2.
    pub(crate) stdio: Three,
    /// A second stack, for a child that forks, or for the aide.
    pub(crate) second_stack: Option<Stack>,
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Vec<CString>,
    /// One more variable, that the child finds.
    pub(crate) home: Option<Line>,
}

impl Program {
    /// The descriptors that the program gets: its standard ones, and those it keeps.
    pub(crate) fn given(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let standard = self.stdio.iter().zip(0..).filter_map(|(given, number)| match given {
            Some(given) => Some(given.as_fd()),
            None => crate::sys::process::borrow(number),
        });
        standard.chain(self.kept.iter().filter_map(|&number| crate::sys::process::borrow(number)))
    }

    /// The trees whose owners are shown as they are on disk, and whether they must be.
    pub(crate) fn mapped(&self) -> impl Iterator<Item = (BorrowedFd<'_>, Owners)> {
        self.steps.iter().flat_map(|(_, op)| op.trees()).filter_map(|tree| match tree {
            Tree::Opened(tree, owners) if *owners != Owners::Unknown => Some((tree.as_fd(), *owners)),
            _ => None,
        })
    }
}

/// `text` for the kernel. Planning refuses NUL bytes.
pub(crate) fn text(text: &OsStr) -> CString {
    CString::new(text.as_bytes()).expect("planning refuses NUL bytes")
}
