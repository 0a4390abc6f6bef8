//! Bad input: the error that engines look for, on standard error and in the log, with nothing left behind.

use super::site::Site;
use super::{done, empty, oci, text};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use testkit::{Scratch, is_root};

const SLEEP: &str = "exec sleep 1000";

/// Each call logs into a file beside the bundle.
impl Site {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = oci(&self.scratch);
        command.arg("--log").arg(self.scratch.join("log")).args(["--log-format", "json"]).args(arguments);
        if ["create", "run"].contains(&arguments[0]) {
            command.arg("--bundle").arg(self.scratch.join("."));
        }
        command
    }

    /// The exit code of a verb, and what it says.
    fn verb(&self, arguments: &[&str]) -> (Option<i32>, String) {
        self.said(self.command(arguments))
    }

    fn does(&self, arguments: &[&str]) {
        let (code, said) = self.verb(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.join("log")).unwrap_or_default()
    }

    /// It fails with these words, in both places.
    fn fails(&self, arguments: &[&str], words: &str) {
        let _ = std::fs::remove_file(self.scratch.join("log"));
        self.told(self.verb(arguments), words);
    }

    fn told(&self, (code, said): (Option<i32>, String), words: &str) {
        assert_eq!(code, Some(1), "{words}: {said}");
        assert!(said.starts_with("error: ") && said.contains(words), "{words}: {said}");
        let log = self.log();
        let line: Value = serde_json::from_str(log.lines().last().unwrap_or("")).expect("it is JSON");
        assert_eq!(line["level"], "error", "{log}");
        assert!(line["time"].is_string() && line["msg"].as_str().is_some_and(|told| told.contains(words)), "{log}");
    }

    /// `create` fails so with a changed configuration, and leaves nothing.
    fn refuses(&self, change: impl FnOnce(&mut Value), words: &str) {
        let mut config = self.config.clone();
        change(&mut config);
        std::fs::write(self.scratch.join("config.json"), config.to_string()).expect("scratch is ours");
        for verb in ["create", "run"] {
            self.fails(&[verb, &self.id], words);
            self.leaves_nothing();
        }
    }

    fn leaves_nothing(&self) {
        let state = self.scratch.join("state");
        assert!(!state.exists() || empty(&state), "{:?}", std::fs::read_dir(&state).map(|all| all.count()));
        assert_eq!(Vec::<String>::new(), beside(&self.scratch), "of the bundle's processes");
    }
}

/// The processes whose root is in this scratch directory.
fn beside(scratch: &Scratch) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("it is there").flatten();
    let rooted = processes.filter(|entry| {
        let table = std::fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        let root = scratch.join("rootfs").display().to_string();
        table.lines().any(|line| {
            line.split(' ').nth(4) == Some("/")
                && line.split(' ').nth(3).is_some_and(|from| root.ends_with(from) && from.len() > 1)
        })
    });
    rooted.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_bundle_that_is_none_is_refused() {
    let site = Site::new("bad-bundle", "true");
    for version in [json!("2.0.0"), json!("0.9.0"), json!(""), json!("1"), json!(1), Value::Null] {
        site.refuses(|config| config["ociVersion"] = version, "cannot use this bundle: ociVersion");
    }
    site.refuses(|config| drop(config.as_object_mut().expect("it is one").remove("root")), "there is none");
    site.refuses(|config| config["root"]["path"] = json!("missing"), "/missing as the root: no such file or directory");
    site.refuses(|config| config["root"]["path"] = json!("config.json"), "as the root: not a directory");
    site.refuses(|config| drop(config.as_object_mut().expect("it is one").remove("process")), "there is no process");
    site.refuses(|config| config["process"]["args"] = json!([]), "process.args is empty");
    site.refuses(|config| config["process"]["cwd"] = json!("here"), "it is not an absolute path");
    site.refuses(
        |config| config["process"]["args"] = json!(["/missing"]),
        "executable file `/missing` not found in $PATH",
    );
    site.refuses(|config| config["process"]["args"] = json!(["/usr"]), "permission denied");
    for text in ["", "{", "[]", "null", "{\"ociVersion\":\"1.0.0\",\"root\":7}", "\u{0}", "{\"ociVersion\":"] {
        std::fs::write(site.scratch.join("config.json"), text).expect("scratch is ours");
        site.fails(&["create", &site.id], "cannot use this bundle: ");
        site.leaves_nothing();
    }
    std::fs::write(site.scratch.join("config.json"), [0xff, 0xfe]).expect("scratch is ours");
    site.fails(&["create", &site.id], "config.json: ");
    std::fs::remove_file(site.scratch.join("config.json")).expect("scratch is ours");
    site.fails(&["create", &site.id], "config.json: no such file or directory");
    site.leaves_nothing();
    let _ = std::fs::remove_file(site.scratch.join("log"));
    let mut command = oci(&site.scratch);
    command.arg("--log").arg(site.scratch.join("log")).args(["--log-format", "json", "create", "-b"]);
    command.arg(site.scratch.join("nowhere")).arg(&site.id);
    site.told(site.said(command), "cannot use bundle ");
    site.leaves_nothing();
}

