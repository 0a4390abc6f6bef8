//! `holm apply`.

use super::{Place, VIEW, output, told};
use rustix::fs::{FileType, Mode, XattrFlags};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;
use testkit::is_root;

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
    let outside = place.join("outside");
    fs::create_dir(&outside).expect("scratch is ours");
    fs::write(outside.join("three"), "outside\n").expect("scratch is ours");
    // The sandbox's link, with what it wrote there before.
    place.runs("mkdir new; echo x > new/x; echo inside > deep/three; echo gone > deep/new");
    // The host's, made since.
    fs::rename(place.work("deep"), place.join("away")).expect("scratch is ours");
    symlink(&outside, place.work("deep")).expect("scratch is ours");
    place.fails(&["apply", "--force", "try"], "deep");
    assert_eq!(fs::read_to_string(outside.join("three")).expect("it is there"), "outside\n");
    assert_eq!(fs::read_dir(&outside).expect("it is there").count(), 1);
    fs::remove_file(place.work("deep")).expect("scratch is ours");
    fs::rename(place.join("away"), place.work("deep")).expect("scratch is ours");
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

#[test]
fn nothing_is_written_to_another_file_system_and_what_was_written_before_is_told() {
    if !is_root() {
        return;
    }
    let place = Place::new("other");
    place.runs("mkdir a; chmod 750 a; echo 1 > a/one; echo inside > deep/three; echo z > zz");
    let apply = place.holm(&["apply", "--force", "try"]);
    let words = std::iter::once(apply.get_program()).chain(apply.get_args());
    let script = "mount -t tmpfs none work/deep; echo other > work/deep/three; \"$@\"; echo ended $?; ls work/deep; cat work/deep/three";
    let mut inside = Command::new("unshare");
    inside.args(["--mount", "sh", "-c", script, "sh"]).args(words);
    inside.env("HOLM_STORE", place.0.path()).current_dir(place.join("."));
    let done = output(&mut inside);
    let text = told(&done, 0);
    assert!(text.contains("ended 125\nthree\nother\n"), "{text}");
    assert!(text.contains("work/a\n") && text.contains("work/a/one\n") && !text.contains("zz\n"), "{text}");
    let said = super::stores::said(&done);
    assert!(
        said.contains("deep/three") && said.contains("hint: what is listed was written, the rest was not"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(place.work("deep/three")).expect("it is there"), "3\n");
    // What was written is none of the host's own changes.
    place.does(&["apply", "try"]);
    assert_eq!(fs::read_to_string(place.work("deep/three")).expect("it is there"), "inside\n");
    assert!(place.work("zz").exists());
    assert_eq!(fs::metadata(place.work("a")).expect("it was made").mode() & 0o777, 0o750);
}

#[test]
fn neither_devices_nor_capabilities_come_out() {
    if !is_root() {
        return;
    }
    let place = Place::new("rights");
    place.runs("echo x > able; echo y > with");
    // Both made by whom the sandbox could not be: the layer is what counts.
    let null = rustix::fs::makedev(1, 3);
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        place.upper("null"),
        FileType::CharacterDevice,
        Mode::from_raw_mode(0o666),
        null,
    );
    made.expect("root may");
    let capability = [&0x0200_0000_u32.to_le_bytes()[..], &(1_u32 << 13).to_le_bytes(), &[0; 12]].concat();
    for (name, value) in [("security.capability", capability.as_slice()), ("user.note", b"kept")] {
        rustix::fs::setxattr(place.upper("able"), name, value, XattrFlags::empty()).expect("root may");
    }
    let text = place.does(&["apply", "try"]);
    assert!(text.contains("null: only files, directories and links come out"), "{text}");
    assert!(!place.work("null").exists());
    let mut names = vec![0; 4096];
    let length = rustix::fs::listxattr(place.work("able"), names.as_mut_slice()).expect("it is there");
    assert_eq!(String::from_utf8_lossy(&names[..length]), "user.note\0");
}
