//! dpkg's database of packages that are unpacked and not yet configured, as dpkg itself would have left it.
//!
//! | path below `/var/lib/dpkg` | what |
//! |---|---|
//! | `status` | a paragraph a package: what it says of itself, its state, its configuration files with their MD5 |
//! | `info/KEY.list`, `info/KEY.md5sums` and so on | its paths, their hashes, its scripts |
//! | `info/format` | `1` |
//! | `triggers/File`, `triggers/NAME` | which packages wait for a path or a name |
//! | `triggers/Unincorp` | what was triggered so far |
//!
//! Configuration files are in place at once, so their state is that of installed ones. Priority and section are the
//! archive's, as apt tells them to dpkg. Source: dpkg(1), deb-triggers(5); the forms are those that dpkg writes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use super::package::Package;
use super::unpack::{Failed, Unpacked};
use crate::tree::Tree;

const DATABASE: &str = "var/lib/dpkg";
/// So much of a file's mode counts for a script.
const EXECUTABLE: u32 = 0o111;

/// Writes the database.
pub(super) fn write(tree: &mut Tree, packages: &[&Package], all: &[Unpacked]) -> Result<(), Failed> {
    for name in ["alternatives", "info", "parts", "triggers", "updates"] {
        tree.reach(format!("{DATABASE}/{name}").as_bytes()).map_err(|error| (0, error.into()))?;
    }
    let mut status = BTreeMap::new();
    let mut triggers = Triggers::default();
    for (at, (package, unpacked)) in packages.iter().zip(all).enumerate().filter(|(_, (_, one))| one.done) {
        let failed = |error: io::Error| (at, error);
        info(tree, unpacked).map_err(failed)?;
        status.insert(unpacked.control.key(), paragraph(package, unpacked).map_err(failed)?);
        triggers.wait(unpacked).map_err(failed)?;
    }
    triggers.fire(all);
    let status: Vec<String> = status.into_values().collect();
    let whole = |error: io::Error| (0, error);
    put(tree, "status", 0o644, status.join("\n").as_bytes()).map_err(whole)?;
    put(tree, "info/format", 0o644, b"1\n").map_err(whole)?;
    triggers.write(tree).map_err(whole)
}

/// Writes a file below the database's directory.
fn put(tree: &mut Tree, name: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
    tree.put(format!("{DATABASE}/{name}").as_bytes(), mode, bytes)
}

/// The files of one package in `info`.
fn info(tree: &mut Tree, unpacked: &Unpacked) -> io::Result<()> {
    let key = unpacked.control.key();
    for (name, (mode, bytes)) in &unpacked.control.files {
        let mode = if mode & EXECUTABLE == 0 { 0o644 } else { 0o755 };
        put(tree, &format!("info/{key}.{name}"), mode, bytes)?;
    }
    let list: Vec<&[u8]> = unpacked.list.iter().flat_map(|path| [path.as_slice(), b"\n"]).collect();
    put(tree, &format!("info/{key}.list"), 0o644, &list.concat())?;
    if unpacked.control.files.contains_key("md5sums") || unpacked.hashes.is_empty() {
        return Ok(());
    }
    let mut sums = Vec::new();
    for (path, hash) in &unpacked.hashes {
        sums.extend_from_slice(hash.as_bytes());
        sums.extend_from_slice(b"  ");
        sums.extend_from_slice(path);
        sums.push(b'\n');
    }
    put(tree, &format!("info/{key}.md5sums"), 0o644, &sums)
}

/// What `status` has of a package.
fn paragraph(package: &Package, unpacked: &Unpacked) -> io::Result<String> {
    let mut text = String::new();
    let mut put = |name: &str, value: &str| {
        if !value.is_empty() {
            let blank = if value.starts_with('\n') { "" } else { " " };
            // A string takes everything.
            let _ = writeln!(text, "{name}:{blank}{value}");
        }
    };
    put("Package", &package.name);
    put("Status", "install ok unpacked");
    put("Priority", &package.priority);
    put("Section", &package.section);
    let own = ["Package", "Status", "Priority", "Section", "Conffiles"];
    for field in unpacked.control.fields()?.fields() {
        if !own.iter().any(|name| field.name.eq_ignore_ascii_case(name)) {
            put(field.name, field.value);
        }
    }
    let mut files = String::new();
    for path in unpacked.control.lines("conffiles")?.into_iter().filter(|line| line.starts_with('/')) {
        let found = unpacked.hashes.iter().find(|(hashed, _)| hashed == &path.as_bytes()[1..]);
        if let Some((_, hash)) = found {
            let _ = write!(files, "\n {path} {hash}");
        }
    }
    put("Conffiles", &files);
    Ok(text)
}

/// Who waits for what, and what has happened.
#[derive(Default)]
struct Triggers {
    /// Paths and names, each with the packages that wait for it.
    interests: BTreeMap<String, Vec<String>>,
    fired: Vec<String>,
}

impl Triggers {
    fn wait(&mut self, unpacked: &Unpacked) -> io::Result<()> {
        for line in unpacked.control.lines("triggers")? {
            let mut words = line.split_whitespace();
            let (Some(directive), Some(name)) = (words.next(), words.next()) else { continue };
            // A name becomes a file's.
            if name.contains("..") || (!name.starts_with('/') && name.contains('/')) {
                return Err(io::Error::other(format!("its file triggers names {name:?}, which no trigger can be")));
            }
            match directive {
                "interest" | "interest-await" => self.add(name, unpacked.control.key()),
                "interest-noawait" => self.add(name, unpacked.control.key() + "/noawait"),
                "activate" | "activate-await" | "activate-noawait" => self.fired.push(name.to_owned()),
                _ => {}
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str, who: String) {
        self.interests.entry(name.to_owned()).or_default().push(who);
    }

    /// Notes which of the paths that somebody waits for are there, and which names were called.
    fn fire(&mut self, all: &[Unpacked]) {
        let below = |path: &[u8], at: &[u8]| {
            path.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        let there = |name: &String| {
            let lists = all.iter().flat_map(|one| &one.list);
            name.starts_with('/') && lists.into_iter().any(|path| below(path, name.as_bytes()))
        };
        let fired = std::mem::take(&mut self.fired);
        self.fired = self.interests.keys().filter(|name| there(name) || fired.contains(name)).cloned().collect();
    }

    fn write(&self, tree: &mut Tree) -> io::Result<()> {
        let mut paths = String::new();
        for (name, packages) in &self.interests {
            match name.starts_with('/') {
                true => paths.extend(packages.iter().map(|package| format!("{name} {package}\n"))),
                false => put(tree, &format!("triggers/{name}"), 0o644, (packages.join("\n") + "\n").as_bytes())?,
            }
        }
        put(tree, "triggers/File", 0o644, paths.as_bytes())?;
        let fired: String = self.fired.iter().map(|name| format!("{name} -\n")).collect();
        put(tree, "triggers/Unincorp", 0o644, fired.as_bytes())
    }
}
