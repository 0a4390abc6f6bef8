//! The members of a tar archive: ustar, old GNU (long names, sparse files) and pax (`path`, `linkpath`, `size`, `uid`,
//! `gid`, `mtime`, `SCHILY.xattr.*`). The crate `tar` reads the fields of a header; what belongs to a member, and how
//! much of it is read into memory, is decided here.
//!
//! Sources: pax(1), tar(5).

use std::io::{self, Read, Write};

use tar::{EntryType, GnuExtSparseHeader, Header, PaxExtensions};

use crate::tree::Sink;

const BLOCK: u64 = 512;
/// What describes a member may have so many bytes.
const DESCRIPTION: u64 = 1 << 20;
/// A sparse file may have so many pieces.
const PIECES: usize = 1 << 20;

/// One member.
pub(crate) struct Member {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    /// Of the file made of it, with its holes.
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) modified: i64,
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Offset and length of what the archive holds of a sparse file.
    pieces: Option<Vec<(u64, u64)>>,
}

/// What a member is.
pub(crate) enum Kind {
    Directory,
    File,
    Link(Vec<u8>),
    Hard(Vec<u8>),
    Fifo,
    Device { block: bool, major: u32, minor: u32 },
}

/// An archive that is being read.
pub(crate) struct Archive<R> {
    source: R,
    /// What is left of the present member, with what fills its last block.
    left: u64,
    padding: u64,
}

/// What members before a member say of it.
#[derive(Default)]
struct Before {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    modified: Option<i64>,
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Member {
    /// Whether the archive holds less than its content.
    pub(crate) fn is_sparse(&self) -> bool {
        self.pieces.is_some()
    }
}

fn bad(text: &'static str) -> io::Error {
    io::Error::other(text)
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(source: R) -> Archive<R> {
        Archive { source, left: 0, padding: 0 }
    }

    pub(super) fn source(&self) -> &R {
        &self.source
    }

    pub(crate) fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    pub(super) fn into_source(self) -> R {
        self.source
    }

    /// How much to pass over until the next header; who asks does it.
    pub(crate) fn pass(&mut self) -> u64 {
        std::mem::take(&mut self.left) + std::mem::take(&mut self.padding)
    }

    /// The next member; `None` at the end. What the last one has left is skipped.
    pub(crate) fn next(&mut self) -> io::Result<Option<Member>> {
        let mut before = Before::default();
        loop {
            let Some(header) = self.header()? else { return Ok(None) };
            let size = header.entry_size()?;
            match header.entry_type() {
                EntryType::GNULongName => before.path = Some(text(self.description(size)?)),
                EntryType::GNULongLink => before.link = Some(text(self.description(size)?)),
                EntryType::XHeader => before.take(&self.description(size)?)?,
                EntryType::XGlobalHeader => drop(self.description(size)?),
                kind => return self.member(&header, kind, before).map(Some),
            }
        }
    }

    /// The present member's content, as it is stored: of a sparse file its pieces, one behind the other.
    pub(crate) fn content_reader(&mut self) -> impl Read + '_ {
        Stored(self)
    }

    /// Writes the present member's content.
    pub(crate) fn content(&mut self, member: &Member, sink: &mut Sink) -> io::Result<()> {
        let Some(pieces) = &member.pieces else { return self.copy(self.left, sink) };
        let mut at = 0;
        for &(offset, length) in pieces {
            sink.zeros(offset - at)?;
            self.copy(length, sink)?;
            at = offset + length;
        }
        sink.zeros(member.size - at)
    }

