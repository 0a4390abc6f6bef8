//! Image layouts made by hand, so that each part can be wrong.

use crate::archives::{file, member};
use crate::stores::Store;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use testkit::server::ok;

pub(crate) const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// One image in a layout, before it is written.
pub(crate) struct Layout {
    pub(crate) path: PathBuf,
    pub(crate) config: Value,
    pub(crate) manifest: Value,
}

/// The digest of these bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// Layers as archives.
pub(crate) fn archives(layers: &[Vec<Vec<u8>>]) -> Vec<Vec<u8>> {
    layers.iter().map(|members| [members.concat(), vec![0; 1024]].concat()).collect()
}

impl Layout {
    /// A layout in the directory `path` with these layers.
    pub(crate) fn new(path: &Path, layers: &[Vec<u8>]) -> Layout {
        fs::create_dir_all(path.join("blobs/sha256")).expect("scratch is ours");
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("scratch is ours");
        let layout = Layout { path: path.to_owned(), config: Value::Null, manifest: Value::Null };
        let descriptors: Vec<Value> = layers.iter().map(|layer| layout.blob(TAR, layer)).collect();
        let contents: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": contents },
        });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": descriptors,
        });
        Layout { config, manifest, ..layout }
    }

    /// Writes a blob; its descriptor.
    pub(crate) fn blob(&self, kind: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        fs::write(self.path.join("blobs/sha256").join(&digest[7..]), bytes).expect("scratch is ours");
        json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
    }

    /// The bytes of a blob that a descriptor names.
    pub(crate) fn read(&self, descriptor: &Value) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().expect("it has one");
        fs::read(self.path.join("blobs/sha256").join(&digest[7..])).expect("it is there")
    }

    /// What a registry answers that has this image alone, as `web:latest`, to a request for a path.
    pub(crate) fn served(&self) -> impl Fn(&str) -> Vec<u8> + Send + Sync + 'static {
        let (manifest, blobs) = (self.read(&self.finish()), self.path.join("blobs/sha256"));
        move |at| match at.strip_prefix("/v2/web/blobs/sha256:").map(|hex| fs::read(blobs.join(hex))) {
            None if at == "/v2/web/manifests/latest" => ok(&manifest),
            Some(Ok(bytes)) => ok(&bytes),
            _ => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec(),
        }
    }

    /// Writes configuration and manifest; the descriptor of the manifest.
    pub(crate) fn finish(&self) -> Value {
        let config = self.blob("application/vnd.oci.image.config.v1+json", self.config.to_string().as_bytes());
        let mut manifest = self.manifest.clone();
        if manifest.get("config").is_none() {
            manifest["config"] = config;
        }
        self.blob("application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes())
    }

    /// Writes an index of these manifests.
    pub(crate) fn index(&self, manifests: &[Value]) {
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        fs::write(self.path.join("index.json"), index.to_string()).expect("scratch is ours");
    }

    /// Writes all.
    pub(crate) fn write(&self) {
        self.index(&[self.finish()]);
    }
}

/// What is stored of an image with these layers, sorted: `a/`, `a/x=content`, `a/l -> to`.
fn becomes(what: &str, layers: &[Vec<Vec<u8>>], wanted: &[&str]) {
    let store = Store::new(&format!("layers {what}"));
    Layout::new(&store.0.join("image"), &archives(layers)).write();
    store.does(&["root", "import", "image", "a"]);
    let files = store.files();
    let mut found = Vec::new();
    let mut left = vec![files.clone()];
    while let Some(path) = left.pop() {
        for item in fs::read_dir(path).expect("it is ours") {
            let path = item.expect("it is ours").path();
            let name = path.strip_prefix(&files).expect("it is below").display().to_string();
            if let Ok(to) = fs::read_link(&path) {
                found.push(format!("{name} -> {}", to.display()));
            } else if path.is_dir() {
                found.push(format!("{name}/"));
                left.push(path);
            } else {
                found.push(format!("{name}={}", fs::read_to_string(&path).expect("it is text")));
            }
        }
    }
    found.sort();
    assert_eq!(found, wanted, "{what}");
    assert_eq!(store.does(&["root", "verify"]), "a: as stored\n", "{what}");
}

fn directory(name: &str) -> Vec<u8> {
    member(b'5', name, "", b"")
}

#[test]
fn a_layer_hides_what_is_below_it_and_never_its_own() {
    let low = || {
        vec![directory("a"), file("a/x", "1"), file("a/y", "1"), directory("a/d"), file("a/d/z", "1"), file("b", "1")]
    };
    let opaque = || file("a/.wh..wh..opq", "");
    becomes("a file", &[low(), vec![file("a/.wh.x", "")]], &["a/", "a/d/", "a/d/z=1", "a/y=1", "b=1"]);
    becomes("a directory", &[low(), vec![file(".wh.a", "")]], &["b=1"]);
    becomes(
        "its own stays",
        &[low(), vec![file("b", "2"), file(".wh.b", "")]],
        &["a/", "a/d/", "a/d/z=1", "a/x=1", "a/y=1", "b=2"],
    );
    becomes("opaque first", &[low(), vec![opaque(), file("a/new", "2")]], &["a/", "a/new=2", "b=1"]);
    becomes("opaque last", &[low(), vec![file("a/new", "2"), opaque()]], &["a/", "a/new=2", "b=1"]);
    becomes("opaque below", &[low(), vec![file("a/d/new", "2"), opaque()]], &["a/", "a/d/", "a/d/new=2", "b=1"]);
    becomes(
        "a mark in the first layer",
        &[vec![file("x", "1"), file(".wh.x", ""), file(".wh..wh..opq", "")]],
        &["x=1"],
    );
    becomes(
        "made again",
        &[low(), vec![file(".wh.b", "")], vec![file("b", "3")]],
        &["a/", "a/d/", "a/d/z=1", "a/x=1", "a/y=1", "b=3"],
    );
    becomes("a file over a directory", &[low(), vec![file("a", "2")]], &["a=2", "b=1"]);
    becomes(
        "a directory over a file",
        &[low(), vec![directory("b"), file("b/x", "2"), opaque()]],
        &["a/", "b/", "b/x=2"],
    );
    let linked = vec![member(b'1', "a/own", "b", b""), opaque()];
    becomes("a new name of a lower file", &[low(), linked], &["a/", "a/own=1", "b=1"]);
    becomes(
        "nothing there",
        &[low(), vec![file("none/.wh.x", ""), file("b/.wh.x", "")]],
        &["a/", "a/d/", "a/d/z=1", "a/x=1", "a/y=1", "b=1"],
    );
    becomes("no layers", &[], &[]);
}

#[test]
fn absolute_links_in_lower_layers_are_written_through_inside() {
    let low = vec![directory("usr"), directory("usr/lib"), crate::archives::link("lib", "/usr/lib")];
    becomes(
        "merged",
        &[low, vec![file("lib/x", "2"), file("lib/.wh.y", "")]],
        &["lib -> /usr/lib", "usr/", "usr/lib/", "usr/lib/x=2"],
    );
}
