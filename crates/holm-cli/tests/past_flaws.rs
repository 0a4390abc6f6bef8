//! Flaws that other tools had, tried on holm: docs/concepts/past-flaws.md says which. Run as root and as an ordinary user.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use testkit::{Scratch, holm, is_root, run};

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

/// holm, with that root.
fn in_root(root: &Path) -> Command {
    let mut command = run();
    command.arg("--root").arg(root).args(["--bind", "/usr"]);
    command
}

/// What a script prints inside, both streams together.
fn told(options: &[&str], script: &str) -> String {
    let done = output(run().args(options).args(["sh", "-c", &format!("exec 2>&1; {script}")]));
    text(&[done.stdout, done.stderr].concat())
}

/// Puts a link to `target` where `path` is.
fn replace(path: &Path, target: impl AsRef<Path>) {
    let _ = fs::remove_dir_all(path);
    symlink(target, path).expect("scratch is ours");
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

#[test]
fn the_launchers_binary_is_neither_reached_nor_changed() {
    let before = fs::read(holm()).expect("it is there");
    let scratch = Scratch::new("binary");
    let root = root(&scratch);
    // What the root offers as a program is the process that starts it.
    symlink("/proc/self/exe", root.join("program")).expect("scratch is ours");
    symlink("/proc/1/exe", root.join("first")).expect("scratch is ours");
    for program in ["/program", "/first", "/proc/self/exe"] {
        let done = output(in_root(&root).args([program, "run", "true"]));
        // It is the init, a sealed file without a name, which knows no such arguments; or it can't be opened.
        assert_ne!(done.status.code(), Some(0), "{program}: {}", text(&done.stderr));
    }
    for options in [&[][..], &["--user", "root"], &["--seccomp", "none"]] {
        for name in ["exe", "root", "cwd", "fd/0"] {
            let said = told(options, &format!("readlink /proc/1/{name} || echo refused"));
            assert_eq!(said, "refused", "{options:?} {name}");
        }
        for name in ["mem", "environ", "maps", "auxv"] {
            let said = told(options, &format!("cat /proc/1/{name} >/dev/null 2>&1 && echo open || echo refused"));
            assert_eq!(said, "refused", "{options:?} {name}");
        }
    }
    assert!(fs::read(holm()).expect("it is there") == before);
}

#[test]
fn a_link_in_place_of_proc_dev_or_tmp_is_refused() {
    for name in ["proc", "dev", "tmp"] {
        for target in ["/usr", "../outside", "/proc/self/fd", "proc/self"] {
            let scratch = Scratch::new("link");
            let root = root(&scratch);
            fs::create_dir(scratch.join("outside")).expect("scratch is ours");
            replace(&root.join(name), target);
            let done = output(in_root(&root).arg("true"));
            assert_eq!(done.status.code(), Some(125), "{name} -> {target}");
            assert!(text(&done.stderr).contains(&format!("/{name}")), "{}", text(&done.stderr));
            assert_eq!(fs::read_dir(scratch.join("outside")).expect("it is there").count(), 0);
        }
    }
}

#[test]
fn devices_and_masks_are_the_hosts_whatever_the_root_holds() {
    let scratch = Scratch::new("devices");
    let root = root(&scratch);
    for (name, target) in [
        ("null", "/proc/sys/kernel/core_pattern"),
        ("console", "/proc/sysrq-trigger"),
        ("pts", "/proc/sys"),
        ("ptmx", "/proc/sys/kernel/core_pattern"),
    ] {
        symlink(target, root.join("dev").join(name)).expect("scratch is ours");
    }
    let script = "stat -c '%F %t:%T' /dev/null; ls -d /dev/console 2>/dev/null; stat -f -c %T /dev/pts; cat /proc/keys
        ( : >>/proc/sys/kernel/core_pattern ) 2>/dev/null || echo kept; readlink /dev/ptmx";
    let done = output(in_root(&root).args(["sh", "-c", script]));
    assert_eq!(text(&done.stdout), "character special file 1:3\ndevpts\nkept\npts/ptmx", "{}", text(&done.stderr));
}

#[test]
fn settings_of_the_kernel_are_written_before_the_root_is_looked_at() {
    let done = output(run().args(["--explain", "true"]));
    let table = text(&done.stdout);
    let place = |part: &str| table.find(part).unwrap_or_else(|| panic!("{part} in {table}"));
    let root = place("as the new root");
    assert!(place("map users") < root && place("allow no further user namespaces") < root, "{table}");
    // And nothing stands in for a /proc.
    let scratch = Scratch::new("settings");
    let false_proc = scratch.join("proc");
    fs::create_dir_all(false_proc.join("sys/kernel")).expect("scratch is ours");
    fs::write(false_proc.join("keys"), "false").expect("scratch is ours");
    let bind = format!("{}:/x", false_proc.display());
    assert_eq!(told(&["--bind-rw", &bind, "--proc", "/x"], "stat -f -c %T /x; cat /x/keys"), "proc");
}

#[test]
fn a_mount_point_that_is_swapped_for_a_link_leads_nowhere_outside() {
    let scratch = Scratch::new("swap");
    let root = root(&scratch);
    let victim = scratch.join("victim");
    for directory in [root.join("target"), root.join("target/in"), victim.clone()] {
        fs::create_dir(directory).expect("scratch is ours");
    }
    symlink(&victim, root.join("link")).expect("scratch is ours");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let directory = fs::File::open(&root).expect("it is ours");
            while !over.load(Ordering::Relaxed) {
                let exchange = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(&directory, "target", &directory, "link", exchange).expect("it is ours");
            }
        });
        let (mut started, mut refused) = (0, 0);
        for round in 0..60 {
            let file = ["--file", "/etc/passwd:/target/made"];
            let options = [["--tmpfs", "/target"], ["--bind", "/usr/bin:/target/in"], file][round % 3];
            let done = output(in_root(&root).args(options).args(["ls", "/target"]));
            match done.status.code() {
                Some(125) => refused += 1,
                _ => started += 1,
            }
        }
        over.store(true, Ordering::Relaxed);
        assert_eq!(started + refused, 60);
    });
    assert_eq!(fs::read_dir(&victim).expect("it is there").count(), 0, "something was made outside");
    // Whichever of the two names the directory has now: nothing was made in it, either.
    for name in ["target", "link"] {
        let directory = root.join(name);
        if !directory.is_symlink() {
            assert_eq!(fs::read_dir(directory).expect("it is there").count(), 1);
        }
    }
}

