//! The set-up child: walks the program. From clone to exec it shares its caller's memory, so there is no allocation, no
//! log, no lock and no panic here, and thread-local storage is never touched (a test aborts on an allocation).
//!
//! A step that fails is reported as {step, errno}, and the child ends; the caller knows the rest.

use super::cgroup::Entrances;
use super::overlay::overlay;
use super::place::{Inside, Make, Place, mount_id, write_all, write_at};
use super::program::{Op, Program, READ_ONLY};
use super::{attach, guard, home, mounts, privileges};
use crate::plan::step::{Otherwise, Stand};
use crate::sys::clone::{Kind, exit, start};
use crate::sys::init::wire::{self, Record};
use crate::sys::mount::{Reach, propagate, set_attributes};
use crate::sys::process::StringList;
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::{Errno, Result};
use rustix::mount::{MountAttrFlags, UnmountFlags, unmount};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv,
    recvmsg, send, sendmsg,
};
use rustix::process::{Resource, Rlimit};
use rustix::thread::set_thread_groups;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// What the child is given: the program and the init's lists.
pub(crate) struct Context<'a> {
    pub(crate) program: &'a Program,
    pub(crate) arguments: StringList<'a>,
    pub(crate) environment: StringList<'a>,
    /// The number of the parent's end of the socket.
    pub(crate) owner: i32,
    /// The number of a descriptor of the process inside or of its user namespace, for the aide.
    pub(crate) inside: AtomicI32,
    /// Whether the child was started in its control group of version 2.
    pub(crate) in_group: AtomicBool,
}

/// Where the child starts.
pub(crate) extern "C" fn run(context: &Context<'_>) -> ! {
    close_owner(context, &context.program.steps);
    if context.in_group.load(Ordering::Relaxed) {
        // Nobody to hear it is told by the next record.
        let _ = send(control(context.program), &Record::new(wire::BORN, 0, 0).to_bytes(), SendFlags::NOSIGNAL);
    }
    walk(context, 0)
}

/// Where the aide starts: it makes beside what takes long, hands it over and ends.
pub(crate) extern "C" fn assist(context: &Context<'_>) -> ! {
    close_owner(context, &context.program.aide);
    perform(&mut State::new(context), &context.program.aide);
    exit(0)
}

/// Open here, it would hide its end from a child that waits: a parent killed meanwhile would leave that for ever.
fn close_owner(context: &Context<'_>, steps: &[(u32, Op)]) {
    let owner = context.owner as u32;
    if let Err(errno) = crate::sys::process::close_range(owner, owner) {
        fail(context.program, steps.first().map_or(0, |(step, _)| *step), errno);
    }
}

/// Where the child of a child that forked goes on.
extern "C" fn go_on(context: &Context<'_>) -> ! {
    let fork = context.program.steps.iter().position(|(_, op)| matches!(op, Op::Fork(_)));
    walk(context, fork.map_or(0, |place| place + 1))
}

fn walk(context: &Context<'_>, from: usize) -> ! {
    let program = context.program;
    // Modes inside are the wished ones: the caller's mask is taken off what it makes, not off what is made for it.
    rustix::process::umask(Mode::empty());
    perform(&mut State::new(context), &program.steps[from..]);
    exit(125)
}

fn perform<'a>(state: &mut State<'a>, steps: &'a [(u32, Op)]) {
    let program = state.context.program;
    for (step, op) in steps {
        let done = match program.fault {
            Some((number, errno)) if number == *step && !matches!(op, Op::Await | Op::Ask) => {
                Err(Errno::from_raw_os_error(errno))
            }
            _ => state.step(*step, op),
        };
        if let Err(errno) = done {
            fail(program, *step, errno);
        }
    }
}

/// Never by a link of /proc: the caller's descriptors are still open here, and one on a directory would lead out of the root.
fn change_directory(path: &CStr) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)?;
    rustix::process::fchdir(directory)
}

