//! Hooks: where each kind runs, in which order, what it is told, and what becomes of a container when one fails.

use super::container::Container;
use super::patience::within;
use super::site::Site;
use super::{done, empty, oci, text};
use serde_json::{Value, json};
use std::path::PathBuf;

impl Site {
    fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// What a verb says when it fails; empty if it doesn't.
    fn hooked(&self, arguments: &[&str]) -> String {
        let mut command = oci(&self.scratch);
        command.args(arguments).arg(&self.id).current_dir(self.written());
        let (code, said) = self.said(command);
        assert_eq!(code == Some(0), said.is_empty(), "{arguments:?}: {said}");
        said
    }
}

fn hook(script: &str) -> Value {
    json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"], "timeout": 60 }])
}

#[test]
fn each_hook_runs_where_and_when_it_should() {
    let mut site = Site::new("hooks-all", "echo program >>/log");
    let (log, rootfs) = (site.path("rootfs/log"), site.path("rootfs"));
    let (log, rootfs) = (log.display(), rootfs.display());
    let own = std::fs::read_link("/proc/self/ns/mnt").expect("it is there");
    let own = own.display();
    let outside = |name: &str| {
        hook(&format!("test \"$(readlink /proc/self/ns/mnt)\" = {own} && echo {name} >>{log}; cat >{log}.{name}"))
    };
    site.config["hooks"] = json!({
        "prestart": outside("prestart"),
        "createRuntime": outside("createRuntime"),
        // The caller's root, the container's mounts: what is mounted in there shows where it is.
        "createContainer": hook(&format!(
            "test \"$(readlink /proc/self/ns/mnt)\" != {own} && grep -q ' {rootfs}/dev/pts ' /proc/self/mountinfo &&
             test $$ = 2 && test \"$PWD\" = {rootfs} && echo createContainer >>{log}; cat >{log}.createContainer"
        )),
        "startContainer": hook("test ! -e /rootfs && test -e /dev/pts && echo startContainer >>/log; cat >/log.startContainer"),
        "poststart": outside("poststart"),
        "poststop": outside("poststop"),
    });
    // The other one says nothing of its environment, and has that of the container's process.
    let start = site.config["hooks"]["startContainer"].as_array_mut().expect("it is a list");
    start.push(json!({ "path": "/usr/bin/sh", "args": ["sh", "-c", "echo path $PATH ${HOME-none} >>/log"] }));
    assert_eq!(site.hooked(&["create"]), "");
    assert_eq!(site.read("rootfs/log"), "prestart\ncreateRuntime\ncreateContainer\n");
    let pid =
        serde_json::from_slice::<Value>(&done(oci(&site.scratch), &["state", &site.id]).stdout).expect("it is JSON");
    let pid = pid["pid"].clone();
    assert_eq!(site.hooked(&["start"]), "");
    within(60, "its program runs", || site.read("rootfs/log").contains("program"));
    assert_eq!(site.hooked(&["delete", "--force"]), "");
    let lines = site.read("rootfs/log").replace("program\n", "");
    let all = "prestart\ncreateRuntime\ncreateContainer\nstartContainer\npath /usr/bin /\npoststart\npoststop\n";
    assert_eq!(lines, all);
    let told =
        |name: &str| -> Value { serde_json::from_str(&site.read(&format!("rootfs/log.{name}"))).expect("it was told") };
    assert!(told("createRuntime")["pid"].as_i64().is_some_and(|pid| pid > 1));
    // Statuses are those by what was asked for: the program has ended long before `poststart` has read anything.
    for (name, status) in [("prestart", "created"), ("createRuntime", "creating"), ("poststart", "running")] {
        let told = told(name);
        assert_eq!((told["status"].as_str(), &told["pid"]), (Some(status), &pid), "{name}");
    }
    for (name, status) in [("createContainer", "creating"), ("startContainer", "created")] {
        let told = told(name);
        assert_eq!(
            (told["status"].as_str(), told["pid"].as_i64(), told["id"].as_str()),
            (Some(status), Some(1), Some(&*site.id))
        );
    }
    assert!(empty(&site.path("state")));
}

