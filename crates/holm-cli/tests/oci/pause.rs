//! `holm oci pause`, `resume` and `ps`.

use super::container::Container;
use super::patience::within;
use std::process::Stdio;
use std::time::Duration;
use testkit::is_root;

const SLEEP: &str = "exec sleep 1000";

/// Whether this machine has what stops a group; a user without groups has none.
fn can_pause(container: &Container) -> bool {
    let can = is_root();
    if !can {
        let said = container.fails(1, &["pause", &container.id]);
        let cause = "it has no control group that can stop everybody in it";
        assert_eq!(said, format!("error: cannot pause container {}: {cause}\n", container.id));
    }
    can
}

#[test]
fn a_paused_container_stands_still_takes_nobody_in_and_goes_on() {
    let container = Container::new("pause", "while :; do echo >>/dev/ticks; sleep 0.01; done");
    let id = container.id.as_str();
    assert_eq!(
        container.fails(1, &["resume", id]),
        format!("error: cannot resume container {id}: container not paused\n")
    );
    if !can_pause(&container) {
        return;
    }
    let ticks = format!("/proc/{}/root/dev/ticks", container.pid());
    let count = || std::fs::read(&ticks).map_or(0, |text| text.len());
    within(20, "it works", || count() > 0);
    container.succeeds(&["pause", id]);
    assert_eq!(container.state()["status"], "paused");
    let before = count();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(count(), before);
    assert_eq!(
        container.fails(1, &["pause", id]),
        format!("error: cannot pause container {id}: it is paused already\n")
    );
    let refused = "cannot exec in a paused container (use --ignore-paused to override)";
    assert_eq!(
        container.fails(255, &["exec", id, "true"]),
        format!("error: cannot exec in container {id}: {refused}\n")
    );
    let running = format!("error: cannot delete container {id} that is not stopped: paused\n");
    assert_eq!(container.fails(1, &["delete", id]), running);
    let mut waits = container.command(&["exec", "--ignore-paused", id, "sh", "-c", "exit 3"]);
    let mut waits = waits.stdout(Stdio::null()).spawn().expect("holm starts");
    std::thread::sleep(Duration::from_millis(100));
    assert!(waits.try_wait().expect("it is ours").is_none(), "it waits");
    container.succeeds(&["resume", id]);
    assert_eq!(waits.wait().expect("it is ours").code(), Some(3));
    assert_eq!(container.state()["status"], "running");
    let now = count();
    within(20, "it goes on", || count() > now);
}

#[test]
fn a_paused_container_can_be_killed_and_removed() {
    let container = Container::new("pause-kill", SLEEP);
    if !can_pause(&container) {
        return;
    }
    container.succeeds(&["pause", &container.id]);
    container.succeeds(&["kill", &container.id, "KILL"]);
    within(20, "it ends", || container.state()["status"] == "stopped");
    let other = Container::new("pause-delete", SLEEP);
    other.succeeds(&["pause", &other.id]);
    other.succeeds(&["delete", "--force", &other.id]);
}

#[test]
fn everybody_in_a_container_is_listed() {
    let container = Container::new("ps", "sleep 1001 & exec sleep 1000");
    let id = container.id.as_str();
    let mut more = container.command(&["exec", "-d", id, "sleep", "1002"]);
    assert!(more.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("holm starts").success());
    let pids =
        || serde_json::from_str::<Vec<i32>>(&container.succeeds(&["ps", "--format", "json", id])).expect("it is JSON");
    within(20, "all have begun", || pids().len() == 3);
    assert!(pids().contains(&(container.pid() as i32)));
    let table = container.succeeds(&["ps", id]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.len() == 4 && lines[0].starts_with("UID"), "{table}");
    let table = container.succeeds(&["ps", id, "-o", "pid,args", "-e"]);
    for sleep in ["sleep 1000", "sleep 1001", "sleep 1002"] {
        assert!(table.lines().any(|line| line.ends_with(sleep)), "{table}");
    }
    let said = container.fails(1, &["ps", id, "-o", "args", "-e"]);
    assert_eq!(said, "error: cannot read what ps says: it has no column PID\n");
}

/// Whoever made or started the container waits for the hook.
#[test]
fn a_hook_may_do_something_with_its_container() {
    let hook = |name: &str, verb: &str| {
        let place = format!("/tmp/holm-test-{}-oci-{name}/state", std::process::id());
        let line = format!("{} oci --root {place} {verb}", testkit::holm().display());
        serde_json::json!([{ "path": "/bin/sh", "args": ["sh", "-c", line], "timeout": 20, "env": ["PATH=/usr/bin:/bin"] }])
    };
    let id = |name: &str| format!("holm-test-{name}-{}", std::process::id());
    let container = Container::with("hook-kill", SLEEP, |config| {
        let name = "hook-kill";
        let early = format!("start {}; test $? = 1", id(name));
        config["hooks"] = serde_json::json!({ "createRuntime": hook(name, &early),
            "poststart": hook(name, &format!("kill {} KILL", id(name))) });
    });
    within(20, "the hook has killed it", || container.state()["status"] == "stopped");
    let file = container.scratch.join("config.json");
    let mut config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).expect("it is there")).expect("it is JSON");
    config["hooks"] = serde_json::json!({ "createRuntime": hook("hook-kill", "delete --force other") });
    std::fs::write(&file, config.to_string()).expect("the scratch directory can be written");
    let place = container.scratch.join(".").display().to_string();
    let said = container.fails(1, &["create", "-b", &place, "other"]);
    assert!(said.contains("cannot make container other: it was removed meanwhile"), "{said}");
    assert!(!container.scratch.join("state/other").exists());
}
