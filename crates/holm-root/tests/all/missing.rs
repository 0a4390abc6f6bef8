//! The diagnosis of a root made by hand.

use std::path::Path;

use holm_root::closure::{Lack, missing};

use crate::fixture::{Elf, Root};

fn texts(root: &Root, program: &str) -> Vec<String> {
    missing(Path::new(program), root.path()).iter().map(ToString::to_string).collect()
}

#[test]
fn all_that_is_missing_is_told_at_once() {
    let root = Root::empty();
    root.elf("/bin/app", &Elf::program().needs("liba.so").needs("libb.so").needs("libc.so"));
    root.elf("/lib/libb.so", &Elf::library("libb.so").needs("libd.so").needs("libc.so"));
    let expected = [
        "interpreter /lib64/ld-linux-x86-64.so.2, needed by /bin/app",
        "library liba.so, needed by /bin/app",
        "library libc.so, needed by /bin/app",
        "library libd.so, needed by /lib/libb.so",
    ];
    assert_eq!(texts(&root, "/bin/app"), expected);
}

#[test]
fn a_complete_root_misses_nothing() {
    let root = Root::new();
    root.elf("/bin/app", &Elf::program().needs("liba.so"));
    root.elf("/lib/liba.so", &Elf::library("liba.so"));
    assert_eq!(missing(Path::new("/bin/app"), root.path()), []);
}

#[test]
fn the_program_its_interpreter_and_the_root_itself_can_be_missing() {
    let root = Root::empty();
    root.file("/bin/script", "#!/bin/sh\n");
    assert_eq!(texts(&root, "/bin/app"), ["program /bin/app"]);
    assert_eq!(texts(&root, "/bin/script"), ["interpreter /bin/sh, needed by /bin/script"]);
    let nowhere = missing(Path::new("/bin/app"), &root.at("/nowhere"));
    assert!(matches!(&nowhere[..], [one] if matches!(one.what, Lack::Unusable { .. })));
}

#[test]
fn a_malformed_library_is_unusable() {
    let root = Root::new();
    root.elf("/bin/app", &Elf::program().needs("liba.so").needs("libb.so"));
    root.file("/lib/libb.so", b"\x7fELF");
    let expected = ["library liba.so, needed by /bin/app", "cannot read /lib/libb.so: its ELF class is unknown"];
    assert_eq!(texts(&root, "/bin/app"), expected);
}
