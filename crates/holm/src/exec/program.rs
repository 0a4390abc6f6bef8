//! The plan made ready for the child: C strings, descriptors, argument lists. Everything that allocates happens here.
//!
//! The parent's own steps before the clone happen here too (opening namespaces and sources, making directories), so
//! that a name is used once and the child gets descriptors. Control groups are made, too.

use super::cgroup::Groups;
use super::place::{Own, Place};
use super::wall::Wall;
use super::{Failed, arguments};
use crate::model::id::lines;
use crate::plan::Plan;
use crate::plan::limits::Limit;
use crate::plan::step::{Act, Actor, Layer, Opener};
use crate::spec::filesystem::{Access, CONTENT_MOST, Content, Operation, Source, Upper};
use crate::spec::life::Stdio;
use crate::spec::namespaces::{Target, TimeOffsets};
use crate::spec::policy::{Denials, NewPrivileges, ProcView};
use crate::sys::clone::Stack;
use crate::sys::init;
use crate::sys::policy;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Attributes of mounts, as mount_setattr(2) takes them.
pub(crate) const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
const SAFE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

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
    /// The same, where the kind of file system can: what is read needs no owner.
    OnDiskIfPossible,
    /// Nobody's, where the owner isn't mapped.
    Unknown,
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

/// Options of a tmpfs.
pub(crate) struct TmpfsOptions {
    pub(crate) mode: CString,
    pub(crate) size: Option<CString>,
    /// The owner of its root, if it isn't the one who mounts.
    pub(crate) owner: Option<(CString, CString)>,
}

