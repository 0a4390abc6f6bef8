//! `holm-bench`: what a start of holm costs, beside the least it can cost and beside its peers.
//!
//! Everything but the starts by the library is measured from outside, as whole processes: the tools are started the way
//! a user starts them. The order of things: a scratch directory gets the C programs and a copy of holm;
//! the peers that are installed are found; each section measures them; the report is printed; the scratch goes away.
//!
//! It must not leave anything behind, must not pass over a missing peer in silence, and must not judge unless asked
//! to by `--check`.

mod arguments;
mod crowd;
mod host;
mod interleave;
mod json;
mod library;
mod limits;
mod meter;
mod mounts;
mod peer;
mod policy;
mod report;
mod scratch;
mod series;
mod start;
mod statistics;
mod system_calls;
mod table;
mod throughput;

use std::process::ExitCode;

use arguments::{Judgement, Options, Output, Request};
use meter::{Account, Meter};
use peer::Field;
use report::Report;
use scratch::Scratch;

fn main() -> ExitCode {
    let done = match arguments::parse(std::env::args().skip(1)) {
        Ok(Request::Help) => {
            print!("{}", arguments::HELP);
            Ok(ExitCode::SUCCESS)
        }
        Ok(Request::Measure(options)) => measure(&options),
        Ok(Request::InsideMounts { scratch, runs }) => mounts::measure_inside(&scratch, runs),
        Ok(Request::InsideLibrary { scratch, mib }) => library::call_inside(&scratch, mib),
        Err(message) => Err(message),
    };
    done.unwrap_or_else(|message| {
        eprintln!("holm-bench: {message}");
        ExitCode::FAILURE
    })
}

fn measure(options: &Options) -> Result<ExitCode, String> {
    let scratch = Scratch::create()?;
    scratch.compile_programs()?;
    let missing_holm = scratch.copy_holm(options.holm.as_deref())?;
    let mut field = Field::survey(scratch.path());
    if let Some(reason) = missing_holm {
        field.absent_because(peer::Peer::Holm, reason);
    }
    for absent in &field.absent {
        eprintln!("holm-bench: measured without {}: {}", absent.peer, absent.reason);
    }

    let report = run_sections(&scratch, field, options);
    let breaches = match options.judgement {
        Judgement::None => Vec::new(),
        Judgement::Limits => limits::breaches(&report),
    };
    match options.output {
        Output::Table => table::print(&report),
        Output::Json => println!("{}", json::document(&report, &breaches)),
    }
    for failure in &report.failures {
        eprintln!("holm-bench: failed: {failure}");
    }
    for breach in &breaches {
        eprintln!("holm-bench: over the limit: {breach}");
    }
    if options.judgement == Judgement::Limits && breaches.is_empty() {
        eprintln!("holm-bench: all limits kept");
    }
    Ok(match report.failures.is_empty() && breaches.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn run_sections(scratch: &Scratch, field: Field, options: &Options) -> Report {
    let meter = Meter::in_scratch(scratch.path());
    let mut failures = Vec::new();
    let accounts: &[Account] = match host::is_root() {
        true => &[Account::Current, Account::Ordinary],
        false => &[Account::Current],
    };
    let starts = accounts
        .iter()
        .map(|&account| start::measure(&meter, &field.subjects, options.runs, account, &mut failures))
        .collect();
    let rates = throughput::measure(&meter, &field.subjects, &mut failures);
    let mounts = mounts::measure(scratch.path(), options.runs, &mut failures);
    let library = library::measure(scratch.path(), options.runs, &mut failures);
    let policy = policy::measure(scratch.path(), &field.subjects, options.runs, &mut failures);
    let crowd = crowd::measure(scratch.path(), options.runs, &mut failures);
    let calls = system_calls::count(scratch.path(), &field.subjects, &mut failures);
    Report {
        host: host::describe(&field),
        absent: field.absent,
        starts,
        rates,
        mounts,
        library,
        policy,
        crowd,
        calls,
        failures,
    }
}
