//! What was found out about a machine and a caller: a plain value, so that a test can judge a machine that isn't there.

use crate::model::limit::Resource;
use crate::model::namespace::Namespace;
use rustix::io::Errno;
use std::path::PathBuf;

/// What came of trying something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It works.
    Works,
    /// The kernel, or a filter, answered with this errno.
    Refused(Errno),
    /// Who tried was killed by this signal: a filter does that by SIGSYS.
    Killed(i32),
    /// Who tried did not end in time.
    Hung,
    /// It couldn't be tried: something that it needs is missing.
    Untried,
}

impl Outcome {
    /// Whether it works.
    pub fn works(self) -> bool {
        self == Outcome::Works
    }

    /// Whether it was tried and doesn't work.
    pub fn fails(self) -> bool {
        !matches!(self, Outcome::Works | Outcome::Untried)
    }

    /// Whether it was refused with this errno.
    pub fn is(self, errno: Errno) -> bool {
        self == Outcome::Refused(errno)
    }
}

/// One thing that a child tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Try {
    /// A system call of this name, with arguments that make no sense, as the caller.
    Call(&'static str),
    /// A new namespace; all but a user namespace in a new user namespace, as ordinary users make them.
    Namespace(Namespace),
    /// All kinds by one clone3(2), as a start makes them.
    Together,
    /// A map of the caller's own ids in a new user namespace.
    OwnMap,
    /// A user namespace in a new user namespace, and a mount namespace in that.
    Nested,
    /// Offsets of the clocks in a new time namespace.
    Offsets,
    /// A new file system of this kind, in new namespaces of all kinds.
    FileSystem(&'static str),
    /// A filter of system calls that notifies a supervisor (seccomp_unotify(2)).
    Notify,
    /// A new session keyring.
    Keyring,
    /// What newer kernels tell, by the name that the kernel has for it.
    Interface(&'static str),
    /// Opening a device for reading and writing.
    Device(&'static str),
    /// Making and removing a control group for this controller.
    Group(&'static str),
}

/// A whole sandbox that was started and ended at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sandbox {
    /// The default one.
    Default,
    /// With the caller's pid namespace, and so without a /proc of its own.
    SharedPids,
    /// In the caller's own user namespace.
    SharedUsers,
    /// With all the ids that the caller has in /etc/subuid and /etc/subgid.
    Ranges,
    /// With a terminal of its own.
    Terminal,
    /// With clocks of its own.
    Clocks,
    /// With message queues.
    Queues,
    /// With a view of /sys.
    Sys,
    /// With an overlay in memory over its root.
    Overlay,
    /// With refusals told.
    Denials,
    /// With another sandbox in it.
    Within,
    /// With this directory, bound to be written.
    Bind(PathBuf),
    /// With an overlay whose upper directory is in this one.
    Upper(PathBuf),
}

/// What came of starting it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It started.
    Yes,
    /// It didn't: what holm said of it, and the hint.
    No {
        /// The message.
        message: String,
        /// What would help; may be empty.
        hint: String,
    },
    /// It was neither started nor refused in time.
    Hung,
    /// It wasn't tried.
    Untried,
}

impl Started {
    /// What was seen of a failure, and what it comes of or what would help, which may be empty.
    pub(super) fn failure(&self) -> Option<(String, String)> {
        match self {
            Started::No { message, hint } => Some((message.clone(), hint.clone())),
            Started::Hung => {
                let slow = "the machine is very slow, or something hangs";
                Some(("no answer within three seconds".to_owned(), slow.to_owned()))
            }
            Started::Yes | Started::Untried => None,
        }
    }
}

/// A set of ranges of ids, as a file of subuid(5) gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// The caller's: first id and count.
    pub own: Vec<(u32, u32)>,
    /// The names of others who were given some of the same ids.
    pub shared_with: Vec<String>,
    /// Why the file can't be read, if it is there.
    pub unread: Option<Errno>,
    /// The first id above all that are given to anybody.
    pub next: u64,
}

impl Given {
    /// How many ids are the caller's.
    pub fn count(&self) -> u64 {
        self.own.iter().map(|(_, count)| u64::from(*count)).sum()
    }
}

/// A program that maps ranges: newuidmap(1) or newgidmap(1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helper {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is root's with a set-user-id bit.
    pub set_user_id: bool,
    /// Whether it has file capabilities.
    pub capabilities: bool,
    /// The mount point of its file system, if that is mounted nosuid.
    pub nosuid: Option<String>,
}

