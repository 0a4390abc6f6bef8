//! `holm oci`: containers as engines ask for them, with the options, exit codes and words that they know from runc.

mod arguments;
mod checkpoint;
mod events;
mod exec;
mod foreground;
mod print;
mod ps;
mod update;

pub(crate) use arguments::command;

use clap::ArgMatches;
use holm_oci::verbs::{self, Console, Create, Force, GroupMaker, Keyring, Owner, Waits, Whom};
use holm_oci::{Error, verbs::Created};
use rustix::process::{getegid, geteuid};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The names under which the program is `holm oci` itself.
const NAMES: [&str; 3] = ["runc", "crun", "holm-oci"];

/// What an engine says first to a runtime, which may have any name; the program itself knows none of it.
const FIRST: [&str; 9] =
    ["--root", "--log", "--log-format", "--systemd-cgroup", "create", "start", "state", "kill", "delete"];

/// The name of an OCI runtime, if this process was started as one: by its own name or, unless that is `holm`, by what it is
/// told.
pub(crate) fn name() -> Option<&'static str> {
    let mut arguments = std::env::args_os();
    let own = arguments.next()?;
    let file = Path::new(&own).file_name()?.to_owned();
    let named = NAMES.into_iter().find(|name| OsStr::new(name) == file);
    let first = arguments.next().filter(|_| file != "holm");
    let first = first.as_ref().and_then(|first| first.to_str()?.split('=').next());
    named.or_else(|| first.filter(|first| FIRST.contains(first)).map(|_| "holm-oci"))
}

/// What an option says.
fn path(matches: &ArgMatches, name: &str) -> Option<PathBuf> {
    matches.get_one::<PathBuf>(name).cloned()
}

/// Does what the options say.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let log = print::Log::new(matches);
    match path(matches, "root") {
        Some(root) => run_verb(matches, root, &log),
        None => {
            let root = state_directory();
            let code = run_verb(matches, root.clone(), &log);
            // What nobody named goes with its last container; one that has others is not empty.
            let _ = std::fs::remove_dir(root);
            code
        }
    }
}

fn run_verb(matches: &ArgMatches, root: PathBuf, log: &print::Log) -> ExitCode {
    let (verb, options) = matches.subcommand().unwrap_or(("", matches));
    let id = || options.get_one::<String>("ID").cloned().unwrap_or_default();
    let done = match verb {
        "create" => create(options, root, Console::Nobody).map(|made| {
            log.detail(&made.details);
            made.warnings
        }),
        "start" => verbs::start(&root, &id(), Waits::Caller).map(|()| Vec::new()),
        "state" => verbs::state(&root, &id()).and_then(|state| print::json(&state)),
        "kill" => {
            let signal = options.get_one::<String>("SIGNAL").map_or("TERM", String::as_str);
            let whom = if options.get_flag("all") { Whom::All } else { Whom::First };
            verbs::signal(signal).and_then(|number| verbs::kill(&root, &id(), number, whom)).map(|()| Vec::new())
        }
        "delete" => verbs::delete(&root, &id(), if options.get_flag("force") { Force::Yes } else { Force::No }),
        "pause" => verbs::pause(&root, &id()).map(|()| Vec::new()),
        "resume" => verbs::resume(&root, &id()).map(|()| Vec::new()),
        "update" => update::update(options, &root, &id()),
        "events" => events::tell(options, &root, &id()),
        "explain" => return explain(options, log),
        "ps" => ps::list(options, &root, &id()),
        "list" => print::list(options, &root),
        "spec" => specification(options),
        "features" => print::json(&verbs::features()),
        "checkpoint" => checkpoint::checkpoint(options, root, id()),
        "run" => return foreground::run(options, root, log),
        "restore" => return foreground::restore(options, root, log),
        "exec" => return exec::run(options, root, log),
        _ => Ok(Vec::new()),
    };
    match done {
        Ok(warnings) => log.done(&warnings),
        Err(error) => log.failed(&error),
    }
}

