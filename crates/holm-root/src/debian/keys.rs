//! Keys as they stand in files. Their bytes tell whether they are the same as before; they are read as OpenPGP once a
//! signature has to be checked, which takes much longer.

use std::cell::OnceCell;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::Error;
use super::keyring::{Keyring, Trust};
use crate::store::listing::Hash;

/// A keyring may have so many bytes.
const MOST: u64 = 16 << 20;

/// What is trusted, with the bytes of its files.
#[derive(Debug)]
pub(super) struct Keys {
    trust: Trust,
    /// Each file's path, for messages, and its bytes.
    files: Vec<(PathBuf, Vec<u8>)>,
    keyring: OnceCell<Keyring>,
}

impl Keys {
    /// Reads the files.
    pub(super) fn read(trust: &Trust) -> Result<Keys, Error> {
        let files = match trust {
            Trust::Files(files) | Trust::Only(files, _) => {
                files.iter().map(|path| file(path)).collect::<Result<_, _>>()?
            }
            Trust::Key(text) => vec![(PathBuf::from("Signed-By"), text.clone().into_bytes())],
        };
        Ok(Keys { trust: trust.clone(), files, keyring: OnceCell::new() })
    }

    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }

    pub(super) fn files(&self) -> &[(PathBuf, Vec<u8>)] {
        &self.files
    }

    /// The same for the same keys, of which the same may sign.
    pub(super) fn hash(&self) -> Hash {
        let only: &[String] = if let Trust::Only(_, fingerprints) = &self.trust { fingerprints } else { &[] };
        let parts = self.files.iter().map(|(_, bytes)| bytes.as_slice());
        let mut hash = Sha256::new_with_prefix((self.files.len() as u64).to_le_bytes());
        for part in parts.chain(only.iter().map(String::as_bytes)) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// The keys themselves.
    pub(super) fn keyring(&self) -> Result<&Keyring, Error> {
        if let Some(keyring) = self.keyring.get() {
            return Ok(keyring);
        }
        let keyring = Keyring::read(self)?;
        Ok(self.keyring.get_or_init(|| keyring))
    }
}

fn file(path: &Path) -> Result<(PathBuf, Vec<u8>), Error> {
    let unusable =
        |error: std::io::Error| Error::Keyring { path: path.to_owned(), cause: holm::model::text::cause(&error) };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes)).map_err(unusable)?;
    Ok((path.to_owned(), bytes))
}
