//! The documents of an image: JSON of bounded size that names blobs by digest.
//!
//! An index leads to other indexes and to manifests, a manifest to a configuration and layers. Which kind a document is
//! says its media type and what it has; one that is both is refused, since readers would differ about it.

use oci_spec::image::{Arch, Descriptor, ImageIndex, ImageManifest, MediaType, Os};
use serde::de::DeserializeOwned;

use super::LAYERS;
use crate::store::listing::{Hash, parse_hash};

/// A document may have so many bytes.
pub(super) const MOST: u64 = 4 << 20;
/// Indexes may be nested so deep.
const DEEPEST: usize = 4;

/// Where documents come from: whole, and with the right size and digest.
pub(super) trait Documents {
    type Error: From<String>;
    fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, Self::Error>;
}

/// A manifest, or what leads to one.
pub(super) enum Document {
    Index(Vec<Descriptor>),
    Manifest(Box<ImageManifest>),
}

/// A digest as text; only SHA-256 is known.
pub(super) fn digest(text: &str) -> Result<Hash, String> {
    let hex =
        text.strip_prefix("sha256:").filter(|hex| hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    hex.and_then(parse_hash).ok_or_else(|| format!("{text:?} is no SHA-256 digest"))
}

/// Reads JSON.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("its {what} is damaged: {error}"))
}

impl Document {
    pub(super) fn parse(bytes: &[u8]) -> Result<Document, String> {
        let any: serde_json::Value = parse(bytes, "manifest")?;
        let has = |key| any.get(key).is_some();
        match (has("manifests"), has("layers") || has("config")) {
            (true, true) => Err("its manifest is an index, too: readers differ about such ones".to_owned()),
            (true, false) => parse(bytes, "index").map(|it: ImageIndex| Document::Index(it.manifests().clone())),
            (false, true) => parse(bytes, "manifest").map(|it| Document::Manifest(Box::new(it))),
            (false, false) if has("fsLayers") => {
                Err("its manifest is of the first Docker form, without digests".to_owned())
            }
            (false, false) => Err("its manifest names neither layers nor other manifests".to_owned()),
        }
    }
}

/// Follows an index to a manifest for this machine. With it its digest, which is `found` if the document is one already.
pub(super) fn resolve<D: Documents>(
    from: &D,
    mut document: Document,
    mut found: Hash,
) -> Result<(ImageManifest, Hash), D::Error> {
    for _ in 0..DEEPEST {
        let index = match document {
            Document::Manifest(manifest) => {
                return check(&manifest).map(|()| (*manifest, found)).map_err(D::Error::from);
            }
            Document::Index(index) => index,
        };
        let next = choose(&index)?;
        found = digest(next.digest().as_ref())?;
        document = Document::parse(&from.document(next)?)?;
    }
    Err(format!("its indexes are nested more than {DEEPEST} deep").into())
}

/// The first entry for linux/amd64; without a platform one counts only if it is alone.
fn choose(entries: &[Descriptor]) -> Result<&Descriptor, String> {
    let ours = |entry: &&Descriptor| {
        entry.platform().as_ref().is_some_and(|it| (it.os(), it.architecture()) == (&Os::Linux, &Arch::Amd64))
    };
    match (entries.iter().find(ours), entries) {
        (Some(entry), _) => Ok(entry),
        (None, [only]) if only.platform().is_none() => Ok(only),
        _ => Err("its index has nothing for linux/amd64".to_owned()),
    }
}

fn check(manifest: &ImageManifest) -> Result<(), String> {
    let kind = manifest.config().media_type();
    if !matches!(
        kind.as_ref(),
        "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json"
    ) {
        return Err(format!("it is no image but has {kind}"));
    }
    if manifest.layers().len() > LAYERS {
        return Err(format!("it has more than {LAYERS} layers"));
    }
    match manifest.layers().iter().find(|layer| !is_layer(layer.media_type())) {
        Some(layer) => Err(format!("a layer is of an unknown kind: {}", layer.media_type())),
        None => Ok(()),
    }
}

fn is_layer(kind: &MediaType) -> bool {
    match kind {
        MediaType::ImageLayer | MediaType::ImageLayerGzip | MediaType::ImageLayerZstd => true,
        MediaType::ImageLayerNonDistributable
        | MediaType::ImageLayerNonDistributableGzip
        | MediaType::ImageLayerNonDistributableZstd => true,
        MediaType::Other(name) => matches!(
            name.strip_prefix("application/vnd.docker.image.rootfs."),
            Some("diff.tar" | "diff.tar.gzip" | "diff.tar.zstd" | "foreign.diff.tar" | "foreign.diff.tar.gzip")
        ),
        _ => false,
    }
}
