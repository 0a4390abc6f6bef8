//! What a loader wants to know about an ELF file before it loads it.
//!
//! Only the program headers count, as for the kernel and the loader; section headers may be absent or wrong. Every
//! number in the file is a claim: each offset is checked against the file's length, and each table against a limit.
//!
//! Sources: elf(5), ld.so(8); the layouts come from the crate `object`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use object::elf::{
    DF_1_NODEFLIB, DT_AUXILIARY, DT_FILTER, DT_FLAGS_1, DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRTAB,
    ET_DYN, ET_EXEC, FileHeader32, FileHeader64, PT_DYNAMIC, PT_INTERP, PT_LOAD, PT_NOTE,
};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, pod};

use super::note;
use super::reader::{Fault, Reader, Strings};

/// Bytes of program headers: the kernel refuses more, fs/binfmt_elf.c `load_elf_phdrs`.
const HEADERS: u64 = 1 << 16;
/// Bytes of the dynamic section; some hundred are usual.
const DYNAMIC: u64 = 1 << 20;
/// Bytes of all strings taken from the dynamic section.
const STRINGS: u64 = 1 << 20;
/// Bytes of a path: PATH_MAX.
const INTERPRETER: u64 = 4096;

/// What two files must have in common to be loaded into one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) class: Class,
    big_endian: bool,
    pub(crate) machine: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    Bits32,
    Bits64,
}

/// Where an object wants its libraries searched first. `DT_RPATH` doesn't count where there is a `DT_RUNPATH`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Hints {
    None,
    /// Holds for this object and all that are loaded because of it.
    Rpath(OsString),
    /// Holds for this object only.
    Runpath(OsString),
}

/// Whether the loader's own directories may serve this object's needs (`DF_1_NODEFLIB`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defaults {
    Allowed,
    Refused,
}

/// Why an object asks for a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// `DT_NEEDED`.
    Needed,
    /// `DT_FILTER`: the library has the code of which this object has the names. To musl it means nothing.
    Filter,
    /// `DT_AUXILIARY`: the same, but it may be missing.
    Auxiliary,
}

#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) target: Target,
    pub(crate) interpreter: Option<OsString>,
    pub(crate) soname: Option<OsString>,
    pub(crate) needed: Vec<(Why, OsString)>,
    /// What it may open while it runs: for each feature the libraries that serve it, best first.
    pub(crate) opened: Vec<Vec<OsString>>,
    pub(crate) hints: Hints,
    pub(crate) defaults: Defaults,
}

/// Reads an ELF file; the caller has seen its magic number.
pub(crate) fn parse(reader: &Reader<'_>) -> Result<Object, Fault> {
    match reader.head().get(4) {
        Some(1) => parse_as::<FileHeader32<Endianness>>(reader, Class::Bits32),
        Some(2) => parse_as::<FileHeader64<Endianness>>(reader, Class::Bits64),
        _ => Err(Fault::Malformed("its ELF class is unknown")),
    }
}

fn parse_as<H: FileHeader<Endian = Endianness>>(reader: &Reader<'_>, class: Class) -> Result<Object, Fault> {
    let header = H::parse(reader.head()).map_err(|_| Fault::Malformed("its ELF header is malformed"))?;
    let endian = header.endian().map_err(|_| Fault::Malformed("its byte order is unknown"))?;
    if !matches!(header.e_type(endian), ET_EXEC | ET_DYN) {
        return Err(Fault::Malformed("it is neither an executable nor a shared object"));
    }
    let target = Target { class, big_endian: header.is_big_endian(), machine: header.e_machine(endian).0 };
    let table = headers(header, endian, reader)?;
    let segments: &[H::ProgramHeader] =
        pod::slice_from_all_bytes(&table).map_err(|()| Fault::Malformed("its program headers are malformed"))?;
    let notes = segments.iter().filter(|s| s.p_type(endian) == PT_NOTE);
    let mut object = Object {
        target,
        interpreter: interpreter(segments, endian, reader)?,
        soname: None,
        needed: Vec::new(),
        opened: notes.flat_map(|segment| note::parse::<H>(segment, endian, reader)).collect(),
        hints: Hints::None,
        defaults: Defaults::Allowed,
    };
    // Of several the last counts, as in glibc's elf/dl-load.c.
    let dynamic = |s: &&H::ProgramHeader| s.p_type(endian) == PT_DYNAMIC && s.p_filesz(endian).into() > 0;
    if let Some(segment) = segments.iter().rev().find(dynamic) {
        let (offset, size) = segment.file_range(endian);
        if size > DYNAMIC {
            return Err(Fault::Malformed("its dynamic section is too large"));
        }
        let part = reader.part(offset, size, "its dynamic section lies outside the file")?;
        let entries: &[H::Dyn] =
            pod::slice_from_all_bytes(&part).map_err(|()| Fault::Malformed("its dynamic section is malformed"))?;
        read_dynamic(&mut object, entries, segments, endian, reader)?;
    }
    Ok(object)
}

