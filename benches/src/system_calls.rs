//! System calls of one start, by strace: a number the noise of the machine can't touch.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::peer::{self, Peer, Subject};

pub(crate) enum SystemCalls {
    Counted(Vec<Count>),
    Skipped { reason: String },
}

/// Of all processes of a start, the program's own `execve` and `exit_group` included.
pub(crate) struct Count {
    pub(crate) peer: Peer,
    pub(crate) calls: u64,
}

pub(crate) fn count(scratch: &Path, subjects: &[Subject], failures: &mut Vec<String>) -> SystemCalls {
    eprintln!("holm-bench: system calls");
    let strace = match peer::installed("strace") {
        Ok(strace) => strace,
        Err(reason) => return SystemCalls::Skipped { reason },
    };
    let summary = scratch.join("strace");
    let mut counts = Vec::new();
    for subject in subjects {
        match trace(&strace, &summary, subject) {
            Ok(calls) => counts.push(Count { peer: subject.peer, calls }),
            Err(failure) => failures.push(failure),
        }
    }
    SystemCalls::Counted(counts)
}

fn trace(strace: &Path, summary: &Path, subject: &Subject) -> Result<u64, String> {
    let done = Command::new(strace)
        .args(["-f", "-c", "-o"])
        .args([summary, &subject.program])
        .args(&subject.arguments)
        .stdin(Stdio::null())
        .current_dir("/")
        .output()
        .map_err(|error| format!("cannot run {}: {error}", strace.display()))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(format!("{}, under strace: {}", subject.peer, said.trim_end()));
    }
    let text = fs::read_to_string(summary).map_err(|error| format!("cannot read {}: {error}", summary.display()))?;
    sum(&text).ok_or_else(|| format!("{}: cannot read the summary of strace", subject.peer))
}

/// Adds the calls up; the columns of the line `total` differ between versions of strace.
fn sum(summary: &str) -> Option<u64> {
    let mut rows = summary.lines().skip_while(|line| !line.starts_with("---")).skip(1);
    let calls = rows.by_ref().take_while(|line| !line.starts_with("---"));
    calls.map(|row| row.split_whitespace().nth(3)?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000003           1         3           write
 40.00    0.000002           0        10         4 close
------ ----------- ----------- --------- --------- ----------------
100.00    0.000005           0        13         4 total
";

    #[test]
    fn calls_are_added_up_from_the_rows() {
        assert_eq!(sum(SUMMARY), Some(13));
        assert_eq!(sum("---\n strange\n---\n"), None);
    }
}
