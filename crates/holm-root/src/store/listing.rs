//! The listing of a root: what every path in it is, whatever the store's owner can make of it on disk.
//!
//! One line an entry, sorted by path, fields between single spaces; a byte of a name or link that isn't visible ASCII,
//! or is a backslash, is `\xNN`. The path comes first and is relative; the root itself is `.`. Then, by kind:
//!
//! | kind | fields |
//! |---|---|
//! | `d` directory, `p` FIFO | mode, user, group |
//! | `f` file | mode, user, group, size, SHA-256 of its content |
//! | `l` symbolic link | user, group, text |
//! | `c`, `b` device | mode, user, group, major, minor |
//! | `h` hard link | the path, earlier in the list, of the same file |
//!
//! Extended attributes follow as `NAME=HEX`. Times are no part: the same content has the same listing, and the listing's
//! SHA-256 is the root's id.

use std::collections::BTreeMap;
use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The first line: the form, with its version.
const HEAD: &str = "holm listing 1\n";

/// Mode (07777), owner and attributes of something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A hash of content: SHA-256.
pub(crate) type Hash = [u8; 32];

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Directory(Facts),
    File { facts: Facts, size: u64, hash: Hash },
    Link { facts: Facts, text: Vec<u8> },
    Fifo(Facts),
    Device { facts: Facts, device: Device },
    Hard { of: Vec<u8> },
}

/// A device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) block: bool,
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

/// All entries of a root by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing(pub(crate) BTreeMap<Vec<u8>, Item>);

impl Item {
    /// Mode, owner and attributes; a hard link has those of its file.
    pub(crate) fn facts(&self) -> Option<&Facts> {
        match self {
            Item::Directory(facts) | Item::Fifo(facts) => Some(facts),
            Item::File { facts, .. } | Item::Link { facts, .. } | Item::Device { facts, .. } => Some(facts),
            Item::Hard { .. } => None,
        }
    }
}

impl Listing {
    /// The listing as it is stored and hashed.
    pub(crate) fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (path, item) in &self.0 {
            line(&mut text, path, item);
        }
        text
    }

    /// Reads what [`Listing::text`] wrote; `None` if it is anything else.
    pub(crate) fn parse(text: &str) -> Option<Listing> {
        let lines = text.strip_prefix(HEAD)?;
        let mut all = BTreeMap::new();
        for line in lines.lines() {
            let (path, item) = entry(line)?;
            all.insert(path, item);
        }
        let listing = Listing(all);
        // One form only: nothing that the hash doesn't cover.
        (listing.text() == text).then_some(listing)
    }

    /// Bytes of content, each file once.
    pub(crate) fn size(&self) -> u64 {
        self.0.values().map(|item| if let Item::File { size, .. } = item { *size } else { 0 }).sum()
    }
}

/// The id of a root with this listing: SHA-256 in hexadecimal.
pub(crate) fn id(text: &str) -> String {
    hex(&Sha256::digest(text))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let value = |digit: u8| char::from(digit).to_digit(16);
    let pair = |pair: &[u8]| u8::try_from(value(pair[0])? << 4 | value(pair[1])?).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(pair).collect())?
}

/// A SHA-256 in hexadecimal.
pub(crate) fn parse_hash(text: &str) -> Option<Hash> {
    unhex(text)?.try_into().ok()
}

