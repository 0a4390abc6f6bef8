//! Selections that were made before, in the cache: the same wish of archives that say the same has the same answer.
//!
//! A file has the hash of its text in its first line, and so has what archives said ([`super::seen`]): half a list of
//! packages is a list of packages, too, and that is what a loss of power can leave.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::archive::{Said, Selection};
use super::cache;
use super::error::Error;
use super::wish::Wish;
use crate::store::listing::{Hash, hex};

/// Where one selection is kept, or will be.
pub(super) struct Kept(PathBuf);

impl Kept {
    /// That of this wish and of what the archives said.
    pub(super) fn of(wish: &Wish, said: &[Said], cache: &Path) -> Kept {
        // Another version may choose in another way.
        let mut hash = Sha256::new().chain_update(env!("CARGO_PKG_VERSION")).chain_update(format!("{wish:?}"));
        for one in said {
            hash.update(format!("{:?}", one.archive));
            hash.update(one.sha256());
        }
        Kept(cache.join("selections").join(hex(&hash.finalize()) + ".toml"))
    }

    /// The selection, if it is there and whole.
    pub(super) fn read(&self) -> Option<Selection> {
        let selection = Selection::from_lock(&read(&self.0)?).ok()?;
        cache::used(&fs::File::open(&self.0).ok()?);
        Some(selection)
    }

    /// Keeps a selection.
    pub(super) fn write(&self, selection: &Selection) -> Result<(), Error> {
        write(&self.0, &selection.to_lock()?)
    }
}

/// The hashes of the packages that a kept selection names.
pub(super) fn packages(path: &Path) -> Vec<Hash> {
    let selection = read(path).and_then(|text| Selection::from_lock(&text).ok());
    selection.into_iter().flat_map(|selection| selection.packages).map(|package| package.sha256).collect()
}

/// The text of a file of the cache, if it is there and whole.
pub(super) fn read(path: &Path) -> Option<String> {
    let file = fs::read_to_string(path).ok()?;
    let (hash, text) = file.split_once('\n')?;
    (hash == hex(&Sha256::digest(text))).then(|| text.to_owned())
}

/// Writes a file of the cache, whole or not at all.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(path);
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(Error::io("make", directory))?;
    let aside = path.with_extension(std::process::id().to_string());
    let text = format!("{}\n{text}", hex(&Sha256::digest(text)));
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes())).and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written.map_err(Error::io("write", path))
}
