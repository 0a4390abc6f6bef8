//! The program `holm`: arguments, profiles, printing, exit codes. Everything it does is the library's work.
//!
//! As typed (`arguments`, `profile`) becomes as meant (`fill`) once. Its own failures exit with 125.

mod arguments;
mod content;
mod denied;
mod explain;
mod fill;
mod generate;
mod limits;
mod operations;
#[doc(hidden)]
pub mod parsers;
mod places;
mod policy;
mod profile;
mod programs;
mod report;
mod root;
mod seccomp;
mod stored;
mod supervise;
mod terminal;
mod usage;
mod values;

use std::process::ExitCode;

/// Does what the command line of this process asks for.
pub fn main() -> ExitCode {
    let parent = supervise::Parent::now();
    // At a limit of file sizes a write fails instead (setrlimit(2), RLIMIT_FSIZE), and is told.
    let _ = holm::signal::ignore(rustix::process::Signal::XFSZ.as_raw());
    let matches = match arguments::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 125 } else { 0 });
        }
    };
    match matches.subcommand() {
        Some(("run", matches)) => run(matches, parent),
        Some(("learn", matches)) => learn(matches, parent),
        Some(("root", matches)) => root::root(matches),
        Some(("generate", matches)) => generate::generate(matches),
        _ => ExitCode::from(125),
    }
}

fn run(matches: &clap::ArgMatches, parent: supervise::Parent) -> ExitCode {
    let fill::Meant { spec, _root } = match fill::wish(matches) {
        Ok(meant) => meant,
        Err(faults) => return report::faults(&faults),
    };
    let explain = matches.get_one::<String>("explain").map(String::as_str);
    let signals = match explain {
        Some(_) => None,
        None => match supervise::signals() {
            Ok(signals) => Some(signals),
            Err(error) => return report::own(&format!("cannot receive signals: {}", holm::model::text::cause(&error))),
        },
    };
    let plan = match spec.plan() {
        Ok(plan) => plan,
        Err(refusal) => return report::refusal(&refusal),
    };
    match (explain, signals) {
        (Some(form), _) => explain::print(&plan, form),
        (None, Some(signals)) => {
            let form = |name| matches.get_one::<String>(name).map(String::as_str);
            let reports = supervise::Reports { stats: form("stats"), denied: form("log-denied") };
            supervise::run(&spec, &plan, &signals, parent, reports)
        }
        (None, None) => ExitCode::from(125),
    }
}

/// Runs a program as `run` does, and prints a profile of what it missed.
fn learn(matches: &clap::ArgMatches, parent: supervise::Parent) -> ExitCode {
    let fill::Meant { spec, _root } = match fill::wish_to_learn(matches) {
        Ok(meant) => meant,
        Err(faults) => return report::faults(&faults),
    };
    let signals = match supervise::signals() {
        Ok(signals) => signals,
        Err(error) => return report::own(&format!("cannot receive signals: {}", holm::model::text::cause(&error))),
    };
    match spec.plan() {
        Ok(plan) => {
            let reports = supervise::Reports { stats: None, denied: Some("profile") };
            supervise::run(&spec, &plan, &signals, parent, reports)
        }
        Err(refusal) => report::refusal(&refusal),
    }
}