    fn copy(&mut self, mut count: u64, sink: &mut Sink) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        while count > 0 {
            let most = usize::try_from(count).unwrap_or(usize::MAX).min(buffer.len());
            self.source.read_exact(&mut buffer[..most]).map_err(early)?;
            sink.write_all(&buffer[..most])?;
            count -= most as u64;
            self.left -= most as u64;
        }
        Ok(())
    }

    fn header(&mut self) -> io::Result<Option<Header>> {
        let skip = self.pass();
        if io::copy(&mut self.source.by_ref().take(skip), &mut io::sink())? < skip {
            return Err(early(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut header = Header::new_old();
        let bytes = header.as_mut_bytes();
        // Nothing at all instead of a header: the end, though without its marker.
        let first = self.source.read(&mut bytes[..])?;
        if first == 0 {
            return Ok(None);
        }
        self.source.read_exact(&mut bytes[first..]).map_err(early)?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let right = sum(&bytes[..148]) + 8 * u32::from(b' ') + sum(&bytes[156..]);
        match header.cksum() {
            Ok(written) if written == right => Ok(Some(header)),
            _ => Err(bad("it is no tar archive, or is damaged: a header's checksum is wrong")),
        }
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK;
    }

    fn description(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > DESCRIPTION {
            return Err(bad("a member's name or attributes have more than a megabyte"));
        }
        self.begin(size);
        let mut bytes = Vec::new();
        self.source.by_ref().take(size).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < size {
            return Err(early(io::ErrorKind::UnexpectedEof.into()));
        }
        self.left = 0;
        Ok(bytes)
    }

    fn member(&mut self, header: &Header, kind: EntryType, before: Before) -> io::Result<Member> {
        let stored = before.size.map_or_else(|| header.entry_size(), Ok)?;
        let path = before.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let link =
            || before.link.or_else(|| header.link_name_bytes().map(|link| link.into_owned())).unwrap_or_default();
        let number = |number: io::Result<Option<u32>>| number.map(Option::unwrap_or_default);
        let (mut size, mut pieces) = (0, None);
        let kind = match kind {
            // Old archives mark a directory by the end of its name.
            EntryType::Regular | EntryType::Continuous if path.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => {
                size = stored;
                Kind::File
            }
            EntryType::GNUSparse => {
                let map = self.sparse(header, stored)?;
                (size, pieces) = (map.0, Some(map.1));
                Kind::File
            }
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Link(link()),
            EntryType::Link => Kind::Hard(link()),
            EntryType::Fifo => Kind::Fifo,
            EntryType::Char | EntryType::Block => Kind::Device {
                block: kind == EntryType::Block,
                major: number(header.device_major())?,
                minor: number(header.device_minor())?,
            },
            _ => return Err(bad("a member is of a kind that no root can have")),
        };
        self.begin(stored);
        let id = |id: io::Result<u64>| u32::try_from(id?).map_err(|_| bad("a member's owner is no id"));
        Ok(Member {
            path,
            kind,
            size,
            mode: header.mode()? & 0o7777,
            uid: before.uid.map_or_else(|| id(header.uid()), Ok)?,
            gid: before.gid.map_or_else(|| id(header.gid()), Ok)?,
            modified: before.modified.unwrap_or_else(|| i64::try_from(header.mtime().unwrap_or(0)).unwrap_or(0)),
            attributes: before.attributes,
            pieces,
        })
    }

    /// Size and pieces of a sparse file in the old GNU form: pieces are in order, and together as long as what is stored.
    fn sparse(&mut self, header: &Header, stored: u64) -> io::Result<(u64, Vec<(u64, u64)>)> {
        let gnu = header.as_gnu().ok_or_else(|| bad("a sparse file is described in an unknown way"))?;
        let size = gnu.real_size()?;
        let mut pieces = Vec::new();
        let mut add = |sparse: &tar::GnuSparseHeader| {
            if !sparse.is_empty() {
                pieces.push((sparse.offset()?, sparse.length()?));
            }
            if pieces.len() > PIECES { Err(bad("a sparse file has too many pieces")) } else { Ok(()) }
        };
        gnu.sparse.iter().try_for_each(&mut add)?;
        let mut more = gnu.is_extended();
        while more {
            let mut next = GnuExtSparseHeader::new();
            self.source.read_exact(next.as_mut_bytes()).map_err(early)?;
            next.sparse().iter().try_for_each(&mut add)?;
            more = next.is_extended();
        }
        let (mut at, mut sum) = (0_u64, 0_u64);
        for &(offset, length) in &pieces {
            let end = offset.checked_add(length).filter(|end| offset >= at && *end <= size);
            at = end.ok_or_else(|| bad("the pieces of a sparse file overlap or lie outside of it"))?;
            sum += length;
        }
        match sum == stored {
            true => Ok((size, pieces)),
            false => Err(bad("the pieces of a sparse file are not what is stored of it")),
        }
    }
}

struct Stored<'a, R>(&'a mut Archive<R>);

impl<R: Read> Read for Stored<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.0.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.0.source.read(&mut buffer[..most])?;
        if count == 0 && most > 0 {
            return Err(early(io::ErrorKind::UnexpectedEof.into()));
        }
        self.0.left -= count as u64;
        Ok(count)
    }
}

fn early(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => bad("the archive ends in the middle of a member"),
        _ => error,
    }
}

/// A name that may be ended by a NUL.
fn text(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

impl Before {
    /// Reads a pax header.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        for extension in PaxExtensions::new(bytes) {
            let extension = extension?;
            let (key, value) = (extension.key_bytes(), extension.value_bytes());
            let number = || std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
            let id = || number().and_then(|id| u32::try_from(id).ok()).ok_or_else(|| bad("a member's owner is no id"));
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number().ok_or_else(|| bad("a member's size is no number"))?),
                b"uid" => self.uid = Some(id()?),
                b"gid" => self.gid = Some(id()?),
                b"mtime" => {
                    let whole =
                        value.split(|byte| *byte == b'.').next().and_then(|text| std::str::from_utf8(text).ok());
                    self.modified = whole.and_then(|text| text.parse().ok());
                }
                _ if key.starts_with(b"GNU.sparse.") => {
                    return Err(bad("a sparse file is in the pax form; tar --format=gnu writes the other one"));
                }
                _ => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        self.attributes.push((name.to_vec(), value.to_vec()));
                    }
                }
            }
        }
        Ok(())
    }
}
