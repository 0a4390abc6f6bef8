//! `holm ls` and the other commands that show namespaces: one reading of the machine, printed.
//!
//! What a process may have chosen, its name above all, is printed by [`screen`] alone, which escapes it. What couldn't be read is
//! said on standard error.

pub(crate) mod arguments;
mod caps;
mod compare;
pub(crate) mod containers;
pub(crate) mod doctor;
mod halves;
mod json;
mod list;
pub(crate) mod matrix;
pub(crate) mod places;
pub(crate) mod sandboxes;
pub(crate) mod screen;
pub(crate) mod table;
pub(crate) mod target;
pub(crate) mod top;
pub(crate) mod tree;
mod why;
pub(crate) mod width;

use crate::report::{self, Fault};
use clap::ArgMatches;
use holm::inspect::live::Live;
use holm::inspect::machine::{Machine, Unread};
use holm::inspect::read::{self, Error};
use screen::Screen;
use std::io::Write;
use std::process::ExitCode;

/// What is printed, or what is wrong.
pub(crate) type Done = Result<String, Vec<Fault>>;

/// What makes text of a reading.
pub(crate) type Show = fn(&Machine, &ArgMatches, &Screen) -> Done;

/// What `holm diff` shows of two processes.
pub(crate) const COMPARE: Show = compare::print;

/// Whether `holm diff` is to compare two processes.
pub(crate) fn compares(matches: &ArgMatches) -> bool {
    compare::processes(matches).is_some()
}

/// The command of this name, if it is one of these.
pub(crate) fn command(name: &str) -> Option<Show> {
    Some(match name {
        "ls" => list::print,
        "ps" => sandboxes::print,
        "tree" => tree::print,
        "matrix" => matrix::print,
        "why" => why::print,
        "caps" => caps::print,
        _ => return None,
    })
}

/// Reads the machine, prints what `show` makes of it, and says what is missing.
pub(crate) fn run(show: Show, matches: &ArgMatches) -> ExitCode {
    let machine = match machine() {
        Ok(machine) => machine,
        Err(fault) => return report::faults(&[fault]),
    };
    let text = match show(&machine, matches, &Screen::of_output()) {
        Ok(text) => text,
        Err(faults) => return report::faults(&faults),
    };
    let printed = report::printed(text.as_bytes());
    if !matches.try_get_one::<bool>("json").is_ok_and(|json| json == Some(&true)) {
        say_missing(&machine.unread);
    }
    printed
}

/// Says what could not be read, on standard error.
pub(crate) fn say_missing(unread: &Unread) {
    let lines: String = missing(unread).iter().map(|line| format!("note: {line}\n")).collect();
    let _ = std::io::stderr().write_all(lines.as_bytes());
}

/// Reads the machine.
pub(crate) fn machine() -> Result<Machine, Fault> {
    read::read().map_err(|error| unreadable(&error))
}

/// Reads processes and where they are, and nothing else that keeps a namespace alive.
pub(crate) fn processes() -> Result<Machine, Fault> {
    Live::new().and_then(|mut live| live.update()).map_err(|error| unreadable(&error))
}

/// Says that there is no /proc that can be read.
fn unreadable(error: &Error) -> Fault {
    let hint = match error {
        Error::OtherPids => "mount -t proc proc /proc shows the processes of this pid namespace",
        _ => "mount -t proc proc /proc",
    };
    fault(error.to_string(), hint)
}

pub(crate) fn fault(message: String, hint: &str) -> Fault {
    Fault { message, origin: String::new(), hint: hint.to_owned() }
}

/// What could not be read, a line each.
pub(crate) fn missing(unread: &Unread) -> Vec<String> {
    let mut lines = Vec::new();
    let mut count = |number: usize, one: &str, more: &str, what: &str| {
        if number > 0 {
            lines.push(format!("not all is shown: {number} {} {what}", if number == 1 { one } else { more }));
        }
    };
    count(unread.processes, "process", "processes", "closed to you (ptrace(2), \"access mode checking\")");
    count(unread.sockets, "socket", "sockets", "whose network namespace you may not ask for (CAP_NET_ADMIN)");
    count(unread.mounts, "mount namespace", "mount namespaces", "whose mounts you may not list");
    if unread.without_process {
        lines.push(
            "not all is shown: mount namespaces without a process are for CAP_SYS_ADMIN, or Linux 6.12".to_owned(),
        );
    }
    if unread.hidden {
        lines.push("not all is shown: /proc hides processes of others (hidepid)".to_owned());
    }
    lines
}
