//! Images of erofs: what the kernel shows of them, for root; others are told why not.

use crate::stores::{Store, drafts};
use crate::tools::line;
use std::fs;
use testkit::is_root;

const MADE: &str =
    "mkdir -p made/d/empty && seq 60000 > made/numbers && echo text > made/d/text && ln made/d/text made/hard
    ln -s ../d/text made/link && mkfifo made/fifo && chmod 4755 made/numbers && chmod 700 made/d && : > made/nothing";

#[test]
fn an_erofs_image_is_the_same_root_as_its_directory() {
    let store = Store::new("erofs");
    let packed = format!("{MADE}\nmkfs.erofs --quiet plain.erofs made && mkfs.erofs --quiet -zlz4 packed.erofs made");
    if !line(&store, &["mkfs.erofs"], &packed) {
        return;
    }
    if !is_root() {
        store.fails(
            &["root", "import", "plain.erofs", "no"],
            "an image of erofs, which the kernel mounts for root alone",
        );
        assert!(!drafts(&store));
        return;
    }
    let first = store.does(&["root", "import", "made", "made"]);
    for kind in ["plain", "packed"] {
        let said = store.does(&["root", "import", &format!("{kind}.erofs"), kind]);
        assert_eq!(said.split_whitespace().nth(1), first.split_whitespace().nth(1), "{kind}");
    }
    store.does(&["root", "verify"]);
    store.fails(&["root", "import", "plain.erofs", "no", "--max-size", "100000"], "it is larger than 100000 bytes");
    let mut bytes = fs::read(store.0.join("plain.erofs")).expect("it is there");
    // The root directory's inode, and what it is told by.
    bytes[1024 + 14..].iter_mut().take(40).for_each(|byte| *byte = 0xff);
    fs::write(store.0.join("damaged.erofs"), bytes).expect("scratch is ours");
    store.fails(&["root", "import", "damaged.erofs", "no"], "cannot unpack damaged.erofs: ");
    assert!(!drafts(&store));
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc is there");
    assert!(!mounts.contains("erofs"), "{mounts}");
}
