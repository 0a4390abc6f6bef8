//! From options as typed, in a profile and on the command line, to a wish as meant: defaults < profile < flags.

use crate::limits::{self, Limits};
use crate::operations::{self, OPTIONS};
use crate::overlay::{Named, Overlay};
use crate::policy;
use crate::profile::{self, Profile};
use crate::programs::Asked;
use crate::report::Fault;
use crate::stored::Absent;
use crate::values::{self, Of, Parsed};
use clap::ArgMatches;
use clap::parser::ValueSource;
use holm::Spec;
use holm::spec::filesystem::{Entry, Root, Writes};
use holm::spec::identity::Maps;
use holm::spec::life::{Base, Change, Stdio, Terminal};
use holm::spec::namespaces::{Choice, Keep};
use holm::spec::origins::Wish;
use holm::spec::policy::Denials;
use holm_root::store::Held;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Options as typed, from one place.
#[derive(Default)]
struct Typed {
    /// What precedes a name in messages: `--`, or `web.toml: `.
    place: String,
    root: Option<OsString>,
    with: Vec<OsString>,
    deb: Vec<OsString>,
    rw: bool,
    /// Where an overlay sends writes.
    overlay: Option<Overlay>,
    share: Vec<String>,
    join: Vec<OsString>,
    keep: Vec<OsString>,
    time_offset: Option<String>,
    hostname: Option<OsString>,
    user: Option<String>,
    userns: Option<String>,
    map: Vec<String>,
    chdir: Option<OsString>,
    env: Vec<OsString>,
    env_all: bool,
    arg0: Option<OsString>,
    pass_fd: Vec<OsString>,
    tty: Option<String>,
    wait_all: bool,
    policy: policy::Typed,
    limits: Limits,
    operations: Vec<(&'static str, OsString)>,
}

/// Reads the profile and the command line.
pub(crate) fn wish(matches: &ArgMatches) -> Result<Meant, Vec<Fault>> {
    let (mut fill, tty) = begin(matches);
    let typed = from_matches(matches);
    let tty = typed.tty.clone().or(tty);
    if matches.get_one::<String>("log-denied").is_some() {
        fill.spec.policy.denials = Denials::Told;
    }
    fill.take(typed);
    fill.terminal(tty.as_deref());
    fill.finish()
}

/// Reads the profile for a run that learns what the program misses: what it prints goes to standard error.
pub(crate) fn wish_to_learn(matches: &ArgMatches) -> Result<Meant, Vec<Fault>> {
    let (mut fill, _) = begin(matches);
    fill.spec.policy.denials = Denials::Told;
    fill.spec.origins.set(Wish::Denials, "holm learn");
    fill.spec.terminal = Terminal::None;
    fill.spec.stdio[1] = Stdio::Descriptor(2);
    fill.finish()
}

/// The program, with what a profile says of it, if there is one; and what that says of a terminal.
fn begin(matches: &ArgMatches) -> (Fill, Option<String>) {
    // To explain is to do nothing; `holm learn` can't.
    let explains = matches.try_get_one::<String>("explain").is_ok_and(|form| form.is_some());
    let absent = if explains { Absent::Refuse } else { Absent::Build };
    let mut program = matches.get_many::<OsString>("program").into_iter().flatten().cloned();
    let mut fill = Fill {
        spec: Spec::new(program.next().unwrap_or_default()),
        faults: Vec::new(),
        programs: None,
        held: None,
        changes: None,
        absent,
    };
    fill.spec.program.arguments = program.collect();
    fill.spec.inherited_only = true;
    let mut tty = None;
    if let Some(path) = matches.get_one::<OsString>("profile") {
        match profile::read(Path::new(path)) {
            Ok(profile) => {
                let typed = from_profile(profile, Path::new(path));
                tty = typed.tty.clone();
                fill.take(typed);
            }
            Err(fault) => fill.faults.push(fault),
        }
    }
    (fill, tty)
}

fn from_matches(matches: &ArgMatches) -> Typed {
    let one = |name: &str| matches.get_one::<OsString>(name).cloned();
    let many = |name: &str| matches.get_many::<OsString>(name).into_iter().flatten().cloned().collect();
    let texts = |name: &str| matches.get_many::<String>(name).into_iter().flatten().cloned().collect();
    let mut operations: Vec<(usize, &'static str, OsString)> = Vec::new();
    for option in OPTIONS {
        if matches.value_source(option.name) == Some(ValueSource::CommandLine) {
            let indices = matches.indices_of(option.name).into_iter().flatten();
            let values = matches.get_many::<OsString>(option.name).into_iter().flatten();
            operations.extend(indices.zip(values).map(|(index, value)| (index, option.name, value.clone())));
        }
    }
    operations.sort_by_key(|(index, ..)| *index);
    // `--proc` names a view of every /proc, or a place for one.
    let mut views = Vec::new();
    operations.retain(|(_, name, value)| {
        let view = value.to_str().filter(|word| *name == "proc" && policy::PROC_VIEWS.contains(word));
        views.extend(view.map(str::to_owned));
        view.is_none()
    });
    Typed {
        place: "--".to_owned(),
        root: one("root"),
        with: many("with"),
        deb: many("deb"),
        rw: matches.get_flag("rw"),
        overlay: one("overlay").map(|directory| match directory == crate::arguments::IN_MEMORY {
            true => Overlay::Memory,
            false => Overlay::parse(&directory),
        }),
        share: texts("share"),
        join: many("join"),
        keep: many("keep"),
        time_offset: matches.get_one::<String>("time-offset").cloned(),
        hostname: one("hostname"),
        user: matches.get_one::<String>("user").cloned(),
        userns: matches.get_one::<String>("userns").cloned(),
        map: texts("map"),
        chdir: one("chdir"),
        env: many("env"),
        env_all: matches.get_flag("env-all"),
        arg0: one("arg0"),
        pass_fd: many("pass-fd"),
        tty: matches.get_one::<String>("tty").cloned(),
        wait_all: matches.get_flag("wait-all"),
        policy: policy::Typed {
            cap_add: texts("cap-add"),
            seccomp: one("seccomp"),
            allow_userns: matches.get_flag("allow-userns"),
            new_privs: matches.get_flag("new-privs"),
            proc: views.pop(),
            sys: matches.get_one::<String>("sys").cloned(),
        },
        limits: Limits::from_matches(matches),
        operations: operations.into_iter().map(|(_, name, value)| (name, value)).collect(),
    }
}

fn from_profile(profile: Profile, path: &Path) -> Typed {
    let os = |texts: Vec<String>| texts.into_iter().map(OsString::from).collect();
    Typed {
        place: format!("{}: ", path.display()),
        root: profile.root.map(OsString::from),
        with: os(profile.with),
        deb: os(profile.deb),
        rw: profile.rw,
        overlay: match profile.overlay {
            Some(profile::Overlay::Memory(true)) => Some(Overlay::Memory),
            Some(profile::Overlay::Value(value)) => Some(Overlay::parse(value.as_ref())),
            Some(profile::Overlay::Memory(false)) | None => None,
        },
        share: profile.share,
        join: os(profile.join),
        keep: os(profile.keep),
        time_offset: profile.time_offset,
        hostname: profile.hostname.map(OsString::from),
        user: profile.user,
        userns: profile.userns,
        map: profile.map,
        chdir: profile.chdir.map(OsString::from),
        env: os(profile.env),
        env_all: profile.env_all,
        arg0: profile.arg0.map(OsString::from),
        pass_fd: profile.pass_fd.iter().map(|n| n.to_string().into()).collect(),
        tty: profile.tty,
        wait_all: profile.wait_all,
        policy: policy::Typed {
            cap_add: profile.cap_add,
            seccomp: profile.seccomp.map(OsString::from),
            allow_userns: profile.allow_userns,
            new_privs: profile.new_privs,
            proc: profile.proc,
            sys: profile.sys,
        },
        limits: profile.limits,
        operations: profile.mounts.into_iter().map(|m| (m.name, m.value.into())).collect(),
    }
}

pub(crate) struct Fill {
    pub(crate) spec: Spec,
    faults: Vec<Fault>,
    /// The root of programs that is meant, if one is.
    programs: Option<Asked>,
    held: Option<Held>,
    absent: Absent,
    /// The name under which changes are kept.
    changes: Option<String>,
}

/// What is meant, with the changes that are kept under a name, and the stored root, which stays for as long as this is kept.
pub(crate) struct Meant {
    pub(crate) spec: Spec,
    pub(crate) changes: Option<Named>,
    pub(crate) _root: Option<Held>,
}

impl Fill {
    fn finish(mut self) -> Result<Meant, Vec<Fault>> {
        match self.programs.take().map(|asked| asked.root()) {
            Some(Ok(path)) => self.spec.root = Root::Programs(path),
            Some(Err(faults)) => self.faults.extend(faults),
            None => {}
        }
        let config = self.held.as_ref().and_then(|held| Some((held.config.clone()?, held.files.clone())));
        match config {
            Some((config, files)) => {
                let completed = crate::image::complete(&mut self.spec, &config, &files);
                self.faults.extend(completed.err());
            }
            None if self.spec.program.name.is_empty() && self.faults.is_empty() => self.faults.push(Fault {
                message: "cannot run: no program is given".to_owned(),
                origin: String::new(),
                hint: "holm run [OPTIONS] PROGRAM [ARGUMENT]...; only a root that was made from an image may have one"
                    .to_owned(),
            }),
            None => {}
        }
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        let changes = match &self.changes {
            Some(name) => Some(Named::take(name, &mut self.spec, self.held.as_ref())?),
            None => None,
        };
        Ok(Meant { spec: self.spec, changes, _root: self.held })
    }

    /// Notes what is wrong with a value, and goes on.
    pub(crate) fn check<T>(&mut self, origin: &str, parsed: Parsed<T>) -> Option<T> {
        parsed
            .map_err(|cause| {
                let message = format!("cannot use the value of {origin}: {cause}");
                self.faults.push(Fault { message, origin: String::new(), hint: "holm run --help".to_owned() });
            })
            .ok()
    }

    fn take(&mut self, typed: Typed) {
        let place = typed.place.clone();
        self.root(&typed);
        self.namespaces(&typed);
        self.identity(&typed, &place);
        self.program(&typed, &place);
        policy::take(self, &place, &typed.policy);
        limits::take(self, &place, &typed.limits);
        for (name, value) in &typed.operations {
            let origin = values::origin(&place, name, value);
            if let Some(operation) = self.check(&origin, operations::parse(name, value)) {
                self.spec.filesystem.push(Entry { operation, origin });
            }
        }
    }

    fn root(&mut self, typed: &Typed) {
        if let Some(root) = &typed.root {
            self.spec.origins.set(Wish::Root, format!("{}root", typed.place));
            let origin = values::origin(&typed.place, "root", root);
            self.programs = None;
            self.held = None;
            self.spec.root = match (root.as_bytes(), Asked::parse(root, &origin)) {
                (b"host", _) => Root::Host,
                (b"none", _) => Root::Empty,
                (_, Some(asked)) => {
                    self.programs = asked.map_err(|fault| self.faults.push(fault)).ok();
                    Root::Host
                }
                _ => self.directory_or_stored(root, &origin, typed),
            };
        }
        self.add_programs(typed);
        let place = &typed.place;
        let (writes, name) = match (&typed.overlay, typed.rw) {
            (Some(_), true) => {
                let message = "cannot both write through (rw) and to an overlay".to_owned();
                let origin = format!("{place}rw, {place}overlay");
                return self.faults.push(Fault { message, origin, hint: String::new() });
            }
            (Some(overlay), false) => (self.overlay(overlay), "overlay"),
            (None, true) => {
                self.changes = None;
                (Writes::Through, "rw")
            }
            (None, false) => return,
        };
        self.spec.writes = writes;
        self.spec.origins.set(Wish::Writes, format!("{place}{name}"));
    }

    /// Programs and packages beside those of `root`, or the root of these if no other is wished.
    fn add_programs(&mut self, typed: &Typed) {
        let lists = [("with", &typed.with), ("deb", &typed.deb)];
        for (name, list) in lists.iter().flat_map(|(name, lists)| lists.iter().map(|list| (*name, list))) {
            let origin = values::origin(&typed.place, name, list);
            let other = typed.root.is_some() || self.spec.root != Root::Host;
            if self.programs.is_none() && other {
                let message = "cannot add programs to this root: it is not one of programs".to_owned();
                let hint = "--root bins:A,B, or no --root; --bind shows more of the host in any root".to_owned();
                self.faults.push(Fault { message, origin, hint });
                return;
            }
            self.spec.origins.set(Wish::Root, format!("{}{name}", typed.place));
            let asked = self.programs.get_or_insert_with(|| Asked::nothing(&origin));
            match name {
                "with" => asked.with(list),
                _ => asked.deb(list),
            }
        }
    }

    /// Where writes go; what is kept under a name is taken when all else is known.
    fn overlay(&mut self, overlay: &Overlay) -> Writes {
        self.changes = None;
        match overlay {
            Overlay::Memory => Writes::Temporary,
            Overlay::Directory(path) => Writes::Kept(path.clone()),
            Overlay::Named(name) => {
                self.changes = Some(name.clone());
                Writes::Temporary
            }
        }
    }

    /// A stored root is never written: what is written goes to memory, or where `overlay` says.
    fn directory_or_stored(&mut self, root: &OsStr, origin: &str, typed: &Typed) -> Root {
        let held = match crate::stored::root(root, origin, self.absent) {
            Ok(None) => return Root::Directory(PathBuf::from(root)),
            Ok(Some(held)) => held,
            Err(fault) => {
                self.faults.push(fault);
                return Root::Host;
            }
        };
        if typed.rw {
            let message = format!("cannot write through to the stored root {}", root.display());
            let hint = "--overlay=DIR keeps what is written; without --rw it goes to memory".to_owned();
            self.faults.push(Fault { message, origin: format!("{}rw", typed.place), hint });
        }
        self.spec.writes = Writes::Temporary;
        self.spec.origins.set(Wish::Writes, format!("{}root", typed.place));
        let files = held.files.clone();
        self.held = Some(held);
        Root::Directory(files)
    }

    fn namespaces(&mut self, typed: &Typed) {
        let place = &typed.place;
        for list in &typed.share {
            let origin = values::origin(place, "share", list.as_ref());
            for kind in self.check(&origin, values::namespaces(list)).unwrap_or_default() {
                self.spec.namespaces.choices.push((kind, Choice::Share));
                self.spec.origins.set(Wish::Share(kind), origin.as_str());
            }
        }
        for value in &typed.join {
            let origin = values::origin(place, "join", value);
            let parsed = values::namespace_and(value).and_then(|(kind, at)| Ok((kind, values::target(kind, at)?)));
            if let Some((kind, target)) = self.check(&origin, parsed) {
                self.spec.namespaces.choices.push((kind, Choice::Join(target, origin)));
            }
        }
        for value in &typed.keep {
            let origin = values::origin(place, "keep", value);
            if let Some((namespace, at)) = self.check(&origin, values::namespace_and(value)) {
                let named = !at.as_bytes().contains(&b'/');
                let path = if named { values::kept(namespace, at) } else { PathBuf::from(at) };
                self.spec.namespaces.keep.push(Keep { namespace, path, origin });
            }
        }
        if let Some(text) = &typed.time_offset {
            let origin = values::origin(place, "time-offset", text.as_ref());
            let offsets = self.check(&origin, values::time_offsets(text));
            self.spec.namespaces.time = offsets.or(self.spec.namespaces.time);
            self.spec.origins.set(Wish::Time, format!("{place}time-offset"));
        }
    }

    fn identity(&mut self, typed: &Typed, place: &str) {
        if let Some(text) = &typed.user
            && let Some(user) = self.check(&values::origin(place, "user", text.as_ref()), values::user(text))
        {
            self.spec.identity.user = user;
            self.spec.origins.set(Wish::User, format!("{place}user"));
        }
        match typed.userns.as_deref() {
            None => {}
            Some(_) if !typed.map.is_empty() => self.faults.push(Fault {
                message: "cannot map ids by both userns and map".to_owned(),
                origin: format!("{place}userns"),
                hint: "leave out one of them".to_owned(),
            }),
            Some("auto") => self.spec.identity.maps = Maps::Automatic,
            Some("host") => self.spec.identity.maps = Maps::Single,
            Some(other) => {
                self.check::<()>(
                    &values::origin(place, "userns", other.as_ref()),
                    Err("it is auto or host".to_owned()),
                );
            }
        }
        let (mut uid, mut gid, mut auto) = (Vec::new(), Vec::new(), false);
        for text in &typed.map {
            if text == "auto" {
                auto = true;
                continue;
            }
            match self.check(&values::origin(place, "map", text.as_ref()), values::map(text)) {
                Some((of, map)) => {
                    uid.extend((of != Of::Groups).then_some(map));
                    gid.extend((of != Of::Users).then_some(map));
                }
                None => return,
            }
        }
        if auto && !(uid.is_empty() && gid.is_empty()) {
            let message = "cannot map automatically and by list".to_owned();
            self.faults.push(Fault { message, origin: format!("{place}map"), hint: String::new() });
        }
        if !typed.map.is_empty() {
            self.spec.identity.maps = if auto { Maps::Subordinate } else { Maps::Listed { uid, gid } };
            self.spec.identity.origin = format!("{place}map {}", typed.map.join(", "));
        }
    }

    fn program(&mut self, typed: &Typed, place: &str) {
        let spec = &mut self.spec;
        if typed.hostname.is_some() {
            spec.origins.set(Wish::Hostname, format!("{place}hostname"));
        }
        if typed.chdir.is_some() {
            spec.origins.set(Wish::Directory, format!("{place}chdir"));
        }
        if typed.tty.is_some() {
            spec.origins.set(Wish::Terminal, format!("{place}tty"));
        }
        spec.hostname = typed.hostname.clone().or(spec.hostname.take());
        spec.directory = typed.chdir.clone().map(PathBuf::from).or(spec.directory.take());
        spec.program.zeroth = typed.arg0.clone().or(spec.program.zeroth.take());
        spec.wait_all |= typed.wait_all;
        if typed.env_all {
            spec.environment.base = Base::Caller;
            spec.origins.set(Wish::EnvironmentBase, format!("{place}env-all"));
        }
        for value in &typed.env {
            spec.origins.add(Wish::Environment, &format!("{place}env"));
            let bytes = value.as_bytes();
            let change = match bytes.iter().position(|&b| b == b'=') {
                Some(at) => {
                    Change::Set(OsStr::from_bytes(&bytes[..at]).into(), OsStr::from_bytes(&bytes[at + 1..]).into())
                }
                None => Change::Pass(value.clone()),
            };
            spec.environment.changes.push(change);
        }
        for value in &typed.pass_fd {
            let number = self.check(&values::origin(place, "pass-fd", value), values::number(value));
            self.spec.origins.add(Wish::Descriptors, &format!("{place}pass-fd"));
            self.spec.descriptors.extend(number);
        }
    }

    /// Interactive use gets a terminal of its own: the caller's stays out of reach.
    fn terminal(&mut self, wished: Option<&str>) {
        use std::io::IsTerminal;
        let interactive =
            || std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let own = match wished {
            Some("always") => true,
            Some("never") => false,
            Some("auto") | None => interactive(),
            Some(other) => {
                let origin = self.spec.origins.of(Wish::Terminal).to_owned();
                self.check::<()>(&origin, Err(format!("{other:?} is not auto, always or never")));
                false
            }
        };
        self.spec.terminal = if own { Terminal::Own } else { Terminal::None };
    }
}
