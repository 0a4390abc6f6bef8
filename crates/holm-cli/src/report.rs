//! Errors on standard error, each with where it came from and a hint. The exit code of all of them is 125, but for a
//! program that can't be started.

use holm::Error;
use holm::plan::Refusal;
use std::process::ExitCode;

/// One thing that is wrong with the options.
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) origin: String,
    pub(crate) hint: String,
}

/// A failure of holm's own.
pub(crate) fn own(message: &str) -> ExitCode {
    eprintln!("error: {message}");
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
    ExitCode::from(125)
}

/// A start that failed; `more` is a better hint, if there is one.
pub(crate) fn start(error: &Error, more: Option<String>) -> ExitCode {
    match error {
        Error::Failed(failure) => {
            let step = format!("step {} of {}", failure.step, failure.of);
            one(&failure.to_string(), &step, &failure.origin, more.as_deref().unwrap_or(&failure.hint));
        }
        Error::Refused(refused) => return refusal(refused),
        Error::Lost(_) => one(&error.to_string(), "", "", ""),
    }
    ExitCode::from(error.exit_code())
}

fn one(message: &str, step: &str, origin: &str, hint: &str) {
    eprintln!("error: {}", plain(message));
    match (step, origin) {
        ("", "") => {}
        (step, "") => eprintln!("  {step}"),
        ("", origin) => eprintln!("  from {}", short(origin)),
        (step, origin) => eprintln!("  {step}, from {}", short(origin)),
    }
    if !hint.is_empty() {
        eprintln!("hint: {}", plain(hint));
    }
}

/// Without control characters: names come from anywhere.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::new();
    // A string takes everything.
    let _ = holm::model::text::escape(text.as_ref(), &mut shown);
    shown
}

fn short(text: &str) -> String {
    let text = plain(text);
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