/// What the child does in one step. `Await` waits for what the parent does at once, `Ask` asks it for its steps first.
/// `LimitNamespaces` writes a file of the caller's /proc: in a mount namespace that is joined it may be guarded, or anything.
pub(crate) enum Op {
    Enter { namespace: usize, flag: u64 },
    Fork(u64),
    EnterUser,
    MakeNetwork,
    HandOverNetwork,
    EnterNetwork,
    Await,
    Ask,
    WriteMaps { uid: Vec<u8>, gid: Vec<u8> },
    OffsetTime(Vec<u8>),
    LimitNamespaces { proc: OwnedFd, file: &'static CStr },
    Loopback,
    Hostname(Vec<u8>),
    Private,
    RootTmpfs,
    RootBind { tree: Tree, attributes: u64 },
    RootOverlay(Layers),
    Bind { tree: Tree, at: Place, attributes: u64 },
    Tmpfs { at: Place, options: TmpfsOptions },
    Overlay { at: Place, layers: Layers },
    Directory { at: Place, mode: u32 },
    File { at: Place, bytes: Vec<u8>, mode: u32 },
    BindData { at: Place, bytes: Vec<u8>, mode: u32, attributes: u64 },
    Symlink { target: CString, at: Place },
    Chmod { at: Place, mode: u32 },
    Proc { at: Place, processes_only: bool },
    GuardProc { at: Place },
    Dev { at: Place },
    Mqueue { at: Place },
    RemountReadOnly { at: Place },
    Mask { at: Place },
    Seal,
    Pivot,
    OpenTerminal,
    DropGroups,
    TakeIds { uid: u32, gid: u32 },
    TakeMappedIds,
    JoinKeyring,
    RefuseCores,
    DropPrivileges { kept: u64, new: NewPrivileges },
    AdmitQueues,
    Confine,
    FilterCalls { filter: Vec<policy::Instruction>, watched: bool },
    OwnGroups,
    Umask(u32),
    ChangeDirectory { path: CString, or_root: bool },
    Descriptors { kept: Vec<i32>, gaps: Vec<(u32, u32)> },
    Init,
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
    pub(crate) namespaces: Vec<OwnedFd>,
    /// The number of the child's end of the socket, above all that are passed on.
    pub(crate) control: i32,
    /// A /proc, for an init that has to end its children itself.
    pub(crate) proc: Option<OwnedFd>,
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

/// Turns `plan` into a program whose child speaks through `control`. The descriptors returned beside are the child's: they
/// are to be open at the clone and closed after it.
pub(crate) fn compile(
    plan: &Plan,
    control: BorrowedFd<'_>,
    stdio: Three,
    groups: &mut Groups,
) -> std::result::Result<(Program, Vec<OwnedFd>), Failed> {
    let start = plan.clone_step();
    let at = |errno| Failed { step: start, errno };
    let mut compiler = Compiler::new(plan, groups);
    let lowest = plan.launch.descriptors.iter().copied().max().unwrap_or(2).max(2) + 1;
    let above = |fd: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, lowest);
    let control = above(control).map_err(at)?;
    let init = above(init::file().map_err(at)?.as_fd()).map_err(at)?;
    let proc = match plan.launch.own_pids {
        true => None,
        false => Some(proc_handle().and_then(|p| above(p.as_fd())).map_err(at)?),
    };
    compiler.fixed = vec![control.as_raw_fd(), init.as_raw_fd()];
    compiler.fixed.extend(proc.as_ref().map(AsRawFd::as_raw_fd));
    for (place, step) in plan.steps.iter().enumerate() {
        let number = place + 1;
        let injected = plan.fault.filter(|&(step, _)| step == number);
        match (step.actor, injected) {
            (Actor::Parent, Some((_, errno))) if !matches!(step.act, Act::Clone(_)) => {
                return Err(Failed { step: number, errno: Errno::from_raw_os_error(errno) });
            }
            _ => compiler.step(number, step.actor, &step.act).map_err(|errno| Failed { step: number, errno })?,
        }
    }
    let forks = compiler.steps.iter().any(|(_, op)| matches!(op, Op::Fork(_)));
    let mut handed_over = vec![control];
    let mut aide_socket = None;
    if let Some(&(number, _)) = compiler.aide.last() {
        compiler.aide.push((number, Op::HandOverNetwork));
        let (child, aide) = rustix::net::socketpair(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::SEQPACKET,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )
        .map_err(at)?;
        aide_socket = Some((child.as_raw_fd(), aide.as_raw_fd()));
        handed_over.extend([child, aide]);
    }
    let program = Program {
        fault: plan.fault.map(|(step, errno)| (step as u32, errno)),
        own: Own::new(compiler.own),
        namespaces: compiler.namespaces,
        second_stack: if forks || aide_socket.is_some() { Some(Stack::new().map_err(at)?) } else { None },
        arguments: arguments::list(plan, &handed_over[0], proc.as_ref()),
        aide: compiler.aide,
        aide_socket,
        environment: arguments::environment(plan),
        wall: compiler.wall,
        kept: plan.launch.descriptors.clone(),
        steps: compiler.steps,
        control: handed_over[0].as_raw_fd(),
        proc,
        init,
        stdio,
    };
    Ok((program, handed_over))
}

struct Compiler<'a> {
    steps: Vec<(u32, Op)>,
    aide: Vec<(u32, Op)>,
    /// Who did the step before, if it was the parent while the child waits.
    awaited: Option<Actor>,
    namespaces: Vec<OwnedFd>,
    /// Kinds of the opened namespaces, in the same order.
    kinds: Vec<u64>,
    own: usize,
    fixed: Vec<i32>,
    /// The owner of file systems in memory, if the program's ids are not those of the child.
    owner: Option<(u32, u32)>,
    new_user: bool,
    /// Attributes of every bind.
    safe: u64,
    wall: Option<Wall>,
    groups: &'a mut Groups,
}

