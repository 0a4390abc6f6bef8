//! Compressed streams as plain ones, told apart by their first bytes. All decoders are safe Rust: what they read comes
//! from anybody. Decompression runs in a thread, some chunks ahead of who reads.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::sync::mpsc::{Receiver, sync_channel};

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

const CHUNK: usize = 256 << 10;
/// An xz stream may ask for so much memory, in KiB: more than `xz -9` does (65 MiB).
const XZ_MEMORY: u32 = 256 << 10;
/// A zstd frame may have so large a window: more than `zstd --ultra -22` has.
const ZSTD_WINDOW: u64 = 128 << 20;

/// What a file holds once it is decompressed.
pub(super) fn decode(mut file: File) -> io::Result<Box<dyn Read>> {
    let mut start = Vec::new();
    file.by_ref().take(6).read_to_end(&mut start)?;
    let gzip = start.starts_with(&[0x1f, 0x8b]);
    let xz = start.starts_with(b"\xfd7zXZ\0");
    let zstd = start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    let whole = BufReader::with_capacity(CHUNK, Cursor::new(start).chain(file));
    match (gzip, xz, zstd) {
        (true, ..) => ahead(|| Box::new(MultiGzDecoder::new(whole))),
        (_, true, _) => ahead(|| Box::new(XzReader::new_mem_limit(whole, true, XZ_MEMORY))),
        (.., true) => ahead(|| Box::new(Frames { left: Some(whole), frame: None })),
        _ => Ok(Box::new(whole)),
    }
}

/// Reads in a thread that ends when it has read all, or when nobody wants more.
fn ahead(source: impl FnOnce() -> Box<dyn Read> + Send + 'static) -> io::Result<Box<dyn Read>> {
    let (sender, chunks) = sync_channel(8);
    std::thread::Builder::new().name("decode".to_owned()).spawn(move || {
        let mut source = source();
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            let read = source.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
            let last = !matches!(read, Ok(1..));
            let sent = match read {
                Ok(_) => sender.send(Ok(chunk)),
                Err(error) => sender.send(Err(error)),
            };
            if last || sent.is_err() {
                return;
            }
        }
    })?;
    Ok(Box::new(Ahead { chunks, chunk: Cursor::default() }))
}

struct Ahead {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Cursor<Vec<u8>>,
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.chunk.read(buffer)? {
                0 if !buffer.is_empty() => match self.chunks.recv() {
                    // An empty chunk is the end.
                    Ok(chunk) => match chunk? {
                        chunk if chunk.is_empty() => return Ok(0),
                        chunk => self.chunk = Cursor::new(chunk),
                    },
                    Err(_) => return Ok(0),
                },
                count => return Ok(count),
            }
        }
    }
}

/// All frames of a zstd stream, one after the other.
struct Frames<R: Read> {
    left: Option<R>,
    frame: Option<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>,
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
