//! `holm oci update` and `events`: other limits for a container that runs, and what it uses.

use super::container::Container;
use super::patience::within;
use super::text;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use testkit::is_root;

const SLEEP: &str = "exec sleep 1000";

/// A container with limits; `None` for a user, who has no groups of their own here.
fn limited(name: &str) -> Option<Container> {
    if is_root() {
        return Some(Container::with(name, SLEEP, |config| {
            config["linux"]["resources"] = json!({ "memory": { "limit": 64 << 20 }, "pids": { "limit": 50 } });
        }));
    }
    let container = Container::new(name, SLEEP);
    let said = container.fails(1, &["update", "--pids-limit", "9", &container.id]);
    assert_eq!(said, format!("error: cannot update container {}: it has no control groups\n", container.id));
    None
}

impl Container {
    /// Its control groups.
    fn groups(&self) -> Vec<PathBuf> {
        let record = std::fs::read(self.scratch.join("state").join(&self.id).join("state.json")).expect("it is there");
        let record: Value = serde_json::from_slice(&record).expect("it is JSON");
        let listed = record["groups"].as_array().expect("they are listed").iter();
        listed.map(|group| group["directory"].as_str().expect("it is a path").into()).collect()
    }

    /// A file of its control groups, in whichever of them there is one.
    fn group_file(&self, names: [&str; 2]) -> Option<PathBuf> {
        let files = self.groups().into_iter().flat_map(|group| names.map(|name| group.join(name)));
        files.into_iter().find(|file| file.exists())
    }

    /// Changes its configuration, for a further one that is made of it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Value)) {
        let file = self.scratch.join("config.json");
        let mut config = serde_json::from_slice(&std::fs::read(&file).expect("it is there")).expect("it is JSON");
        change(&mut config);
        std::fs::write(&file, config.to_string()).expect("the scratch directory can be written");
    }

    fn limit(&self, names: [&str; 2]) -> String {
        let file = self.group_file(names).unwrap_or_else(|| panic!("no group has {names:?}"));
        std::fs::read_to_string(file).expect("it can be read").trim().to_owned()
    }
}

const MEMORY: [&str; 2] = ["memory.limit_in_bytes", "memory.max"];
const PIDS: [&str; 2] = ["pids.max", "pids.max"];

