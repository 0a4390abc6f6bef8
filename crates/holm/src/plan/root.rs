//! Steps for the root directory, in three phases.
//!
//! 1. The skeleton: links, directories and small files on a tmpfs. Nothing is ever made on a disk of the host.
//! 2. The base, if the root is a directory or keeps changes: a bind, or an overlay with the skeleton on top, so that a
//!    directory without a /proc gets one without being written to.
//! 3. The mounts: the default ones, then the wished operations in their order.

use super::step::{Act, Actor, Layer, Opener, Stand, Step};
use super::{identity, life, push};
use crate::host::{Host, Kind, RootFacts, Top};
use crate::model::mount::Propagation;
use crate::model::namespace::Namespace;
use crate::spec::filesystem::{
    self, Access, BindSource, Content, Entry, Missing, Operation, Root, Source, Upper, Writes,
};
use crate::spec::life::Visit;
use crate::spec::namespaces::Choice;
use crate::spec::origins::Wish;
use crate::spec::policy::{ProcView, SysView};
use crate::spec::{Spec, Unsaid};
use std::path::{Path, PathBuf};

/// Makes the directories for kept changes.
pub(super) fn prepare(spec: &Spec, steps: &mut Vec<Step>) {
    if let Writes::Kept(directory) = &spec.writes {
        for layer in layers(spec) {
            for part in [upper(directory, layer), work(directory, layer)] {
                let why = "overlayfs keeps changes in one and works in the other";
                push(steps, Actor::Parent, Act::MakeDirectory(part), why, spec.origins.of(Wish::Writes));
            }
        }
    }
}

/// The overlays that keep changes: the root's own, and the host's /usr as a second one.
fn layers(spec: &Spec) -> &'static [&'static str] {
    if spec.root == Root::Host { &["root", "usr"] } else { &["root"] }
}

fn upper(directory: &Path, layer: &str) -> PathBuf {
    directory.join(format!("{layer}-upper"))
}

fn work(directory: &Path, layer: &str) -> PathBuf {
    directory.join(format!("{layer}-work"))
}

/// Builds the root; in a mount namespace that isn't new only where the wish says everything, and apart from that namespace.
pub(super) fn build(spec: &Spec, host: &Host, steps: &mut Vec<Step>) {
    let own = *spec.namespaces.choice(Namespace::Mount) == Choice::New;
    if !own && !spec.root_stands_apart() {
        return;
    }
    if own && *spec.namespaces.choice(Namespace::User) != Choice::New {
        // A new user namespace's mounts receive, but never send, by themselves (mount_namespaces(7)).
        push(steps, Actor::Child, Act::Private, "without it the host would see every mount made here", "");
    }
    let build = Build { spec, host };
    build.base(steps);
    build.mounts(steps);
    if spec.visit == Visit::BeforePivot {
        let why = "all is made, and the caller's root is still there";
        push(steps, Actor::ParentMeanwhile, Act::Visit, why, spec.origins.of(Wish::Visit));
    }
    let stays_open = matches!(spec.root, Root::Host) || spec.unsaid == Unsaid::Nothing;
    if stays_open && spec.writes == Writes::Refused {
        push(steps, Actor::Child, Act::Seal, "what is not a fresh directory is read-only", "");
    }
    let (act, why) = match own {
        true => (Act::Pivot, "unlike after chroot(2) no way leads back: the old root is not mounted any more"),
        false => (Act::TakeRoot, "no way leads out of it: it is mounted nowhere"),
    };
    push(steps, Actor::Child, act, why, "");
    if matches!(spec.propagation, Propagation::Shared | Propagation::Unbindable) {
        let why = "wished; pivot_root(2) takes no shared root, so it is made one now";
        push(steps, Actor::Child, Act::Propagate(spec.propagation), why, spec.origins.of(Wish::Propagation));
    }
}

struct Build<'a> {
    spec: &'a Spec,
    host: &'a Host,
}