/// Where the state is kept if no option says it: a directory of the caller's own.
fn state_directory() -> PathBuf {
    // In a user namespace an engine's user 0 is an ordinary one.
    let is_root = holm::host::limits::is_machines_root();
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|_| !is_root);
    own.map_or_else(|| PathBuf::from("/run"), PathBuf::from).join("holm-oci")
}

fn failed(message: &str) -> Error {
    Error::Failed(message.to_owned())
}

/// So many descriptors from 3 on are passed on, if they are open.
fn preserved(options: &ArgMatches) -> i32 {
    options.get_one::<u16>("preserve-fds").map_or(0, |count| i32::from(*count))
}

/// Who makes control groups.
fn group_maker(options: &ArgMatches) -> GroupMaker {
    match options.get_one::<String>("cgroup-manager").map(String::as_str) {
        Some("disabled") => GroupMaker::Nobody,
        Some("systemd") => GroupMaker::Systemd,
        _ if options.get_flag("systemd-cgroup") => GroupMaker::Systemd,
        _ => GroupMaker::Holm,
    }
}

/// What is said of a container that is made, or made again; `console` gets its terminal where no socket is named.
fn wish(options: &ArgMatches, root: PathBuf, console: Console) -> Create {
    Create {
        root,
        id: options.get_one::<String>("ID").cloned().unwrap_or_default(),
        bundle: path(options, "bundle").unwrap_or_else(|| PathBuf::from(".")),
        pid_file: path(options, "pid-file"),
        console: path(options, "console-socket").map_or(console, Console::Socket),
        groups: group_maker(options),
        ..Create::default()
    }
}

/// Makes a container.
fn create(options: &ArgMatches, root: PathBuf, console: Console) -> holm_oci::Result<Created> {
    verbs::create(&Create {
        config: path(options, "config"),
        pidfd_socket: path(options, "pidfd-socket"),
        keyring: if options.get_flag("no-new-keyring") { Keyring::Caller } else { Keyring::New },
        preserved: preserved(options),
        ..wish(options, root, console)
    })
}

/// Prints the steps of a bundle; nothing is done.
fn explain(options: &ArgMatches, log: &print::Log) -> ExitCode {
    let bundle = path(options, "BUNDLE").unwrap_or_else(|| PathBuf::from("."));
    let id = bundle.canonicalize().ok().and_then(|place| place.file_name()?.to_str().map(str::to_owned));
    let wish = Create { id: id.unwrap_or_default(), bundle, groups: group_maker(options), ..Create::default() };
    match verbs::explain(&wish) {
        Ok((plan, warnings)) => {
            log.warn(&warnings);
            crate::explain::print(&plan, options.get_one::<String>("format").map_or("table", String::as_str))
        }
        Err(error) => log.failed(&error),
    }
}

/// Writes a configuration to begin with; one that is there stays.
fn specification(options: &ArgMatches) -> holm_oci::Result<Vec<String>> {
    let file = path(options, "bundle").unwrap_or_else(|| PathBuf::from(".")).join("config.json");
    let failed = |error: std::io::Error| {
        failed(&format!("cannot write {}: {}", file.display(), holm::model::text::cause(&error)))
    };
    let ids = || Owner::User { uid: geteuid().as_raw(), gid: getegid().as_raw() };
    let user = options.get_one::<String>("rootless").is_some_and(|word| word == "true");
    let owner = if user { ids() } else { Owner::Root };
    let text = serde_json::to_string_pretty(&verbs::specification(owner)).map_err(|error| failed(error.into()))?;
    let mut made = std::fs::File::options().write(true).create_new(true).open(&file).map_err(failed)?;
    std::io::Write::write_all(&mut made, (text + "\n").as_bytes()).map_err(failed)?;
    Ok(Vec::new())
}
