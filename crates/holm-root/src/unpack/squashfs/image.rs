//! The blocks and tables of an image.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor as Bytes, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use flate2::read::ZlibDecoder;
use lzma_rust2::XzReader;

use super::{MAGIC, bad};
use crate::unpack::decoder::{Frames, XZ_MEMORY};
use crate::unpack::too_much;

/// A block of a table has so many bytes, once it is decompressed.
const BLOCK: usize = 8192;
/// A reference to nothing.
pub(super) const NONE: u32 = u32::MAX;
/// Blocks of tables, and fragments, are kept so many at a time.
const KEPT: usize = 64;
const KEPT_FRAGMENTS: usize = 4;

/// How blocks are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    Zlib,
    Xz,
    Zstd,
}

/// The end of a file, which shares a block with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) number: u32,
    pub(super) offset: u32,
}

/// A block that was decompressed, and where the next one is.
type Kept = (u64, Arc<Vec<u8>>, u64);

/// An open image.
pub(super) struct Image {
    file: File,
    compression: Compression,
    /// The size of the files' blocks.
    pub(super) block: u32,
    /// Where the root's inode is.
    pub(super) root: u64,
    pub(super) inodes: u64,
    pub(super) directories: u64,
    /// Where the blocks of these tables are.
    ids: Table,
    fragments: Table,
    pub(super) attributes: Option<(Table, u64)>,
    /// Bytes that were read, and those that there are.
    pub(super) read: u64,
    pub(super) size: u64,
    /// Bytes that may still be decompressed.
    left: u64,
    tables: VecDeque<Kept>,
    ends: VecDeque<(u32, Arc<Vec<u8>>)>,
}

/// A table of entries of one size, in blocks that a list leads to.
#[derive(Clone, Copy)]
pub(super) struct Table {
    list: u64,
    count: u32,
    width: u32,
}

impl Image {
    /// Reads the superblock. So many bytes may be decompressed.
    pub(super) fn open(file: File, most: u64) -> io::Result<Image> {
        let mut bytes = [0; 96];
        file.read_exact_at(&mut bytes, 0).map_err(|_| bad("it ends within its superblock"))?;
        let u16 = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32 = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64 = |at: usize| u64::from(u32(at)) | u64::from(u32(at + 4)) << 32;
        if !bytes.starts_with(MAGIC) || (u16(28), u16(30)) != (4, 0) {
            return Err(bad("it is no squashfs of version 4.0"));
        }
        let compression = match u16(20) {
            1 => Compression::Zlib,
            4 => Compression::Xz,
            6 => Compression::Zstd,
            _ => {
                return Err(bad("it is compressed by something else than gzip, xz or zstd; unsquashfs(1) may read it"));
            }
        };
        let block = u32(12);
        if !(4096..=1 << 20).contains(&block) || !block.is_power_of_two() {
            return Err(bad("its blocks have a size that none can have"));
        }
        let mut image = Image {
            size: file.metadata()?.len().min(u64(40)),
            file,
            compression,
            block,
            root: u64(32),
            inodes: u64(64),
            directories: u64(72),
            ids: Table { list: u64(48), count: u16(26).into(), width: 4 },
            fragments: Table { list: u64(80), count: u32(16), width: 16 },
            attributes: None,
            read: 0,
            left: most,
            tables: VecDeque::new(),
            ends: VecDeque::new(),
        };
        let attributes = u64(56);
        if attributes != u64::MAX {
            let head = image.stored(attributes, 16)?;
            let (start, count) = (number(&head[..8]), number(&head[8..12]));
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            let list = attributes.checked_add(16).ok_or_else(|| bad("its attributes lie nowhere"))?;
            image.attributes = Some((Table { list, count, width: 16 }, start));
        }
        Ok(image)
    }

