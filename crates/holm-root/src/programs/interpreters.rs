//! The libraries of interpreters, by the interpreters' own rules; none is asked, since that would run it.
//!
//! Python: `PREFIX/lib/pythonX.Y`, where the program is `PREFIX/bin/pythonX.Y` (the docs of `sys.path`'s initialization).
//! Perl: the directories of `@INC` are words in its program or in `libperl.so` (perlrun(1), Config(3perl)).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::closure::resolver::Resolver;
use crate::closure::tree::{Node, Walked};
use crate::closure::{Error, Kind};

/// A larger file isn't searched for words.
const LIMIT: u64 = 1 << 24;

pub(crate) const PYTHON: Modules = Modules { of: Interpreter::Python, which: Which::Own };
pub(crate) const PYTHON_INSTALLED: Modules = Modules { of: Interpreter::Python, which: Which::Installed };
pub(crate) const PERL: Modules = Modules { of: Interpreter::Perl, which: Which::Own };
pub(crate) const PERL_INSTALLED: Modules = Modules { of: Interpreter::Perl, which: Which::Installed };

/// Some modules of an interpreter.
pub(crate) struct Modules {
    of: Interpreter,
    which: Which,
}

enum Interpreter {
    Python,
    Perl,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    /// What belongs to the interpreter.
    Own,
    /// What was installed beside that.
    Installed,
}

impl Modules {
    /// Places the modules for each such interpreter in the root.
    pub(crate) fn place(&self, resolver: &mut Resolver, because: &Path) -> Result<(), Error> {
        let start: &[u8] = match self.of {
            Interpreter::Python => b"py",
            Interpreter::Perl => b"perl",
        };
        let is_one = |path: &&PathBuf| path.file_name().is_some_and(|name| name.as_bytes().starts_with(start));
        let programs: Vec<PathBuf> = resolver.programs.iter().filter(is_one).cloned().collect();
        for program in programs {
            match self.of {
                Interpreter::Python => python(resolver, &program, self.which, because)?,
                Interpreter::Perl => perl(resolver, &program, self.which, because)?,
            }
        }
        Ok(())
    }
}

fn python(resolver: &mut Resolver, program: &Path, which: Which, because: &Path) -> Result<(), Error> {
    let (Some(name), Some(prefix)) = (program.file_name(), program.parent().and_then(Path::parent)) else {
        return Ok(());
    };
    for lib in ["lib", "lib64"].map(|lib| prefix.join(lib)) {
        let own = lib.join(name);
        match which {
            // The landmark by which Python itself knows its library.
            Which::Own if is_file(resolver, &own.join("os.py"))? => resolver.tree(&own, is_no_python, because)?,
            Which::Own => {}
            Which::Installed => {
                let dirs = [own.join("site-packages"), own.join("dist-packages"), lib.join("python3/dist-packages")];
                dirs.iter().try_for_each(|dir| resolver.tree(dir, |_| false, because))?;
            }
        }
    }
    Ok(())
}

/// What no program imports: tests, demonstrations, what is for building Python; and what isn't Python's own.
fn is_no_python(name: &OsStr) -> bool {
    let names = ["test", "idlelib", "turtledemo", "site-packages", "dist-packages"];
    names.iter().any(|one| name == *one) || name.as_bytes().starts_with(b"config-")
}

fn perl(resolver: &mut Resolver, program: &Path, which: Which, because: &Path) -> Result<(), Error> {
    let is_perl = |path: &&PathBuf| {
        path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"libperl.so")) || *path == program
    };
    let files = resolver.layout.entries.iter().filter(|entry| entry.kind == Kind::File).map(|entry| &entry.path);
    let mut dirs: Vec<OsString> = Vec::new();
    for file in files.filter(is_perl) {
        for dir in words(&resolver.bytes(file, LIMIT)?) {
            if !dirs.contains(&dir) {
                dirs.push(dir);
            }
        }
    }
    for dir in dirs.iter().map(Path::new) {
        let mut own = false;
        for landmark in ["strict.pm", "Config.pm", "perl5db.pl"] {
            own |= is_file(resolver, &dir.join(landmark))?;
        }
        if own == (which == Which::Own) {
            resolver.tree(dir, is_no_perl, because)?;
        }
    }
    Ok(())
}

/// Headers for building modules, and documentation.
fn is_no_perl(name: &OsStr) -> bool {
    name == "CORE" || name == "pod" || name.as_bytes().ends_with(b".pod") || name.as_bytes().ends_with(b".h")
}

/// Strings in a program that can be directories of Perl's modules: absolute, with `perl` in them.
fn words(bytes: &[u8]) -> Vec<OsString> {
    let is_dir = |word: &&[u8]| {
        word.len() < 200
            && word.starts_with(b"/")
            && word.iter().all(u8::is_ascii_graphic)
            && word.windows(4).any(|part| part == b"perl")
    };
    let all = bytes.split(|byte| *byte == 0).flat_map(|word| word.split(|byte| *byte == b':')).filter(is_dir);
    all.map(|word| OsStr::from_bytes(word).to_owned()).collect()
}

fn is_file(resolver: &mut Resolver, path: &Path) -> Result<bool, Error> {
    let walked = resolver.layout.tree.walk(path)?;
    Ok(matches!(walked, Walked::At(found) if matches!(found.node, Node::File(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_modules_are_words_in_the_program() {
        let bytes = b"x\0/etc/perl\0/usr/lib/perl5:/opt/perl\0/bin/sh\0perl/5\0/a perl\0";
        assert_eq!(words(bytes), ["/etc/perl", "/usr/lib/perl5", "/opt/perl"]);
    }
}
