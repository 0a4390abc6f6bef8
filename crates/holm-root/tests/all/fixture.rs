//! Made-up ELF files and trees. The ELF files can't run; they say only what a loader reads before it loads.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use holm_root::closure::{Entry, Error, Kind, closure};
use tempfile::TempDir;

const X86_64: u16 = 62;
/// Where the one segment is loaded: offsets and addresses must not be the same thing.
const BASE: u64 = 0x40_0000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bits {
    B32,
    B64,
}

/// An ELF file, described by what the loader would read in it.
#[derive(Clone)]
pub(crate) struct Elf {
    pub(crate) bits: Bits,
    pub(crate) machine: u16,
    interpreter: Option<String>,
    /// Tags of the dynamic section with strings.
    strings: Vec<(u64, String)>,
    /// Tags with numbers.
    numbers: Vec<(u64, u64)>,
    note: Vec<u8>,
    tail: Vec<u8>,
}

impl Elf {
    pub(crate) fn library(soname: &str) -> Elf {
        let elf = Elf {
            bits: Bits::B64,
            machine: X86_64,
            interpreter: None,
            strings: Vec::new(),
            numbers: Vec::new(),
            note: Vec::new(),
            tail: Vec::new(),
        };
        if soname.is_empty() { elf } else { elf.string(14, soname) }
    }

    pub(crate) fn program() -> Elf {
        Elf::library("").interpreter("/lib64/ld-linux-x86-64.so.2")
    }

    /// A loader like glibc's, with its default directories.
    pub(crate) fn loader(dirs: &[&str]) -> Elf {
        let mut elf = Elf::library("ld-linux-x86-64.so.2");
        elf.tail = dirs.iter().flat_map(|dir| format!("\0{dir}/").into_bytes()).chain([0]).collect();
        elf
    }

    pub(crate) fn interpreter(mut self, path: &str) -> Elf {
        self.interpreter = Some(path.to_owned());
        self
    }

    pub(crate) fn needs(self, name: &str) -> Elf {
        self.string(1, name)
    }

    pub(crate) fn rpath(self, dirs: &str) -> Elf {
        self.string(15, dirs)
    }

    pub(crate) fn runpath(self, dirs: &str) -> Elf {
        self.string(29, dirs)
    }

    pub(crate) fn audit(self, path: &str) -> Elf {
        self.string(0x6fff_fefc, path)
    }

    pub(crate) fn filters(self, name: &str) -> Elf {
        self.string(0x7fff_ffff, name)
    }

    pub(crate) fn auxiliary(self, name: &str) -> Elf {
        self.string(0x7fff_fffd, name)
    }

    /// Says in a note what it opens while it runs.
    pub(crate) fn opens(mut self, json: &str) -> Elf {
        let number = |value: u32| value.to_le_bytes();
        self.note = [number(4), number(json.len() as u32), number(0x407c_0c0a), *b"FDO\0"].concat();
        self.note.extend_from_slice(json.as_bytes());
        self.note.resize(self.note.len().next_multiple_of(4), 0);
        self
    }

    /// Sets a flag of `DT_FLAGS_1`.
    pub(crate) fn flag_1(mut self, flag: u64) -> Elf {
        self.numbers.push((0x6fff_fffb, flag));
        self
    }

    fn string(mut self, tag: u64, text: &str) -> Elf {
        self.strings.push((tag, text.to_owned()));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let word = |value: u64| match self.bits {
            Bits::B64 => value.to_le_bytes().to_vec(),
            Bits::B32 => (value as u32).to_le_bytes().to_vec(),
        };
        let (header, each) = if self.bits == Bits::B64 { (64, 56) } else { (52, 32) };
        let mut body = Vec::new();
        let start = header + 4 * each;
        let mut pool = vec![0_u8];
        let mut dynamic = Vec::new();
        for (tag, text) in &self.strings {
            dynamic.extend([word(*tag), word(pool.len() as u64)].concat());
            pool.extend([text.as_bytes(), b"\0"].concat());
        }
        for (tag, value) in &self.numbers {
            dynamic.extend([word(*tag), word(*value)].concat());
        }
        let pool_at = start as u64;
        dynamic.extend([word(5), word(BASE + pool_at), word(0), word(0)].concat());
        body.extend(&pool);
        let interpreter_at = (start + body.len()) as u64;
        let interpreter = self.interpreter.iter().flat_map(|path| [path.as_bytes(), b"\0"].concat());
        body.extend(interpreter);
        let interpreter_size = (start + body.len()) as u64 - interpreter_at;
        let dynamic_at = (start + body.len()) as u64;
        body.extend(&dynamic);
        let note_at = (start + body.len()) as u64;
        body.extend(&self.note);
        body.extend(&self.tail);
        let whole = (start + body.len()) as u64;
        let interpreter_type = if self.interpreter.is_some() { 3 } else { 0 };
        let note_type = if self.note.is_empty() { 0 } else { 4 };
        let segments = [
            self.segment(1, 0, whole),
            self.segment(interpreter_type, interpreter_at, interpreter_size),
            self.segment(2, dynamic_at, dynamic.len() as u64),
            self.segment(note_type, note_at, self.note.len() as u64),
        ];
        [self.header(header, each), segments.concat(), body].concat()
    }

