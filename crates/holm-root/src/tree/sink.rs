//! The content of a file in the making: written, hashed, and with holes where whole blocks are zero.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

use crate::store::listing::Hash;

/// So many zeros become a hole.
const BLOCK: usize = 4096;

/// Takes a file's content.
pub(crate) struct Sink {
    file: File,
    hash: Sha256,
    length: u64,
    /// What came last has become a hole.
    hole: bool,
}

impl Sink {
    pub(super) fn new(file: File) -> Sink {
        Sink { file, hash: Sha256::new(), length: 0, hole: false }
    }

    /// Bytes so far, those of holes among them.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn finish(self) -> io::Result<(File, Hash)> {
        if self.hole {
            // It has no byte that makes the file so long.
            self.file.set_len(self.length)?;
        }
        Ok((self.file, self.hash.finalize().into()))
    }

    /// Takes `count` zeros.
    pub(crate) fn zeros(&mut self, count: u64) -> io::Result<()> {
        let zeros = [0; BLOCK];
        let mut left = count;
        while left > 0 {
            let now = left.min(BLOCK as u64);
            self.hash.update(&zeros[..usize::try_from(now).unwrap_or(BLOCK)]);
            left -= now;
        }
        self.skip(count)
    }

    /// Takes all of a file: as another name for the same blocks (FICLONE, ioctl_ficlone(2)) where the file system can, else
    /// as a copy.
    pub(crate) fn whole(&mut self, source: &mut File) -> io::Result<()> {
        if rustix::fs::ioctl_ficlone(&self.file, &*source).is_err() {
            return io::copy(source, self).map(drop);
        }
        // What was cloned counts, whatever becomes of the source meanwhile.
        let mut buffer = vec![0; 128 << 10];
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(()),
                count => {
                    self.hash.update(&buffer[..count]);
                    self.length += count as u64;
                }
            }
        }
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        self.length = self.length.checked_add(count).ok_or(io::ErrorKind::FileTooLarge)?;
        self.hole = true;
        self.file.seek(SeekFrom::Start(self.length)).map(drop)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        let zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        if bytes.len() >= BLOCK && zero(bytes) {
            self.skip(bytes.len() as u64)?;
        } else {
            self.file.write_all(bytes)?;
            self.length += bytes.len() as u64;
            self.hole &= bytes.is_empty();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
