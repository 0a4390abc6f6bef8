//! The loader's list of libraries, /etc/ld.so.cache, as ldconfig(8) writes it.
//!
//! Read is the new format, alone or behind the old one, whose entries it repeats. The list may be stale or hostile:
//! it only names candidates, which are looked at like any other.
//!
//! Source: glibc's sysdeps/generic/dl-cache.h.

use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A larger list isn't read.
pub(crate) const LIMIT: u64 = 1 << 22;
/// Bytes of a library's name and of its path; the bounds also keep hostile lists of overlapping strings cheap.
const NAME_MAX: usize = 256;
const PATH_MAX: usize = 4096;

const OLD: &[u8] = b"ld.so-1.7.0";
const OLD_HEADER: usize = 16;
const OLD_ENTRY: usize = 12;
const NEW: &[u8] = b"glibc-ld.so.cache1.1";
const NEW_HEADER: usize = 48;
const NEW_ENTRY: usize = 24;

/// Whether every processor can use a library, or some only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variety {
    Plain,
    /// From a glibc-hwcaps directory.
    Tuned,
}

#[derive(Default)]
pub(crate) struct Cache {
    bytes: Vec<u8>,
    /// Sorted by name; for one name, in the file's order, which is the order of preference.
    items: Vec<Item>,
}

struct Item {
    name: Range<usize>,
    path: Range<usize>,
    variety: Variety,
}

impl Cache {
    /// Reads a cache file's bytes. What can't be understood is no candidate.
    pub(crate) fn parse(bytes: Vec<u8>) -> Cache {
        let items = items(&bytes).unwrap_or_default();
        let mut cache = Cache { bytes, items };
        let bytes = &cache.bytes;
        cache.items.sort_by(|a, b| bytes.get(a.name.clone()).cmp(&bytes.get(b.name.clone())));
        cache
    }

    /// The paths that `name` stands for, in order of preference.
    pub(crate) fn lookup(&self, name: &OsStr) -> impl Iterator<Item = (&Path, Variety)> {
        let name = name.as_bytes();
        let first = self.items.partition_point(|item| self.text(&item.name) < name);
        self.items
            .iter()
            .skip(first)
            .take_while(move |item| self.text(&item.name) == name)
            .map(|item| (Path::new(OsStr::from_bytes(self.text(&item.path))), item.variety))
    }

    fn text(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}

fn items(bytes: &[u8]) -> Option<Vec<Item>> {
    let start = new_start(bytes)?;
    let new = bytes.get(start..)?;
    let order = Order::of(new)?;
    let count = order.u32(new, NEW.len())? as usize;
    let table = new.get(NEW_HEADER..)?.chunks_exact(NEW_ENTRY).take(count);
    let mut items = Vec::with_capacity(table.len());
    for entry in table {
        let string = |at: usize, max| string(bytes, start.checked_add(order.u32(entry, at)? as usize)?, max);
        let tuned = entry.get(16..NEW_ENTRY)?.iter().any(|byte| *byte != 0);
        let variety = if tuned { Variety::Tuned } else { Variety::Plain };
        if let (Some(name), Some(path)) = (string(4, NAME_MAX), string(8, PATH_MAX)) {
            items.push(Item { name, path, variety });
        }
    }
    Some(items)
}

/// Where the new format begins.
fn new_start(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(NEW) {
        return Some(0);
    }
    if !bytes.starts_with(OLD) {
        return None;
    }
    let count = Order::Native.u32(bytes, 12)? as usize;
    let start = count.checked_mul(OLD_ENTRY)?.checked_add(OLD_HEADER)?.checked_next_multiple_of(8)?;
    bytes.get(start..)?.starts_with(NEW).then_some(start)
}

#[derive(Clone, Copy)]
enum Order {
    Native,
    Little,
    Big,
}

impl Order {
    /// The byte order that the new header states; older writers state none.
    fn of(new: &[u8]) -> Option<Order> {
        Some(match new.get(NEW.len() + 8)? & 3 {
            2 => Order::Little,
            3 => Order::Big,
            _ => Order::Native,
        })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(match self {
            Order::Native => u32::from_ne_bytes(four),
            Order::Little => u32::from_le_bytes(four),
            Order::Big => u32::from_be_bytes(four),
        })
    }
}

fn string(bytes: &[u8], start: usize, max: usize) -> Option<Range<usize>> {
    let rest = bytes.get(start..bytes.len().min(start.checked_add(max)?))?;
    rest.iter().position(|byte| *byte == 0).map(|len| start..start + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a new-format list of (name, path, hwcap).
    fn new_format(items: &[(&str, &str, u64)]) -> Vec<u8> {
        let mut strings = Vec::new();
        let mut table = Vec::new();
        let base = NEW_HEADER + NEW_ENTRY * items.len();
        let mut put = |text: &str| {
            let at = (base + strings.len()) as u32;
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            at.to_ne_bytes()
        };
        for (name, path, hwcap) in items {
            table.extend_from_slice(&0x0303_u32.to_ne_bytes());
            table.extend_from_slice(&put(name));
            table.extend_from_slice(&put(path));
            table.extend_from_slice(&[0; 4]);
            table.extend_from_slice(&hwcap.to_ne_bytes());
        }
        let mut bytes = NEW.to_vec();
        bytes.extend_from_slice(&(items.len() as u32).to_ne_bytes());
        bytes.resize(NEW_HEADER, 0);
        [bytes, table, strings].concat()
    }

    fn looked_up(cache: &Cache, name: &str) -> Vec<(String, Variety)> {
        cache.lookup(OsStr::new(name)).map(|(path, variety)| (path.display().to_string(), variety)).collect()
    }

    const ITEMS: [(&str, &str, u64); 4] = [
        ("libz.so.1", "/lib/libz.so.1", 0),
        ("libc.so.6", "/lib/glibc-hwcaps/x86-64-v3/libc.so.6", 1 << 62),
        ("libc.so.6", "/usr/local/lib/libc.so.6", 0),
        ("libc.so.6", "/lib/libc.so.6", 0),
    ];

    fn check(cache: &Cache) {
        let all = looked_up(cache, "libc.so.6");
        assert_eq!(all[0], ("/lib/glibc-hwcaps/x86-64-v3/libc.so.6".to_owned(), Variety::Tuned));
        assert_eq!(all[1], ("/usr/local/lib/libc.so.6".to_owned(), Variety::Plain));
        assert_eq!(all.len(), 3);
        assert!(looked_up(cache, "libc.so").is_empty());
    }

    #[test]
    fn a_name_gives_its_paths_in_the_files_order() {
        check(&Cache::parse(new_format(&ITEMS)));
    }

    #[test]
    fn the_new_format_is_found_behind_the_old_one() {
        let mut bytes = OLD.to_vec();
        bytes.resize(12, 0);
        bytes.extend_from_slice(&1_u32.to_ne_bytes());
        bytes.resize((OLD_HEADER + OLD_ENTRY).next_multiple_of(8), 0);
        bytes.extend_from_slice(&new_format(&ITEMS));
        check(&Cache::parse(bytes));
    }

    #[test]
    fn a_cut_or_changed_file_never_panics() {
        let whole = new_format(&ITEMS);
        for at in 0..whole.len() {
            let _ = looked_up(&Cache::parse(whole[..at].to_vec()), "libc.so.6");
            let mut changed = whole.clone();
            changed[at] = 0xff;
            let _ = looked_up(&Cache::parse(changed), "libc.so.6");
        }
    }
}