#[test]
fn namespaces_that_contradict_each_other_are_refused() {
    let site = Site::new("bad-namespaces", "true");
    let with = |one: Value| {
        move |config: &mut Value| config["linux"]["namespaces"].as_array_mut().expect("it is one").push(one)
    };
    site.refuses(with(json!({ "type": "pid" })), "cannot make the pid namespace: it is there twice");
    site.refuses(with(json!({ "type": "mount", "path": "/proc/self/ns/mnt" })), "it is there twice");
    site.refuses(
        with(json!({ "type": "ipc", "path": "relative" })),
        "cannot join relative: it is not an absolute path",
    );
    site.refuses(with(json!({ "type": "nothing" })), "].type: unknown variant `nothing`");
    let shared = |config: &mut Value| {
        let all = config["linux"]["namespaces"].as_array_mut().expect("it is one");
        all.retain(|one| one["type"] != "mount");
        config["process"]["capabilities"] = json!({ "bounding": ["CAP_SYS_ADMIN"] });
    };
    site.refuses(shared, "cannot grant CAP_SYS_ADMIN without a new mount namespace");
    let cause = if is_root() {
        "with it setns(2) leads out of the root"
    } else {
        "another user namespace has no right over it"
    };
    site.refuses(shared, cause);
    for (path, cause) in [("/etc/passwd", "invalid argument"), ("/", "invalid argument"), ("/missing", "no such file")]
    {
        site.refuses(with(json!({ "type": "ipc", "path": path })), cause);
    }
    site.refuses(with(json!({ "type": "ipc", "path": "/proc/self/ns/uts" })), "invalid argument");
    let owns = json!([{ "containerID": 0, "hostID": 0, "size": 1 }]);
    site.refuses(
        |config| {
            let all = config["linux"]["namespaces"].as_array_mut().expect("it is one");
            all.retain(|one| one["type"] != "user");
            config["linux"]["uidMappings"] = owns;
        },
        "cannot map ids: the user namespace is not a new one",
    );
    site.refuses(
        |config| {
            let all = config["linux"]["namespaces"].as_array_mut().expect("it is one");
            all.retain(|one| one["type"] != "user");
            all.push(json!({ "type": "user" }));
            config["linux"]["uidMappings"] = json!([]);
            config["linux"]["gidMappings"] = json!([]);
        },
        "without maps of ids",
    );
    site.refuses(|config| config["linux"] = Value::Null, "there is no linux");
}

