//! Options as typed, from one place: the command line, or a profile.

use crate::limits::Limits;
use crate::operations::OPTIONS;
use crate::overlay::Overlay;
use crate::profile::{self, Profile};
use crate::{arguments, policy};
use clap::ArgMatches;
use clap::parser::ValueSource;
use std::ffi::OsString;
use std::path::Path;

/// Options as typed, from one place.
#[derive(Default)]
pub(super) struct Typed {
    /// What precedes a name in messages: `--`, or `web.toml: `.
    pub(super) place: String,
    pub(super) root: Option<OsString>,
    pub(super) with: Vec<OsString>,
    pub(super) deb: Vec<OsString>,
    pub(super) rw: bool,
    /// Where an overlay sends writes.
    pub(super) overlay: Option<Overlay>,
    pub(super) share: Vec<String>,
    pub(super) join: Vec<OsString>,
    pub(super) keep: Vec<OsString>,
    pub(super) time_offset: Option<String>,
    pub(super) hostname: Option<OsString>,
    pub(super) user: Option<String>,
    pub(super) userns: Option<String>,
    pub(super) map: Vec<String>,
    pub(super) chdir: Option<OsString>,
    pub(super) env: Vec<OsString>,
    pub(super) env_all: bool,
    pub(super) arg0: Option<OsString>,
    pub(super) pass_fd: Vec<OsString>,
    pub(super) tty: Option<String>,
    pub(super) wait_all: bool,
    pub(super) policy: policy::Typed,
    pub(super) limits: Limits,
    pub(super) operations: Vec<(&'static str, OsString)>,
}

impl Typed {
    pub(super) fn from_matches(matches: &ArgMatches) -> Typed {
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
            overlay: one("overlay").map(|directory| match directory == arguments::IN_MEMORY {
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

    pub(super) fn from_profile(profile: Profile, path: &Path) -> Typed {
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
}
