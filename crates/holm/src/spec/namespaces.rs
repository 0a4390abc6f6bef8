//! Wishes about namespaces: new, shared, joined, kept.

use super::Origin;
use crate::model::namespace::{Namespace, NamespaceSet};
use std::ffi::OsString;
use std::path::PathBuf;

/// What is wished for one kind of namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// A new one.
    New,
    /// The caller's.
    Share,
    /// Another one that exists.
    Join(Target, Origin),
}

/// Where a namespace to join is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file, such as `/proc/123/ns/net` or a kept one.
    Path(PathBuf),
    /// A process, by its pid as the caller sees it.
    Process(i32),
    /// A descriptor of the caller.
    Descriptor(i32),
    /// A descriptor that was opened for this wish.
    Opened {
        /// Its number.
        descriptor: i32,
        /// Of what it is, for people.
        of: String,
    },
}

/// Below it namespaces are kept under names, in a directory for each kind.
pub const KEPT: &str = "/run/holm/ns";

/// Keeps a new namespace for later by a bind mount on `path` (ioctl_ns(2), "bind mount").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Which.
    pub namespace: Namespace,
    /// The file that will hold it; made if it is missing. Its directory must exist, but those of [`KEPT`] are made.
    pub path: PathBuf,
    /// Where the wish came from.
    pub origin: Origin,
}

/// A network device of the caller's that is given away: it is moved into the new network namespace, or the one that is joined, and
/// set up there with its lasting addresses that aren't of one host or link alone. With the namespace it ends or, if it is a real
/// one, goes back to the machine's first (network_namespaces(7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: OsString,
    /// Its name inside.
    pub inside: OsString,
}

impl Device {
    /// Whether an interface can have a name: at most 15 bytes, none of them a space, `/` or `:`, and neither `.` nor `..`.
    pub fn can_be_named(name: &std::ffi::OsStr) -> bool {
        let bytes = name.as_encoded_bytes();
        let odd = |b: &u8| b.is_ascii_whitespace() || [b'/', b':', 0, 0x0b].contains(b);
        (1..=15).contains(&bytes.len()) && !bytes.iter().any(odd) && name != "." && name != ".."
    }
}

/// Offsets of the clocks in a new time namespace, in nanoseconds (time_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeOffsets {
    /// Added to CLOCK_BOOTTIME.
    pub boot: i64,
    /// Added to CLOCK_MONOTONIC.
    pub monotonic: i64,
}

/// The wishes for all kinds. By default all are new but the time namespace, which is shared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Namespaces {
    /// What isn't `New`; the last entry of a kind counts, and two that differ are refused.
    pub choices: Vec<(Namespace, Choice)>,
    /// What is kept for later.
    pub keep: Vec<Keep>,
    /// Makes a new time namespace with these offsets.
    pub time: Option<TimeOffsets>,
    /// What goes into the network namespace.
    pub devices: Vec<Device>,
}

impl Namespaces {
    /// What is wished for `kind`.
    pub fn choice(&self, kind: Namespace) -> &Choice {
        let said = self.choices.iter().rev().find(|(k, _)| *k == kind).map(|(_, choice)| choice);
        said.unwrap_or(match kind {
            Namespace::Time if self.time.is_none() => &Choice::Share,
            _ => &Choice::New,
        })
    }

    /// The kinds that are new.
    pub fn new_kinds(&self) -> NamespaceSet {
        Namespace::ALL.into_iter().filter(|&kind| *self.choice(kind) == Choice::New).collect()
    }
}
