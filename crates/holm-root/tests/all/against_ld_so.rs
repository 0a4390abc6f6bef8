//! The machine's own files: the closure is what the machine's own loader says. Those files are trusted, so asking it
//! is safe here.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use holm_root::closure::{Entry, Kind, Lack, closure, missing};

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// What a loader finds and doesn't find.
#[derive(Debug, Default, PartialEq, Eq)]
struct Libraries {
    files: BTreeSet<PathBuf>,
    missing: BTreeSet<OsString>,
}

fn told_by_the_loader(file: &Path) -> Option<Libraries> {
    // Its output is for eyes; an object that it refuses for other reasons has none.
    let output = Command::new(LOADER).arg("--list").arg(file).env_clear().output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    if text.trim() == "statically linked" {
        return Some(Libraries::default());
    }
    let mut told = Libraries::default();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with("linux-vdso.so")) {
        match line.split_once(" => ") {
            Some((name, "not found")) => {
                told.missing.insert(name.into());
            }
            Some((_, path)) => told.add(path),
            None => told.add(line),
        }
    }
    (output.status.success() || !told.missing.is_empty()).then_some(told)
}

impl Libraries {
    /// Takes `PATH (0xADDRESS)`.
    fn add(&mut self, text: &str) {
        let path = text.rsplit_once(" (0x").unwrap_or_else(|| panic!("not understood: {text}")).0;
        self.insert(Path::new(path));
    }

    /// Takes a file, unless it is the loader: that one isn't listed for every library.
    fn insert(&mut self, path: &Path) {
        let real = path.canonicalize().unwrap();
        if real != Path::new(LOADER).canonicalize().unwrap() {
            self.files.insert(real);
        }
    }
}

fn found(file: &Path) -> Libraries {
    let mut all = Libraries::default();
    match closure(&[file.as_os_str().to_owned()], Path::new("/")) {
        Ok(entries) => {
            let is_library = |e: &&Entry| e.kind == Kind::File && e.path != file && !e.path.ends_with("ld.so.cache");
            entries.iter().filter(is_library).for_each(|e| all.insert(&e.path));
        }
        Err(error) => {
            let names = missing(file, Path::new("/")).into_iter();
            all.missing = names.filter(|m| m.what == Lack::Library).map(|m| m.name).collect();
            assert!(!all.missing.is_empty(), "{}: {error}", file.display());
        }
    }
    all
}

/// Real paths of the dynamic x86-64 ELF files in some directories.
fn objects() -> BTreeSet<PathBuf> {
    let dirs = ["/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu"];
    let files = dirs.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
    let files = files.filter_map(|item| item.path().canonicalize().ok());
    files.filter(|path| path.is_file() && is_x86_64(path)).collect()
}

fn is_x86_64(path: &Path) -> bool {
    let Ok(bytes) = fs::read(path) else { return false };
    bytes.starts_with(b"\x7fELF\x02\x01") && bytes.get(16..20).is_some_and(|at| at[0] != 1 && at[2] == 62)
}

#[test]
fn every_closure_is_what_the_loader_lists() {
    if !Path::new(LOADER).exists() || Path::new("/etc/ld.so.preload").exists() {
        eprintln!("skipped: needs glibc's loader for x86-64, and no /etc/ld.so.preload");
        return;
    }
    let objects: Vec<PathBuf> = objects().into_iter().collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let compare = |chunk: &[PathBuf]| {
        let told = chunk.iter().filter_map(|file| Some((file, told_by_the_loader(file)?)));
        let differ = |(file, told): (&PathBuf, Libraries)| {
            let mut ours = found(file);
            if !told.missing.is_empty() {
                // An incomplete closure has no files.
                assert!(ours.files.is_empty(), "{}", file.display());
                ours.files.clone_from(&told.files);
            }
            assert_eq!(ours, told, "{}", file.display());
        };
        told.map(differ).count()
    };
    let compared: usize = std::thread::scope(|scope| {
        let chunks = objects.chunks(objects.len().div_ceil(threads).max(1));
        let running: Vec<_> = chunks.map(|chunk| scope.spawn(move || compare(chunk))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    eprintln!("{compared} of {} objects compared", objects.len());
    assert!(compared * 10 >= objects.len() * 9, "{compared} of {}", objects.len());
}