#[test]
fn names_and_states_that_do_not_fit_are_refused() {
    let site = Site::new("bad-states", SLEEP);
    site.written();
    let long = "a".repeat(256);
    for id in ["a/b", "../a", "/a", ".", "..", "", "a b", "a\n", "\u{e4}", &long] {
        for verb in ["create", "run", "start", "state", "kill", "delete", "pause", "exec"] {
            // What is behind the name belongs to some of them.
            let arguments = [&[verb, id][..], if verb == "exec" { &["true"] } else { &[] }].concat();
            let (code, said) = site.verb(&arguments);
            assert_eq!(code, Some(if verb == "exec" { 255 } else { 1 }), "{verb} {id:?}: {said}");
            assert!(said.contains("invalid container ID format"), "{verb} {id:?}");
        }
        site.leaves_nothing();
    }
    for verb in ["start", "state", "kill", "delete", "pause", "resume", "ps", "events"] {
        site.fails(&[verb, &site.id], "container does not exist");
    }
    site.does(&["delete", "--force", &site.id]);
    site.does(&["create", &site.id]);
    site.fails(
        &["create", &site.id],
        &format!("cannot make container {}: container with given ID already exists", site.id),
    );
    site.fails(&["run", &site.id], "container with given ID already exists");
    site.does(&["start", &site.id]);
    site.fails(&["start", &site.id], "cannot start an already running container");
    site.fails(&["delete", &site.id], &format!("cannot delete container {} that is not stopped: running", site.id));
    site.fails(&["kill", &site.id, "NOPE"], "cannot send signal \"NOPE\": unknown signal");
    site.does(&["kill", &site.id, "KILL"]);
    let state = || text(&done(oci(&site.scratch), &["state", &site.id]).stdout);
    super::patience::within(20, "it ends", || state().contains("\"stopped\""));
    site.fails(&["kill", &site.id, "KILL"], &format!("cannot kill container {}: container not running", site.id));
    site.fails(&["start", &site.id], "cannot start a container that has stopped");
    site.fails(&["pause", &site.id], "");
    site.does(&["delete", &site.id]);
    site.fails(&["delete", &site.id], &format!("cannot find container {}: container does not exist", site.id));
    site.leaves_nothing();
}

