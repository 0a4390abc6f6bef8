//! `holm enter`: a program where a sandbox, a container or a process is. The library opens the place and makes the wish of it; from
//! there on it is a start as any other.

pub(crate) mod arguments;
mod find;

use crate::report::{self, Fault};
use crate::supervise::{self, Reports, Told};
use crate::{explain, fill};
use arguments::PARTS;
use clap::ArgMatches;
use clap::parser::ValueSource;
use holm::Spec;
use holm::inspect::enter::{Closed, Error, Opened, Part, Wish};
use holm::model::text::{cause, name};
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

/// Does it.
pub(crate) fn run(matches: &ArgMatches, parent: supervise::Parent) -> ExitCode {
    let (opened, closed, spec) = match open(matches) {
        Ok(both) => both,
        Err(faults) => return report::faults(&faults),
    };
    let spec = match fill::wish_to_enter(spec, matches) {
        Ok(spec) => spec,
        Err(faults) => return report::faults(&faults),
    };
    notes(&opened, &closed, &spec);
    if let Some(form) = matches.get_one::<String>("explain") {
        return match spec.plan() {
            Ok(plan) => explain::print(&plan, form),
            Err(refusal) => report::refusal(&refusal),
        };
    }
    // The place stays open until the program has ended, and so the descriptors in the wish stay what they are.
    supervise::run(&spec, None, parent, Reports { stats: None, denied: Told::Nothing })
}

/// Finds and opens what is to be entered; the control groups that stay closed, and the wish that comes of it.
fn open(matches: &ArgMatches) -> Result<(Opened, Vec<Closed>, Spec), Vec<Fault>> {
    let target = matches.get_one::<OsString>("target").map(OsString::as_os_str).unwrap_or_default();
    let wish = wish(matches)?;
    let opened = find::open(target, matches.get_one("started").copied())?;
    let closed = if wish.parts.contains(&Part::Groups) { opened.closed_groups() } else { Vec::new() };
    if let Some(closed) = closed.first()
        && matches.value_source("take") == Some(ValueSource::CommandLine)
    {
        let path = name(closed.path.as_os_str());
        let message = format!("cannot enter the control group {path}: {}", cause(&closed.errno.into()));
        let hint = "its limits would not bind what is entered: leave cgroup out of --take".to_owned();
        return Err(vec![Fault { message, origin: "--take".to_owned(), hint }]);
    }
    let mut words = matches.get_many::<OsString>("program").into_iter().flatten().cloned();
    let program = words.next().unwrap_or_else(|| "sh".into());
    let origin = format!("holm enter {}", target.display());
    let spec = opened.spec(program, &wish, &origin).map_err(|error| vec![refused(target, &error)])?;
    Ok((opened, closed, spec.args(words)))
}

fn wish(matches: &ArgMatches) -> Result<Wish, Vec<Fault>> {
    let text = |option| matches.get_one::<String>(option);
    let wrong = |option: &str, value: &str, cause: String| {
        let message = format!("cannot use the value of --{option} {value}: {cause}");
        vec![Fault { message, origin: String::new(), hint: "holm enter --help".to_owned() }]
    };
    let mut wish = Wish::default();
    if let Some(kinds) = text("only") {
        let parsed = crate::values::namespaces(kinds).map_err(|cause| wrong("only", kinds, cause))?;
        wish.kinds = Some(parsed.into_iter().collect());
    }
    if let Some(words) = text("take") {
        let part = |word: &str| PARTS.iter().find(|(known, _)| *known == word).map(|(_, part)| *part);
        let words_of = words.split(',').filter(|word| *word != "none");
        let unknown = |word: &str| {
            let known: Vec<&str> = PARTS.iter().map(|(known, _)| *known).collect();
            wrong("take", words, format!("{word:?} is none of {} and none", known.join(", ")))
        };
        wish.parts = words_of.map(|word| part(word).ok_or_else(|| unknown(word))).collect::<Result<_, _>>()?;
    }
    if text("user").is_some() {
        wish.parts.retain(|part| *part != Part::Ids);
    }
    Ok(wish)
}

/// Why a place can't be entered.
fn refused(target: &OsStr, error: &Error) -> Fault {
    let hint = match error {
        Error::Ended | Error::Another | Error::Moved => {
            "holm ps lists sandboxes, holm ls namespaces with a process in each"
        }
        Error::Refused { .. } => {
            "only its owner and root may look at a process, and root only from above its user namespace"
        }
        Error::Closed(_) => "holm ls --columns kind,id,owner shows whose it is; --only leaves it out; root may do it",
        Error::Apart(_) => "--only enters some of its namespaces, one command after the other",
        Error::Shared(_) => "holm is in it already: leave it out",
        Error::Nothing => "run the program as it is",
        Error::NoIds => "--user says whom to become",
    };
    Fault { message: format!("cannot enter {}: {error}", name(target)), origin: String::new(), hint: hint.to_owned() }
}

/// What is not as one would think inside, on standard error.
fn notes(opened: &Opened, groups: &[Closed], spec: &Spec) {
    if let Some(trouble) = opened.proc_trouble(spec) {
        eprintln!("note: {trouble}");
    }
    for closed in groups {
        let path = report::plain(&closed.path);
        eprintln!(
            "note: limits of the control group {path} don't bind what is entered: {}",
            cause(&closed.errno.into())
        );
    }
}