fn headers<'r, H: FileHeader<Endian = Endianness>>(
    header: &H,
    endian: Endianness,
    reader: &'r Reader<'_>,
) -> Result<std::borrow::Cow<'r, [u8]>, Fault> {
    let each = u64::from(header.e_phentsize(endian));
    let size = each * u64::from(header.e_phnum(endian));
    if size == 0 {
        return Ok(std::borrow::Cow::Borrowed(&[]));
    }
    if each != size_of::<H::ProgramHeader>() as u64 || size > HEADERS {
        return Err(Fault::Malformed("its program headers have a wrong size"));
    }
    reader.part(header.e_phoff(endian).into(), size, "its program headers lie outside the file")
}

/// Reads the first `PT_INTERP`, the one that counts for the kernel.
fn interpreter<P: ProgramHeader<Endian = Endianness>>(
    segments: &[P],
    endian: Endianness,
    reader: &Reader<'_>,
) -> Result<Option<OsString>, Fault> {
    let Some(segment) = segments.iter().find(|s| s.p_type(endian) == PT_INTERP) else { return Ok(None) };
    let (offset, size) = segment.file_range(endian);
    if size > INTERPRETER {
        return Err(Fault::Malformed("its interpreter's path is too long"));
    }
    let part = reader.part(offset, size, "its interpreter's path lies outside the file")?;
    match part.iter().position(|byte| *byte == 0) {
        Some(end) if end > 0 => Ok(part.get(..end).map(os)),
        _ => Err(Fault::Malformed("its interpreter's path is malformed")),
    }
}

fn read_dynamic<D, P>(
    object: &mut Object,
    entries: &[D],
    segments: &[P],
    endian: Endianness,
    reader: &Reader<'_>,
) -> Result<(), Fault>
where
    D: Dyn<Endian = Endianness>,
    P: ProgramHeader<Endian = Endianness>,
{
    let entries = || entries.iter().map(|d| (d.tag(endian), d.val(endian))).take_while(|(tag, _)| *tag != DT_NULL);
    let wanted = |tag| matches!(tag, DT_NEEDED | DT_FILTER | DT_AUXILIARY | DT_SONAME | DT_RPATH | DT_RUNPATH);
    if let Some((_, flags)) = entries().filter(|(tag, _)| *tag == DT_FLAGS_1).last()
        && flags & DF_1_NODEFLIB.0 != 0
    {
        object.defaults = Defaults::Refused;
    }
    if !entries().any(|(tag, _)| wanted(tag)) {
        return Ok(());
    }
    let Some((_, address)) = entries().filter(|(tag, _)| *tag == DT_STRTAB).last() else {
        return Err(Fault::Malformed("its dynamic section has no string table"));
    };
    let (start, end) = file_part(address, segments, endian)
        .ok_or(Fault::Malformed("the string table of its dynamic section isn't in the file"))?;
    let mut strings = Strings::new(reader, start, end, STRINGS);
    let (mut rpath, mut runpath) = (None, None);
    for (tag, value) in entries().filter(|(tag, _)| wanted(*tag)) {
        let text = os(&strings.at(value)?);
        match tag {
            DT_NEEDED => object.needed.push((Why::Needed, text)),
            DT_FILTER => object.needed.push((Why::Filter, text)),
            DT_AUXILIARY => object.needed.push((Why::Auxiliary, text)),
            DT_SONAME => object.soname = Some(text),
            DT_RPATH => rpath = Some(text),
            _ => runpath = Some(text),
        }
    }
    object.hints = match (runpath, rpath) {
        (Some(dirs), _) => Hints::Runpath(dirs),
        (None, Some(dirs)) => Hints::Rpath(dirs),
        (None, None) => Hints::None,
    };
    Ok(())
}

/// The offsets in the file from what is loaded at `address` to the end of its segment.
fn file_part<P: ProgramHeader<Endian = Endianness>>(
    address: u64,
    segments: &[P],
    endian: Endianness,
) -> Option<(u64, u64)> {
    segments.iter().filter(|s| s.p_type(endian) == PT_LOAD).find_map(|s| {
        let (offset, size) = s.file_range(endian);
        let skip = address.checked_sub(s.p_vaddr(endian).into()).filter(|skip| *skip < size)?;
        Some((offset.checked_add(skip)?, offset.checked_add(size)?))
    })
}

fn os(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}
