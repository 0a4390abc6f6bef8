//! Why each file is in a root: kept beside its files by whoever made the root and knows.
//!
//! The file `why` has each path and its reason, both ended by a NUL. It is for people: a root without it is whole.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::draft::Draft;
use super::{Error, Store, write_synced};

const FILE: &str = "why";

impl Draft {
    /// Notes the reasons.
    pub(crate) fn explain<'r>(&self, reasons: impl Iterator<Item = (&'r Path, &'r Path)>) -> Result<(), Error> {
        let mut text = Vec::new();
        for part in reasons.flat_map(|(path, because)| [path, because]) {
            text.extend_from_slice(part.as_os_str().as_bytes());
            text.push(0);
        }
        let path = self.beside(FILE);
        write_synced(&path, &text).map_err(Error::io("write", &path))
    }
}

impl Store {
    /// Each path in a root with the reason for it; `None` if nobody has noted any.
    ///
    /// # Errors
    /// There is no such name, or what it leads to is damaged.
    pub fn reasons(&self, name: &str) -> Result<Option<Vec<(PathBuf, PathBuf)>>, Error> {
        let path = self.root(&self.find(name)?.id).join(FILE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(Error::io("read", &path))?,
        };
        let parts: Vec<PathBuf> =
            text.split(|byte| *byte == 0).map(|part| PathBuf::from(OsStr::from_bytes(part))).collect();
        Ok(Some(parts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()))
    }
}
