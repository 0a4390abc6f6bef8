//! What a program asked for and didn't get.

use std::net::SocketAddr;
use std::path::PathBuf;

/// One thing that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// What.
    pub what: What,
    /// The name of the program that asked (proc(5), "/proc/PID/comm"); it chooses that itself.
    pub program: String,
    /// How often.
    pub count: u64,
}

/// What can be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A system call, by the filter.
    Call {
        /// Its name, or its number where it has none.
        name: String,
        /// Its arguments, the first time.
        arguments: [u64; 6],
        /// What it answered.
        errno: u16,
    },
    /// A path that the host has and the root lacks.
    Absent(PathBuf),
    /// A path of the root that was to be written and can't be.
    ReadOnly(PathBuf),
    /// An address that no network leads to.
    Unreachable(SocketAddr),
}

impl What {
    /// Whether it is the same but for details that are kept from the first time only.
    pub(crate) fn same(&self, other: &What) -> bool {
        match (self, other) {
            (What::Call { name, errno, .. }, What::Call { name: other, errno: code, .. }) => {
                name == other && errno == code
            }
            (one, other) => one == other,
        }
    }
}
