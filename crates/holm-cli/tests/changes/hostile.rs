//! Programs that want to be shown wrong, to write outside, or not to be removed.

use super::{Place, output, told};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};
use std::fs;
use std::os::unix::fs::MetadataExt;
use testkit::is_root;

const HELPER: &str = "HOLM_TEST_ATTRIBUTES";

/// No test: what `attributes_named_as_overlayfs_marks_fool_nobody` runs inside.
#[test]
fn helper_that_sets_attributes() {
    if std::env::var_os(HELPER).is_none() {
        return;
    }
    for (path, name, value) in [
        ("deep", "opaque", "y"),
        ("deep", "redirect", "/etc"),
        ("empty", "whiteout", ""),
        ("one", "metacopy", ""),
        ("one", "redirect", "/two"),
    ] {
        // Kernels before 6.7 refuse it, later ones give it another name on disk.
        let _ = setxattr(path, format!("user.overlay.{name}"), value.as_bytes(), XattrFlags::empty());
        let _ = setxattr(path, format!("trusted.overlay.{name}"), value.as_bytes(), XattrFlags::empty());
    }
}

#[test]
fn attributes_named_as_overlayfs_marks_fool_nobody() {
    let place = Place::new("attributes");
    let own = std::env::current_exe().expect("it has a path");
    let own = own.display().to_string();
    let script = format!(
        "echo new > deep/new; : > empty; echo more >> one; {HELPER}=1 {own} --exact hostile::helper_that_sets_attributes"
    );
    told(&output(&mut place.script("try", &["--bind", &own], &script)), 0);
    assert_eq!(place.diff(), ["added    deep/new", "added    empty", "changed  one: content"]);
    place.does(&["apply", "try"]);
    let tree = place.tree();
    assert!(tree.contains("./deep/three") && tree.contains("./deep/new") && tree.contains("./empty"), "{tree}");
    assert_eq!(fs::read_to_string(place.work("one")).expect("it is there"), "1\nmore\n");
    let mut names = vec![0; 4096];
    let length = rustix::fs::listxattr(place.work("deep"), names.as_mut_slice()).expect("it is ours");
    assert!(!String::from_utf8_lossy(&names[..length]).contains("overlay"));
}

#[test]
fn whiteouts_and_marks_of_the_kernel_are_read_as_attributes_too() {
    let place = Place::new("marks");
    place.runs("echo > deep/new; echo > two");
    let mark = |path: &str, name: &str, value: &str| {
        setxattr(place.upper(path), format!("user.overlay.{name}"), value.as_bytes(), XattrFlags::empty())
            .expect("the file system has attributes");
    };
    fs::write(place.upper("one"), "").expect("it is ours");
    mark("one", "whiteout", "");
    mark("deep", "opaque", "y");
    let expected = ["added    deep/new", "deleted  deep/three", "deleted  one", "changed  two: content"];
    assert_eq!(place.diff(), expected);
    mark("deep", "opaque", "x");
    assert_eq!(place.diff().len(), 3, "x is no mark of an opaque directory");
}

#[test]
fn the_marks_of_an_overlay_without_a_user_namespace_are_others() {
    if !is_root() {
        return;
    }
    let place = Place::new("trusted");
    let run = |script: &str| {
        let done = output(&mut place.script("try", &["--share", "user"], script));
        told(&done, 0);
    };
    run("rm one; rm -r deep; mkdir deep; echo 4 > deep/four; chmod 600 two");
    let expected = ["added    deep/four", "deleted  deep/three", "deleted  one", "changed  two: mode 644 to 600"];
    assert_eq!(place.diff(), expected);
    // What a program without a user namespace may set is no mark there.
    setxattr(place.upper("deep"), "user.overlay.opaque", b"y", XattrFlags::empty()).expect("it is ours");
    assert_eq!(place.diff().len(), 4);
    place.fails(&["run", "--overlay=try", "--bind", "work", "true"], "they were made with other ids");
}

#[test]
fn a_renamed_directory_and_a_copy_of_metadata_alone_are_what_they_were_made_of() {
    if !is_root() {
        return;
    }
    let place = Place::new("renamed");
    let done = output(&mut place.script("try", &["--share", "user"], "chmod 600 two; mkdir moved; touch moved/new"));
    told(&done, 0);
    let trusted = |path: &str, name: &str, value: &[u8]| {
        setxattr(place.upper(path), format!("trusted.overlay.{name}"), value, XattrFlags::empty()).expect("it is ours");
    };
    // As overlayfs leaves it with redirect_dir=on and metacopy=on.
    trusted("moved", "redirect", b"deep");
    mknodat(CWD, place.upper("deep"), FileType::CharacterDevice, Mode::empty(), 0).expect("root may");
    fs::write(place.upper("two"), [0, 0]).expect("it is ours");
    trusted("two", "metacopy", b"");
    let from = format!("renamed  moved/: from {}", place.work("deep").display());
    let expected = ["deleted  deep/", &from, "added    moved/new", "changed  two: mode 644 to 600"];
    assert_eq!(place.diff(), expected);
    place.does(&["apply", "try"]);
    assert_eq!(fs::read_to_string(place.work("moved/three")).expect("it is there"), "3\n");
    assert_eq!(fs::read_to_string(place.work("two")).expect("it is there"), "2\n");
    assert!(!place.work("deep").exists() && place.work("moved/new").exists());
    // A mark that leads out leads nowhere.
    trusted("moved", "redirect", b"/../outside");
    fs::create_dir(place.join("outside")).expect("scratch is ours");
    fs::write(place.join("outside/secret"), "secret").expect("scratch is ours");
    assert!(!place.does(&["diff", "-p", "try"]).contains("secret"));
}

