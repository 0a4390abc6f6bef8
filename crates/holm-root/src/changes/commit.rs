//! A stored root made of a root and what was changed in it.
//!
//! The root is laid out again as it was stored, by its listing: on an ordinary user's disk files don't have their owners.
//! Then each change is made in the draft, whose own look-ups keep every path inside.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::FileType;

use super::compare::{Aspect, Change, Comparison, Renames, Spot, What};
use super::{About, Changes, Root};
use crate::image::Config;
use crate::progress::untold;
use crate::store::error::Error;
use crate::store::listing::{Facts, Item, Listing};
use crate::store::{Metadata, Store};
use crate::tree::scan::{attributes, device};
use crate::tree::{Sink, Tree, copy, modified};
use crate::unpack::Limits;

/// A path of the root that failed, and why.
type Failed = (Vec<u8>, io::Error);

impl Changes {
    /// Makes a stored root of the root and its changes; those of bound directories are no part of it.
    ///
    /// # Errors
    /// The root was the host's or made of its programs; another root has the name; something can't be read or stored.
    pub fn commit(&self, name: &str) -> Result<Metadata, Error> {
        crate::store::check_name(name)?;
        let about = self.about()?;
        let of = match &about.root {
            Root::Host | Root::Programs(_) => return Err(Error::Uncommitted { name: self.name.clone() }),
            Root::Directory(path) => format!("directory {}", path.path().display()),
            Root::Stored { name, .. } => name.clone(),
        };
        let writer = self.store.clone().write()?;
        let mut draft = writer.begin()?;
        let listing = lay_out(&self.store, &about, &mut draft.tree)?;
        for place in about.places.iter().filter(|place| place.key == "root") {
            let comparison = &self.store.compare_place(&about, place, Renames::Expanded)?;
            let mut make = Make { comparison, about: &about, listing: &listing, links: HashMap::new(), left: limit() };
            for change in &comparison.changes {
                let made = make.change(&mut draft.tree, change);
                made.map_err(|error| Error::unpack(&comparison.inside(&change.path))(error))?;
            }
        }
        writer.finish(draft, name, format!("{of} with changes {}", self.name), self.config(&about))
    }
}

impl Changes {
    /// How a program is started in the root that the changes are of, as long as its name is there.
    fn config(&self, about: &About) -> Option<Config> {
        let Root::Stored { name, id } = &about.root else { return None };
        self.store.find(name).ok().filter(|known| known.id == *id)?.config
    }
}

fn limit() -> u64 {
    Limits::default().bytes
}

/// Fills a draft with the root that changes are of; its listing, if it is a stored one.
fn lay_out(store: &Store, about: &About, tree: &mut Tree) -> Result<Listing, Error> {
    match &about.root {
        Root::Stored { id, .. } => store.lay_out(id, tree),
        Root::Directory(path) => {
            let failed =
                |(inside, error): Failed| Error::unpack(&path.path().join(std::ffi::OsStr::from_bytes(&inside)))(error);
            let source = copy::open(path.path()).map_err(Error::unpack(path.path()))?;
            copy::copy(source, store.path(), None, tree, &mut untold).map_err(failed)?;
            Ok(Listing::default())
        }
        Root::Host | Root::Programs(_) => Err(Error::Uncommitted { name: about.name.clone() }),
    }
}

struct Make<'m> {
    comparison: &'m Comparison,
    about: &'m About,
    listing: &'m Listing,
    /// The path of each file with several names.
    links: HashMap<(u64, u64), Vec<u8>>,
    /// So many bytes can still be added.
    left: u64,
}

impl Make<'_> {
    fn change(&mut self, tree: &mut Tree, change: &Change) -> io::Result<()> {
        let path = change.path.as_os_str().as_bytes();
        let Some(after) = &change.after else { return Ok(tree.remove(path)?) };
        let status = &after.status;
        if !after.kind().is_dir() && status.st_nlink > 1 {
            if let Some(of) = self.links.get(&(status.st_dev, status.st_ino)) {
                return Ok(tree.hard_link(path, of)?);
            }
            self.links.insert((status.st_dev, status.st_ino), path.to_vec());
        }
        let (facts, time) = (self.facts(change, after, tree)?, modified(status));
        match after.kind() {
            FileType::Directory => tree.directory(path, facts, time)?,
            FileType::RegularFile => {
                let mut content = self.comparison.content(after)?;
                let size = content.metadata()?.len();
                let too_large = || io::Error::other("the changes are larger than 32 GiB, the limit");
                self.left = self.left.checked_sub(size).ok_or_else(too_large)?;
                tree.file(path, facts, time, |sink: &mut Sink| sink.whole(&mut content))?;
            }
            FileType::Symlink => tree.link(path, &self.comparison.link(after)?, facts, time)?,
            FileType::Fifo => tree.fifo(path, facts, time)?,
            _ => match device(status) {
                Some(device) => tree.device(path, facts, device)?,
                None => tree.left_out += 1,
            },
        }
        Ok(())
    }

    /// What something is meant to be: in what it wasn't changed, as the listing says.
    fn facts(&self, change: &Change, after: &Spot, tree: &mut Tree) -> io::Result<Facts> {
        let status = &after.status;
        let (uid, gid) = self.about.ids.inside(status.st_uid, status.st_gid);
        let mut facts = Facts { mode: status.st_mode & 0o7777, uid, gid, ..Facts::default() };
        if matches!(after.kind(), FileType::RegularFile | FileType::Directory) {
            facts.attributes = attributes(self.comparison.reading(after)?.as_fd(), &mut tree.left_out)?;
        }
        let What::Changed(aspects) = &change.what else { return Ok(facts) };
        let known = self.listing.0.get(change.path.as_os_str().as_bytes());
        let known = match known {
            Some(Item::Hard { of }) => self.listing.0.get(of),
            known => known,
        };
        let same = |aspect: Aspect| !aspects.contains(&aspect) && !aspects.contains(&Aspect::Kind);
        if let Some(known) = known.and_then(Item::facts) {
            if same(Aspect::Mode) {
                facts.mode = known.mode;
            }
            if same(Aspect::Owner) {
                (facts.uid, facts.gid) = (known.uid, known.gid);
            }
            if same(Aspect::Attributes) && same(Aspect::Content) {
                facts.attributes.clone_from(&known.attributes);
            }
        }
        Ok(facts)
    }
}