impl Build<'_> {
    /// Phases 1 and 2.
    fn base(&self, steps: &mut Vec<Step>) {
        let tmpfs = |steps: &mut Vec<Step>| {
            let why = "the root stands in memory: nothing is made on the host, and nothing is left behind";
            push(steps, Actor::Child, Act::RootTmpfs, why, "");
        };
        match &self.spec.root {
            Root::Empty => tmpfs(steps),
            Root::Host => {
                tmpfs(steps);
                self.skeleton(steps);
                if let Writes::Kept(directory) = &self.spec.writes {
                    self.overlay(vec![Layer::SoFar], kept(directory, "root"), steps);
                }
            }
            Root::Programs(path) => {
                tmpfs(steps);
                self.skeleton(steps);
                self.missing(steps);
                self.overlay(vec![Layer::SoFar, Layer::Directory(path.clone())], self.root_upper(), steps);
            }
            Root::Directory(path) if self.spec.unsaid == Unsaid::Nothing => {
                let slave = self.spec.propagation == Propagation::Slave;
                let propagation = if slave { Propagation::Slave } else { Propagation::Private };
                let stand = match self.spec.visit {
                    _ if self.spec.root_stands_apart() => Stand::Apart,
                    Visit::BeforePivot => Stand::InPlace,
                    Visit::None => Stand::OnTop,
                };
                let source = path.clone();
                let act = Act::RootAsIs { source, opener: self.opener_of_root(propagation), propagation, stand };
                let why = "the wished root, with all that is mounted below it";
                push(steps, Actor::Child, act, why, self.spec.origins.of(Wish::Root));
            }
            Root::Directory(path) => self.directory(path, steps, tmpfs),
        }
    }

    fn directory(&self, path: &Path, steps: &mut Vec<Step>, tmpfs: impl Fn(&mut Vec<Step>)) {
        let missing = matches!(&self.host.root, Some(Ok(RootFacts { missing, .. })) if !missing.is_empty());
        let access = match self.spec.writes {
            Writes::Refused if !missing => Access::ReadOnly,
            Writes::Through => Access::ReadWrite,
            _ => {
                tmpfs(steps);
                self.missing(steps);
                self.overlay(vec![Layer::SoFar, Layer::Directory(path.to_owned())], self.root_upper(), steps);
                return;
            }
        };
        let act = Act::RootBind { source: path.to_owned(), access, opener: self.opener(Owners::OnDisk) };
        let why = "the wished root, with all that is mounted below it";
        push(steps, Actor::Child, act, why, self.spec.origins.of(Wish::Root));
    }

    fn root_upper(&self) -> Upper {
        match &self.spec.writes {
            Writes::Refused | Writes::Through => Upper::None,
            Writes::Temporary => Upper::Temporary,
            Writes::Kept(directory) => kept(directory, "root"),
        }
    }

    fn overlay(&self, lower: Vec<Layer>, upper: Upper, steps: &mut Vec<Step>) {
        let why = match upper {
            Upper::None => "mount points that the directory lacks are laid over it, not made in it",
            _ => "writes go to a layer of their own; what lies below is never changed",
        };
        let act = Act::RootOverlay { lower, upper, opener: self.opener(Owners::OnDisk) };
        push(steps, Actor::Child, act, why, self.spec.origins.of(Wish::Root));
    }

    /// Mount points that the root directory lacks.
    fn missing(&self, steps: &mut Vec<Step>) {
        let Some(Ok(facts)) = &self.host.root else { return };
        for at in &facts.missing {
            self.mount_point(at, self.point(at), steps);
        }
    }

    /// Something for a later mount to stand on.
    fn mount_point(&self, at: &Path, kind: Kind, steps: &mut Vec<Step>) {
        let at = at.to_owned();
        let operation = match kind {
            Kind::Directory => Operation::Directory { at, mode: 0o755 },
            Kind::Other => Operation::File { at, content: Content::Bytes(Vec::new()), mode: 0o444 },
        };
        self.operate(operation, "something is mounted here later", "", steps);
    }

    /// What has to stand where the wish mounts something.
    fn point(&self, at: &Path) -> Kind {
        let entry = self.spec.filesystem.iter().find(|e| e.operation.mounts() && e.operation.at() == at);
        match entry.map(|e| &e.operation) {
            Some(Operation::Bind { source: Source::Path(path), .. }) => {
                self.host.source(path).and_then(Result::ok).unwrap_or(Kind::Directory)
            }
            Some(Operation::BindData { .. }) => Kind::Other,
            _ => Kind::Directory,
        }
    }

    /// Phase 1 for a root of programs: links, directories and a small /etc.
    fn skeleton(&self, steps: &mut Vec<Step>) {
        if self.spec.root == Root::Host {
            for (at, top) in &self.host.tops {
                if let Ok(Top::Link(target)) = top {
                    let link = Operation::Symlink { target: target.clone(), at: at.clone() };
                    self.operate(link, "as on the host", "", steps);
                }
            }
        }
        let (_, home, _) = life::account(self.spec, self.host);
        let sys = (self.spec.policy.sys == SysView::ReadOnly).then_some("/sys");
        let names = ["/usr", "/etc", "/proc", "/dev", "/tmp", "/run", "/var"].into_iter().chain(sys);
        for at in names.map(Path::new).chain([&*home]) {
            self.operate(
                Operation::Directory { at: at.to_owned(), mode: 0o755 },
                "programs expect it; it is empty",
                "",
                steps,
            );
        }
        let link = Operation::Symlink { target: "/tmp".into(), at: "/var/tmp".into() };
        self.operate(link, "one place for temporary files", "", steps);
        for (at, bytes) in self.etc() {
            let file = Operation::File { at, content: Content::Bytes(bytes), mode: 0o644 };
            self.operate(file, "programs read it; it tells nothing about the host's users", "", steps);
        }
        for (at, kind) in &self.host.etc_binds {
            self.mount_point(at, *kind, steps);
        }
    }

    /// The small files of /etc.
    fn etc(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let (uid, gid) = identity::ids(self.spec, self.host);
        let (name, home, shell) = life::account(self.spec, self.host);
        let group = match (&self.host.group, gid) {
            (_, 0) => "root".to_owned(),
            (Some(group), gid) if gid == self.host.gid => group.clone(),
            _ => "user".to_owned(),
        };
        let mut passwd = String::from("root:x:0:0:root:/root:/bin/bash\n");
        if uid != 0 {
            passwd += &format!("{name}:x:{uid}:{gid}::{}:{}\n", home.display(), shell.display());
        }
        passwd += "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
        let mut groups = String::from("root:x:0:\n");
        if gid != 0 {
            groups += &format!("{group}:x:{gid}:\n");
        }
        groups += "tty:x:5:\nnogroup:x:65534:\n";
        let host_name = super::namespaces::hostname(self.spec).unwrap_or_else(|| "holm".into());
        let hosts = format!("127.0.0.1 localhost {0}\n::1 localhost {0}\n", host_name.display());
        let nsswitch = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\n";
        let own = [("passwd", passwd), ("group", groups), ("hosts", hosts), ("nsswitch.conf", nsswitch.to_owned())];
        let own = own.into_iter().map(|(name, text)| (Path::new("/etc").join(name), text.into_bytes()));
        own.chain(self.host.etc_files.iter().cloned()).collect()
    }

    /// Phase 3.
    fn mounts(&self, steps: &mut Vec<Step>) {
        if self.spec.root == Root::Host {
            self.host_directories(steps);
        }
        if matches!(self.spec.root, Root::Host | Root::Programs(_)) {
            for (at, _) in &self.host.etc_binds {
                let why = "found by name in /etc, the host's, read-only";
                self.show(at, at, why, "", steps);
            }
            let (_, home, _) = life::account(self.spec, self.host);
            let read_only = self.spec.writes == Writes::Refused;
            for (at, mode, why) in [
                (PathBuf::from("/run"), 0o755, "sockets and locks of this sandbox only"),
                (home, 0o700, "a home without the host's secrets"),
            ] {
                if read_only && at != Path::new("/") {
                    self.operate(Operation::Tmpfs { at, size: None, mode }, why, "", steps);
                }
            }
        }
        if self.spec.root != Root::Empty && self.spec.unsaid == Unsaid::Safe {
            let at = PathBuf::from("/tmp");
            self.operate(Operation::Tmpfs { at, size: None, mode: 0o1777 }, "fresh, gone with the sandbox", "", steps);
            self.proc("/proc".into(), "", steps);
            let why = "the devices every program needs, and none that reaches the machine";
            self.operate(Operation::Dev { at: "/dev".into() }, why, "", steps);
            if self.spec.policy.sys == SysView::ReadOnly {
                self.sys(steps);
            }
        }
        for Entry { operation, origin } in &self.spec.filesystem {
            match operation {
                Operation::Proc { at } => self.proc(at.clone(), origin, steps),
                Operation::Bind { source: Source::Path(path), missing: Missing::Skip, .. }
                    if !matches!(self.host.source(path), Some(Ok(_))) => {}
                other => self.operate(other.clone(), "wished", origin, steps),
            }
        }
    }

    /// The host's /usr and whatever of its links are directories there.
    fn host_directories(&self, steps: &mut Vec<Step>) {
        let usr = PathBuf::from("/usr");
        let real = self.host.tops.iter().filter(|(_, top)| *top == Ok(Top::Directory)).map(|(path, _)| path);
        for path in std::iter::once(&usr).chain(real) {
            let why = "the host's programs, and nothing else of the host";
            let operation = match &self.spec.writes {
                Writes::Refused => {
                    self.show(path, path, why, "", steps);
                    continue;
                }
                Writes::Through => bind(path, path, Access::ReadWrite),
                Writes::Kept(directory) if *path == usr => {
                    Operation::Overlay { at: usr.clone(), lower: vec![usr.clone()], upper: kept(directory, "usr") }
                }
                Writes::Temporary | Writes::Kept(_) => {
                    Operation::Overlay { at: path.clone(), lower: vec![path.clone()], upper: Upper::Temporary }
                }
            };
            self.operate(operation, why, "", steps);
        }
    }

    fn proc(&self, at: PathBuf, origin: &str, steps: &mut Vec<Step>) {
        if *self.spec.namespaces.choice(Namespace::Pid) == Choice::Share {
            let why = "the pid namespace is the host's, so is its /proc";
            self.show(Path::new("/proc"), &at, why, origin, steps);
            return self.guard(at, origin, steps);
        }
        let (access, why) = match identity::reaches_root(self.spec, self.host) {
            true => (Access::ReadOnly, "user 0 outside is mapped inside and owns the host's settings in /proc/sys"),
            false => (Access::ReadWrite, "shows the processes of this pid namespace only"),
        };
        let view = self.spec.policy.proc;
        push(steps, Actor::Child, Act::MountProc { at: at.clone(), view, access }, why, origin);
        self.guard(at, origin, steps);
    }

    fn guard(&self, at: PathBuf, origin: &str, steps: &mut Vec<Step>) {
        if self.spec.policy.proc == ProcView::Guarded {
            let why = "they tell about the machine and change it; a program needs its processes";
            push(steps, Actor::Child, Act::GuardProc { at }, why, origin);
        }
    }

    /// The host's /sys, without what tells most.
    fn sys(&self, steps: &mut Vec<Step>) {
        let at = Path::new("/sys");
        self.show(at, at, "devices and settings of the machine, read-only", self.spec.origins.of(Wish::Sys), steps);
        for hidden in SYS_HIDDEN {
            let operation = Operation::Mask { at: at.join(hidden) };
            self.operate(operation, "even to look at it is not needed", self.spec.origins.of(Wish::Sys), steps);
        }
    }

    fn operate(&self, operation: Operation, why: &'static str, origin: &str, steps: &mut Vec<Step>) {
        let opener = match &operation {
            Operation::Attach { source: BindSource::Inside(_), .. } => Opener::Child,
            // Checked to be the caller's right; the plan's own maps are not what was wished.
            Operation::Attach { owners, .. } if *owners != filesystem::Owners::Outside => Opener::Parent,
            Operation::Attach { propagation, .. } => self.opener_of(*propagation),
            _ => self.opener(Owners::OnDisk),
        };
        push(steps, Actor::Child, Act::Operate { operation, opener }, why, origin);
    }

    /// A part of the host, read-only, for everybody to read.
    fn show(&self, source: &Path, at: &Path, why: &'static str, origin: &str, steps: &mut Vec<Step>) {
        let act = Act::Operate { operation: bind(source, at, Access::ReadOnly), opener: self.opener(Owners::Unknown) };
        push(steps, Actor::Child, act, why, origin);
    }

    /// Inside, root has the rights of its own ids only, so a caller with rights over the mounts opens sources outside.
    fn opener(&self, owners: Owners) -> Opener {
        let inside = *self.spec.namespaces.choice(Namespace::User) == Choice::New;
        match owners {
            _ if !self.host.privileged || !self.host.owns_mounts || !inside => Opener::Child,
            Owners::OnDisk if identity::shows_owners(self.spec, self.host) => Opener::ParentMapped,
            _ => Opener::Parent,
        }
    }
}

