//! Rights, ids, and what belongs to the caller.

use super::hostile;
use serde_json::json;
use testkit::is_root;

const SLEEP: &str = "exec sleep 1000";

/// CVE-2022-24769, CVE-2022-27650, CVE-2022-29162, CVE-2025-27612: capabilities were inheritable, in what was made, what was run
/// in it, or what was added to that.
#[test]
fn no_capability_is_inheritable_unless_it_was_asked_for() {
    let mut site = hostile("inheritable", SLEEP);
    let sets = json!(["CAP_KILL", "CAP_CHOWN"]);
    site.config["process"]["capabilities"] = json!({ "bounding": sets, "permitted": sets, "effective": sets });
    let running = site.start();
    let script = "grep -E 'CapInh|CapAmb' /proc/1/status /proc/self/status | cut -d: -f2,3";
    let none = "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n".repeat(2);
    for options in [&[][..], &["--cap", "CAP_NET_RAW"], &["--user", "0:0"], &["--cap", "CAP_KILL", "--user", "0"]] {
        assert_eq!(running.says(options, script), none, "{options:?}");
    }
    let file = site.scratch.join("process.json");
    let more = json!({ "args": ["sh", "-c", script], "cwd": "/", "env": ["PATH=/usr/bin"], "user": { "uid": 0, "gid": 0 },
        "capabilities": { "bounding": sets, "permitted": sets, "effective": sets } });
    std::fs::write(&file, more.to_string()).expect("scratch is ours");
    let output = running.exec(&["--process", file.to_str().expect("it is text")], &[]);
    assert_eq!(super::text(&output.stdout), none, "{}", super::text(&output.stderr));
}

/// CVE-2016-3697: a number was looked up as a name in the image's passwd. CVE-2026-30892: `exec --user 1` was user 0.
#[test]
fn a_number_is_the_user_of_that_number() {
    let site = hostile("user", SLEEP);
    site.directory("etc");
    std::fs::write(site.root("etc/passwd"), "1:x:0:0:::\n1000:x:0:0:::\nroot:x:0:0:::\n").expect("scratch is ours");
    std::fs::write(site.root("etc/group"), "1:x:0:\n").expect("scratch is ours");
    let running = site.start();
    for (wish, said) in [("1", "1 0"), ("1000", "1000 0"), ("1:1", "1 1"), ("01", "1 0"), ("0", "0 0")] {
        let output = running.exec(&["--user", wish], &["sh", "-c", "echo $(id -u) $(id -g)"]);
        match is_root() || wish == "0" {
            true => assert_eq!(super::text(&output.stdout), format!("{said}\n"), "{wish}"),
            // It isn't mapped.
            false => assert!(!output.status.success(), "{wish}"),
        }
    }
    for wish in ["root", "0x0", "1:", ":1", "", "4294967296", "1:0:0", " 1"] {
        let output = running.exec(&["--user", wish], &["true"]);
        let said = super::text(&output.stderr);
        assert!(output.status.code() == Some(255) && said.contains("it is no UID[:GID]"), "{wish}: {said}");
    }
}

/// CVE-2020-15257: what is on the host's network reached a socket without a file, by which containers are ruled.
#[test]
fn no_socket_rules_a_container_but_one_in_its_private_directory() {
    let mut site = hostile("sockets", SLEEP);
    let namespaces = site.config["linux"]["namespaces"].as_array_mut().expect("it is a list");
    namespaces.retain(|one| one["type"] != "network");
    let running = site.made();
    let sockets = std::fs::read_to_string("/proc/net/unix").expect("it is there");
    let ours: Vec<_> = sockets.lines().filter(|line| line.contains('@')).filter(|line| line.contains("holm")).collect();
    assert_eq!(ours, Vec::<&str>::new());
    use std::os::unix::fs::PermissionsExt;
    let mode =
        |path: &str| std::fs::metadata(site.scratch.join(path)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!([mode("state"), mode(&format!("state/{}", site.id))], [0o700, 0o700]);
    drop(running);
}

/// As of CVE-2021-3602 and CVE-2020-14370: neither does a container get the environment of who makes it, nor does its own reach
/// the hooks and helpers that are run for it on the host.
#[test]
fn the_environments_of_caller_and_container_are_kept_apart() {
    let mut site = hostile("environment", "unset PWD; env | grep -v ^_=; true");
    let lines = ["PATH=/usr/bin", "LD_PRELOAD=/no/such.so", "BASH_ENV=/no/such", "NOTIFY_SOCKET_OWN=1"];
    site.config["process"]["env"] = json!(lines);
    let said = site.scratch.join("said");
    let script = format!("/usr/bin/env >{}", said.display());
    site.config["hooks"] = json!({ "createRuntime": [{ "path": "/bin/sh", "args": ["sh", "-c", script] }] });
    let place = site.written();
    let mut run = super::oci(&site.scratch);
    let output = run.args(["run", "-b", &place, &site.id]).env("HOLM_TEST_SECRET", "1").output().expect("holm starts");
    let mut told: Vec<String> = super::text(&output.stdout).lines().map(str::to_owned).collect();
    told.sort();
    // HOME is what the container's list of users says, and without one the root.
    let mut expected: Vec<&str> = lines.into_iter().chain(["HOME=/"]).collect();
    expected.sort_unstable();
    assert_eq!(told, expected, "{}", super::text(&output.stderr));
    let hook = std::fs::read_to_string(said).expect("it was run");
    // The hook has the caller's, as it was given none.
    assert!(hook.contains("HOLM_TEST_SECRET") && !hook.contains("LD_PRELOAD"), "{hook}");
}
