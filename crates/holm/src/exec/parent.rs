//! The parent: starts the child, does its own steps while the child waits, reads records until the program runs.
//!
//! The child shares this memory until it has become the init or is gone. Whatever goes wrong, `Nursery` waits for the
//! end of the socket, which each such process holds open, before anything the child reads is freed.

use super::birth::start_child;
use super::cgroup::Groups;
use super::child::{self, Context};
use super::keep::Kept;
use super::watch::Watcher;
use super::{Failed, Stop, compile, maps, outside, owners, program, schedule};
use crate::plan::Plan;
use crate::plan::limits::Limit;
use crate::plan::step::{Act, Actor};
use crate::spec::policy::Denials;
use crate::sys::clone::{Cloned, Kind, Stack, start};
use crate::sys::init::wire::{self, Record};
use crate::sys::notify;
use crate::sys::process::StringList;
use crate::sys::signal::Blocked;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType,
    recvmsg, send, shutdown, socketpair,
};
use rustix::process::{Signal, WaitIdOptions, pidfd_send_signal, waitid};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// A running sandbox.
#[derive(Debug)]
pub(crate) struct Running {
    /// The init, or whatever is to be waited for.
    pub(crate) pidfd: OwnedFd,
    pub(crate) pid: i32,
    /// Records go both ways here; its end ends the sandbox.
    pub(crate) control: OwnedFd,
    pub(crate) terminal: Option<OwnedFd>,
    /// Who answers the filter, if the caller is told what it refuses.
    pub(crate) watcher: Option<Watcher>,
    /// Where the filter's notifications come from, if somebody else answers them.
    pub(crate) listener: Option<OwnedFd>,
    /// The caller's ends of pipes.
    pub(crate) pipes: [Option<OwnedFd>; 3],
    /// To be removed after the init is gone.
    pub(crate) groups: Groups,
}

/// A sandbox in the making, whose process inside waits.
#[derive(Debug)]
pub struct Visited<'a> {
    /// The pid of the process inside, which will be the first one, in the caller's pid namespace.
    pub pid: i32,
    groups: &'a Groups,
}

impl Visited<'_> {
    /// Its control groups that were there before ([`NamedGroup`](crate::spec::limits::NamedGroup)).
    pub fn groups_found(&self) -> impl Iterator<Item = &std::path::Path> {
        self.groups.found()
    }
}

/// What becomes of a sandbox that its maker gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// All is undone.
    Whole,
    /// The same, but its control groups are left alone: they are another one's by now.
    WithoutGroups,
}