impl Build<'_> {
    /// As `opener`. In the child's mount namespace every mount is private by then, so what is to hear of the host's mounts is
    /// opened outside.
    fn opener_of(&self, propagation: Propagation) -> Opener {
        match (self.opener(Owners::OnDisk), propagation) {
            // What is put together apart has to be of one mount namespace.
            _ if matches!(self.spec.namespaces.choice(Namespace::Mount), Choice::Join(..)) => Opener::Child,
            (Opener::Child, Propagation::Slave | Propagation::Shared)
                if self.host.privileged && self.host.owns_mounts =>
            {
                Opener::Parent
            }
            (opener, _) => opener,
        }
    }
}

impl Build<'_> {
    /// In a user namespace that is joined the caller's rights to paths are gone, so its root may be out of reach there.
    fn opener_of_root(&self, propagation: Propagation) -> Opener {
        match self.opener_of(propagation) {
            Opener::Child
                if self.host.privileged
                    && self.host.owns_mounts
                    && *self.spec.namespaces.choice(Namespace::Mount) == Choice::New
                    && matches!(self.spec.namespaces.choice(Namespace::User), Choice::Join(..)) =>
            {
                Opener::Parent
            }
            opener => opener,
        }
    }
}

/// Whose files are shown to be.
enum Owners {
    /// Whose they are on disk.
    OnDisk,
    /// Nobody's, where the owner isn't mapped: enough for the host's programs, which everybody may read.
    Unknown,
}

/// Parts of /sys that are hidden even where it is shown.
const SYS_HIDDEN: [&str; 8] = [
    "firmware",
    "devices/virtual/powercap",
    "fs/bpf",
    "fs/cgroup",
    "fs/pstore",
    "kernel/debug",
    "kernel/security",
    "kernel/tracing",
];

fn kept(directory: &Path, layer: &str) -> Upper {
    Upper::Kept { upper: upper(directory, layer), work: work(directory, layer) }
}

fn bind(source: &Path, at: &Path, access: Access) -> Operation {
    Operation::Bind { source: Source::Path(source.to_owned()), at: at.to_owned(), access, missing: Missing::Refuse }
}
