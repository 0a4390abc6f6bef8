//! The store of an ordinary user with ranges of ids: what belongs to ids of them can be removed and is never in the way.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use testkit::{Scratch, has_ranges, holm, is_root, skip};

fn holm_in(scratch: &Scratch, arguments: &[&str]) -> Output {
    let mut command = Command::new(holm());
    command.env("HOLM_STORE", scratch.join("store")).current_dir(scratch.path()).args(arguments);
    command.output().expect("holm is there")
}

fn does(scratch: &Scratch, arguments: &[&str]) {
    let done = holm_in(scratch, arguments);
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Gives the store a draft, as of a build that was killed, with a directory that is another id's alone.
fn leave_draft(scratch: &Scratch) {
    let script =
        "mkdir -p /s/draft/files/private/in && chmod 700 /s/draft/files/private && chown 42 /s/draft/files/private";
    let bind = format!("{}:/s", scratch.join("store").display());
    does(
        scratch,
        &["run", "--user", "root", "--map", "auto", "--cap-add", "chown", "--bind-rw", &bind, "sh", "-c", script],
    );
    assert!(fs::remove_dir_all(scratch.join("store/draft")).is_err(), "it is another id's");
}

fn dead(store: &Path) -> usize {
    let names = fs::read_dir(store).expect("it is there").map(|item| item.expect("it can be listed").file_name());
    names.filter(|name| name.to_string_lossy().starts_with("dead-")).count()
}

#[test]
fn what_a_killed_build_left_is_in_nobodys_way_and_removed() {
    let scratch = Scratch::new("ranges");
    if is_root() {
        // Root removes whatever there is.
        return;
    }
    if !has_ranges() {
        return skip("the caller has no ranges in /etc/subuid, or newuidmap is missing");
    }
    fs::create_dir(scratch.join("made")).expect("there is space");
    does(&scratch, &["root", "import", "made", "first"]);
    leave_draft(&scratch);
    does(&scratch, &["root", "import", "made", "second"]);
    let store = scratch.join("store");
    assert!(!store.join("draft").exists());
    assert_eq!(dead(&store), 1, "an import is not root of these ids");
    does(&scratch, &["root", "gc"]);
    assert_eq!(dead(&store), 0);
    leave_draft(&scratch);
    does(&scratch, &["root", "rm", "first"]);
    assert!(!store.join("draft").exists());
    does(&scratch, &["root", "verify"]);
}
