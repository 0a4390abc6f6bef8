//! Tries, each in a child of its own that ends at once: what it has made is gone with it. From the fork on nothing here
//! allocates, since another thread of the caller may hold the allocator.

use super::facts::{Facts, Outcome, Try};
use super::needs;
use crate::host::groups::Groups;
use crate::model::namespace::Namespace;
use crate::sys::trial::{self, Call, End};
use crate::sys::{clone, namespace};
use rustix::fs::{CWD, Mode, OFlags, open, openat};
use rustix::io::{Errno, Result};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long one try may take.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long all may take: on a machine where they hang, the rest is left out.
const ALL: Duration = Duration::from_secs(6);

/// File systems that a sandbox makes.
pub(super) const FILE_SYSTEMS: [&str; 6] = ["tmpfs", "proc", "sysfs", "devpts", "mqueue", "overlay"];

/// Tries one after another.
pub(super) struct Trials {
    end: Instant,
    pub(super) done: Vec<(Try, Outcome)>,
}

impl Trials {
    pub(super) fn new() -> Trials {
        Trials { end: Instant::now() + ALL, done: Vec::new() }
    }

    /// Everything but control groups.
    pub(super) fn all(&mut self, caller: (u32, u32)) {
        let enters = !self.run(&|| enter(Namespace::Mount.flag())).fails();
        for need in needs::CALLS {
            self.call(need, enters);
        }
        for kind in Namespace::ALL {
            self.attempt(Try::Namespace(kind), &|| new(kind));
        }
        self.attempt(Try::Together, &together);
        if self.works(Try::Namespace(Namespace::User)) {
            self.attempt(Try::OwnMap, &|| own_map(caller));
            if self.works(Try::OwnMap) {
                self.attempt(Try::Nested, &|| nested(caller));
            }
            self.attempt(Try::Offsets, &offsets);
        }
        // Where namespaces are what is refused, nothing is known of what is mounted in them.
        let kinds = if self.works(Try::Together) { &FILE_SYSTEMS[..] } else { &[] };
        for &kind in kinds {
            let name = CString::new(kind).expect("it is a name of this table");
            self.attempt(Try::FileSystem(kind), &|| file_system(&name));
        }
        self.attempt(Try::Notify, &notify);
        self.attempt(Try::Keyring, &crate::sys::policy::join_session_keyring);
        for name in ["PIDFD_GET_USER_NAMESPACE", "NS_GET_ID"] {
            self.attempt(Try::Interface(name), &|| interface(name));
        }
        for device in ["/dev/fuse", "/dev/net/tun"] {
            let path = CString::new(device).expect("it is a path of this table");
            self.attempt(Try::Device(device), &|| {
                open(&*path, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).map(drop)
            });
        }
    }

    /// One system call. Some the kernel answers only to who may mount: those are made in new namespaces, and where these are what
    /// is refused nothing is known of the call.
    fn call(&mut self, need: &needs::Need, enters: bool) {
        let Some(call) = Call::named(need.name) else { return };
        let mounts = need.mounts == needs::Rights::ToMount;
        if mounts && !enters {
            return self.done.push((Try::Call(need.name), Outcome::Untried));
        }
        let outcome = self.run(&|| {
            if mounts {
                enter(Namespace::Mount.flag())?;
            }
            match call.make() {
                // What the kernel says of such arguments.
                Err(errno) if !matches!(errno, Errno::PERM | Errno::ACCESS | Errno::NOSYS) => Ok(()),
                answer => answer.map(drop),
            }
        });
        self.done.push((Try::Call(need.name), outcome));
    }

    /// Makes a control group in `directory` and removes it.
    pub(super) fn group(&mut self, name: &'static str, directory: PathBuf) {
        use std::os::unix::ffi::OsStrExt;
        let Ok(path) = CString::new(directory.as_os_str().as_bytes()) else { return };
        self.attempt(Try::Group(name), &|| {
            rustix::fs::mkdir(&*path, Mode::from_raw_mode(0o755))?;
            rustix::fs::rmdir(&*path)
        });
    }

    /// Looks for a file that newer kernels have in each control group but the topmost one.
    pub(super) fn group_file(&mut self, name: &'static str, groups: &Groups) {
        if let Some(group) = groups.unified.iter().find(|group| !group.top) {
            let there = group.directory.join(name).exists();
            let outcome = if there { Outcome::Works } else { Outcome::Refused(Errno::NOENT) };
            self.done.push((Try::Interface(name), outcome));
        }
    }

    fn works(&self, what: Try) -> bool {
        self.done.contains(&(what, Outcome::Works))
    }

    fn attempt(&mut self, what: Try, attempt: &dyn Fn() -> Result<()>) {
        let outcome = self.run(attempt);
        self.done.push((what, outcome));
    }

    fn run(&self, attempt: &dyn Fn() -> Result<()>) -> Outcome {
        if Instant::now() > self.end {
            return Outcome::Untried;
        }
        let code = || attempt().map_or_else(code, |()| 0);
        match trial::child(PATIENCE, &code) {
            Ok(End::Code(0)) => Outcome::Works,
            Ok(End::Code(errno)) => Outcome::Refused(Errno::from_raw_os_error(errno.into())),
            Ok(End::Signal(signal)) => Outcome::Killed(signal),
            Ok(End::Late) => Outcome::Hung,
            Err(_) => Outcome::Untried,
        }
    }
}

/// An errno as an exit code; all of Linux's are below 134.
fn code(errno: Errno) -> u8 {
    u8::try_from(errno.raw_os_error()).unwrap_or(u8::MAX)
}

