//! What the fuzz targets call, each with any bytes: nothing may panic, hang or answer two ways.

#[path = "debian.rs"]
pub mod debian;
#[path = "image.rs"]
pub mod image;
#[path = "containers.rs"]
pub mod oci;
#[path = "plain.rs"]
pub mod plain;

use holm::model::seccomp::{ARCHITECTURE, Action, Call, Comparison, Condition, Filter, Rule, answer};
use holm_cli::parsers;
use holm_root::progress::untold;
use holm_root::store::{Source, Store};
use holm_root::unpack::Limits;
use plain::plain;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A profile.
pub fn profile(bytes: &[u8]) {
    let _ = parsers::profile(bytes);
}

/// Files of /proc.
pub fn proc(bytes: &[u8]) {
    let _ = holm::inspect::parsers::of_process(bytes) + holm::doctor::parsers::of_machine(bytes);
}

/// What engines keep about containers.
pub fn containers(bytes: &[u8]) {
    let _ = parsers::containers(bytes);
}

/// A recipe of a root.
pub fn recipe(bytes: &[u8]) {
    let _ = parsers::recipe(bytes);
}

/// What is known of kept changes: what is taken can be written and is taken again.
pub fn about(bytes: &[u8]) {
    if let Ok(about) = holm_root::changes::About::parse(bytes, "fuzz") {
        let text = serde_json::to_vec(&about).expect("it can be written");
        assert_eq!(holm_root::changes::About::parse(&text, "fuzz"), Ok(about));
    }
}

/// A filter in OCI's form; one that is taken and not too long answers as its rules say.
pub fn filter(bytes: &[u8]) {
    if let Some(filter) = std::str::from_utf8(bytes).ok().and_then(parsers::filter) {
        check(&filter, &mut Bytes(bytes));
    }
}

/// Values of options. Splitting takes back what joining made.
pub fn options(bytes: &[u8]) {
    let _ = parsers::options(bytes);
    let parts: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    // A backslash at a part's end would escape the colon.
    if parts.iter().all(|part| !part.contains(&b'\\')) {
        let escape =
            |part: &&[u8]| part.iter().flat_map(|&b| if b == b':' { vec![b'\\', b] } else { vec![b] }).collect();
        let joined = parts.iter().map(escape).collect::<Vec<Vec<u8>>>().join(&b':');
        let split = parsers::split(OsStr::from_bytes(&joined));
        assert!(split.iter().map(|part| part.as_bytes()).eq(parts), "{joined:?}");
    }
}

/// A filter that the bytes make up.
pub fn compiler(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let mut calls = BTreeMap::new();
    let otherwise = action(bytes.byte());
    let unknown_from = bytes.number() as u32;
    for _ in 0..bytes.byte() {
        let number = bytes.number() as u32 % 600;
        let rules = (0..bytes.byte() % 4).map(|_| rule(&mut bytes)).collect();
        calls.insert(number, rules);
    }
    check(&Filter { calls, otherwise, unknown_from, flags: 0 }, &mut bytes);
}

fn check(filter: &Filter, bytes: &mut Bytes<'_>) {
    let Ok(compiled) = filter.compile() else { return };
    let edges = filter.calls.keys().flat_map(|&number| [number, number.wrapping_add(1)]);
    let numbers: Vec<u32> = edges.chain([0, filter.unknown_from, 0x3fff_ffff, 0x4000_0000, u32::MAX]).collect();
    // Arguments near those that are compared with.
    let values = filter.calls.values().flatten().flat_map(|rule| &rule.conditions).map(|c| c.value);
    let values: Vec<u64> = values.chain([0, u64::MAX]).collect();
    for number in numbers {
        for _ in 0..4 {
            let near = |bytes: &mut Bytes<'_>| {
                let value = values[usize::from(bytes.byte()) % values.len()];
                [value, value.wrapping_add(1), value.wrapping_sub(1), value ^ 1 << 32][usize::from(bytes.byte()) % 4]
            };
            let arguments = std::array::from_fn(|_| near(bytes));
            let architecture = if bytes.byte() == 255 { 0x4000_0003 } else { ARCHITECTURE };
            let call = Call { number, architecture, instruction_pointer: 0, arguments };
            assert_eq!(answer(&compiled, &call), plain(filter, &call), "{call:?} of {filter:?}");
        }
    }
}

