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
use std::thread;

use crate::closure::tree::{Node, Tree};

/// To be changed with the format, the rules, or how roots are made.
pub(crate) const FORMAT: &[u8] = b"holm bins 4";

/// From so many facts on two threads look at them.
const MANY: usize = 256;

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
    let (mut facts, mut whole) = (Vec::new(), true);
    while let Some(path) = parts.next() {
        match parts.next() {
            Some(state) => facts.push((Path::new(OsStr::from_bytes(path)), state)),
            None => whole = false,
        }
    }
    let are = |facts: &[(&Path, &[u8])]| {
        facts.iter().all(|(path, state)| Node::probe(path).is_ok_and(|now| now.state() == *state))
    };
    // A thread costs as much as some hundred looks.
    let (own, others) = facts.split_at(if facts.len() < MANY { facts.len() } else { facts.len() / 2 });
    whole
        && thread::scope(|scope| {
            let start = || thread::Builder::new().spawn_scoped(scope, || are(others)).ok();
            let other = (!others.is_empty()).then(start).flatten();
            are(own) && other.map_or_else(|| are(others), |other| other.join().expect("it doesn't panic"))
        })
}

/// Names the time since the machine was started. Files aren't synced to the disk, which would cost more than making
/// them: after a power cut some may be empty, so a root isn't used beyond its boot.
fn boot() -> Vec<u8> {
    fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim_ascii().to_vec()
}
