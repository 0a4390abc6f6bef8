//! Limits hold, an end that they bring is told apart, and no control group is left. The tests look at how this machine's
//! control groups are laid out and choose by that: the same program runs under version 1, version 2 and both.

mod patience;

use patience::{Running, output, within};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use testkit::{Scratch, holm, is_root, run};

/// Where memory is limited on this machine.
#[derive(Debug, PartialEq, Eq)]
enum Layout {
    /// By a hierarchy of version 1.
    Legacy,
    /// By version 2, mounted here.
    Unified(PathBuf),
    Nowhere,
}

fn layout() -> Layout {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("/proc is there");
    let found = |kind: &str, option: &str| {
        let line = mounts.lines().find(|line| {
            let (_, file_system) = line.split_once(" - ").expect("proc(5) says so");
            file_system.starts_with(kind) && file_system.contains(option)
        })?;
        line.split(' ').nth(4).map(PathBuf::from)
    };
    if found("cgroup ", "memory").is_some() {
        return Layout::Legacy;
    }
    let has_memory = |place: &PathBuf| {
        std::fs::read_to_string(place.join("cgroup.controllers")).is_ok_and(|text| text.contains("memory"))
    };
    found("cgroup2 ", "").filter(has_memory).map_or(Layout::Nowhere, Layout::Unified)
}

/// Whether this caller can limit a sandbox as a whole; as an ordinary user that takes a group that was handed over.
fn may_make_groups() -> bool {
    is_root() && layout() != Layout::Nowhere
}

