//! What was made of which inputs: the same recipe needs to be cooked once.
//!
//! A record is a hint: it counts while the root is there that it leads to, and [`Writer::collect`] removes the others.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Error, Metadata, Writer, metadata};

impl Writer {
    /// Gives a name to the root that this recipe made, if it is still there.
    pub(crate) fn made(&self, recipe: &str, name: &str, source: &str) -> Result<Option<Metadata>, Error> {
        let Some(known) = self.known(recipe) else { return Ok(None) };
        let created = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let metadata = Metadata { name: name.to_owned(), source: source.to_owned(), created, ..known };
        if let Some(there) = self.vacant(&metadata)? {
            return Ok(Some(there));
        }
        self.put_name(&metadata)?;
        Ok(Some(metadata))
    }

    /// The root that this recipe made, if it is still there.
    pub(crate) fn known(&self, recipe: &str) -> Option<Metadata> {
        self.record(&self.recipe(recipe))
    }

    /// Notes which root a recipe has made.
    pub(crate) fn note(&self, recipe: &str, metadata: &Metadata) -> Result<(), Error> {
        // A record that a loss of power has cut short is none.
        self.put(metadata, &self.recipe(recipe), |_| Ok(()))
    }

    /// Removes records that lead nowhere.
    pub(super) fn forget(&self) -> Result<(), Error> {
        let path = self.store.path.join("recipes");
        for item in fs::read_dir(&path).map_err(Error::io("read", &path))? {
            let path = item.map_err(Error::io("read", &path))?.path();
            if self.record(&path).is_none() {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// A record that counts.
    fn record(&self, path: &Path) -> Option<Metadata> {
        let known: Metadata = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        let counts = known.version == metadata::VERSION && metadata::is_id(&known.id);
        (counts && self.store.root(&known.id).exists()).then_some(known)
    }

    fn recipe(&self, recipe: &str) -> PathBuf {
        self.store.path.join("recipes").join(format!("{recipe}.json"))
    }
}
