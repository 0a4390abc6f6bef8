//! `holm commit`, and the roots that changes are of.

use super::Place;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// What a root of nothing needs to run the host's programs.
const PROGRAMS: [&str; 8] = ["--bind", "/usr", "--bind", "/bin", "--bind", "/lib", "--bind", "/lib64"];

impl Place {
    fn in_root(&self, root: &str, script: &str) -> String {
        let mut arguments = vec!["run", "--root", root, "--overlay=try"];
        arguments.extend(PROGRAMS);
        arguments.extend(["sh", "-ec", script]);
        self.does(&arguments)
    }
}

#[test]
fn a_root_and_its_changes_become_a_root() {
    let place = Place::new("commit");
    fs::set_permissions(place.work("two"), PermissionsExt::from_mode(0o4755)).expect("it is ours");
    fs::hard_link(place.work("one"), place.work("same")).expect("scratch is ours");
    place.does(&["root", "import", "work", "base"]);
    place.in_root("base", "cd /; echo new > new; ln new other; rm one; rm -r deep; mkdir deep; echo 4 > deep/four");
    let id = place.does(&["commit", "try", "--to", "made"]).split(' ').nth(1).expect("it has an id").to_owned();
    // The same by hand.
    fs::write(place.work("new"), "new\n").expect("scratch is ours");
    fs::hard_link(place.work("new"), place.work("other")).expect("scratch is ours");
    fs::remove_file(place.work("one")).expect("scratch is ours");
    fs::remove_dir_all(place.work("deep")).expect("scratch is ours");
    fs::create_dir(place.work("deep")).expect("scratch is ours");
    fs::write(place.work("deep/four"), "4\n").expect("scratch is ours");
    let by_hand = place.does(&["root", "import", "work", "hand"]).split(' ').nth(1).expect("it has an id").to_owned();
    assert_eq!(id.lines().next(), by_hand.lines().next());
    assert!(place.does(&["root", "verify", "made"]).contains("as stored"));
    place.fails(&["commit", "try", "--to", "base"], "cannot store base: another root has this name");
}

#[test]
fn a_stored_root_stays_while_changes_are_of_it() {
    let place = Place::new("base");
    place.does(&["root", "import", "work", "base"]);
    place.in_root("base", "echo new > /new");
    place.does(&["root", "rm", "base"]);
    place.does(&["root", "gc"]);
    assert!(place.does(&["diff", "try"]).contains("added    /new"));
    place.does(&["commit", "try", "--to", "made"]);
    place.does(&["drop", "try"]);
    assert!(place.does(&["root", "gc"]).starts_with("removed 1 roots"));
}

#[test]
fn a_directory_and_its_changes_become_a_root_and_it_stays_as_it_was() {
    let place = Place::new("directory-root");
    let before = place.tree();
    place.in_root("./work", "echo new > /new; rm /two");
    assert!(place.does(&["commit", "try"]).contains("bound directories are no part of it"));
    assert_eq!(place.tree(), before);
    let (shown, path) = (place.does(&["root", "export", "try", "try.tar"]), place.join("try.tar"));
    let listed = std::process::Command::new("tar").arg("tf").arg(path).output().expect("tar is there");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(shown.is_empty() && listed.contains("new\n") && !listed.contains("two\n"), "{listed}");
}

#[test]
fn no_root_is_made_of_the_hosts() {
    let place = Place::new("host");
    place.runs("echo x > /etc/x");
    place.fails(&["commit", "try"], "cannot commit try: its root is the host's programs");
    place.does(&["run", "--root", "bins:sh", "--overlay=bins", "sh", "-c", "echo > /new"]);
    place.fails(&["commit", "bins"], "cannot commit bins");
    assert_eq!(place.does(&["diff", "bins"]), "added    /new\n");
}