/// What the maker does in a sandbox.
pub(crate) type Visitor<'a> = &'a mut dyn FnMut(&Visited<'_>) -> std::result::Result<(), GivenUp>;

/// Carries out `plan` until its program runs, or waits at `door`.
pub(crate) fn spawn(
    plan: &Plan,
    door: Option<BorrowedFd<'_>>,
    visitor: Visitor<'_>,
) -> std::result::Result<Running, Stop> {
    let clone_step = plan.clone_step();
    let failed = |errno| Stop::Failed(Failed { step: clone_step, errno });
    let kind = SocketType::SEQPACKET;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).map_err(failed)?;
    let (inside, pipes) = outside::open_stdio(plan.launch.stdio).map_err(failed)?;
    let mut groups = Groups::default();
    let (program, child_end) =
        compile::compile(plan, theirs.as_fd(), inside, door, &mut groups).map_err(Stop::Failed)?;
    drop(theirs);
    if let Some((_, errno)) = plan.fault.filter(|&(step, _)| step == clone_step) {
        return Err(failed(Errno::from_raw_os_error(errno)));
    }
    let flags = plan.steps.iter().find_map(|s| if let Act::Clone(set) = s.act { Some(set.flags()) } else { None });
    let memory = if plan.launch.own_memory { Kind::Own } else { Kind::Shared };
    let stack = Stack::new().map_err(failed)?;
    let context = Context {
        program: &program,
        arguments: StringList::new(program.arguments.iter().map(|s| s.as_c_str()), None),
        environment: StringList::new(program.environment.iter().map(|s| s.as_c_str()), program.home.as_ref()),
        owner: ours.as_raw_fd(),
        inside: AtomicI32::new(-1),
        in_group: AtomicBool::new(false),
    };
    let dumpable = crate::sys::process::dumpable();
    let forks = plan.steps.iter().any(|s| matches!(s.act, Act::Fork(_)));
    // One that only starts another one would count there.
    let group = if forks { None } else { groups.unified() };
    let child = start_child(&context, (flags.unwrap_or(0), memory), &stack, group, &ours).map_err(failed)?;
    let goes_in = plan.steps.iter().any(|s| s.act == Act::ForkInit);
    let awaited = if forks || goes_in { 2 } else { 1 };
    let mut nursery = Nursery {
        plan,
        program: &program,
        control: &ours,
        children: vec![child],
        awaited,
        terminal: None,
        watcher: None,
        listener: None,
        user: None,
        kept: Vec::new(),
        groups: &groups,
        visitor,
        dumpable,
        given_up: GivenUp::Whole,
    };
    let begun = if forks { Ok(()) } else { nursery.begin(&context) };
    // Open in this process it would hide that the children have closed their own.
    drop(child_end);
    let raised = begun.map_err(Stop::Failed).and_then(|()| nursery.raise(failed));
    if raised.is_err() {
        nursery.clear();
    }
    // Changing ids in shared memory makes this process undumpable, too (prctl(2), PR_SET_DUMPABLE).
    crate::sys::process::set_dumpable(dumpable);
    if let Err(stop) = raised {
        if nursery.given_up == GivenUp::WithoutGroups {
            groups.keep();
        }
        return Err(stop);
    }
    nursery.kept.drain(..).for_each(Kept::commit);
    let (terminal, watcher, listener) = (nursery.terminal.take(), nursery.watcher.take(), nursery.listener.take());
    let last = nursery.children.pop().ok_or(Stop::Lost(0))?;
    for helper in &nursery.children {
        let _ = reap(&helper.pidfd);
    }
    Ok(Running { pidfd: last.pidfd, pid: last.pid, control: ours, terminal, watcher, listener, pipes, groups })
}

/// The children until the program runs.
struct Nursery<'a> {
    plan: &'a Plan,
    program: &'a program::Program,
    control: &'a OwnedFd,
    /// In the order in which they started; the last one is the one that matters.
    children: Vec<Cloned>,
    /// How many there will be.
    awaited: usize,
    terminal: Option<OwnedFd>,
    watcher: Option<Watcher>,
    listener: Option<OwnedFd>,
    /// The user namespace of the process inside, where the parent's steps begin while that waits: once it goes on it may
    /// take ids of which nobody but root may look at its namespaces (ptrace(2), "Ptrace access mode checking").
    user: Option<OwnedFd>,
    kept: Vec<Kept>,
    groups: &'a Groups,
    visitor: Visitor<'a>,
    /// Whether processes of the caller's own user may look at this one (prctl(2), `PR_SET_DUMPABLE`).
    dumpable: usize,
    given_up: GivenUp,
}

