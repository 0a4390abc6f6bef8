//! Attributes of a mount, by the names that mount(8) gives them (mount_setattr(2)).

pub use crate::sys::mount::{Propagation, Reach};

/// `MOUNT_ATTR__ATIME`: which time of access is kept is one choice of these bits.
const ATIME: u64 = 0x70;

/// A name, the bits that it sets, and those that it clears.
const NAMES: [(&str, u64, u64); 20] = [
    ("ro", 0x1, 0),
    ("rw", 0, 0x1),
    ("nosuid", 0x2, 0),
    ("suid", 0, 0x2),
    ("nodev", 0x4, 0),
    ("dev", 0, 0x4),
    ("noexec", 0x8, 0),
    ("exec", 0, 0x8),
    ("noatime", 0x10, ATIME),
    ("atime", 0, ATIME),
    ("strictatime", 0x20, ATIME),
    ("nostrictatime", 0, ATIME),
    ("relatime", 0, ATIME),
    ("norelatime", 0x20, ATIME),
    ("nodiratime", 0x80, 0),
    ("diratime", 0, 0x80),
    ("nosymfollow", 0x20_0000, 0),
    ("symfollow", 0, 0x20_0000),
    ("defaults", 0, 0),
    ("async", 0, 0),
];

/// Bits that are set and cleared, `MOUNT_ATTR_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Which are set.
    pub set: u64,
    /// Which are cleared.
    pub clear: u64,
}

impl Attributes {
    /// Nobody writes.
    pub const READ_ONLY: Attributes = Attributes { set: 1, clear: 0 };

    /// Adds what an option of mount(8) says, such as `nosuid`; the last word counts. `false` if it is none of these.
    pub fn add(&mut self, option: &str) -> bool {
        let Some((_, set, clear)) = NAMES.iter().find(|(name, ..)| *name == option) else { return false };
        self.set = self.set & !clear | set;
        self.clear = self.clear & !(set & !ATIME) | clear;
        true
    }

    /// Whether nobody writes.
    pub fn read_only(self) -> bool {
        self.set & 1 != 0
    }

    /// The names of all options, each with `r` before it that has a form for the mounts below, too (`rro`).
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, ..)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts() {
        let of = |options: &[&str]| {
            let mut attributes = Attributes::default();
            assert!(options.iter().all(|option| attributes.add(option)));
            (attributes.set, attributes.clear)
        };
        assert_eq!(of(&["ro", "nosuid", "rw"]), (0x2, 0x1));
        assert_eq!(of(&["rw", "ro"]), (0x1, 0));
        assert_eq!(of(&["noatime", "strictatime"]), (0x20, ATIME));
        assert_eq!(of(&["relatime"]), (0, ATIME));
        assert!(!Attributes::default().add("size=1"));
    }
}