#[test]
fn limits_are_changed_while_it_runs_or_stay_as_they_were() {
    let Some(container) = limited("update") else { return };
    let id = container.id.as_str();
    container.succeeds(&["update", "--memory", "128M", "--pids-limit", "70", id]);
    assert_eq!((container.limit(MEMORY), container.limit(PIDS)), ((128 << 20).to_string(), "70".to_owned()));
    let file = container.scratch.join("resources.json");
    let resources = json!({ "memory": { "limit": 96 << 20 }, "pids": { "limit": -1 } });
    std::fs::write(&file, resources.to_string()).expect("the scratch directory can be written");
    container.succeeds(&["update", "-r", file.to_str().expect("it is text"), id]);
    assert_eq!((container.limit(MEMORY), container.limit(PIDS)), ((96 << 20).to_string(), "max".to_owned()));
    let mut by_input = container.command(&["update", id, "--resources", "-"]);
    let mut by_input = by_input.stdin(Stdio::piped()).spawn().expect("holm starts");
    by_input.stdin.take().expect("it is a pipe").write_all(br#"{ "pids": { "limit": 60 } }"#).expect("it reads");
    assert!(by_input.wait().expect("it is ours").success());
    assert_eq!(container.limit(PIDS), "60");
    // What can't be set takes back what was.
    let said = container.fails(1, &["update", "--pids-limit", "61", "--cpuset-cpus", "4095", id]);
    assert!(said.starts_with("error: cannot write \"4095\" to "), "{said}");
    assert_eq!(container.limit(PIDS), "60");
    std::fs::write(&file, r#"{ "unified": { "nothing": "1" } }"#).expect("the scratch directory can be written");
    let said = container.fails(1, &["update", "-r", file.to_str().expect("it is text"), id]);
    assert!(said.starts_with("error: cannot set nothing: ") && said.contains("from linux.resources.unified"), "{said}");
    for (arguments, expected) in [
        (vec!["update", id], "cannot update nothing: no option says a limit"),
        (vec!["update", "--memory", "much", id], "cannot use the value of --memory much: \"much\" is no size"),
        (vec!["update", "--resources", "/no/such", id], "cannot use /no/such: no such file or directory"),
    ] {
        let said = container.fails(1, &arguments);
        assert!(said.starts_with(&format!("error: {expected}")), "{said}");
    }
    for option in ["--l3-cache-schema=L3:0=f", "--mem-bw-schema=MB:0=20"] {
        let said = container.fails(1, &["update", option, "--pids-limit", "61", id]);
        let cause = "it has no resctrl group: it was made without linux.intelRdt";
        assert_eq!(said, format!("error: cannot update container {id}: {cause}\n"));
        assert_eq!(container.limit(PIDS), "60");
    }
    if let Some(cpu) = container.group_file(["cpu.cfs_quota_us", "cpu.max"]) {
        container.succeeds(&["update", "--cpu-quota", "20000", "--cpu-period", "50000", id]);
        container.succeeds(&["update", "--cpu-quota", "30000", id]);
        let now = std::fs::read_to_string(&cpu).expect("it can be read");
        assert!(["30000", "30000 50000"].contains(&now.trim()), "{now}");
    }
    const BURST: [&str; 2] = ["cpu.cfs_burst_us", "cpu.max.burst"];
    if container.group_file(BURST).is_some() {
        for burst in ["10000", "0"] {
            container.succeeds(&["update", "--cpu-burst", burst, id]);
            assert_eq!(container.limit(BURST), burst);
        }
    }
    const SWAP: [&str; 2] = ["memory.memsw.limit_in_bytes", "memory.swap.max"];
    if container.group_file(SWAP).is_some() {
        container.succeeds(&["update", "--memory-swap", "160M", id]);
        // Both together could not be less than memory alone.
        container.succeeds(&["update", "--memory", "-1", id]);
        let none = ["9223372036854771712", "max"];
        let now = [container.limit(MEMORY), container.limit(SWAP)];
        assert!(now.iter().all(|limit| none.contains(&limit.as_str())), "{now:?}");
    }
}

#[test]
fn a_container_and_what_is_run_in_it_have_a_group_in_every_hierarchy() {
    let Some(container) = limited("groups") else { return };
    let own = std::fs::read_to_string("/proc/self/cgroup").expect("it is there");
    let of_init = std::fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("it runs");
    assert_eq!(of_init.lines().count(), own.lines().count());
    assert!(of_init.lines().all(|line| line.ends_with(&container.id)), "{of_init}");
    assert_eq!(container.says(&[], "cat /proc/self/cgroup"), of_init);
}

#[test]
fn nobody_is_moved_into_a_group_of_version_2() {
    let Some(container) = limited("born") else { return };
    if !container.groups().iter().any(|group| group.join("cgroup.controllers").exists()) {
        return;
    }
    container.change(|config| config["process"]["args"] = json!(["true"]));
    let (trace, place) = (container.scratch.join("trace"), container.scratch.path());
    let mut traced = Command::new("strace");
    let run = container.command(&["run", "--bundle"]);
    traced
        .args(["-f", "-y", "-e", "trace=clone3,write", "-o"])
        .arg(&trace)
        .arg(run.get_program())
        .arg("oci")
        .args(run.get_args());
    assert!(traced.arg(place).arg(format!("{}-2", container.id)).status().expect("test.sh installs it").success());
    let trace = std::fs::read_to_string(trace).expect("it is there");
    let born = |line: &str| line.contains("CLONE_INTO_CGROUP") && !line.contains(" = -1 ");
    assert!(trace.lines().any(born), "{trace}");
    let unified = container.groups().into_iter().find(|group| group.join("cgroup.controllers").exists());
    let unified = unified.and_then(|group| Some(group.parent()?.to_owned())).expect("it has one");
    let moved = |line: &str| line.contains(&*unified.to_string_lossy()) && line.contains("/cgroup.procs>");
    assert!(!trace.lines().any(moved), "{trace}");
}

#[test]
fn what_a_container_uses_is_told_until_it_ends() {
    let Some(container) = limited("events") else { return };
    let id = container.id.as_str();
    let told: Value = serde_json::from_str(&container.succeeds(&["events", "--stats", id])).expect("it is JSON");
    assert_eq!((told["type"].as_str(), told["id"].as_str()), (Some("stats"), Some(id)));
    let data = &told["data"];
    assert_eq!((data["pids"]["current"].as_u64(), data["pids"]["limit"].as_u64()), (Some(1), Some(50)), "{data}");
    assert_eq!(data["memory"]["usage"]["limit"].as_u64(), Some(64 << 20), "{data}");
    assert!(data["memory"]["usage"]["usage"].as_u64() > Some(0), "{data}");
    assert!(data["cpu"]["usage"]["total"].as_u64() > Some(0), "{data}");
    let mut events = container.command(&["events", "--interval", "20ms", id]);
    let mut events = events.stdout(Stdio::piped()).spawn().expect("holm starts");
    let mut lines = BufReader::new(events.stdout.take().expect("it is a pipe")).lines();
    let mut next = || lines.next().map(|line| line.expect("it can be read"));
    let kind =
        |line: &str| serde_json::from_str::<Value>(line).expect("it is JSON")["type"].as_str().map(str::to_owned);
    assert_eq!(next().as_deref().and_then(kind).as_deref(), Some("stats"));
    // Out of memory: the shell's own variable takes more than there is.
    let output = container.exec(&[], "x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done");
    assert_eq!(output.status.code(), Some(137), "{}", text(&output.stderr));
    while let Some(line) = next()
        && kind(&line).as_deref() != Some("oom")
    {}
    container.succeeds(&["kill", id, "KILL"]);
    let mut code = None;
    within(20, "it ends with the container", || {
        code = events.try_wait().expect("it is ours");
        code.is_some()
    });
    assert!(code.is_some_and(|code| code.success()));
    let said = container.fails(1, &["events", id]);
    assert_eq!(said, format!("error: cannot watch container {id}: container not running\n"));
}

#[test]
fn a_group_that_holds_others_is_no_containers() {
    let Some(container) = limited("shared-group") else { return };
    let place = container.scratch.join(".");
    let text = std::fs::read_to_string(container.scratch.join("config.json")).expect("it is there");
    let mut config: Value = serde_json::from_str(&text).expect("it is JSON");
    config["linux"]["cgroupsPath"] = json!(format!("/{}", container.id));
    std::fs::write(container.scratch.join("config.json"), config.to_string())
        .expect("the scratch directory can be written");
    let said = container.fails(1, &["create", "-b", place.to_str().expect("it is text"), "other"]);
    assert!(said.starts_with("error: cannot make container other: container's cgroup is not empty: "), "{said}");
}

/// Groups of a test; removed with it.
struct Groups(Vec<PathBuf>);

impl Groups {
    /// Beside each of a container's.
    fn beside(container: &Container, name: &str) -> Groups {
        let at = |group: PathBuf| group.with_file_name(format!("holm-test-{name}-{}", std::process::id()));
        let all: Vec<PathBuf> = container.groups().into_iter().map(at).collect();
        all.iter().for_each(|group| std::fs::create_dir(group).expect("root may make it"));
        Groups(all)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for group in &self.0 {
            let _ = std::fs::remove_dir(group.join("inner"));
            let removed = std::fs::remove_dir(group);
            assert!(std::thread::panicking() || removed.is_ok(), "{}: {removed:?}", group.display());
        }
    }
}

fn without_pid_namespace(config: &mut Value) {
    let namespaces = config["linux"]["namespaces"].as_array_mut().expect("it is a list");
    namespaces.retain(|one| one["type"] != "pid");
}

#[test]
fn groups_that_were_there_before_stay_and_none_is_everybodys() {
    let Some(container) = limited("found-group") else { return };
    let place = container.scratch.join(".").display().to_string();
    let found = Groups::beside(&container, "found");
    let name = found.0[0].file_name().and_then(|name| name.to_str()).expect("it is text").to_owned();
    let other = format!("{name}-c");
    let make = || {
        let mut make = container.command(&["create", "-b", &place, &other]);
        assert!(make.stdout(Stdio::null()).status().expect("holm starts").success());
        container.succeeds(&["start", &other]);
    };
    // In version 1 of control groups one that never had anybody in it has no CPUs for those below. In version 2 alone one that has had
    // limited groups below it takes nobody in any more.
    if found.0.iter().any(|group| group.join("tasks").exists()) {
        container.change(|config| config["linux"]["cgroupsPath"] = json!(format!("{name}/inner")));
        make();
        container.succeeds(&["delete", "--force", &other]);
        assert!(found.0.iter().all(|group| group.exists() && !group.join("inner").exists()));
    }
    container.change(|config| config["linux"]["cgroupsPath"] = json!(name));
    let inner = found.0[0].join("inner");
    std::fs::create_dir(&inner).expect("root may make it");
    let said = container.fails(1, &["create", "-b", &place, &other]);
    assert!(said.contains("container's cgroup is not empty: ") && inner.exists(), "{said}");
    container.fails(1, &["run", "-b", &place, &other]);
    assert!(inner.exists());
    std::fs::remove_dir(&inner).expect("nobody is in it");
    make();
    container.succeeds(&["delete", "--force", &other]);
    assert!(found.0.iter().all(|group| group.exists()));
    // All in it were killed at once, after which Linux 6.18 kills whoever is started in it by another group's process. Who is in such a group may be anybody's.
    container.change(|config| {
        without_pid_namespace(config);
        config["process"]["args"] = json!(["sh", "-c", "sleep 1001 & exec sleep 1000"]);
    });
    make();
    let count = || std::fs::read_to_string(found.0[0].join("cgroup.procs")).expect("it can be read").lines().count();
    within(20, "both have begun", || count() == 2);
    container.succeeds(&["kill", &other, "TERM"]);
    within(20, "one has ended", || count() == 1);
    let said = container.fails(1, &["delete", "--force", &other]);
    assert!(said.contains(", which was there before it; kill --all ends them") && count() == 1, "{said}");
    container.succeeds(&["kill", "--all", &other, "KILL"]);
    container.succeeds(&["delete", &other]);
    // One that was missing in one hierarchy alone was made there.
    std::fs::remove_dir(&found.0[0]).expect("nobody is in it");
    make();
    assert!(found.0[0].exists());
    container.succeeds(&["delete", "--force", &other]);
    assert!(!found.0[0].exists() && found.0[1..].iter().all(|group| group.exists()));
    std::fs::create_dir(&found.0[0]).expect("root may make it");
    container.change(|config| config["linux"]["cgroupsPath"] = json!("/"));
    let said = container.fails(1, &["create", "-b", &place, &other]);
    assert!(said.contains("cannot use control group /: it is everybody's"), "{said}");
}

#[test]
fn without_a_pid_namespace_everybody_ends_with_the_container() {
    if !is_root() {
        // Nobody knows who is in there but by control groups.
        return;
    }
    let container = Container::with("strays", "sleep 1001 & sleep 1002 & exec sleep 1000", without_pid_namespace);
    let id = container.id.as_str();
    let pids = || serde_json::from_str::<Vec<i32>>(&container.succeeds(&["ps", "-f", "json", id])).expect("it is JSON");
    within(20, "all have begun", || pids().len() == 3);
    let all = pids();
    container.succeeds(&["kill", id, "TERM", "--all"]);
    within(20, "all end", || pids().is_empty());
    assert!(all.iter().all(|pid| !PathBuf::from(format!("/proc/{pid}/exe")).exists()));
    let other = Container::with("strays-kill", "sleep 1001 & exec sleep 1000", without_pid_namespace);
    let pids =
        || serde_json::from_str::<Vec<i32>>(&other.succeeds(&["ps", "-f", "json", &other.id])).expect("it is JSON");
    within(20, "all have begun", || pids().len() == 2);
    other.succeeds(&["kill", &other.id, "KILL"]);
    assert!(pids().is_empty());
    let more = Container::with("strays-delete", "sleep 1001 & exec sleep 1000", |config| {
        config["linux"]["namespaces"] = json!([{ "type": "mount" }]);
    });
    let mut beside = more.command(&["exec", "-d", &more.id, "sleep", "1002"]);
    assert!(beside.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("holm starts").success());
    let pids =
        || serde_json::from_str::<Vec<i32>>(&more.succeeds(&["ps", "-f", "json", &more.id])).expect("it is JSON");
    within(20, "all have begun", || pids().len() == 3);
    let (all, groups) = (pids(), more.groups());
    more.succeeds(&["delete", "--force", &more.id]);
    assert!(all.iter().all(|pid| !PathBuf::from(format!("/proc/{pid}/exe")).exists()));
    assert!(!groups.is_empty() && groups.iter().all(|group| !group.exists()));
}

#[test]
fn where_a_pid_namespace_is_joined_everybody_ends_by_a_kill() {
    if !is_root() {
        // Nobody knows who is in there but by control groups.
        return;
    }
    let owner = Container::new("pid-owner", SLEEP);
    let guest = Container::with("pid-guest", "sleep 1001 & exec sleep 1000", |config| {
        let path = format!("/proc/{}/ns/pid", owner.pid());
        config["linux"]["namespaces"] = json!([{ "type": "mount" }, { "type": "pid", "path": path }]);
    });
    let pids =
        || serde_json::from_str::<Vec<i32>>(&guest.succeeds(&["ps", "-f", "json", &guest.id])).expect("it is JSON");
    within(20, "all have begun", || pids().len() == 2);
    guest.succeeds(&["kill", &guest.id, "KILL"]);
    assert!(pids().is_empty());
    assert_eq!(owner.state()["status"], "running");
}

/// In version 1 they are files, as all limits that stay in such a group.
#[test]
fn a_group_of_version_2_that_stays_uses_devices_as_before() {
    let Some(container) = limited("devices-before") else { return };
    if !container.groups()[0].join("cgroup.controllers").exists() {
        return;
    }
    let found = Groups::beside(&container, "found-devices");
    let name = found.0[0].file_name().and_then(|name| name.to_str()).expect("it is text").to_owned();
    let place = container.scratch.join(".").display().to_string();
    let other = format!("{name}-c");
    let opens = || {
        let script = format!("echo $$ >{}/cgroup.procs && : </dev/kmsg", found.0[0].display());
        std::process::Command::new("sh").args(["-c", &script]).status().expect("sh starts").success()
    };
    assert!(opens());
    container.change(|config| config["linux"]["cgroupsPath"] = json!(name));
    let mut make = container.command(&["create", "-b", &place, &other]);
    assert!(make.stdout(Stdio::null()).status().expect("holm starts").success());
    container.succeeds(&["kill", &other, "KILL"]);
    within(20, "it has ended", || !holds_somebody(&found.0[0]));
    assert!(!opens(), "the container's rules hold");
    container.succeeds(&["delete", "--force", &other]);
    assert!(opens(), "they went with it");
    // What fails half-way leaves none either.
    container.change(|config| config["process"]["args"] = json!(["/no/such"]));
    container.fails(1, &["create", "-b", &place, &other]);
    assert!(opens());
}

/// Whether somebody is in a group.
fn holds_somebody(group: &std::path::Path) -> bool {
    std::fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|text| !text.is_empty())
}

/// Whoever makes nodes opens none but those that the rules allow.
#[test]
fn devices_that_no_rule_allows_cannot_be_opened() {
    if !is_root() {
        // In a user namespace no nodes can be made.
        return;
    }
    let opened = |name: &str, resources: Value| {
        let container = Container::with(name, SLEEP, |config| {
            let sets = json!(["CAP_MKNOD", "CAP_SYSLOG"]);
            config["process"]["capabilities"] = json!({ "bounding": sets, "permitted": sets, "effective": sets });
            config["linux"]["resources"] = resources;
        });
        let script = "cd /dev; mknod kmsg c 1 11; mknod fuse c 10 229; \
            for name in null kmsg fuse; do (: <$name) && echo $name; done; true";
        container.says(&[], script)
    };
    let deny = json!({ "allow": false });
    assert_eq!(opened("devices-none", json!({})), "null\n");
    assert_eq!(opened("devices-empty", json!({ "devices": [] })), "null\n");
    let read = json!({ "allow": true, "major": 1, "minor": 3, "access": "r" });
    assert_eq!(opened("devices-any", json!({ "devices": [deny, read] })), "null\n");
    let kmsg = json!({ "allow": true, "type": "c", "major": 1, "minor": 11, "access": "r" });
    assert_eq!(opened("devices-one", json!({ "devices": [deny, kmsg] })), "null\nkmsg\n");
    let refused = json!({ "allow": false, "type": "c", "major": 1, "minor": 3 });
    assert_eq!(opened("devices-less", json!({ "devices": [deny, kmsg, refused] })), "kmsg\n");
}

#[test]
fn a_bundle_is_explained_and_nothing_is_done() {
    let container = Container::new("explain", SLEEP);
    let place = container.scratch.join(".");
    let said = container.succeeds(&["explain", place.to_str().expect("it is text")]);
    assert!(said.contains("bind /usr on /usr") && said.contains("(from config.json: "), "{said}");
    let said = container.succeeds(&["explain", "-f", "json", place.to_str().expect("it is text")]);
    let steps: Value = serde_json::from_str(&said).expect("it is JSON");
    assert!(steps["steps"].as_array().is_some_and(|steps| steps.len() > 10), "{said}");
}