impl Helper {
    /// Whether it can do what it is for, as far as its file tells.
    pub fn has_rights(&self) -> bool {
        (self.set_user_id || self.capabilities) && self.nosuid.is_none()
    }
}

/// Ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids {
    /// Of /etc/subuid.
    pub users: Given,
    /// Of /etc/subgid.
    pub groups: Given,
    /// newuidmap(1), if there is one.
    pub newuidmap: Option<Helper>,
    /// newgidmap(1).
    pub newgidmap: Option<Helper>,
    /// Whether the caller's own ids are mapped in its user namespace.
    pub own_mapped: bool,
    /// Whether user 0 is mapped there: else no program of root's gets its rights.
    pub root_mapped: bool,
    /// Whether a privileged caller found ids that are nobody's.
    pub free: bool,
}

/// A number that limits, and how much of it is used where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauge {
    /// How it is called.
    pub name: Measure,
    /// The most.
    pub most: u64,
    /// What is used of it.
    pub used: Option<u64>,
    /// What the caller may raise it to by itself: a hard limit of getrlimit(2), `u64::MAX` if there is none.
    pub hard: Option<u64>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// `user.max_*_namespaces` of the caller's user namespace.
    Namespaces(Namespace),
    /// `kernel.pid_max`.
    Pids,
    /// `fs.mount-max`: mounts in a mount namespace.
    Mounts,
    /// `kernel.keys.maxkeys`: keys of a user.
    Keys,
    /// `kernel.keys.root_maxkeys`: those of the machine's root.
    RootKeys,
    /// RLIMIT_NPROC or RLIMIT_NOFILE.
    Limit(Resource),
}

impl Measure {
    /// Its name, as sysctl(8) and getrlimit(2) know it.
    pub fn name(self) -> String {
        match self {
            Measure::Namespaces(kind) => format!("user.max_{kind}_namespaces"),
            Measure::Pids => "kernel.pid_max".to_owned(),
            Measure::Mounts => "fs.mount-max".to_owned(),
            Measure::Keys => "kernel.keys.maxkeys".to_owned(),
            Measure::RootKeys => "kernel.keys.root_maxkeys".to_owned(),
            Measure::Limit(resource) => format!("RLIMIT_{}", resource.name().to_uppercase()),
        }
    }
}

