//! A step: who does it, what it does, why, and from which wish it came.

use crate::model::capability::Capability;
use crate::model::filters::compiled;
use crate::model::id::IdMap;
use crate::model::label::Label;
use crate::model::landlock::{ABSTRACT_SOCKETS, Rules, SIGNAL};
use crate::model::mount::{Propagation, Reach};
use crate::model::namespace::{Namespace, NamespaceSet};
use crate::model::schedule::{MemoryPolicy, Personality};
use crate::model::seccomp::Instruction;
use crate::model::seccomp::policy::Policy;
use crate::plan::limits::Limit;
use crate::spec::filesystem::{Access, Beneath, BindSource, NodeKind, Operation, Owners, Upper};
use crate::spec::namespaces::{Device, Target, TimeOffsets};
use crate::spec::policy::{CapabilitySets, Denials, NewPrivileges, ProcView};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// What is done if the directory that a program starts in can't be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// The start fails, unless an earlier step has entered it.
    Fail,
    /// The root directory does.
    Root,
    /// It is tried again later.
    Later,
}

/// Who does a step, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The caller's process, before there is a child.
    Parent,
    /// The caller's process, as soon as there is a process inside, which waits for it when it gets there.
    ParentAtOnce,
    /// The caller's process, while the child waits.
    ParentMeanwhile,
    /// The child, inside.
    Child,
    /// A second child, beside the one inside.
    Aide,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Who does it.
    pub actor: Actor,
    /// What is done.
    pub act: Act,
    /// Why.
    pub why: &'static str,
    /// From which wish it came; empty for a default.
    pub origin: String,
}

/// Who opens a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opener {
    /// The parent, with its rights outside.
    Parent,
    /// The parent, which shows it with its owners on disk by the sandbox's own id maps.
    ParentMapped,
    /// The child, with the caller's ids and no more.
    Child,
}

/// One layer of an overlay root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// What has been made of the root up to now.
    SoFar,
    /// A directory of the caller's.
    Directory(PathBuf),
}

/// How id maps are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapWriter {
    /// By the child: single maps, without setgroups (user_namespaces(7)).
    Child,
    /// By the parent, which may.
    Parent,
    /// By newuidmap(1) and newgidmap(1), started by the parent.
    Helpers,
}

/// A filter on system calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallFilter {
    /// A built-in one, compiled with the library.
    BuiltIn(Policy),
    /// This one.
    Compiled {
        /// What seccomp(2) takes.
        instructions: Vec<Instruction>,
        /// Its flags.
        flags: u32,
    },
}

impl CallFilter {
    /// Its instructions, for seccomp(2).
    pub fn instructions(&self) -> &[Instruction] {
        match self {
            CallFilter::BuiltIn(policy) => compiled(*policy),
            CallFilter::Compiled { instructions, .. } => instructions,
        }
    }

    /// Its flags, for seccomp(2).
    pub fn flags(&self) -> u32 {
        match self {
            CallFilter::BuiltIn(_) => 0,
            CallFilter::Compiled { flags, .. } => *flags,
        }
    }
}

/// Whose a namespace may be that is joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Anybody's.
    Anyones,
    /// Not the caller's: something is set in it.
    Others,
}

