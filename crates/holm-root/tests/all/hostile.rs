//! Files made to break their reader: an error or a closure, never a panic, a hang or much memory.

use std::fs;

use holm_root::closure::Error;

use crate::fixture::{Bits, Elf, Root, ld_so_cache};

/// A small generator (xorshift), so that every run tries the same files.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Closures of `rounds` files, each changed in one to four places; small numbers, large ones and flipped bits.
fn mutate(root: &Root, path: &str, whole: &[u8], rounds: usize) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    // Where the structures are: changes elsewhere are hardly ever noticed.
    let reach = whole.len().min(1 << 10);
    for round in 0..rounds {
        let mut bytes = whole.to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(reach);
            match random.below(4) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                2 => bytes[at..].iter_mut().take(8).for_each(|byte| *byte = 0xff),
                _ => bytes[at..].iter_mut().take(8).for_each(|byte| *byte = 0),
            }
        }
        if round % 8 == 0 {
            bytes.truncate(random.below(whole.len()));
        }
        root.file(path, &bytes);
        let _ = root.closure("/bin/app");
    }
}

#[test]
fn changed_programs_libraries_loaders_and_caches_never_panic() {
    let root = Root::new();
    let program = Elf::program().needs("liba.so").rpath("$ORIGIN/../opt/${LIB}:/lib").flag_1(1);
    root.file("/etc/ld.so.cache", ld_so_cache(&[("libb.so", "/opt/libb.so"), ("liba.so", "/lib/liba.so")]));
    let library = Elf::library("liba.so").needs("libb.so").runpath("/opt");
    root.elf("/bin/app", &program);
    root.elf("/lib/liba.so", &library);
    root.elf("/opt/libb.so", &Elf::library("libb.so"));
    assert_eq!(root.libraries("/bin/app"), ["/lib/liba.so", "/opt/libb.so"]);
    mutate(&root, "/bin/app", &program.bytes(), 3000);
    root.elf("/bin/app", &program);
    mutate(&root, "/lib/liba.so", &library.bytes(), 2000);
    root.elf("/lib/liba.so", &library);
    mutate(&root, "/lib64/ld-linux-x86-64.so.2", &Elf::loader(&["/lib"]).bytes(), 1000);
    root.elf("/lib64/ld-linux-x86-64.so.2", &Elf::loader(&["/lib"]));
    mutate(&root, "/etc/ld.so.cache", &ld_so_cache(&[("libb.so", "/opt/libb.so")]), 1000);
    let mut narrow = program;
    narrow.bits = Bits::B32;
    mutate(&root, "/bin/app", &narrow.bytes(), 1000);
    mutate(&root, "/bin/app", &fs::read("/bin/sh").unwrap(), 1000);
}

#[test]
fn every_truncation_is_an_error_that_names_the_file() {
    let root = Root::new();
    let whole = Elf::program().needs("liba.so").bytes();
    root.elf("/lib/liba.so", &Elf::library("liba.so"));
    for len in 4..whole.len() {
        root.file("/bin/app", &whole[..len]);
        match root.closure("/bin/app") {
            Err(Error::Malformed { path, .. }) => assert_eq!(path.to_str(), Some("/bin/app")),
            other => panic!("{len} of {} bytes: {other:?}", whole.len()),
        }
    }
}

/// Seconds that this thread has run: other load doesn't count.
fn cpu() -> i64 {
    rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).tv_sec
}

#[test]
fn many_needs_in_many_directories_end_soon() {
    let root = Root::new();
    let dirs: Vec<String> = (0..20_000).map(|number| format!("/{number}")).collect();
    let mut program = Elf::program().runpath(&dirs.join(":"));
    for number in 0..10_000 {
        program = program.needs(&format!("lib{number}.so"));
    }
    root.elf("/bin/app", &program);
    let start = cpu();
    let error = root.closure("/bin/app").unwrap_err();
    assert!(matches!(error, Error::TooMany { .. }), "{error}");
    let spent = cpu() - start;
    assert!(spent < 20, "{spent} s");
}

#[test]
fn strings_that_overlap_add_up_to_an_error() {
    let root = Root::new();
    let long = "x".repeat(60_000);
    let mut program = Elf::program();
    for _ in 0..20 {
        program = program.needs(&long);
    }
    root.elf("/bin/app", &program);
    let error = root.closure("/bin/app").unwrap_err();
    assert_eq!(error.to_string(), "cannot read /bin/app: the strings of its dynamic section are too long");
}

#[test]
fn a_fifo_or_device_is_never_opened() {
    let root = Root::new();
    root.elf("/bin/app", &Elf::program().needs("liba.so"));
    let fifo = rustix::fs::FileType::Fifo;
    let path = root.at("/lib");
    fs::create_dir_all(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, path.join("liba.so"), fifo, 0o644.into(), 0).unwrap();
    assert!(matches!(root.closure("/bin/app"), Err(Error::MissingLibrary { .. })));
    assert!(matches!(root.closure("/lib/liba.so"), Err(Error::NotFound { .. })));
}