/// What other programs and the machine's security modules say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// The modules in force (`/sys/kernel/security/lsm`); empty if it can't be read.
    pub modules: Vec<String>,
    /// `kernel.unprivileged_userns_clone` (Debian's kernels).
    pub userns_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns` (Ubuntu's kernels).
    pub apparmor_restrict: Option<u64>,
    /// The AppArmor profile that confines this process; `None` if there is none.
    pub apparmor_profile: Option<String>,
    /// Whether SELinux is enforcing.
    pub selinux_enforcing: Option<bool>,
    /// `vm.memfd_noexec`.
    pub memfd_noexec: Option<u64>,
    /// Whether this process can't get rights by execve(2) any more.
    pub no_new_privileges: bool,
    /// Whether a filter of system calls is in force for this process.
    pub filtered: bool,
    /// Version of Landlock's interface; 0 is none.
    pub landlock: u32,
    /// Whether the root directory is one of chroot(2).
    pub chroot: bool,
    /// Whether the root directory is the initramfs.
    pub initramfs: bool,
}

/// How control groups are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// None is mounted.
    #[default]
    None,
    /// Version 1 alone.
    Legacy,
    /// Both.
    Hybrid,
    /// Version 2 alone.
    Unified,
}

/// One controller of control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// The option of `holm run` that needs it.
    pub option: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Why the caller can't use it, and what would help.
    pub refused: Option<(String, String)>,
}

/// What the caller can see of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// `kernel.yama.ptrace_scope`.
    pub ptrace_scope: Option<u64>,
    /// Whether /proc hides processes of others (`hidepid`, proc(5)).
    pub hidden: bool,
    /// How many processes can be seen.
    pub processes: usize,
    /// Of how many the namespaces can't be looked at.
    pub closed: usize,
    /// Why /proc couldn't be read at all.
    pub unreadable: Option<String>,
}

/// A place in which holm keeps or finds files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// What it is: `the store`.
    pub name: &'static str,
    /// The directory; where that isn't made yet, the one above it that is there.
    pub directory: PathBuf,
    /// The kind of its file system (statfs(2)).
    pub file_system: String,
    /// Whether the caller may write there.
    pub writable: bool,
}

/// Who looked, at what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// Its effective user id.
    pub uid: u32,
    /// The name of that user.
    pub name: Option<String>,
    /// Whether it has CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID.
    pub privileged: bool,
    /// Whether it is in the machine's first user namespace.
    pub in_first_user_namespace: bool,
    /// The program itself.
    pub program: Option<PathBuf>,
}

impl Caller {
    /// Whether it is root of the whole machine.
    pub fn is_root_of_machine(&self) -> bool {
        self.privileged && self.in_first_user_namespace
    }
}

/// The container, if it is one, that this process is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// A pod of Kubernetes.
    Kubernetes,
    /// LXC or Incus.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
    /// Flatpak.
    Flatpak,
    /// A sandbox of holm.
    Holm,
    /// Another one.
    Other,
}

impl Container {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Container::Docker => "docker",
            Container::Podman => "podman",
            Container::Kubernetes => "kubernetes",
            Container::Lxc => "lxc",
            Container::Nspawn => "nspawn",
            Container::Flatpak => "flatpak",
            Container::Holm => "holm",
            Container::Other => "other",
        }
    }
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Who looked.
    pub caller: Caller,
    /// The kernel's release, as uname(2) tells it.
    pub kernel: String,
    /// The container that this is in.
    pub container: Option<Container>,
    /// What children tried.
    pub tries: Vec<(Try, Outcome)>,
    /// Which sandboxes were started.
    pub sandboxes: Vec<(Sandbox, Started)>,
    /// Ids.
    pub ids: Ids,
    /// Limits with use against them.
    pub gauges: Vec<Gauge>,
    /// Security modules and settings.
    pub security: Security,
    /// How control groups are laid out.
    pub layout: Layout,
    /// Their controllers.
    pub controllers: Vec<Controller>,
    /// What is seen of others.
    pub sight: Sight,
    /// Where files are kept.
    pub spots: Vec<Spot>,
    /// What is mounted below /proc.
    pub covered: Vec<String>,
    /// Programs that could be used and whether they are there.
    pub programs: Vec<(&'static str, bool)>,
}

impl Facts {
    /// What came of trying `what`.
    pub fn of(&self, what: Try) -> Outcome {
        self.tries.iter().find(|(tried, _)| *tried == what).map_or(Outcome::Untried, |(_, outcome)| *outcome)
    }

    /// What came of starting this sandbox.
    pub fn started(&self, sandbox: &Sandbox) -> &Started {
        self.sandboxes.iter().find(|(tried, _)| tried == sandbox).map_or(&Started::Untried, |(_, started)| started)
    }

    /// Whether this sandbox started.
    pub fn starts(&self, sandbox: &Sandbox) -> bool {
        *self.started(sandbox) == Started::Yes
    }

    /// Whether any sandbox started.
    pub fn any_starts(&self) -> bool {
        self.sandboxes.iter().any(|(_, started)| *started == Started::Yes)
    }

    /// The kernel's version, as far as two numbers tell it.
    pub fn version(&self) -> (u32, u32) {
        crate::host::version(&self.kernel).unwrap_or_default()
    }

    /// What is used and allowed of a measure.
    pub fn gauge(&self, name: Measure) -> Option<&Gauge> {
        self.gauges.iter().find(|gauge| gauge.name == name)
    }
}
