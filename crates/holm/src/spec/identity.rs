//! Wishes about identity: who the program is, and how ids inside relate to ids outside.

use super::Origin;
use crate::model::id::IdMap;

/// Who the program is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum User {
    /// The caller's own ids.
    #[default]
    Own,
    /// These ids: 0 and 0 for root.
    Ids {
        /// User id inside.
        uid: u32,
        /// Group id inside.
        gid: u32,
    },
}

/// How ids inside relate to ids outside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Maps {
    /// For a privileged caller the ids from 0 to 65,535, which outside are a range that belongs to nobody; files of roots and
    /// binds keep their owners by idmapped mounts (mount_setattr(2), `MOUNT_ATTR_IDMAP`). For others as `Single`.
    #[default]
    Automatic,
    /// One user id and one group id: the program's inside is the caller's outside.
    Single,
    /// The caller's id and all its ranges in /etc/subuid and /etc/subgid, from id 0 on (subuid(5)).
    Subordinate,
    /// Just these; a list that is empty is a single map.
    Listed {
        /// Of user ids.
        uid: Vec<IdMap>,
        /// Of group ids.
        gid: Vec<IdMap>,
    },
}

/// The supplementary groups of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Groups {
    /// These, by their ids inside.
    Listed(Vec<u32>),
    /// Those of the caller, whose rights to files the program then has, whatever its user. Without a map they have no id inside.
    Callers,
}

impl Default for Groups {
    fn default() -> Groups {
        Groups::Listed(Vec::new())
    }
}

/// Both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Who the program is.
    pub user: User,
    /// Its supplementary groups.
    pub groups: Groups,
    /// The maps.
    pub maps: Maps,
    /// Where the wish for these maps came from.
    pub origin: Origin,
}
