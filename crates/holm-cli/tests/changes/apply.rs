//! `holm apply`.

use super::{Place, VIEW, output, told};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

#[test]
fn once_applied_the_hosts_tree_is_the_one_the_sandbox_saw() {
    let place = Place::new("round");
    let script = "echo more >> one; rm two; mv deep depth; ln -sf nowhere link; mkdir -p a/b/c; echo x > a/b/c/x
        chmod 700 a/b; chmod 555 a/b/c; echo '#!/bin/sh' > run; chmod 755 run; rm -r depth; echo dir > deep";
    let seen = place.runs(&format!("{script}\n{VIEW}"));
    assert_ne!(place.tree(), seen);
    let planned = place.does(&["apply", "--dry-run", "try"]);
    assert_ne!(place.tree(), seen, "it was written");
    assert_eq!(place.does(&["apply", "try"]), planned);
    assert_eq!(place.tree(), seen);
    assert_eq!(place.diff(), [""; 0]);
    assert_eq!(place.does(&["apply", "try"]), "");
}

#[test]
fn chosen_paths_alone_are_applied_with_the_directories_they_need() {
    let place = Place::new("chosen");
    place.runs("mkdir -p a/b; echo x > a/b/x; echo y > a/y; echo more >> one");
    place.does(&["apply", "try", "work/a/b/x"]);
    assert!(place.work("a/b/x").exists() && !place.work("a/y").exists());
    assert_eq!(fs::read_to_string(place.work("one")).expect("it is there"), "1\n");
    place.fails(&["apply", "try", "work/two"], "nothing is changed there");
    place.fails(&["apply", "try", "/etc"], "nothing is changed there");
}

#[test]
fn changes_of_the_root_are_not_applied() {
    let place = Place::new("rest");
    place.runs("echo x > /etc/new");
    assert_eq!(place.does(&["apply", "try"]), "");
    place.fails(&["apply", "try", "/etc/new"], "it is in no bound directory");
}

#[test]
fn what_the_host_changed_since_is_refused_as_a_whole_and_forced() {
    let place = Place::new("clash");
    place.runs("echo inside > one; rm -r deep; rm two; echo n > new");
    fs::write(place.work("one"), "host\n").expect("scratch is ours");
    fs::write(place.work("deep/three"), "host\n").expect("scratch is ours");
    fs::write(place.work("new"), "host\n").expect("scratch is ours");
    let before = place.tree();
    let said = place.fails(&["apply", "try"], "one: the host changed it since the run began");
    assert!(said.contains("deep: the host changed it") && said.contains("new: the host changed it"), "{said}");
    assert_eq!(place.tree(), before, "a part was applied");
    place.does(&["apply", "try", "work/two"]);
    place.does(&["apply", "--force", "try"]);
    assert_eq!(fs::read_to_string(place.work("one")).expect("it is there"), "inside\n");
    assert!(!place.work("deep").exists() && !place.work("two").exists());
}

#[test]
fn a_change_right_after_the_start_is_seen_and_one_right_before_is_none() {
    let place = Place::new("tick");
    for round in 0..5 {
        fs::write(place.work("one"), format!("before {round}\n")).expect("scratch is ours");
        place.does(&[
            "run",
            "--overlay=try",
            "--bind",
            "work",
            "sh",
            "-c",
            "echo x >> \"$0\"",
            &place.work("one").display().to_string(),
        ]);
        place.does(&["apply", "--dry-run", "try"]);
        place.does(&["drop", "try"]);
    }
}

#[test]
fn what_was_applied_counts_as_seen_in_the_next_run() {
    let place = Place::new("again");
    place.runs("echo first > one; echo first > new");
    place.does(&["apply", "try"]);
    place.runs("echo second > one; rm new");
    place.does(&["apply", "try"]);
    assert_eq!(fs::read_to_string(place.work("one")).expect("it is there"), "second\n");
    assert!(!place.work("new").exists());
}