#[test]
fn rights_that_the_caller_hands_down_are_gone() {
    if !is_root() {
        // It can hand down none; what it could get is another test's matter.
        assert_eq!(told(&[], "grep ^CapInh /proc/self/status"), "CapInh:\t0000000000000000");
        return;
    }
    let all = ["--inh-caps=+chown,+setuid,+kill", "--ambient-caps=+chown,+setuid,+kill", "--groups=4,24"];
    for user in [&[][..], &["--user", "1000:1000", "--map", "1000:100000:1"]] {
        let mut command = Command::new("setpriv");
        command.args(all).arg(holm()).arg("run").args(user);
        let done = output(command.args(["sh", "-c", "grep ^Cap /proc/self/status | cut -f2 | sort -u; id -G"]));
        let group = if user.is_empty() { 0 } else { 1000 };
        assert_eq!(text(&done.stdout), format!("0000000000000000\n{group}"), "{}", text(&done.stderr));
    }
}

#[test]
fn a_number_is_an_id_whatever_the_roots_passwd_says() {
    let scratch = Scratch::new("number");
    let root = root(&scratch);
    fs::create_dir(root.join("etc")).expect("scratch is ours");
    fs::write(root.join("etc/passwd"), "1000:x:0:0::/:/bin/sh\n").expect("scratch is ours");
    let done = output(in_root(&root).args(["--user", "1000", "id", "-u"]));
    assert_eq!(text(&done.stdout), "1000", "{}", text(&done.stderr));
}

