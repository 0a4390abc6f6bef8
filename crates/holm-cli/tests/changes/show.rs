//! `holm diff`, and the names of changes.

use super::{Place, output, told};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use testkit::Scratch;

#[test]
fn each_kind_of_change_is_shown_and_nothing_else() {
    let place = Place::new("kinds");
    let before = place.tree();
    place.runs(
        "echo 1 > aside; mv aside one; chmod 600 two; rm -r deep; mkdir deep; echo 3 > deep/three; echo 4 > deep/four
        ln -sf two link; mkdir new; echo 5 > new/five; mkfifo fifo; touch -d 2001-01-01 one",
    );
    assert_eq!(place.tree(), before, "the host's tree has changed");
    let expected = ["added    deep/four", "added    fifo: a FIFO", "changed  link: a link to two", "added    new/"];
    let rest = ["added    new/five", "changed  two: mode 644 to 600"];
    assert_eq!(place.diff(), [&expected[..], &rest[..]].concat());
}

#[test]
fn kinds_that_change_are_named_and_removed_directories_are_one_line() {
    let place = Place::new("types");
    place.runs("rm one; mkdir one; echo x > one/x; rm -r deep; echo file > deep; rm link two");
    let expected = [
        "changed  deep: a file instead of a directory",
        "deleted  link",
        "changed  one/: a directory instead of a file",
        "added    one/x",
        "deleted  two",
    ];
    assert_eq!(place.diff(), expected);
}

#[test]
fn a_directory_made_anew_hides_what_it_held() {
    let place = Place::new("opaque");
    fs::create_dir(place.work("deep/lower")).expect("scratch is ours");
    place.runs("rm -r deep; mkdir deep; echo new > deep/new");
    assert_eq!(place.diff(), ["deleted  deep/lower/", "added    deep/new", "deleted  deep/three"]);
}

#[test]
fn text_that_changed_is_shown_line_by_line_and_other_files_are_not() {
    let place = Place::new("patch");
    place.runs("echo 11 >> one; head -c 100 /dev/zero > zeros; rm two");
    let shown = place.does(&["diff", "-p", "try"]);
    let one = place.work("one").display().to_string();
    assert!(shown.contains(&format!("--- a{one}\n+++ b{one}\n@@ -1 +1,2 @@\n 1\n+11\n")), "{shown}");
    assert!(shown.contains("+++ /dev/null\n@@ -1 +0,0 @@\n-2\n"), "{shown}");
    assert!(shown.contains("zeros\n  it isn't text\n"), "{shown}");
}

#[test]
fn paths_restrict_what_is_shown() {
    let place = Place::new("paths");
    place.runs("echo > deep/new; echo > new; echo > /etc/new");
    let deep = place.work("deep/new").display().to_string();
    assert_eq!(place.does(&["diff", "try", "work/deep"]), format!("added    {deep}\n"));
    assert_eq!(place.does(&["diff", "try", "/etc"]), "added    /etc/new\n");
    assert_eq!(place.does(&["diff", "try", "work/../work/one"]), "");
}

