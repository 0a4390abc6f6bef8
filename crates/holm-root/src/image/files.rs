//! The files of an image: in a directory, or members of an uncompressed tar archive.
//!
//! A directory's files are opened below it without following anything out, and only regular ones: a FIFO would never
//! end. An archive's members are found by one walk over its headers; links between members are followed by name only.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};

use super::document::MOST;
use super::wrong;
use crate::store::Error;
use crate::unpack::archive::{Archive, Kind};
use holm::model::text::cause;

/// An archive of an image has at most so many members.
const MEMBERS: usize = 10_000;
/// So many links between members are followed.
const LINKS: usize = 8;

/// A part of an open file.
#[derive(Clone, Debug)]
pub(super) struct Part {
    file: Arc<File>,
    at: u64,
    pub(super) left: u64,
}

/// All files of an image.
pub(super) enum Files {
    Directory(OwnedFd),
    Archive { file: Arc<File>, members: HashMap<Vec<u8>, Member> },
}

/// One member of an archive.
pub(super) enum Member {
    /// Where it is, and how long.
    Content(u64, u64),
    Link(Vec<u8>),
}

impl Part {
    /// All of a file.
    fn whole(file: File) -> io::Result<Part> {
        let left = file.metadata()?.len();
        Ok(Part { file: Arc::new(file), at: 0, left })
    }

    /// All bytes, if they are not more than `most`.
    pub(super) fn bytes(mut self, most: u64) -> io::Result<Vec<u8>> {
        if self.left > most {
            return Err(io::Error::other(format!("it has more than {most} bytes")));
        }
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        if count == 0 && most > 0 {
            return Err(io::Error::other("it has become shorter"));
        }
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

impl Files {
    /// What is at `path`; `None` if that can't be an image's files.
    pub(super) fn open(path: &Path) -> Result<Option<Files>, Error> {
        let status = fs::metadata(path).map_err(Error::io("read", path))?;
        if status.is_dir() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let directory = openat(CWD, path, flags, Mode::empty()).map_err(Error::io("read", path))?;
            return Ok(Some(Files::Directory(directory)));
        }
        if !status.is_file() {
            return Ok(None);
        }
        let file = File::open(path).map_err(Error::io("read", path))?;
        // Whatever is wrong with it as an archive is told by who unpacks it as a root.
        Ok(members(&file).ok().flatten().map(|members| Files::Archive { file: Arc::new(file), members }))
    }

    /// A document of the image at `path`.
    pub(super) fn document(&self, name: &str, path: &Path) -> Result<Vec<u8>, Error> {
        let bytes = self.find(name).and_then(|part| part.bytes(MOST));
        bytes.map_err(|error| wrong(path, format!("its {name} can't be read: {}", cause(&error))))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// Opens a file by its name, whose parts have no `..`.
    pub(super) fn find(&self, name: &str) -> io::Result<Part> {
        match self {
            Files::Directory(directory) => {
                let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
                let file = openat2(directory, name, flags, Mode::empty(), inside)?;
                match FileType::from_raw_mode(fstat(&file)?.st_mode) {
                    FileType::RegularFile => Part::whole(File::from(file)),
                    _ => Err(io::Error::other("it is no file")),
                }
            }
            Files::Archive { file, members } => {
                let mut name = name.as_bytes().to_vec();
                for _ in 0..LINKS {
                    match members.get(&name) {
                        None => break,
                        Some(&Member::Content(at, left)) => return Ok(Part { file: file.clone(), at, left }),
                        Some(Member::Link(to)) => name = to.clone(),
                    }
                }
                Err(io::ErrorKind::NotFound.into())
            }
        }
    }
}

/// The members of an archive by name; `None` if it has too many for one of an image.
fn members(file: &File) -> io::Result<Option<HashMap<Vec<u8>, Member>>> {
    let mut archive = Archive::new(BufReader::with_capacity(4096, file));
    let mut members = HashMap::new();
    while let Some(member) = archive.next()? {
        if members.len() >= MEMBERS {
            return Ok(None);
        }
        let name = simple(b"", &member.path);
        let above = name.iter().rposition(|byte| *byte == b'/').map_or(&b""[..], |at| &name[..at]);
        let found = match &member.kind {
            Kind::File if !member.is_sparse() => Member::Content(archive.position()?, member.size),
            Kind::Link(to) => Member::Link(simple(above, to)),
            Kind::Hard(to) => Member::Link(simple(b"", to)),
            _ => continue,
        };
        members.insert(name, found);
        archive.skip_content()?;
    }
    Ok(Some(members))
}

/// A name without `.`, `..` and empty parts, seen from a directory.
fn simple(above: &[u8], name: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in above.split(|byte| *byte == b'/').chain(name.split(|byte| *byte == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

impl Archive<BufReader<&File>> {
    /// Where the present member's content begins.
    fn position(&mut self) -> io::Result<u64> {
        self.source_mut().stream_position()
    }

    /// Passes over the present member's content without reading it.
    fn skip_content(&mut self) -> io::Result<()> {
        let count = self.pass();
        let count = i64::try_from(count).map_err(io::Error::other)?;
        self.source_mut().seek(SeekFrom::Current(count)).map(drop)
    }
}
