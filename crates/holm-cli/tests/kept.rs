//! Namespaces that are kept: under names and paths, and what is refused to be covered by one. All need root.

#[expect(dead_code, reason = "nothing here is left running")]
mod patience;

use patience::output;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Command, Output};
use testkit::{Scratch, holm, run};

fn keep(wish: &str, program: &str) -> Output {
    output(run().args(["--keep", wish, "--hostname", "kept", program]))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a script in a mount namespace with mounts that propagate like this.
fn among_mounts(propagation: &str, script: &str) -> Output {
    let script = script.replace("holm run", &format!("{} run", holm().display()));
    // On one processor: Linux 6.18 tells which of two mount namespaces is the older by numbers that each takes from a
    // supply of its own, and so may refuse to keep one.
    let status = fs::read_to_string("/proc/self/status").expect("/proc is there");
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("the kernel tells");
    let first = allowed.trim().split([',', '-']).next().expect("there is one");
    let unshare = ["-c", first, "unshare", "--mount", "--propagation", propagation, "sh", "-e", "-c", &script];
    output(Command::new("taskset").args(unshare))
}

#[test]
fn a_name_needs_no_directory_beforehand() {
    if !testkit::is_root() {
        return;
    }
    // On a /run of its own, for a test leaves nothing.
    let script = "mount -t tmpfs -o mode=755 tmpfs /run; umask 077
        holm run --keep uts=blue --hostname kept true; stat -c %a /run/holm /run/holm/ns /run/holm/ns/uts
        holm run --join uts=blue hostname; holm run --keep uts=green true; ls /run/holm/ns/uts";
    let done = among_mounts("private", script);
    assert_eq!(text(&done.stdout), "755\n755\n755\nkept\nblue\ngreen\n", "{}", text(&done.stderr));
}

#[test]
fn what_is_not_an_empty_file_of_the_callers_is_not_covered() {
    if !testkit::is_root() {
        return;
    }
    let scratch = Scratch::new("covered");
    fs::write(scratch.join("full"), "text").expect("scratch is ours");
    fs::write(scratch.join("target"), "").expect("scratch is ours");
    fs::write(scratch.join("foreign"), "").expect("scratch is ours");
    std::os::unix::fs::chown(scratch.join("foreign"), Some(1), None).expect("we are root");
    symlink("target", scratch.join("link")).expect("scratch is ours");
    fs::create_dir(scratch.join("directory")).expect("scratch is ours");
    let cases = [
        ("full", "only an empty file of the caller's own"),
        ("foreign", "only an empty file of the caller's own"),
        ("directory", "only an empty file of the caller's own"),
        ("link", "a symbolic link stands there"),
        ("nowhere/x", "its directory does not exist"),
    ];
    for (name, hint) in cases {
        let done = keep(&format!("uts={}", scratch.join(name).display()), "true");
        let said = text(&done.stderr);
        assert!(done.status.code() == Some(125) && said.contains(hint), "{name}: {said}");
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc is there");
    assert!(!mounts.contains(scratch.path().to_str().expect("it has a plain name")), "{mounts}");
    assert_eq!(fs::read_to_string(scratch.join("full")).expect("it is there"), "text");
}

#[test]
fn an_empty_file_is_covered_and_stays_if_the_start_fails() {
    if !testkit::is_root() {
        return;
    }
    let scratch = Scratch::new("empty");
    let path = scratch.join("empty");
    fs::write(&path, "").expect("scratch is ours");
    let wish = format!("uts={}", path.display());
    let inode = |path: &Path| fs::metadata(path).expect("it is there").ino();
    let before = inode(&path);
    assert_eq!(keep(&wish, "no-such-program").status.code(), Some(127));
    assert_eq!(inode(&path), before);
    assert_eq!(keep(&wish, "true").status.code(), Some(0));
    let again = text(&keep(&wish, "true").stderr);
    let unmounted = Command::new("umount").arg(&path).status();
    assert!(again.contains("a namespace is kept there already"), "{again}");
    assert!(unmounted.expect("umount is there").success());
}

#[test]
fn a_mount_namespace_is_kept_where_no_other_namespace_gets_a_copy() {
    if !testkit::is_root() {
        return;
    }
    let scratch = Scratch::new("mnt");
    // The namespace beside gets a copy of every mount made in this one.
    let script = format!(
        "cd {}; mkfifo on; mkdir d; mount -t tmpfs tmpfs d; mount --make-shared d
        unshare --mount --propagation slave sh -c 'echo >on; exec sleep 60' & read -r line <on; trap 'kill '$! EXIT
        holm run --keep mnt=./d/kept true && exit 9
        mount --bind d d; mount --make-private d
        holm run --keep mnt=./d/kept true; holm run --join mnt=./d/kept ls -d /usr",
        scratch.path().display()
    );
    let done = among_mounts("shared", &script);
    let said = text(&done.stderr);
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), "/usr\n".to_owned()), "{said}");
    assert!(said.contains("hint: a mnt namespace can be kept only by an older one"), "{said}");
}
