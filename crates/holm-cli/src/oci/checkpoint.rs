//! `checkpoint` and `restore`.

use super::arguments::{CGROUP_MODES, CRIU_FLAGS};
use super::{failed, group_maker, path};
use clap::ArgMatches;
use holm_oci::Result;
use holm_oci::verbs::{self, Also, Checkpoint, Console, Create, Created, Groups, How, Restore, Then};
use std::path::PathBuf;

/// The flags, in the order of their names.
const ALSO: [Also; 6] = [
    Also::Deduplicated,
    Also::ExternalSockets,
    Also::FileLocks,
    Also::ShellJob,
    Also::EstablishedConnections,
    Also::SkippedConnections,
];

fn how(options: &ArgMatches) -> How {
    let named = |name: &str| options.try_get_one::<bool>(name).ok().flatten() == Some(&true);
    let mode = options.get_one::<String>("manage-cgroups-mode").map_or("soft", String::as_str);
    How {
        images: path(options, "image-path").unwrap_or_else(|| PathBuf::from("checkpoint")),
        work: path(options, "work-path"),
        also: CRIU_FLAGS.iter().zip(ALSO).filter(|((name, _), _)| named(name)).map(|(_, also)| also).collect(),
        groups: match CGROUP_MODES.iter().position(|name| *name == mode) {
            Some(1) => Groups::Full,
            Some(2) => Groups::Strict,
            Some(3) => Groups::Ignored,
            _ => Groups::Soft,
        },
        empty_network: options.get_one::<String>("empty-ns").is_some(),
    }
}

/// Writes a container down.
pub(super) fn checkpoint(options: &ArgMatches, root: PathBuf, id: String) -> Result<Vec<String>> {
    let server = options.get_one::<String>("page-server").map(|text| {
        let parts = text.rsplit_once(':').and_then(|(address, port)| Some((address.to_owned(), port.parse().ok()?)));
        parts.ok_or_else(|| failed(&format!("cannot use --page-server {text:?}: it is no ADDRESS:PORT")))
    });
    let then = match (options.get_flag("pre-dump"), options.get_flag("leave-running")) {
        (true, _) => Then::Later,
        (false, true) => Then::GoesOn,
        (false, false) => Then::Ends,
    };
    let parent = path(options, "parent-path");
    verbs::checkpoint(&Checkpoint { root, id, how: how(options), parent, page_server: server.transpose()?, then })
}

/// Makes one again; `console` gets its terminal where no socket is named.
pub(super) fn restore(options: &ArgMatches, root: PathBuf, console: Console) -> Result<Created> {
    let container = Create {
        root,
        id: options.get_one::<String>("ID").cloned().unwrap_or_default(),
        bundle: path(options, "bundle").unwrap_or_else(|| PathBuf::from(".")),
        pid_file: path(options, "pid-file"),
        console: path(options, "console-socket").map_or(console, Console::Socket),
        groups: group_maker(options),
        ..Create::default()
    };
    verbs::restore(&Restore { container, how: how(options), profile: options.get_one("lsm-profile").cloned() })
}
