//! Names of containers as people gave them, by their ids: the files of podman and Docker tell them.
//!
//! Believed are the caller's own files and the system's, where they are by default; of what can't be read no name is known. No
//! container can write there.

use holm::inspect::maker::{Maker, Tool};
use rustix::fs::{FileType, Mode, OFlags};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// So many containers of an engine are looked at, and so many bytes of a file.
const MOST: usize = 4096;
const LARGEST: u64 = 16 << 20;

/// The names, which are read once the first is asked for.
#[derive(Default)]
pub(crate) struct Names {
    by_id: OnceLock<BTreeMap<String, String>>,
}

impl Names {
    /// The name of the container that a maker made, whose name is the start of its id.
    pub(crate) fn of(&self, maker: &Maker) -> Option<&str> {
        if !is_container(maker.tool) {
            return None;
        }
        let (id, name) = self.all().range(maker.name.clone()..).next()?;
        id.starts_with(&maker.name).then_some(name)
    }

    /// The ids of the containers with this name.
    pub(crate) fn ids<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all().iter().filter(move |(_, known)| *known == name).map(|(id, _)| id.as_str())
    }

    fn all(&self) -> &BTreeMap<String, String> {
        self.by_id.get_or_init(|| {
            let own = crate::places::base("XDG_DATA_HOME", ".local/share");
            [Some(PathBuf::from("/var/lib")), own].iter().flatten().flat_map(|data| read(data)).collect()
        })
    }
}

/// Whether a tool names what it makes by ids.
pub(crate) fn is_container(tool: Tool) -> bool {
    matches!(tool, Tool::Docker | Tool::Podman | Tool::Containerd)
}

/// Ids and names of what an engine keeps below this directory.
fn read(data: &Path) -> Vec<(String, String)> {
    let listed = |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten().take(MOST);
    let mut found = Vec::new();
    // One directory for each kind of storage: overlay-containers, vfs-containers.
    for entry in listed(data.join("containers/storage")) {
        if entry.file_name().as_encoded_bytes().ends_with(b"-containers") {
            for file in ["containers.json", "volatile-containers.json"] {
                found.extend(bytes(&entry.path().join(file)).map(|bytes| podman(&bytes)).unwrap_or_default());
            }
        }
    }
    found.extend(
        listed(data.join("docker/containers"))
            .filter_map(|entry| docker(&bytes(&entry.path().join("config.v2.json"))?)),
    );
    found
}

/// What a file holds that nobody but root or the caller can have written, wherever variables say that the caller's home is.
fn bytes(path: &Path) -> Option<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let about = rustix::fs::fstat(&file).ok()?;
    let trusted = [0, rustix::process::geteuid().as_raw()].contains(&about.st_uid);
    if !trusted || FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::from(file).take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// What podman's list of containers tells.
pub(crate) fn podman(bytes: &[u8]) -> Vec<(String, String)> {
    #[derive(Deserialize)]
    struct Stored {
        id: String,
        #[serde(default)]
        names: Option<Vec<String>>,
    }
    let stored: Vec<Stored> = serde_json::from_slice(bytes).unwrap_or_default();
    stored.into_iter().filter_map(|one| Some((one.id, one.names?.into_iter().next()?))).collect()
}

/// What Docker's file of a container tells.
pub(crate) fn docker(bytes: &[u8]) -> Option<(String, String)> {
    #[derive(Deserialize)]
    struct Stored {
        #[serde(rename = "ID")]
        id: String,
        #[serde(rename = "Name")]
        name: String,
    }
    let Stored { id, name } = serde_json::from_slice(bytes).ok()?;
    Some((id, name.trim_start_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_engines_tell_ids_and_names() {
        let text = br#"[{"id":"4f5e","names":["web","other"],"image":"x","flags":{"a":1}},{"id":"4f60"},{"id":"4f61","names":null}]"#;
        let pair = |id: &str, name: &str| (id.to_owned(), name.to_owned());
        assert_eq!(podman(text), [pair("4f5e", "web")]);
        assert_eq!(docker(br#"{"State":{"Pid":7},"ID":"c0de","Name":"/db"}"#), Some(pair("c0de", "db")));
        assert!(podman(b"{}").is_empty() && podman(b"[{}]").is_empty() && docker(b"[]").is_none());
    }

    #[test]
    fn a_container_has_the_name_of_the_id_that_begins_with_its() {
        let names = Names::default();
        let known = [("4f5e0c9a7b3d21e8", "web"), ("4f5e0c9a7b3e21e8", "db"), ("77", "web")];
        let _ = names.by_id.set(known.map(|(id, name)| (id.to_owned(), name.to_owned())).into());
        let maker = |tool, name: &str| Maker { tool, name: name.to_owned(), called: None };
        assert_eq!(names.of(&maker(Tool::Podman, "4f5e0c9a7b3d")), Some("web"));
        assert_eq!(names.of(&maker(Tool::Docker, "4f5e0c9a7b3f")), None);
        assert_eq!(names.of(&maker(Tool::Nspawn, "77")), None);
        assert_eq!(names.ids("web").collect::<Vec<_>>(), ["4f5e0c9a7b3d21e8", "77"]);
    }
}
