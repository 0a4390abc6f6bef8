//! `checkpoint` and `restore`.

use super::arguments::CRIU_FLAGS;
use super::{failed, path, wish};
use clap::ArgMatches;
use holm_oci::Result;
use holm_oci::verbs::{self, Checkpoint, Console, Created, Groups, How, Restore, Then};
use std::path::PathBuf;

fn how(options: &ArgMatches) -> How {
    let named = |name: &str| options.try_get_one::<bool>(name).ok().flatten() == Some(&true);
    How {
        images: path(options, "image-path").unwrap_or_else(|| PathBuf::from("checkpoint")),
        work: path(options, "work-path"),
        also: CRIU_FLAGS.into_iter().filter(|(name, ..)| named(name)).map(|(_, also, _)| also).collect(),
        groups: match options.get_one::<String>("manage-cgroups-mode").map(String::as_str) {
            Some("full") => Groups::Full,
            Some("strict") => Groups::Strict,
            Some("ignore") => Groups::Ignored,
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
    let (container, profile) = (wish(options, root, console), options.get_one("lsm-profile").cloned());
    verbs::restore(&Restore { container, how: how(options), profile })
}
