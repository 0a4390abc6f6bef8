//! A stored root as an image of one layer: a layout, an archive of one, or an archive as docker-save(1) writes it.
//!
//! The layer is a plain archive, written twice: once to know its size and digest, which stand before it, once into
//! place. Both must be the same. No times are written but those of files, so the same root gives the same image.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use super::Config;
use crate::store::listing::{Hash, hex};
use crate::store::{Error, Store};

/// What an image is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// An image layout: a directory.
    Layout,
    /// A tar archive of an image layout.
    Archive,
    /// A tar archive as docker-save(1) writes it.
    Docker,
}

impl Store {
    /// Writes a root as an image to `to`, where nothing may be: with this tag, or for [`Written::Docker`] whole name.
    ///
    /// # Errors
    /// There is no such root, it is damaged or has names that hide something in an image; `to` exists or can't be written.
    pub fn export_image(&self, name: &str, form: Written, to: &Path, tag: Option<&str>) -> Result<(), Error> {
        self.refuse_marks(name)?;
        let mut layer = Counted { to: io::sink(), size: 0, hash: Sha256::new() };
        self.export(name, &mut layer)?;
        let layer = Blob { size: layer.size, hash: layer.hash.finalize().into() };
        let config = config(self.find(name)?.config.unwrap_or_default(), &layer);
        let mut target = Target::new(form, to)?;
        match form {
            Written::Layout | Written::Archive => {
                self.layout(name, &layer, &config, &mut target, tag)?;
            }
            Written::Docker => {
                let image = Blob::of(&config);
                let (config_name, layer_name) =
                    (format!("{}.json", hex(&image.hash)), format!("{}.tar", hex(&layer.hash)));
                let tags: Vec<&str> = tag.into_iter().collect();
                let manifest = json!([{ "Config": config_name, "RepoTags": tags, "Layers": [layer_name] }]);
                target.bytes("manifest.json", manifest.to_string().as_bytes())?;
                target.bytes(&config_name, &config)?;
                self.layer(name, &layer, &layer_name, &mut target)?;
            }
        }
        target.end()
    }

    fn layout(
        &self,
        name: &str,
        layer: &Blob,
        config: &[u8],
        target: &mut Target,
        tag: Option<&str>,
    ) -> Result<(), Error> {
        target.bytes("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        let image = Blob::of(config);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": image.descriptor("application/vnd.oci.image.config.v1+json"),
            "layers": [layer.descriptor("application/vnd.oci.image.layer.v1.tar")],
        });
        let manifest = manifest.to_string().into_bytes();
        let mut entry = Blob::of(&manifest).descriptor("application/vnd.oci.image.manifest.v1+json");
        entry["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        if let Some(tag) = tag {
            entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        }
        target.bytes("index.json", json!({ "schemaVersion": 2, "manifests": [entry] }).to_string().as_bytes())?;
        target.directory("blobs/")?;
        target.directory("blobs/sha256/")?;
        target.bytes(&Blob::of(&manifest).path(), &manifest)?;
        target.bytes(&image.path(), config)?;
        self.layer(name, layer, &layer.path(), target)
    }

    /// Writes the layer, which must be what it was.
    fn layer(&self, name: &str, layer: &Blob, path: &str, target: &mut Target) -> Result<(), Error> {
        let mut file = target.begin(path, layer.size)?;
        let mut counted = Counted { to: &mut file, size: 0, hash: Sha256::new() };
        self.export(name, &mut counted)?;
        if (counted.size, Hash::from(counted.hash.finalize())) != (layer.size, layer.hash) {
            return Err(Error::Image { image: name.to_owned(), cause: "it changed while it was exported".to_owned() });
        }
        target.finish(file, layer.size)
    }

    /// In a layer some names mean something else.
    fn refuse_marks(&self, name: &str) -> Result<(), Error> {
        let listing = self.listing(&self.find(name)?.id)?;
        let mark = |path: &&Vec<u8>| path.split(|byte| *byte == b'/').any(|part| part.starts_with(b".wh."));
        match listing.0.keys().find(mark) {
            Some(path) => Err(Error::Image {
                image: name.to_owned(),
                cause: format!("the name {} means that something is hidden", String::from_utf8_lossy(path)),
            }),
            None => Ok(()),
        }
    }
}

struct Blob {
    size: u64,
    hash: Hash,
}

impl Blob {
    fn of(bytes: &[u8]) -> Blob {
        Blob { size: bytes.len() as u64, hash: Sha256::digest(bytes).into() }
    }

