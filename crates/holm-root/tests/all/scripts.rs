//! Scripts lead to their interpreters; nothing is ever run.

use std::fs;

use holm_root::closure::{Error, Levels};

use crate::fixture::{Elf, Root};

#[test]
fn a_script_brings_its_interpreter() {
    let root = Root::new();
    root.link("/bin", "usr/bin");
    root.elf("/usr/bin/sh", &Elf::program());
    root.file("/usr/bin/hello", "#! /bin/sh -e\necho hello\n");
    let found = root.found("hello");
    assert_eq!(found, ["/bin -> usr/bin", "/lib64/ld-linux-x86-64.so.2", "/usr/bin/hello", "/usr/bin/sh"]);
    let entries = root.closure("hello").unwrap();
    let shell = entries.iter().find(|e| e.path.ends_with("usr/bin/sh")).unwrap();
    assert_eq!(shell.because.to_str(), Some("/usr/bin/hello"));
}

#[test]
fn env_brings_the_program_it_looks_for() {
    let root = Root::new();
    root.elf("/usr/bin/env", &Elf::library(""));
    root.elf("/usr/local/bin/perl", &Elf::library(""));
    root.file("/bin/plain", "#!/usr/bin/env perl\n");
    root.file("/bin/split", "#!/usr/bin/env -S perl -w\n");
    root.file("/bin/lost", "#!/usr/bin/env lua\n");
    assert_eq!(root.found("plain"), ["/bin/plain", "/usr/bin/env", "/usr/local/bin/perl"]);
    assert_eq!(root.found("split"), ["/bin/split", "/usr/bin/env", "/usr/local/bin/perl"]);
    assert!(matches!(root.closure("lost"), Err(Error::NotFound { name }) if name == "lua"));
}

#[test]
fn a_missing_interpreter_names_its_script() {
    let root = Root::new();
    root.file("/bin/old", "#!/usr/bin/python2\n");
    root.file("/bin/odd", "#!python\n");
    let error = root.closure("old").unwrap_err().to_string();
    assert_eq!(error, "cannot find interpreter /usr/bin/python2: no such file, but /bin/old needs it");
    assert!(matches!(root.closure("odd"), Err(Error::MissingInterpreter { .. })));
}

#[test]
fn scripts_that_interpret_each_other_end_after_4() {
    let root = Root::new();
    root.elf("/s/0", &Elf::library(""));
    for number in 1..=5 {
        root.file(&format!("/s/{number}"), format!("#!/s/{}\n", number - 1));
    }
    assert_eq!(root.found("/s/4").len(), 5);
    assert!(matches!(root.closure("/s/5"), Err(Error::Loop { of: Levels::Scripts, .. })));
    root.file("/s/self", "#!/s/self\n");
    assert!(matches!(root.closure("/s/self"), Err(Error::Loop { of: Levels::Scripts, .. })));
    root.elf("/usr/bin/env", &Elf::library(""));
    root.file("/s/again", "#!/usr/bin/env /s/again\n");
    assert_eq!(root.found("/s/again"), ["/s/again", "/usr/bin/env"]);
}

#[test]
fn a_trap_in_place_of_the_loader_or_an_audit_library_is_never_run() {
    let root = Root::new();
    let witness = root.at("/witness");
    let trap = format!("#!/bin/sh\ntouch '{}'\n", witness.display());
    // What ldd would run: the file's own interpreter.
    root.file("/trap", &trap);
    root.elf("/app", &Elf::program().interpreter("/trap"));
    let error = root.closure("/app").unwrap_err();
    assert_eq!(error.to_string(), "cannot read /trap: it is named as a program's loader but isn't an ELF file");
    // What running the right loader would run: a library's own code, and what DT_AUDIT (0x6ffffefc) names.
    let audit = Elf::program().needs("liba.so").audit("/lib/audit.so");
    root.elf("/audited", &audit);
    root.elf("/lib/liba.so", &Elf::library("liba.so"));
    root.elf("/lib/audit.so", &Elf::library("audit.so"));
    assert_eq!(root.libraries("/audited"), ["/lib/liba.so"]);
    // A file name that a shell would take for a command.
    let name = format!("/bin/x;touch {};", witness.display().to_string().replace('/', "$HOME"));
    root.file(&name, "");
    assert!(root.closure(&name).is_err());
    assert!(!fs::exists(witness).unwrap());
}
