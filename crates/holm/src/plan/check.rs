//! Every contradiction in a wish, and every fact that makes it impossible, found at once.

use super::step::MapWriter;
use super::{apart, identity, options, policy};
use crate::host::Host;
use crate::model::id::{IdMap, lines};
use crate::model::namespace::Namespace;
use crate::model::remedy;
use crate::model::text::{cause, name};
use crate::spec::filesystem::{
    Access, BindSource, Entry, LAYERS, Missing, Operation, Owners, Root, Source, Upper, Writes,
};
use crate::spec::identity::{Groups, Maps};
use crate::spec::life::{Change, Lifetime, Stdio, Terminal};
use crate::spec::namespaces::{Choice, Device, Target};
use crate::spec::origins::Wish;
use crate::spec::policy::{Calls, Denials, NewPrivileges};
use crate::spec::{Spec, Unsaid};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// One reason why a wish can't be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What is wrong: `cannot <verb> <object>: <cause>`.
    pub message: String,
    /// From which wish it came; may be empty.
    pub origin: String,
    /// What would help; may be empty.
    pub hint: String,
    /// Whose doing it is.
    pub blame: Blame,
}

/// Whose doing a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Blame {
    /// That of what was wished.
    #[default]
    Wish,
    /// That of the machine, or of what it gives the caller: the same fails with other wishes, too.
    Machine,
}

