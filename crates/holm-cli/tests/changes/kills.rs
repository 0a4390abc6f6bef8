//! Killed at any moment, changes are there as a whole or not at all, and the next command goes on.

use super::Place;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;
use testkit::{much, random::Random};

/// Kills a command after a random time, or lets it end before; and waits until whoever works for it has ended: they have
/// its output, too.
fn kill(mut command: Command, random: &mut Random, most: u64) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    std::thread::sleep(Duration::from_micros(random.below(most as usize) as u64));
    let _ = child.kill();
    child.wait_with_output().expect("it is ours");
}

/// Waits until nobody writes the changes: an ordinary user's commands run in a namespace, which ends right after holm.
fn free(place: &Place) {
    super::patience::within(10, "nobody writes", || {
        let done = place.holm(&["apply", "--dry-run", "--force", "try"]).output().expect("it starts");
        !String::from_utf8_lossy(&done.stderr).contains("another command writes them")
    });
}

#[test]
fn a_killed_run_leaves_changes_that_are_whole() {
    let (place, mut random) = (Place::new("kill-run"), Random::new(4));
    let before = place.tree();
    for round in 0..much(20, 500) {
        kill(place.script("try", &[], &format!("echo {round} > new; rm -f one; sleep 1")), &mut random, 60_000);
        let listed = place.does(&["diff"]);
        if listed.contains("\ntry ") {
            let shown = place.does(&["diff", "try"]);
            assert!(shown.lines().all(|line| line.ends_with("/new") || line.ends_with("/one")), "{shown}");
        }
    }
    super::patience::within(10, "the last sandbox is over", || {
        place.script("try", &[], "echo last > new").status().is_ok_and(|status| status.success())
    });
    assert!(place.does(&["diff", "-p", "try"]).contains("+last"));
    assert_eq!(place.tree(), before);
}

#[test]
fn a_sandbox_whose_holm_was_killed_has_the_name_until_it_has_ended() {
    let place = Place::new("kill-late");
    for round in 0..much(5, 100) {
        // What writes until the very end.
        let script = "touch started; while :; do echo >> busy; done";
        let mut child = place.script("try", &[], script).spawn().expect("it starts");
        super::patience::within(10, "the program runs", || place.upper("started").exists());
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        super::patience::within(10, "the name is free", || {
            place.holm(&["apply", "--dry-run", "try"]).output().is_ok_and(|done| done.status.success())
        });
        let size = || std::fs::metadata(place.upper("busy")).map_or(0, |busy| busy.len());
        let before = size();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(size(), before, "round {round}: somebody still writes");
        place.does(&["drop", "try"]);
    }
}

#[test]
fn a_killed_apply_goes_on() {
    let (place, mut random) = (Place::new("kill-apply"), Random::new(5));
    let script = "for i in 1 2 3 4 5 6 7 8 9; do mkdir d$i; for j in a b c d e f; do echo $i > d$i/$j; done; done
        rm -r deep; echo inside > one";
    let seen = place.runs(&format!("{script}\n{}", super::VIEW));
    for _ in 0..much(10, 200) {
        kill(place.holm(&["apply", "try"]), &mut random, 40_000);
        free(&place);
        let one = fs::read_to_string(place.work("one")).expect("a file is there at any moment");
        assert!(one == "1\n" || one == "inside\n", "{one:?}");
    }
    place.does(&["apply", "--force", "try"]);
    assert_eq!(place.tree(), seen);
}

#[test]
fn a_killed_commit_or_drop_leaves_the_changes_or_nothing() {
    let (place, mut random) = (Place::new("kill-commit"), Random::new(6));
    for round in 0..much(8, 200) {
        let root = ["--root", "./work", "--bind", "/usr", "--bind", "/bin", "--bind", "/lib", "--bind", "/lib64"];
        let mut arguments = vec!["run", "--overlay=try"];
        arguments.extend(root);
        arguments.extend(["sh", "-c", "echo new > /new"]);
        place.does(&arguments);
        kill(place.holm(&["commit", "try", "--to", &format!("made{round}")]), &mut random, 40_000);
        free(&place);
        assert!(place.does(&["diff", "try"]).contains("/new"));
        assert!(!place.does(&["root", "verify"]).contains("differs"));
        kill(place.holm(&["drop", "try"]), &mut random, 20_000);
        free(&place);
        if place.does(&["diff"]).contains("\ntry ") {
            assert!(place.does(&["diff", "try"]).contains("/new"));
            place.does(&["drop", "try"]);
        }
    }
}
