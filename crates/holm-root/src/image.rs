//! Images of others: layers that become a root, and how a program is started in it.
//!
//! The order of things: [`Image::find`] looks at a directory or file; `document` leads from its index to one manifest for
//! this machine, by digests only; the layers are opened, not read. [`Writer::import`](crate::store::Writer::import) then
//! unpacks them one over the other. Digest, size and content id (`diff_id`) of each blob are checked while it is read,
//! and a root of which any is wrong is never stored.
//!
//! A registry's image is fetched first ([`Image::pull`]): its layers lie in the store's cache then.
//!
//! Sources: OCI image specification 1.1 ("Image Layout", "Image Manifest", "Image Configuration"), and for the archives
//! of docker-save(1) the Docker image specification 1.2.

mod account;
mod config;
mod credentials;
mod docker;
mod document;
mod files;
mod layout;
mod name;
mod registry;
mod write;

use std::fs;
use std::path::{Path, PathBuf};

pub use account::Account;
pub use config::Config;
pub use name::Name;
pub use registry::Transport;
pub use write::Written;

use crate::store::Error;
use crate::store::listing::Hash;
use crate::tree::Tree;
use crate::unpack::decoder::{Hashed, decode};
use crate::unpack::{Form, Limits, Unpack};
use files::{Files, Part};

/// An image may have so many layers.
const LAYERS: usize = 256;

/// An image whose layers are at hand.
#[derive(Debug)]
pub struct Image {
    /// Where it is from, in words.
    pub(crate) source: String,
    /// How a program is started in it.
    pub(crate) config: Config,
    /// Of its manifest, or of its configuration where it has none: the same for the same image only.
    id: Hash,
    layers: Vec<Layer>,
}

/// One layer.
#[derive(Debug)]
struct Layer {
    /// For messages.
    name: String,
    bytes: Part,
    digest: Option<Hash>,
    /// The digest of what it is once decompressed.
    content: Hash,
}

impl Image {
    /// The image at `path`: an image layout, or a tar archive of one or by docker-save(1), not compressed; `None` if it is
    /// anything else.
    ///
    /// # Errors
    /// It is an image that is damaged, for another machine, or lies about itself; `tag` names none of its images, or
    /// there are several and no tag.
    pub fn find(path: &Path, tag: Option<&str>) -> Result<Option<Image>, Error> {
        let Some(files) = Files::open(path)? else { return Ok(None) };
        if files.has("oci-layout") && files.has("index.json") {
            return layout::image(&files, path, tag).map(Some);
        }
        match files.has("manifest.json") {
            true => docker::image(&files, path, tag),
            false => Ok(None),
        }
    }

    /// An image named as `PATH` or `PATH:TAG`; the longest path that exists counts.
    ///
    /// # Errors
    /// As [`Image::find`]; it is no image.
    pub fn named(name: &Path) -> Result<Image, Error> {
        fn there(path: &Path) -> bool {
            fs::symlink_metadata(path).is_ok()
        }
        fn split(text: &str) -> Option<(&Path, Option<&str>)> {
            let mut splits = text.rmatch_indices(':').map(|(at, _)| (Path::new(&text[..at]), Some(&text[at + 1..])));
            let last = splits.clone().next();
            splits.find(|(path, _)| there(path)).or(last)
        }
        let text = name.to_str().filter(|_| !there(name));
        let (path, tag) = text.and_then(split).unwrap_or((name, None));
        let none = "it is neither an image layout nor an uncompressed archive of an image";
        Image::find(path, tag)?.ok_or_else(|| wrong(path, none))
    }

    /// A name for the store that only this image has.
    pub fn id_name(&self) -> String {
        format!("oci@sha256-{}", crate::store::listing::hex(&self.id))
    }

    /// Unpacks all layers into a tree.
    pub(crate) fn unpack(&self, tree: &mut Tree, limits: Limits) -> Result<(), Error> {
        let mut left = Unpack::new(tree, Form::Layer, limits);
        for (number, layer) in self.layers.iter().enumerate() {
            let path = PathBuf::from(&layer.name);
            let failed = |error| Error::Unpack { path: path.clone(), cause: holm::model::text::cause(&error) };
            if number > 0 {
                left.next_layer();
            }
            let mut bytes = Hashed::new(decode(layer.bytes.clone(), layer.digest).map_err(failed)?);
            left.archive(&mut bytes, &path)?;
            bytes.check(&layer.content, "content").map_err(failed)?;
        }
        Ok(())
    }
}

/// Whether the files of a root are those of an image's archive: nobody means such a root.
pub(crate) fn is_archive_of_one(tree: &Tree) -> rustix::io::Result<bool> {
    let names = tree.listed(b"")?;
    let has = |name: &str| names.iter().any(|one| one == name.as_bytes());
    let blob = |name: &Vec<u8>| name.len() >= 64 && name[..64].iter().all(u8::is_ascii_hexdigit);
    Ok(has("oci-layout") && has("index.json") || has("manifest.json") && names.iter().any(blob))
}

/// An [`Error::Image`].
fn wrong(path: &Path, cause: impl Into<String>) -> Error {
    Error::Image { image: path.display().to_string(), cause: cause.into() }
}
