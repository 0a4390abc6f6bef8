//! What programs open by themselves after they have started, and what a person expects: a closure can't know it.
//!
//! One rule is one line of the table; each has a reason. What the host doesn't have is left out.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::closure::Error;
use crate::closure::resolver::Resolver;

struct Rule {
    name: &'static str,
    reason: &'static str,
    what: What,
}

enum What {
    /// These paths where they are links, with what they lead to, but nothing below.
    Links(&'static [&'static str]),
    /// These directories with all that is in them.
    Trees(&'static [&'static str]),
    /// These files in each of these directories.
    Files { dirs: &'static [&'static str], files: &'static [&'static str] },
    /// The libraries of these names that the programs' loader finds.
    Libraries(&'static [&'static str]),
}

#[rustfmt::skip]
const RULES: &[Rule] = &[
    Rule { name: "merged-usr", reason: "scripts and people say /bin/sh where the host keeps /usr/bin/sh",
           what: What::Links(&["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"]) },
    Rule { name: "locale", reason: "text that isn't ASCII, where LANG is C.UTF-8",
           what: What::Trees(&["/usr/lib/locale/C.utf8"]) },
    Rule { name: "terminfo", reason: "line editing and full-screen programs on usual terminals",
           what: What::Files {
               dirs: &["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"],
               files: &["d/dumb", "l/linux", "s/screen", "t/tmux", "v/vt100", "x/xterm", "x/xterm-256color"],
           } },
    Rule { name: "name-service", reason: "names of users and hosts; glibc opens these when it is first asked",
           what: What::Libraries(&["libnss_files.so.2", "libnss_dns.so.2"]) },
];

/// Places what the rules add to the programs found so far.
pub(crate) fn apply(resolver: &mut Resolver) -> Result<(), Error> {
    for rule in RULES {
        let because = PathBuf::from(format!("rule {}: {}", rule.name, rule.reason));
        match rule.what {
            What::Links(paths) => {
                for path in paths {
                    resolver.layout.place_link(Path::new(path), &because)?;
                }
            }
            What::Trees(paths) => {
                for path in paths {
                    resolver.layout.place_all(Path::new(path), &because)?;
                }
            }
            What::Files { dirs, files } => {
                for path in dirs.iter().flat_map(|dir| files.iter().map(|file| Path::new(*dir).join(file))) {
                    resolver.place_if_there(&path, &because)?;
                }
            }
            What::Libraries(names) => {
                for name in names {
                    resolver.library(OsStr::new(name), &because)?;
                }
            }
        }
    }
    Ok(())
}