/// A new user namespace, and then one of this kind.
fn new(kind: Namespace) -> Result<()> {
    namespace::unshare(Namespace::User.flag())?;
    if kind == Namespace::User { Ok(()) } else { namespace::unshare(kind.flag()) }
}

/// Enters a new user namespace with these others.
fn enter(flags: u64) -> Result<()> {
    namespace::unshare(Namespace::User.flag() | flags)
}

/// All kinds but time, which clone3(2) makes for children only, and one more process in them.
fn together() -> Result<()> {
    let kinds = Namespace::ALL.into_iter().filter(|&kind| kind != Namespace::Time);
    let flags = kinds.fold(0, |flags, kind| flags | kind.flag());
    grandchild(flags, &|| Ok(()))
}

/// Runs `attempt` in a child in new namespaces.
fn grandchild(flags: u64, attempt: &(dyn Fn() -> Result<()> + Sync)) -> Result<()> {
    struct Data<'a>(&'a (dyn Fn() -> Result<()> + Sync));
    extern "C" fn run(data: &Data<'_>) -> ! {
        trial::settle();
        clone::exit((data.0)().map_or_else(code, |()| 0).into())
    }
    let stack = clone::Stack::new()?;
    let child = clone::start(flags, clone::Kind::Own, &stack, run, &Data(attempt))?;
    match trial::wait(&child.pidfd, PATIENCE)? {
        End::Code(0) => Ok(()),
        End::Code(errno) => Err(Errno::from_raw_os_error(errno.into())),
        End::Signal(_) => Err(Errno::CANCELED),
        End::Late => Err(Errno::TIMEDOUT),
    }
}

fn own_map((uid, gid): (u32, u32)) -> Result<()> {
    enter(0)?;
    write(c"/proc/self/setgroups", b"deny")?;
    for (file, id) in [(c"/proc/self/uid_map", uid), (c"/proc/self/gid_map", gid)] {
        let mut line = Line::default();
        line.number(id).text(b" ").number(id).text(b" 1\n");
        write(file, line.bytes())?;
    }
    Ok(())
}

/// Who has no id in a user namespace can make none in it.
fn nested(caller: (u32, u32)) -> Result<()> {
    own_map(caller)?;
    enter(Namespace::Mount.flag())
}

fn offsets() -> Result<()> {
    enter(Namespace::Time.flag())?;
    write(c"/proc/self/timens_offsets", b"monotonic 1 0\n")
}

/// A detached file system, in namespaces of all the kinds that it may belong to.
fn file_system(kind: &CStr) -> Result<()> {
    let kinds = [Namespace::Mount, Namespace::Pid, Namespace::Net, Namespace::Ipc];
    let flags = kinds.into_iter().fold(Namespace::User.flag(), |flags, kind| flags | kind.flag());
    grandchild(flags, &|| {
        if kind == c"overlay" {
            // Without layers the kernel refuses it only after it knows the kind.
            return match fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).and_then(|made| fsconfig_create(&made)) {
                Err(Errno::INVAL) => Ok(()),
                done => done,
            };
        }
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        // What covers a read-only /sys refuses one to be written, which no sandbox has.
        let shown = if kind == c"sysfs" { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, shown).map(drop)
    })
}

fn notify() -> Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    // One instruction: allow everything.
    let allow = [crate::sys::policy::Instruction { code: 0x06, jt: 0, jf: 0, k: 0x7fff_0000 }];
    crate::sys::notify::filter(&allow, 0).map(drop)
}

fn interface(name: &str) -> Result<()> {
    if name == "NS_GET_ID" {
        let own = openat(CWD, c"/proc/self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        return namespace::id(own.as_fd()).map(drop);
    }
    let this = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty())?;
    namespace::of_process(this.as_fd(), Namespace::User.flag()).map(drop)
}

fn write(path: &CStr, bytes: &[u8]) -> Result<()> {
    let file: OwnedFd = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, bytes).map(drop)
}

/// A line of text that is put together without the heap.
struct Line {
    bytes: [u8; 64],
    length: usize,
}

impl Default for Line {
    fn default() -> Line {
        Line { bytes: [0; 64], length: 0 }
    }
}

impl Line {
    fn text(&mut self, text: &[u8]) -> &mut Line {
        for &byte in text {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
        self
    }

    fn number(&mut self, number: u32) -> &mut Line {
        let (mut digits, mut first, mut rest) = ([0u8; 10], 10, number);
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                return self.text(&digits[first..]);
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Facts {
    /// Whether a filter kills whoever makes this call: then this process may not.
    pub(super) fn kills_for(&self, call: &'static str) -> bool {
        matches!(self.of(Try::Call(call)), Outcome::Killed(_))
    }

    /// What of a start would kill this process.
    pub(super) fn kills_starts(&self) -> Vec<&'static str> {
        let starts = |need: &&needs::Need| matches!(need.used, needs::Use::Every | needs::Use::Asked(_));
        needs::CALLS.iter().filter(starts).map(|need| need.name).filter(|name| self.kills_for(name)).collect()
    }

    /// What of looking at processes would.
    pub(super) fn kills_sight(&self) -> Vec<&'static str> {
        let killed = |what: Try| matches!(self.of(what), Outcome::Killed(_));
        let interfaces = needs::INTERFACES.iter().map(|need| need.name).filter(|name| killed(Try::Interface(name)));
        needs::SIGHT.into_iter().filter(|name| self.kills_for(name)).chain(interfaces).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_put_together() {
        let mut line = Line::default();
        line.number(0).text(b" ").number(u32::MAX).text(b" 1\n");
        assert_eq!(line.bytes(), b"0 4294967295 1\n");
    }
}