/// Where a root stands while it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// On top of `/`, where nothing sees it.
    OnTop,
    /// Where its directory is.
    InPlace,
    /// Nowhere in the mount namespace, which is others', too.
    Apart,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Opens a namespace that is to be joined and checks its kind.
    OpenNamespace {
        /// Its kind.
        namespace: Namespace,
        /// Where it is.
        target: Target,
        /// Whose it may be.
        whose: Whose,
    },
    /// Makes a directory of the caller's if it is missing.
    MakeDirectory(PathBuf),
    /// Starts the child, in these new namespaces.
    Clone(NamespaceSet),
    /// Makes the child's memory, which is still the caller's, one that nobody in what is entered may look into.
    HideMemory,
    /// Moves the child into an opened namespace.
    Enter(Namespace),
    /// Starts the process inside, from the first child, in these new namespaces.
    Fork(NamespaceSet),
    /// Starts the init once more, from itself, in the pid namespace that was entered.
    ForkInit,
    /// Moves the aide into the new user namespace.
    EnterUser,
    /// Makes a network namespace.
    MakeNetwork,
    /// Enters the network namespace that was made beside.
    EnterNetwork,
    /// Writes the id maps.
    WriteMaps {
        /// Who writes.
        writer: MapWriter,
        /// Of user ids.
        uid: Vec<IdMap>,
        /// Of group ids.
        gid: Vec<IdMap>,
    },
    /// Applies the id maps to the mounts that the parent has opened so, and gives pipes among the standard descriptors to
    /// a user and group outside.
    MapOwners {
        /// Who they are.
        pipes: Option<(u32, u32)>,
    },
    /// Keeps a namespace by a bind mount.
    Keep {
        /// Its kind.
        namespace: Namespace,
        /// On which file.
        path: PathBuf,
    },
    /// Makes a time namespace and sets its offsets.
    OffsetTime(TimeOffsets),
    /// Lets the new user namespace have no further ones.
    LimitNamespaces,
    /// Sets the loopback interface up.
    Loopback,
    /// Sets the host name.
    Hostname(OsString),
    /// Sets the NIS domain name.
    Domain(OsString),
    /// Writes a file below /proc/sys.
    Setting {
        /// Which, relative.
        path: PathBuf,
        /// What.
        value: OsString,
    },
    /// Makes every mount private, so that nothing done to mounts goes out or comes in.
    Private,
    /// Puts an empty file system in memory on `/`.
    RootTmpfs,
    /// Puts a directory on `/`.
    RootBind {
        /// Which.
        source: PathBuf,
        /// For what.
        access: Access,
        /// Who opens it.
        opener: Opener,
    },
    /// Puts a directory on `/` as it is; mount points may be made in it.
    RootAsIs {
        /// Which.
        source: PathBuf,
        /// Who opens it.
        opener: Opener,
        /// Where what is mounted below it shows.
        propagation: Propagation,
        /// Where it stands while it is made.
        stand: Stand,
    },
    /// Puts an overlay on `/`.
    RootOverlay {
        /// Its lower layers, the first on top.
        lower: Vec<Layer>,
        /// Where changes go.
        upper: Upper,
        /// Who opens the layers.
        opener: Opener,
    },
    /// An operation on the root.
    Operate {
        /// Which.
        operation: Operation,
        /// Who opens its source.
        opener: Opener,
    },
    /// Mounts a /proc of the new pid namespace.
    MountProc {
        /// Where.
        at: PathBuf,
        /// What it shows.
        view: ProcView,
        /// Whether it is read-only.
        access: Access,
    },
    /// Hides what tells about the machine in a /proc, and makes what changes it read-only.
    GuardProc {
        /// Where it is mounted.
        at: PathBuf,
    },
    /// Moves a network device of the caller's into the network namespace, and sets it up there.
    MoveDevice(Device),
    /// Lets the maker do what it has to do inside.
    Visit,
    /// Makes the root's own file system read-only.
    Seal,
    /// Makes the new root the root, and lets go of the old one.
    Pivot,
    /// Takes a new root that stands apart (chroot(2)).
    TakeRoot,
    /// Takes a directory that is open for the root (chroot(2)).
    EnterRoot {
        /// Its descriptor.
        descriptor: i32,
        /// Whose root it is.
        of: String,
    },
    /// Sets where what is mounted below the root shows.
    Propagate(Propagation),
    /// Opens a new terminal and hands its controlling side to the parent.
    OpenTerminal,
    /// Mounts the new terminal on a file, and gives it to a user.
    ShowTerminal {
        /// Where.
        at: PathBuf,
        /// The user's id.
        uid: u32,
    },
    /// Gives up supplementary groups.
    DropGroups,
    /// Takes these supplementary groups and no others.
    TakeGroups(Vec<u32>),
    /// Takes these ids.
    TakeIds {
        /// User id inside.
        uid: u32,
        /// Group id inside.
        gid: u32,
    },
    /// Takes ids 0, if the process's own are not mapped in the user namespace that it has joined.
    TakeMappedIds,
    /// Has the keyrings that are made next carry a label (keyctl(2)).
    LabelKeys(Label),
    /// Joins a session keyring without keys.
    JoinKeyring,
    /// Lets no process leave a core file.
    RefuseCores,
    /// Gives up capabilities and the way back to them.
    DropPrivileges {
        /// All but these.
        kept: Vec<Capability>,
        /// Whether execve(2) may give others.
        new: NewPrivileges,
    },
    /// Sets each set of capabilities.
    SetCapabilities {
        /// To what.
        sets: CapabilitySets,
        /// Whether execve(2) may give others.
        new: NewPrivileges,
    },
    /// Gives up what was kept of CAP_SYS_ADMIN: leaves these capabilities.
    GiveUpAdministration(CapabilitySets),
    /// Lets Landlock leave the message queues of the new ipc namespace writable.
    AdmitQueues,
    /// Restricts by Landlock what files are written and who outside is reached.
    Confine(Rules),
    /// Refuses system calls.
    FilterCalls {
        /// Which.
        filter: CallFilter,
        /// Whether the caller is told.
        denials: Denials,
    },
    /// Has the program see another machine.
    Personality(Personality),
    /// Says on which nodes the program gets memory.
    MemoryPolicy(MemoryPolicy),
    /// Sets the file mode creation mask.
    Umask(u32),
    /// Enters the directory the program starts in.
    ChangeDirectory {
        /// Which.
        path: PathBuf,
        /// What is done if it can't be entered.
        otherwise: Otherwise,
    },
    /// Sets HOME as the user's line in `/etc/passwd` says.
    FindHome {
        /// The user.
        uid: u32,
    },
    /// Looks for the program, by whose user it is run: what is missing is known before anything waits for it.
    Seek(Vec<PathBuf>),
    /// Enters a directory that is open, or `/` if that is not below the root.
    EnterDirectory {
        /// Its descriptor.
        descriptor: i32,
        /// Whose directory it is.
        of: String,
    },
    /// Sets up standard descriptors and closes all others but these.
    Descriptors(Vec<i32>),
    /// Becomes the init.
    Init,
    /// Becomes a small program that waits until somebody starts it by a socket.
    WaitAtDoor,
    /// Puts the process inside into a control group that is there.
    EnterGroup {
        /// Where it is.
        path: PathBuf,
        /// A descriptor of its `cgroup.procs`.
        descriptor: i32,
    },
    /// Limits what the sandbox may use.
    Limit(Limit),
    /// Has the program run under a label.
    Label(Label),
    /// Starts the program: as the init's child, or in place of what waited.
    Execute(OsString),
}

