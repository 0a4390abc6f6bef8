//! From options as typed, in a profile and on the command line, to a wish as meant: defaults < profile < flags.

mod enter;
mod root;
mod typed;

pub(crate) use enter::wish_to_enter;

use crate::overlay::Named;
use crate::report::Fault;
use crate::values::{self, Of, Parsed};
use crate::{limits, operations, policy, profile};
use clap::ArgMatches;
use holm::Spec;
use holm::spec::filesystem::Entry;
use holm::spec::identity::Maps;
use holm::spec::life::{Base, Change, Stdio, Terminal};
use holm::spec::namespaces::{Choice, Keep};
use holm::spec::origins::Wish;
use holm::spec::policy::Denials;
use holm_root::store::Held;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use typed::Typed;

/// Reads the profile and the command line.
pub(crate) fn wish(matches: &ArgMatches) -> Result<Meant, Vec<Fault>> {
    let (mut fill, tty) = begin(matches, "holm run --help");
    let typed = Typed::from_matches(matches);
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
    let (mut fill, _) = begin(matches, "holm learn --help");
    fill.spec.policy.denials = Denials::Told;
    fill.spec.origins.set(Wish::Denials, "holm learn");
    fill.spec.terminal = Terminal::None;
    fill.spec.stdio[1] = Stdio::Descriptor(2);
    fill.finish()
}

/// The program, with what a profile says of it, if there is one; and what that says of a terminal.
fn begin(matches: &ArgMatches, help: &'static str) -> (Fill, Option<String>) {
    // To explain is to do nothing; `holm learn` can't.
    let given = |name| matches.try_contains_id(name).is_ok_and(|given| given);
    let intent = if given("explain") || given("diagram") { Intent::Explain } else { Intent::Run };
    let mut program = matches.get_many::<OsString>("program").into_iter().flatten().cloned();
    let mut fill = Fill::new(Spec::new(program.next().unwrap_or_default()), intent, help);
    fill.spec.program.arguments = program.collect();
    fill.spec.inherited_only = true;
    let mut tty = None;
    if let Some(path) = matches.get_one::<OsString>("profile") {
        match profile::read(Path::new(path)) {
            Ok(profile) => {
                let typed = Typed::from_profile(profile, Path::new(path));
                tty = typed.tty.clone();
                fill.take(typed);
            }
            Err(fault) => fill.faults.push(fault),
        }
    }
    (fill, tty)
}

/// What the wish is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// What a root needs is fetched, built and stored; changes under a name are made and locked.
    Run,
    /// Nothing is done: a root that isn't there is refused, changes are looked at.
    Explain,
}

pub(crate) struct Fill {
    pub(crate) spec: Spec,
    faults: Vec<Fault>,
    root: root::Meant,
    intent: Intent,
    /// The command that lists what may be typed.
    help: &'static str,
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
    /// Nothing is typed yet. `help` is the command that lists what may be.
    fn new(spec: Spec, intent: Intent, help: &'static str) -> Fill {
        Fill { spec, faults: Vec::new(), root: root::Meant::Host, changes: None, intent, help }
    }

    /// Whatever has an effect comes last: a wrong option must not cost a download.
    fn finish(mut self) -> Result<Meant, Vec<Fault>> {
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        let held = self.find_root()?;
        let changes = match &self.changes {
            Some(name) => Some(Named::take(name, &mut self.spec, held.as_ref(), self.intent)?),
            None => None,
        };
        Ok(Meant { spec: self.spec, changes, _root: held })
    }

    /// Notes what is wrong with a value, and goes on.
    pub(crate) fn check<T>(&mut self, origin: &str, parsed: Parsed<T>) -> Option<T> {
        parsed
            .map_err(|cause| {
                let message = format!("cannot use the value of {origin}: {cause}");
                self.faults.push(Fault { message, origin: String::new(), hint: self.help.to_owned() });
            })
            .ok()
    }

    /// What `parse` makes of the value of an option, if there is one that can be used; and notes where it came from.
    pub(crate) fn read<T>(
        &mut self,
        (place, name): (&str, &str),
        wish: Wish,
        value: Option<OsString>,
        parse: impl FnOnce(&OsStr) -> Parsed<T>,
    ) -> Option<T> {
        let value = value?;
        let origin = values::origin(place, name, &value);
        let read = self.check(&origin, parse(&value))?;
        self.spec.origins.set(wish, origin);
        Some(read)
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