fn holm_run(arguments: &[&str]) -> Output {
    output(run().args(arguments).stdin(Stdio::null()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a program prints that ends well.
fn printed(arguments: &[&str]) -> String {
    let done = holm_run(arguments);
    assert!(done.status.success(), "{arguments:?}: {}", text(&done.stderr));
    text(&done.stdout)
}

fn code_and_errors(arguments: &[&str]) -> (Option<i32>, String) {
    let done = holm_run(arguments);
    (done.status.code(), text(&done.stderr))
}

/// Control groups that a process of this pid made.
fn groups_of(pid: u32) -> Vec<PathBuf> {
    fn look(directory: &Path, mark: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if name.starts_with("holm-") && name.contains(mark) {
                    found.push(entry.path());
                }
                look(&entry.path(), mark, found);
            }
        }
    }
    let mut found = Vec::new();
    look(Path::new("/sys/fs/cgroup"), &format!("-{pid}-"), &mut found);
    found
}

#[test]
fn who_can_make_no_group_is_refused_with_a_hint() {
    if may_make_groups() {
        return;
    }
    let (code, errors) = code_and_errors(&["--memory", "64M", "--pids", "5", "true"]);
    if code == Some(0) {
        // A group was handed over to this user and holds nobody else.
        return;
    }
    assert_eq!(code, Some(125), "{errors}");
    assert!(errors.contains("cannot limit memory to 64M: ") && errors.contains("  from --memory 64M"), "{errors}");
    assert!(errors.contains("cannot limit processes and threads to 5: "), "{errors}");
    // One each, and where more is told.
    assert_eq!(errors.matches("hint: ").count(), 3, "{errors}");
    assert!(
        errors.ends_with("hint: holm doctor tells what else this machine refuses, and what to do about it\n"),
        "{errors}"
    );
}

#[test]
fn too_much_memory_ends_the_program_and_is_told() {
    if !may_make_groups() {
        return;
    }
    let hog = "dd if=/dev/zero of=/dev/null bs=200M count=1";
    let (code, errors) = code_and_errors(&["--memory", "64M", "sh", "-c", &format!("exec {hog}")]);
    assert_eq!(code, Some(137), "{errors}");
    assert!(errors.contains("holm: out of memory: the kernel killed 1 process (--memory 64M)"), "{errors}");

    let survives = format!("{hog}; exit 5");
    let (code, errors) = code_and_errors(&["--memory", "64M", "--stats=json", "sh", "-c", &survives]);
    assert_eq!(code, Some(5), "the program itself was not killed: {errors}");
    assert!(errors.contains("holm: out of memory") && errors.contains("\"killed-for-memory\":1"), "{errors}");
    assert!(errors.contains("\"end\":\"code\"") && errors.contains("\"memory-by\":\"group\""), "{errors}");

    // Files in memory count, too.
    let fills = "dd if=/dev/zero of=/tmp/file bs=1M count=200; exit 0";
    let (_, errors) = code_and_errors(&["--memory", "64M", "sh", "-c", fills]);
    assert!(errors.contains("holm: out of memory"), "{errors}");

    let (code, errors) = code_and_errors(&["--memory", "64M", "sh", "-c", "kill -9 $$"]);
    assert_eq!((code, errors.contains("memory")), (Some(137), false), "{errors}");
}

#[test]
fn a_limit_too_small_to_start_in_ends_the_start_and_not_its_caller() {
    if may_make_groups() {
        let (code, errors) = code_and_errors(&["--memory", "8K", "true"]);
        assert_eq!(code, Some(125), "{errors}");
        assert!(errors.contains("cannot limit memory to 8K: ") && errors.contains("from --memory 8K"), "{errors}");
    }
}

#[test]
fn no_more_processes_than_allowed() {
    if may_make_groups() {
        // The shell and three more.
        let script = "for i in 1 2 3; do sleep 60 & done; echo three; sleep 60 & echo four";
        let done = holm_run(&["--pids", "4", "sh", "-c", script]);
        assert_eq!(text(&done.stdout), "three\n", "{}", text(&done.stderr));
        assert_eq!(printed(&["--pids", "1", "sh", "-c", "echo one"]), "one\n");
    }
}

#[test]
fn all_limits_hold_together() {
    if may_make_groups() {
        let whole = ["--memory", "64M", "--swap", "0", "--pids", "20", "--cpus", "0.5", "--timeout", "1h"];
        let each = ["--rlimit", "nofile=64", "--nice", "2", "--oom-score", "10"];
        assert_eq!(printed(&[&whole[..], &each, &["sh", "-c", "nice; ulimit -n"]].concat()), "2\n64\n");
    }
}

#[test]
fn no_more_time_of_a_cpu_than_allowed() {
    if may_make_groups() {
        let options = ["--cpus", "0.1", "--timeout", "1s", "--stats=json"];
        let (code, errors) = code_and_errors(&[&options[..], &["sh", "-c", "while :; do :; done"]].concat());
        assert_eq!(code, Some(124), "{errors}");
        let last = errors.lines().last().expect("it says something");
        let stats: serde_json::Value = serde_json::from_str(last).expect("it is JSON");
        let seconds = |name: &str| stats[name].as_f64().expect("it is a number");
        // A busy machine makes it less, never more.
        assert!(seconds("wall") > 3.0 * (seconds("user") + seconds("system")), "{errors}");
    }
}

#[test]
fn a_disk_is_limited_where_there_is_one() {
    let (code, errors) = code_and_errors(&["--io", "/proc:rbps=1M", "true"]);
    assert_eq!(code, Some(125), "{errors}");
    assert!(errors.contains("cannot limit /proc: no disk of this machine is behind it"), "{errors}");
    let disk = std::fs::read_dir("/sys/block").into_iter().flatten().flatten().find_map(|entry| {
        let size = std::fs::read_to_string(entry.path().join("size")).ok()?;
        let number = std::fs::read_to_string(entry.path().join("dev")).ok()?;
        (size.trim() != "0").then(|| number.trim().to_owned())
    });
    if let (true, Some(disk)) = (may_make_groups(), disk) {
        assert_eq!(printed(&["--io", &format!("{disk}:rbps=10M,wiops=50"), "echo", "ok"]), "ok\n");
    }
}

#[test]
fn inside_its_group_is_the_root_of_all_groups() {
    if may_make_groups() {
        let groups = printed(&["--memory", "64M", "--pids", "9", "cat", "/proc/self/cgroup"]);
        assert!(groups.lines().all(|line| line.ends_with(":/")), "{groups}");
        assert_ne!(std::fs::read_to_string("/proc/self/cgroup").expect("/proc is there"), "");
    }
}

/// Makes namespaces of its own and mounts the files of its control group there, which belong to who started holm.
const RAISE: &str = r#"
my ($kind, $options, $file) = @ARGV;
my ($source, $place) = ("x", "/tmp/groups");
mkdir $place;
syscall(272, 0x10020000) == 0 or exit 2; # unshare: user and mnt
syscall(272, 0x02000000) == 0 or exit 3; # unshare: cgroup
syscall(165, $source, $place, $kind, 0, $options) == 0 or exit 4;
open(my $limit, ">", "$place/$file") or exit 5;
syswrite($limit, "1000000000") or exit 6;
print "raised\n";
"#;

#[test]
fn a_program_cannot_raise_its_own_limits() {
    if !may_make_groups() {
        return;
    }
    let (kind, options, file) = match layout() {
        Layout::Unified(_) => ("cgroup2", "", "memory.max"),
        _ => ("cgroup", "memory", "memory.limit_in_bytes"),
    };
    for (options_of_holm, stopped) in [(&["--seccomp", "none"][..], 2), (&["--allow-userns"], 3)] {
        let program = ["--memory", "64M", "perl", "-e", RAISE, kind, options, file];
        let done = holm_run(&[options_of_holm, &program].concat());
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(stopped), String::new()), "{}", text(&done.stderr));
    }
}