/// A wish that can't be planned, with every reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// At least one.
    pub reasons: Vec<Reason>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, reason) in self.reasons.iter().enumerate() {
            write!(f, "{}{}", if place == 0 { "" } else { "; " }, reason.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

pub(super) fn check(spec: &Spec, host: &Host) -> Vec<Reason> {
    let mut found = Found(Vec::new());
    program(spec, host, &mut found);
    detached(spec, host, &mut found);
    says_all(spec, &mut found);
    namespaces(spec, host, &mut found);
    identities(spec, host, &mut found);
    root(spec, host, &mut found);
    operations(spec, host, &mut found);
    policies(spec, host, &mut found);
    super::limits::check(spec, host, &mut found);
    found.0
}

pub(super) struct Found(pub(super) Vec<Reason>);

impl Found {
    pub(super) fn add(&mut self, origin: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.blame(Blame::Wish, origin, message.into(), hint.into());
    }

    /// The same where the machine, or what it gives the caller, stands in the way.
    pub(super) fn add_lack(&mut self, origin: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.blame(Blame::Machine, origin, message.into(), hint.into());
    }

    fn blame(&mut self, blame: Blame, origin: &str, message: String, hint: String) {
        let reason = Reason { message, origin: origin.to_owned(), hint, blame };
        if !self.0.contains(&reason) {
            self.0.push(reason);
        }
    }
}

/// Text with a NUL byte can't be given to the kernel.
fn has_nul(text: &OsStr) -> bool {
    text.as_bytes().contains(&0)
}

fn program(spec: &Spec, host: &Host, found: &mut Found) {
    let program = &spec.program;
    if program.name.is_empty() {
        found.add("", "cannot run a program without a name: it is empty", "");
    }
    let zeroth = program.zeroth.iter();
    if std::iter::once(&program.name).chain(&program.arguments).chain(zeroth).any(|text| has_nul(text)) {
        found.add("", "cannot pass an argument: it holds a NUL byte", "");
    }
    for change in &spec.environment.changes {
        let (Change::Set(name, _) | Change::Pass(name) | Change::Unset(name)) = change else { continue };
        let value_nul = matches!(change, Change::Set(_, value) if has_nul(value));
        if name.is_empty() || name.as_bytes().contains(&b'=') || has_nul(name) || value_nul {
            let shown = name.display();
            found.add(
                spec.origins.of(Wish::Environment),
                format!("cannot set variable {shown:?}: the name is empty or holds '=' or NUL"),
                "",
            );
        }
    }
    if let Some(name) = &spec.hostname {
        let origin = spec.origins.of(Wish::Hostname);
        if name.is_empty() || name.len() > 64 || has_nul(name) {
            let shown = name.display();
            let message = format!("cannot set the host name to {shown:?}: it needs 1 to 64 bytes");
            found.add(origin, message, "");
        }
        if !sets_names(spec) {
            let message = "cannot set the host name: the UTS namespace is not a new one";
            found.add(origin, message, "leave out --hostname, or --share and --join of uts");
        }
    }
    if spec.domain.as_ref().is_some_and(|name| name.len() > 64 || has_nul(name)) {
        let message = "cannot set the domain name: it holds more than 64 bytes, or a NUL byte";
        found.add(spec.origins.of(Wish::Domain), message, "");
    }
    if spec.domain.is_some() && !sets_names(spec) {
        let message = "cannot set the domain name: the UTS namespace is not a new one";
        found.add(spec.origins.of(Wish::Domain), message, "");
    }
    for number in &host.closed {
        let message = format!("cannot use descriptor {number}: it is not open");
        found.add(user_of(spec, *number), message, format!("open it in the calling shell: {number}<file"));
    }
    for number in spec.descriptors.iter().filter(|&&number| (0..3).contains(&number)) {
        found.add(
            spec.origins.of(Wish::Descriptors),
            format!("cannot pass descriptor {number}: 0, 1 and 2 are always passed"),
            "",
        );
    }
    if spec.terminal != Terminal::None && spec.stdio.iter().any(|s| *s != Stdio::Inherit) {
        let message = "cannot give the program a terminal: its standard descriptors are given already";
        found.add(spec.origins.of(Wish::Terminal), message, "");
    }
    if let Some(path) = &spec.directory {
        inside(path, spec.origins.of(Wish::Directory), found);
    }
}

/// Whether the names of the machine can be set: in a new UTS namespace, or by a wish that says everything in a joined one that
/// isn't the caller's.
fn sets_names(spec: &Spec) -> bool {
    match spec.namespaces.choice(Namespace::Uts) {
        Choice::New => true,
        Choice::Share => false,
        Choice::Join(..) => spec.unsaid == Unsaid::Nothing,
    }
}

/// What only the init of an owned sandbox does.
fn detached(spec: &Spec, host: &Host, found: &mut Found) {
    if spec.lifetime == Lifetime::Owned {
        return;
    }
    let time = *spec.namespaces.choice(Namespace::Time) == Choice::New;
    if time && host.kernel < Some((6, 2)) {
        let message = "cannot make a time namespace: a process gets into it by starting another, but what waits becomes the program";
        found.add(spec.origins.of(Wish::Time), message, "since Linux 6.2 it gets into it by that, too");
    }
    let wishes = [
        (spec.wait_all, "wait for every process", ""),
        (spec.limits.timeout.is_some(), "limit the time", spec.origins.of(Wish::Timeout)),
        (spec.policy.denials == Denials::Told, "tell what is denied", spec.origins.of(Wish::Denials)),
        (spec.stdio.contains(&Stdio::Piped), "give the program a pipe", ""),
    ];
    for (_, what, origin) in wishes.into_iter().filter(|(wished, ..)| *wished) {
        found.add(origin, format!("cannot {what}: the sandbox is detached, and nobody would be there to do it"), "");
    }
}

/// Which wish names a descriptor.
fn user_of(spec: &Spec, number: i32) -> &str {
    if spec.descriptors.contains(&number) {
        return spec.origins.of(Wish::Descriptors);
    }
    let in_operations = spec.filesystem.iter().find(|entry| entry.operation.descriptor() == Some(number));
    let in_joins = spec.namespaces.choices.iter().find_map(|(_, choice)| match choice {
        Choice::Join(Target::Descriptor(n), origin) if *n == number => Some(origin),
        _ => None,
    });
    in_operations.map(|entry| &entry.origin).or(in_joins).map_or("", |origin| origin)
}

/// Which wishes share or join a namespace of this kind.
pub(super) fn origins_of(spec: &Spec, kind: Namespace) -> String {
    let mut origins: Vec<&str> = Vec::new();
    for (_, choice) in spec.namespaces.choices.iter().filter(|(said, _)| *said == kind) {
        let origin = match choice {
            Choice::Join(_, origin) => origin,
            Choice::New | Choice::Share => spec.origins.of(Wish::Share(kind)),
        };
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    origins.join(", ")
}

fn namespaces(spec: &Spec, host: &Host, found: &mut Found) {
    let wish = &spec.namespaces;
    for kind in Namespace::ALL {
        let mut said = wish.choices.iter().filter(|(k, _)| *k == kind).map(|(_, choice)| choice);
        let first = said.next();
        if said.any(|other| Some(other) != first) {
            let message = format!("cannot both share and join the {kind} namespace, or join two");
            found.add(&origins_of(spec, kind), message, "");
        }
    }
    let shares_user = *wish.choice(Namespace::User) == Choice::Share;
    if shares_user && !host.privileged && wish.new_kinds().iter().next().is_some() {
        let message = format!(
            "cannot make namespaces ({}) without a user namespace: the caller is not privileged",
            wish.new_kinds()
        );
        found.add(spec.origins.of(Wish::Share(Namespace::User)), message, "leave out --share user, or run as root");
    }
    if wish.time.is_some() && *wish.choice(Namespace::Time) != Choice::New {
        found.add(spec.origins.of(Wish::Time), "cannot set time offsets: the time namespace is not a new one", "");
    }
    for device in &wish.devices {
        let refused = |cause: &str| format!("cannot move network device {}: {cause}", name(&device.name));
        let origin = spec.origins.of(Wish::Devices);
        if *wish.choice(Namespace::Net) == Choice::Share {
            found.add(origin, refused("the network namespace is the caller's own"), "");
        }
        if let Some(odd) = [&device.name, &device.inside].into_iter().find(|one| !Device::can_be_named(one)) {
            found.add(origin, refused(&format!("no device can be called {}", name(odd))), "");
        }
        if wish.devices.iter().filter(|one| one.inside == device.inside).count() > 1 {
            found.add(origin, refused(&format!("there is another one for the name {}", name(&device.inside))), "");
        }
    }
    for keep in &wish.keep {
        let kind = keep.namespace;
        if *wish.choice(kind) != Choice::New {
            let message = format!("cannot keep the {kind} namespace: it is not a new one");
            let hint = if kind == Namespace::Time { "--time-offset makes a new one" } else { "" };
            found.add(&keep.origin, message, hint);
        }
        if !(host.privileged && host.owns_mounts) {
            let message = format!("cannot keep the {kind} namespace: a bind mount outside needs CAP_SYS_ADMIN");
            found.add(&keep.origin, message, "run as root, or keep a process in it and --join its pid");
        }
    }
    if let Choice::Join(_, origin) = wish.choice(Namespace::Pid)
        && *wish.choice(Namespace::User) == Choice::New
        && *wish.choice(Namespace::Mount) == Choice::New
        && (spec.root != Root::Empty || spec.filesystem.iter().any(|e| matches!(e.operation, Operation::Proc { .. })))
    {
        let message = "cannot mount proc for a joined pid namespace: a new user namespace has no right over it";
        found.add(
            origin,
            message,
            "join the user namespace that owns it, too: --join user=…; as root, --share user may do",
        );
    }
    if spec.root_stands_apart() {
        apart::check(spec, host, found);
    } else if *wish.choice(Namespace::Mount) != Choice::New {
        let wished = spec.root != Root::Host || spec.writes != Writes::Refused || !spec.filesystem.is_empty();
        if wished {
            let message = "cannot change the root or its mounts: the mount namespace is not a new one";
            found.add(
                &origins_of(spec, Namespace::Mount),
                message,
                "leave it out, or leave out --root and mount options",
            );
        }
    }
}

fn identities(spec: &Spec, host: &Host, found: &mut Found) {
    let origin = &spec.identity.origin;
    let listed = matches!(&spec.identity.groups, Groups::Listed(groups) if !groups.is_empty());
    if listed && !identity::can_drop_groups(spec, host) {
        let message = "cannot take supplementary groups: the caller has no right to";
        found.add(spec.origins.of(Wish::Groups), message, "map a range of ids");
    }
    if *spec.namespaces.choice(Namespace::User) != Choice::New {
        if !matches!(spec.identity.maps, Maps::Automatic | Maps::Single) {
            found.add(origin, "cannot map ids: the user namespace is not a new one", "");
        }
        // Whoever enters a user namespace has capabilities there.
        let enters = matches!(spec.namespaces.choice(Namespace::User), Choice::Join(..));
        if identity::ids(spec, host) != (host.uid, host.gid) && !host.privileged && !enters {
            found.add(spec.origins.of(Wish::User), "cannot change ids: the user namespace is not a new one", "");
        }
        return;
    }
    if matches!(spec.identity.maps, Maps::Automatic | Maps::Subordinate) && !host.unread.is_empty() {
        for (file, errno) in &host.unread {
            let message = format!("cannot choose ids for the sandbox: {}: {}", file.display(), cause(&(*errno).into()));
            let hint =
                format!("{} says which ids are whose: make it readable; or --map, or --userns host", file.display());
            found.add_lack(origin, message, hint);
        }
        return;
    }
    if spec.identity.maps == Maps::Subordinate && (host.subuid.is_empty() || host.subgid.is_empty()) {
        let message = "cannot map ranges: /etc/subuid and /etc/subgid have none for the caller";
        found.add_lack(origin, message, format!("as root: {}", remedy::ranges(100_000, "USER")));
        return;
    }
    let (uid, gid) = identity::ids(spec, host);
    let (users, groups) = identity::maps(spec, host);
    for (maps, id, what) in [(&users, uid, "user"), (&groups, gid, "group")] {
        list(maps, what, origin, found);
        if !maps.iter().any(|m| m.covers(id)) {
            let message = format!("cannot run as {what} {id}: no map covers it");
            found.add(
                spec.origins.of(Wish::User),
                message,
                format!("add a map of {id}, such as --map {}:{id}:OUTSIDE:1", &what[..1]),
            );
        }
    }
    if !host.privileged && matches!(spec.identity.maps, Maps::Listed { .. }) {
        owned(&users, host.uid, &host.subuid, "user", origin, found);
        owned(&groups, host.gid, &host.subgid, "group", origin, found);
    }
    let helpers = identity::writer(spec, host) == MapWriter::Helpers;
    if helpers && (host.newuidmap.is_none() || host.newgidmap.is_none()) {
        let message = "cannot map ranges: newuidmap and newgidmap are not installed";
        found.add_lack(origin, message, format!("on Debian: {}", remedy::HELPERS));
    }
}

fn list(maps: &[IdMap], what: &str, origin: &str, found: &mut Found) {
    if maps.len() > 340 {
        found.add(origin, format!("cannot map {what}s: {} lines, the kernel takes 340", maps.len()), "");
    }
    // The kernel takes one write, shorter than a page (user_namespaces(7)).
    let length = lines(maps).len();
    if length > 4095 {
        let message = format!("cannot map {what}s: the lines have {length} bytes, the kernel takes 4095");
        found.add(origin, message, "maps that go on from each other can be one line");
    }
    for (place, map) in maps.iter().enumerate() {
        if !map.fits() {
            found.add(origin, format!("cannot map {what}s {map}: it is empty or goes past the last id"), "");
        }
        if let Some(other) = maps[..place].iter().find(|other| other.overlaps(map)) {
            found.add(origin, format!("cannot map {what}s {map}: it overlaps {other}"), "");
        }
    }
}

/// Whether an unprivileged caller may map these ids: its own one, and what its ranges hold (newuidmap(1)).
fn owned(maps: &[IdMap], own: u32, ranges: &[(u32, u32)], what: &str, origin: &str, found: &mut Found) {
    let file = if what == "user" { "/etc/subuid" } else { "/etc/subgid" };
    for map in maps {
        if !(map.outside == own && map.count == 1 || ranges.iter().any(|&range| map.is_of(range))) {
            let message = format!("cannot map {what}s {map}: the ids outside are not the caller's");
            found.add(origin, message, format!("{file} lists the caller's ranges"));
        }
    }
}

fn policies(spec: &Spec, host: &Host, found: &mut Found) {
    let wish = &spec.policy;
    let filter = policy::filter(spec);
    if let Err(error) = &filter {
        found.add(spec.origins.of(Wish::Calls), format!("cannot filter system calls: {error}"), "");
    }
    if let (Calls::Filter(_), Ok(Some(filter))) = (&wish.calls, &filter) {
        let lacking = policy::lacks(filter.instructions(), spec);
        if !lacking.is_empty() {
            let message = format!("cannot use this filter: it refuses {}", lacking.join(", "));
            let hint = "every sandbox needs these to start, pass signals on and end: allow them";
            found.add(spec.origins.of(Wish::Calls), message, hint);
        }
    }
    for (place, label) in wish.labels.iter().enumerate() {
        let (module, word, origin) = (label.module, label.module.word(), spec.origins.of(Wish::Label(label.module)));
        if !label.fits() || wish.labels[..place].iter().any(|other| other.module == module) {
            let message = format!("cannot run under {label}: it is no {word}, or there is another one");
            found.add(origin, message, "");
        } else if !host.modules.contains(&module) {
            let hint = format!("leave the {word} out, or boot with {module}");
            found.add_lack(origin, format!("cannot run under {label}: {module} is not enabled on this machine"), hint);
        }
    }
    if wish.denials == Denials::Told && wish.calls == Calls::All {
        found.add(
            spec.origins.of(Wish::Denials),
            "cannot tell what is denied: there is no filter that could",
            "leave out --seccomp none",
        );
    }
    if *spec.namespaces.choice(Namespace::User) != Choice::New && !host.privileged && spec.entry.is_none() {
        if let Some(capability) = wish.capabilities.first() {
            let message = format!("cannot keep {capability}: without a new user namespace the caller has none to keep");
            found.add(spec.origins.of(Wish::Capabilities), message, "leave out --share user or --join user");
        }
        if wish.new_privileges == NewPrivileges::Allowed && (wish.calls != Calls::All || host.landlock > 0) {
            let message = "cannot filter system calls: without no_new_privs that needs a new user namespace";
            found.add(spec.origins.of(Wish::NewPrivileges), message, "leave out --new-privs, or --share user");
        }
    }
}

fn root(spec: &Spec, host: &Host, found: &mut Found) {
    if let Root::Directory(path) | Root::Programs(path) = &spec.root {
        let (shown, origin) = (name(path.as_os_str()), spec.origins.of(Wish::Root));
        match &host.root {
            Some(Err(Errno::ACCESS)) => {
                let hint = "it or a directory above it belongs to someone else and can't be searched";
                found.add(origin, format!("cannot use {shown} as the root: permission denied"), hint);
            }
            Some(Err(errno)) => {
                let hint = match *errno {
                    Errno::NOENT => "give a directory that exists, host, or bins:PROGRAM,...",
                    Errno::NOTDIR => "it must be a directory",
                    _ => "",
                };
                found.add(origin, format!("cannot use {shown} as the root: {}", cause(&(*errno).into())), hint);
            }
            Some(Ok(facts)) if spec.writes == Writes::Through && spec.unsaid == Unsaid::Safe => {
                for at in &facts.missing {
                    let (at, full) = (at.display(), format!("{shown}{}", at.display()));
                    let message =
                        format!("cannot mount on {at}: the root has none, and --rw leaves nowhere else to make it");
                    found.add(
                        spec.origins.of(Wish::Writes),
                        message,
                        format!("make {full}, or use --overlay=DIR instead of --rw"),
                    );
                }
            }
            _ => {}
        }
    }
    for (path, top) in host.tops.iter().filter(|_| spec.root == Root::Host) {
        if let Err(errno) = top {
            let message = format!("cannot look at {} of the host: {}", path.display(), cause(&(*errno).into()));
            let hint = format!("see ls -ld {}; --root bins:PROGRAM,... or a directory does without it", path.display());
            found.add(spec.origins.of(Wish::Root), message, hint);
        }
    }
    if spec.root == Root::Empty && !matches!(spec.writes, Writes::Refused | Writes::Temporary) {
        found.add(spec.origins.of(Wish::Writes), "cannot write through to an empty root: it stands in memory", "");
    }
    if let Writes::Kept(directory) = &spec.writes {
        present(directory, ("keep changes in", MAKE), spec.origins.of(Wish::Writes), host, found);
    }
}

fn operations(spec: &Spec, host: &Host, found: &mut Found) {
    let odd = |options: &[(OsString, Option<OsString>)]| {
        options.iter().flat_map(|(key, value)| std::iter::once(key).chain(value)).any(|text| has_nul(text))
    };
    for Entry { operation, origin } in &spec.filesystem {
        inside(operation.at(), origin, found);
        match operation {
            Operation::Bind { source: Source::Path(path), missing: Missing::Skip, .. }
                if matches!(host.source(path), Some(Err(Errno::NOENT | Errno::NOTDIR))) => {}
            Operation::Bind { source: Source::Path(path), access, .. } => {
                let skip = match access {
                    Access::ReadOnly => "--bind-try",
                    Access::ReadWrite => "--bind-rw-try",
                    Access::Devices => "--bind-dev-try",
                };
                let hint = format!("the source must exist on the host; {skip} skips a missing one");
                present(path, ("bind", &hint), origin, host, found);
            }
            Operation::Overlay { lower, upper, .. } => {
                if lower.is_empty() || lower.len() < 2 && *upper == Upper::None {
                    let message = "cannot mount a read-only overlay of less than two directories, or one of none";
                    found.add(origin, message, "");
                }
                if lower.len() > LAYERS {
                    let message =
                        format!("cannot lay {} directories over each other: {LAYERS} are the most", lower.len());
                    found.add(origin, message, "");
                }
                let kept = if let Upper::Kept { upper, work } = upper { vec![upper, work] } else { Vec::new() };
                for path in lower.iter().chain(kept) {
                    present(path, ("lay over", MAKE), origin, host, found);
                }
            }
            Operation::Symlink { target, .. } if target.as_os_str().is_empty() || has_nul(target.as_os_str()) => {
                found.add(origin, "cannot make a link: its target is empty or holds a NUL byte", "");
            }
            Operation::Attach { source: BindSource::Outside(source), .. } if has_nul(source.as_os_str()) => {
                found.add(origin, "cannot bind: the source holds a NUL byte", "");
            }
            Operation::Attach { source, owners, .. } => {
                if let BindSource::Inside(source) = source {
                    inside(source, origin, found);
                }
                shown_owners(owners, spec, host, origin, found);
            }
            Operation::Mount { kind, source, options, .. }
                if [kind, source].into_iter().any(|text| has_nul(text)) || odd(options) =>
            {
                found.add(origin, "cannot mount: the type, the source or an option holds a NUL byte", "");
            }
            Operation::Mount { options, .. } if options::run_together(options) => {
                let message = "cannot mount with an option of more than 255 bytes and one that holds a comma: mount(2) would take its parts for options";
                found.add(origin, message, "use paths without commas, or shorter ones");
            }
            Operation::Remount { options, .. } if odd(options) => {
                found.add(origin, "cannot change a mount: an option holds a NUL byte", "");
            }
            Operation::Mqueue { .. } if *spec.namespaces.choice(Namespace::Ipc) == Choice::Share => {
                found.add(origin, "cannot mount mqueue: the IPC namespace is the host's", "");
            }
            _ => {}
        }
        if *operation.at() == Path::new("/")
            && !matches!(
                operation,
                Operation::Chmod { .. } | Operation::RemountReadOnly { .. } | Operation::Remount { .. }
            )
        {
            found.add(origin, "cannot change / by an operation: it is made by the root itself", "see --root");
        }
    }
}

/// Other owners than those outside take maps, and a right over the mounts.
fn shown_owners(owners: &Owners, spec: &Spec, host: &Host, origin: &str, found: &mut Found) {
    match owners {
        Owners::Outside => return,
        Owners::Inside(_) if *spec.namespaces.choice(Namespace::User) == Choice::Share => {
            found.add(origin, "cannot show owners as ids inside: the user namespace is the caller's", "");
        }
        Owners::Inside(_) => {}
        Owners::Mapped { uid, gid, .. } => {
            list(uid, "user", origin, found);
            list(gid, "group", origin, found);
        }
    }
    if !(host.privileged && host.owns_mounts) {
        found.add(origin, "cannot show other owners: it takes CAP_SYS_ADMIN", "run as root");
    }
    if matches!(spec.namespaces.choice(Namespace::Mount), Choice::Join(..)) {
        let message =
            "cannot show other owners: what is opened outside can't be mounted in a mount namespace that is joined";
        found.add(origin, message, "make a new mount namespace");
    }
}

/// A wish that says everything can be done only where nothing has to be thought of.
fn says_all(spec: &Spec, found: &mut Found) {
    if spec.unsaid == Unsaid::Safe {
        return;
    }
    let is_there = spec.entry.is_some() || matches!(spec.root, Root::Directory(_));
    if !is_there || !matches!(spec.writes, Writes::Refused | Writes::Through) {
        found.add(spec.origins.of(Wish::Root), "cannot make this root as it is: it must be a directory", "");
    }
    for (path, value) in &spec.settings {
        let climbs = path.components().any(|part| !matches!(part, Component::Normal(_)));
        if climbs || has_nul(path.as_os_str()) || has_nul(value) {
            let message = format!("cannot set {}: it is no path below /proc/sys", name(path.as_os_str()));
            found.add(spec.origins.of(Wish::Settings), message, "");
        }
    }
}

/// A path inside must be absolute and must not climb.
fn inside(path: &Path, origin: &str, found: &mut Found) {
    let shown = path.display();
    if !path.is_absolute() {
        found.add(origin, format!("cannot use {shown:?} inside: it is not an absolute path"), "start it with /");
    } else if path.components().any(|c| c == Component::ParentDir) || has_nul(path.as_os_str()) {
        found.add(origin, format!("cannot use {shown:?} inside: it holds '..' or NUL"), "");
    } else if path.as_os_str().len() >= 4096 {
        found.add(
            origin,
            format!("cannot use a path of {} bytes inside: 4095 is the most", path.as_os_str().len()),
            "",
        );
    }
}

/// What would help if a directory is missing.
const MAKE: &str = "make it first";

/// Whether a source is there; what is to be done with it, and what would help if it is missing.
fn present(path: &Path, (verb, missing): (&str, &str), origin: &str, host: &Host, found: &mut Found) {
    let hint = match host.source(path) {
        Some(Ok(_)) => return,
        Some(Err(Errno::NOENT)) => missing,
        _ => "",
    };
    let cause = cause(&host.source(path).and_then(Result::err).unwrap_or(Errno::NOENT).into());
    found.add(origin, format!("cannot {verb} {}: {cause}", name(path.as_os_str())), hint);
}