    fn path(&self) -> String {
        format!("blobs/sha256/{}", hex(&self.hash))
    }

    fn descriptor(&self, kind: &str) -> Value {
        json!({ "mediaType": kind, "digest": format!("sha256:{}", hex(&self.hash)), "size": self.size })
    }
}

fn config(start: Config, layer: &Blob) -> Vec<u8> {
    let mut config = json!({});
    let lists = [("Env", start.env), ("Entrypoint", start.entrypoint), ("Cmd", start.command)];
    for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        config[key] = json!(list);
    }
    for (key, text) in [("WorkingDir", start.directory), ("User", start.user)] {
        if !text.is_empty() {
            config[key] = json!(text);
        }
    }
    let content = format!("sha256:{}", hex(&layer.hash));
    let whole = json!({
        "architecture": "amd64", "os": "linux", "config": config,
        "rootfs": { "type": "layers", "diff_ids": [content] },
        "history": [{ "created_by": "holm root export" }],
    });
    whole.to_string().into_bytes()
}

/// Where files go: into a directory, or one after the other into an archive.
enum Target {
    Directory(PathBuf),
    Archive { file: BufWriter<File>, path: PathBuf },
}

impl Target {
    fn new(form: Written, to: &Path) -> Result<Target, Error> {
        if form == Written::Layout {
            fs::create_dir(to).map_err(Error::io("make", to))?;
            return Ok(Target::Directory(to.to_owned()));
        }
        let file = File::create_new(to).map_err(Error::io("write", to))?;
        Ok(Target::Archive { file: BufWriter::with_capacity(1 << 20, file), path: to.to_owned() })
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut file = self.begin(name, bytes.len() as u64)?;
        file.write_all(bytes).map_err(Error::io("write", Path::new(name)))?;
        self.finish(file, bytes.len() as u64)
    }

    /// Makes a directory: who unpacks an archive without them may not be allowed to.
    fn directory(&mut self, name: &str) -> Result<(), Error> {
        match self {
            Target::Directory(directory) => {
                let path = directory.join(name);
                fs::create_dir(&path).map_err(Error::io("make", &path))
            }
            Target::Archive { file, path } => {
                member(file, name, EntryType::Directory, 0).map_err(Error::io("write", path))
            }
        }
    }

    /// Begins a file of this size.
    fn begin(&mut self, name: &str, size: u64) -> Result<Box<dyn Write>, Error> {
        match self {
            Target::Directory(directory) => {
                let path = directory.join(name);
                let file = File::create_new(&path).map_err(Error::io("write", &path))?;
                Ok(Box::new(BufWriter::with_capacity(1 << 20, file)))
            }
            Target::Archive { file, path } => {
                member(file, name, EntryType::Regular, size).map_err(Error::io("write", path))?;
                // A second handle with the same offset.
                file.flush()
                    .and_then(|()| file.get_ref().try_clone())
                    .map(|file| Box::new(BufWriter::new(file)) as _)
                    .map_err(Error::io("write", path))
            }
        }
    }

    fn finish(&mut self, mut one: Box<dyn Write>, size: u64) -> Result<(), Error> {
        let path = match self {
            Target::Directory(path) | Target::Archive { path, .. } => path.clone(),
        };
        let written = one.flush().and_then(|()| match self {
            Target::Directory(_) => Ok(()),
            Target::Archive { file, .. } => {
                let padding = usize::try_from(size.wrapping_neg() % 512).unwrap_or_default();
                file.write_all(&[0; 512][..padding])
            }
        });
        written.map_err(Error::io("write", &path))
    }

    /// Writes all to the disk.
    fn end(self) -> Result<(), Error> {
        match self {
            Target::Directory(path) => {
                let directory = File::open(&path).map_err(Error::io("sync", &path))?;
                rustix::fs::syncfs(directory).map_err(Error::io("sync", &path))
            }
            Target::Archive { mut file, path } => file
                .write_all(&[0; 1024])
                .and_then(|()| file.flush())
                .and_then(|()| file.get_ref().sync_all())
                .map_err(Error::io("write", &path)),
        }
    }
}

/// Writes the header of an archive's member.
fn member(to: &mut impl Write, name: &str, kind: EntryType, size: u64) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_entry_type(kind);
    header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mtime(0);
    header.set_cksum();
    to.write_all(header.as_bytes())
}

/// A stream that is counted and hashed while it is written.
struct Counted<W> {
    to: W,
    size: u64,
    hash: Sha256,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
