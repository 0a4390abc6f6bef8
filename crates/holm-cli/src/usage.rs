//! What a sandbox has used and why it was ended, on standard error.

use crate::report;
use holm::model::limit::Bytes;
use holm::run::{Counted, Usage};
use holm::spec::origins::Wish;
use holm::{Exit, Spec};
use std::time::Duration;

/// Says why the sandbox was ended, if not by itself.
pub(crate) fn explain_end(exit: Exit, usage: Option<&Usage>, spec: &Spec) {
    let from = |wish| report::plain(spec.origins.of(wish));
    if exit == Exit::TimedOut {
        let (time, from) = (spec.limits.timeout.unwrap_or_default(), from(Wish::Timeout));
        eprintln!("holm: timed out: the program was still running after {time:?} ({from})");
    }
    let killed = usage.and_then(|usage| usage.killed_for_memory).unwrap_or(0);
    if killed > 0 {
        let (from, plural) = (from(Wish::Memory), if killed == 1 { "" } else { "es" });
        eprintln!("holm: out of memory: the kernel killed {killed} process{plural} ({from})");
    }
}

/// Prints what was used in this form: `table` or `json`.
pub(crate) fn print(form: &str, exit: Exit, usage: &Usage) {
    match form {
        "json" => eprintln!("{}", json(exit, usage)),
        _ => eprint!("{}", table(usage)),
    }
}

fn seconds(time: Duration) -> String {
    format!("{}.{:03} s", time.as_secs(), time.subsec_millis())
}

fn table(usage: &Usage) -> String {
    let kilobytes = |number: u64| Bytes(number - number % 1024).to_string();
    let memory = match usage.memory_by {
        Counted::Group => "peak memory",
        Counted::Processes => "peak memory of the largest process",
    };
    let rows = [
        ("wall", seconds(usage.wall)),
        ("user", seconds(usage.user)),
        ("system", seconds(usage.system)),
        (memory, kilobytes(usage.peak_memory)),
        ("read from disk", kilobytes(usage.read)),
        ("written to disk", kilobytes(usage.written)),
    ];
    rows.map(|(name, value)| format!("{name}: {value}\n")).concat()
}

/// One line: times in seconds, amounts in bytes, and who counted: `group` or `processes`.
fn json(exit: Exit, usage: &Usage) -> serde_json::Value {
    let by = |counted: Counted| if counted == Counted::Group { "group" } else { "processes" };
    let end = match exit {
        Exit::Code(_) => "code",
        Exit::Signal(_) => "signal",
        Exit::Lost => "lost",
        Exit::TimedOut => "time-out",
        Exit::OutOfMemory => "out-of-memory",
    };
    serde_json::json!({
        "version": 1,
        "end": end,
        "code": exit.code(),
        "wall": usage.wall.as_secs_f64(),
        "user": usage.user.as_secs_f64(),
        "system": usage.system.as_secs_f64(),
        "time-by": by(usage.time_by),
        "peak-memory": usage.peak_memory,
        "memory-by": by(usage.memory_by),
        "read": usage.read,
        "written": usage.written,
        "io-by": by(usage.io_by),
        "killed-for-memory": usage.killed_for_memory,
    })
}
