//! A binary package that was chosen for a root.

use std::path::PathBuf;

/// A package, as the archive's index describes it. Everything here was covered by the archive's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// `Package`.
    pub name: String,
    /// `Version`.
    pub version: String,
    /// `Architecture`: `amd64`, `all`.
    pub architecture: String,
    /// `Priority` of the index, which may differ from the package's own.
    pub priority: String,
    /// `Section` of the index, likewise.
    pub section: String,
    /// `Essential: yes`.
    pub essential: bool,
    /// Name and version of the source package.
    pub source: (String, String),
    /// Which of the selection's archives has it.
    pub archive: usize,
    /// Path below the archive's address.
    pub filename: String,
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
}

/// A package whose file is on disk, with the size and hash it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// What it is.
    pub package: Package,
    /// The `.deb` file.
    pub file: PathBuf,
}
