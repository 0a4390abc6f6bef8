//! What programs open by themselves after they have started, and what a person expects: a closure can't know it.
//!
//! One rule is one item of the table: what it adds, when, and the reason. A rule holds for any root, for one with a
//! certain file (a library that opens more) or a certain program, or when its name is asked for (`@NAME`). What a rule
//! adds can make others hold, so all are looked at again until nothing is added. What the host doesn't have is left out.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::interpreters;
use crate::closure::Error;
use crate::closure::resolver::Resolver;

struct Rule {
    name: &'static str,
    reason: &'static str,
    when: When,
    what: &'static [What],
}

enum When {
    Always,
    /// A file of one of these names is in the root: `libssl.so` stands for `libssl.so.3`.
    File(&'static [&'static str]),
    /// A program of one of these names is in the root: `vim` stands for `vim.basic`.
    Program(&'static [&'static str]),
    /// The caller names the rule.
    Asked,
}

enum What {
    /// These paths where they are links, with what they lead to, but nothing below.
    Links(&'static [&'static str]),
    /// These directories with all that is in them.
    Trees(&'static [&'static str]),
    /// This directory with all that is in it, but for these names.
    TreeWithout(&'static str, &'static [&'static str]),
    /// These directories beside the libraries that the programs' loader knows.
    Beside(&'static [&'static str]),
    /// These directories in the prefix of the program that the rule holds for: `lib/x` is `/usr/lib/x` for `/usr/bin/x`.
    Prefix(&'static [&'static str]),
    /// These files in each of these directories.
    Files { dirs: &'static [&'static str], files: &'static [&'static str] },
    /// The libraries of these names that the programs' loader finds.
    Libraries(&'static [&'static str]),
    /// These programs.
    Programs(&'static [&'static str]),
    /// What an interpreter's own rules say.
    Modules(interpreters::Modules),
}