impl<'a> Compiler<'a> {
    fn new(plan: &Plan, groups: &'a mut Groups) -> Compiler<'a> {
        let owner = plan.steps.iter().find_map(|s| match s.act {
            Act::TakeIds { uid, gid } => Some((uid, gid)),
            _ => None,
        });
        let new_user = plan.steps.iter().any(|s| matches!(s.act, Act::WriteMaps { .. }));
        let gains = |act: &Act| matches!(act, Act::DropPrivileges { new: NewPrivileges::Allowed, .. });
        let suid = plan.steps.iter().any(|s| gains(&s.act));
        Compiler {
            steps: Vec::new(),
            aide: Vec::new(),
            awaited: None,
            namespaces: Vec::new(),
            kinds: Vec::new(),
            own: 0,
            fixed: Vec::new(),
            owner,
            new_user,
            safe: if suid { libc::MOUNT_ATTR_NODEV } else { SAFE },
            wall: None,
            groups,
        }
    }

    fn step(&mut self, number: usize, actor: Actor, act: &Act) -> Result<()> {
        let number = number as u32;
        match act {
            Act::OpenNamespace { namespace, target } => {
                let opened = open_namespace(target, namespace.name())?;
                if crate::sys::namespace::kind(opened.as_fd()).ok() != Some(namespace.flag()) {
                    return Err(Errno::INVAL);
                }
                self.namespaces.push(opened);
                self.kinds.push(namespace.flag());
                return Ok(());
            }
            Act::MakeDirectory(path) => return super::keep::make_directory(path),
            Act::Limit(limit) if actor == Actor::Parent => return self.groups.prepare(limit),
            Act::Clone(_) | Act::Execute(_) | Act::Limit(Limit::Resource(_) | Limit::Timeout(_)) => return Ok(()),
            _ if matches!(actor, Actor::ParentAtOnce | Actor::ParentMeanwhile) => {
                // The child waits once for all steps of the parent in a row; as the init it does so by itself.
                if self.awaited != Some(actor) && !matches!(self.steps.last(), Some((_, Op::Init))) {
                    self.steps.push((number, if actor == Actor::ParentAtOnce { Op::Await } else { Op::Ask }));
                }
                self.awaited = Some(actor);
                return Ok(());
            }
            _ => {}
        }
        self.awaited = None;
        let op = self.op(act)?;
        let list = if actor == Actor::Aide { &mut self.aide } else { &mut self.steps };
        list.push((number, op));
        Ok(())
    }

    fn op(&mut self, act: &Act) -> Result<Op> {
        Ok(match act {
            Act::Enter(kind) => {
                let flag = kind.flag();
                let namespace = self.kinds.iter().position(|k| *k == flag).ok_or(Errno::BADF)?;
                Op::Enter { namespace, flag }
            }
            Act::Fork(set) => Op::Fork(set.flags()),
            Act::EnterUser => Op::EnterUser,
            Act::MakeNetwork => Op::MakeNetwork,
            Act::EnterNetwork => Op::EnterNetwork,
            Act::WriteMaps { uid, gid, .. } => {
                Op::WriteMaps { uid: lines(uid).into_bytes(), gid: lines(gid).into_bytes() }
            }
            Act::OffsetTime(offsets) => Op::OffsetTime(offset_lines(*offsets)),
            Act::LimitNamespaces => limit_namespaces(c"sys/user/max_user_namespaces")?,
            Act::Loopback => Op::Loopback,
            Act::Hostname(name) => Op::Hostname(name.as_bytes().to_vec()),
            Act::Private => Op::Private,
            Act::RootTmpfs => {
                self.own += 1;
                Op::RootTmpfs
            }
            Act::RootBind { source, access, opener } => Op::RootBind {
                tree: self.tree(&Source::Path(source.clone()), *opener, self.attributes(*access))?,
                attributes: self.attributes(*access),
            },
            Act::RootOverlay { lower, upper, opener } => {
                self.own += 1;
                let so_far = lower.contains(&Layer::SoFar);
                let directories = lower.iter().filter_map(|layer| match layer {
                    Layer::Directory(path) => Some(path.as_path()),
                    Layer::SoFar => None,
                });
                Op::RootOverlay(self.layers(directories, so_far, upper, *opener)?)
            }
            Act::Operate { operation, opener } => self.operation(operation, *opener)?,
            Act::MountProc { at, view } => {
                Op::Proc { at: Place::new(at), processes_only: *view == ProcView::Processes }
            }
            Act::GuardProc { at } => Op::GuardProc { at: Place::new(at) },
            Act::Seal => Op::Seal,
            Act::Pivot => Op::Pivot,
            Act::OpenTerminal => Op::OpenTerminal,
            Act::DropGroups => Op::DropGroups,
            Act::TakeIds { uid, gid } => Op::TakeIds { uid: *uid, gid: *gid },
            Act::TakeMappedIds => Op::TakeMappedIds,
            Act::JoinKeyring => Op::JoinKeyring,
            Act::RefuseCores => Op::RefuseCores,
            Act::DropPrivileges { kept, new } => {
                Op::DropPrivileges { kept: kept.iter().map(|one| one.bit()).fold(0, std::ops::BitOr::bitor), new: *new }
            }
            Act::AdmitQueues => Op::AdmitQueues,
            Act::Confine(rules) => {
                self.wall = Some(Wall::new(*rules)?);
                Op::Confine
            }
            Act::FilterCalls { filter, denials } => {
                let watched = *denials == Denials::Told;
                let made = watched.then(|| super::watch::notifying(filter.instructions()));
                let words = made.as_deref().unwrap_or(filter.instructions()).iter();
                let word = |i: &crate::model::seccomp::Instruction| policy::Instruction {
                    code: i.code,
                    jt: i.if_true,
                    jf: i.if_false,
                    k: i.value,
                };
                Op::FilterCalls { filter: words.map(word).collect(), watched }
            }
            Act::Limit(Limit::View) => Op::OwnGroups,
            Act::Limit(Limit::Lock) => limit_namespaces(c"sys/user/max_cgroup_namespaces")?,
            Act::Umask(mask) => Op::Umask(*mask),
            Act::ChangeDirectory { path, or_root } => {
                Op::ChangeDirectory { path: text(path.as_os_str()), or_root: *or_root }
            }
            Act::Descriptors(kept) => Op::Descriptors { kept: kept.clone(), gaps: gaps(kept, &self.fixed) },
            Act::Init => Op::Init,
            Act::OpenNamespace { .. }
            | Act::MakeDirectory(_)
            | Act::Clone(_)
            | Act::Keep { .. }
            | Act::MapOwners { .. }
            | Act::Limit(_)
            | Act::Execute(_) => {
                unreachable!("`step` has taken the parent's acts")
            }
        })
    }

    fn operation(&mut self, operation: &Operation, opener: Opener) -> Result<Op> {
        let at = Place::new(operation.at());
        Ok(match operation {
            Operation::Bind { source, access, .. } => {
                let attributes = self.attributes(*access);
                Op::Bind { tree: self.tree(source, opener, attributes)?, at, attributes }
            }
            Operation::Tmpfs { size, mode, .. } => {
                self.own += 1;
                Op::Tmpfs { at, options: self.tmpfs(*mode, *size) }
            }
            Operation::Overlay { lower, upper, .. } => {
                self.own += 1;
                Op::Overlay { at, layers: self.layers(lower.iter().map(|p| p.as_path()), false, upper, opener)? }
            }
            Operation::Directory { mode, .. } => Op::Directory { at, mode: *mode },
            Operation::File { content, mode, .. } => Op::File { at, bytes: bytes(content)?, mode: *mode },
            Operation::BindData { content, mode, access, .. } => {
                let attributes = self.attributes(*access) | SAFE;
                Op::BindData { at, bytes: bytes(content)?, mode: *mode, attributes }
            }
            Operation::Symlink { target, .. } => Op::Symlink { target: text(target.as_os_str()), at },
            Operation::Chmod { mode, .. } => Op::Chmod { at, mode: *mode },
            Operation::Proc { .. } => unreachable!("planning mounts it by another act"),
            Operation::Dev { .. } => Op::Dev { at },
            Operation::Mqueue { .. } => Op::Mqueue { at },
            Operation::RemountReadOnly { .. } => Op::RemountReadOnly { at },
            Operation::Mask { .. } => Op::Mask { at },
        })
    }

    fn attributes(&self, access: Access) -> u64 {
        match access {
            Access::ReadOnly => READ_ONLY | self.safe,
            Access::ReadWrite => self.safe,
            Access::Devices => self.safe & libc::MOUNT_ATTR_NOSUID,
        }
    }

    fn tree(&self, source: &Source, opener: Opener, attributes: u64) -> Result<Tree> {
        match (source, opener) {
            (Source::Path(path), Opener::Child) => Ok(Tree::Path(text(path.as_os_str()))),
            (Source::Descriptor(number), Opener::Child) => Ok(Tree::Descriptor(*number)),
            (source, Opener::Parent | Opener::ParentMapped) => {
                let tree = match source {
                    Source::Path(path) => super::mounts::clone_path(&text(path.as_os_str()))?,
                    Source::Descriptor(number) => super::mounts::clone_descriptor(*number)?,
                };
                crate::sys::mount::set_attributes(tree.as_fd(), crate::sys::mount::Reach::Tree, attributes)?;
                let written = attributes & READ_ONLY == 0 && super::mounts::is_directory(tree.as_fd())?;
                let owners = match opener {
                    Opener::ParentMapped if written => Owners::OnDisk,
                    Opener::ParentMapped => Owners::OnDiskIfPossible,
                    _ => Owners::Unknown,
                };
                Ok(Tree::Opened(tree, owners))
            }
        }
    }

    fn layers<'p>(
        &self,
        lower: impl Iterator<Item = &'p Path>,
        so_far: bool,
        upper: &Upper,
        opener: Opener,
    ) -> Result<Layers> {
        let upper = match upper {
            Upper::None => UpperLayer::None,
            Upper::Temporary => UpperLayer::Temporary,
            Upper::Kept { upper, work } if opener == Opener::Child => {
                UpperLayer::Kept { tree: None, upper: text(upper.as_os_str()), work: text(work.as_os_str()) }
            }
            Upper::Kept { upper, work } => {
                // Both must be on one mount (overlayfs), so it is their directory that is cloned.
                let parts = [(upper.parent(), upper.file_name()), (work.parent(), work.file_name())];
                let [(Some(directory), Some(upper)), (same, Some(work))] = parts else { return Err(Errno::INVAL) };
                if same != Some(directory) {
                    return Err(Errno::XDEV);
                }
                let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
                let tree = Some(self.layer(directory, opener, Owners::OnDisk)?);
                UpperLayer::Kept { tree, upper: text(upper), work: text(work) }
            }
        };
        let lower = lower.map(|path| self.layer(path, opener, Owners::OnDiskIfPossible)).collect::<Result<_>>()?;
        Ok(Layers { lower, so_far, upper, user_attributes: self.new_user })
    }