/// Whether one of these can be executed; else what says most, as the init tells it of execve(2).
fn seek(paths: &[CString]) -> Result<()> {
    let mut cause = Errno::NOENT;
    for path in paths {
        match rustix::fs::accessat(CWD, path.as_c_str(), Access::EXEC_OK, AtFlags::EACCESS) {
            Ok(()) if rustix::fs::FileType::from_raw_mode(rustix::fs::stat(path.as_c_str())?.st_mode).is_file() => {
                return Ok(());
            }
            Ok(()) | Err(Errno::ACCESS) => cause = Errno::ACCESS,
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(cause)
}

/// A directory that isn't below the root would be a way out of it.
fn enter_directory(number: i32) -> Result<()> {
    let directory = crate::sys::process::borrow(number).ok_or(Errno::BADF)?;
    match rustix::process::fchdir(directory) {
        Ok(()) if crate::sys::process::is_below_root() => Ok(()),
        _ => rustix::process::chdir(c"/"),
    }
}

fn fail(program: &Program, step: u32, errno: Errno) -> ! {
    let record = Record::new(wire::FAILED, step, errno.raw_os_error());
    let _ = send(control(program), &record.to_bytes(), SendFlags::NOSIGNAL);
    exit(125)
}

/// The child's end of the socket. It is open in this process though the parent has closed its copy.
fn control(program: &Program) -> BorrowedFd<'static> {
    match crate::sys::process::borrow(program.control) {
        Some(descriptor) => descriptor,
        None => exit(125),
    }
}

/// What the steps leave for each other.
struct State<'a> {
    context: &'a Context<'a>,
    root: Option<OwnedFd>,
    /// The directory that something was made in last, by its path, until something is mounted.
    last_in: Option<(&'a CStr, OwnedFd)>,
    terminal: Option<OwnedFd>,
    /// Whether it is in the directory that the program starts in.
    in_directory: bool,
    /// The empty directory that hides others.
    empty: Option<OwnedFd>,
}

impl<'a> State<'a> {
    fn new(context: &'a Context<'a>) -> State<'a> {
        State { context, root: None, last_in: None, terminal: None, in_directory: false, empty: None }
    }

    fn step(&mut self, step: u32, op: &'a Op) -> Result<()> {
        match op {
            Op::Enter { namespace, flag } => {
                let opened = self.context.program.namespaces.get(*namespace).ok_or(Errno::BADF)?;
                crate::sys::namespace::enter(opened.as_fd(), *flag)
            }
            Op::Write { path, bytes } => write_at(self.proc()?, path, bytes),
            Op::HideMemory => {
                crate::sys::process::set_dumpable(0);
                if crate::sys::process::dumpable() == 0 { Ok(()) } else { Err(Errno::PERM) }
            }
            Op::EnterRoot(root) => {
                rustix::process::fchdir(crate::sys::process::borrow(*root).ok_or(Errno::BADF)?)?;
                rustix::process::chroot(c".")
            }
            Op::EnterDirectory(directory) => enter_directory(*directory),
            Op::Fork(flags) => self.fork(step, *flags),
            Op::EnterUser => {
                let inside = crate::sys::process::borrow(self.context.inside.load(Ordering::Relaxed));
                crate::sys::namespace::enter(inside.ok_or(Errno::BADF)?, libc::CLONE_NEWUSER as u64)
            }
            Op::MakeNetwork => crate::sys::namespace::unshare(libc::CLONE_NEWNET as u64),
            Op::EnterNetwork => self.enter_network(),
            Op::HandOverNetwork => self.hand_over_network(step),
            Op::Await => self.wait_for_parent(),
            Op::Ask => {
                let need = Record::new(wire::NEED, step, 0);
                send(control(self.context.program), &need.to_bytes(), SendFlags::NOSIGNAL)?;
                self.wait_for_parent()
            }
            Op::WriteMaps { uid, gid } => {
                write_at(self.proc()?, c"self/uid_map", uid)?;
                write_at(self.proc()?, c"self/setgroups", b"deny")?;
                write_at(self.proc()?, c"self/gid_map", gid)
            }
            Op::OffsetTime(lines) => {
                crate::sys::namespace::unshare(libc::CLONE_NEWTIME as u64)?;
                write_at(self.proc()?, c"self/timens_offsets", lines)
            }
            Op::Loopback => crate::sys::loopback::up(),
            Op::Hostname(name) => rustix::system::sethostname(name),
            Op::Domain(name) => rustix::system::setdomainname(name),
            Op::OpenTerminal => self.open_terminal(step),
            Op::TakeGroups(groups) => set_thread_groups(groups),
            Op::TakeIds { uid, gid } => privileges::take_ids(*uid, *gid),
            Op::TakeMappedIds => privileges::take_mapped_ids(),
            Op::JoinKeyring => crate::sys::policy::join_session_keyring(),
            Op::RefuseCores => {
                let none = Rlimit { current: Some(0), maximum: Some(0) };
                rustix::process::setrlimit(Resource::Core, none)
            }
            Op::SetCapabilities { sets, new } => privileges::set(sets, *new),
            Op::GiveUpAdministration(sets) => privileges::leave(sets),
            Op::DropPrivileges { kept, new } => privileges::reduce(*kept, *new),
            Op::AdmitQueues => self.writable(mounts::plain(c"mqueue", None, MountAttrFlags::empty())?.as_fd()),
            Op::Confine => self.confine(),
            Op::FilterCalls { filter, flags, watched, raises } => {
                if *raises {
                    privileges::raise_administration()?;
                }
                if !watched {
                    return crate::sys::policy::filter(filter, *flags);
                }
                let listener = crate::sys::notify::filter(filter, *flags)?;
                send_descriptor(control(self.context.program), Record::new(wire::LISTENER, step, 0), listener.as_fd())
            }
            Op::EnterGroups(Entrances { first, second }) => {
                let second = second.iter().filter(|_| !self.context.in_group.load(Ordering::Relaxed));
                first.iter().chain(second).try_for_each(|file| write_all(file.as_fd(), b"0"))
            }
            Op::OwnGroups => crate::sys::namespace::unshare(libc::CLONE_NEWCGROUP as u64),
            Op::Personality(domain) => crate::sys::schedule::set_personality(*domain),
            Op::MemoryPolicy { mode, nodes } => crate::sys::schedule::set_memory_policy(*mode, nodes),
            Op::Umask(mask) => {
                rustix::process::umask(Mode::from_raw_mode(*mask));
                Ok(())
            }
            Op::ChangeDirectory { otherwise: Otherwise::Fail, .. } if self.in_directory => Ok(()),
            Op::ChangeDirectory { path, otherwise } => match (change_directory(path), otherwise) {
                (Err(_), Otherwise::Root) => rustix::process::chdir(c"/"),
                (entered, Otherwise::Later) => {
                    self.in_directory = entered.is_ok();
                    Ok(())
                }
                (entered, _) => entered,
            },
            Op::FindHome(uid) => home::find(*uid, self.context.program.home.as_ref().ok_or(Errno::NOMEM)?),
            Op::Seek(paths) => seek(paths),
            Op::Descriptors { kept, gaps } => self.descriptors(kept, gaps),
            Op::Init => self.become_init(step),
            Op::Directory { at, mode } => {
                let made = self.directory(at);
                match made.and_then(|(parent, name)| mkdirat(parent, name, Mode::from_raw_mode(*mode))) {
                    Err(cause) => mounts::directory(self.inside()?, at, cause),
                    made => made,
                }
            }
            Op::File { at, bytes, mode } => {
                let (parent, name) = self.directory(at)?;
                mounts::file(parent, name, bytes, *mode)
            }
            Op::Symlink { target, at } => {
                let (parent, name) = self.directory(at)?;
                mounts::symlink(parent, name, target)
            }
            other => {
                self.last_in = None;
                self.file_system(step, other)
            }
        }
    }

    /// The directory that `at` is in, made where it is missing, checked to be one of ours; and the last part. Looked up once
    /// for steps in a row: nothing is mounted between them, and it stays one of ours.
    fn directory(&mut self, at: &'a Place) -> Result<(BorrowedFd<'_>, &'a CStr)> {
        let (path, name) = at.last()?;
        let known = self.last_in.take().filter(|(last, _)| *last == path);
        let directory = match known {
            Some((_, directory)) => directory,
            None => self.inside()?.directory(at)?,
        };
        Ok((self.last_in.insert((path, directory)).1.as_fd(), name))
    }

    /// Steps on mounts and files.
    fn file_system(&mut self, step: u32, op: &Op) -> Result<()> {
        match op {
            Op::Private => {
                let root = openat(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
                set_attributes(root.as_fd(), Reach::Tree, 0)
            }
            Op::RootTmpfs => self.put_root(mounts::tmpfs(c"755", None)?, true),
            Op::RootOverlay(layers) => {
                let overlay = overlay(layers, self.root.as_ref().map(AsFd::as_fd))?;
                let writable = !matches!(layers.upper, super::program::UpperLayer::None);
                self.put_root(overlay, writable)
            }
            Op::RootBind { tree, attributes } => {
                let tree = match mounts::prepare(tree, *attributes)? {
                    mounts::Prepared::Cloned(tree) => tree,
                    mounts::Prepared::Opened(tree) => rustix::io::fcntl_dupfd_cloexec(tree, 3)?,
                };
                self.put_root(tree, false)
            }
            Op::RootAsIs { attached, stand, place } => {
                let tree = match attach::prepare(attached)? {
                    mounts::Prepared::Cloned(tree) => tree,
                    mounts::Prepared::Opened(tree) => rustix::io::fcntl_dupfd_cloexec(tree, 3)?,
                };
                match stand {
                    Stand::OnTop => mounts::attach_on_top(tree.as_fd())?,
                    Stand::InPlace => mounts::attach_in_place(tree.as_fd(), place)?,
                    Stand::Apart => {}
                }
                self.take_root(tree, true)
            }
            Op::Mount { at, file_system } => {
                let made = attach::mount(file_system, self.inside()?, at)?;
                self.context.program.file_systems.add(made.as_fd())?;
                self.context.program.own.add(made.as_fd())
            }
            Op::Attach { attached, at, again } => {
                let tree = attach::prepare(attached)?;
                let again = again.then(|| attach::again(tree.as_fd())).transpose()?;
                let tree = again.as_ref().map_or(tree.as_fd(), |again| again.as_fd());
                attach::put(tree, self.inside()?, at, c"")?;
                self.context.program.own.add(tree)
            }
            Op::AttachInside { from, manner, maps, at } => {
                let tree = attach::clone_inside(self.inside()?, from, manner)?;
                if maps.is_some() {
                    let record = Record::new(wire::TREE, step, 0);
                    send_descriptor(control(self.context.program), record, tree.as_fd())?;
                    self.wait_for_parent()?;
                }
                attach::put(tree.as_fd(), self.inside()?, at, c"")?;
                self.context.program.own.add(tree.as_fd())
            }
            Op::Node { at, kind, device, mode, owner } => {
                attach::node(self.inside()?, at, (*kind, *device), *mode, *owner)
            }
            Op::Protect { at } => attach::protect(self.inside()?, at),
            Op::Bind { tree, at, attributes } => {
                let tree = mounts::prepare(tree, *attributes)?;
                mounts::attach_inside(tree.as_fd(), self.inside()?, at)?;
                if attributes & READ_ONLY == 0 { self.writable(tree.as_fd()) } else { Ok(()) }
            }
            Op::Tmpfs { at, options } => {
                let made = mounts::tmpfs(&options.mode, Some(options))?;
                mounts::attach_inside(made.as_fd(), self.inside()?, at)?;
                self.writable(made.as_fd())?;
                self.context.program.own.add(made.as_fd())
            }
            Op::Overlay { at, layers } => {
                let made = overlay(layers, None)?;
                mounts::attach_inside(made.as_fd(), self.inside()?, at)?;
                match layers.upper {
                    super::program::UpperLayer::None => Ok(()),
                    _ => {
                        self.writable(made.as_fd())?;
                        self.context.program.own.add(made.as_fd())
                    }
                }
            }
            Op::BindData { at, bytes, mode, attributes } => {
                let made = mounts::data(bytes, *mode, *attributes)?;
                mounts::attach_inside(made.as_fd(), self.inside()?, at)?;
                if attributes & READ_ONLY == 0 { self.writable(made.as_fd()) } else { Ok(()) }
            }
            Op::Chmod { at, mode } => mounts::chmod(self.inside()?, at, *mode),
            Op::Proc { at, processes_only, read_only } => {
                let option = if *processes_only { Some((c"subset", c"pid")) } else { None };
                let read_only = if *read_only { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
                self.put_plain(c"proc", option, read_only, at)
            }
            Op::GuardProc { at } => guard::proc(self.inside()?, at),
            Op::Mqueue { at } => self.put_plain(c"mqueue", None, MountAttrFlags::empty(), at),
            Op::Dev { at } => {
                let made = mounts::dev(self.inside()?, at)?;
                self.writable(made.as_fd())
            }
            Op::RemountReadOnly { at } => {
                let at = self.inside()?.open(at, Make::Nothing)?;
                set_attributes(at.as_fd(), Reach::One, READ_ONLY)
            }
            Op::Remount { at, attributes, options } => {
                attach::remount(self.inside()?, at, *attributes, options, &self.context.program.file_systems)
            }
            Op::Mask { at } => {
                let root = self.root.as_ref().ok_or(Errno::BADF)?.as_fd();
                let inside = Inside { root, made: &self.context.program.own };
                mounts::mask(inside, at, &mut self.empty)
            }
            Op::Seal => set_attributes(self.inside()?.root, Reach::One, READ_ONLY),
            Op::Pivot => self.pivot(),
            Op::TakeRoot => {
                rustix::process::fchdir(self.inside()?.root)?;
                rustix::process::chroot(c".")
            }
            Op::Propagate(propagation) => propagate(self.inside()?.root, Reach::One, *propagation),
            Op::ShowTerminal { at, uid } => {
                let peer = self.terminal.as_ref().ok_or(Errno::NOTTY)?;
                attach::terminal(peer.as_fd(), self.inside()?, at, *uid)
            }
            _ => Err(Errno::NOSYS),
        }
    }

    /// The caller's /proc, whatever the paths of the child mean by now.
    fn proc(&self) -> Result<BorrowedFd<'_>> {
        self.context.program.proc.as_ref().map(AsFd::as_fd).ok_or(Errno::BADF)
    }

    fn inside(&self) -> Result<Inside<'_>> {
        let root = self.root.as_ref().ok_or(Errno::BADF)?.as_fd();
        Ok(Inside { root, made: &self.context.program.own })
    }

    fn put_root(&mut self, tree: OwnedFd, own: bool) -> Result<()> {
        mounts::attach_on_top(tree.as_fd())?;
        self.take_root(tree, own)
    }

    fn take_root(&mut self, tree: OwnedFd, own: bool) -> Result<()> {
        if own {
            self.context.program.own.add(tree.as_fd())?;
        }
        self.root = Some(tree);
        Ok(())
    }

    fn put_plain(&self, kind: &CStr, option: Option<(&CStr, &CStr)>, more: MountAttrFlags, at: &Place) -> Result<()> {
        let flags =
            MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let made = mounts::plain(kind, option, flags | more)?;
        mounts::attach_inside(made.as_fd(), self.inside()?, at)?;
        self.writable(made.as_fd())
    }

    /// Something writable was mounted: the second wall lets it be written.
    fn writable(&self, place: BorrowedFd<'_>) -> Result<()> {
        self.context.program.wall.as_ref().map_or(Ok(()), |wall| wall.open(place))
    }

    fn confine(&self) -> Result<()> {
        let program = self.context.program;
        let wall = program.wall.as_ref().ok_or(Errno::BADF)?;
        for descriptor in program.given() {
            wall.open_again(descriptor)?;
        }
        wall.close()
    }

    /// pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one and is taken off.
    ///
    /// What was stacked on the old root comes up with it and hides it, so one umount is not enough: `/..` must lead to the
    /// new root itself, and is looked at until it does.
    fn pivot(&self) -> Result<()> {
        const MOST: usize = 64;
        let root = self.inside()?.root;
        rustix::process::fchdir(root)?;
        rustix::process::pivot_root(c".", c".")?;
        for _ in 0..MOST {
            let above = openat(CWD, c"/..", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            if mount_id(above.as_fd())? == mount_id(root)? {
                return rustix::process::chdir(c"/");
            }
            unmount(c"/..", UnmountFlags::DETACH)?;
        }
        Err(Errno::BUSY)
    }

    /// Starts the process inside, tells of it, and ends.
    fn fork(&mut self, step: u32, flags: u64) -> Result<()> {
        let program = self.context.program;
        let stack = program.second_stack.as_ref().ok_or(Errno::NOMEM)?;
        let child = start(flags, Kind::Sibling, stack, go_on, self.context)?;
        send_descriptor(control(program), Record::new(wire::MOVED, step, 0), child.pidfd.as_fd())?;
        exit(0)
    }

    /// Gives the process inside the network namespace that this process is in.
    fn hand_over_network(&self, step: u32) -> Result<()> {
        let (_, aide) = self.context.program.aide_socket.ok_or(Errno::BADF)?;
        let made = openat(CWD, c"/proc/self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let socket = crate::sys::process::borrow(aide).ok_or(Errno::BADF)?;
        match send_descriptor(socket, Record::new(wire::MOVED, step, 0), made.as_fd()) {
            // The process inside is gone, and has said why.
            Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            done => done,
        }
    }

    fn enter_network(&self) -> Result<()> {
        let (child, aide) = self.context.program.aide_socket.ok_or(Errno::BADF)?;
        // Only the aide's copy may keep the socket open, or its end would not be seen.
        crate::sys::process::close_range(aide as u32, aide as u32)?;
        let socket = crate::sys::process::borrow(child).ok_or(Errno::BADF)?;
        let mut bytes = [0u8; wire::LENGTH];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [std::io::IoSliceMut::new(&mut bytes)];
        rustix::io::retry_on_intr(|| recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC))?;
        for part in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(mut descriptors) = part
                && let Some(namespace) = descriptors.next()
            {
                return crate::sys::namespace::enter(namespace.as_fd(), libc::CLONE_NEWNET as u64);
            }
        }
        // The aide failed, and has said why.
        exit(125)
    }

    fn wait_for_parent(&self) -> Result<()> {
        let control = control(self.context.program);
        let mut bytes = [0u8; wire::LENGTH];
        let (length, _) = rustix::io::retry_on_intr(|| recv(control, &mut bytes, RecvFlags::empty()))?;
        let go = length == wire::LENGTH && Record::from_bytes(bytes).kind == wire::GO;
        if go { Ok(()) } else { Err(Errno::CONNABORTED) }
    }

    /// Opens the new terminal at the sandbox's own /dev/ptmx, which must be the device of that name (5:2).
    fn open_terminal(&mut self, step: u32) -> Result<()> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let controlling = openat(CWD, c"/dev/ptmx", flags, Mode::empty())?;
        if rustix::fs::fstat(&controlling)?.st_rdev != rustix::fs::makedev(5, 2) {
            return Err(Errno::NOTTY);
        }
        rustix::pty::unlockpt(&controlling)?;
        let peer =
            rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY | rustix::pty::OpenptFlags::CLOEXEC;
        self.terminal = Some(rustix::pty::ioctl_tiocgptpeer(&controlling, peer)?);
        send_descriptor(control(self.context.program), Record::new(wire::TERMINAL, step, 0), controlling.as_fd())
    }

    fn descriptors(&self, kept: &[i32], gaps: &[(u32, u32)]) -> Result<()> {
        let program = self.context.program;
        for (number, wished) in program.stdio.iter().enumerate() {
            if let Some(source) = self.terminal.as_ref().or(wished.as_ref()) {
                crate::sys::process::duplicate(source.as_raw_fd(), number as i32)?;
            }
        }
        for &(first, last) in gaps {
            crate::sys::process::close_range(first, last)?;
        }
        let kept = kept.iter().filter_map(|&number| crate::sys::process::borrow(number));
        for descriptor in std::iter::once(control(program)).chain(program.inherited.iter()).chain(kept) {
            rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::empty())?;
        }
        Ok(())
    }

    fn become_init(&self, step: u32) -> Result<()> {
        let program = self.context.program;
        if let Some((number, errno)) = program.fault.filter(|&(number, _)| number > step) {
            fail(program, number, Errno::from_raw_os_error(errno));
        }
        Err(crate::sys::process::execute(program.init.as_fd(), &self.context.arguments, &self.context.environment))
    }
}

/// Sends a record with a descriptor (unix(7), `SCM_RIGHTS`).
fn send_descriptor(socket: BorrowedFd<'_>, record: Record, descriptor: BorrowedFd<'_>) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    if !message.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::NOBUFS);
    }
    let bytes = record.to_bytes();
    sendmsg(socket, &[std::io::IoSlice::new(&bytes)], &mut message, SendFlags::NOSIGNAL)?;
    Ok(())
}
