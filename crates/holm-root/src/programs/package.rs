//! Installed Debian packages, by the lists of files that dpkg(1) keeps.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Error;
use crate::closure::resolver::Resolver;
use crate::closure::tree::{Node, Walked};

/// Where the lists are: `NAME.list`, or `NAME:ARCHITECTURE.list` for a package that can be there for several.
const LISTS: &str = "/var/lib/dpkg/info";
/// The architecture of a name without one.
const NATIVE: &str = "amd64";
/// A larger list isn't read.
const LIMIT: u64 = 1 << 25;

/// Places every file of a package, with what its programs and libraries need.
pub(crate) fn place(resolver: &mut Resolver, name: &str) -> Result<(), Error> {
    let list = list(resolver, name)?;
    let because = PathBuf::from(format!("package {name}"));
    for path in list.split(|byte| *byte == b'\n').map(|line| Path::new(OsStr::from_bytes(line))) {
        if !path.is_absolute() {
            continue;
        }
        // What was deleted by the host's administrator, or never unpacked, is missing there, too.
        let Walked::At(found) = resolver.layout.tree.walk(path)? else { continue };
        resolver.extra(&found, &because)?;
        if matches!(found.node, Node::File(stamp) if stamp.mode & 0o111 != 0 && stamp.mode & 0o004 != 0) {
            resolver.forgiven(|resolver| resolver.program(path.as_os_str(), &because))?;
        }
    }
    Ok(())
}

fn list(resolver: &mut Resolver, name: &str) -> Result<Vec<u8>, Error> {
    if is_name(name) {
        for file in [format!("{name}.list"), format!("{name}:{NATIVE}.list")] {
            if let Walked::At(found) = resolver.layout.tree.walk(&Path::new(LISTS).join(file))?
                && matches!(found.node, Node::File(_))
            {
                return Ok(resolver.bytes(&found.real, LIMIT)?);
            }
        }
    }
    let mut names = Vec::new();
    if let Walked::At(found) = resolver.layout.tree.walk(Path::new(LISTS))? {
        let files = resolver.layout.tree.list(&found.real)?;
        let package = |file: &PathBuf| file.to_str()?.strip_suffix(".list")?.split(':').next().map(str::to_owned);
        names = files.iter().filter_map(package).collect();
        names.dedup();
    }
    Err(Error::NoPackage { name: name.to_owned(), names })
}

/// Whether a text can name a package, with or without an architecture: deb-control(5), `Package`.
fn is_name(text: &str) -> bool {
    let part = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
        part.bytes().all(allowed) && part.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
    };
    match text.split_once(':') {
        Some((name, architecture)) => part(name) && part(architecture),
        None => part(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_a_path() {
        assert!(is_name("libc6:amd64") && is_name("g++") && is_name("0ad"));
        assert!(["", "../x", "a/b", ".", "a:", ":a", "A", "a\0"].iter().all(|text| !is_name(text)));
    }
}
