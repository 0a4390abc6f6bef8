//! `holm doctor`, here and where something is missing.

use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use testkit::{Scratch, has_ranges, holm, is_root, skip};

/// What it says as JSON, and its exit code.
fn told(mut command: Command) -> (Value, Option<i32>) {
    let done = command.output().expect("it starts");
    let (text, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    let document = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{errors}"));
    assert_eq!(errors, "", "nothing is said besides");
    (document, done.status.code())
}

fn doctor() -> (Value, Option<i32>) {
    let mut command = Command::new(holm());
    command.args(["doctor", "--json"]);
    told(command)
}

/// What a script's last command, which is `exec "$HOLM" doctor --json`, says.
fn doctor_in(script: &str) -> (Value, Option<i32>) {
    let mut command = Command::new("unshare");
    let script = format!("{script} exec \"$0\" doctor --json");
    command.args(["--user", "--map-root-user", "sh", "-c", &script]).arg(holm());
    told(command)
}

/// What it says inside of `holm run` with these options.
fn doctor_inside(options: &[&str]) -> (Value, Option<i32>) {
    let mut command = Command::new(holm());
    let bind = format!("{}:/holm", holm().display());
    command.arg("run").args(options).args(["--bind", &bind, "/holm", "doctor", "--json"]);
    told(command)
}

/// The finding of this check; of several the first, which is the worst.
fn of<'a>(document: &'a Value, check: &str) -> &'a Value {
    let all = document["findings"].as_array().expect("a list");
    all.iter().find(|one| one["check"] == check).unwrap_or_else(|| panic!("no {check} in {document:#}"))
}

fn text(value: &Value) -> &str {
    value.as_str().expect("it is text")
}

#[test]
fn what_works_here_is_told_and_nothing_is_left_behind() {
    let scratch = Scratch::new("doctor");
    let store = scratch.join("store");
    std::fs::create_dir(&store).expect("the scratch directory can be written");
    let mut command = Command::new(holm());
    command.args(["doctor", "--json"]).env("HOLM_STORE", &store).env("TMPDIR", scratch.path());
    let (document, code) = told(command);
    assert_eq!(groups_that_stay(), Vec::<String>::new());
    let left = |directory: &std::path::Path| std::fs::read_dir(directory).expect("it is there").count();
    assert_eq!((left(&store), left(scratch.path())), (0, 1));
    for check in ["start", "within", "namespaces", "system-calls", "file-systems", "kernel", "sight"] {
        assert_eq!(of(&document, check)["status"], "works", "{:#}", of(&document, check));
    }
    assert_eq!(of(&document, "place")["seen"], format!("{} ({})", store.display(), file_system(&store)));
    if is_root() {
        assert_eq!(of(&document, "free-ids")["status"], "works");
    } else if has_ranges() {
        assert_eq!(of(&document, "ranges")["status"], "works");
    }
    let lost = document["findings"].as_array().expect("a list").iter().any(|one| one["status"] == "lost");
    assert_eq!((code, document["exit-code"].as_i64()), (Some(i32::from(lost)), Some(i64::from(lost))));
}

/// The control groups of its tries that are there for longer than another test needs them.
fn groups_that_stay() -> Vec<String> {
    let find = || {
        let done =
            Command::new("find").args(["/sys/fs/cgroup", "-name", "holm-*-doctor"]).output().expect("find is there");
        String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let first = find();
    std::thread::sleep(std::time::Duration::from_millis(500));
    find().into_iter().filter(|group| first.contains(group)).collect()
}

fn file_system(path: &std::path::Path) -> String {
    let done = Command::new("stat").args(["-f", "-c", "%T"]).arg(path).output().expect("stat is there");
    // stat(1) has one name for three file systems with the same number.
    String::from_utf8_lossy(&done.stdout).trim().replace("ext2/ext3", "ext4")
}

#[test]
fn every_finding_has_the_keys_of_the_schema() {
    let (document, _) = doctor();
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&document), ["container", "exit-code", "findings", "kernel", "limits", "user", "version"]);
    assert_eq!(document["version"], 1);
    assert_eq!(document["user"]["uid"], rustix::process::geteuid().as_raw());
    let limits = document["limits"].as_array().expect("a list");
    assert!(limits.iter().all(|one| keys(one) == ["most", "name", "used"] && one["most"].is_u64()), "{limits:#?}");
    let of_keys = if is_root() { "kernel.keys.root_maxkeys" } else { "kernel.keys.maxkeys" };
    assert!(limits.iter().any(|one| one["name"] == of_keys), "{limits:#?}");
    let (inside, _) = doctor_inside(&[]);
    let all = |document: &Value| document["findings"].as_array().expect("a list").clone();
    for one in all(&document).iter().chain(&all(&inside)) {
        assert_eq!(keys(one), ["area", "cause", "check", "lost", "remedies", "seen", "status", "title"], "{one:#}");
        let status = text(&one["status"]);
        assert!(["fatal", "lost", "absent", "works"].contains(&status) && !text(&one["title"]).is_empty(), "{one:#}");
        assert_eq!(["fatal", "lost"].contains(&status), !text(&one["lost"]).is_empty(), "{one:#}");
        for remedy in one["remedies"].as_array().expect("a list") {
            assert_eq!(keys(remedy), ["by", "deeds", "reach", "weakens"], "{remedy:#}");
            for deed in remedy["deeds"].as_array().expect("a list") {
                let more = if deed["is"] == "file" { &["is", "path", "text"][..] } else { &["is", "text"] };
                assert_eq!(keys(deed), more, "{deed:#}");
            }
        }
    }
}