#[test]
fn a_hook_that_fails_ends_the_container() {
    let mut site = Site::new("hooks-fail", "exec sleep 1000");
    let (gone, after) = (site.path("gone"), site.path("after"));
    let note = |file: &PathBuf| hook(&format!("echo >>{}", file.display()))[0].clone();
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let all = json!([{ "path": "/bin/true" }, { "path": "/bin/false" }, note(&after)]);
        site.config["hooks"] = json!({ kind: all, "poststop": [note(&gone)] });
        let said = site.hooked(&["create"]);
        let which = format!("error running {kind} hook #1: cannot run hook /bin/false: exit status: 1");
        assert!(said.contains(&which), "{kind}: {said}");
        assert!(gone.exists() && !after.exists() && empty(&site.path("state")), "{kind}");
        std::fs::remove_file(&gone).expect("it was made");
    }
    let slow = json!({ "path": "/usr/bin/sleep", "args": ["sleep", "1000"], "timeout": 1 });
    let missing = json!({ "path": "/no/such" });
    let wrong = json!({ "path": "/usr/bin/false" });
    for (kind, hook, said) in [
        ("startContainer", &slow, "cannot run hook /usr/bin/sleep: it takes longer than 1 s"),
        ("startContainer", &missing, "cannot run hook /no/such: cannot"),
        ("startContainer", &wrong, "cannot run hook /usr/bin/false: exit status: 1"),
        ("poststart", &wrong, "cannot run hook /usr/bin/false: exit status: 1"),
        ("poststart", &slow, "cannot run hook /usr/bin/sleep: it takes longer than 1 s"),
    ] {
        site.config["hooks"] =
            json!({ kind: [hook, note(&after)], "poststop": [{ "path": "/bin/false" }, note(&gone)] });
        assert_eq!(site.hooked(&["create"]), "");
        let found = site.hooked(&["start"]);
        assert!(found.contains(said), "{kind}: {found}");
        let state = done(oci(&site.scratch), &["state", &site.id]);
        assert!(text(&state.stdout).contains("\"status\": \"stopped\""), "{kind}: {}", text(&state.stdout));
        // What goes wrong afterwards is told, and everything else goes on.
        let deleted = done(oci(&site.scratch), &["delete", &site.id]);
        assert!(deleted.status.success() && text(&deleted.stderr).contains("cannot run hook /bin/false"), "{kind}");
        assert!(gone.exists() && !after.exists() && empty(&site.path("state")), "{kind}");
        std::fs::remove_file(&gone).expect("it was made");
    }
}

#[test]
fn the_time_of_a_hook_that_reads_nothing_counts_from_its_start() {
    let mut site = Site::new("hooks-deaf", "true");
    // Longer than what a pipe takes.
    site.config["annotations"] = json!({ "long": "a".repeat(200_000) });
    site.config["hooks"] =
        json!({ "createRuntime": [{ "path": "/usr/bin/sleep", "args": ["sleep", "100"], "timeout": 1 }] });
    let begin = std::time::Instant::now();
    let said = site.hooked(&["create"]);
    assert!(said.contains("it takes longer than 1 s") && begin.elapsed().as_secs() < 60, "{said}");
    let told = site.path("told");
    site.config["hooks"] =
        json!({ "createRuntime": [{ "path": "/bin/sh", "args": ["sh", "-c", format!("cat > {}", told.display())] }] });
    assert_eq!(site.hooked(&["create"]), "");
    assert_eq!(std::fs::read(&told).expect("it was written").iter().filter(|byte| **byte == b'a').count() / 200_000, 1);
}

#[test]
fn a_hook_that_is_none_is_refused() {
    let mut site = Site::new("hooks-refused", "true");
    for (hook, said) in [
        (json!({ "path": "bin/true" }), "it is not an absolute path"),
        (json!({ "path": "/bin/true", "timeout": 0 }), "its time must be greater than 0 seconds"),
        (json!({ "path": "/bin/true", "timeout": -1 }), "its time must be greater than 0 seconds"),
        (json!({ "path": "/bin/true", "env": ["A"] }), "\"A\" is no NAME=VALUE"),
    ] {
        for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
            site.config["hooks"] = json!({ kind: [hook] });
            let found = site.hooked(&["create"]);
            assert!(found.contains(said) && found.contains(&format!("from config.json: hooks.{kind}")), "{found}");
        }
    }
}

/// A hook runs in the container by a sealed program: nobody in there can look at holm's memory or program by it.
#[test]
fn a_hook_in_the_container_has_no_descriptor_but_its_own() {
    let list = "ls -l /proc/self/fd | grep -v '/proc/' | grep -vc -e ' 0 -> ' -e ' 1 -> ' -e ' 2 -> ' -e '^total' >/open; true";
    let container = Container::with("hook-open", "exec sleep 1000", |config| {
        config["hooks"] = json!({ "startContainer": hook(list) });
    });
    assert_eq!(container.says(&[], "cat /open"), "0\n");
}
