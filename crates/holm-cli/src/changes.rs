//! `holm diff`, `apply`, `commit` and `drop`: what is done with kept changes, printed.

mod apply;
pub(crate) mod arguments;
mod print;
mod rights;

use crate::report::{self, Fault};
use crate::stored;
use clap::ArgMatches;
use holm_root::changes::{About, Renames};
use holm_root::store::{Error, Store};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What is printed, or what is wrong.
type Done = Result<Vec<u8>, Vec<Fault>>;

/// Runs one of the commands.
pub(crate) fn run(command: &str, matches: &ArgMatches) -> ExitCode {
    let store = match stored::open() {
        Ok(store) => store,
        Err(fault) => return report::faults(&[fault]),
    };
    let done = match name(matches) {
        None => list(&store, matches.get_flag("json")),
        Some(name) => {
            let about = store.changes(&name);
            if let Some(code) = about.as_ref().ok().and_then(rights::again) {
                return code;
            }
            match (command, about) {
                ("drop", Ok(_) | Err(Error::Damaged { .. })) => store
                    .take_changes(&name, None)
                    .and_then(|changes| changes.drop_all())
                    .map_err(failed)
                    .map(|()| Vec::new()),
                (_, Err(error)) => Err(failed(error)),
                ("apply", Ok(about)) => apply::apply(&store, &about, matches),
                ("commit", Ok(about)) => commit(&store, &about, matches),
                (_, Ok(about)) => diff(&store, &about, matches),
            }
        }
    };
    match done {
        Ok(bytes) => report::printed(&bytes),
        Err(faults) => report::faults(&faults),
    }
}

fn failed(error: Error) -> Vec<Fault> {
    vec![stored::fault(&error, "")]
}

fn name(matches: &ArgMatches) -> Option<String> {
    matches.get_one::<OsString>("name").map(|name| name.to_string_lossy().into_owned())
}

/// The paths that are meant, absolute; all if there are none.
fn paths(matches: &ArgMatches) -> Result<Vec<PathBuf>, Vec<Fault>> {
    let typed = matches.get_many::<OsString>("path").into_iter().flatten();
    typed
        .map(|path| {
            crate::values::same_inside(path).map_err(|cause| {
                let message = format!("cannot use the path {}: {cause}", holm::model::text::name(path));
                vec![Fault { message, origin: String::new(), hint: String::new() }]
            })
        })
        .collect()
}

/// Whether a path is one of those meant, or below one.
fn meant(paths: &[PathBuf], path: &Path) -> bool {
    paths.is_empty() || paths.iter().any(|meant| path.starts_with(meant))
}

fn list(store: &Store, json: bool) -> Done {
    let all = store.all_changes().map_err(failed)?;
    crate::root::listed(all, |known| if json { crate::root::pretty(&known) } else { Ok(print::table(known)) })
        .map(String::into_bytes)
}

/// Makes a stored root of them.
fn commit(store: &Store, about: &About, matches: &ArgMatches) -> Done {
    let to = matches.get_one::<OsString>("to").map(|name| name.to_string_lossy().into_owned());
    let changes = store.take_changes(&about.name, None).map_err(failed)?;
    let about = &changes.about().map_err(failed)?;
    let stored = changes.commit(to.as_deref().unwrap_or(&about.name)).map_err(failed)?;
    let mut text = format!("{} {}\n", stored.name, stored.id);
    if about.places.iter().any(|place| place.is_bound()) {
        text +=
            &format!("note: changes of bound directories are no part of it; holm apply {} writes them\n", about.name);
    }
    Ok(text.into_bytes())
}

fn diff(store: &Store, about: &About, matches: &ArgMatches) -> Done {
    let paths = paths(matches)?;
    let compared = store.compare(about, Renames::Told).map_err(failed)?;
    let meant = |path: &Path| meant(&paths, path);
    match (matches.get_flag("json"), matches.get_flag("patch")) {
        (true, _) => print::json(&compared, meant).map(String::into_bytes),
        (_, true) => Ok(print::patch(&compared, meant)),
        _ => Ok(print::lines(&compared, meant).into_bytes()),
    }
}