#[test]
fn nothing_of_the_root_is_run_outside() {
    let scratch = Scratch::new("helpers");
    let root = root(&scratch);
    let mark = scratch.join("ran");
    let script = format!("#!/bin/sh\necho $0 >>{}\n", mark.display());
    let own = root.join("usr/bin");
    fs::create_dir_all(&own).expect("scratch is ours");
    for name in ["newuidmap", "newgidmap", "nsenter", "ldd", "sh", "true", "holm"] {
        fs::write(own.join(name), &script).expect("scratch is ours");
        fs::set_permissions(own.join(name), fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    for options in [&[][..], &["--map", "auto", "--user", "root"], &["--root", "bins:sh"]] {
        // The root's own directory is the current one, as if that were searched.
        let done = output(run().arg("--root").arg(&root).args(options).arg("true").current_dir(&own));
        assert!(done.status.code().is_some_and(|code| code != 0) || options.len() == 2, "{}", text(&done.stderr));
    }
    assert!(!mark.exists(), "{}", fs::read_to_string(&mark).unwrap_or_default());
}

#[test]
fn the_programs_arguments_are_not_holms() {
    let words = ["--rw", "--bind=/:/x", "; touch /tmp/x", "$(id)", "--", "-h"];
    let done = output(run().arg("echo").args(words));
    assert_eq!(text(&done.stdout), words.join(" "));
    let done = output(run().args(["--", "--bind=/"]));
    assert_eq!(done.status.code(), Some(127), "it is a program's name");
    // argc is 0, or 1 with an empty word: the kernel's choice since 5.18.
    let done = output(Command::new("perl").args(["-e", "exec { $ARGV[0] } ()"]).arg(holm()));
    assert_eq!(done.status.code(), Some(125), "{}", text(&done.stderr));
}

#[test]
fn holm_needs_no_file_that_gives_rights() {
    let mode = fs::metadata(holm()).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o6000, 0, "{mode:o}");
    let done = output(
        Command::new("perl")
            .args(["-e", "print syscall(191, $ARGV[0], my $n = 'security.capability', 0, 0)"])
            .arg(holm()),
    );
    assert_eq!(text(&done.stdout), "-1", "it has file capabilities");
}

#[test]
fn shared_directories_are_sticky_and_dev_is_fixed() {
    let modes = told(&["--user", "root"], "stat -c %a /tmp /dev /dev/shm /run /var/tmp/.");
    assert_eq!(modes, "1777\n755\n1777\n755\n1777");
    assert!(told(&["--user", "root"], "touch /dev/x").contains("Read-only file system"));
}

#[test]
fn two_sandboxes_share_no_directory_for_temporary_files() {
    let name = format!("/tmp/holm-test-{}", std::process::id());
    assert_eq!(told(&[], &format!("echo text >{name}; ls /tmp | wc -l")), "1");
    assert!(!Path::new(&name).exists());
    let before: Vec<_> = entries("/tmp").into_iter().filter(|entry| is_holms(entry)).collect();
    assert_eq!(told(&[], "ls -A /tmp"), "");
    let after: Vec<_> = entries("/tmp").into_iter().filter(|entry| is_holms(entry)).collect();
    assert_eq!(before, after);
}

fn entries(path: &str) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = fs::read_dir(path).expect("it is there").flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    names
}

/// Not a test's: those come and go.
fn is_holms(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.contains("holm") && !name.starts_with("holm-")
}

#[test]
fn every_test_that_the_table_names_is_there() {
    let table = include_str!("../../../docs/concepts/past-flaws.md");
    let sources = [
        include_str!("past_flaws.rs"),
        include_str!("policy.rs"),
        include_str!("isolation.rs"),
        include_str!("surroundings.rs"),
        include_str!("oci/flaws/descriptors.rs"),
        include_str!("oci/flaws/paths.rs"),
        include_str!("oci/flaws/proc.rs"),
        include_str!("oci/flaws/rights.rs"),
        include_str!("../../holm/tests/seccomp.rs"),
    ];
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| 2")).collect();
    assert!(rows.len() > 40, "{}", rows.len());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [.., test] = cells[..] else { panic!("{row}") };
        assert_eq!(cells.len(), 5, "{row}");
        let function = format!("fn {}()", test.trim_matches('`'));
        assert!(sources.iter().any(|source| source.contains(&function)), "{test} of {row}");
    }
}