    fn layer(&self, path: &Path, opener: Opener, owners: Owners) -> Result<Tree> {
        let path = text(path.as_os_str());
        Ok(match opener {
            Opener::Child => Tree::Path(path),
            Opener::Parent => Tree::Opened(super::mounts::clone_layer(&path)?, Owners::Unknown),
            Opener::ParentMapped => Tree::Opened(super::mounts::clone_layer(&path)?, owners),
        })
    }

    fn tmpfs(&self, mode: u32, size: Option<u64>) -> TmpfsOptions {
        let number = |n: String| CString::new(n).expect("digits hold no NUL");
        TmpfsOptions {
            mode: number(format!("{mode:o}")),
            size: size.map(|s| number(s.to_string())),
            owner: self.owner.map(|(uid, gid)| (number(uid.to_string()), number(gid.to_string()))),
        }
    }
}

/// `text` for the kernel. Planning refuses NUL bytes.
pub(crate) fn text(text: &OsStr) -> CString {
    CString::new(text.as_bytes()).expect("planning refuses NUL bytes")
}

fn bytes(content: &Content) -> Result<Vec<u8>> {
    let number = match content {
        Content::Bytes(bytes) => return Ok(bytes.clone()),
        Content::Descriptor(number) => *number,
    };
    let file = crate::sys::process::borrow(number).ok_or(Errno::BADF)?;
    let (mut all, mut part) = (Vec::new(), [0u8; 8192]);
    loop {
        match rustix::io::retry_on_intr(|| rustix::io::read(file, &mut part))? {
            0 => return Ok(all),
            length if all.len() + length > CONTENT_MOST => return Err(Errno::FBIG),
            length => all.extend_from_slice(&part[..length]),
        }
    }
}