struct Shown<'a>(&'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::model::text::escape(self.0.as_os_str(), f)
    }
}

/// The act as an order, to stand after "cannot " as well: `bind /opt/data on /data, read-only`.
impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::OpenNamespace { namespace, target, whose: Whose::Anyones } => {
                write!(f, "open the {namespace} namespace of {target}")
            }
            Act::OpenNamespace { namespace, target, whose: Whose::Others } => {
                write!(f, "open the {namespace} namespace of {target}, to set something in it")
            }
            Act::MakeDirectory(path) => write!(f, "make directory {} outside", Shown(path)),
            Act::Clone(set) if *set == NamespaceSet::default() => f.write_str("start the child"),
            Act::Clone(set) => write!(f, "start the child in new namespaces: {set}"),
            Act::HideMemory => f.write_str("let nobody inside trace it"),
            Act::Enter(namespace) => write!(f, "enter the {namespace} namespace"),
            Act::Fork(set) if *set == NamespaceSet::default() => f.write_str("start the process inside"),
            Act::Fork(set) => write!(f, "start the process inside, in new namespaces: {set}"),
            Act::ForkInit => f.write_str("start the process inside"),
            Act::EnterUser => f.write_str("enter the new user namespace"),
            Act::MakeNetwork => f.write_str("make a new net namespace"),
            Act::EnterNetwork => f.write_str("enter the new net namespace"),
            Act::WriteMaps { uid, gid, writer } => {
                let by = if *writer == MapWriter::Helpers { " by newuidmap and newgidmap" } else { "" };
                write!(f, "map users {} and groups {}{by}", list(uid), list(gid))
            }
            Act::MapOwners { .. } => f.write_str("show files with their owners on disk"),
            Act::Keep { namespace, path } => write!(f, "keep the {namespace} namespace at {}", Shown(path)),
            Act::OffsetTime(by) => write!(f, "shift clocks by boot={}ns,mono={}ns", by.boot, by.monotonic),
            Act::LimitNamespaces => f.write_str("allow no further user namespaces"),
            Act::Loopback => f.write_str("set the loopback interface up"),
            Act::Hostname(name) => write!(f, "set the host name to {}", Shown(Path::new(name))),
            Act::Domain(name) => write!(f, "set the domain name to {}", Shown(Path::new(name))),
            Act::Setting { path, value } => {
                write!(f, "set {} to {}", Shown(&Path::new("/proc/sys").join(path)), Shown(Path::new(value)))
            }
            Act::Private => f.write_str("make all mounts private"),
            Act::RootTmpfs => f.write_str("mount an empty tmpfs as the new root"),
            Act::RootBind { source, access, .. } => {
                write!(f, "bind {} as the new root{}", Shown(source), access_word(*access))
            }
            Act::RootAsIs { source, propagation, stand, .. } => {
                let seen = match stand {
                    Stand::OnTop => "",
                    Stand::InPlace => ", in its place",
                    Stand::Apart => ", apart from all mounts",
                };
                write!(f, "bind {} as the new root, as it is{}{seen}", Shown(source), propagation_word(*propagation))
            }
            Act::RootOverlay { lower, upper, .. } => {
                f.write_str("mount an overlay as the new root, of ")?;
                for (place, layer) in lower.iter().enumerate() {
                    f.write_str(if place == 0 { "" } else { " over " })?;
                    match layer {
                        Layer::SoFar => f.write_str("what was made so far")?,
                        Layer::Directory(path) => Shown(path).fmt(f)?,
                    }
                }
                f.write_str(upper_word(upper))
            }
            Act::MoveDevice(Device { name, inside }) => {
                write!(f, "move network device {} into the network namespace", Shown(Path::new(name)))?;
                if inside == name { Ok(()) } else { write!(f, ", as {}", Shown(Path::new(inside))) }
            }
            Act::Visit => f.write_str("let the maker do what it wishes inside"),
            Act::Operate { operation, .. } => operation.fmt(f),
            Act::MountProc { at, view, access } => {
                let view = if *view == ProcView::Processes { ", processes only" } else { "" };
                let access = if *access == Access::ReadOnly { ", read-only" } else { "" };
                write!(f, "mount proc on {}{view}{access}", Shown(at))
            }
            Act::GuardProc { at } => write!(f, "guard the machine's own files in {}", Shown(at)),
            Act::Seal => f.write_str("make the new root read-only"),
            Act::Pivot => f.write_str("pivot_root to the new root and let go of the old one"),
            Act::TakeRoot => f.write_str("take the new root"),
            Act::EnterRoot { of, .. } => write!(f, "take the root of {of}"),
            Act::Propagate(propagation) => write!(f, "make the root a mount of its own{}", propagation_word(*propagation)),
            Act::OpenTerminal => f.write_str("open a terminal of its own"),
            Act::ShowTerminal { at, uid } => write!(f, "mount its terminal on {}, for user {uid}", Shown(at)),
            Act::DropGroups => f.write_str("drop supplementary groups"),
            Act::TakeGroups(groups) => write!(f, "take supplementary groups {groups:?}"),
            Act::TakeIds { uid, gid } => write!(f, "become user {uid} and group {gid}"),
            Act::TakeMappedIds => f.write_str("become user 0 and group 0, if the own ids aren't mapped here"),
            Act::LabelKeys(label) => write!(f, "make keyrings under {label}"),
            Act::JoinKeyring => f.write_str("join an empty session keyring"),
            Act::RefuseCores => f.write_str("set the limit of core files to 0"),
            Act::DropPrivileges { kept, .. } if kept.is_empty() => f.write_str("drop all capabilities, for good"),
            Act::DropPrivileges { kept, .. } => {
                f.write_str("drop all capabilities but ")?;
                kept.iter().enumerate().try_for_each(|(n, kept)| write!(f, "{}{kept}", if n == 0 { "" } else { ", " }))
            }
            Act::SetCapabilities { sets, .. } => write!(
                f,
                "set capabilities: bounding {:x}, permitted {:x}, effective {:x}, inheritable {:x}, ambient {:x}",
                sets.bounding, sets.permitted, sets.effective, sets.inheritable, sets.ambient
            ),
            Act::GiveUpAdministration(_) => f.write_str("give up CAP_SYS_ADMIN"),
            Act::AdmitQueues => f.write_str("let message queues be written"),
            Act::Confine(Rules { files: 0, scopes: SIGNAL }) => f.write_str("reach nobody outside by signals"),
            Act::Confine(Rules { files: 0, scopes: ABSTRACT_SOCKETS }) => f.write_str("reach no abstract socket outside"),
            Act::Confine(Rules { files: 0, .. }) => f.write_str("reach nobody outside by signals and abstract sockets"),
            Act::Confine(Rules { scopes: 0, .. }) => f.write_str("write where something writable is mounted only"),
            Act::Confine(_) => {
                f.write_str("write where something writable is mounted only, and reach nobody outside by signals and abstract sockets")
            }
            Act::FilterCalls { filter, denials } => {
                match filter {
                    CallFilter::BuiltIn(Policy::Default) => f.write_str("filter system calls")?,
                    CallFilter::BuiltIn(Policy::Strict) => f.write_str("filter system calls strictly")?,
                    CallFilter::Compiled { instructions, .. } => {
                        write!(f, "filter system calls by {} instructions", instructions.len())?;
                    }
                }
                match filter.flags() {
                    0 => {}
                    flags => write!(f, ", flags {flags}")?,
                }
                f.write_str(match denials {
                    Denials::Untold => "",
                    Denials::Told => ", and watch what is refused",
                    Denials::HandedOver => ", and hand its questions over",
                })
            }
            Act::Personality(Personality::Linux) => f.write_str("see this machine as it is"),
            Act::Personality(Personality::Linux32) => f.write_str("see a machine of 32 bits"),
            Act::MemoryPolicy(MemoryPolicy { mode, nodes }) => {
                write!(f, "take memory by policy {mode:#x} of nodes {nodes}")
            }
            Act::Umask(mask) => write!(f, "set the umask to {mask:03o}"),
            Act::ChangeDirectory { path, otherwise } => {
                let otherwise = match otherwise {
                    Otherwise::Fail => "",
                    Otherwise::Root => " (/ if it is not there)",
                    Otherwise::Later => " (or later, as its user)",
                };
                write!(f, "change directory to {}{otherwise}", Shown(path))
            }
            Act::FindHome { uid } => write!(f, "set HOME to that of user {uid} in /etc/passwd, or to /"),
            Act::Seek(paths) => {
                let shown = |path: &PathBuf| Shown(path).to_string();
                write!(f, "find the program at {}", paths.iter().map(shown).collect::<Vec<_>>().join(" or "))
            }
            Act::EnterDirectory { of, .. } => {
                write!(f, "change directory to that of {of} (/ if it is not below the root)")
            }
            Act::Descriptors(kept) if kept.is_empty() => f.write_str("close descriptors above 2"),
            Act::Descriptors(kept) => write!(f, "close descriptors above 2 but {kept:?}"),
            Act::Init => f.write_str("become a small init"),
            Act::WaitAtDoor => f.write_str("wait to be started"),
            Act::EnterGroup { path, .. } => write!(f, "enter the control group {}", Shown(path)),
            Act::Limit(limit) => limit.fmt(f),
            Act::Label(label) => write!(f, "run under {label}"),
            Act::Execute(name) => write!(f, "run {}", Shown(Path::new(name))),
        }
    }
}

