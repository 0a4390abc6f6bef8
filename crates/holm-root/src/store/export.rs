//! A stored root as a tar archive: as its listing says, in its order, so the same root gives the same archive but for
//! times. Attributes are in pax headers (`SCHILY.xattr.*`).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};
use tar::{Builder, EntryType, Header};

use super::listing::{Facts, Item};
use super::{Error, Store};

impl Store {
    /// Writes a root as a tar archive.
    ///
    /// # Errors
    /// There is no such name, it is damaged, or `to` takes no more.
    pub fn export(&self, name: &str, to: impl Write) -> Result<(), Error> {
        let found = self.find(name)?;
        let listing = self.listing(&found.id)?;
        let root = self.open_files(&found.id)?;
        let mut archive = Builder::new(to);
        for (inside, item) in &listing.0 {
            let facts = match item {
                Item::Hard { of } => listing.0.get(of).and_then(Item::facts),
                item => item.facts(),
            };
            let facts = facts.cloned().unwrap_or_default();
            put(&mut archive, root.as_fd(), inside, item, &facts)
                .map_err(Error::io("export", Path::new(OsStr::from_bytes(inside))))?;
        }
        archive.into_inner().and_then(|mut to| to.flush()).map_err(Error::io("export", Path::new(name)))
    }
}

fn put(
    archive: &mut Builder<impl Write>,
    root: BorrowedFd<'_>,
    inside: &[u8],
    item: &Item,
    facts: &Facts,
) -> io::Result<()> {
    let path = Path::new(OsStr::from_bytes(inside));
    let mut header = Header::new_gnu();
    header.set_mode(facts.mode);
    header.set_uid(facts.uid.into());
    header.set_gid(facts.gid.into());
    header.set_size(0);
    // Device nodes aren't on disk.
    let modified = statat(root, inside, AtFlags::SYMLINK_NOFOLLOW).map_or(0, |status| status.st_mtime);
    header.set_mtime(u64::try_from(modified).unwrap_or(0));
    if !matches!(item, Item::Hard { .. }) {
        let names: Vec<(String, &[u8])> = attributes(facts)?;
        if !names.is_empty() {
            archive.append_pax_extensions(names.iter().map(|(name, value)| (name.as_str(), *value)))?;
        }
    }
    let mut plain = |mut header: Header, kind| {
        header.set_entry_type(kind);
        header.set_cksum();
        archive.append_data(&mut header, path, io::empty())
    };
    match item {
        Item::Directory(_) => plain(header, EntryType::Directory),
        Item::Fifo(_) => plain(header, EntryType::Fifo),
        Item::Device { device, .. } => {
            header.set_device_major(device.major)?;
            header.set_device_minor(device.minor)?;
            plain(header, if device.block { EntryType::Block } else { EntryType::Char })
        }
        Item::Link { text, .. } => {
            header.set_entry_type(EntryType::Symlink);
            archive.append_link(&mut header, path, OsStr::from_bytes(text))
        }
        Item::Hard { of } => {
            header.set_entry_type(EntryType::Link);
            archive.append_link(&mut header, path, OsStr::from_bytes(of))
        }
        Item::File { size, .. } => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = File::from(openat(root, inside, flags, Mode::empty())?);
            if file.metadata()?.len() != *size {
                return Err(io::Error::other("it is damaged: its size is another than when it was stored"));
            }
            header.set_entry_type(EntryType::Regular);
            header.set_size(*size);
            archive.append_data(&mut header, path, file.take(*size))
        }
    }
}

fn attributes(facts: &Facts) -> io::Result<Vec<(String, &[u8])>> {
    facts
        .attributes
        .iter()
        .map(|(name, value)| {
            let name = std::str::from_utf8(name).map_err(|_| io::Error::other("an attribute's name isn't UTF-8"))?;
            Ok((format!("SCHILY.xattr.{name}"), value.as_slice()))
        })
        .collect()
}
