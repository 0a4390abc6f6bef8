//! Compressed streams as plain ones, told apart by their first bytes. But for [`fast_xz`] all decoders are safe Rust: what they read comes
//! from anybody. Decompression runs in a thread, some chunks ahead of who reads.

use std::io::{self, BufReader, Cursor, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;
use sha2::{Digest, Sha256};

use crate::store::listing::{Hash, hex};

const CHUNK: usize = 256 << 10;
/// An xz stream may ask for so much memory, in KiB: more than `xz -9` does (65 MiB).
const XZ_MEMORY: u32 = 256 << 10;
/// A zstd frame may have so large a window: more than `zstd --ultra -22` has.
const ZSTD_WINDOW: u64 = 128 << 20;

/// What `source` holds once it is decompressed. With a digest the last read fails unless all of the source, whatever a
/// decoder needs of it, has that one.
pub(crate) fn decode(source: impl Read + Send + 'static, digest: Option<Hash>) -> io::Result<impl Read> {
    let (sender, chunks) = sync_channel(8);
    let work = move || {
        let mut source = Hashed::new(source);
        let end = pump(&mut source, &sender).and_then(|()| match digest {
            Some(digest) => {
                io::copy(&mut source, &mut io::sink())?;
                source.check(&digest, "digest")
            }
            None => Ok(()),
        });
        // Nobody may want it any more.
        let _ = sender.send(end.map(|()| Vec::new()));
    };
    std::thread::Builder::new().name("decode".to_owned()).spawn(work)?;
    Ok(Ahead { chunks, chunk: Cursor::default(), ended: false })
}

/// Sends what is decompressed, chunk by chunk, until its end or until nobody wants more.
fn pump(source: &mut impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) -> io::Result<()> {
    let mut plain = plain(source)?;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        if plain.by_ref().take(CHUNK as u64).read_to_end(&mut chunk)? == 0 || sender.send(Ok(chunk)).is_err() {
            return Ok(());
        }
    }
}

fn plain<'r>(source: &'r mut (impl Read + 'r)) -> io::Result<Box<dyn Read + 'r>> {
    let mut start = Vec::new();
    source.by_ref().take(6).read_to_end(&mut start)?;
    let gzip = start.starts_with(&[0x1f, 0x8b]);
    let xz = start.starts_with(b"\xfd7zXZ\0");
    let zstd = start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    let whole = BufReader::with_capacity(CHUNK, Cursor::new(start).chain(source));
    Ok(match (gzip, xz, zstd) {
        (true, ..) => Box::new(MultiGzDecoder::new(whole)),
        (_, true, _) => Box::new(XzReader::new_mem_limit(whole, true, XZ_MEMORY)),
        (.., true) => Box::new(Frames::new(whole)),
        _ => Box::new(whole),
    })
}

/// A stream that is hashed while it is read.
pub(crate) struct Hashed<R> {
    source: R,
    hash: Sha256,
}

impl<R> Hashed<R> {
    pub(crate) fn new(source: R) -> Hashed<R> {
        Hashed { source, hash: Sha256::new() }
    }

    /// Compares the hash of what was read.
    pub(crate) fn check(self, wanted: &Hash, what: &str) -> io::Result<()> {
        let found: Hash = self.hash.finalize().into();
        match found == *wanted {
            true => Ok(()),
            false => Err(io::Error::other(format!("its {what} is sha256:{}, not sha256:{}", hex(&found), hex(wanted)))),
        }
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

struct Ahead {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Cursor<Vec<u8>>,
    ended: bool,
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.chunk.read(buffer)? {
                0 if !buffer.is_empty() && !self.ended => {
                    // An empty chunk is the end; without one the thread has died.
                    let chunk = self.chunks.recv().map_err(io::Error::other)?;
                    self.ended = !matches!(&chunk, Ok(bytes) if !bytes.is_empty());
                    self.chunk = Cursor::new(chunk?);
                }
                count => return Ok(count),
            }
        }
    }
}

/// All streams of xz, by liblzma: 1.4 times as fast as the decoder of archives, which is safe Rust alone. For what a
/// signature covers.
pub(crate) fn fast_xz<R: Read>(source: R) -> io::Result<XzDecoder<R>> {
    let memory = u64::from(XZ_MEMORY) << 10;
    Ok(XzDecoder::new_stream(source, Stream::new_stream_decoder(memory, CONCATENATED)?))
}

/// All frames of a zstd stream, one after the other.
pub(crate) struct Frames<R: Read> {
    left: Option<R>,
    frame: Option<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>,
}

impl<R: io::BufRead> Frames<R> {
    pub(crate) fn new(source: R) -> Frames<R> {
        Frames { left: Some(source), frame: None }
    }
}

impl<R: io::BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                match frame.read(buffer)? {
                    0 if !buffer.is_empty() => self.left = self.frame.take().map(StreamingDecoder::into_inner),
                    count => return Ok(count),
                }
            }
            let Some(mut left) = self.left.take() else { return Ok(0) };
            if left.fill_buf()?.is_empty() {
                return Ok(0);
            }
            let next = StreamingDecoder::new_with_max_window_size(left, ZSTD_WINDOW);
            self.frame = Some(next.map_err(io::Error::other)?);
        }
    }
}
