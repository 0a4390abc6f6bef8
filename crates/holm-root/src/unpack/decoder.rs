//! Compressed streams as plain ones, told apart by their first bytes. But for [`fast_xz`] all decoders are safe Rust: what they read comes
//! from anybody. Decompression runs in a thread, some chunks ahead of who reads.

use std::io::{self, BufReader, Cursor, Read};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, IGNORE_CHECK, Stream};
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;
use sha2::{Digest, Sha256};

use crate::store::error::Stopped;
use crate::store::listing::{Hash, hex};

const CHUNK: usize = 256 << 10;
/// An xz stream may ask for so much memory, in KiB: more than `xz -9` does (65 MiB).
pub(super) const XZ_MEMORY: u32 = 256 << 10;
/// A zstd frame may have so large a window: more than `zstd --ultra -22` has.
const ZSTD_WINDOW: u64 = 128 << 20;

/// Who waits for more looks so often whether it still should.
const PAUSE: Duration = Duration::from_millis(100);

/// What a stream must turn out to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Digests {
    /// All of the source, whatever a decoder needs of it.
    pub(crate) source: Option<Hash>,
    /// What it is once it is decompressed.
    pub(crate) content: Option<Hash>,
}

/// What `source` holds once it is decompressed; `read` counts the bytes of it. The last read fails if the digests are wrong.
pub(crate) fn decode(source: impl Read + Send + 'static, digests: Digests, read: Arc<AtomicU64>) -> io::Result<Ahead> {
    let (sender, chunks) = sync_channel(8);
    let work = move || {
        let mut source = Metered { source, read, hash: digests.source.map(|_| Sha256::new()) };
        let hash = digests.content.map(|_| Sha256::new());
        let end = pump(&mut source, &sender, hash).and_then(|content| {
            if digests.source.is_some() || digests.content.is_some() {
                io::copy(&mut source, &mut io::sink())?;
            }
            check(source.hash, digests.source, "digest")?;
            check(content, digests.content, "content")
        });
        // Nobody may want it any more.
        let _ = sender.send(end.map(|()| Vec::new()));
    };
    std::thread::Builder::new().name("decode".to_owned()).spawn(work)?;
    Ok(Ahead { chunks, chunk: Cursor::default(), ended: false })
}

/// Sends what is decompressed, chunk by chunk, until its end, and hashes it, or until nobody wants more.
fn pump(
    source: &mut impl Read,
    sender: &SyncSender<io::Result<Vec<u8>>>,
    mut hash: Option<Sha256>,
) -> io::Result<Option<Sha256>> {
    let mut plain = plain(source)?;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        if plain.by_ref().take(CHUNK as u64).read_to_end(&mut chunk)? == 0 {
            return Ok(hash);
        }
        if let Some(hash) = &mut hash {
            hash.update(&chunk);
        }
        if sender.send(Ok(chunk)).is_err() {
            return Ok(None);
        }
    }
}

fn check(hash: Option<Sha256>, wanted: Option<Hash>, what: &str) -> io::Result<()> {
    match (hash.map(|hash| Hash::from(hash.finalize())), wanted) {
        (Some(found), Some(wanted)) if found != wanted => {
            Err(io::Error::other(format!("its {what} is sha256:{}, not sha256:{}", hex(&found), hex(&wanted))))
        }
        _ => Ok(()),
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

/// A stream that is counted, and hashed where somebody wants that, while it is read.
struct Metered<R> {
    source: R,
    read: Arc<AtomicU64>,
    hash: Option<Sha256>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        if let Some(hash) = &mut self.hash {
            hash.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// A stream that is decompressed ahead of who reads it.
pub(crate) struct Ahead {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Cursor<Vec<u8>>,
    ended: bool,
}

/// The same, while `go_on` is asked again and again whether to go on.
pub(crate) struct Watched<'w> {
    pub(crate) stream: Ahead,
    pub(crate) go_on: &'w mut dyn FnMut() -> ControlFlow<()>,
}

impl Watched<'_> {
    fn next(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if (self.go_on)().is_break() {
                return Err(io::Error::other(Stopped));
            }
            match self.stream.chunks.recv_timeout(PAUSE) {
                Ok(chunk) => return chunk,
                Err(RecvTimeoutError::Timeout) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.chunk.read(buffer)? {
                0 if !buffer.is_empty() && !self.stream.ended => {
                    // An empty chunk is the end; without one the thread has died.
                    let chunk = self.next();
                    self.stream.ended = !matches!(&chunk, Ok(bytes) if !bytes.is_empty());
                    self.stream.chunk = Cursor::new(chunk?);
                }
                count => return Ok(count),
            }
        }
    }
}

/// All streams of xz, by liblzma: 1.4 times as fast as the decoder of archives, which is safe Rust alone. For what a
/// signature covers: its hash was compared, so the stream's own checks are left out.
pub(crate) fn fast_xz<R: Read>(source: R) -> io::Result<XzDecoder<R>> {
    let memory = u64::from(XZ_MEMORY) << 10;
    Ok(XzDecoder::new_stream(source, Stream::new_stream_decoder(memory, CONCATENATED | IGNORE_CHECK)?))
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
