//! `exec`: one more program in a container, alone or in front.

use super::print::Log;
use super::{failed, foreground, path, preserved};
use clap::ArgMatches;
use holm::spec::life::Terminal;
use holm_oci::Result;
use holm_oci::verbs::{self, Changes, Console, Exec, Executed, Paused, What};
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit code of a failure of `exec` itself, as runc has it: 1 may be the program's own.
const FAILED: u8 = 255;

/// Runs it; its exit code is the program's, or 0 once that runs and is left alone.
pub(super) fn run(options: &ArgMatches, root: PathBuf, log: &Log) -> ExitCode {
    match begin(options, root, log) {
        Ok(code) => code,
        Err(error) => {
            log.failed(&error);
            ExitCode::from(FAILED)
        }
    }
}

fn begin(options: &ArgMatches, root: PathBuf, log: &Log) -> Result<ExitCode> {
    let detach = options.get_flag("detach");
    let front = foreground::Front::new(detach)?;
    let console = if detach { Console::Nobody } else { Console::Caller };
    let wish = Exec {
        root,
        id: options.get_one::<String>("ID").cloned().unwrap_or_default(),
        what: match path(options, "process") {
            Some(file) => What::File(file),
            None => What::Changed(changes(options)?),
        },
        terminal: if options.get_flag("tty") { Terminal::Own } else { Terminal::None },
        pid_file: path(options, "pid-file"),
        console: path(options, "console-socket").map_or(console, Console::Socket),
        pidfd_socket: path(options, "pidfd-socket"),
        preserved: preserved(options),
        paused: if options.get_flag("ignore-paused") { Paused::Waits } else { Paused::Refused },
        groups: all(options, "cgroup"),
    };
    let Executed { process, terminal, warnings, details } = verbs::exec(&wish)?;
    log.warn(&warnings);
    log.detail(&details);
    front.map_or(Ok(ExitCode::SUCCESS), |front| front.stay(&process, terminal).map(|exit| exit.code().into()))
}

fn all<T: Clone + Send + Sync + 'static>(options: &ArgMatches, name: &str) -> Vec<T> {
    options.get_many::<T>(name).into_iter().flatten().cloned().collect()
}

fn changes(options: &ArgMatches) -> Result<Changes> {
    let text = |name: &str| options.get_one::<String>(name).cloned();
    let (user, group) = match text("user") {
        None => (None, None),
        Some(ids) => {
            let (user, group) = ids.split_once(':').map_or((ids.as_str(), None), |(user, group)| (user, Some(group)));
            let id =
                |word: &str| word.parse().map_err(|_| failed(&format!("cannot run as {ids:?}: it is no UID[:GID]")));
            (Some(id(user)?), group.map(id).transpose()?)
        }
    };
    Ok(Changes {
        arguments: all(options, "COMMAND"),
        directory: path(options, "cwd"),
        variables: all(options, "env"),
        user,
        group,
        groups: all(options, "additional-gids"),
        capabilities: all(options, "cap"),
        no_new_privileges: options.get_flag("no-new-privs"),
        profile: text("apparmor"),
        label: text("process-label"),
    })
}
