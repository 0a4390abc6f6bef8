//! The dynamic loaders: glibc's ld.so and musl's, and where each looks for libraries.
//!
//! glibc's default directories are set when it is built, so they are read out of the loader itself: distributions
//! differ (`/lib/x86_64-linux-gnu`, `/lib64`, a Nix store path), and a wrong guess would give a root whose loader
//! can't find what was put there.
//!
//! Sources: ld.so(8); glibc's elf/dl-load.c; musl's ldso/dynlink.c.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::cache::Cache;
use super::elf::{Class, Target};

/// A larger file is no loader; its defaults aren't read.
pub(crate) const LIMIT: u64 = 1 << 23;
/// glibc's list of libraries.
pub(crate) const CACHE: &str = "/etc/ld.so.cache";

pub(crate) enum Family {
    Glibc(Rc<Cache>),
    Musl,
}

pub(crate) struct Loader {
    pub(crate) family: Family,
    /// Where libraries are searched last.
    pub(crate) dirs: Vec<PathBuf>,
    /// What `$LIB` stands for.
    pub(crate) lib: Option<OsString>,
    /// Names by which a library can mean the loader itself.
    pub(crate) names: Vec<OsString>,
}

impl Loader {
    /// Describes glibc's loader from its file's bytes, or by the machine's usual directories.
    pub(crate) fn glibc(bytes: &[u8], target: Target, cache: Rc<Cache>) -> Loader {
        let mut dirs = built_in_dirs(bytes);
        if dirs.is_empty() {
            dirs = usual_dirs(target);
        }
        let lib = dirs.first().and_then(|dir| lib_token(dir));
        Loader { family: Family::Glibc(cache), dirs, lib, names: Vec::new() }
    }

    /// Describes musl's loader; `config` is the text of its path file, if there is one.
    pub(crate) fn musl(config: Option<Vec<u8>>) -> Loader {
        let text = config.unwrap_or_else(|| b"/lib:/usr/local/lib:/usr/lib".to_vec());
        let dirs = text
            .split(|byte| matches!(byte, b':' | b'\n'))
            .map(|dir| PathBuf::from(OsStr::from_bytes(dir)))
            .filter(|dir| dir.is_absolute())
            .collect();
        Loader { family: Family::Musl, dirs, lib: None, names: Vec::new() }
    }

    /// Whether a library of this name is the loader itself.
    pub(crate) fn is_named(&self, name: &OsStr) -> bool {
        match self.family {
            Family::Glibc(_) => self.names.iter().any(|own| own == name),
            Family::Musl => self.names.iter().any(|own| own == name) || built_into_musl(name),
        }
    }

    /// Whether the loader finds a library in the directory `dir` without being told.
    pub(crate) fn knows(&self, dir: &Path) -> bool {
        let plain = match dir.parent() {
            Some(parent) if parent.ends_with("glibc-hwcaps") => parent.parent(),
            _ => Some(dir),
        };
        plain.is_some_and(|plain| self.dirs.iter().any(|own| own == plain))
    }
}

/// Whether a loader at this path is musl's.
pub(crate) fn is_musl(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"ld-musl-"))
}

/// The path file of musl's loader at `path`: `PREFIX/lib/ld-musl-ARCH.so.1` reads `PREFIX/etc/ld-musl-ARCH.path`.
pub(crate) fn musl_config(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.as_bytes();
    let stem = name.split(|byte| *byte == b'.').next()?;
    let file = OsString::from_vec([stem, b".path"].concat());
    Some(path.parent()?.parent()?.join("etc").join(file))
}

/// The path of the loader for objects that name none: shared libraries.
pub(crate) fn usual_path(target: Target) -> Option<&'static Path> {
    machine(target).map(|machine| Path::new(machine.loader))
}

/// What `$PLATFORM` stands for.
pub(crate) fn platform(target: Target) -> Option<&'static str> {
    machine(target).map(|machine| machine.platform)
}

/// The name of a machine whose programs this one can't run.
pub(crate) fn foreign(target: Target) -> Option<&'static str> {
    const OWN: [u16; 2] = [62, 3];
    match machine(target) {
        Some(machine) if OWN.contains(&machine.number) => None,
        Some(machine) => Some(machine.platform),
        None => Some("another machine"),
    }
}

/// Directory names below `glibc-hwcaps`, best first.
pub(crate) fn tunings(target: Target) -> &'static [&'static str] {
    match machine(target) {
        Some(machine) => machine.tunings,
        None => &[],
    }
}

struct Machine {
    number: u16,
    class: Class,
    loader: &'static str,
    triplet: &'static str,
    platform: &'static str,
    tunings: &'static [&'static str],
}

