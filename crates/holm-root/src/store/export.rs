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
    name(archive, &mut header.as_old_mut().name, EntryType::GNULongName, inside)?;
    match item {
        Item::Directory(_) => plain(archive, header, EntryType::Directory),
        Item::Fifo(_) => plain(archive, header, EntryType::Fifo),
        Item::Device { device, .. } => {
            header.set_device_major(device.major)?;
            header.set_device_minor(device.minor)?;
            plain(archive, header, if device.block { EntryType::Block } else { EntryType::Char })
        }
        Item::Link { text, .. } => {
            name(archive, &mut header.as_old_mut().linkname, EntryType::GNULongLink, text)?;
            plain(archive, header, EntryType::Symlink)
        }
        Item::Hard { of } => {
            name(archive, &mut header.as_old_mut().linkname, EntryType::GNULongLink, of)?;
            plain(archive, header, EntryType::Link)
        }
        Item::File { size, .. } => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = File::from(openat(root, inside, flags, Mode::empty())?);
            if file.metadata()?.len() != *size {
                return Err(io::Error::other("it is damaged: its size is another than when it was stored"));
            }
            header.set_entry_type(EntryType::Regular);
            header.set_size(*size);
            header.set_cksum();
            archive.append(&header, file.take(*size))
        }
    }
}

/// A member without content.
fn plain(archive: &mut Builder<impl Write>, mut header: Header, kind: EntryType) -> io::Result<()> {
    header.set_entry_type(kind);
    header.set_cksum();
    archive.append(&header, io::empty())
}

/// Writes a name or a link's text into its field of a header, byte for byte; a longer one goes before the header, in a
/// member of its own (tar(5), "GNU tar Archives"). The crate's own way changes texts such as `a//b`, and refuses a long
/// name that does not begin with UTF-8.
fn name(archive: &mut Builder<impl Write>, field: &mut [u8], long: EntryType, bytes: &[u8]) -> io::Result<()> {
    if bytes.len() > field.len() {
        let mut header = Header::new_gnu();
        header.set_path("././@LongLink")?;
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64 + 1);
        header.set_entry_type(long);
        header.set_cksum();
        archive.append(&header, bytes.chain(&b"\0"[..]))?;
    }
    let length = bytes.len().min(field.len());
    field[..length].copy_from_slice(&bytes[..length]);
    Ok(())
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
