//! Flaws that other tools had, tried on holm: docs/concepts/past-flaws.md says which. Run as root and as an ordinary user.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use testkit::{Scratch, holm};

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

/// A root directory with the host's programs in it, to be run with `--bind /usr`.
fn root(scratch: &Scratch) -> PathBuf {
    let root = scratch.join("root");
    for name in ["usr", "proc", "dev", "tmp"] {
        fs::create_dir_all(root.join(name)).expect("scratch is ours");
    }
    for name in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), root.join(name)).expect("scratch is ours");
    }
    root
}

#[test]
fn no_descriptor_leads_the_working_directory_out_of_the_root() {
    let scratch = Scratch::new("leaked");
    let root = root(&scratch);
    let secret = scratch.join("secret");
    fs::create_dir(&secret).expect("scratch is ours");
    // Open in the caller, as a shell or a service manager leaves descriptors open.
    let with_descriptors = format!("exec 5<{0} 6</ 7<{0}; exec \"$@\"", secret.display());
    for number in 3..40 {
        let link = format!("/proc/self/fd/{number}");
        let name = format!("w{number}");
        symlink(&link, root.join(&name)).expect("scratch is ours");
        let by_link = format!("/{name}");
        let ways: [Vec<&str>; 2] = [
            vec!["--chdir", &link],
            vec!["--root", root.to_str().expect("it has a plain name"), "--bind", "/usr", "--chdir", &by_link],
        ];
        for options in ways {
            let mut command = Command::new("bash");
            command.args(["-c", &with_descriptors, "-", &holm().to_string_lossy(), "run"]).args(&options).arg("true");
            let done = output(&mut command);
            assert_eq!(done.status.code(), Some(125), "{options:?}");
            assert!(text(&done.stderr).contains("cannot change directory"), "{}", text(&done.stderr));
        }
    }
    // The directory of the caller, which is tried unasked, is such a link inside.
    let place = scratch.path().strip_prefix("/").expect("it is absolute");
    fs::create_dir_all(root.join(place).parent().expect("it has one")).expect("scratch is ours");
    symlink("/proc/self/fd/5", root.join(place)).expect("scratch is ours");
    let mut command = Command::new("bash");
    command.current_dir(scratch.path()).args(["-c", &with_descriptors, "-", &holm().to_string_lossy(), "run"]);
    let done = output(command.args(["--root"]).arg(&root).args(["--bind", "/usr", "pwd"]));
    assert_eq!((text(&done.stdout).as_str(), done.status.code()), ("/", Some(0)), "{}", text(&done.stderr));
}
