//! Floor 2: the wish. A plain value without effects; its default is the safest useful sandbox.
//!
//! One chapter a file. Where a wish came from (a flag, a line of a profile) is kept beside it, for messages.

pub mod entry;
pub mod filesystem;
pub mod identity;
pub mod life;
pub mod limits;
pub mod namespaces;
pub mod origins;
pub mod policy;

use crate::model::mount::Propagation;
use crate::model::schedule::Personality;
use filesystem::{Entry, Root, Writes};
use identity::Identity;
use life::{Environment, Lifetime, Program, Stdio, Terminal, Visit};
use limits::Limits;
use namespaces::Namespaces;
use origins::Origins;
use policy::Policy;
use std::ffi::OsString;
use std::path::PathBuf;

/// What is done about things of which a wish says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unsaid {
    /// What is safest and useful: a /proc, /dev and /tmp, a host name, no core files, Landlock.
    #[default]
    Safe,
    /// Nothing: the wish says everything, as a configuration of a container does. Of roots there is
    /// [`Root::Directory`] alone, and mount points that it lacks are made in it.
    Nothing,
}

/// What is wished: a program in new namespaces with a root of its own.
///
/// ```
/// let mut spec = holm::Spec::new("bash");
/// spec.program.arguments.extend(["-c".into(), "id".into()]);
/// spec.hostname = Some("island".into());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The program and its arguments.
    pub program: Program,
    /// What is done about what isn't said here.
    pub unsaid: Unsaid,
    /// Which namespaces are new, shared, joined or kept.
    pub namespaces: Namespaces,
    /// A place that is entered instead of one that is made; what is not in it is shared with the caller.
    pub entry: Option<entry::Entry>,
    /// What the program may ask of the kernel.
    pub policy: Policy,
    /// Who the program is, and how ids are mapped.
    pub identity: Identity,
    /// What its root directory is made of.
    pub root: Root,
    /// Where writes to the root go.
    pub writes: Writes,
    /// Where what is mounted below the root, on its own file system, shows; only where the wish says everything.
    pub propagation: Propagation,
    /// What is done to the root, in order.
    pub filesystem: Vec<Entry>,
    /// The host name inside; `None` is `holm` in a new UTS namespace and the host's in a shared one.
    pub hostname: Option<OsString>,
    /// The NIS domain name inside; `None` leaves it as it is.
    pub domain: Option<OsString>,
    /// Settings of the new namespaces: paths below /proc/sys, such as `net/ipv4/ip_forward`, and values.
    pub settings: Vec<(PathBuf, OsString)>,
    /// Which machine the program sees; `None` is what the caller sees.
    pub personality: Option<Personality>,
    /// The file mode creation mask.
    pub umask: u32,
    /// The directory the program starts in; `None` is the caller's where it exists inside, else `/`.
    pub directory: Option<PathBuf>,
    /// The environment.
    pub environment: Environment,
    /// Standard input, output and error.
    pub stdio: [Stdio; 3],
    /// Descriptors of the caller above 2 that the program keeps, under the same numbers.
    pub descriptors: Vec<i32>,
    /// A descriptor of the caller that pid 1 of the sandbox keeps open, and nobody else: a lock (flock(2)) on it is held until
    /// the last process inside has ended, whatever becomes of the caller.
    pub held: Option<i32>,
    /// Whether only descriptors count that this process has inherited, and none that it has opened itself: those are
    /// closed when it becomes another program (FD_CLOEXEC, fcntl(2)). For numbers that come from whoever started it.
    pub inherited_only: bool,
    /// Whether the program gets a terminal of its own.
    pub terminal: Terminal,
    /// How long the sandbox lives.
    pub lifetime: Lifetime,
    /// Whether its maker does something in it before its root is taken; only where the wish says everything.
    pub visit: Visit,
    /// Whether the sandbox goes on after the program until its last process ends.
    pub wait_all: bool,
    /// What it may use.
    pub limits: Limits,
    /// Where wishes came from that have no place for it beside them.
    pub origins: Origins,
}

impl Spec {
    /// Whether its root is mounted nowhere, in a mount namespace that is others', too: only a wish that says everything has one.
    pub fn root_stands_apart(&self) -> bool {
        let own = *self.namespaces.choice(crate::model::namespace::Namespace::Mount) == namespaces::Choice::New;
        !own && self.unsaid == Unsaid::Nothing && self.entry.is_none()
    }

    /// The default sandbox for `program`: a name, looked up on the PATH inside, or a path inside.
    pub fn new(program: impl Into<OsString>) -> Spec {
        Spec {
            program: Program::new(program.into()),
            unsaid: Unsaid::default(),
            namespaces: Namespaces::default(),
            entry: None,
            policy: Policy::default(),
            identity: Identity::default(),
            root: Root::default(),
            writes: Writes::default(),
            propagation: Propagation::default(),
            filesystem: Vec::new(),
            hostname: None,
            domain: None,
            settings: Vec::new(),
            personality: None,
            umask: 0o022,
            directory: None,
            environment: Environment::default(),
            stdio: [Stdio::Inherit; 3],
            descriptors: Vec::new(),
            held: None,
            inherited_only: false,
            terminal: Terminal::default(),
            lifetime: Lifetime::default(),
            visit: Visit::default(),
            wait_all: false,
            origins: Origins::default(),
            limits: Limits::default(),
        }
    }

    /// Adds an argument for the program.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Spec {
        self.program.arguments.push(argument.into());
        self
    }

    /// Adds arguments for the program.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Spec {
        self.program.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }
}

/// Where a wish came from, as its maker would recognise it: `--bind /opt:/opt`, `web.toml: mount 3`; empty for a default.
pub type Origin = String;
