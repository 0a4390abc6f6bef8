//! `root`, `mounts`, devices, and what is hidden or made read-only, in the order in which it is done.

use super::{Lowering, origin};
use holm::model::group::Version;
use holm::model::mount::{Attributes, Propagation, Reach};
use holm::model::namespace::Namespace;
use holm::spec::filesystem::{Beneath, BindSource, Content, Entry, NodeKind, Operation, Owners, Root, Writes};
use holm::spec::life::Terminal;
use holm::spec::namespaces::Choice;
use oci_spec::runtime::{LinuxDevice, LinuxDeviceType, Mount};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// The devices that every container has: name and minor number; the major number is 1, but for the terminal's.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// The links that every container has.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// The options of a mount, told apart.
#[derive(Default)]
struct Options {
    bind: Option<Reach>,
    first: Attributes,
    below: Attributes,
    propagation: Option<Propagation>,
    copies_up: bool,
    remount: bool,
    maps: Option<Reach>,
    rest: Vec<(OsString, Option<OsString>)>,
}

impl Options {
    /// Attributes of a mount that has none below it: both kinds hold for it, and what is said of it alone counts more.
    fn of_one(&self) -> Attributes {
        let Options { first, below, .. } = self;
        let set = below.set & !first.clear | first.set;
        Attributes { set, clear: below.clear & !first.set | first.clear }
    }
}

/// What a word says about propagation. For what is mounted below it holds with `r` before it or without.
fn propagation(word: &str) -> Option<Propagation> {
    match word {
        "private" | "rprivate" => Some(Propagation::Private),
        "slave" | "rslave" => Some(Propagation::Slave),
        "shared" | "rshared" => Some(Propagation::Shared),
        "unbindable" | "runbindable" => Some(Propagation::Unbindable),
        _ => None,
    }
}

/// Whose the files of a bind are shown to be: maps of its own count without an option, too, and an option without maps means
/// those of the container.
fn owners(mount: &Mount, option: Option<Reach>) -> Owners {
    let [uid, gid] = [mount.uid_mappings(), mount.gid_mappings()].map(super::linux::id_maps);
    match (uid.is_empty() && gid.is_empty(), option) {
        (true, None) => Owners::Outside,
        (true, Some(reach)) => Owners::Inside(reach),
        (false, reach) => Owners::Mapped { uid, gid, reach: reach.unwrap_or(Reach::One) },
    }
}

