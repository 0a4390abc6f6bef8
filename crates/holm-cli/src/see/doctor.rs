//! `holm doctor`: what this machine can't do for the caller, the worst first, then what works.

mod json;

use super::screen::{Ink, Screen};
use super::table::fold;
use crate::report;
use clap::ArgMatches;
use holm::doctor::{Asked, By, Deed, Facts, Finding, Remedy, Status, judge, look, verdict};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Looks, prints what was found, and tells by the exit code how bad it is.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let facts = look(&asked());
    let findings = judge(&facts);
    let worst = verdict(&findings);
    let text = match matches.get_flag("json") {
        true => match crate::root::pretty(&json::document(&facts, &findings, code(worst))) {
            Ok(text) => text,
            Err(faults) => return report::faults(&faults),
        },
        false => print(&facts, &findings, &Screen::of_output()),
    };
    let printed = report::printed(text.as_bytes());
    if printed == ExitCode::SUCCESS { ExitCode::from(code(worst)) } else { printed }
}

/// Where holm keeps files, and itself within a sandbox.
fn asked() -> Asked {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let places = [
        ("the store", crate::stored::place()),
        ("the directory for temporary files", Some(std::env::temp_dir())),
        ("the home directory", home),
    ];
    let arguments = ["run", "--seccomp", "none", "true"].map(OsString::from).to_vec();
    Asked {
        places: places.into_iter().filter_map(|(name, path)| Some((name, path?))).collect(),
        within: std::env::current_exe().ok().map(|program| (program, arguments)),
    }
}

fn code(worst: Status) -> u8 {
    match worst {
        Status::Fatal => 2,
        Status::Lost => 1,
        Status::Absent | Status::Works => 0,
    }
}

/// All of it as text.
fn print(facts: &Facts, findings: &[Finding], screen: &Screen) -> String {
    let of = |status: Status| findings.iter().filter(move |finding| finding.status == status);
    let mut text = head(facts, findings, screen);
    for finding in of(Status::Fatal).chain(of(Status::Lost)) {
        text += &format!("\n{}", failing(finding, screen));
    }
    for (status, title) in [(Status::Absent, "missing, and not missed"), (Status::Works, "works")] {
        if of(status).next().is_some() {
            text += &format!("\n{}\n", screen.ink(Ink::Bold, title));
        }
        for finding in of(status) {
            let more = [&finding.value, &finding.cause].into_iter().filter(|part| !part.is_empty());
            let line = std::iter::once(&finding.title).chain(more).cloned().collect::<Vec<_>>().join(": ");
            text += &lines(screen, "  ", &line);
        }
    }
    text
}

/// Who asked, and the verdict.
fn head(facts: &Facts, findings: &[Finding], screen: &Screen) -> String {
    let caller = &facts.caller;
    let who = caller.name.as_ref().map(|name| format!("{name} ({})", caller.uid));
    let who = who.unwrap_or_else(|| format!("user {}", caller.uid));
    let said = match verdict(findings) {
        Status::Fatal => "holm can't start sandboxes here",
        Status::Lost => "holm works here, but not all of it",
        Status::Absent | Status::Works => "all of holm works here",
    };
    lines(screen, "", &format!("{said}, for {who} on Linux {}", facts.kernel))
}

/// What fails: each of its parts on lines of its own.
fn failing(finding: &Finding, screen: &Screen) -> String {
    let mark = if finding.status == Status::Fatal { "fatal" } else { "lost" };
    let mut text = String::new();
    let title = lines(screen, "  ", &format!("{mark}: {}", finding.title));
    for line in title.lines() {
        text += &format!("{}\n", screen.ink(Ink::Bad, line.strip_prefix("  ").unwrap_or(line)));
    }
    for (name, part) in [("seen", &finding.value), ("cause", &finding.cause), ("lost", &finding.lost)] {
        if !part.is_empty() {
            text += &field(screen, name, part);
        }
    }
    for remedy in &finding.remedies {
        text += &way_out(screen, remedy);
    }
    text
}

/// A way out, and what comes of it.
fn way_out(screen: &Screen, remedy: &Remedy) -> String {
    let mut text = String::new();
    for (place, deed) in remedy.deeds.iter().enumerate() {
        let by = match remedy.by {
            _ if place > 0 => "and",
            By::Caller => "do",
            By::Root => "as root",
            By::Outside => "outside",
        };
        text += &match deed {
            Deed::Command(command) | Deed::Options(command) | Deed::Advice(command) => field(screen, by, command),
            // A file is printed as it is to be: neither folded, its path no more than its text, nor indented further.
            Deed::File(path, content) => {
                let line = |line: &str| format!("{}\n", format!("      | {}", screen.text(line)).trim_end());
                format!("  {by:NAMES$}write {}:\n", screen.text(path)) + &content.lines().map(line).collect::<String>()
            }
        };
    }
    let weaker = if remedy.weakens.is_empty() { "nothing gets weaker" } else { remedy.weakens };
    text + &field(screen, "reach", &format!("{}; {weaker}", remedy.reach.name()))
}

/// How wide the names of parts are.
const NAMES: usize = 9;

fn field(screen: &Screen, name: &str, text: &str) -> String {
    lines(screen, &format!("  {name:NAMES$}"), text)
}

/// `text` behind `start`, folded to the screen; what goes on stands below its first word.
fn lines(screen: &Screen, start: &str, text: &str) -> String {
    let width = screen.width.map_or(usize::MAX, |width| width.saturating_sub(start.len()).max(16));
    let shown = screen.text(text);
    let mut all = String::new();
    for (place, part) in fold(&shown, width).iter().enumerate() {
        let before = if place == 0 { start.to_owned() } else { " ".repeat(start.len()) };
        all += &format!("{}\n", format!("{before}{part}").trim_end());
    }
    all
}

#[cfg(test)]
mod tests;