#[test]
fn a_sysctl_of_0_is_named_and_no_sandbox_starts() {
    let none = "echo 0 > /proc/sys/user/max_user_namespaces;";
    // Root of the user namespace, but without the capabilities that would do without another one.
    let (document, code) = doctor_in(&format!(
        "{none} set -- \"$0\"; exec setpriv --bounding-set -all --inh-caps -all \"$0\" doctor --json;"
    ));
    let fault = of(&document, "user-namespaces");
    assert_eq!((code, text(&fault["status"])), (Some(2), "fatal"));
    assert_eq!(fault["seen"], "user.max_user_namespaces = 0");
    let remedy = &fault["remedies"].as_array().and_then(|all| all.last()).expect("there is a way out")["deeds"][0];
    assert_eq!(remedy["text"], "sysctl -w user.max_user_namespaces=10000");
    let (document, code) = doctor_in(none);
    assert_eq!((code, &of(&document, "user-namespaces")["status"]), (Some(1), &"lost".into()), "it can share them");
}

#[test]
fn a_filter_is_told_by_what_it_answers() {
    let scratch = Scratch::new("doctor-filter");
    let filter = scratch.join("filter.json");
    let options = ["--allow-userns", "--proc", "full", "--seccomp", filter.to_str().expect("it is text")];
    for (action, answer) in [
        ("\"SCMP_ACT_ERRNO\", \"errnoRet\": 38", "function not implemented (clone3)"),
        ("\"SCMP_ACT_ERRNO\", \"errnoRet\": 1", "operation not permitted (clone3)"),
        ("\"SCMP_ACT_KILL_PROCESS\"", "killed by a filter (SIGSYS) (clone3)"),
    ] {
        let rules = format!("{{ \"names\": [\"clone3\"], \"action\": {action} }}");
        let json = format!("{{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{rules}] }}");
        std::fs::write(&filter, json).expect("the scratch directory can be written");
        let (document, code) = doctor_inside(&options);
        let fault = of(&document, "system-calls-needed");
        assert_eq!((code, text(&fault["seen"]), text(&fault["status"])), (Some(2), answer, "fatal"));
        assert_eq!(document["container"], "holm");
    }
}

/// What it says where a filter kills for these calls.
fn doctor_killed_for(calls: &[&str]) -> (Value, Option<i32>) {
    let scratch = Scratch::new("doctor-kills");
    let filter = scratch.join("filter.json");
    let rules = serde_json::json!({ "names": calls, "action": "SCMP_ACT_KILL_PROCESS" });
    let json = serde_json::json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rules] });
    std::fs::write(&filter, json.to_string()).expect("the scratch directory can be written");
    let options = ["--allow-userns", "--proc", "full", "--seccomp", filter.to_str().expect("it is text")];
    let user: &[&str] = if is_root() { &["--user", "1000"] } else { &[] };
    doctor_inside(&[&options, user].concat())
}

#[test]
fn a_call_that_each_start_asks_with_is_told_where_a_filter_kills_for_it() {
    let (document, code) = doctor_killed_for(&["landlock_create_ruleset"]);
    assert_eq!(code, Some(2), "{document:#}");
    let seen = "killed by a filter (SIGSYS) (landlock_create_ruleset)";
    assert_eq!(of(&document, "system-calls-needed")["seen"], seen);
    assert_eq!(of(&document, "untried")["status"], "lost");
}

