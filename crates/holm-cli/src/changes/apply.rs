//! `holm apply`: changes of bound directories, written back to the host.

use super::{Done, failed, meant, paths};
use crate::report::{self, Fault};
use crate::stored;
use clap::ArgMatches;
use holm_root::changes::{About, Act, Application, Clash, Comparison, Renames, Step};
use holm_root::store::Store;
use std::path::{Path, PathBuf};

/// Whether anything is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    All,
    Nothing,
}

pub(super) fn apply(store: &Store, about: &About, matches: &ArgMatches) -> Done {
    let paths = paths(matches)?;
    let mut changes = store.take_changes(&about.name, None).map_err(failed)?;
    // What was known before may be of other changes of that name by now.
    let about = &changes.about().map_err(failed)?;
    let compared = store.compare(about, Renames::Expanded).map_err(failed)?;
    let (bound, rest): (Vec<_>, Vec<_>) = compared.into_iter().partition(|one| one.place.is_bound());
    unmatched(&paths, &bound, &rest, &about.name)?;
    let clash = if matches.get_flag("force") { Clash::Overwrite } else { Clash::Refuse };
    let doing = if matches.get_flag("dry-run") { Doing::Nothing } else { Doing::All };
    let (mut applications, mut faults) = (Vec::new(), Vec::new());
    for comparison in &bound {
        match Application::new(comparison, |path| meant(&paths, path), clash) {
            Ok(application) => applications.push(application),
            Err(errors) => faults.extend(errors.iter().map(|error| stored::fault(error, ""))),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut text = String::new();
    for (application, comparison) in applications.iter().zip(&bound) {
        let mut made = 0;
        let mut done = make(application, doing, &mut text, &mut made);
        if doing == Doing::All {
            // What was written before something failed is noted, too: it is none of the host's own changes.
            let noted = application.finish(made).and_then(|written| changes.applied(&comparison.place, &written));
            done = done.and(noted.map_err(|error| stored::fault(&error, "")));
        }
        if let Err(mut fault) = done {
            let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
            if !text.is_empty() && fault.hint.is_empty() {
                fault.hint = "what is listed was written, the rest was not; the same command goes on".to_owned();
            }
            return Err(vec![fault]);
        }
    }
    Ok(text.into_bytes())
}

/// Makes the changes of one directory; a line for each, and how many were made.
fn make(application: &Application<'_>, doing: Doing, text: &mut String, made: &mut usize) -> Result<(), Fault> {
    if doing == Doing::All {
        application.begin().map_err(|error| stored::fault(&error, ""))?;
    }
    for step in &application.steps {
        if doing == Doing::All {
            application.make(step).map_err(|error| stored::fault(&error, ""))?;
        }
        *made += 1;
        *text += &line(step);
    }
    for (path, why) in &application.left {
        *text += &format!("left     {}: {why}\n", report::plain(path));
    }
    Ok(())
}

fn line(step: &Step<'_>) -> String {
    let word = match step.act {
        Act::Write => "wrote    ",
        Act::Mode => "mode     ",
        Act::Remove => "removed  ",
    };
    let without = step.without.map_or(String::new(), |without| format!(": {without}"));
    format!("{word}{}{without}\n", report::plain(&step.path))
}

/// A path at which nothing has changed that could be applied.
fn unmatched(paths: &[PathBuf], bound: &[Comparison], rest: &[Comparison], name: &str) -> Result<(), Vec<Fault>> {
    let changed = |all: &[Comparison], meant: &Path| {
        all.iter().any(|one| one.changes.iter().any(|change| one.inside(&change.path).starts_with(meant)))
    };
    let fault = |path: &PathBuf| {
        let (cause, hint) = match changed(rest, path) {
            true => ("it is in no bound directory", format!("holm commit {name} makes a root of what is in the root")),
            false => ("nothing is changed there", format!("holm diff {name} shows what is")),
        };
        Fault { message: format!("cannot apply {}: {cause}", path.display()), origin: String::new(), hint }
    };
    let faults: Vec<Fault> = paths.iter().filter(|path| !changed(bound, path)).map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}
