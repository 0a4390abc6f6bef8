//! The libraries that an object says it opens while it runs: its note of type `FDO` in a segment of notes.
//!
//! The note is advice of the object's builder, in JSON: one item for each feature, with the names of libraries of which
//! the first that is there is opened. A note that can't be understood advises nothing.
//!
//! Source: the UAPI group's "ELF dlopen() metadata" specification.

use std::ffi::OsString;

use object::Endianness;
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader};
use serde::Deserialize;

use super::reader::Reader;

const OWNER: &[u8] = b"FDO";
const TYPE: u32 = 0x407c_0c0a;
/// Bytes of one segment of notes; a larger one isn't read.
const SEGMENT: u64 = 1 << 16;
/// Features of one object that are taken.
const FEATURES: usize = 64;

#[derive(Deserialize)]
struct Feature {
    soname: Vec<String>,
}

/// For each feature, the libraries that serve it, best first.
pub(crate) fn parse<H: FileHeader<Endian = Endianness>>(
    segment: &H::ProgramHeader,
    endian: Endianness,
    reader: &Reader<'_>,
) -> Vec<Vec<OsString>> {
    let (offset, size) = segment.file_range(endian);
    if size > SEGMENT {
        return Vec::new();
    }
    let Ok(part) = reader.part(offset, size, "") else { return Vec::new() };
    let Ok(notes) = NoteIterator::<H>::new(endian, segment.p_align(endian), &part) else { return Vec::new() };
    let ours = notes.map_while(Result::ok).filter(|note| note.name() == OWNER && note.n_type(endian).0 == TYPE);
    let features = ours.flat_map(|note| features(note.desc()));
    features.take(FEATURES).collect()
}

fn features(text: &[u8]) -> Vec<Vec<OsString>> {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    let all: Vec<Feature> = text.get(..end).and_then(|text| serde_json::from_slice(text).ok()).unwrap_or_default();
    // A path would be no DT_SONAME, and could lead anywhere.
    let names = |feature: Feature| feature.soname.into_iter().filter(|name| !name.contains('/')).map(OsString::from);
    all.into_iter().map(|feature| names(feature).collect()).collect()
}
