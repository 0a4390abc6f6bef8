//! Images of squashfs: the same root as the directory they were packed from, and nothing from hostile ones.

use crate::stores::{Store, drafts};
use crate::tools::line;
use rustix::fs::{XattrFlags, setxattr};
use std::fs;
use testkit::is_root;

/// A directory with most of what there is, in the store's directory.
const MADE: &str =
    "mkdir -p made/d/empty && seq 60000 > made/numbers && echo text > made/d/text && ln made/d/text made/hard
    ln -s ../d/text made/link && mkfifo made/fifo && truncate -s 300000 made/d/hole && echo end >> made/d/hole
    chmod 4755 made/numbers && chmod 700 made/d && : > made/nothing && head -c 131072 /dev/urandom > made/whole";

/// What is printed of a root: its id.
fn id(store: &Store, source: &str, name: &str) -> String {
    let said = store.does(&["root", "import", source, name]);
    said.split([' ', '\n']).nth(1).expect("it has an id").to_owned()
}

#[test]
fn a_squashfs_image_is_the_same_root_as_its_directory() {
    let store = Store::new("squashfs");
    let packed = format!(
        "{MADE}
        for kind in gzip xz zstd; do mksquashfs made $kind.squashfs -comp $kind -no-progress -quiet; done
        mksquashfs made plain.squashfs -noI -noD -noF -noX -b 4096 -no-progress -quiet
        mksquashfs made lz4.squashfs -comp lz4 -no-progress -quiet"
    );
    if !line(&store, &["mksquashfs"], &packed) {
        return;
    }
    let first = id(&store, "made", "made");
    for kind in ["gzip", "xz", "zstd", "plain"] {
        assert_eq!(id(&store, &format!("{kind}.squashfs"), kind), first, "{kind}");
    }
    store.does(&["root", "verify"]);
    store.fails(&["root", "import", "lz4.squashfs", "no"], "something else than gzip, xz or zstd");
    store.fails(&["root", "import", "gzip.squashfs", "no", "--max-size", "100000"], "it is larger than 100000 bytes");
    assert!(!drafts(&store));
}

#[test]
fn owners_devices_and_attributes_of_a_squashfs_image_are_kept() {
    let store = Store::new("squashfs-facts");
    fs::create_dir(store.0.join("made")).expect("scratch is ours");
    let file = store.0.join("made/ping");
    fs::write(&file, "x").expect("scratch is ours");
    let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let all: [(&str, &[u8]); 3] = [("user.note", b"a note"), ("security.capability", capability), ("trusted.no", b"1")];
    // The others are root's to set.
    let count = if is_root() { 3 } else { 1 };
    for (name, value) in &all[..count] {
        setxattr(&file, *name, value, XattrFlags::empty()).expect("the file system has attributes");
    }
    let packed = "mksquashfs made a.squashfs -no-progress -quiet -p 'null c 666 3 4 1 3' -p 'theirs d 750 5 6'";
    if !line(&store, &["mksquashfs"], packed) {
        return;
    }
    store.does(&["root", "import", "a.squashfs", "a"]);
    let shown = store.does(&["root", "show", "a", "--json"]);
    assert!(shown.contains("\"devices\": 1"), "{shown}");
    assert!(shown.contains(if is_root() { "\"left_out\": 1" } else { "\"left_out\": 0" }), "{shown}");
    store.does(&["root", "export", "a", "a.tar"]);
    let listed = "tar --numeric-owner -tvf a.tar > list && cat list
        grep -q '^crw-rw-rw- 3/4 .*1,3 .* null$' list && grep -q '^drwxr-x--- 5/6 .* theirs' list";
    line(&store, &["mksquashfs"], listed);
    let archive = fs::read(store.0.join("a.tar")).expect("it is there");
    for (at, (name, _)) in all.iter().enumerate() {
        let there = archive.windows(name.len()).any(|bytes| bytes == name.as_bytes());
        assert_eq!(there, at < count && *name != "trusted.no", "{name}");
    }
    store.does(&["root", "verify"]);
}

#[test]
fn names_and_sizes_that_lie_in_a_squashfs_image_reach_nothing() {
    let store = Store::new("squashfs-hostile");
    let packed = "mkdir made && echo text > made/qq && mksquashfs made a.squashfs -noI -noD -noF -no-progress -quiet";
    if !line(&store, &["mksquashfs"], packed) {
        return;
    }
    let bytes = fs::read(store.0.join("a.squashfs")).expect("it is there");
    let at = bytes.windows(2).rposition(|two| two == b"qq").expect("names are not compressed");
    for name in [b"..", b"/q", b"q\0", b"q/"] {
        let mut changed = bytes.clone();
        changed[at..at + 2].copy_from_slice(name);
        fs::write(store.0.join("b.squashfs"), &changed).expect("scratch is ours");
        store.fails(&["root", "import", "b.squashfs", "b"], "it has a name that none can have");
    }
    for length in [20, 95, 96, 120, bytes.len() / 20, bytes.len() / 16] {
        fs::write(store.0.join("b.squashfs"), &bytes[..length]).expect("scratch is ours");
        store.fails(&["root", "import", "b.squashfs", "b"], "cannot unpack ");
    }
    assert!(!drafts(&store));
    assert_eq!(store.does(&["root", "ls", "--json"]), "[]\n");
}