    /// Bytes as they are stored.
    fn stored(&mut self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => bad("the image is damaged, or cut off"),
            _ => error,
        })?;
        self.read = self.read.saturating_add(length as u64);
        Ok(bytes)
    }

    /// A block of at most `most` bytes once it is decompressed.
    fn decompressed(&mut self, stored: Vec<u8>, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let (source, limit) = (Bytes::new(stored), most as u64 + 1);
        match self.compression {
            Compression::Zlib => ZlibDecoder::new(source).take(limit).read_to_end(&mut bytes)?,
            Compression::Xz => XzReader::new_mem_limit(source, false, XZ_MEMORY).take(limit).read_to_end(&mut bytes)?,
            Compression::Zstd => Frames::new(source).take(limit).read_to_end(&mut bytes)?,
        };
        if bytes.len() > most {
            return Err(bad("a block of the image is too long"));
        }
        self.spend(bytes.len())?;
        Ok(bytes)
    }

    fn spend(&mut self, count: usize) -> io::Result<()> {
        self.left = self.left.checked_sub(count as u64).ok_or_else(too_much)?;
        Ok(())
    }

    /// A block of files' content; `stored` has its length, and a bit if it isn't compressed.
    pub(super) fn data(&mut self, at: u64, stored: u32) -> io::Result<Vec<u8>> {
        let (length, most) = ((stored & 0x00ff_ffff) as usize, self.block as usize);
        if length > most {
            return Err(bad("a block of the image is too long"));
        }
        let bytes = self.stored(at, length)?;
        match stored & 1 << 24 {
            0 => self.decompressed(bytes, most),
            _ => self.spend(length).map(|()| bytes),
        }
    }

    /// The block that ends of files share.
    pub(super) fn fragment(&mut self, number: u32) -> io::Result<Arc<Vec<u8>>> {
        if let Some((_, bytes)) = self.ends.iter().find(|(kept, _)| *kept == number) {
            return Ok(Arc::clone(bytes));
        }
        let mut cursor = self.row(self.fragments, number)?;
        let (at, stored) = (cursor.u64(self)?, cursor.u32(self)?);
        let bytes = Arc::new(self.data(at, stored)?);
        self.ends.truncate(KEPT_FRAGMENTS - 1);
        self.ends.push_front((number, Arc::clone(&bytes)));
        Ok(bytes)
    }

    /// The id that an inode names by its place in the table.
    pub(super) fn id(&mut self, place: u16) -> io::Result<u32> {
        self.row(self.ids, place.into())?.u32(self)
    }

    /// An entry of a table.
    pub(super) fn row(&mut self, table: Table, number: u32) -> io::Result<Cursor> {
        if number >= table.count {
            return Err(bad("the image is damaged: it names an entry that a table hasn't"));
        }
        let at = u64::from(number) * u64::from(table.width);
        let place =
            table.list.checked_add(at / BLOCK as u64 * 8).ok_or_else(|| bad("a table of the image lies nowhere"))?;
        let block = self::number(&self.stored(place, 8)?);
        Ok(Cursor { block, offset: (at % BLOCK as u64) as usize })
    }

    /// A block of a table, and where the next one is.
    fn table(&mut self, at: u64) -> io::Result<(Arc<Vec<u8>>, u64)> {
        if let Some((_, bytes, next)) = self.tables.iter().find(|(kept, ..)| *kept == at) {
            return Ok((Arc::clone(bytes), *next));
        }
        let head = number(&self.stored(at, 2)?);
        let (length, plain) = ((head & 0x7fff) as usize, head & 0x8000 != 0);
        if length == 0 || length > BLOCK {
            return Err(bad("the image is damaged: a block of a table has no length that it can have"));
        }
        // An offset of a file can't be so near to the end of numbers: it was read there.
        let bytes = self.stored(at + 2, length)?;
        let bytes = match plain {
            true => self.spend(length).map(|()| bytes)?,
            false => self.decompressed(bytes, BLOCK)?,
        };
        let (bytes, next) = (Arc::new(bytes), at + 2 + length as u64);
        self.tables.truncate(KEPT - 1);
        self.tables.push_front((at, Arc::clone(&bytes), next));
        Ok((bytes, next))
    }
}

/// A little-endian number.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A place in the blocks of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    block: u64,
    offset: usize,
}

impl Cursor {
    /// The place that a reference means, in the table that begins at `table`.
    pub(super) fn new(table: u64, reference: u64) -> io::Result<Cursor> {
        let block = table.checked_add(reference >> 16).ok_or_else(|| bad("a table of the image lies nowhere"))?;
        Ok(Cursor { block, offset: (reference & 0xffff) as usize })
    }

    /// The next bytes.
    pub(super) fn bytes(&mut self, image: &mut Image, count: usize) -> io::Result<Vec<u8>> {
        let mut found = Vec::new();
        while found.len() < count {
            let (bytes, next) = image.table(self.block)?;
            let rest = bytes.get(self.offset..).ok_or_else(|| bad("the image is damaged: a table is too short"))?;
            let now = rest.len().min(count - found.len());
            found.extend_from_slice(&rest[..now]);
            self.offset += now;
            if self.offset == bytes.len() {
                (self.block, self.offset) = (next, 0);
            }
        }
        Ok(found)
    }

    pub(super) fn u16(&mut self, image: &mut Image) -> io::Result<u16> {
        Ok(number(&self.bytes(image, 2)?) as u16)
    }

    pub(super) fn u32(&mut self, image: &mut Image) -> io::Result<u32> {
        Ok(number(&self.bytes(image, 4)?) as u32)
    }

    pub(super) fn u64(&mut self, image: &mut Image) -> io::Result<u64> {
        Ok(number(&self.bytes(image, 8)?))
    }
}
