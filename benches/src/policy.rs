//! What the default policy costs: a start with and without it, and a system call under its filter and under others.
//!
//! A start without it has no filter and an unguarded /proc; the two are measured in turn, the first of them changing from
//! round to round. Calls are measured under the policy's filter, under the least one, which allows all by one instruction,
//! and under none: what lies between the last two is the kernel's price of any filter. They are measured in processor
//! time, which other programs don't take part in.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::meter::{Account, Extent, Meter, Record};
use crate::peer::{Peer, Subject};
use crate::statistics::median;

const WITHOUT: [&str; 4] = ["--seccomp", "none", "--proc", "full"];
const WARM_UP_ROUNDS: usize = 10;
/// Rounds of calls, and calls of a kind in each: ten million in all.
const CALL_ROUNDS: usize = 20;
const CALLS: &str = "500000";
const LEAST: &str = r#"{ "defaultAction": "SCMP_ACT_ALLOW" }"#;

pub(crate) enum Policy {
    Measured(Costs),
    Skipped { reason: String },
}

#[derive(Debug, PartialEq)]
pub(crate) struct Costs {
    /// In milliseconds.
    pub(crate) start: Pair,
    pub(crate) start_cpu: Pair,
    /// Of a call that is always allowed, and of one whose arguments are looked at.
    pub(crate) plain: Call,
    pub(crate) conditional: Call,
}

/// Medians in nanoseconds, under each filter.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) policy: f64,
    pub(crate) least: f64,
    pub(crate) none: f64,
}

/// Medians.
#[derive(Debug, PartialEq)]
pub(crate) struct Pair {
    pub(crate) with: f64,
    pub(crate) without: f64,
    /// The median of the differences round by round: slow spells of the machine hit both sides of each.
    pub(crate) difference: f64,
}

impl Pair {
    fn new(rounds: &[(f64, f64)]) -> Self {
        let of = |part: fn(&(f64, f64)) -> f64| median(&rounds.iter().map(part).collect::<Vec<f64>>());
        Self { with: of(|round| round.0), without: of(|round| round.1), difference: of(|round| round.0 - round.1) }
    }
}

pub(crate) fn measure(scratch: &Path, subjects: &[Subject], runs: usize, failures: &mut Vec<String>) -> Policy {
    eprintln!("holm-bench: the policy");
    let Some(holm) = subjects.iter().find(|subject| subject.peer == Peer::Holm) else {
        return Policy::Skipped { reason: "no holm".into() };
    };
    match costs(scratch, holm, runs) {
        Ok(costs) => Policy::Measured(costs),
        Err(reason) => {
            failures.push(reason.clone());
            Policy::Skipped { reason }
        }
    }
}

fn costs(scratch: &Path, holm: &Subject, runs: usize) -> Result<Costs, String> {
    let meter = Meter::in_scratch(scratch);
    let without = Subject { peer: holm.peer, program: holm.program.clone(), arguments: loosened(&holm.arguments) };
    let mut starts = Vec::with_capacity(runs);
    for round in 0..WARM_UP_ROUNDS + runs {
        let start = |subject: &Subject| meter.run(subject, Extent::Once, Account::Current);
        let pair = if round.is_multiple_of(2) {
            let with = start(holm)?;
            (with, start(&without)?)
        } else {
            let without = start(&without)?;
            (start(holm)?, without)
        };
        if round >= WARM_UP_ROUNDS {
            starts.push(pair);
        }
    }
    let pair = |of: fn(&Record) -> Duration| {
        let ms = |record: &Record| of(record).as_secs_f64() * 1e3;
        Pair::new(&starts.iter().map(|(with, without)| (ms(with), ms(without))).collect::<Vec<_>>())
    };
    let [plain, conditional] = calls(scratch, holm)?;
    Ok(Costs { start: pair(|record| record.wall), start_cpu: pair(|record| record.cpu), plain, conditional })
}

fn loosened(arguments: &[OsString]) -> Vec<OsString> {
    let mut arguments = arguments.to_vec();
    arguments.splice(1..1, WITHOUT.map(OsString::from));
    arguments
}

/// Both kinds of call.
fn calls(scratch: &Path, holm: &Subject) -> Result<[Call; 2], String> {
    let least = scratch.join("least.json");
    fs::write(&least, LEAST).map_err(|error| format!("cannot write {}: {error}", least.display()))?;
    let filters = [OsString::from("default"), least.into_os_string(), "none".into()];
    let mut rounds = Vec::with_capacity(CALL_ROUNDS);
    for _ in 0..CALL_ROUNDS {
        let mut round = [[0.0; 2]; 3];
        for (slot, filter) in round.iter_mut().zip(&filters) {
            *slot = calls_under(scratch, holm, filter)?;
        }
        rounds.push(round);
    }
    let of = |filter: usize, kind: usize| median(&rounds.iter().map(|round| round[filter][kind]).collect::<Vec<f64>>());
    Ok([0, 1].map(|kind| Call { policy: of(0, kind), least: of(1, kind), none: of(2, kind) }))
}

/// Nanoseconds of a call of each kind, inside.
fn calls_under(scratch: &Path, holm: &Subject, filter: &OsStr) -> Result<[f64; 2], String> {
    let mut bind = scratch.join("calls").into_os_string();
    bind.push(":/calls");
    let done = Command::new(&holm.program)
        .args([OsStr::new("run"), OsStr::new("--seccomp"), filter, OsStr::new("--bind"), &bind])
        .args(["/calls", CALLS])
        .stdin(Stdio::null())
        .current_dir("/")
        .output()
        .map_err(|error| format!("cannot run {}: {error}", holm.program.display()))?;
    let line = String::from_utf8_lossy(&done.stdout);
    let numbers: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().map_err(|_| format!("system calls inside: {}", String::from_utf8_lossy(&done.stderr).trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_before_the_program() {
        let whole: Vec<OsString> = ["run", "--bind", "a:/b", "/b"].map(OsString::from).into();
        assert_eq!(loosened(&whole)[..6], ["run", "--seccomp", "none", "--proc", "full", "--bind"]);
    }

    #[test]
    fn a_difference_is_taken_round_by_round() {
        assert_eq!(Pair::new(&[(3.0, 1.0), (13.0, 12.0), (4.0, 2.0)]).difference, 2.0);
    }
}