    fn header(&self, size: usize, each: usize) -> Vec<u8> {
        let wide = self.bits == Bits::B64;
        let mut bytes = vec![0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, 1, 1];
        bytes.resize(16, 0);
        let mut put = |value: u64, width: usize| bytes.extend(&value.to_le_bytes()[..width]);
        let word = if wide { 8 } else { 4 };
        put(3, 2);
        put(u64::from(self.machine), 2);
        put(1, 4);
        put(0, word);
        put(size as u64, word);
        put(0, word);
        put(0, 4);
        for half in [size, each, 4, 0, 0, 0] {
            put(half as u64, 2);
        }
        assert_eq!(bytes.len(), size);
        bytes
    }

    fn segment(&self, kind: u64, offset: u64, size: u64) -> Vec<u8> {
        let fields: &[(u64, usize)] = match self.bits {
            Bits::B64 => &[(kind, 4), (4, 4), (offset, 8), (BASE + offset, 8), (0, 8), (size, 8), (size, 8), (1, 8)],
            Bits::B32 => &[(kind, 4), (offset, 4), (BASE + offset, 4), (0, 4), (size, 4), (size, 4), (4, 4), (1, 4)],
        };
        fields.iter().flat_map(|(value, width)| value.to_le_bytes()[..*width].to_vec()).collect()
    }
}

/// A directory tree to be read as if it were `/`.
pub(crate) struct Root {
    dir: TempDir,
}

impl Root {
    pub(crate) fn empty() -> Root {
        Root { dir: TempDir::new().unwrap() }
    }

    /// A tree with glibc's loader, which knows /lib and /usr/lib.
    pub(crate) fn new() -> Root {
        let root = Root::empty();
        root.elf("/lib64/ld-linux-x86-64.so.2", &Elf::loader(&["/lib", "/usr/lib"]));
        root
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.path().join(path.trim_start_matches('/'))
    }

    pub(crate) fn file(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn elf(&self, path: &str, elf: &Elf) {
        self.file(path, elf.bytes());
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    pub(crate) fn closure(&self, program: &str) -> Result<Vec<Entry>, Error> {
        closure(&[OsString::from(program)], self.path())
    }

    /// The closure's files and links, sorted: `PATH`, or `PATH -> TARGET`.
    pub(crate) fn found(&self, program: &str) -> Vec<String> {
        let mut all: Vec<_> = self.closure(program).unwrap().iter().filter_map(spelled).collect();
        all.sort();
        all
    }

    /// The closure's files without the program and its loader.
    pub(crate) fn libraries(&self, program: &str) -> Vec<String> {
        let own = |path: &String| path == program || path.starts_with("/lib64/ld-") || path.contains(" -> ");
        self.found(program).into_iter().filter(|path| !own(path)).collect()
    }
}

fn spelled(entry: &Entry) -> Option<String> {
    let path = entry.path.display();
    match &entry.kind {
        Kind::Dir => None,
        Kind::File => Some(path.to_string()),
        Kind::Link { target } => Some(format!("{path} -> {}", target.display())),
    }
}

/// glibc's cache of libraries, new format: names and paths.
pub(crate) fn ld_so_cache(items: &[(&str, &str)]) -> Vec<u8> {
    let strings_at = 48 + 24 * items.len();
    let (mut table, mut strings) = (Vec::new(), Vec::new());
    for (name, path) in items {
        let at = (strings_at + strings.len()) as u32;
        strings.extend([name.as_bytes(), b"\0", path.as_bytes(), b"\0"].concat());
        for number in [0x303, at, at + name.len() as u32 + 1, 0, 0, 0] {
            table.extend(number.to_le_bytes());
        }
    }
    let mut bytes = b"glibc-ld.so.cache1.1".to_vec();
    bytes.extend((items.len() as u32).to_le_bytes());
    bytes.extend((strings.len() as u32).to_le_bytes());
    bytes.push(2);
    bytes.resize(48, 0);
    [bytes, table, strings].concat()
}