fn list(maps: &[IdMap]) -> String {
    maps.iter().map(IdMap::to_string).collect::<Vec<_>>().join(",")
}

fn access_word(access: Access) -> &'static str {
    match access {
        Access::ReadOnly => ", read-only",
        Access::ReadWrite => ", writable",
        Access::Devices => ", with devices",
    }
}

fn propagation_word(propagation: Propagation) -> &'static str {
    match propagation {
        Propagation::Private => "",
        Propagation::Slave => ", slave",
        Propagation::Shared => ", shared",
        Propagation::Unbindable => ", unbindable",
    }
}

fn upper_word(upper: &Upper) -> &'static str {
    match upper {
        Upper::None => ", read-only",
        Upper::Temporary => ", changes in memory",
        Upper::Kept { .. } => ", changes kept",
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Path(path) => Shown(path).fmt(f),
            Target::Process(pid) => write!(f, "process {pid}"),
            Target::Descriptor(number) => write!(f, "descriptor {number}"),
            Target::Opened { of, .. } => f.write_str(of),
        }
    }
}

/// As for [`Act`].
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::spec::filesystem::Source;
        let at = Shown(self.at());
        match self {
            Operation::Bind { source: Source::Path(path), access, .. } => {
                write!(f, "bind {} on {at}{}", Shown(path), access_word(*access))
            }
            Operation::Bind { source: Source::Descriptor(n), access, .. } => {
                write!(f, "bind descriptor {n} on {at}{}", access_word(*access))
            }
            Operation::Tmpfs { size: Some(size), mode, .. } => {
                write!(f, "mount a tmpfs of {size} bytes on {at}, mode {mode:o}")
            }
            Operation::Tmpfs { mode, .. } => write!(f, "mount a tmpfs on {at}, mode {mode:o}"),
            Operation::Overlay { lower, upper, .. } => {
                write!(f, "mount an overlay on {at}, of ")?;
                for (place, path) in lower.iter().enumerate() {
                    write!(f, "{}{}", if place == 0 { "" } else { " over " }, Shown(path))?;
                }
                f.write_str(upper_word(upper))
            }
            Operation::Directory { .. } => write!(f, "make directory {at}"),
            Operation::File { mode, .. } => write!(f, "write file {at}, mode {mode:o}"),
            Operation::BindData { access, .. } => write!(f, "bind a new file on {at}{}", access_word(*access)),
            Operation::Symlink { target, .. } => write!(f, "link {at} to {}", Shown(target)),
            Operation::Chmod { mode, .. } => write!(f, "change the mode of {at} to {mode:o}"),
            Operation::Proc { .. } => write!(f, "mount proc on {at}"),
            Operation::Dev { .. } => write!(f, "make a small /dev on {at}"),
            Operation::Mqueue { .. } => write!(f, "mount mqueue on {at}"),
            Operation::RemountReadOnly { .. } => write!(f, "make the mount at {at} read-only"),
            Operation::Mask { .. } => write!(f, "hide {at}"),
            Operation::Remount { attributes, options, .. } => {
                write!(f, "change the mount at {at}: attributes +{:x} -{:x}", attributes.set, attributes.clear)?;
                listed(options, f)
            }
            Operation::Mount { kind, options, attributes, propagation, beneath, .. } => {
                write!(f, "mount {} on {at}", Shown(Path::new(kind)))?;
                listed(options, f)?;
                f.write_str(if attributes.read_only() { ", read-only" } else { "" })?;
                f.write_str(propagation_word(*propagation))?;
                f.write_str(match beneath {
                    Beneath::Hidden => "",
                    Beneath::Mode => ", with the mode of what is there",
                    Beneath::Content => ", with a copy of what is there",
                })
            }
            Operation::Attach { source, reach, attributes, propagation, owners, .. } => {
                match source {
                    BindSource::Outside(source) => write!(f, "bind {} on {at}", Shown(source))?,
                    BindSource::Inside(source) => write!(f, "bind {} of the root itself on {at}", Shown(source))?,
                }
                f.write_str(if *reach == Reach::One { ", without what is below it" } else { "" })?;
                f.write_str(if attributes.read_only() { ", read-only" } else { "" })?;
                f.write_str(propagation_word(*propagation))?;
                match owners {
                    Owners::Outside => Ok(()),
                    Owners::Inside(_) => f.write_str(", with owners as ids inside"),
                    Owners::Mapped { uid, gid, .. } => {
                        write!(f, ", with owners by users {} and groups {}", list(uid), list(gid))
                    }
                }
            }
            Operation::Node { kind, mode, owner: (uid, gid), .. } => match kind {
                NodeKind::Character(major, minor) => {
                    write!(f, "make character device {major}:{minor} at {at}, mode {mode:o}, of {uid}:{gid}")
                }
                NodeKind::Block(major, minor) => {
                    write!(f, "make block device {major}:{minor} at {at}, mode {mode:o}, of {uid}:{gid}")
                }
                NodeKind::Pipe => write!(f, "make a pipe at {at}, mode {mode:o}, of {uid}:{gid}"),
            },
            Operation::Protect { .. } => write!(f, "make {at} read-only"),
        }
    }
}

/// Options of a file system, each after a comma.
fn listed(options: &[(OsString, Option<OsString>)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    options.iter().try_for_each(|(key, value)| {
        write!(f, ", {}", Shown(Path::new(key)))?;
        match value {
            Some(value) => write!(f, "={}", Shown(Path::new(value))),
            None => Ok(()),
        }
    })
}