/// A name on one line, without blanks.
pub(crate) fn escape(name: &[u8]) -> String {
    name.iter().fold(String::with_capacity(name.len()), |mut text, byte| {
        match byte {
            b'!'..=b'~' if *byte != b'\\' => text.push(char::from(*byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
        text
    })
}

pub(crate) fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        bytes.extend(unhex(rest.get(at..)?.strip_prefix("\\x")?.get(..2)?)?);
        rest = &rest[at + 4..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

fn line(text: &mut String, path: &[u8], item: &Item) {
    text.push_str(&escape(path));
    let owned = |facts: &Facts| format!("{:o} {} {}", facts.mode, facts.uid, facts.gid);
    // A string takes everything.
    let _ = match item {
        Item::Directory(facts) => write!(text, " d {}", owned(facts)),
        Item::Fifo(facts) => write!(text, " p {}", owned(facts)),
        Item::File { facts, size, hash } => write!(text, " f {} {size} {}", owned(facts), hex(hash)),
        Item::Link { facts, text: to } => write!(text, " l {} {} {}", facts.uid, facts.gid, escape(to)),
        Item::Device { facts, device } => {
            let kind = if device.block { 'b' } else { 'c' };
            write!(text, " {kind} {} {} {}", owned(facts), device.major, device.minor)
        }
        Item::Hard { of } => write!(text, " h {}", escape(of)),
    };
    for (name, value) in item.facts().iter().flat_map(|facts| &facts.attributes) {
        let _ = write!(text, " {}={}", escape(name), hex(value));
    }
    text.push('\n');
}

fn entry(line: &str) -> Option<(Vec<u8>, Item)> {
    let mut fields = line.split(' ');
    let path = unescape(fields.next()?)?;
    let kind = fields.next()?;
    if kind == "h" {
        return Some((path, Item::Hard { of: unescape(fields.next()?)? }));
    }
    let mode = if kind == "l" { 0o777 } else { u32::from_str_radix(fields.next()?, 8).ok()? };
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let mut facts = Facts { mode, uid, gid, attributes: BTreeMap::new() };
    let mut next = || fields.next();
    let mut item = match kind {
        "d" => Item::Directory(Facts::default()),
        "p" => Item::Fifo(Facts::default()),
        "f" => {
            let size = next()?.parse().ok()?;
            let hash = parse_hash(next()?)?;
            Item::File { facts: Facts::default(), size, hash }
        }
        "l" => Item::Link { facts: Facts::default(), text: unescape(next()?)? },
        "c" | "b" => {
            let (major, minor) = (next()?.parse().ok()?, next()?.parse().ok()?);
            Item::Device { facts: Facts::default(), device: Device { block: kind == "b", major, minor } }
        }
        _ => return None,
    };
    for attribute in fields {
        let (name, value) = attribute.rsplit_once('=')?;
        facts.attributes.insert(unescape(name)?, unhex(value)?);
    }
    match &mut item {
        Item::Directory(own) | Item::Fifo(own) => *own = facts,
        Item::File { facts: own, .. } | Item::Link { facts: own, .. } | Item::Device { facts: own, .. } => *own = facts,
        Item::Hard { .. } => {}
    }
    Some((path, item))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(mode: u32) -> Facts {
        let attributes = BTreeMap::from([(b"user.a=b c".to_vec(), vec![0, 255])]);
        Facts { mode, uid: 5, gid: 4_294_967_294, attributes }
    }

    #[test]
    fn every_kind_and_name_can_be_read_again() {
        let device = Device { block: true, major: 8, minor: 1 };
        let link = Facts { attributes: BTreeMap::new(), ..facts(0o777) };
        let items: [(&[u8], Item); 6] = [
            (b".", Item::Directory(facts(0o755))),
            (b"a b\n", Item::File { facts: facts(0o4755), size: u64::MAX, hash: [7; 32] }),
            (b"\\x41", Item::Link { facts: link, text: b"\xff ".to_vec() }),
            ("é".as_bytes(), Item::Fifo(facts(0))),
            (b"dev", Item::Device { facts: facts(0o600), device }),
            (b"z", Item::Hard { of: b"a b\n".to_vec() }),
        ];
        let listing = Listing(items.into_iter().map(|(path, item)| (path.to_vec(), item)).collect());
        assert_eq!(Listing::parse(&listing.text()), Some(listing));
    }

    #[test]
    fn another_form_of_the_same_is_refused() {
        let text = format!("{HEAD}. d 755 0 0\nb p 644 0 0\n");
        assert!(Listing::parse(&text).is_some());
        for (from, to) in [("755", "0755"), ("644 0 0", "644 0 0 "), ("b p", "\\x62 p"), ("listing 1", "listing 2")] {
            assert_eq!(Listing::parse(&text.replace(from, to)), None, "{from} {to}");
        }
    }
}