#[test]
fn nothing_but_files_directories_and_links_comes_out_without_rights() {
    let place = Place::new("bits");
    place.runs("echo x > set; chmod 6755 set; mkfifo fifo; chmod 4755 one; mkdir sticky; chmod 7777 sticky");
    let said = place.does(&["apply", "try"]);
    assert!(said.contains("set: without its set-user-id bits") && said.contains("fifo: only files"), "{said}");
    for (path, mode) in [("set", 0o755), ("one", 0o755), ("sticky", 0o777)] {
        assert_eq!(fs::metadata(place.work(path)).expect("it is there").mode() & 0o7777, mode, "{path}");
    }
    assert!(!place.work("fifo").exists());
}

#[test]
fn nothing_is_written_through_a_link() {
    let place = Place::new("links");
    let outside = place.0.join("outside");
    fs::create_dir(&outside).expect("scratch is ours");
    fs::write(outside.join("three"), "outside\n").expect("scratch is ours");
    // The sandbox's link, with what it wrote there before.
    place.runs("mkdir new; echo x > new/x; echo inside > deep/three; echo gone > deep/new");
    // The host's, made since.
    fs::rename(place.work("deep"), place.0.join("away")).expect("scratch is ours");
    symlink(&outside, place.work("deep")).expect("scratch is ours");
    place.fails(&["apply", "--force", "try"], "deep");
    assert_eq!(fs::read_to_string(outside.join("three")).expect("it is there"), "outside\n");
    assert_eq!(fs::read_dir(&outside).expect("it is there").count(), 1);
    fs::remove_file(place.work("deep")).expect("scratch is ours");
    fs::rename(place.0.join("away"), place.work("deep")).expect("scratch is ours");
    place.runs(&format!("rm -r new; ln -s {} new", outside.display()));
    place.does(&["apply", "try"]);
    assert_eq!(fs::read_link(place.work("new")).expect("it is a link"), outside);
    place.runs("rm new; mkdir new; echo again > new/three");
    place.does(&["apply", "try"]);
    assert_eq!(fs::read_to_string(outside.join("three")).expect("it is there"), "outside\n");
}

#[test]
fn a_file_as_large_as_no_disk_stays_a_hole() {
    let place = Place::new("hole");
    place.runs("truncate -s 8T large; printf x | dd of=large bs=1 seek=1T conv=notrunc status=none");
    place.does(&["apply", "try"]);
    let large = fs::metadata(place.work("large")).expect("it is there");
    assert_eq!(large.len(), 8 << 40);
    assert!(large.blocks() * 512 < 1 << 20, "{} blocks", large.blocks());
    assert_eq!(place.diff(), [""; 0]);
}

#[test]
fn what_a_killed_apply_left_aside_is_replaced() {
    let place = Place::new("aside");
    place.runs("echo inside > one; mkdir .holm-apply; echo x > .holm-apply/x");
    fs::create_dir_all(place.work(".holm-apply/gone/deep")).expect("scratch is ours");
    fs::write(place.work(".holm-apply/part"), "left").expect("scratch is ours");
    let said = place.does(&["apply", "try", "work/one"]);
    assert_eq!(fs::read_to_string(place.work("one")).expect("it is there"), "inside\n", "{said}");
    assert!(!place.work(".holm-apply").exists());
    assert!(place.does(&["apply", "try"]).contains("holm apply has this name for itself"));
    assert!(!place.work(".holm-apply").exists());
}

#[test]
fn a_bind_that_only_reads_is_a_copy_that_can_be_written() {
    let place = Place::new("bind");
    let script = format!("cd {} && echo x > new && cat one", place.work("").display());
    assert_eq!(place.does(&["run", "--overlay=try", "--bind", "work", "sh", "-ec", &script]), "1\n");
    assert_eq!(place.diff(), ["added    new"]);
    assert!(!place.work("new").exists());
    fs::set_permissions(place.work("one"), PermissionsExt::from_mode(0o600)).expect("it is ours");
    told(&output(&mut place.holm(&["apply", "try"])), 0);
}