#[test]
fn a_filter_that_kills_for_what_no_start_makes_keeps_no_sandbox_from_being_tried() {
    for calls in [&["name_to_handle_at"][..], &["pidfd_open"], &["process_vm_readv"]] {
        let (document, code) = doctor_killed_for(calls);
        assert_eq!((code, &of(&document, "start")["status"]), (Some(1), &"works".into()), "{calls:?}: {document:#}");
        let is_sight = calls.iter().any(|call| ["name_to_handle_at", "pidfd_open"].contains(call));
        assert_eq!(of(&document, "sight")["status"], if is_sight { "lost" } else { "works" }, "{calls:?}");
    }
}

#[test]
fn one_sandbox_in_another_is_not_tried_where_the_default_one_does_not_start() {
    // Root goes on with one that shares its user namespace, in which no other one can map its ids.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 20; exec \"$0\" doctor --json"]).arg(holm());
    let (document, code) = told(command);
    let has = |check: &str| document["findings"].as_array().expect("a list").iter().any(|one| one["check"] == check);
    // An ordinary user's needs fewer.
    assert!(!is_root() || of(&document, "start")["status"] != "works", "{document:#}");
    assert_eq!(has("within"), of(&document, "start")["status"] == "works", "{document:#}");
    assert!(matches!(code, Some(1 | 2)), "{document:#}");
    assert!(text(&of(&document, "limit-resources")["title"]).starts_with("RLIMIT_NOFILE"), "{document:#}");
}

#[test]
fn what_a_killed_one_left_is_removed_by_the_next_and_nothing_else() {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    let scratch = Scratch::new("doctor-left");
    let (store, other) = (scratch.join("store"), scratch.join("other"));
    let make = |path: &std::path::Path| {
        std::fs::DirBuilder::new().mode(0o700).create(path).expect("the scratch directory can be written");
    };
    let namespace = std::fs::metadata("/proc/self/ns/pid").expect("/proc is there").ino();
    // No process is as old as the machine.
    let named = |pid: u32, start: u32, which: &str| store.join(format!("holm-{namespace}-{pid}-{start}-{which}"));
    let left = named(std::process::id(), 0, "doctor");
    for path in [&store, &other, &other.join("work"), &left, &left.join("lower"), &left.join("upper")] {
        make(path);
    }
    make(&left.join("work"));
    make(&left.join("work/work"));
    // A link of that name, a directory that others might change, and those of others' use.
    std::os::unix::fs::symlink(&other, named(1, 7, "doctor")).expect("it can be made");
    make(&named(1, 7, "self"));
    make(&named(1, 8, "doctor"));
    std::fs::set_permissions(named(1, 8, "doctor"), std::fs::Permissions::from_mode(0o777)).expect("it is ours");
    let mut command = Command::new(holm());
    command.args(["doctor", "--json"]).env("HOLM_STORE", &store);
    told(command);
    let there = [named(1, 7, "doctor"), named(1, 7, "self"), named(1, 8, "doctor"), other.join("work")];
    assert!(!left.exists() && there.iter().all(|path| path.exists()), "{:?}", std::fs::read_dir(&store));
}

#[test]
fn inside_the_default_sandbox_nothing_starts_and_its_options_are_named() {
    let (document, code) = doctor_inside(&[]);
    assert_eq!(code, Some(2), "{document:#}");
    let fault = of(&document, "system-calls-needed");
    assert!(text(&fault["seen"]).contains("clone3"), "{fault:#}");
    let way = text(&fault["remedies"][0]["deeds"][0]["text"]);
    assert_eq!(way, "holm run --allow-userns --seccomp none --proc full");
    // And they do.
    let user: &[&str] = if is_root() { &["--user", "1000"] } else { &[] };
    let options: Vec<&str> = way.split(' ').skip(2).chain(user.iter().copied()).collect();
    let (document, code) = doctor_inside(&options);
    assert_eq!((code, &of(&document, "start")["status"]), (Some(1), &"works".into()), "{document:#}");
}

#[test]
fn a_covered_proc_is_told_with_what_covers_it() {
    let user: &[&str] = if is_root() { &["--user", "1000"] } else { &[] };
    let (document, code) = doctor_inside(&[&["--allow-userns", "--seccomp", "none"], user].concat());
    let fault = of(&document, "proc");
    assert!(text(&fault["seen"]).contains("mounted over: /proc/"), "{fault:#}");
    assert!(text(&fault["cause"]).contains("mount too revealing"), "{fault:#}");
    // Without a /proc of its own a sandbox may start, or not: the code says which.
    assert_eq!(code, Some(if fault["status"] == "fatal" { 2 } else { 1 }));
}