impl Lowering<'_> {
    pub(super) fn mounts(&mut self) {
        let config = &self.bundle.config;
        let Some(root) = config.root() else {
            return self.refuse("root", "cannot make a container without a root: there is none");
        };
        self.spec.root = Root::Directory(self.bundle.path(root.path()));
        self.spec.writes = if root.readonly() == Some(true) { Writes::Refused } else { Writes::Through };
        let mut sealed = Vec::new();
        for (place, mount) in config.mounts().iter().flatten().enumerate() {
            self.mount(place, mount, &mut sealed);
        }
        if let Some(source) = self.around.notified.clone().map(BindSource::Outside) {
            let mut attributes = Attributes::READ_ONLY;
            ["nosuid", "noexec", "nodev"].iter().for_each(|word| _ = attributes.add(word));
            let (reach, (below, propagation, owners)) = (Reach::One, Default::default());
            let at = crate::notify::INSIDE.into();
            let operation = Operation::Attach { source, at, reach, attributes, below, propagation, owners };
            self.spec.filesystem.push(Entry { operation, origin: crate::notify::VARIABLE.to_owned() });
        }
        self.devices();
        let linux = config.linux().as_ref();
        let label = linux.and_then(|linux| linux.mount_label().as_deref()).unwrap_or("");
        if !label.is_empty() && !self.around.selinux {
            self.warnings.push("linux.mountLabel is not done: SELinux is not enabled on this machine".to_owned());
        }
        let wished = linux.and_then(|linux| linux.rootfs_propagation().as_deref()).unwrap_or("");
        match propagation(wished) {
            Some(propagation) => self.spec.propagation = propagation,
            None if wished.is_empty() => {}
            None => self
                .refuse("linux.rootfsPropagation", format!("cannot mount the root {wished:?}: there is no such word")),
        }
        let paths = |list: Option<&Option<Vec<String>>>| list.cloned().flatten().unwrap_or_default();
        for path in paths(linux.map(|linux| linux.readonly_paths())) {
            self.add("linux.readonlyPaths", Operation::Protect { at: path.into() });
        }
        for path in paths(linux.map(|linux| linux.masked_paths())) {
            self.add("linux.maskedPaths", Operation::Mask { at: path.into() });
        }
        if let Some(directory) = self.spec.directory.clone().filter(|path| path != Path::new("/")) {
            self.add("process.cwd", Operation::Directory { at: directory, mode: 0o755 });
        }
        // What the terminal is mounted on is made before that can't be done any more.
        let console = PathBuf::from("/dev/console");
        let is_there = self.spec.filesystem.iter().any(|entry| *entry.operation.at() == console);
        if self.spec.terminal == Terminal::Console && sealed.iter().any(|at| at == Path::new("/dev")) && !is_there {
            let content = Content::Bytes(Vec::new());
            self.add("process.terminal", Operation::File { at: console, content, mode: 0o600 });
        }
        let own = *self.spec.namespaces.choice(Namespace::Mount) == Choice::New;
        for at in sealed {
            // The kernel changes no mount below one that stands apart, but its file system, which is the container's alone.
            let (attributes, options) = (Attributes::default(), vec![("ro".into(), None)]);
            let apart = Operation::Remount { at: at.clone(), attributes, options };
            self.add("mounts", if own { Operation::RemountReadOnly { at } } else { apart });
        }
    }

    /// Where a path of the host's is: inside, if it is written as one below the root directory, which isn't the host's own. No link in
    /// there leads out of it, neither to what is in there, nor to what is beside.
    fn place(&self, path: PathBuf) -> BindSource {
        let root = self.bundle.config.root().as_ref().map(|root| self.bundle.path(root.path()));
        let Some(root) = root.filter(|root| root.parent().is_some()) else { return BindSource::Outside(path) };
        let Ok(below) = path.strip_prefix(&root) else { return BindSource::Outside(path) };
        match straight(below) {
            beside if beside.starts_with("..") => BindSource::Outside(root.join(beside)),
            below => BindSource::Inside(Path::new("/").join(below)),
        }
    }

    fn add(&mut self, field: &str, operation: Operation) {
        self.spec.filesystem.push(Entry { operation, origin: origin(field) });
    }

    fn mount(&mut self, place: usize, mount: &Mount, sealed: &mut Vec<PathBuf>) {
        let field = format!("mounts[{place}]");
        // Relative ones were once allowed, and count from the root.
        let at = Path::new("/").join(mount.destination());
        let at = match self.place(at.clone()) {
            BindSource::Inside(inside) => inside,
            BindSource::Outside(_) => at,
        };
        let Some(mut options) = self.options(&field, mount) else { return };
        let kind = mount.typ().as_deref().unwrap_or("");
        if options.remount {
            return self.remount(&field, mount, at, options);
        }
        let bind = options.bind.or((kind == "bind").then_some(Reach::One));
        if let Some(reach) = bind {
            for (name, _) in &options.rest {
                // As mount(2) has it.
                let warning = format!("{field}: option {} means nothing for a bind mount", name.display());
                self.warnings.push(warning);
            }
            let Some(source) = mount.source().as_ref().filter(|source| !source.as_os_str().is_empty()) else {
                return self
                    .refuse(&field, format!("cannot bind nothing on {}: there is no source", crate::shown(&at)));
            };
            let source = self.place(self.bundle.path(source));
            let owners = owners(mount, options.maps);
            let Options { first: attributes, below, .. } = options;
            let propagation = options.propagation.unwrap_or_default();
            return self.add(&field, Operation::Attach { source, at, reach, attributes, below, propagation, owners });
        }
        if owners(mount, options.maps) != Owners::Outside {
            let message = format!("cannot mount on {} with other owners: it is no bind", crate::shown(&at));
            return self.refuse(&field, message);
        }
        if kind == "cgroup" {
            return self.groups(&field, at, options, sealed);
        }
        if kind.is_empty() {
            return self.refuse(&field, format!("cannot mount on {}: there is no type", crate::shown(&at)));
        }
        if kind == "tmpfs" && options.of_one().read_only() {
            // What is mounted below it later needs something to stand on.
            options.first.set &= !Attributes::READ_ONLY.set;
            options.below.set &= !Attributes::READ_ONLY.set;
            sealed.push(at.clone());
        }
        let source = mount.source().clone().map_or_else(|| kind.into(), PathBuf::into_os_string);
        let beneath = match kind {
            "tmpfs" if options.copies_up => Beneath::Content,
            "tmpfs" if !options.rest.iter().any(|(key, _)| key == "mode") => Beneath::Mode,
            _ => Beneath::Hidden,
        };
        let attributes = options.of_one();
        let propagation = options.propagation.unwrap_or_default();
        let mut options = options.rest;
        options.extend(self.mount_label(kind).map(|label| ("context".into(), Some(label.into()))));
        self.add(&field, Operation::Mount { kind: kind.into(), source, at, options, attributes, propagation, beneath });
    }

    /// Changes what is mounted there: with `bind` the mount alone, else its file system, too.
    fn remount(&mut self, field: &str, mount: &Mount, at: PathBuf, options: Options) {
        if owners(mount, options.maps) != Owners::Outside || options.copies_up || options.propagation.is_some() {
            let message = format!("cannot change the mount {} so: attributes and options can be", crate::shown(&at));
            return self.refuse(field, message);
        }
        let attributes = options.of_one();
        let options = if options.bind.is_some() { Vec::new() } else { options.rest };
        self.add(field, Operation::Remount { at, attributes, options });
    }

    /// What the files of a new file system of this kind are labelled (`linux.mountLabel`): those of the kernel's have labels of
    /// their own. Without SELinux no label lets anybody in or keeps anybody out, and no kernel takes one.
    fn mount_label(&self, kind: &str) -> Option<String> {
        let label = self.bundle.config.linux().as_ref().and_then(|linux| linux.mount_label().clone());
        label.filter(|label| {
            !label.is_empty() && self.around.selinux && !["proc", "sysfs", "mqueue", "cgroup2"].contains(&kind)
        })
    }

    fn options(&mut self, field: &str, mount: &Mount) -> Option<Options> {
        let mut options = Options::default();
        let refused = self.reasons.len();
        for option in mount.options().iter().flatten() {
            if options.first.add(option) || option.strip_prefix('r').is_some_and(|name| options.below.add(name)) {
                continue;
            }
            match option.as_str() {
                "bind" => options.bind = options.bind.or(Some(Reach::One)),
                "rbind" => options.bind = Some(Reach::Tree),
                "nofail" => {}
                "tmpcopyup" if mount.typ().as_deref() == Some("tmpfs") => options.copies_up = true,
                "idmap" => options.maps = options.maps.or(Some(Reach::One)),
                "ridmap" => options.maps = Some(Reach::Tree),
                "tmpcopyup" => {
                    self.refuse(field, "cannot mount with option tmpcopyup: it is of tmpfs alone");
                }
                "remount" => options.remount = true,
                word if propagation(word).is_some() => options.propagation = propagation(word),
                other => {
                    let (key, value) = match other.split_once('=') {
                        Some((key, value)) => (key, Some(value.into())),
                        None => (other, None),
                    };
                    options.rest.push((key.into(), value));
                }
            }
        }
        (self.reasons.len() == refused).then_some(options)
    }

    /// The container's own groups, if it has any: of version 2, or one directory for each hierarchy of version 1.
    /// A new mount of version 2 shows the root of the cgroup namespace: one that isn't new would show the host's groups.
    fn groups(&mut self, field: &str, at: PathBuf, options: Options, sealed: &mut Vec<PathBuf>) {
        for (name, _) in &options.rest {
            let message = format!("cannot mount control groups with option {}: it is of none", name.display());
            self.refuse(field, message);
        }
        let (attributes, propagation) = (options.of_one(), options.propagation.unwrap_or_default());
        let groups: Vec<(PathBuf, Version, PathBuf)> = self
            .around
            .hierarchies
            .iter()
            .zip(&self.spec.limits.groups)
            .map(|(one, group)| (one.mounted.clone(), one.version, group.directory.clone()))
            .collect();
        // Who has none sees none: a bind of the host's /sys would show others'.
        if !groups.is_empty() && groups.iter().all(|(_, version, _)| *version == Version::Two) {
            if *self.spec.namespaces.choice(Namespace::Cgroup) == Choice::New {
                let (kind, source) = ("cgroup2".into(), "cgroup".into());
                let (options, beneath) = Default::default();
                let mount = Operation::Mount { kind, source, at, options, attributes, propagation, beneath };
                return self.add(field, mount);
            }
            let Some((.., source)) = groups.into_iter().next() else { return };
            let (reach, below, owners) = (Reach::One, Attributes::default(), Owners::Outside);
            let source = BindSource::Outside(source);
            let bind = Operation::Attach { source, at, reach, attributes, below, propagation, owners };
            return self.add(field, bind);
        }
        let below = Attributes { set: attributes.set & !Attributes::READ_ONLY.set, clear: attributes.clear };
        let mode = ("mode".into(), Some("755".into()));
        let (kind, source) = ("tmpfs".into(), "tmpfs".into());
        let (options, beneath) = (vec![mode], Beneath::default());
        let base = at.clone();
        self.add(field, Operation::Mount { kind, source, at: base, options, attributes: below, propagation, beneath });
        for (mounted, _, group) in groups {
            let Some(name) = mounted.file_name() else { continue };
            let (reach, below) = (Reach::One, Attributes::default());
            let inside = at.join(name);
            let (source, owners) = (BindSource::Outside(group), Owners::Outside);
            self.add(field, Operation::Attach { source, at: inside, reach, attributes, below, propagation, owners });
            let controllers: Vec<&str> = name.to_str().unwrap_or("").split(',').collect();
            for alias in controllers.iter().filter(|_| controllers.len() > 1) {
                self.add(field, Operation::Symlink { target: name.into(), at: at.join(alias) });
            }
        }
        if attributes.read_only() {
            sealed.push(at);
        }
    }

    fn devices(&mut self) {
        let bound = |entry: &Entry| matches!(&entry.operation, Operation::Attach { at, .. } if at == Path::new("/dev"));
        let mut listed =
            self.bundle.config.linux().as_ref().and_then(|linux| linux.devices().clone()).unwrap_or_default();
        if !self.spec.filesystem.iter().any(bound) {
            if self.spec.terminal == Terminal::Own {
                self.spec.terminal = Terminal::Console;
            }
            for (name, major, minor) in DEVICES {
                let at = Path::new("/dev").join(name);
                if !listed.iter().any(|device| *device.path() == at) {
                    self.node("mounts", at, NodeKind::Character(major, minor), 0o666, (0, 0));
                }
            }
            for (name, target) in LINKS {
                self.add("mounts", Operation::Symlink { target: target.into(), at: Path::new("/dev").join(name) });
            }
            // Engines list it among all devices of the host; the one that is meant is the container's own, where the link leads.
            let is_own = |one: &LinuxDevice| one.path() == "/dev/ptmx" && (one.major(), one.minor()) == (5, 2);
            listed.retain(|one| !is_own(one));
        }
        listed.iter().for_each(|device| self.device(device));
    }

    fn device(&mut self, device: &LinuxDevice) {
        let number = |number: i64| u32::try_from(number).ok();
        let numbers = number(device.major()).zip(number(device.minor()));
        let kind = match (device.typ(), numbers) {
            (LinuxDeviceType::P, _) => NodeKind::Pipe,
            (LinuxDeviceType::C | LinuxDeviceType::U, Some((major, minor))) => NodeKind::Character(major, minor),
            (LinuxDeviceType::B, Some((major, minor))) => NodeKind::Block(major, minor),
            _ => {
                let message =
                    format!("cannot make device {}: it has no type or no numbers", crate::shown(device.path()));
                return self.refuse("linux.devices", message);
            }
        };
        let owner = (device.uid().unwrap_or(0), device.gid().unwrap_or(0));
        let mode = device.file_mode().unwrap_or(0o666) & 0o7777;
        self.node("linux.devices", device.path().clone(), kind, mode, owner);
    }

    /// A node, or, where none can be made, the host's own one.
    fn node(&mut self, field: &str, at: PathBuf, kind: NodeKind, mode: u32, owner: (u32, u32)) {
        let shares_users = *self.spec.namespaces.choice(Namespace::User) == Choice::Share;
        if self.around.makes_nodes && shares_users || kind == NodeKind::Pipe {
            return self.add(field, Operation::Node { at, kind, mode, owner });
        }
        let (attributes, below, propagation, owners) = Default::default();
        let (source, reach) = (BindSource::Outside(at.clone()), Reach::One);
        self.add(field, Operation::Attach { source, at, reach, attributes, below, propagation, owners });
    }
}

