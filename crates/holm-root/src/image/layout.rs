//! Image layouts: a directory, or an archive, with an index and blobs by digest.

use std::path::Path;

use oci_spec::image::{ANNOTATION_REF_NAME, Descriptor, ImageIndex, OciLayout};
use sha2::{Digest, Sha256};

use super::document::{self, Document, Documents, MOST, digest, parse};
use super::files::{Files, Part};
use super::{Bytes, Config, Image, Layer, wrong};
use crate::store::Error;
use crate::store::listing::{Hash, hex};
use holm::model::text::cause;

/// The image with this tag, or the only one.
pub(super) fn image(files: &Files, path: &Path, tag: Option<&str>) -> Result<Image, Error> {
    let wrong = |cause: String| wrong(path, cause);
    let read = |name: &str| files.document(name, path);
    let version: OciLayout = parse(&read("oci-layout")?, "oci-layout").map_err(wrong)?;
    if !version.image_layout_version().starts_with("1.") {
        return Err(wrong(format!("its layout is of version {:?}, not 1", version.image_layout_version())));
    }
    let index: ImageIndex = parse(&read("index.json")?, "index.json").map_err(wrong)?;
    let entries = tagged(&index, path, tag)?;
    let (manifest, id) = document::resolve(&Blobs(files), Document::Index(entries), Hash::default()).map_err(wrong)?;
    let config = Blobs(files).document(manifest.config()).map_err(wrong)?;
    let open = |layer: &Descriptor| Blobs(files).open(layer).map(Bytes::Here);
    Image::new(path.display().to_string(), id, &config, manifest.layers(), open).map_err(wrong)
}

/// The entries of the index that one image has.
fn tagged(index: &ImageIndex, path: &Path, tag: Option<&str>) -> Result<Vec<Descriptor>, Error> {
    let name = |entry: &Descriptor| entry.annotations().as_ref()?.get(ANNOTATION_REF_NAME).cloned();
    let mut names: Vec<String> = index.manifests().iter().filter_map(name).collect();
    names.sort_unstable();
    names.dedup();
    let matching = |entry: &&Descriptor| tag.is_none_or(|tag| name(entry).as_deref() == Some(tag));
    let entries: Vec<Descriptor> = index.manifests().iter().filter(matching).cloned().collect();
    match (entries.is_empty(), tag) {
        (false, None) if names.len() > 1 => Err(Error::Tag { image: path.to_owned(), tag: None, tags: names }),
        (true, Some(tag)) => Err(Error::Tag { image: path.to_owned(), tag: Some(tag.to_owned()), tags: names }),
        (true, None) => Err(wrong(path, "its index is empty")),
        (false, _) => Ok(entries),
    }
}

struct Blobs<'f>(&'f Files);

impl Blobs<'_> {
    /// Opens a blob of the right size.
    fn open(&self, blob: &Descriptor) -> Result<Part, String> {
        let hash = digest(blob.digest().as_ref())?;
        let part = self.0.find(&format!("blobs/sha256/{}", hex(&hash)));
        let part = part.map_err(|error| format!("its blob {} can't be read: {}", blob.digest(), cause(&error)))?;
        match part.left == blob.size() {
            true => Ok(part),
            false => Err(format!("its blob {} has {} bytes, not {}", blob.digest(), part.left, blob.size())),
        }
    }
}

impl Documents for Blobs<'_> {
    type Error = String;

    fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, String> {
        let bytes = self.open(blob)?.bytes(MOST);
        let bytes = bytes.map_err(|error| format!("its blob {} can't be read: {}", blob.digest(), cause(&error)))?;
        checked(bytes, blob)
    }
}

/// Bytes, if they have the digest of a blob.
pub(super) fn checked(bytes: Vec<u8>, blob: &Descriptor) -> Result<Vec<u8>, String> {
    match Hash::from(Sha256::digest(&bytes)) == digest(blob.digest().as_ref())? {
        true => Ok(bytes),
        false => Err(format!("its blob {} has another digest", blob.digest())),
    }
}

impl Image {
    /// The image with this configuration and these layers, in order.
    pub(super) fn new<E: From<String>>(
        source: String,
        id: Hash,
        config: &[u8],
        layers: &[Descriptor],
        mut open: impl FnMut(&Descriptor) -> Result<Bytes, E>,
    ) -> Result<Image, E> {
        let (config, contents) = Config::parse(config)?;
        if contents.len() != layers.len() {
            return Err(format!("it has {} layers, but contents of {}", layers.len(), contents.len()).into());
        }
        let layer = |(layer, content): (&Descriptor, Hash)| {
            let name = layer.digest().to_string();
            let bytes = open(layer)?;
            // Who downloads a layer checks its digest.
            let digest = match bytes {
                Bytes::Here(_) => Some(digest(&name)?),
                Bytes::Remote(_) => None,
            };
            Ok(Layer { digest, name, bytes, size: layer.size(), content })
        };
        let layers = layers.iter().zip(contents).map(layer).collect::<Result<_, E>>()?;
        Ok(Image { source: format!("image {source}"), config, id, layers, remote: None })
    }
}