#[rustfmt::skip]
const MACHINES: &[Machine] = &[
    Machine { number: 62, class: Class::Bits64, loader: "/lib64/ld-linux-x86-64.so.2", triplet: "x86_64-linux-gnu",
              platform: "x86_64", tunings: &["x86-64-v4", "x86-64-v3", "x86-64-v2"] },
    Machine { number: 62, class: Class::Bits32, loader: "/libx32/ld-linux-x32.so.2", triplet: "x86_64-linux-gnux32",
              platform: "x86_64", tunings: &["x86-64-v4", "x86-64-v3", "x86-64-v2"] },
    Machine { number: 3, class: Class::Bits32, loader: "/lib/ld-linux.so.2", triplet: "i386-linux-gnu",
              platform: "i686", tunings: &[] },
    Machine { number: 183, class: Class::Bits64, loader: "/lib/ld-linux-aarch64.so.1", triplet: "aarch64-linux-gnu",
              platform: "aarch64", tunings: &[] },
    Machine { number: 40, class: Class::Bits32, loader: "/lib/ld-linux-armhf.so.3", triplet: "arm-linux-gnueabihf",
              platform: "v7l", tunings: &[] },
    Machine { number: 243, class: Class::Bits64, loader: "/lib/ld-linux-riscv64-lp64d.so.1",
              triplet: "riscv64-linux-gnu", platform: "riscv64", tunings: &[] },
    Machine { number: 22, class: Class::Bits64, loader: "/lib/ld64.so.1", triplet: "s390x-linux-gnu",
              platform: "s390x", tunings: &["z16", "z15", "z14", "z13"] },
    Machine { number: 21, class: Class::Bits64, loader: "/lib64/ld64.so.2", triplet: "powerpc64le-linux-gnu",
              platform: "ppc64le", tunings: &["power10", "power9"] },
];

fn machine(target: Target) -> Option<&'static Machine> {
    MACHINES.iter().find(|m| m.number == target.machine && m.class == target.class)
}

fn usual_dirs(target: Target) -> Vec<PathBuf> {
    let own = machine(target).map(|m| [format!("/lib/{}", m.triplet), format!("/usr/lib/{}", m.triplet)]);
    let wide: &[&str] = match target.class {
        Class::Bits64 => &["/lib64", "/usr/lib64", "/lib", "/usr/lib"],
        Class::Bits32 => &["/lib", "/usr/lib"],
    };
    own.into_iter().flatten().chain(wide.iter().map(|dir| (*dir).to_owned())).map(PathBuf::from).collect()
}

/// Finds `system_dirs` of glibc's elf/dl-load.c: strings one behind the other, each `/…lib…/`.
fn built_in_dirs(bytes: &[u8]) -> Vec<PathBuf> {
    let is_dir = |text: &&[u8]| {
        text.len() > 4
            && text.starts_with(b"/")
            && text.ends_with(b"/")
            && text.iter().all(u8::is_ascii_graphic)
            && text.windows(4).any(|part| part == b"/lib")
    };
    bytes
        .split(|byte| *byte == 0)
        .skip_while(|text| !is_dir(text))
        .take_while(is_dir)
        .map(|text| Path::new(OsStr::from_bytes(text)).components().collect())
        .collect()
}

/// glibc's `$LIB` is the library directory relative to `/` or `/usr`: `lib/x86_64-linux-gnu`, `lib64`, `lib`.
fn lib_token(first: &Path) -> Option<OsString> {
    let relative = first.strip_prefix("/usr").or_else(|_| first.strip_prefix("/")).ok()?;
    let token = match relative.as_os_str().as_bytes().starts_with(b"lib") {
        true => relative.as_os_str(),
        false => relative.file_name()?,
    };
    Some(token.to_owned())
}

/// musl keeps its parts in one file and never searches for these: ldso/dynlink.c `load_library`.
fn built_into_musl(name: &OsStr) -> bool {
    const PARTS: [&[u8]; 7] = [b"c", b"pthread", b"rt", b"m", b"dl", b"util", b"xnet"];
    let part = name.as_bytes().strip_prefix(b"lib").map(|rest| rest.split(|byte| *byte == b'.'));
    part.and_then(|mut parts| Some((parts.next()?, parts.next()?))).is_some_and(|(part, _)| PARTS.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glibcs_directories_are_read_from_its_file() {
        let bytes = b"\x7fELF\0/var/tmp\0/\0x/lib/y/\0/lib/x86_64-linux-gnu/\0/usr/lib/\0\0/lib/other/\0";
        assert_eq!(built_in_dirs(bytes), [Path::new("/lib/x86_64-linux-gnu"), Path::new("/usr/lib")]);
        assert!(built_in_dirs(b"/lib64\0").is_empty());
    }

    #[test]
    fn lib_is_relative_to_the_prefix() {
        let token = |dir: &str| lib_token(Path::new(dir)).and_then(|token| token.into_string().ok());
        assert_eq!(token("/lib/x86_64-linux-gnu").as_deref(), Some("lib/x86_64-linux-gnu"));
        assert_eq!(token("/usr/lib64").as_deref(), Some("lib64"));
        assert_eq!(token("/nix/store/x-glibc/lib").as_deref(), Some("lib"));
    }

    #[test]
    fn musl_is_its_own_libc() {
        let loader = Loader::musl(None);
        assert!(loader.is_named(OsStr::new("libc.musl-x86_64.so.1")));
        assert!(loader.is_named(OsStr::new("libpthread.so.0")));
        assert!(!loader.is_named(OsStr::new("libcrypto.so.3")));
        assert_eq!(loader.dirs.len(), 3);
        let config = musl_config(Path::new("/lib/ld-musl-x86_64.so.1"));
        assert_eq!(config.as_deref(), Some(Path::new("/etc/ld-musl-x86_64.path")));
    }
}
