//! `holm root show --why`: what a root of programs holds, and why.

use super::{Done, columns, failed, name, pretty, wrong};
use crate::programs::Asked;
use crate::report::{self, Fault};
use clap::ArgMatches;
use holm_root::closure::{Entry, Kind};
use holm_root::store::Store;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Lists the entries, each with its reason; behind them what the copies lack.
pub(super) fn show(store: &Store, matches: &ArgMatches) -> Done {
    let name = name(matches);
    let mut asked = match Asked::parse(OsStr::new(&name), "") {
        Some(asked) => asked.map_err(|fault| vec![fault])?,
        None => return stored(store, &name, matches.get_flag("json")),
    };
    for list in matches.get_many::<OsString>("deb").into_iter().flatten() {
        asked.deb(list);
    }
    let contents = asked.contents()?;
    if matches.get_flag("json") {
        let entry = |entry: &Entry| {
            let (kind, target) = kind(entry);
            serde_json::json!({ "path": entry.path.to_string_lossy(), "kind": kind, "target": target,
                "because": entry.because.to_string_lossy() })
        };
        let entries: Vec<_> = contents.entries.iter().map(entry).collect();
        let notes: Vec<_> = contents.notes.iter().map(ToString::to_string).collect();
        return pretty(&serde_json::json!({ "entries": entries, "notes": notes }));
    }
    let mut rows = vec![["PATH", "BECAUSE"].map(str::to_owned)];
    let shown = contents.entries.iter().filter(|entry| entry.kind != Kind::Dir);
    rows.extend(shown.map(|entry| [spelled(entry), report::plain(&entry.because)]));
    let notes = contents.notes.iter().map(|note| format!("note: {}\n", report::plain(note.to_string())));
    Ok(columns(&rows) + &notes.collect::<String>())
}

/// Lists the reasons that were noted when a root was stored.
fn stored(store: &Store, name: &str, json: bool) -> Done {
    let reasons = store.reasons(name).map_err(failed)?.ok_or_else(|| {
        let hint = "it is known of roots of programs: holm root show --why bins:A,B,...".to_owned();
        vec![Fault { hint, ..wrong(format!("cannot tell why files are in {name}: nobody has noted it")) }]
    })?;
    if json {
        let entry = |(path, because): &(PathBuf, PathBuf)| serde_json::json!({ "path": path.to_string_lossy(), "because": because.to_string_lossy() });
        return pretty(&serde_json::json!({ "entries": reasons.iter().map(entry).collect::<Vec<_>>() }));
    }
    let mut rows = vec![["PATH", "BECAUSE"].map(str::to_owned)];
    rows.extend(reasons.iter().map(|(path, because)| [path, because].map(report::plain)));
    Ok(columns(&rows))
}

fn kind(entry: &Entry) -> (&'static str, Option<String>) {
    match &entry.kind {
        Kind::Dir => ("directory", None),
        Kind::Link { target } => ("link", Some(target.to_string_lossy().into_owned())),
        Kind::File => ("file", None),
    }
}

fn spelled(entry: &Entry) -> String {
    let path = entry.path.to_string_lossy();
    report::plain(kind(entry).1.map_or(path.to_string(), |target| format!("{path} -> {target}")))
}
