//! From options of `holm enter` to a wish: what the place itself says counts less.

use super::{Fill, Intent, Typed};
use crate::policy;
use crate::report::Fault;
use clap::ArgMatches;
use holm::Spec;
use std::ffi::OsString;

/// Adds the options to the wish that the place makes.
pub(crate) fn wish_to_enter(spec: Spec, matches: &ArgMatches) -> Result<Spec, Vec<Fault>> {
    let one = |name: &str| matches.get_one::<OsString>(name).cloned();
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let mut fill = Fill::new(spec, Intent::Explain, "holm enter --help");
    fill.take(Typed {
        place: "--".to_owned(),
        user: text("user"),
        chdir: one("chdir"),
        env: matches.get_many::<OsString>("env").into_iter().flatten().cloned().collect(),
        env_all: matches.get_flag("env-all"),
        policy: policy::Typed { seccomp: one("seccomp"), ..policy::Typed::default() },
        ..Typed::default()
    });
    fill.terminal(text("tty").as_deref());
    if fill.faults.is_empty() { Ok(fill.spec) } else { Err(fill.faults) }
}
