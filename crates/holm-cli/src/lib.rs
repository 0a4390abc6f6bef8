//! The program `holm`: arguments, profiles, printing, exit codes. Everything it does is the library's work.
//!
//! As typed (`arguments`, `profile`) becomes as meant (`fill`) once. Its own failures exit with 125.

mod arguments;
mod changes;
mod content;
mod denied;
mod diagram;
mod document;
mod enter;
mod explain;
mod fill;
mod generate;
mod image;
mod limits;
mod oci;
mod operations;
mod overlay;
#[doc(hidden)]
pub mod parsers;
mod places;
mod policy;
mod profile;
mod programs;
mod report;
mod root;
mod see;
mod stored;
mod supervise;
mod terminal;
mod usage;
mod values;

use holm::host::Host;
use holm::plan::Plan;
use std::os::fd::AsFd;
use std::process::ExitCode;
use supervise::{Reports, Told};

/// Does what the command line of this process asks for.
pub fn main() -> ExitCode {
    let parent = supervise::Parent::now();
    // At a limit of file sizes a write fails instead (setrlimit(2), RLIMIT_FSIZE), and is told.
    let _ = holm::signal::ignore(rustix::process::Signal::XFSZ.as_raw());
    let engine = oci::name();
    let matches = match engine.map_or_else(arguments::command, oci::command).try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 125 } else { 0 });
        }
    };
    if engine.is_some() {
        return oci::run(&matches);
    }
    match matches.subcommand() {
        Some(("run", matches)) => run(matches, parent),
        Some(("learn", matches)) => learn(matches, parent),
        Some(("oci", matches)) => oci::run(matches),
        Some(("enter", matches)) => enter::run(matches, parent),
        Some(("root", matches)) => root::root(matches),
        Some(("diff", matches)) if see::compares(matches) => see::run(see::COMPARE, matches),
        Some((command @ ("diff" | "apply" | "commit" | "drop"), matches)) => changes::run(command, matches),
        Some(("generate", matches)) => generate::generate(matches),
        Some(("top", _)) => see::top::run(),
        Some(("doctor", matches)) => see::doctor::run(matches),
        Some(("diagram", matches)) => diagram::run(matches),
        Some((name, matches)) => see::command(name).map_or(ExitCode::from(125), |show| see::run(show, matches)),
        None => ExitCode::from(125),
    }
}

fn run(matches: &clap::ArgMatches, parent: supervise::Parent) -> ExitCode {
    let fill::Meant { spec, mut changes, _root } = match fill::wish(matches) {
        Ok(meant) => meant,
        Err(faults) => return report::faults(&faults),
    };
    let form = |name| matches.get_one::<String>(name).map(String::as_str);
    let file = matches.get_one::<std::ffi::OsString>("diagram").map(std::path::Path::new);
    if form("explain").is_some() || file.is_some() {
        let mut host = Host::probe(&spec);
        if let Some(changes) = &changes {
            changes.imagine(&mut host);
        }
        return match (Plan::new(&spec, &host), file) {
            (Ok(plan), Some(file)) => diagram::draw_plan(&spec, &plan, file),
            (Ok(plan), None) => explain::print(&plan, form("explain").unwrap_or_default()),
            (Err(refusal), _) => report::refusal(&refusal),
        };
    }
    let denied = form("log-denied").map_or(Told::Nothing, Told::Summary);
    supervise::run(&spec, changes.as_mut(), parent, Reports { stats: form("stats"), denied })
}

/// Runs a program as `run` does, and prints a profile of what it missed.
fn learn(matches: &clap::ArgMatches, parent: supervise::Parent) -> ExitCode {
    let fill::Meant { spec, mut changes, _root } = match fill::wish_to_learn(matches) {
        Ok(meant) => meant,
        Err(faults) => return report::faults(&faults),
    };
    // The program's standard output is another one, and holm's own is closed by the end.
    match std::io::stdout().as_fd().try_clone_to_owned() {
        Ok(output) => {
            supervise::run(&spec, changes.as_mut(), parent, Reports { stats: None, denied: Told::Profile(output) })
        }
        Err(error) => report::own(&format!("cannot keep standard output: {}", holm::model::text::cause(&error))),
    }
}
