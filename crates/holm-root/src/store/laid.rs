//! A stored root laid out again in a draft, as its listing says: on an ordinary user's disk files don't have their owners.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};

use super::listing::{Item, Listing};
use super::{Error, Store};
use crate::tree::{Sink, Tree, epoch, modified};

impl Store {
    /// Fills a draft with a stored root; its listing.
    pub(crate) fn lay_out(&self, id: &str, tree: &mut Tree) -> Result<Listing, Error> {
        let (listing, files) = (self.listing(id)?, self.open_files(id)?);
        for (path, item) in &listing.0 {
            let laid = lay(files.as_fd(), path, item, tree);
            laid.map_err(|error| Error::unpack(Path::new(OsStr::from_bytes(path)))(error))?;
        }
        Ok(listing)
    }
}

/// Makes one entry of a stored root again.
fn lay(files: BorrowedFd<'_>, path: &[u8], item: &Item, tree: &mut Tree) -> io::Result<()> {
    // Device nodes aren't on disk.
    let time = || statat(files, path, AtFlags::SYMLINK_NOFOLLOW).map_or(epoch(), |status| modified(&status));
    match item {
        Item::Directory(facts) => tree.directory(path, facts.clone(), time())?,
        Item::Fifo(facts) => tree.fifo(path, facts.clone(), time())?,
        Item::Link { facts, text } => tree.link(path, text, facts.clone(), time())?,
        Item::Device { facts, device } => tree.device(path, facts.clone(), *device)?,
        Item::Hard { of } => tree.hard_link(path, of)?,
        Item::File { facts, .. } => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let mut file = File::from(openat(files, path, flags, Mode::empty())?);
            tree.file(path, facts.clone(), time(), |sink: &mut Sink| sink.whole(&mut file))?;
        }
    }
    Ok(())
}