/// A relative path that climbs at its beginning alone, as it is written.
fn straight(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut straight, part| {
        match part {
            Component::ParentDir if straight.file_name().is_some() => drop(straight.pop()),
            part => straight.push(part),
        }
        straight
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;
    use crate::lower::{Lowered, Surroundings, lower};
    use holm::host::groups::Hierarchy;
    use serde_json::{Value, json};

    /// A container in version 2, with these namespaces beside that of mounts.
    fn lowered(namespaces: &[&str], mount: Value, label: &str, selinux: bool) -> crate::Result<Lowered> {
        let kinds: Vec<Value> = [&["mount"], namespaces].concat().iter().map(|kind| json!({ "type": kind })).collect();
        let config = json!({
            "ociVersion": "1.2.0", "root": { "path": "rootfs" },
            "process": { "user": { "uid": 0, "gid": 0 }, "args": ["sh"], "cwd": "/" },
            "mounts": [mount],
            "linux": { "namespaces": kinds, "cgroupsPath": "/one", "mountLabel": label },
        });
        let config = serde_json::from_value(config).expect("it is right");
        let (version, mounted) = (Version::Two, PathBuf::from("/cg"));
        let hierarchies = vec![Hierarchy { version, own: mounted.clone(), mounted, controllers: Vec::new() }];
        let around = Surroundings { hierarchies, makes_nodes: true, selinux, ..Surroundings::default() };
        lower(&Bundle { directory: "/bundle".into(), config, seccomp: None, warnings: Vec::new() }, &around)
    }

    /// What is done at a mount of control groups.
    fn mounts(namespaces: &[&str], options: Value) -> crate::Result<Vec<Operation>> {
        let mount = json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "options": options });
        let lowered = lowered(namespaces, mount, "", false)?;
        let here = |entry: &Entry| entry.operation.at() == Path::new("/sys/fs/cgroup");
        Ok(lowered.spec.filesystem.into_iter().filter(here).map(|entry| entry.operation).collect())
    }

    #[test]
    fn a_label_without_selinux_is_left_out_with_a_warning() {
        for selinux in [true, false] {
            let mount = json!({ "destination": "/run", "type": "tmpfs" });
            let lowered = lowered(&[], mount, "user_u:role_r:type_t:s0", selinux).expect("it can be done");
            let first = lowered.spec.filesystem.into_iter().next().map(|entry| entry.operation);
            let Some(Operation::Mount { options, .. }) = first else { panic!("{first:?}") };
            assert_eq!(options.iter().any(|(key, _)| key == "context"), selinux, "{options:?}");
            assert_eq!(lowered.warnings.iter().any(|one| one.contains("linux.mountLabel is not done")), !selinux);
        }
    }

    #[test]
    fn paths_below_the_root_directory_are_inside() {
        let inside = |path: &str| BindSource::Inside(path.into());
        let outside = |path: &str| BindSource::Outside(path.into());
        for (source, destination, wanted, at) in [
            ("/bundle/rootfs/a", "/bundle/rootfs/b", inside("/a"), "/b"),
            ("rootfs/a/", "/b", inside("/a"), "/b"),
            ("/bundle/rootfs/a/../b", "/bundle/rootfs/../a", inside("/b"), "/bundle/rootfs/../a"),
            ("/bundle/rootfs/a/../../b", "/bundle/rootfs2", outside("/bundle/rootfs/../b"), "/bundle/rootfs2"),
            ("/a/../b", "/b", outside("/a/../b"), "/b"),
            ("/a", "b", outside("/a"), "/b"),
        ] {
            let mount = json!({ "source": source, "destination": destination, "options": ["bind"] });
            let lowered = lowered(&[], mount, "", false).expect("it can be done");
            let first = lowered.spec.filesystem.into_iter().next().map(|entry| entry.operation);
            let Some(Operation::Attach { source, at: found, .. }) = first else { panic!("{first:?}") };
            assert_eq!((source, found), (wanted, at.into()));
        }
    }

    #[test]
    fn the_hosts_groups_are_never_shown() {
        let options = json!(["rro", "nosuid", "shared"]);
        let shared = mounts(&[], options.clone()).expect("it can be done");
        let [Operation::Attach { source, attributes, propagation, .. }] = &shared[..] else { panic!("{shared:?}") };
        assert_eq!(*source, BindSource::Outside("/cg/one".into()));
        assert!(attributes.read_only() && *propagation == Propagation::Shared, "{shared:?}");
        let own = mounts(&["cgroup"], options).expect("it can be done");
        let [Operation::Mount { kind, attributes, propagation, .. }] = &own[..] else { panic!("{own:?}") };
        assert!(kind == "cgroup2" && attributes.read_only() && *propagation == Propagation::Shared, "{own:?}");
    }

    #[test]
    fn who_has_no_groups_sees_none() {
        let none = Bundle {
            directory: "/bundle".into(),
            config: serde_json::from_value(json!({
                "ociVersion": "1.2.0", "root": { "path": "rootfs" },
                "process": { "user": { "uid": 0, "gid": 0 }, "args": ["sh"], "cwd": "/" },
                "mounts": [{ "destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["ro"] }],
                "linux": { "namespaces": [{ "type": "mount" }] },
            }))
            .expect("it is right"),
            seccomp: None,
            warnings: Vec::new(),
        };
        let lowered =
            lower(&none, &Surroundings { makes_nodes: true, ..Surroundings::default() }).expect("it can be done");
        let here = |entry: &&Entry| entry.operation.at() == Path::new("/sys/fs/cgroup");
        let all: Vec<_> = lowered.spec.filesystem.iter().filter(here).map(|entry| &entry.operation).collect();
        let [Operation::Mount { kind, .. }, Operation::RemountReadOnly { .. }] = &all[..] else { panic!("{all:?}") };
        assert_eq!(kind, "tmpfs");
    }

    #[test]
    fn an_option_that_is_of_no_groups_is_refused() {
        let said = mounts(&["cgroup"], json!(["favordynmods"])).map(drop).expect_err("it is refused").to_string();
        assert!(said.contains("cannot mount control groups with option favordynmods"), "{said}");
    }
}
