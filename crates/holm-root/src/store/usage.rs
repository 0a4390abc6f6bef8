//! How much disk roots take, each and together.

use std::collections::{HashMap, HashSet};
use std::os::fd::AsFd;

use rustix::fs::FileType;

use super::{Error, Store};

/// Bytes on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Each name with all its bytes, and with those that no other name has: what removing it frees.
    pub names: Vec<(String, u64, u64)>,
    /// Bytes of all roots together, each file once.
    pub total: u64,
    /// Bytes of downloaded layers of images.
    pub downloads: u64,
}

impl Store {
    /// Adds up what files take on disk. Names that are damaged are left out.
    ///
    /// # Errors
    /// A root can't be read.
    pub fn usage(&self) -> Result<Usage, Error> {
        // Names of each root, and each file with its bytes and the roots that have it.
        let mut roots: Vec<(String, Vec<String>)> = Vec::new();
        for (name, known) in self.all()? {
            let Ok(known) = known else { continue };
            match roots.iter_mut().find(|(id, _)| *id == known.id) {
                Some((_, names)) => names.push(name),
                None => roots.push((known.id, vec![name])),
            }
        }
        let mut files: HashMap<u64, (u64, u32)> = HashMap::new();
        let mut of_root = Vec::new();
        for (id, names) in roots {
            let own = self.inodes(&id)?;
            for (ino, bytes) in &own {
                files.entry(*ino).or_insert((*bytes, 0)).1 += 1;
            }
            of_root.push((names, own));
        }
        let total = files.values().map(|(bytes, _)| bytes).sum();
        let mut usage = Usage { names: Vec::new(), total, downloads: self.blob_bytes()? };
        for (names, own) in of_root {
            let all = own.iter().map(|(_, bytes)| bytes).sum();
            let alone = own.iter().filter(|(ino, _)| files.get(ino).is_some_and(|(_, roots)| *roots == 1));
            let alone = if names.len() == 1 { alone.map(|(_, bytes)| bytes).sum() } else { 0 };
            usage.names.extend(names.into_iter().map(|name| (name, all, alone)));
        }
        usage.names.sort_unstable();
        Ok(usage)
    }

    /// The files of a root, each once, with their bytes.
    fn inodes(&self, id: &str) -> Result<HashSet<(u64, u64)>, Error> {
        let all = self.walk(id, self.open_files(id)?.as_fd())?;
        let counted = |mode| !matches!(FileType::from_raw_mode(mode), FileType::Socket);
        let bytes = |blocks: i64| u64::try_from(blocks).unwrap_or_default() * 512;
        Ok(all.values().filter(|s| counted(s.st_mode)).map(|s| (s.st_ino, bytes(s.st_blocks))).collect())
    }
}
