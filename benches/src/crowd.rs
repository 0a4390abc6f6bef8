//! `holm ls` beside lsns, on a machine with many namespaces: processes in eight of their own each.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::peer;
use crate::statistics::median;

/// Crowds that are measured, besides the machine as it is.
pub(crate) const COUNTS: [usize; 2] = [2000, 4000];
/// Measured runs of each at most: some take seconds.
const RUNS: usize = 11;

pub(crate) enum Crowd {
    Measured {
        /// How many processes the machine has without a crowd.
        few: usize,
        /// Of `holm ls` then, median ms.
        few_ms: f64,
        /// One for each crowd.
        lists: Vec<List>,
    },
    Skipped {
        reason: String,
    },
}

/// Medians in milliseconds.
pub(crate) struct List {
    pub(crate) count: usize,
    pub(crate) holm: f64,
    /// `None` if it isn't installed.
    pub(crate) lsns: Option<f64>,
}

pub(crate) fn measure(scratch: &Path, runs: usize, failures: &mut Vec<String>) -> Crowd {
    eprintln!("holm-bench: lists of namespaces");
    match lists(scratch, runs.min(RUNS)) {
        Ok(crowd) => crowd,
        Err(reason) => {
            failures.push(reason.clone());
            Crowd::Skipped { reason }
        }
    }
}

fn lists(scratch: &Path, runs: usize) -> Result<Crowd, String> {
    let holm = scratch.join("holm");
    if !holm.exists() {
        return Ok(Crowd::Skipped { reason: "no holm".into() });
    }
    let lsns = peer::installed("lsns").ok();
    let time = |program: &Path| -> Result<f64, String> {
        let mut command = Command::new(program);
        command
            .args((program == holm).then_some("ls"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let start = Instant::now();
        let status = command.status().map_err(|error| format!("cannot run {}: {error}", program.display()))?;
        let taken = start.elapsed().as_secs_f64() * 1e3;
        if status.success() { Ok(taken) } else { Err(format!("{}: {status}", program.display())) }
    };
    let few = processes();
    let times: Result<Vec<f64>, String> = (0..runs + 1).map(|_| time(&holm)).skip(1).collect();
    let few_ms = median(&times?);
    let mut lists = Vec::new();
    for count in COUNTS {
        let _crowd = Gathered::new(&scratch.join("crowd"), count)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        // In turn: a slow spell of the machine hits both.
        for _ in 0..runs {
            ours.push(time(&holm)?);
            if let Some(lsns) = &lsns {
                theirs.push(time(lsns)?);
            }
        }
        lists.push(List { count, holm: median(&ours), lsns: (!theirs.is_empty()).then(|| median(&theirs)) });
    }
    Ok(Crowd::Measured { few, few_ms, lists })
}

fn processes() -> usize {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok()).count()
}

/// A crowd; it goes home when dropped.
struct Gathered(Child);

impl Gathered {
    fn new(program: &Path, count: usize) -> Result<Gathered, String> {
        let mut command = Command::new(program);
        command.arg(count.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().map_err(|error| format!("cannot run {}: {error}", program.display()))?;
        let mut crowd = Gathered(child);
        let mut byte = [0];
        let ready = crowd.0.stdout.as_mut().map(|output| output.read_exact(&mut byte));
        match ready {
            Some(Ok(())) => Ok(crowd),
            _ => Err(format!("a crowd of {count} can't be gathered")),
        }
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