#[rustfmt::skip]
const RULES: &[Rule] = &[
    Rule { name: "merged-usr", reason: "scripts and people say /bin/sh where the host keeps /usr/bin/sh",
           when: When::Always,
           what: &[What::Links(&["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"])] },
    Rule { name: "locale", reason: "text that isn't ASCII, where LANG is C.UTF-8",
           when: When::Always,
           what: &[What::Trees(&["/usr/lib/locale/C.utf8"])] },
    Rule { name: "terminfo", reason: "line editing and full-screen programs on usual terminals",
           when: When::Always,
           what: &[What::Files {
               dirs: &["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"],
               files: &["d/dumb", "l/linux", "s/screen", "s/screen-256color", "t/tmux", "t/tmux-256color", "v/vt100",
                        "x/xterm", "x/xterm-256color"],
           }] },
    Rule { name: "name-service", reason: "names of users and hosts; glibc opens these when it is first asked",
           when: When::Always,
           what: &[What::Libraries(&["libnss_files.so.2", "libnss_dns.so.2"])] },
    Rule { name: "libraries", reason: "ldconfig makes the loader's list anew from these",
           when: When::File(&["ld.so.cache"]),
           what: &[What::Files { dirs: &["/etc"], files: &["ld.so.conf"] }, What::Trees(&["/etc/ld.so.conf.d"])] },
    Rule { name: "gconv", reason: "character sets; iconv(3) opens these",
           when: When::Program(&["iconv", "git", "vi", "vim", "view", "man", "mutt", "gdb"]),
           what: &[What::Beside(&["gconv"])] },
    Rule { name: "time-zones", reason: "times in zones that TZ names, and the host's own",
           when: When::Program(&["date", "zdump", "python", "python3", "psql"]),
           // The zones twice more: as POSIX counts, and with leap seconds.
           what: &[What::TreeWithout("/usr/share/zoneinfo", &["posix", "right"]), What::Files { dirs: &["/etc"], files: &["localtime", "timezone"] }] },
    Rule { name: "ca-certificates", reason: "whom to trust for TLS",
           when: When::File(&["libssl.so", "libgnutls.so", "openssl", "node"]),
           what: &[What::Trees(&["/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted"]),
                   What::Links(&["/usr/lib/ssl/certs", "/usr/lib/ssl/cert.pem", "/etc/ssl/cert.pem", "/etc/pki/tls/cert.pem"])] },
    Rule { name: "openssl", reason: "modules and settings that libcrypto opens",
           when: When::File(&["libcrypto.so", "node"]),
           what: &[What::Beside(&["ossl-modules", "engines-3", "engines-1.1"]),
                   What::Files { dirs: &["/usr/lib/ssl", "/etc/ssl", "/etc/pki/tls"], files: &["openssl.cnf"] },
                   What::Trees(&["/etc/pki/tls/openssl.d", "/etc/crypto-policies/back-ends"])] },
    Rule { name: "magic", reason: "kinds of files; libmagic opens these",
           when: When::File(&["libmagic.so"]),
           what: &[What::Files { dirs: &["/etc", "/usr/share/misc", "/usr/lib/file"], files: &["magic", "magic.mgc"] }] },
    Rule { name: "python", reason: "Python's own library",
           when: When::Program(&["python", "python3", "pypy3"]),
           what: &[What::Modules(interpreters::PYTHON)] },
    Rule { name: "perl", reason: "Perl's own library",
           when: When::Program(&["perl"]),
           what: &[What::Modules(interpreters::PERL)] },
    Rule { name: "node", reason: "modules that Node.js has outside of its program",
           when: When::Program(&["node", "nodejs"]),
           what: &[What::Prefix(&["share/nodejs/acorn", "share/nodejs/acorn-walk", "share/nodejs/cjs-module-lexer",
                                  "share/nodejs/minimatch", "share/nodejs/undici"])] },
    Rule { name: "git", reason: "git's own commands, and what those that are shell scripts run",
           when: When::Program(&["git"]),
           what: &[What::Prefix(&["lib/git-core", "libexec/git-core", "share/git-core/templates"]), What::Programs(&["sh", "basename", "cat", "cut", "expr", "grep", "mkdir", "rm", "sed", "tr", "uname", "wc"])] },
    Rule { name: "vim", reason: "scripts, syntax and help that Vim reads",
           when: When::Program(&["vim", "vi", "view"]),
           what: &[What::Trees(&["/usr/share/vim", "/etc/vim"])] },
    Rule { name: "modules", reason: "modules that are installed for Python and Perl beside their own",
           when: When::Asked,
           what: &[What::Modules(interpreters::PYTHON_INSTALLED), What::Modules(interpreters::PERL_INSTALLED)] },
    Rule { name: "pam", reason: "PAM's modules and services",
           when: When::Asked,
           what: &[What::Beside(&["security"]), What::Trees(&["/etc/pam.d", "/etc/security"]),
                   What::Files { dirs: &["/etc"], files: &["pam.conf", "login.defs", "environment"] }] },
];

/// The names of all rules.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.name)
}

/// Places what the rules add to the programs found so far; `asked` are names of rules that hold in any case.
pub(crate) fn apply(resolver: &mut Resolver, asked: &[String]) -> Result<(), Error> {
    // Rules that were applied, each for a program or for the whole root.
    let mut done: HashSet<(&str, Option<PathBuf>)> = HashSet::new();
    // How many entries each rule has looked at.
    let mut looked = [0; RULES.len()];
    loop {
        resolver.place_opened()?;
        let mut more = false;
        for (rule, looked) in RULES.iter().zip(&mut looked) {
            for program in rule.holds_for(resolver, asked, looked) {
                if done.insert((rule.name, program.clone())) {
                    more = true;
                    rule.apply(resolver, program.as_deref())?;
                }
            }
        }
        if !more {
            return Ok(());
        }
    }
}

