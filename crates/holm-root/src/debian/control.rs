//! What a package says of itself: the files of its `control.tar`.
//!
//! Its name and architecture become parts of file names, and so do the names of its control files: what could be
//! anything else is refused. Source: deb-control(5), Debian Policy 5.6.1 and 5.6.7.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::deb::Deb;
use super::package::Package;
use super::relation;
use crate::deb822::{Paragraph, paragraphs};
use crate::unpack::archive::{Archive, Kind};

/// All control files of a package together may have so many bytes.
const MOST: u64 = 64 << 20;

/// The control files of a package.
#[derive(Debug)]
pub(super) struct Control {
    /// The file `control`.
    pub(super) text: String,
    pub(super) name: String,
    pub(super) architecture: String,
    /// `Multi-Arch: same`: packages of several architectures can be there at once.
    same: bool,
    /// All others by name, with their modes.
    pub(super) files: BTreeMap<String, (u32, Vec<u8>)>,
}

fn bad(text: impl Into<String>) -> io::Error {
    io::Error::other(text.into())
}

impl Control {
    /// Reads them; they must be those of `package`.
    pub(super) fn read(deb: &Deb, package: &Package) -> io::Result<Control> {
        let mut archive = Archive::new(deb.control()?.take(MOST));
        let mut files = BTreeMap::new();
        while let Some(member) = archive.next()? {
            let path = member.path.strip_prefix(b"./").unwrap_or(&member.path);
            match member.kind {
                Kind::Directory if path.is_empty() || path == b"." => continue,
                Kind::File => {}
                _ => return Err(bad("a control file is no file")),
            }
            let name = std::str::from_utf8(path).ok().filter(|name| is_name(name));
            let name = name.ok_or_else(|| bad("a control file has a name that none can have"))?.to_owned();
            let mut bytes = Vec::new();
            archive.content_reader().read_to_end(&mut bytes)?;
            files.insert(name, (member.mode & 0o777, bytes));
        }
        let (_, text) = files.remove("control").ok_or_else(|| bad("it has no file control"))?;
        let text = String::from_utf8(text).map_err(|_| bad("its file control is not UTF-8"))?;
        let (name, architecture, same) = {
            let fields = only(&text)?;
            let said = |field: &str| fields.value(field).unwrap_or_default();
            let (name, version, architecture) = (said("Package"), said("Version"), said("Architecture"));
            for (said, wanted) in
                [(name, &package.name), (version, &package.version), (architecture, &package.architecture)]
            {
                if said != wanted {
                    return Err(bad(format!("it says that it is {said:?}, and the archive {wanted:?}")));
                }
            }
            if !is_name(name) || !is_name(architecture) {
                return Err(bad("it has a name or architecture that none can have"));
            }
            (name.to_owned(), architecture.to_owned(), said("Multi-Arch") == "same")
        };
        Ok(Control { text, name, architecture, same, files })
    }

    /// The fields of the file `control`.
    pub(super) fn fields(&self) -> io::Result<Paragraph<'_>> {
        only(&self.text)
    }

    /// The name that the package's files have in dpkg's database.
    pub(super) fn key(&self) -> String {
        if self.same { format!("{}:{}", self.name, self.architecture) } else { self.name.clone() }
    }

    /// A control file's lines, without empty ones.
    pub(super) fn lines(&self, name: &str) -> io::Result<Vec<&str>> {
        let Some((_, bytes)) = self.files.get(name) else { return Ok(Vec::new()) };
        let text = std::str::from_utf8(bytes).map_err(|_| bad(format!("its file {name} is not UTF-8")))?;
        Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).collect())
    }

    /// Whether its preinst tells where files go: its own may then share a path with another package's.
    pub(super) fn moves_files(&self) -> bool {
        let says = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).any(|here| here == word);
        self.files.get("preinst").is_some_and(|(_, bytes)| says(bytes, b"dpkg-divert"))
    }
}

fn only(text: &str) -> io::Result<Paragraph<'_>> {
    let first = paragraphs(text).next().ok_or_else(|| bad("its file control is empty"))?;
    first.map_err(|error| bad(format!("its file control: {error}")))
}

/// Whether a text can be a part of a file's name: no `/`, no blank, no leading dot, and not too long with what is added.
fn is_name(text: &str) -> bool {
    text.len() < 200 && relation::is_name(text)
}
