//! What the measuring was done on.

use std::fs;
use std::process::Command;
use std::thread;

use crate::peer::{Field, Peer, Subject};

pub(crate) struct Host {
    pub(crate) kernel: String,
    pub(crate) processors: usize,
    /// What each tool says of its version.
    pub(crate) versions: Vec<(Peer, String)>,
}

pub(crate) fn describe(field: &Field) -> Host {
    Host {
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        processors: thread::available_parallelism().map_or(0, Into::into),
        versions: field.subjects.iter().filter_map(version).collect(),
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

fn version(subject: &Subject) -> Option<(Peer, String)> {
    if let Peer::True | Peer::Floor = subject.peer {
        return None;
    }
    let said = Command::new(&subject.program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&said.stdout);
    Some((subject.peer, text.lines().next().unwrap_or("unknown version").to_owned()))
}