impl Nursery<'_> {
    /// Reads records and answers them until the program runs.
    fn raise(&mut self, failed: impl Fn(Errno) -> Stop) -> std::result::Result<(), Stop> {
        let (mut needed, mut started) = (None, false);
        loop {
            let Some((record, descriptor)) = self.receive().map_err(&failed)? else { return Err(self.lost()) };
            match (record.kind, descriptor) {
                (wire::STARTED | wire::HELD, _) => started = true,
                (wire::FAILED, _) => {
                    let errno = Errno::from_raw_os_error(record.value);
                    return Err(Stop::Failed(Failed { step: record.step as usize, errno }));
                }
                (wire::NEED, _) => needed = Some(record.step as usize),
                (wire::MOVED, Some(pidfd)) => {
                    self.moved(pidfd);
                    self.at_once().map_err(Stop::Failed)?;
                }
                (wire::WENT_IN, _) => self.went_in(record.value).map_err(&failed)?,
                (wire::TERMINAL, Some(terminal)) => self.terminal = Some(terminal),
                (wire::TREE, Some(tree)) => self.show_owners(record.step, &tree).map_err(Stop::Failed)?,
                (wire::LISTENER, Some(listener)) => self.watch(record.step as usize, listener)?,
                // There was no number for it (unix(7), "MSG_CTRUNC").
                (wire::MOVED | wire::TERMINAL | wire::LISTENER | wire::TREE, None) => return Err(failed(Errno::MFILE)),
                _ => {}
            }
            // The process inside may be heard before the one that started it tells who it is.
            if self.children.len() < self.awaited {
                continue;
            }
            if started {
                return Ok(());
            }
            if let Some(step) = needed.take() {
                self.parent_steps(step - 1, Actor::ParentMeanwhile).map_err(Stop::Failed)?;
            }
        }
    }

    /// The steps that need nothing but the process inside, and the aide.
    fn begin(&mut self, context: &Context<'_>) -> std::result::Result<(), Failed> {
        self.at_once()?;
        self.add_aide(context)
    }

    /// The steps that need nothing but the process inside, which waits and is not reaped, so its number is its own.
    fn at_once(&mut self) -> std::result::Result<(), Failed> {
        let place = self.plan.steps.iter().position(|step| step.actor == Actor::ParentAtOnce);
        let (Some(place), Some(inside)) = (place, self.children.last()) else { return Ok(()) };
        // One whose memory is hidden shows it only to who has rights over the caller's, and maps nothing.
        if !self.plan.steps.iter().any(|step| step.act == Act::HideMemory) {
            let path = format!("/proc/{}/ns/user", inside.pid);
            let user = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            self.user = Some(user.map_err(|errno| Failed { step: place + 1, errno })?);
        }
        self.parent_steps(place, Actor::ParentAtOnce)
    }

    /// Starts the aide, if the plan has one. It counts as a child that has told of the last one already.
    fn add_aide(&mut self, context: &Context<'_>) -> std::result::Result<(), Failed> {
        let Some(place) = self.plan.steps.iter().position(|step| step.actor == Actor::Aide) else { return Ok(()) };
        let Some(stack) = &context.program.second_stack else { return Ok(()) };
        let inside =
            self.user.as_ref().or(self.children.last().map(|child| &child.pidfd)).map_or(-1, AsRawFd::as_raw_fd);
        context.inside.store(inside, Ordering::Relaxed);
        let _blocked = Blocked::new();
        let aide =
            start(0, Kind::Shared, stack, child::assist, context).map_err(|errno| Failed { step: place + 1, errno })?;
        self.children.insert(0, aide);
        Ok(())
    }

    fn moved(&mut self, pidfd: OwnedFd) {
        let pid = pid_of(&pidfd).unwrap_or(0);
        self.children.push(Cloned { pid, pidfd });
    }

    /// The init has started itself once more: as a child that nobody has waited for its number is its own.
    fn went_in(&mut self, pid: i32) -> Result<()> {
        let process = rustix::process::Pid::from_raw(pid).ok_or(Errno::SRCH)?;
        let pidfd = rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty())?;
        self.children.push(Cloned { pid, pidfd });
        Ok(())
    }

    /// From here on the child's calls may wait for an answer.
    fn watch(&mut self, step: usize, listener: OwnedFd) -> std::result::Result<(), Stop> {
        let filter = match self.plan.steps.get(step - 1).map(|step| &step.act) {
            Some(Act::FilterCalls { denials: Denials::HandedOver, .. }) => {
                self.listener = Some(listener);
                return Ok(());
            }
            Some(Act::FilterCalls { filter, .. }) => filter.instructions().to_vec(),
            _ => Vec::new(),
        };
        let started = Watcher::start(listener, filter);
        let failed = |error| Stop::Failed(Failed { step, errno: Errno::from_io_error(&error).unwrap_or(Errno::AGAIN) });
        self.watcher = Some(started.map_err(failed)?);
        Ok(())
    }

    /// Shows the files of a tree that the child has cloned, and waits with, by the maps of its step.
    fn show_owners(&self, step: u32, tree: &OwnedFd) -> std::result::Result<(), Failed> {
        owners::show(self.program, step, tree.as_fd(), self.user.as_ref())
            .and_then(|()| self.let_go())
            .map_err(|errno| Failed { step: step as usize, errno })
    }

    /// Tells the child that what it waits for is done.
    fn let_go(&self) -> Result<()> {
        let go = Record::new(wire::GO, 0, 0).to_bytes();
        match rustix::io::retry_on_intr(|| send(self.control, &go, SendFlags::NOSIGNAL)) {
            // The child is gone: its record or its end comes next.
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// The steps of `actor`, which is the parent, in a row from `place` on; then tells the child.
    fn parent_steps(&mut self, place: usize, actor: Actor) -> std::result::Result<(), Failed> {
        let pid = self.children.last().map_or(0, |child| child.pid);
        let row = self.plan.steps.iter().enumerate().skip(place);
        for (place, step) in row.take_while(|(_, step)| step.actor == actor) {
            let number = place + 1;
            let failed = |errno| Failed { step: number, errno };
            if let Some((_, errno)) = self.plan.fault.filter(|&(fault, _)| fault == number) {
                return Err(failed(Errno::from_raw_os_error(errno)));
            }
            match &step.act {
                Act::WriteMaps { writer, uid, gid } => {
                    maps::write(*writer, self.program.proc.as_ref(), pid, uid, gid).map_err(failed)?
                }
                Act::MapOwners { pipes } => {
                    owners::map(self.program, self.user.as_ref()).map_err(failed)?;
                    if let Some((uid, gid)) = pipes {
                        owners::give_pipes(self.program, *uid, *gid).map_err(failed)?;
                    }
                }
                Act::Keep { namespace, path } => {
                    self.kept.push(Kept::new(pid, namespace_file(*namespace), path).map_err(failed)?);
                }
                Act::MoveDevice(device) => super::device::give(device, pid).map_err(failed)?,
                Act::Visit => self.visit(pid).map_err(failed)?,
                Act::EnterGroup { descriptor, .. } => super::cgroup::enter(*descriptor, pid).map_err(failed)?,
                Act::Limit(Limit::Write { group, files, .. }) => self.groups.limit(*group, files).map_err(failed)?,
                Act::Limit(Limit::Resctrl { .. }) => self.groups.enter_resctrl(pid).map_err(failed)?,
                Act::Limit(limit) => schedule::apply(limit, self.program.proc.as_ref(), pid).map_err(failed)?,
                _ => {}
            }
        }
        self.let_go().map_err(|errno| Failed { step: place + 1, errno })
    }

    /// Has the maker do what it wishes. The process inside may have changed its ids by now, which hides what shares memory with
    /// it from processes of its own user; it waits, so the change back concerns nobody.
    fn visit(&mut self, pid: i32) -> Result<()> {
        let hidden = crate::sys::process::dumpable();
        if !self.plan.steps.iter().any(|step| step.act == Act::HideMemory) {
            crate::sys::process::set_dumpable(self.dumpable);
        }
        let done = (self.visitor)(&Visited { pid, groups: self.groups });
        crate::sys::process::set_dumpable(hidden);
        done.map_err(|given_up| {
            self.given_up = given_up;
            Errno::CANCELED
        })
    }

    /// Has the set-up's calls go on about which a filter asks, until there is a record.
    fn attend(&self) -> Result<()> {
        let Some(listener) = &self.listener else { return Ok(()) };
        loop {
            let mut polled = [self.control, listener].map(|one| PollFd::new(one, PollFlags::IN));
            rustix::io::retry_on_intr(|| poll(&mut polled, None))?;
            let [record, call] = polled.map(|one| one.revents());
            if !record.is_empty() || !call.contains(PollFlags::IN) {
                return Ok(());
            }
            // Who is gone meanwhile needs no answer.
            if let Ok(asked) = notify::receive(listener.as_fd()) {
                let _ = notify::answer(listener.as_fd(), asked.id, notify::Answer::Continue);
            }
        }
    }

    /// The next record; `None` at the end.
    fn receive(&self) -> Result<Option<(Record, Option<OwnedFd>)>> {
        self.attend()?;
        loop {
            let mut bytes = [0u8; wire::LENGTH];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [std::io::IoSliceMut::new(&mut bytes)];
            match recvmsg(self.control, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                // A child that left with unread data resets the socket once, before its last record is read.
                Err(Errno::INTR | Errno::CONNRESET) => continue,
                Ok(message) if message.bytes == wire::LENGTH => {
                    let descriptor = ancillary.drain().find_map(|part| match part {
                        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
                        _ => None,
                    });
                    return Ok(Some((Record::from_bytes(bytes), descriptor)));
                }
                Ok(_) => return Ok(None),
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Kills every child and waits until none of them shares this memory.
    fn clear(&mut self) {
        let kill = |child: &Cloned| {
            let _ = pidfd_send_signal(&child.pidfd, Signal::KILL);
        };
        // One that nobody could tell of ends at this.
        let _ = shutdown(self.control, Shutdown::Write);
        // Killed between starting another and telling of it, the first child would leave one that nobody knows to reap.
        while self.children.len() < self.awaited {
            match self.receive() {
                Ok(Some((Record { kind: wire::MOVED, .. }, Some(pidfd)))) => self.moved(pidfd),
                Ok(Some((Record { kind: wire::WENT_IN, value, .. }, _))) if self.went_in(value).is_ok() => {}
                Ok(None) => break,
                _ => {}
            }
        }
        self.children.iter().for_each(kill);
        // A failure here passes, and nothing else tells that they are gone.
        while !matches!(self.receive(), Ok(None)) {}
        for child in self.children.drain(..) {
            let _ = reap(&child.pidfd);
        }
    }

    fn lost(&mut self) -> Stop {
        let status = self.children.pop().map_or(0, |child| reap(&child.pidfd).unwrap_or(0));
        let is_memory = |act: &Act| matches!(act, Act::Limit(Limit::Write { what, .. }) if what.starts_with("memory"));
        match self.plan.steps.iter().position(|step| is_memory(&step.act)) {
            Some(place) if self.groups.killed_for_memory() > Some(0) => {
                Stop::Failed(Failed { step: place + 1, errno: Errno::NOMEM })
            }
            _ => Stop::Lost(status),
        }
    }
}

/// Waits for the end of a child by its descriptor (pidfd_open(2)); its wait status (waitpid(2)).
///
/// # Errors
/// It is no child of this process, or was waited for before.
pub fn reap(pidfd: &OwnedFd) -> Result<i32> {
    let child = rustix::process::WaitId::PidFd(pidfd.as_fd());
    let ended = rustix::io::retry_on_intr(|| waitid(child.clone(), WaitIdOptions::EXITED))?;
    Ok(ended.map_or(0, |status| match status.exit_status() {
        Some(code) => code << 8,
        None => status.terminating_signal().unwrap_or(0),
    }))
}

/// The pid of a process in the caller's pid namespace (pidfd_open(2), "/proc/PID/fdinfo").
fn pid_of(pidfd: &OwnedFd) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
}

/// The file of /proc/PID/ns that is the new namespace: a process enters a new time namespace only when it forks.
fn namespace_file(kind: crate::model::namespace::Namespace) -> &'static str {
    match kind {
        crate::model::namespace::Namespace::Time => "time_for_children",
        other => other.name(),
    }
}