/// What it says to the ordinary user in a new mount namespace of root's in which a script has changed something; `None` where
/// there is no such user, or the caller isn't root.
fn doctor_of_the_user(name: &str, script: &str) -> Option<(Value, Option<i32>)> {
    let known = Command::new("id").arg("holm-test").output().is_ok_and(|done| done.status.success());
    if !is_root() {
        return None;
    }
    if !known {
        skip("there is no user holm-test");
        return None;
    }
    let scratch = Scratch::new(name);
    let copy = scratch.join("holm");
    std::fs::copy(holm(), &copy).expect("the scratch directory can be written");
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    let user = "exec setpriv --reuid holm-test --regid holm-test --init-groups env HOME=/ \"$0\" doctor --json";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &format!("{script} && {user}")]).arg(&copy);
    Some(told(command))
}

#[test]
fn programs_on_a_nosuid_mount_get_no_rights() {
    let script = "mount --bind /usr/bin /usr/bin && mount -o remount,bind,nosuid /usr/bin";
    let Some((document, code)) = doctor_of_the_user("doctor-nosuid", script) else { return };
    let fault = of(&document, "id-helpers");
    assert_eq!((code, text(&fault["seen"])), (Some(1), "/usr/bin is mounted nosuid"), "{document:#}");
    assert_eq!(fault["remedies"][0]["deeds"][0]["text"], "mount -o remount,suid /usr/bin");
}

#[test]
fn programs_without_their_bits_get_no_rights() {
    let script = "mount -t tmpfs none /mnt && cp /usr/bin/newuidmap /usr/bin/newgidmap /mnt/ && chmod 755 /mnt/new*map && \
        mount --bind /mnt/newuidmap /usr/bin/newuidmap && mount --bind /mnt/newgidmap /usr/bin/newgidmap";
    let Some((document, code)) = doctor_of_the_user("doctor-bits", script) else { return };
    let fault = of(&document, "id-helpers");
    assert!(code == Some(1) && text(&fault["seen"]).contains("neither a set-user-id bit"), "{document:#}");
    assert_eq!(fault["remedies"][0]["deeds"][0]["text"], "setcap cap_setuid=ep /usr/bin/newuidmap");
}

#[test]
fn processes_that_are_hidden_are_told() {
    let Some((document, code)) = doctor_of_the_user("doctor-hidden", "mount -t proc -o hidepid=2 proc /proc") else {
        return;
    };
    assert_eq!((code, &of(&document, "hidepid")["status"]), (Some(1), &"lost".into()), "{document:#}");
}

#[test]
fn what_has_no_new_privileges_can_map_no_ranges() {
    if is_root() {
        // Root maps them itself.
        return;
    }
    if !has_ranges() {
        return skip("the caller has no ranges in /etc/subuid, or newuidmap is missing");
    }
    let mut command = Command::new("setpriv");
    command.arg("--no-new-privs").arg(holm()).args(["doctor", "--json"]);
    let (document, code) = told(command);
    let fault = of(&document, "id-helpers");
    assert_eq!((code, text(&fault["seen"])), (Some(1), "NoNewPrivs: 1 in /proc/self/status"), "{document:#}");
}

#[test]
fn without_a_proc_that_is_what_is_told() {
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs none /proc; exec \"$0\" doctor --json";
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(holm());
    let (document, code) = told(command);
    let fault = of(&document, "proc");
    assert_eq!((code, text(&fault["status"])), (Some(2), "fatal"), "{document:#}");
    assert_eq!(fault["remedies"][0]["deeds"][0]["text"], "mount -t proc proc /proc");
}

#[test]
fn errors_that_it_explains_point_to_it() {
    let script = "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$0\" run true";
    let done = Command::new("unshare").args(["--user", "--map-root-user", "sh", "-c", script]).arg(holm()).output();
    let errors = String::from_utf8_lossy(&done.expect("unshare is there").stderr).into_owned();
    assert!(
        errors.contains("hint: user namespaces are switched off") && errors.contains("\nhint: holm doctor tells"),
        "{errors}"
    );
    let done = Command::new(holm()).args(["run", "--bind", "/nothing", "true"]).output().expect("holm starts");
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(errors.contains("hint: ") && !errors.contains("holm doctor"), "{errors}");
}

#[test]
fn without_a_locale_all_is_ascii_and_without_a_terminal_plain() {
    let mut command = Command::new(holm());
    command.arg("doctor").env_remove("LC_ALL").env_remove("LC_CTYPE").env("LANG", "C").env("TERM", "xterm");
    let done = command.output().expect("holm starts");
    assert!(done.stdout.is_ascii() && !done.stdout.contains(&0x1b), "{}", String::from_utf8_lossy(&done.stdout));
    assert!(matches!(done.status.code(), Some(0 | 1)), "{:?}", done.status);
}
