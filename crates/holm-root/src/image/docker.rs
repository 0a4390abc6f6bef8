//! Archives of docker-save(1) in the old form: `manifest.json` names a configuration and layers by path. Layers have no
//! digests of their own there, but the configuration has those of their contents.

use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::document::parse;
use super::files::Files;
use super::{Bytes, Config, Image, LAYERS, Layer, wrong};
use crate::store::Error;
use holm::model::text::cause;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// The image with this tag, or the only one; `None` if the archive is of something else.
pub(super) fn image(files: &Files, path: &Path, tag: Option<&str>) -> Result<Option<Image>, Error> {
    let wrong = |cause: String| wrong(path, cause);
    let read = |name: &str| files.document(name, path);
    let entries: Vec<Entry> = match parse(&read("manifest.json")?, "manifest.json") {
        Ok(entries) => entries,
        // A root may have a file of that name.
        Err(_) => return Ok(None),
    };
    let entry = tagged(&entries, path, tag)?;
    let bytes = read(&entry.config)?;
    let (config, contents) = Config::parse(&bytes).map_err(wrong)?;
    if contents.len() != entry.layers.len() || contents.len() > LAYERS {
        let (layers, contents) = (entry.layers.len(), contents.len());
        return Err(wrong(format!("it has {layers} layers, but contents of {contents}; there can be {LAYERS}")));
    }
    let layer = |(name, content): (&String, _)| {
        let bytes = files.find(name).map_err(|error| wrong(format!("its {name} can't be read: {}", cause(&error))))?;
        Ok(Layer { name: name.clone(), size: bytes.left, bytes: Bytes::Here(bytes), digest: None, content })
    };
    let layers = entry.layers.iter().zip(contents).map(layer).collect::<Result<_, Error>>()?;
    let id = Sha256::digest(&bytes).into();
    Ok(Some(Image { source: format!("image {}", path.display()), config, id, layers, remote: None }))
}

fn tagged<'e>(entries: &'e [Entry], path: &Path, tag: Option<&str>) -> Result<&'e Entry, Error> {
    let tags = |entry: &Entry| entry.repo_tags.clone().unwrap_or_default();
    // With or without the repository before it.
    let is = |name: &str, tag: &str| name == tag || name.rsplit_once(':').is_some_and(|(_, last)| last == tag);
    let matching = |entry: &&Entry| tag.is_none_or(|tag| tags(entry).iter().any(|name| is(name, tag)));
    match entries.iter().filter(matching).collect::<Vec<_>>()[..] {
        [entry] => Ok(entry),
        [] if tag.is_none() => Err(wrong(path, "its manifest.json is empty")),
        _ => {
            let tag = tag.map(str::to_owned);
            Err(Error::Tag { image: path.to_owned(), tag, tags: entries.iter().flat_map(tags).collect() })
        }
    }
}
