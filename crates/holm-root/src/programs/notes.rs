//! What a root of programs hasn't of what the host's files have.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::closure::resolver::Resolver;
use crate::closure::{Entry, Kind};

/// Something that a person may miss in a root of programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The host's file.
    pub path: PathBuf,
    /// What about it.
    pub what: Lost,
}

/// What a [`Note`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It runs as its owner or group on the host (`S_ISUID`, `S_ISGID`), and not here.
    Identity,
    /// It has capabilities on the host (capabilities(7), "File capabilities"), and not here.
    Capabilities,
    /// It is a program for another machine than this.
    Machine(&'static str),
    /// It belongs to a tree or package, and isn't here, since not everybody may read it.
    Unreadable,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.what {
            Lost::Identity => write!(f, "{path} is set-user-id or set-group-id on the host; the copy isn't"),
            Lost::Capabilities => write!(f, "{path} has file capabilities on the host; the copy hasn't"),
            Lost::Machine(machine) => write!(f, "{path} is a program for {machine}, not for this machine"),
            Lost::Unreadable => write!(f, "{path} is left out: not everybody may read it"),
        }
    }
}

/// Looks at the programs and files found.
pub(crate) fn all(resolver: &mut Resolver) -> Vec<Note> {
    let mut notes = Vec::new();
    for program in resolver.programs.clone() {
        if let Ok(Some(machine)) = resolver.foreign(&program) {
            notes.push(Note { path: program, what: Lost::Machine(machine) });
        }
    }
    let files = resolver.layout.entries.iter().filter(|entry| entry.kind == Kind::File);
    for Entry { path, .. } in files {
        let has_identity = resolver.layout.tree.mode(path).is_some_and(|mode| mode & 0o6000 != 0);
        let lost = [(has_identity, Lost::Identity), (has_capabilities(path), Lost::Capabilities)];
        notes.extend(lost.into_iter().filter(|(is, _)| *is).map(|(_, what)| Note { path: path.clone(), what }));
    }
    notes.extend(resolver.left_out.drain(..).map(|path| Note { path, what: Lost::Unreadable }));
    notes
}

fn has_capabilities(path: &Path) -> bool {
    rustix::fs::lgetxattr(path, c"security.capability", &mut [0_u8; 64]).is_ok_and(|size| size > 0)
}
