//! Parts of a file, for parsing: nothing outside the file, nothing larger than the caller allows.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes read at once from the start: an ELF header with its program headers, or a script's first line.
const HEAD: u64 = 4096;
/// Bytes read at once for strings, which mostly lie near each other.
const WINDOW: u64 = 4096;

const TOO_LONG: &str = "the strings of its dynamic section are too long";

/// Why a part can't be had.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The file says something that can't be.
    Malformed(&'static str),
    /// The system refused.
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

/// A file with its first bytes at hand.
pub(crate) struct Reader<'f> {
    file: &'f File,
    len: u64,
    head: Vec<u8>,
}

impl<'f> Reader<'f> {
    /// Reads the first bytes of a file that has `len` bytes.
    pub(crate) fn new(file: &'f File, len: u64) -> Result<Reader<'f>, Fault> {
        let mut reader = Reader { file, len, head: Vec::new() };
        reader.head = reader.part(0, len.min(HEAD), "")?.into_owned();
        Ok(reader)
    }

    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Reads exactly `size` bytes at `offset`. The caller has bounded `size`.
    pub(crate) fn part(&self, offset: u64, size: u64, cause: &'static str) -> Result<Cow<'_, [u8]>, Fault> {
        let end = offset.checked_add(size).filter(|end| *end <= self.len).ok_or(Fault::Malformed(cause))?;
        let range = |at: u64| usize::try_from(at).map_err(|_| Fault::Malformed(cause));
        if let Some(part) = self.head.get(range(offset)?..range(end)?) {
            return Ok(Cow::Borrowed(part));
        }
        let mut part = vec![0; range(size)?];
        match self.file.read_exact_at(&mut part, offset) {
            Ok(()) => Ok(Cow::Owned(part)),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(Fault::Malformed("it shrank while it was read")),
            Err(e) => Err(Fault::Io(e)),
        }
    }
}

/// NUL-terminated strings between two offsets of a file.
pub(crate) struct Strings<'r> {
    reader: &'r Reader<'r>,
    start: u64,
    end: u64,
    /// Bytes that may still be handed out: a small file must not become a large list.
    allowance: u64,
    window: (u64, Vec<u8>),
}

impl<'r> Strings<'r> {
    pub(crate) fn new(reader: &'r Reader<'r>, start: u64, end: u64, allowance: u64) -> Strings<'r> {
        Strings { reader, start, end: end.min(reader.len), allowance, window: (start, Vec::new()) }
    }

    /// Reads the string at `offset` from the start.
    pub(crate) fn at(&mut self, offset: u64) -> Result<Vec<u8>, Fault> {
        let outside = Fault::Malformed("a string of its dynamic section lies outside its string table");
        let Some(at) = self.start.checked_add(offset).filter(|at| *at < self.end) else { return Err(outside) };
        let mut size = WINDOW;
        loop {
            if let Some(string) = self.in_window(at) {
                let used = string.len() as u64 + 1;
                let string = string.to_vec();
                self.allowance = self.allowance.checked_sub(used).ok_or(Fault::Malformed(TOO_LONG))?;
                return Ok(string);
            }
            let looked_at = if self.window.0 == at { self.window.1.len() as u64 } else { 0 };
            if looked_at >= self.end - at {
                return Err(Fault::Malformed("a string of its dynamic section has no end"));
            }
            if looked_at >= self.allowance {
                return Err(Fault::Malformed(TOO_LONG));
            }
            let part = self.reader.part(at, size.min(self.end - at), "")?;
            self.window = (at, part.into_owned());
            size = size.saturating_mul(4).min(self.allowance.max(WINDOW));
        }
    }

    fn in_window(&self, at: u64) -> Option<&[u8]> {
        let (start, bytes) = &self.window;
        let skip = usize::try_from(at.checked_sub(*start)?).ok()?;
        let rest = bytes.get(skip..)?;
        rest.iter().position(|byte| *byte == 0).and_then(|end| rest.get(..end))
    }
}