fn open_namespace(target: &Target, name: &str) -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match target {
        Target::Path(path) => open(path, flags, Mode::empty()),
        Target::Descriptor(number) => {
            rustix::io::fcntl_dupfd_cloexec(crate::sys::process::borrow(*number).ok_or(Errno::BADF)?, 3)
        }
        Target::Process(pid) => {
            let pid = rustix::process::Pid::from_raw(*pid).ok_or(Errno::SRCH)?;
            let process = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
            let opened = open(format!("/proc/{}/ns/{name}", pid.as_raw_pid()), flags, Mode::empty())?;
            // A descriptor of a process that has ended is readable; one that hasn't pins the meaning of its number.
            let mut ended = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
            match rustix::event::poll(&mut ended, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }))? {
                0 => Ok(opened),
                _ => Err(Errno::SRCH),
            }
        }
    }
}

fn proc_handle() -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    open(c"/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn limit_namespaces(file: &'static CStr) -> Result<Op> {
    Ok(Op::LimitNamespaces { proc: proc_handle()?, file })
}

fn offset_lines(offsets: TimeOffsets) -> Vec<u8> {
    let line = |clock: &str, nanoseconds: i64| {
        let (seconds, rest) = (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
        format!("{clock} {seconds} {rest}\n")
    };
    (line("monotonic", offsets.monotonic) + &line("boottime", offsets.boot)).into_bytes()
}

/// The ranges of descriptors above 2 that are closed: all but `kept` and `fixed`.
fn gaps(kept: &[i32], fixed: &[i32]) -> Vec<(u32, u32)> {
    let mut stay: Vec<u32> = kept.iter().chain(fixed).map(|&n| n as u32).collect();
    stay.sort_unstable();
    let (mut gaps, mut next) = (Vec::new(), 3u32);
    for number in stay {
        if number > next {
            gaps.push((next, number - 1));
        }
        next = next.max(number + 1);
    }
    gaps.push((next, u32::MAX));
    gaps
}

/// One descriptor, or none, for each of standard input, output and error.
pub(crate) type Three = [Option<OwnedFd>; 3];

/// Opens what the standard descriptors will be; the ends for the caller are returned beside.
pub(crate) fn open_stdio(wishes: [Stdio; 3]) -> Result<(Three, Three)> {
    use rustix::fs::{Mode, OFlags, open};
    use rustix::pipe::{PipeFlags, pipe_with};
    let (mut inside, mut outside) = ([const { None }; 3], [const { None }; 3]);
    for (number, wish) in wishes.into_iter().enumerate() {
        let opened = match wish {
            Stdio::Inherit => continue,
            Stdio::Null => open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?,
            Stdio::Descriptor(n) => {
                rustix::io::fcntl_dupfd_cloexec(crate::sys::process::borrow(n).ok_or(Errno::BADF)?, 3)?
            }
            Stdio::Piped => {
                let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
                let (mine, theirs) = if number == 0 { (read, write) } else { (write, read) };
                outside[number] = Some(theirs);
                mine
            }
        };
        // A program that closed its standard descriptors may get one of their numbers here; move out of the way.
        let high = if opened.as_raw_fd() > 2 { opened } else { rustix::io::fcntl_dupfd_cloexec(&opened, 3)? };
        inside[number] = Some(high);
    }
    Ok((inside, outside))
}
