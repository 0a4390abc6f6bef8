//! Starts a second when two workers start the same command at once: what is serialized in the kernel shows here.

use std::thread;
use std::time::Duration;

use crate::meter::{Account, Extent, Meter, Record};
use crate::peer::{Peer, Subject};

const WORKERS: usize = 2;
/// Three seconds for each peer, in turns, so that a slow spell of the machine doesn't hit one only.
const TURNS: usize = 3;
const TURN: Duration = Duration::from_secs(1);

pub(crate) struct Rate {
    pub(crate) peer: Peer,
    pub(crate) starts_per_second: f64,
}

pub(crate) fn measure(meter: &Meter, subjects: &[Subject], failures: &mut Vec<String>) -> Vec<Rate> {
    eprintln!("holm-bench: throughput");
    let mut standing: Vec<(&Subject, f64)> = subjects
        .iter()
        .filter(|subject| Peer::WITH_ROOT.contains(&subject.peer))
        .map(|subject| (subject, 0.0))
        .collect();
    for _ in 0..TURNS {
        standing.retain_mut(|(subject, sum)| match turn(meter, subject) {
            Ok(rate) => {
                *sum += rate;
                true
            }
            Err(failure) => {
                failures.push(failure);
                false
            }
        });
    }
    standing
        .into_iter()
        .map(|(subject, sum)| Rate { peer: subject.peer, starts_per_second: sum / TURNS as f64 })
        .collect()
}

/// The workers' rates together.
fn turn(meter: &Meter, subject: &Subject) -> Result<f64, String> {
    let records: Vec<Result<Record, String>> = thread::scope(|scope| {
        let work = || meter.run(subject, Extent::For(TURN), Account::Current);
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker doesn't panic")).collect()
    });
    records.into_iter().map(|record| record.map(|record| record.runs as f64 / record.wall.as_secs_f64())).sum()
}
