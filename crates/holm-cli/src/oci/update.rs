//! `update`: limits as options or a file say them.

use super::{failed, path};
use clap::ArgMatches;
use holm_oci::Result;
use holm_oci::bundle::bounded;
use holm_oci::resctrl::Schemas;
use holm_oci::verbs;
use serde_json::{Map, Value, json};
use std::path::Path;

/// How an option's value is read.
enum Form {
    Number,
    /// Bytes, with a unit; -1 is no limit.
    Size,
    Text,
}

/// Options, and where their values stand in `linux.resources`.
const PLACES: [(&str, &str, &str, Form); 15] = [
    ("blkio-weight", "blockIO", "weight", Form::Number),
    ("cpu-period", "cpu", "period", Form::Number),
    ("cpu-quota", "cpu", "quota", Form::Number),
    ("cpu-burst", "cpu", "burst", Form::Number),
    ("cpu-rt-period", "cpu", "realtimePeriod", Form::Number),
    ("cpu-rt-runtime", "cpu", "realtimeRuntime", Form::Number),
    ("cpu-share", "cpu", "shares", Form::Number),
    ("cpu-idle", "cpu", "idle", Form::Number),
    ("cpuset-cpus", "cpu", "cpus", Form::Text),
    ("cpuset-mems", "cpu", "mems", Form::Text),
    ("memory", "memory", "limit", Form::Size),
    ("memory-reservation", "memory", "reservation", Form::Size),
    ("memory-swap", "memory", "swap", Form::Size),
    ("kernel-memory", "memory", "kernel", Form::Size),
    ("pids-limit", "pids", "limit", Form::Number),
];
/// The options for shares of caches and of memory bandwidth, which are no `linux.resources`.
const L3: &str = "l3-cache-schema";
const BANDWIDTH: &str = "mem-bw-schema";

/// Names of options that set a limit.
pub(super) fn options() -> impl Iterator<Item = &'static str> {
    PLACES.iter().map(|(option, ..)| *option).chain([L3, BANDWIDTH])
}

pub(super) fn update(options: &ArgMatches, root: &Path, id: &str) -> Result<Vec<String>> {
    let text = |name: &str| options.get_one::<String>(name).cloned();
    let schemas = Schemas { l3: text(L3), bandwidth: text(BANDWIDTH) };
    let resources = match path(options, "resources") {
        Some(file) => read(&file)?,
        None => match said(options)? {
            none if none.is_empty() && schemas == Schemas::default() => {
                return Err(failed("cannot update nothing: no option says a limit"));
            }
            limits => limits.into(),
        },
    };
    let wrong = |error: serde_json::Error| failed(&format!("cannot use these resources: {error}"));
    verbs::update(root, id, &serde_json::from_value(resources).map_err(wrong)?, &schemas)
}

fn read(file: &Path) -> Result<Value> {
    let wrong = |cause: &str| failed(&format!("cannot use {}: {cause}", crate::report::plain(file)));
    let text = match file == Path::new("-") {
        true => bounded(std::io::stdin()),
        false => std::fs::File::open(file).and_then(bounded),
    };
    let text = text.map_err(|error| wrong(&holm::model::text::cause(&error)))?;
    serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))
}

fn said(options: &ArgMatches) -> Result<Map<String, Value>> {
    let mut all: Map<String, Value> = Map::new();
    for (option, chapter, field, form) in PLACES {
        let Some(word) = options.get_one::<String>(option) else { continue };
        let wrong = |cause: &str| failed(&format!("cannot use the value of --{option} {word}: {cause}"));
        let value = match form {
            Form::Text => json!(word),
            Form::Number => json!(word.parse::<i64>().map_err(|_| wrong("it is no number"))?),
            Form::Size if word == "-1" => json!(-1),
            Form::Size => json!(holm::model::limit::bytes(word).map_err(|cause| wrong(&cause))?),
        };
        all.entry(chapter).or_insert_with(|| json!({}))[field] = value;
    }
    Ok(all)
}
