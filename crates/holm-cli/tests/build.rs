//! `holm root build`: what is refused before an archive is asked.

#[allow(dead_code, reason = "nothing is left running in the background")]
mod patience;
#[allow(dead_code, reason = "nothing is built here")]
mod stores;

use std::fs;
use stores::Store;

#[test]
fn a_lock_file_must_be_one_and_of_the_suite_that_is_asked_for() {
    let store = Store::new("locks");
    let lock = "version = 1\npackage = []\n[[archive]]\nuri = \"http://127.0.0.1:9/debian\"\nsuite = \"bookworm\"\n\
        components = [\"main\"]\norigin = \"Debian\"\ndate = \"2026-01-01T00:00:00Z\"\nrelease-sha256 = \"HASH\"\n";
    fs::write(store.0.join("lock.toml"), lock.replace("HASH", &"0".repeat(64))).expect("scratch is ours");
    let build = ["root", "build", "debian:trixie", "--lock", "lock.toml"];
    store.fails(&build, "cannot use --lock lock.toml: it is not of trixie");
    fs::write(store.0.join("lock.toml"), lock).expect("scratch is ours");
    store.fails(
        &build,
        "cannot read the lock file: archive http://127.0.0.1:9/debian bookworm has a field that can't be",
    );
}
