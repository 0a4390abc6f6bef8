//! Errors on standard error, each with where it came from and a hint. The exit code of all of them is 125, but for a
//! program that can't be started.

use holm::Error;
use holm::plan::{Blame, Refusal};
use std::process::ExitCode;

/// One thing that is wrong with the options.
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) origin: String,
    pub(crate) hint: String,
}

/// A failure of holm's own.
pub(crate) fn own(message: &str) -> ExitCode {
    one(message, "", "", "");
    ExitCode::from(125)
}

pub(crate) fn faults(faults: &[Fault]) -> ExitCode {
    for fault in faults {
        one(&fault.message, "", &fault.origin, &fault.hint);
    }
    ExitCode::from(125)
}

pub(crate) fn refusal(refusal: &Refusal) -> ExitCode {
    for reason in &refusal.reasons {
        one(&reason.message, "", &reason.origin, &reason.hint);
    }
    if refusal.reasons.iter().any(|reason| reason.blame == Blame::Machine) {
        hint(DOCTOR);
    }
    ExitCode::from(125)
}

/// Where it is the machine that refuses, more than this wish may be lost.
pub(crate) const DOCTOR: &str = "holm doctor tells what else this machine refuses, and what to do about it";

/// What would help with the start of a sandbox that is a part of something else.
pub(crate) fn start_hint(error: &Error) -> String {
    match error {
        Error::Failed(failure) if failure.blame == Blame::Machine => format!("{}; {DOCTOR}", failure.hint),
        Error::Failed(failure) => failure.hint.clone(),
        _ => String::new(),
    }
}

/// A start that failed; `more` is a better hint, if there is one.
pub(crate) fn start(error: &Error, more: Option<String>) -> ExitCode {
    match error {
        Error::Failed(failure) => {
            let step = format!("step {} of {}", failure.step, failure.of);
            one(&failure.to_string(), &step, &failure.origin, more.as_deref().unwrap_or(&failure.hint));
            if failure.blame == Blame::Machine {
                hint(DOCTOR);
            }
        }
        Error::Refused(refused) => return refusal(refused),
        Error::Lost(_) => one(&error.to_string(), "", "", ""),
    }
    ExitCode::from(error.exit_code())
}

fn one(message: &str, step: &str, origin: &str, hint: &str) {
    let place = match (step, origin) {
        ("", "") => String::new(),
        (step, "") => format!("  {step}\n"),
        ("", origin) => format!("  from {}\n", short(origin)),
        (step, origin) => format!("  {step}, from {}\n", short(origin)),
    };
    print(&format!("error: {}\n{place}", short(message)));
    if !hint.is_empty() {
        self::hint(hint);
    }
}

/// What a program said, line by line.
pub(crate) fn said(text: &str) {
    for line in text.lines() {
        print(&format!("{}\n", cut(&plain(line), 1200, 300)));
    }
}

/// A hint on a line of its own.
pub(crate) fn hint(text: &str) {
    print(&format!("hint: {}\n", short(text)));
}

/// A hint with the names that come near; `other` if none does.
pub(crate) fn like(near: &[impl AsRef<str>], other: &str) -> String {
    let names: Vec<&str> = near.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { other.to_owned() } else { format!("did you mean {}?", names.join(", ")) }
}

/// A line of a log, for whoever looks for what went on.
pub(crate) fn logged(line: &str) {
    print(&format!("{}\n", short(line)));
}

/// Something that was done otherwise than asked.
pub(crate) fn warning(text: &str) {
    print(&format!("warning: {}\n", short(text)));
}

/// Prints what was asked for. Whoever reads the first lines only has them, and is told nothing else.
pub(crate) fn printed(bytes: &[u8]) -> ExitCode {
    use std::io::Write;
    match std::io::stdout().write_all(bytes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => own(&format!("cannot print: {}", holm::model::text::cause(&error))),
    }
}

/// Where standard error takes nothing, the exit code still tells.
fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Without control characters: names come from anywhere.
pub(crate) fn plain(text: impl AsRef<std::ffi::OsStr>) -> String {
    let mut shown = String::new();
    // A string takes everything.
    let _ = holm::model::text::escape(text.as_ref(), &mut shown);
    shown
}

/// The same with long words cut in their middle, and the whole, too: a cause stands at the end.
fn short(text: &str) -> String {
    let words: Vec<String> = plain(text).split(' ').map(|word| cut(word, 120, 60)).collect();
    cut(&words.join(" "), 1200, 300)
}

/// `text`, or so many characters of its start and of its end.
fn cut(text: &str, start: usize, end: usize) -> String {
    let length = text.chars().count();
    if length <= start + end {
        return text.to_owned();
    }
    let (head, tail) = (text.chars().take(start), text.chars().skip(length - end));
    head.chain(['…']).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_cut_and_the_cause_stays() {
        let shown = short(&format!("cannot bind /{} on /x: too long", "é".repeat(3000)));
        assert!(
            shown.len() < 500 && shown.starts_with("cannot bind /é") && shown.ends_with(" on /x: too long"),
            "{shown}"
        );
        let shown = short(&"blank ".repeat(3000));
        assert!(shown.chars().count() <= 1501, "{shown}");
        assert_eq!(short("cannot bind /x"), "cannot bind /x");
    }
}