#[test]
fn names_with_control_characters_are_escaped_and_json_loses_no_byte() {
    let place = Place::new("names");
    place.runs("touch \"$(printf 'a\\033[31m\\377\\nb')\"");
    assert_eq!(place.diff(), ["added    a\\u{1b}[31m\\xff\\nb"]);
    let json = place.does(&["diff", "--json", "try"]);
    assert!(json.contains(r#"a\\x1b[31m\\xff\\x0ab""#) && json.contains(r#""change": "added""#), "{json}");
    let (patch, escape) = (place.does(&["diff", "-p", "try"]), char::from(0x1b));
    assert!(!patch.contains(escape), "{patch}");
}

#[test]
fn changes_of_the_root_are_shown_and_go_on_in_the_next_run() {
    let place = Place::new("root");
    place.runs("echo tool > /usr/tool; echo more >> /etc/hosts; rm /etc/passwd; mkdir /srv; touch /usr/share || :");
    let shown = place.diff();
    let expected = ["changed  /etc/hosts: content", "deleted  /etc/passwd", "added    /srv/", "added    /usr/tool"];
    assert_eq!(shown, expected);
    assert_eq!(place.runs("cat /usr/tool; ls -d /srv; test ! -e /etc/passwd"), "tool\n/srv\n");
    assert_eq!(place.diff(), shown);
}

#[test]
fn a_name_that_is_a_directory_or_has_a_slash_is_a_directory() {
    let place = Place::new("directory");
    fs::create_dir(place.join("kept")).expect("scratch is ours");
    place.does(&["run", "--overlay=kept", "touch", "/usr/new"]);
    assert!(place.join("kept/usr-upper/new").exists());
    place.does(&["run", "--overlay=changes:kept", "touch", "/usr/named"]);
    assert_eq!(place.does(&["diff", "kept"]), "added    /usr/named\n");
    place.fails(&["run", "--overlay=./no", "true"], "cannot keep changes in ./no");
    place.fails(&["run", "--overlay=a b", "true"], "cannot use the name \"a b\"");
    place.fails(&["diff", "kepd"], "did you mean kept?");
    place.fails(&["drop", "../kept"], "cannot find changes ../kept");
}

#[test]
fn what_no_program_ran_for_leaves_no_changes() {
    let place = Place::new("none");
    let explained = place.does(&["run", "--explain", "--overlay=try", "--bind", "work", "true"]);
    assert!(explained.contains("mount an overlay on ") && explained.contains("of work, changes kept"), "{explained}");
    place.fails(&["run", "--overlay=try", "--bind", "nowhere", "true"], "cannot bind nowhere");
    let missing = output(&mut place.holm(&["run", "--overlay=try", "no-such-program"]));
    told(&missing, 127);
    let kept = fs::read_dir(place.join("store/changes")).expect("it was made").count();
    assert_eq!((kept, place.does(&["diff"]).lines().count()), (0, 1));
}

#[test]
fn to_explain_makes_and_locks_nothing() {
    let place = Place::new("explain");
    let explain = ["run", "--explain=sh", "--overlay=try", "--bind", "work", "true"];
    let first = place.does(&explain);
    assert!(first.contains("store/changes/try/1-upper") && first.contains("no lock is held"));
    assert!(!place.join("store").exists(), "the store was made");
    place.does(&["run", "--overlay=try", "true"]);
    let names = || {
        let all = fs::read_dir(place.join("store/changes/try")).expect("a program ran").flatten();
        all.map(|item| item.file_name()).collect::<std::collections::BTreeSet<_>>()
    };
    let before = names();
    let lock = fs::File::open(place.join("store/changes/try/lock")).expect("it was made");
    lock.lock().expect("nobody has it");
    assert!(place.does(&explain).contains("store/changes/try/1-upper"), "a locked one");
    assert_eq!(names(), before);
    place.fails(&["run", "--explain", "--root", "work", "--overlay=try", "true"], "they are of another root");
}

#[test]
fn changes_are_of_one_root() {
    let place = Place::new("other");
    place.runs("true");
    place.fails(
        &["run", "--root", "work", "--overlay=try", "true"],
        "cannot go on with changes try: they are of another root",
    );
    fs::rename(place.work(""), place.join("away")).expect("scratch is ours");
    fs::create_dir(place.work("")).expect("scratch is ours");
    place.fails(&["diff", "try"], "it is another directory");
    place.fails(&["run", "--overlay=try", "--bind", "work", "true"], "it is another directory");
    place.does(&["drop", "try"]);
    assert_eq!(place.does(&["diff"]).lines().count(), 1);
}

#[test]
fn what_can_not_be_copied_is_not_bound() {
    let place = Place::new("refused");
    place.fails(&["run", "--overlay=try", "--bind", ".", "true"], "the store, where its changes go, is in it");
    place.fails(&["run", "--overlay=try", "--bind-rw", "work/one:/one", "true"], "only directories have changes");
    place.fails(&["run", "--overlay=try", "--bind", "work", "--bind", "work:/w", "true"], "it is bound twice");
    let shown = place.does(&["run", "--overlay=try", "--bind", "work/one:/one", "cat", "/one"]);
    assert_eq!(shown, "1\n");
}

#[test]
fn a_damaged_file_is_named_and_can_be_dropped() {
    let place = Place::new("damaged");
    place.runs("true");
    let about = place.join("store/changes/try/about.json");
    fs::write(&about, "{").expect("it is ours");
    place.fails(&["diff", "try"], "hint: holm drop try removes the changes");
    place.fails(&["run", "--overlay=try", "true"], "about.json");
    fs::write(&about, fs::read(&about).map(|_| "").expect("it is ours")).expect("it is ours");
    place.does(&["drop", "try"]);
}

#[test]
fn the_store_of_changes_is_the_callers_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new("mode");
    place.runs("true");
    for path in ["store", "store/changes", "store/changes/try"] {
        let mode = fs::metadata(place.join(path)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{path}");
    }
}

#[test]
fn a_path_with_any_bytes_can_be_bound() {
    let place = Place::new("bytes");
    let other = Scratch::new("changes-odd");
    let path = other.join(std::ffi::OsStr::from_bytes(b"odd \\ \xff\n"));
    fs::create_dir(&path).expect("scratch is ours");
    let mut run = place.holm(&["run", "--overlay=try", "--bind"]);
    let mut bind = path.clone().into_os_string();
    bind.push(":/odd");
    told(&output(run.arg(bind).args(["touch", "/odd/new"])), 0);
    assert_eq!(place.does(&["diff", "try"]), "added    /odd/new\n");
    place.does(&["apply", "try"]);
    assert!(path.join("new").exists());
}