#[test]
fn a_hook_that_hangs_or_is_missing_ends_the_container() {
    let site = Site::new("bad-hooks", SLEEP);
    let hook = |hook: Value| move |config: &mut Value| config["hooks"] = json!({ "createRuntime": [hook] });
    site.refuses(hook(json!({ "path": "/missing" })), "cannot run hook /missing: no such file or directory");
    site.refuses(hook(json!({ "path": "/usr" })), "cannot run hook /usr: permission denied");
    site.refuses(hook(json!({ "path": "sh" })), "cannot run hook sh: it is not an absolute path");
    site.refuses(hook(json!({ "path": "/bin/false" })), "cannot run hook /bin/false: exit status: 1");
    let hangs = json!({ "path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1 });
    site.refuses(hook(hangs), "cannot run hook /bin/sleep: it takes longer than 1 s");
}

#[test]
fn a_filter_with_unknown_words_is_refused() {
    let site = Site::new("bad-filter", "true");
    let filter = |filter: Value| move |config: &mut Value| config["linux"]["seccomp"] = filter;
    let rule = |name: &str, action: &str| json!([{ "names": [name], "action": action }]);
    let with = |syscalls: Value| json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": syscalls });
    site.refuses(filter(json!({ "defaultAction": "SCMP_ACT_NONE" })), "cannot");
    site.refuses(filter(with(rule("mkdir", "SCMP_ACT_NONE"))), "cannot");
    let odd = json!([{ "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{ "index": 7, "value": 1, "op": "SCMP_CMP_EQ" }] }]);
    site.refuses(filter(with(odd)), "cannot");
    site.refuses(filter(json!({ "defaultAction": "SCMP_ACT_ERRNO" })), "cannot use this filter: it refuses ");
    site.refuses(filter(json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_NONE"] })), "cannot");
}

#[test]
fn a_damaged_record_is_told_and_removed_by_force_alone() {
    for damage in ["", "{", "null", "{\"form\":99}", "\u{0}\u{0}", "[[[[", "not JSON"] {
        let site = Site::new("bad-record", SLEEP);
        site.written();
        site.does(&["create", &site.id]);
        std::fs::write(site.scratch.join("state").join(&site.id).join("state.json"), damage).expect("scratch is ours");
        for verb in ["state", "start", "kill", "delete", "pause", "ps"] {
            site.fails(&[verb, &site.id], &format!("cannot read the state of container {}: ", site.id));
        }
        // It is in nobody's way.
        let listed = done(oci(&site.scratch), &["list"]);
        assert!(listed.status.success(), "{}", text(&listed.stderr));
        site.does(&["delete", "--force", &site.id]);
        site.leaves_nothing();
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let site = Site::new("bad-full", SLEEP);
    site.written();
    let script = "mkdir $1/state && mount -t tmpfs -o size=16k,mode=700 none $1/state && { cat /dev/zero >$1/state/.fill; \
        shift; \"$@\"; code=$?; ls -RA $4 >&2; exit $code; } 2>&1";
    let user: &[&str] = if is_root() { &[] } else { &["-U", "-r"] };
    let mut command = Command::new("unshare");
    command.args(user).args(["-m", "sh", "-c", script, "-"]).arg(site.scratch.join(".")).arg(testkit::holm());
    command
        .args(["oci", "--root"])
        .arg(site.scratch.join("state"))
        .args(["create", "-b"])
        .arg(site.scratch.join("."))
        .arg(&site.id);
    let output = command.stdin(Stdio::null()).output().expect("there is util-linux");
    let said = text(&output.stdout);
    assert!(
        output.status.code() == Some(1) && said.contains("no space left on device"),
        "{said}{}",
        text(&output.stderr)
    );
    assert!(!said.contains("state.json"), "{said}");
    site.leaves_nothing();
    // Where its pid can't be written it doesn't stay either.
    let file = site.scratch.join("missing/pid");
    let file = file.to_str().expect("it is text");
    site.fails(&["create", &site.id, "--pid-file", file], "cannot write ");
    site.leaves_nothing();
    // What isn't a file of its own stays.
    let link = site.scratch.join("link");
    std::os::unix::fs::symlink("/dev/null", &link).expect("scratch is ours");
    for file in [link.to_str().expect("it is text"), "/dev/null", "/tmp"] {
        site.fails(&["create", &site.id, "--pid-file", file], "it is no regular file");
        site.leaves_nothing();
    }
    assert!(link.is_symlink());
}

/// Whatever call a verb dies at, what is noted is whole, and the container can be removed.
#[test]
fn a_verb_that_is_killed_at_any_call_leaves_a_container_that_can_be_removed() {
    let site = Site::new("bad-killed", SLEEP);
    site.written();
    let freezes = is_root();
    let root = site.scratch.join("state");
    let [holm, state, place] =
        [testkit::holm(), root.clone(), site.scratch.join(".")].map(|path| path.display().to_string());
    let verbs: [(&str, &[&str]); 8] = [
        ("create", &[]),
        ("start", &["create"]),
        ("kill", &["create", "start"]),
        ("exec", &["create", "start"]),
        ("pause", &["create", "start"]),
        ("resume", &["create", "start", "pause"]),
        ("state", &["create"]),
        ("delete", &["create", "start"]),
    ];
    for (verb, before) in verbs.into_iter().filter(|(verb, _)| freezes || !["pause", "resume"].contains(verb)) {
        let mut at = 1;
        loop {
            before.iter().for_each(|verb| site.does(&[verb, &site.id]));
            let what: &[&str] = match verb {
                "create" => &["-b", &place, &site.id],
                "exec" => &[&site.id, "true"],
                "delete" => &["--force", &site.id],
                "kill" => &[&site.id, "KILL"],
                _ => &[&site.id],
            };
            let killed = testkit::killer::run(&[&[&holm, "oci", "--root", &state, verb], what].concat(), at);
            let shown = done(oci(&site.scratch), &["state", &site.id]);
            let said = text(&shown.stderr);
            let known = ["it was never made whole", "container does not exist"].iter().any(|one| said.contains(one));
            assert!(shown.status.success() || known, "{verb} at {at}: {said}");
            let removed = done(oci(&site.scratch), &["delete", "--force", &site.id]);
            assert!(removed.status.success(), "{verb} at {at}: {}", text(&removed.stderr));
            assert!(!root.exists() || empty(&root), "{verb} at {at}");
            if !killed {
                break;
            }
            at += testkit::much(11, 1);
        }
        super::patience::within(20, "all have ended", || beside(&site.scratch).is_empty());
    }
}
