//! From the plan to the program that the child walks. Everything that allocates happens here.
//!
//! The parent's own steps before the clone happen here too (opening namespaces and sources, making directories), so
//! that a name is used once and the child gets descriptors. Control groups are made, too.

use super::cgroup::Groups;
use super::outside::{Three, is_callers, open_namespace, proc_handle, read};
use super::place::{Own, Place};
use super::program::{
    Attached, FileSystem, Inherited, Layers, Manner, Maps, Op, Owners, Program, READ_ONLY, TmpfsOptions, Tree,
    UpperLayer, text,
};
use super::wall::Wall;
use super::within::Mounted;
use super::{Failed, arguments, home};
use crate::model::id::lines;
use crate::model::mount::{Attributes, Propagation, Reach};
use crate::model::namespace::Namespace;
use crate::plan::Plan;
use crate::plan::limits::Limit;
use crate::plan::options::LONGEST;
use crate::plan::step::{Act, Actor, CallFilter, Layer, MapWriter, Opener, Stand, Whose};
use crate::spec::filesystem::{self, Access, BindSource, NodeKind, Operation, Source, Upper};
use crate::spec::life::Lifetime;
use crate::spec::namespaces::TimeOffsets;
use crate::spec::policy::{Denials, NewPrivileges, ProcView};
use crate::sys::clone::Stack;
use crate::sys::init;
use crate::sys::mount::map_owners;
use crate::sys::policy;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, makedev};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const SAFE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

/// Turns `plan` into a program whose child speaks through `control`, and which waits at `door` if it is detached. The descriptors returned beside are the child's: they
/// are to be open at the clone and closed after it.
pub(crate) fn compile(
    plan: &Plan,
    control: BorrowedFd<'_>,
    stdio: Three,
    door: Option<BorrowedFd<'_>>,
    groups: &mut Groups,
) -> std::result::Result<(Program, Vec<OwnedFd>), Failed> {
    let start = plan.clone_step();
    let at = |errno| Failed { step: start, errno };
    let mut compiler = Compiler::new(plan, groups);
    let lowest = plan.launch.descriptors.iter().copied().max().unwrap_or(2).max(2) + 1;
    let above = |fd: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, lowest);
    let control = above(control).map_err(at)?;
    // Above the control socket: what is below it the init closes.
    let above = |fd: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, control.as_raw_fd() + 1);
    let init = above(init::file().map_err(at)?.as_fd()).map_err(at)?;
    let launch = &plan.launch;
    let proc = match launch.own_pids || launch.lifetime != Lifetime::Owned {
        true => None,
        false => Some(compiler.proc().and_then(|p| above(p.as_fd())).map_err(at)?),
    };
    let copy = |kept: Option<BorrowedFd<'_>>| kept.map(above).transpose().map_err(at);
    let held = match launch.held {
        Some(number) => Some(crate::sys::process::borrow(number).ok_or(at(Errno::BADF))?),
        None => None,
    };
    let inherited = Inherited { proc, held: copy(held)?, door: copy(door)? };
    compiler.fixed = vec![control.as_raw_fd(), init.as_raw_fd()];
    compiler.fixed.extend(inherited.iter().map(|one| one.as_raw_fd()));
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
        file_systems: Own::new(compiler.file_systems),
        namespaces: compiler.namespaces,
        proc: compiler.proc,
        second_stack: if forks || aide_socket.is_some() { Some(Stack::new().map_err(at)?) } else { None },
        arguments: arguments::list(plan, &handed_over[0], &inherited),
        aide: compiler.aide,
        aide_socket,
        environment: arguments::environment(plan),
        home: plan.steps.iter().any(|step| matches!(step.act, Act::FindHome { .. })).then(home::variable),
        wall: compiler.wall,
        kept: plan.launch.descriptors.clone(),
        steps: compiler.steps,
        control: handed_over[0].as_raw_fd(),
        inherited,
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
    proc: Option<OwnedFd>,
    /// Kinds of the opened namespaces, in the same order.
    kinds: Vec<u64>,
    /// Which of them is the last user namespace.
    user: Option<usize>,
    /// Whether the root is mounted nowhere.
    apart: bool,
    own: usize,
    file_systems: usize,
    fixed: Vec<i32>,
    /// The owner of file systems in memory, if the program's ids are not those of the child.
    owner: Option<(u32, u32)>,
    new_user: bool,
    /// Whether a right is kept for the filter.
    raises: bool,
    /// Attributes of every bind.
    safe: u64,
    wall: Option<Wall>,
    mounted: Mounted,
    groups: &'a mut Groups,
}

