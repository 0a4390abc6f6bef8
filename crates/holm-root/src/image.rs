//! Images of others: layers that become a root, and how a program is started in it.
//!
//! The order of things: [`Image::find`] looks at a directory or file; `document` leads from its index to one manifest for
//! this machine, by digests only; the layers are opened, not read. [`Writer::import`](crate::store::Writer::import) then
//! unpacks them one over the other. Digest, size and content id (`diff_id`) of each blob are checked while it is read,
//! and a root of which any is wrong is never stored.
//!
//! Of a registry's image the documents are fetched first ([`Image::pull`]), and its layers while it is unpacked: they go to
//! the store's cache (`remote`), from where they are read as they come (`coming`).
//!
//! Sources: OCI image specification 1.1 ("Image Layout", "Image Manifest", "Image Configuration"), and for the archives
//! of docker-save(1) the Docker image specification 1.2.

mod account;
mod coming;
mod config;
mod credentials;
mod docker;
mod document;
mod files;
mod layout;
mod name;
#[doc(hidden)]
pub mod parsers;
mod registry;
mod remote;
mod write;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use account::Account;
pub use config::Config;
pub use name::Name;
pub use registry::Transport;
pub use write::Written;

use crate::progress::{Progress, Stage, Tell};
use crate::store::Error;
use crate::store::draft::Draft;
use crate::store::listing::Hash;
use crate::tree::Tree;
use crate::unpack::decoder::{Ahead, Digests, decode};
use crate::unpack::{Form, Limits, Unpack};
use coming::{Follower, When};
use files::{Files, Part};
use remote::{Download, Remote};

/// An image may have so many layers.
const LAYERS: usize = 256;

/// An image whose documents are at hand; its layers are, too, or a registry has them.
#[derive(Debug)]
pub struct Image {
    /// Where it is from, in words.
    pub(crate) source: String,
    /// How a program is started in it.
    pub(crate) config: Config,
    /// Of its manifest, or of its configuration where it has none: the same for the same image only.
    id: Hash,
    layers: Vec<Layer>,
    remote: Option<Remote>,
}

/// One layer.
#[derive(Debug)]
struct Layer {
    /// For messages.
    name: String,
    bytes: Bytes,
    size: u64,
    digest: Option<Hash>,
    /// The digest of what it is once decompressed.
    content: Hash,
}

/// Where a layer is.
#[derive(Debug)]
enum Bytes {
    Here(Part),
    /// At this place among those that the registry has.
    Remote(usize),
}

/// How unpacking has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    /// Some of what was read came again, and may be other than before.
    Again,
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

    /// Unpacks all layers into a draft that `begin` makes: a second time, when a server has begun again with a layer.
    pub(crate) fn unpack(
        &self,
        begin: impl Fn() -> Result<Draft, Error>,
        limits: Limits,
        tell: Tell<'_>,
    ) -> Result<Draft, Error> {
        let Some(remote) = &self.remote else {
            let mut draft = begin()?;
            return self.apply(&mut draft.tree, limits, None, tell).map(|()| draft);
        };
        for when in [When::Along, When::Whole] {
            let mut draft = begin()?;
            if self.fetch(&mut draft.tree, limits, &remote.download(when), tell)? == End::Done {
                return Ok(draft);
            }
        }
        Err(wrong(Path::new(&self.source), "its registry sent other bytes when it began again"))
    }

    /// Unpacks all layers while they are downloaded.
    fn fetch(&self, tree: &mut Tree, limits: Limits, download: &Download<'_>, tell: Tell<'_>) -> Result<End, Error> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| download.run());
            let applied = self.apply(tree, limits, Some(download), tell);
            if applied.is_err() {
                download.stop();
            }
            let fetched = thread.join().unwrap_or_else(|_| Err(wrong(Path::new(&self.source), "its download failed")));
            match (applied, fetched) {
                (Err(Error::Interrupted), _) => Err(Error::Interrupted),
                // Whatever was unpacked is not what it should be.
                (_, Err(error)) => Err(error),
                (Err(_), Ok(())) if download.came_again() => Ok(End::Again),
                (applied, Ok(())) => applied.map(|()| End::Done),
            }
        })
    }

    /// Unpacks one layer over the other. The next one is decompressed meanwhile, as far as its first chunks.
    fn apply(
        &self,
        tree: &mut Tree,
        limits: Limits,
        download: Option<&Download<'_>>,
        tell: Tell<'_>,
    ) -> Result<(), Error> {
        let total = self.layers.iter().map(|layer| layer.size).sum();
        let read = Arc::new(AtomicU64::new(0));
        let mut go_on = || {
            if let Some(download) = download {
                tell(download.progress())?;
            }
            tell(Progress { stage: Stage::Unpack, done: read.load(Ordering::Relaxed), total })
        };
        let mut left = Unpack::new(tree, Form::Layer, limits, &mut go_on);
        let begin = |layer: &Layer| -> Result<Ahead, Error> {
            layer.decode(download, Arc::clone(&read)).map_err(Error::unpack(Path::new(&layer.name)))
        };
        let mut next = self.layers.first().map(begin).transpose()?;
        for (number, layer) in self.layers.iter().enumerate() {
            if number > 0 {
                left.next_layer();
            }
            let stream = next.take();
            next = self.layers.get(number + 1).map(begin).transpose()?;
            if let Some(stream) = stream {
                left.archive(stream, Path::new(&layer.name))?;
            }
        }
        Ok(())
    }
}

impl Layer {
    fn decode(&self, download: Option<&Download<'_>>, read: Arc<AtomicU64>) -> io::Result<Ahead> {
        let digests = Digests { source: self.digest, content: Some(self.content) };
        match (&self.bytes, download) {
            (Bytes::Here(part), _) => decode(part.clone(), digests, read),
            (Bytes::Remote(at), Some(download)) => decode(Follower::new(&download.coming[*at]), digests, read),
            (Bytes::Remote(_), None) => Err(io::Error::other("its registry is not asked")),
        }
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
