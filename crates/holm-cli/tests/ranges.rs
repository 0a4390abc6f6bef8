//! The store of an ordinary user with ranges of ids: what belongs to ids of them can be removed and is never in the way.

#[expect(dead_code, reason = "other tests use the rest")]
mod patience;
#[expect(dead_code, reason = "other tests use the rest")]
mod stores;

use std::fs;
use std::path::Path;
use stores::Store;
use testkit::{has_ranges, is_root, skip};

/// Gives the store a draft, as of a build that was killed, with a directory that is another id's alone.
fn leave_draft(store: &Store) {
    let script =
        "mkdir -p /s/draft/files/private/in && chmod 700 /s/draft/files/private && chown 42 /s/draft/files/private";
    let bind = format!("{}:/s", store.path().display());
    store.does(&[
        "run",
        "--user",
        "root",
        "--map",
        "auto",
        "--cap-add",
        "chown",
        "--bind-rw",
        &bind,
        "sh",
        "-c",
        script,
    ]);
    assert!(fs::remove_dir_all(store.path().join("draft")).is_err(), "it is another id's");
}

fn dead(store: &Path) -> usize {
    let names = fs::read_dir(store).expect("it is there").map(|item| item.expect("it can be listed").file_name());
    names.filter(|name| name.to_string_lossy().starts_with("dead-")).count()
}

#[test]
fn what_a_killed_build_left_is_in_nobodys_way_and_removed() {
    let store = Store::new("ranges");
    if is_root() {
        // Root removes whatever there is.
        return;
    }
    if !has_ranges() {
        return skip("the caller has no ranges in /etc/subuid, or newuidmap is missing");
    }
    fs::create_dir(store.0.join("made")).expect("there is space");
    store.does(&["root", "import", "made", "first"]);
    leave_draft(&store);
    store.does(&["root", "import", "made", "second"]);
    assert!(!store.path().join("draft").exists());
    assert_eq!(dead(&store.path()), 1, "an import is not root of these ids");
    store.does(&["root", "gc"]);
    assert_eq!(dead(&store.path()), 0);
    leave_draft(&store);
    store.does(&["root", "rm", "first"]);
    assert!(!store.path().join("draft").exists());
    store.does(&["root", "verify"]);
}