impl<'a> Compiler<'a> {
    fn new(plan: &Plan, groups: &'a mut Groups) -> Compiler<'a> {
        let owner = plan.steps.iter().find_map(|s| match s.act {
            Act::TakeIds { uid, gid } => Some((uid, gid)),
            _ => None,
        });
        let new_user = plan.steps.iter().any(|s| matches!(s.act, Act::WriteMaps { .. }));
        let raises = plan.steps.iter().any(|s| matches!(s.act, Act::GiveUpAdministration(_)));
        let gains = |act: &Act| matches!(act, Act::DropPrivileges { new: NewPrivileges::Allowed, .. });
        let suid = plan.steps.iter().any(|s| gains(&s.act));
        Compiler {
            steps: Vec::new(),
            aide: Vec::new(),
            awaited: None,
            namespaces: Vec::new(),
            proc: None,
            kinds: Vec::new(),
            user: None,
            apart: false,
            own: 0,
            file_systems: 0,
            fixed: Vec::new(),
            owner,
            new_user,
            raises,
            safe: if suid { libc::MOUNT_ATTR_NODEV } else { SAFE },
            wall: None,
            mounted: Mounted::default(),
            groups,
        }
    }

    /// The caller's /proc, opened once.
    fn proc(&mut self) -> Result<&OwnedFd> {
        let opened = match self.proc.take() {
            Some(opened) => opened,
            None => proc_handle()?,
        };
        Ok(self.proc.insert(opened))
    }

    fn step(&mut self, number: usize, actor: Actor, act: &Act) -> Result<()> {
        let number = number as u32;
        if writes_proc(act) {
            self.proc()?;
        }
        match act {
            Act::OpenNamespace { namespace, target, whose } => {
                let opened = open_namespace(target, namespace.name())?;
                if crate::sys::namespace::kind(opened.as_fd()).ok() != Some(namespace.flag()) {
                    return Err(Errno::INVAL);
                }
                if *whose == Whose::Others && is_callers(&opened, namespace.name())? {
                    return Err(Errno::EXIST);
                }
                if *namespace == Namespace::User {
                    self.user = Some(self.namespaces.len());
                }
                self.namespaces.push(opened);
                self.kinds.push(namespace.flag());
                return Ok(());
            }
            Act::MakeDirectory(path) => return super::keep::make_directory(path),
            Act::Limit(limit) if actor == Actor::Parent => return self.groups.prepare(limit),
            Act::Clone(_)
            | Act::ForkInit
            | Act::Label(_)
            | Act::Execute(_)
            | Act::Limit(Limit::Resource(_) | Limit::Timeout(_)) => {
                return Ok(());
            }
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
                // Each is entered once; of user namespaces there may be more.
                let namespace = self.kinds.iter().position(|k| *k == flag).ok_or(Errno::BADF)?;
                self.kinds[namespace] = 0;
                Op::Enter { namespace, flag }
            }
            Act::HideMemory => Op::HideMemory,
            Act::EnterRoot { descriptor, .. } => Op::EnterRoot(*descriptor),
            Act::EnterDirectory { descriptor, .. } => Op::EnterDirectory(*descriptor),
            Act::Fork(set) => Op::Fork(set.flags()),
            Act::EnterUser => Op::EnterUser,
            Act::MakeNetwork => Op::MakeNetwork,
            Act::EnterNetwork => Op::EnterNetwork,
            Act::WriteMaps { uid, gid, .. } => {
                Op::WriteMaps { uid: lines(uid).into_bytes(), gid: lines(gid).into_bytes() }
            }
            Act::OffsetTime(offsets) => Op::OffsetTime(offset_lines(*offsets)),
            Act::LimitNamespaces => written(c"sys/user/max_user_namespaces", b"0"),
            Act::Loopback => Op::Loopback,
            Act::Hostname(name) => Op::Hostname(name.as_bytes().to_vec()),
            Act::Domain(name) => Op::Domain(name.as_bytes().to_vec()),
            Act::Setting { path, value } => written(&text(Path::new("sys").join(path).as_os_str()), value.as_bytes()),
            Act::Private => Op::Private,
            Act::RootTmpfs => {
                self.own += 1;
                Op::RootTmpfs
            }
            Act::RootBind { source, access, opener } => Op::RootBind {
                tree: self.tree(&Source::Path(source.clone()), *opener, self.attributes(*access))?,
                attributes: self.attributes(*access),
            },
            Act::RootAsIs { source, opener, propagation, stand } => {
                self.own += 1;
                let attributes = [Attributes::default(); 2];
                let propagation = self.propagation(*propagation);
                self.apart = *stand == Stand::Apart;
                let attached = attached(source, *opener, Manner { reach: Reach::Tree, attributes, propagation })?;
                Op::RootAsIs { attached, stand: *stand, place: text(source.as_os_str()) }
            }
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
            Act::MountProc { at, view, access } => {
                self.mounted.note_proc(at);
                let processes_only = *view == ProcView::Processes;
                Op::Proc { at: Place::new(at), processes_only, read_only: *access == Access::ReadOnly }
            }
            Act::GuardProc { at } => Op::GuardProc { at: Place::new(at) },
            Act::Seal => Op::Seal,
            Act::Pivot => Op::Pivot,
            Act::TakeRoot => Op::TakeRoot,
            Act::Propagate(propagation) => Op::Propagate(*propagation),
            Act::OpenTerminal => Op::OpenTerminal,
            Act::ShowTerminal { at, uid } => Op::ShowTerminal { at: Place::new(at), uid: *uid },
            Act::DropGroups => Op::TakeGroups(Vec::new()),
            Act::TakeGroups(groups) => {
                Op::TakeGroups(groups.iter().map(|&group| rustix::process::Gid::from_raw(group)).collect())
            }
            Act::TakeIds { uid, gid } => Op::TakeIds { uid: *uid, gid: *gid },
            Act::TakeMappedIds => Op::TakeMappedIds,
            Act::LabelKeys(label) => written(c"thread-self/attr/keycreate", label.text.as_bytes()),
            Act::JoinKeyring => Op::JoinKeyring,
            Act::RefuseCores => Op::RefuseCores,
            Act::DropPrivileges { kept, new } => {
                Op::DropPrivileges { kept: kept.iter().map(|one| one.bit()).fold(0, std::ops::BitOr::bitor), new: *new }
            }
            Act::SetCapabilities { sets, new } => Op::SetCapabilities { sets: *sets, new: *new },
            Act::GiveUpAdministration(sets) => Op::GiveUpAdministration(*sets),
            Act::AdmitQueues => Op::AdmitQueues,
            Act::Confine(rules) => {
                self.wall = Some(Wall::new(*rules)?);
                Op::Confine
            }
            Act::FilterCalls { filter, denials } => filter_calls(filter, *denials, self.raises),
            Act::Limit(Limit::OomScore(score)) => written(c"self/oom_score_adj", score.to_string().as_bytes()),
            Act::Limit(Limit::Enter) => Op::EnterGroups(self.groups.entrances()?),
            Act::Limit(Limit::View) => Op::OwnGroups,
            Act::Limit(Limit::Lock) => written(c"sys/user/max_cgroup_namespaces", b"0"),
            Act::Personality(personality) => Op::Personality(*personality as u32),
            Act::MemoryPolicy(policy) => Op::MemoryPolicy { mode: policy.mode, nodes: policy.bits() },
            Act::Umask(mask) => Op::Umask(*mask),
            Act::ChangeDirectory { path, otherwise } => {
                Op::ChangeDirectory { path: text(path.as_os_str()), otherwise: *otherwise }
            }
            Act::FindHome { uid } => Op::FindHome(*uid),
            Act::Seek(paths) => Op::Seek(paths.iter().map(|path| text(path.as_os_str())).collect()),
            Act::Descriptors(kept) => Op::Descriptors { kept: kept.clone(), gaps: gaps(kept, &self.fixed) },
            Act::Init | Act::WaitAtDoor => Op::Init,
            Act::OpenNamespace { .. }
            | Act::MakeDirectory(_)
            | Act::Clone(_)
            | Act::Keep { .. }
            | Act::Visit
            | Act::MoveDevice(_)
            | Act::MapOwners { .. }
            | Act::EnterGroup { .. }
            | Act::Limit(_)
            | Act::ForkInit
            | Act::Label(_)
            | Act::Execute(_) => {
                unreachable!("`step` has taken the parent's acts")
            }
        })
    }

    fn operation(&mut self, operation: &Operation, opener: Opener) -> Result<Op> {
        self.mounted.note(operation);
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
            Operation::File { content, mode, .. } => Op::File { at, bytes: read(content)?, mode: *mode },
            Operation::BindData { content, mode, access, .. } => {
                let attributes = self.attributes(*access) | SAFE;
                Op::BindData { at, bytes: read(content)?, mode: *mode, attributes }
            }
            Operation::Symlink { target, .. } => Op::Symlink { target: text(target.as_os_str()), at },
            Operation::Chmod { mode, .. } => Op::Chmod { at, mode: *mode },
            Operation::Proc { .. } => unreachable!("planning mounts it by another act"),
            Operation::Dev { .. } => Op::Dev { at },
            Operation::Mqueue { .. } => Op::Mqueue { at },
            Operation::RemountReadOnly { .. } => Op::RemountReadOnly { at },
            Operation::Mask { at } => Op::Mask { at: self.mounted.place(at) },
            Operation::Remount { attributes, options, .. } => {
                Op::Remount { at, attributes: *attributes, options: options.iter().map(option).collect() }
            }
            Operation::Mount { kind, source, options, attributes, propagation, beneath, .. } => {
                self.own += 1;
                self.file_systems += 1;
                let options: Vec<(CString, Option<CString>)> = options.iter().map(option).collect();
                let file_system = FileSystem {
                    kind: text(kind),
                    source: text(source),
                    long: long(&options)?,
                    options,
                    attributes: attributes.set,
                    propagation: self.propagation(*propagation),
                    beneath: *beneath,
                };
                Op::Mount { at, file_system }
            }
            Operation::Attach { source, reach, attributes, below, propagation, owners, .. } => {
                self.own += 1;
                let propagation = self.propagation(*propagation);
                let manner = Manner { reach: *reach, attributes: [*below, *attributes], propagation };
                let source = match source {
                    BindSource::Outside(source) => source,
                    BindSource::Inside(from) => {
                        let (from, maps) = (Place::new(from), self.maps(owners)?);
                        return Ok(Op::AttachInside { from, manner, maps, at });
                    }
                };
                let mut attached = attached(source, opener, manner)?;
                if let Tree::Opened(tree, shown) = &mut attached.tree {
                    match owners {
                        filesystem::Owners::Outside => {}
                        // The maps of one that is joined are there by now.
                        filesystem::Owners::Inside(reach) => match self.joined_user() {
                            Some(user) => map_owners(tree.as_fd(), *reach, user)?,
                            None => *shown = Owners::OnDiskOf(*reach),
                        },
                        filesystem::Owners::Mapped { uid, gid, reach } => {
                            let maps = super::owners::maps_of(self.proc()?, uid, gid)?;
                            map_owners(tree.as_fd(), *reach, maps.as_fd())?;
                        }
                    }
                }
                let hears = matches!(propagation, [Propagation::Slave | Propagation::Shared, ..]);
                // From a tree that is mounted nowhere nothing can be taken away.
                let again = match &attached.tree {
                    Tree::Opened(tree, _) => hears && !self.apart && super::mounts::is_directory(tree.as_fd())?,
                    _ => false,
                };
                Op::Attach { attached, at, again }
            }
            Operation::Node { kind, mode, owner, .. } => {
                let (kind, device) = match *kind {
                    NodeKind::Character(major, minor) => (FileType::CharacterDevice, makedev(major, minor)),
                    NodeKind::Block(major, minor) => (FileType::BlockDevice, makedev(major, minor)),
                    NodeKind::Pipe => (FileType::Fifo, 0),
                };
                Op::Node { at, kind, device, mode: *mode, owner: *owner }
            }
            Operation::Protect { at } => Op::Protect { at: self.mounted.place(at) },
        })
    }

    /// Whose maps show the files of a tree that is cloned later.
    fn maps(&mut self, owners: &filesystem::Owners) -> Result<Option<(Maps, Reach)>> {
        Ok(match owners {
            filesystem::Owners::Outside => None,
            filesystem::Owners::Inside(reach) => {
                let joined = self.joined_user().map(|user| rustix::io::fcntl_dupfd_cloexec(user, 3)).transpose()?;
                Some((joined.map_or(Maps::Own, Maps::Of), *reach))
            }
            filesystem::Owners::Mapped { uid, gid, reach } => {
                Some((Maps::Of(super::owners::maps_of(self.proc()?, uid, gid)?), *reach))
            }
        })
    }

    /// The user namespace that is joined, if one is.
    fn joined_user(&self) -> Option<BorrowedFd<'_>> {
        self.user.and_then(|place| self.namespaces.get(place)).map(AsFd::as_fd)
    }

    fn attributes(&self, access: Access) -> u64 {
        match access {
            Access::ReadOnly => READ_ONLY | self.safe,
            Access::ReadWrite => self.safe,
            Access::Devices => self.safe & libc::MOUNT_ATTR_NOSUID,
        }
    }

    /// What mounts are made, in order. In a new user namespace none is shared with the host's: they would show there.
    fn propagation(&self, wished: Propagation) -> &'static [Propagation] {
        match wished {
            Propagation::Private => &[Propagation::Private],
            Propagation::Slave => &[Propagation::Slave],
            Propagation::Shared if self.new_user => &[Propagation::Slave, Propagation::Shared],
            Propagation::Shared => &[Propagation::Shared],
            Propagation::Unbindable => &[Propagation::Private, Propagation::Unbindable],
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

/// What is attached, opened by the parent or by its path.
fn attached(source: &Path, opener: Opener, manner: Manner) -> Result<Attached> {
    let path = text(source.as_os_str());
    let tree = match opener {
        Opener::Child => Tree::Path(path),
        Opener::Parent | Opener::ParentMapped => {
            let tree = super::attach::clone(&path, &manner)?;
            Tree::Opened(tree, if opener == Opener::ParentMapped { Owners::OnDisk } else { Owners::Unknown })
        }
    };
    Ok(Attached { tree, manner })
}

fn written(path: &CStr, bytes: &[u8]) -> Op {
    Op::Write { path: path.to_owned(), bytes: bytes.to_vec() }
}

fn filter_calls(filter: &CallFilter, denials: Denials, raises: bool) -> Op {
    let watched = denials != Denials::Untold;
    let made = (denials == Denials::Told).then(|| super::watch::notifying(filter.instructions()));
    let words = made.as_deref().unwrap_or(filter.instructions()).iter();
    let word = |i: &crate::model::seccomp::Instruction| policy::Instruction {
        code: i.code,
        jt: i.if_true,
        jf: i.if_false,
        k: i.value,
    };
    Op::FilterCalls { filter: words.map(word).collect(), flags: filter.flags(), watched, raises }
}

/// Options in the form of mount(2), if a value is longer than fsconfig(2) takes. Of that form the kernel reads no more than a page. Planning
/// refuses commas, but those of SELinux's label, which it takes in quotes.
fn long(options: &[(CString, Option<CString>)]) -> Result<Option<CString>> {
    const PAGE: usize = 4096;
    if options.iter().filter_map(|(_, value)| value.as_ref()).all(|value| value.count_bytes() <= LONGEST) {
        return Ok(None);
    }
    let one = |(key, value): &(CString, Option<CString>)| match value {
        Some(value) if key.to_bytes() == b"context" => [b"context=\"", value.to_bytes(), b"\""].concat(),
        Some(value) => [key.to_bytes(), value.to_bytes()].join(&b'='),
        None => key.to_bytes().to_vec(),
    };
    let all = options.iter().map(one).collect::<Vec<_>>().join(&b',');
    if all.len() < PAGE { Ok(CString::new(all).ok()) } else { Err(Errno::TOOBIG) }
}

fn option((key, value): &(OsString, Option<OsString>)) -> (CString, Option<CString>) {
    (text(key), value.as_deref().map(text))
}

/// Whether an act writes to files of the kernel's.
fn writes_proc(act: &Act) -> bool {
    matches!(
        act,
        Act::WriteMaps { writer: MapWriter::Child | MapWriter::Parent, .. }
            | Act::OffsetTime(_)
            | Act::LimitNamespaces
            | Act::Limit(Limit::Lock | Limit::OomScore(_))
            | Act::Setting { .. }
            | Act::LabelKeys(_)
    )
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

#[cfg(test)]
mod tests {
    #[test]
    fn a_label_in_a_long_text_is_quoted() {
        let paths = c"/l".to_bytes().repeat(200);
        let paths = std::ffi::CString::new(paths).expect("it holds no NUL");
        let options =
            [(c"lowerdir".to_owned(), Some(paths)), (c"context".to_owned(), Some(c"u:r:t:s0:c1,c2".to_owned()))];
        let text = super::long(&options).expect("it is less than a page").expect("it is long");
        assert!(text.to_bytes().ends_with(b"/l,context=\"u:r:t:s0:c1,c2\""), "{text:?}");
        assert_eq!(super::long(&options[1..]), Ok(None));
    }
}