#[test]
fn trees_without_modes_and_deeper_than_any_path_can_be_dropped() {
    let place = Place::new("deep");
    let name = "n".repeat(255);
    place.runs(&format!(
        "mkdir -p locked/in; touch locked/in/x; chmod 0 locked/in/x locked/in locked; touch {name}
        i=0; while [ $i -lt 40 ]; do mkdir {name}{name} 2>/dev/null || mkdir d$i; mkdir -p {name}d 2>/dev/null || :; i=$((i+1)); done"
    ));
    assert!(place.diff().contains(&format!("added    {name}")));
    let long = "l".repeat(200);
    place.runs(&format!("i=0; while [ $i -lt 60 ]; do mkdir {long}; cd {long} || exit 0; i=$((i+1)); done"));
    place.fails(&["diff", "try"], "file name too long");
    place.does(&["drop", "try"]);
    assert!(!place.join("store/changes/try").exists());
}

#[test]
fn a_file_that_can_not_be_read_is_read_by_its_owner() {
    let place = Place::new("unread");
    place.runs("echo secret > closed; chmod 0 closed; mkdir dark; echo x > dark/x; chmod 0 dark");
    let shown = place.does(&["diff", "-p", "try"]);
    assert!(shown.contains("+secret") && shown.contains("dark/x"), "{shown}");
    place.does(&["apply", "try"]);
    assert_eq!(fs::metadata(place.work("closed")).expect("it is there").mode() & 0o777, 0);
}

#[test]
fn nobody_uses_a_name_twice_at_once() {
    let place = Place::new("twice");
    let mut first = place.script("try", &[], "touch started; sleep 30").spawn().expect("it starts");
    super::patience::within(10, "the program runs", || place.upper("started").exists());
    place.fails(&["run", "--overlay=try", "true"], "cannot use changes try");
    for arguments in [&["apply", "try"][..], &["commit", "try"], &["drop", "try"]] {
        place.fails(arguments, "cannot use changes try");
    }
    assert_eq!(place.diff(), ["added    started"], "who only looks may");
    first.kill().expect("it is ours");
    first.wait().expect("it is ours");
}

#[test]
fn a_swapped_layer_is_not_followed() {
    let place = Place::new("swapped");
    place.runs("mkdir new; echo x > new/x");
    let secret = place.join("secret");
    fs::create_dir(&secret).expect("scratch is ours");
    fs::write(secret.join("x"), "secret\n").expect("scratch is ours");
    fs::remove_dir_all(place.upper("new")).expect("it is ours");
    std::os::unix::fs::symlink(&secret, place.upper("new")).expect("it is ours");
    let shown = place.does(&["diff", "-p", "try"]);
    assert!(!shown.contains("+secret") && shown.contains("new: a link to "), "{shown}");
}

#[test]
fn deep_directories_are_shown_on_a_small_stack() {
    let place = Place::new("deepest");
    place.runs("mkdir d");
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
    let mut here = rustix::fs::open(place.upper("d"), flags, Mode::empty()).expect("it is ours");
    for _ in 1..800 {
        rustix::fs::mkdirat(&here, "d", Mode::from_raw_mode(0o755)).expect("it is ours");
        here = rustix::fs::openat(&here, "d", flags, Mode::empty()).expect("it is ours");
    }
    let diff = place.holm(&["diff", "try"]);
    let mut small = std::process::Command::new("sh");
    small.args(["-c", "ulimit -s 2048; exec \"$@\"", "sh"]).arg(diff.get_program()).args(diff.get_args());
    let done = output(small.env("HOLM_STORE", place.0.path()));
    assert_eq!(told(&done, 0).lines().count(), 800);
    place.does(&["drop", "try"]);
    assert!(!place.upper("d").exists());
}

#[test]
fn a_root_directory_that_was_replaced_is_not_gone_on_with() {
    let place = Place::new("replaced");
    fs::create_dir(place.join("base")).expect("scratch is ours");
    let run = [
        "run",
        "--root",
        "./base",
        "--overlay=try",
        "--bind",
        "/usr",
        "--bind",
        "/bin",
        "--bind",
        "/lib",
        "--bind",
        "/lib64",
        "sh",
        "-c",
        "echo > /new",
    ];
    place.does(&run);
    place.does(&run);
    fs::rename(place.join("base"), place.join("old")).expect("scratch is ours");
    fs::create_dir(place.join("base")).expect("scratch is ours");
    place.fails(&run, "it is another directory than the changes are of");
    place.fails(&["diff", "try"], "it is another directory than the changes are of");
}
