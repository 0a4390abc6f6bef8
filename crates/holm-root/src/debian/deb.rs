//! A `.deb` file: an ar archive of `debian-binary`, `control.tar` and `data.tar`, the latter two plain or compressed.
//!
//! Source: deb(5), ar(5). Members are found once; each is then read from its place in the file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::unpack::decoder::{Frames, fast_xz};

const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;
/// There are three members, and a few whose names begin with `_` at most.
const MOST: usize = 32;

/// The compression of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    Gzip,
    Xz,
    Zstd,
}

/// Where a member is, and how it is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    offset: u64,
    size: u64,
    form: Form,
}

/// A package file whose members were found.
#[derive(Debug)]
pub(super) struct Deb {
    file: File,
    control: Part,
    data: Part,
}

fn bad(text: &'static str) -> io::Error {
    io::Error::other(text)
}

impl Deb {
    pub(super) fn open(path: &Path) -> io::Result<Deb> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut magic = [0; MAGIC.len()];
        if file.read_exact_at(&mut magic, 0).is_err() || magic != MAGIC {
            return Err(bad("it is no Debian package"));
        }
        let (mut control, mut data, mut version) = (None, None, false);
        let mut at = MAGIC.len() as u64;
        for _ in 0..MOST {
            if at == length {
                break;
            }
            let mut header = [0; HEADER];
            file.read_exact_at(&mut header, at).map_err(|_| bad("it ends in the middle of a member"))?;
            let (name, size) = member(&header).ok_or_else(|| bad("a member's header is damaged"))?;
            let offset = at + HEADER as u64;
            let end = offset.checked_add(size).filter(|end| *end <= length);
            let end = end.ok_or_else(|| bad("it ends in the middle of a member"))?;
            if name == "debian-binary" {
                version = is_known(&file, offset, size)?;
            } else if !version {
                return Err(bad("its first member isn't debian-binary of version 2"));
            } else if let Some(part) = part(name, "control.tar", offset, size)? {
                control = control.or(Some(part));
            } else if let Some(part) = part(name, "data.tar", offset, size)? {
                data = data.or(Some(part));
            }
            // Members begin at even offsets; the last may lack the byte that fills up.
            at = (end + size % 2).min(length);
        }
        match (control, data) {
            (Some(control), Some(data)) => Ok(Deb { file, control, data }),
            _ => Err(bad("it lacks control.tar or data.tar")),
        }
    }

    /// The tar archive of control files.
    pub(super) fn control(&self) -> io::Result<Box<dyn Read + '_>> {
        self.read(self.control)
    }

    /// The tar archive of what is installed.
    pub(super) fn data(&self) -> io::Result<Box<dyn Read + '_>> {
        self.read(self.data)
    }

    fn read(&self, part: Part) -> io::Result<Box<dyn Read + '_>> {
        let piece = BufReader::with_capacity(256 << 10, Piece { file: &self.file, at: part.offset, left: part.size });
        Ok(match part.form {
            Form::Plain => Box::new(piece),
            Form::Gzip => Box::new(MultiGzDecoder::new(piece)),
            Form::Xz => Box::new(fast_xz(piece)?),
            Form::Zstd => Box::new(Frames::new(piece)),
        })
    }
}

/// Name and size in a member's header.
fn member(header: &[u8; HEADER]) -> Option<(&str, u64)> {
    let name = std::str::from_utf8(&header[..16]).ok()?.trim_end_matches(' ').trim_end_matches('/');
    let size = std::str::from_utf8(&header[48..58]).ok()?.trim_end_matches(' ');
    let digits = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
    (digits && header[58..] == *b"`\n").then(|| Some((name, size.parse().ok()?)))?
}

fn is_known(file: &File, offset: u64, size: u64) -> io::Result<bool> {
    let mut version = [0; 2];
    Ok(size >= 4 && file.read_exact_at(&mut version, offset).is_ok() && version == *b"2.")
}

fn part(name: &str, stem: &str, offset: u64, size: u64) -> io::Result<Option<Part>> {
    let form = match name.strip_prefix(stem) {
        None => return Ok(None),
        Some("") => Form::Plain,
        Some(".gz") => Form::Gzip,
        Some(".xz") => Form::Xz,
        Some(".zst") => Form::Zstd,
        Some(_) => return Err(bad("a member is compressed in a way that is unknown here")),
    };
    Ok(Some(Part { offset, size, form }))
}

/// A piece of a file.
struct Piece<'f> {
    file: &'f File,
    at: u64,
    left: u64,
}

impl Read for Piece<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        (self.at, self.left) = (self.at + count as u64, self.left - count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for (name, content) in members {
            bytes.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, content.len()).bytes());
            bytes.extend_from_slice(content);
            bytes.extend(vec![b'\n'; content.len() % 2]);
        }
        bytes
    }

    fn open(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let directory = tempfile::tempdir().expect("there is space");
        let path = directory.path().join("x.deb");
        std::fs::write(&path, bytes).expect("there is space");
        let deb = Deb::open(&path).map_err(|error| error.to_string())?;
        let mut data = Vec::new();
        deb.data().and_then(|mut read| read.read_to_end(&mut data)).map_err(|error| error.to_string())?;
        Ok(data)
    }

    #[test]
    fn members_are_found_whatever_stands_between_them() {
        let version: (&str, &[u8]) = ("debian-binary", b"2.0\n");
        let good = ar(&[version, ("_gpg", b"x"), ("control.tar/", b"c"), ("data.tar", b"data"), ("_more", b"")]);
        assert_eq!(open(&good), Ok(b"data".to_vec()));
        assert_eq!(open(&good[..good.len() - 60]), Ok(b"data".to_vec()));
    }

    #[test]
    fn what_is_no_package_is_refused() {
        let version: (&str, &[u8]) = ("debian-binary", b"2.0\n");
        let control: (&str, &[u8]) = ("control.tar", b"");
        let whole = ar(&[version, control, ("data.tar", b"data")]);
        let mut size = whole.clone();
        let at = whole.len() - 4 - 12;
        size[at..at + 10].copy_from_slice(b"-4        ");
        let mut huge = whole.clone();
        huge[at..at + 10].copy_from_slice(b"9999999999");
        let cases = [
            (b"PK\x03\x04 is another kind".to_vec(), "it is no Debian package"),
            (MAGIC.to_vec(), "it lacks control.tar or data.tar"),
            (whole[..whole.len() - 1].to_vec(), "it ends in the middle of a member"),
            (huge, "it ends in the middle of a member"),
            (size, "a member's header is damaged"),
            (ar(&[control, version]), "its first member isn't debian-binary of version 2"),
            (ar(&[("debian-binary", b"3.0\n"), control]), "its first member isn't debian-binary of version 2"),
            (ar(&[version, ("control.tar.lz", b"")]), "a member is compressed in a way that is unknown here"),
        ];
        for (bytes, cause) in cases {
            assert_eq!(open(&bytes), Err(cause.to_owned()));
        }
        assert!(open(&ar(&[version, control, ("data.tar.xz", b"no xz at all")])).is_err());
        assert!(open(&ar(&[version, control, ("data.tar.zst", b"no zstd")])).is_err());
    }
}
