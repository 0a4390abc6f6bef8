//! Inodes, what directories hold, and extended attributes.

use std::io;

use super::bad;
use super::image::{Cursor, Fragment, Image, NONE};
use crate::store::listing::Device;

/// A link's text may be so long (PATH_MAX, limits.h).
const LINK: u32 = 4096;
/// A name in a directory may be so long.
const NAME: usize = 256;
/// An attribute's value may be so long, and an inode may have so many (XATTR_SIZE_MAX, limits.h).
const VALUE: u32 = 65_536;
const ATTRIBUTES: u32 = 256;

/// An inode.
pub(super) struct Inode {
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) modified: u32,
    pub(super) links: u32,
    /// The number of its attributes.
    pub(super) attributes: u32,
}

/// What it is of.
pub(super) enum Kind {
    Directory { start: u32, offset: u16, size: u32 },
    File(Content),
    Link(Vec<u8>),
    Device(Device),
    Fifo,
    Socket,
}

/// Where a file's content is.
pub(super) struct Content {
    pub(super) start: u64,
    pub(super) size: u64,
    pub(super) fragment: Option<Fragment>,
    /// The list of its blocks' lengths.
    pub(super) blocks: Cursor,
}

/// Names and values.
pub(super) type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

impl Inode {
    /// The inode that a reference leads to.
    pub(super) fn read(image: &mut Image, reference: u64) -> io::Result<Inode> {
        let mut at = Cursor::new(image.inodes, reference)?;
        let (form, mode) = (at.u16(image)?, at.u16(image)?);
        let (uid, gid) = (at.u16(image)?, at.u16(image)?);
        let modified = at.u32(image)?;
        // Its number.
        at.u32(image)?;
        let (uid, gid) = (image.id(uid)?, image.id(gid)?);
        let (mut links, mut attributes) = (1, NONE);
        let kind = match form {
            1 => {
                let start = at.u32(image)?;
                links = at.u32(image)?;
                let (size, offset) = (at.u16(image)?.into(), at.u16(image)?);
                Kind::Directory { start, offset, size }
            }
            8 => {
                links = at.u32(image)?;
                let (size, start) = (at.u32(image)?, at.u32(image)?);
                // The parent's number, and how long the index of names is.
                at.bytes(image, 6)?;
                let offset = at.u16(image)?;
                attributes = at.u32(image)?;
                Kind::Directory { start, offset, size }
            }
            2 => {
                let start = at.u32(image)?.into();
                let fragment = fragment(at.u32(image)?, at.u32(image)?);
                let size = at.u32(image)?.into();
                Kind::File(Content { start, size, fragment, blocks: at })
            }
            9 => {
                let (start, size) = (at.u64(image)?, at.u64(image)?);
                // How much of it are holes.
                at.u64(image)?;
                links = at.u32(image)?;
                let fragment = fragment(at.u32(image)?, at.u32(image)?);
                attributes = at.u32(image)?;
                Kind::File(Content { start, size, fragment, blocks: at })
            }
            _ => {
                links = at.u32(image)?;
                let kind = match form {
                    3 | 10 => {
                        let length = at.u32(image)?;
                        if length > LINK {
                            return Err(bad("it is a link with too long a text"));
                        }
                        Kind::Link(at.bytes(image, length as usize)?)
                    }
                    4 | 5 | 11 | 12 => Kind::Device(device(form, at.u32(image)?)),
                    6 | 13 => Kind::Fifo,
                    7 | 14 => Kind::Socket,
                    _ => return Err(bad("the image is damaged: an inode is of no kind")),
                };
                if form >= 10 {
                    attributes = at.u32(image)?;
                }
                kind
            }
        };
        Ok(Inode { kind, mode: u32::from(mode) & 0o7777, uid, gid, modified, links, attributes })
    }
}

fn fragment(number: u32, offset: u32) -> Option<Fragment> {
    (number != NONE).then_some(Fragment { number, offset })
}

/// As `new_encode_dev` of the kernel writes it.
fn device(form: u16, number: u32) -> Device {
    let (major, minor) = ((number & 0x000f_ff00) >> 8, number & 0xff | number >> 12 & 0x000f_ff00);
    Device { block: matches!(form, 4 | 11), major, minor }
}

impl Image {
    /// The names in a directory with the places of their inodes; `one` is called for each.
    pub(super) fn entries(
        &mut self,
        start: u32,
        offset: u16,
        size: u32,
        mut one: impl FnMut() -> io::Result<()>,
    ) -> io::Result<Vec<(Vec<u8>, u64)>> {
        let mut at = Cursor::new(self.directories, u64::from(start) << 16 | u64::from(offset))?;
        // For `.` and `..`, which aren't there.
        let mut left = size.saturating_sub(3) as usize;
        let mut take = |count: usize| {
            left =
                left.checked_sub(count).ok_or_else(|| bad("the image is damaged: a directory ends within an entry"))?;
            Ok::<usize, io::Error>(left)
        };
        let mut found = Vec::new();
        while take(0)? > 0 {
            take(12)?;
            let (count, block) = (at.u32(self)?, at.u32(self)?);
            at.u32(self)?;
            for _ in 0..=count {
                one()?;
                take(8)?;
                let offset = at.u16(self)?;
                // The difference of numbers, and a kind that the inode tells, too.
                at.u32(self)?;
                let length = usize::from(at.u16(self)?) + 1;
                if length > NAME {
                    return Err(bad("it has a name that is too long"));
                }
                take(length)?;
                let name = at.bytes(self, length)?;
                if matches!(name.as_slice(), b"." | b"..") || name.iter().any(|byte| matches!(byte, b'/' | 0)) {
                    return Err(bad("it has a name that none can have"));
                }
                found.push((name, u64::from(block) << 16 | u64::from(offset)));
            }
        }
        Ok(found)
    }

    /// The attributes of this number.
    pub(super) fn attributes(&mut self, number: u32) -> io::Result<Attributes> {
        if number == NONE {
            return Ok(Vec::new());
        }
        let (table, start) = self.attributes.ok_or_else(|| bad("the image has no attributes, but an inode has"))?;
        let mut row = self.row(table, number)?;
        let (place, count) = (row.u64(self)?, row.u32(self)?);
        if count > ATTRIBUTES {
            return Err(bad("it has too many attributes"));
        }
        let mut at = Cursor::new(start, place)?;
        (0..count).map(|_| self.attribute(start, &mut at)).collect()
    }

    fn attribute(&mut self, start: u64, at: &mut Cursor) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let (form, length) = (at.u16(self)?, at.u16(self)?);
        let prefix: &[u8] = match form & 0xff {
            0 => b"user.",
            1 => b"trusted.",
            2 => b"security.",
            _ => return Err(bad("it has an attribute of an unknown kind")),
        };
        if usize::from(length) > NAME {
            return Err(bad("it has an attribute with too long a name"));
        }
        let name = [prefix, &at.bytes(self, length.into())?].concat();
        let size = at.u32(self)?;
        if form & 0x100 == 0 {
            return Ok((name, self.value(size, at)?));
        }
        // The value is elsewhere, where another inode has the same.
        let place = at.u64(self)?;
        let mut elsewhere = Cursor::new(start, place)?;
        let size = elsewhere.u32(self)?;
        Ok((name, self.value(size, &mut elsewhere)?))
    }

    fn value(&mut self, size: u32, at: &mut Cursor) -> io::Result<Vec<u8>> {
        match size {
            0..=VALUE => at.bytes(self, size as usize),
            _ => Err(bad("it has an attribute with too long a value")),
        }
    }
}
