//! What reads documents of images that somebody wrote, as entries for tests that feed it anything.

use std::path::Path;

use super::credentials::Credentials;
use super::document::{Document, Documents, resolve};
use super::{Config, Name};
use crate::store::listing::Hash;
use oci_spec::image::Descriptor;

/// Bytes as whatever document is asked for.
struct Always<'b>(&'b [u8]);

impl Documents for Always<'_> {
    type Error = String;

    fn document(&self, _: &Descriptor) -> Result<Vec<u8>, String> {
        Ok(self.0.to_vec())
    }
}

/// Whether bytes are a manifest that can be used, or an index that leads to itself no further than it may.
pub fn manifest(bytes: &[u8]) -> bool {
    Document::parse(bytes).and_then(|document| resolve(&Always(bytes), document, Hash::default())).is_ok()
}

/// How a program is started as a configuration of these bytes says, and in how many layers.
pub fn config(bytes: &[u8]) -> Option<(Config, usize)> {
    Config::parse(bytes).ok().map(|(config, contents)| (config, contents.len()))
}

/// Whether a file of these bytes can be searched for credentials.
pub fn credentials(bytes: &[u8], name: &Name) -> bool {
    Credentials::parse(bytes, name, Path::new("config.json")).is_ok()
}
