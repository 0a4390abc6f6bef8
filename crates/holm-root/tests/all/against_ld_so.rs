//! The machine's own files: the closure is what the machine's own loader says. Those files are trusted, so asking it
//! is safe here.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
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

/// Real paths of the dynamic x86-64 ELF files of the machine: of all, or of some that are spread over it.
fn objects() -> Vec<PathBuf> {
    let mut ahead: Vec<PathBuf> = ["/usr", "/opt", "/lib64"].iter().map(PathBuf::from).collect();
    let mut all = BTreeSet::new();
    while let Some(path) = ahead.pop() {
        let Ok(status) = fs::symlink_metadata(&path) else { continue };
        if status.is_dir() {
            let items = fs::read_dir(&path).into_iter().flatten().flatten();
            ahead.extend(items.map(|item| item.path()).filter(|path| path != Path::new("/usr/lib/debug")));
        } else if status.is_file() && is_x86_64(&path) {
            all.insert((status.dev(), status.ino(), path.canonicalize().unwrap()));
        }
    }
    // One name for each file: the loader reads a copy of git only once.
    let mut once = BTreeSet::new();
    let all: Vec<PathBuf> =
        all.into_iter().filter(|(dev, ino, _)| once.insert((*dev, *ino))).map(|(.., path)| path).collect();
    let step = all.len().div_ceil(testkit::much(500, usize::MAX)).max(1);
    all.into_iter().step_by(step).collect()
}

fn is_x86_64(path: &Path) -> bool {
    let mut bytes = [0; 20];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    // ET_EXEC or ET_DYN.
    read.is_ok() && bytes.starts_with(b"\x7fELF\x02\x01") && matches!(bytes[16], 2 | 3) && bytes[18] == 62
}

#[test]
fn every_closure_is_what_the_loader_lists() {
    if !Path::new(LOADER).exists() || Path::new("/etc/ld.so.preload").exists() {
        eprintln!("skipped: needs glibc's loader for x86-64, and no /etc/ld.so.preload");
        return;
    }
    let objects = objects();
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