fn rule(bytes: &mut Bytes<'_>) -> Rule {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let comparisons = [Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual];
    let condition = |bytes: &mut Bytes<'_>| Condition {
        argument: bytes.byte() % 6,
        mask: if bytes.byte().is_multiple_of(2) { u64::MAX } else { bytes.number() },
        comparison: comparisons[usize::from(bytes.byte()) % comparisons.len()],
        value: bytes.number(),
    };
    let conditions = (0..bytes.byte() % 4).map(|_| condition(bytes)).collect();
    Rule { conditions, action: action(bytes.byte()) }
}

fn action(byte: u8) -> Action {
    let actions = [Action::Allow, Action::Log, Action::Errno(1), Action::Errno(22), Action::Trap, Action::KillThread];
    actions[usize::from(byte) % actions.len()]
}

/// A program.
pub fn elf(root: &Root, bytes: &[u8]) {
    root.put("bin/program", bytes);
    root.close("/bin/program");
}

/// glibc's list of libraries.
pub fn cache(root: &Root, bytes: &[u8]) {
    root.put("etc/ld.so.cache", bytes);
    root.close("/bin/true");
}

/// An archive of files: what is stored is whole, and nothing is made outside of the store.
pub fn archive(root: &Root, bytes: &[u8]) {
    root.put("archive", &summed(bytes));
    let (archive, store) = (root.0.join("archive"), root.0.join("store"));
    let limits = Limits { bytes: 1 << 20, members: 1000 };
    let open = || Store::open(&store).expect("it is the caller's");
    let source = Source::find(&archive, limits).expect("it is a file");
    if open().import(source, "fuzz", &mut untold).is_ok() {
        assert_eq!(open().verify("fuzz").expect("it was stored"), [], "{}", bytes.escape_ascii());
        open().export("fuzz", std::io::sink()).expect("it was stored");
        let writer = open().write().expect("the temporary directory can be written");
        writer.remove("fuzz").expect("nobody runs in it");
    }
    let left = fs::read_dir(&root.0).expect("it is the caller's").flatten().map(|entry| entry.file_name());
    assert!(left.into_iter().all(|name| name == "archive" || name == "store"), "{}", bytes.escape_ascii());
}

/// The archive with the right sum in each header (tar(5)): by chance there would be none, and nothing read behind it.
fn summed(bytes: &[u8]) -> Vec<u8> {
    let mut all = bytes.to_vec();
    let mut at = 0;
    while let Some(header) = all.get_mut(at..at + 512) {
        if header.iter().any(|byte| *byte != 0) {
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        }
        let size = std::str::from_utf8(&header[124..135]).ok().and_then(|text| usize::from_str_radix(text, 8).ok());
        at = size.unwrap_or(0).div_ceil(512).saturating_add(1).saturating_mul(512).saturating_add(at);
        if at > usize::MAX - 512 {
            break;
        }
    }
    all
}

/// A directory with files, gone when dropped.
pub struct Root(PathBuf);

impl Root {
    /// Makes an empty one.
    pub fn empty() -> Root {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("holm-fuzz-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = Root(std::env::temp_dir().join(name));
        fs::create_dir_all(&root.0).expect("the temporary directory can be written");
        root
    }

    /// Makes one with a program and its loader.
    pub fn make() -> Root {
        let root = Root::empty();
        for (name, from) in [("bin/true", "/bin/true"), ("lib64/ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2")] {
            root.put(name, &fs::read(from).expect("a system has it"));
        }
        root
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("the temporary directory can be written");
        fs::write(path, bytes).expect("the temporary directory can be written");
    }

    fn close(&self, program: &str) {
        let _ = holm_root::closure::closure(&[OsString::from(program)], &self.0);
        let _ = holm_root::closure::missing(program.as_ref(), &self.0);
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Bytes one after the other; zeros when they are used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// One of few, likely to meet another; or any.
    fn number(&mut self) -> u64 {
        match self.byte() {
            kind @ 0..=6 => [0, 1, 2, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, u64::MAX][usize::from(kind)],
            7..=127 => u64::from(self.byte()) << (self.byte() % 64),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }
}