impl Rule {
    /// The programs that the rule holds for, `None` for the whole root; none at all if it doesn't hold. Of the entries only
    /// those behind the first `looked` are new.
    fn holds_for(&self, resolver: &Resolver, asked: &[String], looked: &mut usize) -> Vec<Option<PathBuf>> {
        let is_asked = asked.iter().any(|name| name == self.name);
        let named = |names: &[&str], path: &Path| {
            let file = path.file_name().unwrap_or_default();
            names.iter().any(|name| stands_for(name, file))
        };
        let of_programs = |names: &[&str]| -> Vec<Option<PathBuf>> {
            resolver.programs.iter().filter(|path| named(names, path)).cloned().map(Some).collect()
        };
        let entries = &resolver.layout.entries;
        let new = &entries[std::mem::replace(looked, entries.len())..];
        match &self.when {
            When::Program(names) if is_asked => [vec![None], of_programs(names)].concat(),
            When::Program(names) => of_programs(names),
            When::Always => vec![None],
            When::File(names) if is_asked || new.iter().any(|entry| named(names, &entry.path)) => vec![None],
            When::Asked if is_asked => vec![None],
            When::File(_) | When::Asked => Vec::new(),
        }
    }

    fn apply(&self, resolver: &mut Resolver, program: Option<&Path>) -> Result<(), Error> {
        let because = PathBuf::from(format!("rule {}: {}", self.name, self.reason));
        for what in self.what {
            what.place(resolver, program, &because)?;
        }
        Ok(())
    }
}

impl What {
    fn place(&self, resolver: &mut Resolver, program: Option<&Path>, because: &Path) -> Result<(), Error> {
        match self {
            What::Links(paths) => paths.iter().try_for_each(|path| resolver.link(Path::new(path), because)),
            What::Trees(paths) => paths.iter().try_for_each(|path| resolver.tree(Path::new(path), |_| false, because)),
            What::TreeWithout(path, names) => {
                resolver.tree(Path::new(path), |name| names.iter().any(|one| name == *one), because)
            }
            What::Beside(names) => {
                let dirs: Vec<PathBuf> = names.iter().flat_map(|name| resolver.beside_libraries(name)).collect();
                dirs.iter().try_for_each(|dir| resolver.tree(dir, |_| false, because))
            }
            What::Prefix(names) => {
                let prefix = program.and_then(Path::parent).and_then(Path::parent);
                let dirs = prefix.into_iter().flat_map(|prefix| names.iter().map(|name| prefix.join(name)));
                dirs.collect::<Vec<_>>().iter().try_for_each(|dir| resolver.tree(dir, |_| false, because))
            }
            What::Files { dirs, files } => {
                for path in dirs.iter().flat_map(|dir| files.iter().map(|file| Path::new(*dir).join(file))) {
                    resolver.place_if_there(&path, because)?;
                }
                Ok(())
            }
            What::Libraries(names) => names.iter().try_for_each(|name| resolver.library(OsStr::new(name), because)),
            What::Programs(names) => {
                for name in *names {
                    resolver.forgiven(|resolver| resolver.program(OsStr::new(name), because))?;
                }
                Ok(())
            }
            What::Modules(modules) => modules.place(resolver, because),
        }
    }
}

/// Whether a file has a name, with or without a version or variant behind it.
fn stands_for(name: &str, file: &OsStr) -> bool {
    match file.as_encoded_bytes().strip_prefix(name.as_bytes()) {
        Some([first, ..]) => !first.is_ascii_alphabetic() && *first != b'_',
        Some([]) => true,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_its_versions_and_variants() {
        let stands = |name, path| stands_for(name, Path::new(path).file_name().unwrap_or_default());
        assert!(stands("libssl.so", "/lib/libssl.so.3") && stands("vim", "/usr/bin/vim.basic"));
        assert!(stands("python3", "/usr/bin/python3.11") && stands("git", "/usr/bin/git"));
        assert!(!stands("date", "/usr/bin/dateutils") && !stands("vi", "/usr/bin/vim") && !stands("git", "/git/x"));
    }

    #[test]
    fn names_of_rules_are_distinct() {
        let all: HashSet<_> = names().collect();
        assert_eq!(all.len(), RULES.len());
    }
}
