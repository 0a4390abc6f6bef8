//! Files that belong to an ordinary user's subordinate ids.

use super::{Place, output, told};
use std::fs;
use std::os::unix::fs::MetadataExt;
use testkit::{has_ranges, is_root, skip};

#[test]
fn files_of_subordinate_ids_are_shown_applied_and_dropped() {
    if is_root() {
        return;
    }
    if !has_ranges() {
        return skip("the caller has no ranges in /etc/subuid, or newuidmap is missing");
    }
    let place = Place::new("ranges");
    let options = ["--map", "auto", "--user", "root", "--cap-add", "CHOWN,DAC_OVERRIDE,FOWNER"];
    let script =
        "echo theirs > file; chmod 0 file; chown 5:5 file; mkdir dir; echo x > dir/x; chmod 0 dir; chown 6:6 dir";
    told(&output(&mut place.script("try", &options, script)), 0);
    let us = rustix::process::geteuid().as_raw();
    assert_ne!(fs::symlink_metadata(place.upper("file")).expect("it is there").uid(), us);
    let shown = place.does(&["diff", "-p", "try"]);
    assert!(shown.contains("+theirs") && shown.contains("dir/x"), "{shown}");
    place.does(&["apply", "try"]);
    let file = fs::metadata(place.work("file")).expect("it is there");
    assert_eq!((file.uid(), file.mode() & 0o777), (us, 0));
    place.does(&["drop", "try"]);
    assert!(!place.join("store/changes/try").exists());
}