#[test]
fn limits_hold_in_a_joined_mount_namespace_whose_proc_is_guarded() {
    if !may_make_groups() {
        return;
    }
    let mut holder = run();
    let holder = Running::ready(holder.args(["sh", "-c", "echo; exec sleep 60"]));
    let mount = format!("mnt={}", testkit::init_of(holder.child.id()));
    let join = ["--join", &mount, "--memory", "64M"];
    let most = printed(&[&join[..], &["cat", "/proc/sys/user/max_cgroup_namespaces"]].concat());
    assert_eq!(most, "0\n");
}

#[test]
fn no_group_is_left_and_a_killed_owners_is_swept_by_the_next() {
    if !may_make_groups() {
        return;
    }
    let limited = || {
        let mut command = run();
        command.args(["--memory", "64M", "--pids", "9"]).stdin(Stdio::null());
        command
    };
    let mut ends = Running::new(limited().arg("true"));
    let pid = ends.child.id();
    assert_eq!(ends.code(), Some(0));
    assert_eq!(groups_of(pid), Vec::<PathBuf>::new());

    let mut killed = Running::ready(limited().args(["sh", "-c", "echo; sleep 60"]));
    let pid = killed.child.id();
    let groups = groups_of(pid);
    assert!(!groups.is_empty());
    killed.child.kill().expect("it is ours");
    killed.child.wait().expect("it is ours");
    let empty = |group: &PathBuf| {
        std::fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|text| text.is_empty()) || !group.exists()
    };
    within(20, "all of its processes end", || groups.iter().all(empty));
    assert_eq!(Running::new(limited().arg("true")).code(), Some(0));
    assert_eq!(groups_of(pid), Vec::<PathBuf>::new());
}

/// The user that the tests were made for, or one that nobody is.
fn ordinary_user() -> u32 {
    let accounts = std::fs::read_to_string("/etc/passwd").expect("there is one");
    let found = accounts.lines().find_map(|line| line.strip_prefix("holm-test:")?.split(':').nth(1)?.parse().ok());
    found.unwrap_or(65_534)
}

#[test]
fn an_ordinary_user_can_where_a_group_was_handed_over() {
    if !is_root() {
        return;
    }
    let user = ordinary_user();
    let scratch = Scratch::new("handed-over");
    std::fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
    let copy = scratch.join("holm");
    std::fs::copy(holm(), &copy).expect("the scratch directory can be written");
    // The shell becomes holm, which is then alone in the group.
    let script = "\
        [ -z \"$1\" ] || echo $$ >\"$1/cgroup.procs\"; shift
        exec setpriv --reuid \"$1\" --regid \"$1\" --clear-groups -- \\
            \"$2\" run --memory 64M --pids 9 -- cat /proc/self/cgroup";
    let as_user = |group: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", group, &user.to_string()]).arg(&copy);
        let done = output(command.current_dir("/").stdin(Stdio::null()));
        (done.status.code(), text(&done.stdout), text(&done.stderr))
    };
    let (code, _, errors) = as_user("");
    assert_eq!(code, Some(125), "{errors}");
    assert!(errors.contains("is not the caller's to write") && errors.contains("hint: "), "{errors}");
    let Layout::Unified(mount) = layout() else { return };

    let group = mount.join(format!("holm-test-{}", std::process::id()));
    std::fs::write(mount.join("cgroup.subtree_control"), "+memory +pids").expect("root may");
    std::fs::create_dir(&group).expect("root may");
    for name in ["", "cgroup.procs", "cgroup.subtree_control"] {
        std::os::unix::fs::chown(group.join(name), Some(user), Some(user)).expect("root may");
    }
    let done = as_user(&group.to_string_lossy());
    let left: Vec<_> =
        std::fs::read_dir(&group).expect("it was made").flatten().filter(|e| e.path().is_dir()).collect();
    let enabled = std::fs::read_to_string(group.join("cgroup.subtree_control")).expect("it was made");
    std::fs::remove_dir(&group).expect("it is empty");
    assert_eq!((done.0, &*done.1), (Some(0), "0::/\n"), "{}", done.2);
    assert!(left.is_empty() && enabled.trim().is_empty(), "{left:?} {enabled}");
}

#[test]
fn a_time_out_is_told_however_the_program_ends() {
    let told = "holm: timed out: the program was still running after 300ms (--timeout 300ms)\n";
    let ends = [
        "exec sleep 60",
        "trap 'exit 9' TERM; sleep 60 & wait",
        // It must be killed.
        "trap '' TERM; sleep 60",
    ];
    for script in ends {
        let (code, errors) = code_and_errors(&["--timeout", "300ms", "sh", "-c", script]);
        assert_eq!((code, &*errors), (Some(124), told), "{script}");
    }
    let (code, errors) = code_and_errors(&["--timeout", "300ms", "--wait-all", "sh", "-c", "sleep 60 & exit 3"]);
    assert_eq!((code, &*errors), (Some(124), told));
    let (code, errors) = code_and_errors(&["--timeout", "1h", "sh", "-c", "exit 4"]);
    assert_eq!((code, &*errors), (Some(4), ""));
}

