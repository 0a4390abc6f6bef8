//! The host paths a root was made from, each with its status: while all of them hold, making it again would give the
//! same root.
//!
//! Format: `FORMAT`, the boot's id, then for each path the path and its state, each ended by a NUL. States are
//! compared as bytes and never parsed. Absent paths are facts too: a library that appears in a directory searched
//! earlier would be the one to load.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::closure::tree::{Node, Tree};

/// To be changed with the format, the rules, or how roots are made.
pub(crate) const FORMAT: &[u8] = b"holm bins 4";

/// Writes down what a tree has seen.
pub(crate) fn write(tree: &Tree) -> Vec<u8> {
    let mut text = Vec::new();
    let mut put = |bytes: &[u8]| {
        text.extend_from_slice(bytes);
        text.push(0);
    };
    put(FORMAT);
    put(&boot());
    for (path, node) in tree.seen() {
        put(path.as_os_str().as_bytes());
        put(&node.state());
    }
    text
}

/// Whether everything written down is still so.
pub(crate) fn hold(text: &[u8]) -> bool {
    // What follows the last NUL is no part.
    let Some((0, text)) = text.split_last() else { return false };
    let mut parts = text.split(|byte| *byte == 0);
    if parts.next() != Some(FORMAT) || parts.next() != Some(boot().as_slice()) {
        return false;
    }
    while let Some(path) = parts.next() {
        let now = Node::probe(Path::new(OsStr::from_bytes(path)));
        if !now.is_ok_and(|now| parts.next() == Some(now.state().as_slice())) {
            return false;
        }
    }
    true
}

/// Names the time since the machine was started. Files aren't synced to the disk, which would cost more than making
/// them: after a power cut some may be empty, so a root isn't used beyond its boot.
fn boot() -> Vec<u8> {
    fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim_ascii().to_vec()
}
