//! The first line of a script: `#!INTERPRETER ARGUMENT`.
//!
//! Source: execve(2), "Interpreter scripts", and fs/binfmt_script.c; for `env -S`, env(1).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// Bytes of the line that the kernel looks at.
const LINE: usize = 256;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) interpreter: PathBuf,
    /// The program that `env` is to look for, where the interpreter is an `env`.
    pub(crate) program: Option<OsString>,
}

/// Reads the beginning of a file that starts with `#!`; `None` if it names no interpreter.
pub(crate) fn parse(head: &[u8]) -> Option<Script> {
    let line = head.get(..head.len().min(LINE))?.strip_prefix(b"#!")?;
    let line = line.split(|byte| matches!(byte, b'\n' | 0)).next()?.trim_ascii();
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let (interpreter, argument) = line.split_at(end);
    if interpreter.is_empty() {
        return None;
    }
    let interpreter = PathBuf::from(OsStr::from_bytes(interpreter));
    let argument = argument.trim_ascii();
    let program = match interpreter.file_name() {
        Some(name) if name == "env" => env_program(argument),
        _ => None,
    };
    Some(Script { interpreter, program })
}

/// The kernel hands over the rest of the line as one argument; only `-S` makes `env` split it.
fn env_program(argument: &[u8]) -> Option<OsString> {
    let split = [&b"--split-string"[..], b"-vS", b"-S"].iter().find_map(|option| argument.strip_prefix(*option));
    let Some(words) = split else {
        let plain = !argument.is_empty() && !argument.starts_with(b"-") && !argument.contains(&b'=');
        return plain.then(|| OsString::from_vec(argument.to_vec()));
    };
    let words = words.strip_prefix(b"=").unwrap_or(words);
    let mut words = words.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(unquoted);
    while let Some(word) = words.next() {
        match word {
            // These have a word of their own behind them.
            b"-u" | b"-C" | b"--unset" | b"--chdir" => {
                words.next();
            }
            _ if word.starts_with(b"-") || word.contains(&b'=') => {}
            _ => return Some(OsString::from_vec(word.to_vec())),
        }
    }
    None
}

fn unquoted(word: &[u8]) -> &[u8] {
    let inner = |quote: &[u8]| word.strip_prefix(quote)?.strip_suffix(quote);
    inner(b"\"").or_else(|| inner(b"'")).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Option<(String, Option<String>)> {
        let text = |os: OsString| os.into_string().expect("text is ASCII");
        parse(head.as_bytes()).map(|s| (text(s.interpreter.into_os_string()), s.program.map(text)))
    }

    fn found(interpreter: &str, program: Option<&str>) -> Option<(String, Option<String>)> {
        Some((interpreter.to_owned(), program.map(str::to_owned)))
    }

    #[test]
    fn the_interpreter_ends_at_a_blank() {
        assert_eq!(read("#!/bin/sh\nrest"), found("/bin/sh", None));
        assert_eq!(read("#! \t/bin/sh -e \n"), found("/bin/sh", None));
        assert_eq!(read("#!/bin/sh"), found("/bin/sh", None));
        assert_eq!(read("#!\n/bin/sh"), None);
    }

    #[test]
    fn env_names_a_program() {
        assert_eq!(read("#!/usr/bin/env perl\n"), found("/usr/bin/env", Some("perl")));
        assert_eq!(read("#!/usr/bin/env -S perl -w\n"), found("/usr/bin/env", Some("perl")));
        assert_eq!(read("#!/usr/bin/env -S -i A=b -u C 'perl' -w\n"), found("/usr/bin/env", Some("perl")));
        assert_eq!(read("#!/usr/bin/env --split-string=perl -w\n"), found("/usr/bin/env", Some("perl")));
        assert_eq!(read("#!/usr/bin/env\n"), found("/usr/bin/env", None));
    }

    #[test]
    fn only_as_much_counts_as_the_kernel_reads() {
        let long = format!("#!/{}\n", "x".repeat(1000));
        assert_eq!(read(&long).map(|(interpreter, _)| interpreter.len()), Some(LINE - 2));
    }
}