#[test]
fn resources_are_limited_for_the_program_alone() {
    let script = "ulimit -n; ulimit -Hn; ulimit -c; grep 'open files' /proc/1/limits";
    let shown = printed(&["--rlimit", "nofile=20:30", "--rlimit", "core=0", "sh", "-c", script]);
    let mut lines = shown.lines();
    assert_eq!([lines.next(), lines.next(), lines.next()], [Some("20"), Some("30"), Some("0")]);
    let init = lines.next().expect("it is told");
    assert!(!init.contains(" 20 "), "{init}");
    let (code, errors) = code_and_errors(&["--rlimit", "nofile=30:20", "--rlimit", "nofile=unlimited", "true"]);
    assert_eq!(code, Some(125), "{errors}");
    assert!(errors.contains("the soft limit is above the hard one"), "{errors}");
    assert!(errors.contains("cannot limit nofile: the machine allows"), "{errors}");
}

#[test]
fn niceness_cpus_and_score_are_what_was_wished_and_the_callers_stay() {
    let own = || std::fs::read_to_string("/proc/self/oom_score_adj").expect("/proc is there");
    let before = own();
    let cpu = std::fs::read_to_string("/proc/self/status").expect("/proc is there");
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("proc(5) says so").trim();
    let cpu = cpu.split([',', '-']).next().expect("there is one");
    let options = ["--nice", "1", "--cpu-affinity", cpu, "--oom-score", "1000"];
    let script = "nice; cat /proc/self/oom_score_adj; grep Cpus_allowed_list /proc/self/status";
    let shown = printed(&[&options[..], &["sh", "-c", script]].concat());
    assert_eq!(shown, format!("1\n1000\nCpus_allowed_list:\t{cpu}\n"));
    assert_eq!(own(), before);
    if !is_root() {
        let (code, errors) = code_and_errors(&["--nice", "-20", "--oom-score", "-1000", "true"]);
        assert_eq!((code, errors.matches("the caller may take").count()), (Some(125), 2), "{errors}");
    }
}

#[test]
fn contradictions_are_refused_at_once_with_their_options() {
    let wrong =
        ["--swap", "0", "--pids", "0", "--cpus", "100000", "--timeout", "0", "--nice", "20", "--cpu-affinity", "1023"];
    let (code, errors) = code_and_errors(&[&wrong[..], &["--oom-score", "1001", "true"]].concat());
    assert_eq!(code, Some(125), "{errors}");
    for option in wrong.chunks(2).map(|pair| pair[0]).chain(["--oom-score"]) {
        assert!(errors.contains(&format!("  from {option} ")), "{option}: {errors}");
    }
}

#[test]
fn usage_is_told_as_a_table_or_as_json() {
    let (code, errors) = code_and_errors(&["--stats", "sh", "-c", "exit 6"]);
    assert_eq!(code, Some(6));
    for name in ["wall: ", "user: ", "system: ", "peak memory", "read from disk: ", "written to disk: "] {
        assert!(errors.contains(name), "{name}: {errors}");
    }
    let (code, errors) =
        code_and_errors(&["--stats=json", "dd", "if=/dev/zero", "of=/dev/null", "bs=32M", "count=4", "status=none"]);
    let stats: serde_json::Value = serde_json::from_str(&errors).expect("it is JSON");
    assert_eq!((code, &stats["end"], &stats["code"]), (Some(0), &"code".into(), &0.into()));
    assert!(stats["peak-memory"].as_u64().expect("it is a number") > 32 << 20, "{errors}");
    assert!(stats["system"].as_f64().expect("it is a number") > 0.0, "{errors}");
}

#[test]
fn a_profile_has_a_table_of_limits_that_options_override() {
    let scratch = Scratch::new("limits-profile");
    let file = scratch.join("small.toml");
    let profile = "[limits]\nnice = 7\ntimeout = \"1h\"\nrlimit = [\"core=0\"]\ncpu-affinity = 0\n";
    std::fs::write(&file, profile).expect("the scratch directory can be written");
    let path = file.to_str().expect("it is text");
    assert_eq!(printed(&["--profile", path, "--nice", "9", "sh", "-c", "nice; ulimit -c"]), "9\n0\n");
    std::fs::write(&file, "[limits]\nmemoy = \"1G\"\n").expect("the scratch directory can be written");
    let (code, errors) = code_and_errors(&["--profile", path, "true"]);
    assert_eq!(code, Some(125));
    assert!(errors.contains(":2:1: unknown field `memoy`"), "{errors}");
}
