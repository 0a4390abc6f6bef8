//! What Landlock rules say (landlock(7)), by version of its interface.

/// What a set of rules is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// `LANDLOCK_ACCESS_FS_*`: accesses that are refused but where a rule allows them.
    pub files: u64,
    /// `LANDLOCK_SCOPE_*`: what can't be reached outside the sandbox.
    pub scopes: u64,
}

/// `LANDLOCK_ACCESS_FS_WRITE_FILE`.
pub(crate) const WRITE_FILE: u64 = 1 << 1;
/// `LANDLOCK_ACCESS_FS_TRUNCATE`, from version 3 on.
pub(crate) const TRUNCATE: u64 = 1 << 14;
/// `REMOVE_DIR`, `REMOVE_FILE`, all of `MAKE_*`, and `REFER`: without it, which is version 2, no file could be moved.
const DIRECTORIES: u64 = 0x3ff << 4;
/// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET`.
pub(crate) const ABSTRACT_SOCKETS: u64 = 0b01;
/// `LANDLOCK_SCOPE_SIGNAL`.
pub(crate) const SIGNAL: u64 = 0b10;
const SCOPES: u64 = ABSTRACT_SOCKETS | SIGNAL;

impl Rules {
    /// What version `version` can refuse: writing to files where `writes`, and reaching out.
    pub fn new(version: u32, writes: Writes) -> Rules {
        let files = match (writes, version) {
            (Writes::Free, _) | (_, 0..=1) => 0,
            (Writes::Listed, 2) => WRITE_FILE | DIRECTORIES,
            (Writes::Listed, _) => WRITE_FILE | DIRECTORIES | TRUNCATE,
        };
        Rules { files, scopes: if version >= 6 { SCOPES } else { 0 } }
    }

    /// The same, with one of the scopes left free.
    #[must_use]
    pub(crate) fn without_scope(self, scope: u64) -> Rules {
        Rules { scopes: self.scopes & !scope, ..self }
    }

    /// Whether they refuse nothing.
    pub fn is_empty(self) -> bool {
        self == Rules { files: 0, scopes: 0 }
    }
}

/// Where files may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// Wherever mounts and permissions allow it.
    Free,
    /// Where something writable was mounted, too.
    Listed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_grow_with_the_version() {
        assert!(Rules::new(0, Writes::Listed).is_empty());
        assert!(Rules::new(1, Writes::Listed).is_empty());
        assert_eq!(Rules::new(2, Writes::Listed), Rules { files: 0x3ff2, scopes: 0 });
        assert_eq!(Rules::new(3, Writes::Listed), Rules { files: 0x7ff2, scopes: 0 });
        assert_eq!(Rules::new(7, Writes::Free), Rules { files: 0, scopes: 3 });
    }
}
