//! What is printed, and what goes to the log that an engine reads.

use super::path;
use crate::report;
use clap::ArgMatches;
use holm_oci::verbs::{self, Shown};
use holm_oci::{Error, Result};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The exit code of every failure, as runc has it.
const FAILED: u8 = 1;

/// Where failures and warnings go besides standard error.
pub(super) struct Log {
    file: Option<PathBuf>,
    json: bool,
    details: bool,
}

impl Log {
    pub(super) fn new(matches: &ArgMatches) -> Log {
        let json = matches.get_one::<String>("log-format").is_some_and(|form| form == "json");
        Log { file: path(matches, "log"), json, details: matches.get_flag("debug") }
    }

    /// One line for engines.
    fn line(&self, level: &str, message: &str) -> String {
        let time = humantime::format_rfc3339_seconds(std::time::SystemTime::now());
        match self.json {
            true => serde_json::json!({ "level": level, "msg": message, "time": time.to_string() }).to_string(),
            false => format!("time=\"{time}\" level={level} msg={message:?}"),
        }
    }

    fn add(&self, level: &str, message: &str) {
        let Some(file) = &self.file else { return };
        let line = self.line(level, message);
        let opened = std::fs::File::options().append(true).create(true).open(file);
        // Standard error tells it in any case.
        let _ = opened.and_then(|mut log| log.write_all((line + "\n").as_bytes()));
    }

    /// With `--debug`; without a log, on standard error in the same form.
    pub(super) fn detail(&self, details: &[String]) {
        for detail in details.iter().filter(|_| self.details) {
            match self.file {
                Some(_) => self.add("debug", detail),
                None => report::logged(&self.line("debug", detail)),
            }
        }
    }

    /// With a log, standard error is the container's, too.
    pub(super) fn warn(&self, warnings: &[String]) {
        for warning in warnings {
            match self.file {
                Some(_) => self.add("warning", warning),
                None => report::warning(warning),
            }
        }
    }

    pub(super) fn done(&self, warnings: &[String]) -> ExitCode {
        self.warn(warnings);
        ExitCode::SUCCESS
    }

    pub(super) fn failed(&self, error: &Error) -> ExitCode {
        self.add("error", &error.to_string());
        match error {
            Error::Start(error) => drop(report::start(error, None)),
            other => drop(report::own(&other.to_string())),
        }
        ExitCode::from(FAILED)
    }
}

fn unprinted(error: &std::io::Error) -> Error {
    Error::Failed(format!("cannot print: {}", holm::model::text::cause(error)))
}

/// Prints a value.
pub(super) fn json(value: &impl Serialize) -> Result<Vec<String>> {
    self::text(&(serde_json::to_string_pretty(value).map_err(|error| unprinted(&error.into()))? + "\n"))
}

/// Prints a value as one line.
pub(super) fn line(value: &impl Serialize) -> Result<Vec<String>> {
    self::text(&(serde_json::to_string(value).map_err(|error| unprinted(&error.into()))? + "\n"))
}

/// Prints lines.
pub(super) fn text(lines: &str) -> Result<Vec<String>> {
    std::io::stdout().write_all(lines.as_bytes()).map_err(|error| unprinted(&error))?;
    Ok(Vec::new())
}

pub(super) fn list(options: &ArgMatches, root: &Path) -> Result<Vec<String>> {
    let (all, warnings) = verbs::list(root)?;
    if options.get_one::<String>("format").is_some_and(|form| form == "json") {
        // `null` is runc's word for none.
        line(&(!all.is_empty()).then_some(&all))?;
        return Ok(warnings);
    }
    let row = |one: &Shown| match options.get_flag("quiet") {
        true => one.id.clone(),
        false => format!(
            "{:<24} {:<10} {:<10} {:<32} {:<32} {}",
            one.id,
            one.pid,
            one.status,
            report::plain(&one.bundle),
            one.created,
            one.owner
        ),
    };
    let head = (!options.get_flag("quiet"))
        .then(|| format!("{:<24} {:<10} {:<10} {:<32} {:<32} OWNER", "ID", "PID", "STATUS", "BUNDLE", "CREATED"));
    let lines: Vec<String> = head.into_iter().chain(all.iter().map(row)).map(|line| line + "\n").collect();
    text(&lines.concat())?;
    Ok(warnings)
}
