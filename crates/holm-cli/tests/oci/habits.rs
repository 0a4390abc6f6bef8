//! What engines and their users are used to: forms of output, variables, directories, and what is forgiven.

use super::container::Container;
use super::site::Site;
use super::{bundle, done, oci, text};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use testkit::{Scratch, is_root};

/// What a container prints whose configuration was changed, and what it is told on standard error.
fn run(name: &str, script: &str, change: impl FnOnce(&mut Value, &Scratch)) -> (String, String) {
    let mut site = Site::new(name, script);
    change(&mut site.config, &site.scratch);
    let output = done(oci(&site.scratch), &["run", "-b", &site.written(), &site.id]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_configuration_to_begin_with_has_few_rights() {
    let scratch = Scratch::new("oci-spec");
    for (arguments, kinds) in [(&["spec"][..], "network"), (&["spec", "--rootless"], "user")] {
        let mut command = oci(&scratch);
        command.current_dir(scratch.join("."));
        let output = done(command, arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let written = std::fs::read(scratch.join("config.json")).expect("it was written");
        let config: Value = serde_json::from_slice(&written).expect("it is JSON");
        let rights = &config["process"]["capabilities"];
        assert_eq!((rights.get("inheritable"), rights.get("ambient")), (None, None));
        let namespaces = config["linux"]["namespaces"].as_array().expect("they are there");
        assert!(namespaces.contains(&json!({ "type": kinds })), "{namespaces:?}");
        std::fs::remove_file(scratch.join("config.json")).expect("scratch is ours");
    }
}

#[test]
fn what_is_left_out_or_unknown_of_a_process_is_forgiven() {
    let script = "id -u; grep CapBnd /proc/self/status";
    let (said, told) = run("forgiven", script, |config, _| {
        config["process"].as_object_mut().expect("it is one").remove("user");
        config["process"]["capabilities"] =
            json!({ "bounding": ["CAP_KILL", "CAP_OF_TOMORROW"], "ambient": ["CAP_KILL"] });
    });
    assert_eq!(said, "0\nCapBnd:\t0000000000000020\n");
    assert!(told.contains("unknown capability \"CAP_OF_TOMORROW\" is ignored"), "{told}");
    assert!(told.contains("can't raise ambient capability CAP_KILL: "), "{told}");
    let container = Container::new("forgiven-exec", "exec sleep 1000");
    let output = container.exec(&["--cap", "CAP_OF_TOMORROW"], "echo $0");
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("sh\n", Some(0)), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("unknown capability \"CAP_OF_TOMORROW\" is ignored"));
}

#[test]
fn a_directory_is_entered_by_whose_rights_do() {
    if !is_root() {
        return;
    }
    for (owner, mode) in [(0, 0o700), (42, 0o700)] {
        let (said, _) = run("directory", "pwd", |config, scratch| {
            let directory = scratch.join("rootfs/own");
            std::fs::create_dir_all(&directory).expect("scratch is ours");
            std::fs::set_permissions(&directory, PermissionsExt::from_mode(mode)).expect("scratch is ours");
            std::os::unix::fs::chown(&directory, Some(owner), Some(owner)).expect("root may");
            config["process"]["user"] = json!({ "uid": 42, "gid": 42 });
            config["process"]["cwd"] = json!("/own");
        });
        assert_eq!(said, "/own\n", "of {owner}");
    }
}

#[test]
fn a_container_runs_on_all_cpus_whatever_its_maker_runs_on() {
    let all = std::fs::read_to_string("/proc/self/status").expect("it is there");
    let list =
        |status: &str| status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t")).map(str::to_owned);
    let scratch = Scratch::new("oci-cpus");
    bundle(&scratch, "grep Cpus_allowed_list: /proc/self/status");
    let first = rustix::thread::sched_getaffinity(None).expect("it is known");
    let first = (0..rustix::thread::CpuSet::MAX_CPU).find(|&cpu| first.is_set(cpu)).expect("it runs somewhere");
    let made = oci(&scratch);
    let mut command = Command::new("taskset");
    command.args(["-c", &first.to_string()]).arg(made.get_program()).arg("oci");
    command
        .args(made.get_args())
        .arg("run")
        .arg("-b")
        .arg(scratch.join("."))
        .arg(format!("holm-test-cpus-{}", std::process::id()));
    let output = command.stdin(Stdio::null()).output().expect("taskset starts");
    assert_eq!(list(&text(&output.stdout)), list(&all), "{}", text(&output.stderr));
}

#[test]
fn lists_and_events_are_a_line_each_as_engines_read_them() {
    let container = Container::new("lines", "exec sleep 1000");
    let listed = container.succeeds(&["list", "--format", "json"]);
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert!(listed.starts_with("[{\"ociVersion\":\""), "{listed}");
    let told = container.succeeds(&["events", "--stats", &container.id]);
    assert!(told.starts_with(&format!("{{\"type\":\"stats\",\"id\":\"{}\",\"data\":{{", container.id)), "{told}");
}

#[test]
fn lines_of_a_terminal_end_plainly_where_no_terminal_shows_them() {
    let (said, _) = run("plain", "test -t 1 && echo terminal", |config, _| config["process"]["terminal"] = json!(true));
    assert_eq!(said, "terminal\n");
}

#[test]
fn what_is_mounted_on_a_link_that_leads_nowhere_is_where_it_leads() {
    let (said, _) = run("link", "cat /run/resolve/conf /etc/conf; readlink /etc/conf", |config, scratch| {
        std::fs::create_dir_all(scratch.join("rootfs/etc")).expect("scratch is ours");
        symlink("../../../run/resolve/conf", scratch.join("rootfs/etc/conf")).expect("scratch is ours");
        std::fs::write(scratch.join("conf"), "said\n").expect("scratch is ours");
        let mount = json!({ "destination": "/etc/conf", "source": "conf", "options": ["bind"] });
        config["mounts"].as_array_mut().expect("it is a list").push(mount);
    });
    assert_eq!(said, "said\nsaid\n../../../run/resolve/conf\n");
}

#[test]
fn directories_are_hidden_by_one_empty_one() {
    let script = "stat -c %d /a /b | uniq | wc -l; ls /a /b; touch /a/x 2>/dev/null || echo no";
    let (said, _) = run("masks", script, |config, scratch| {
        for name in ["a", "b"] {
            std::fs::create_dir_all(scratch.join("rootfs").join(name).join("within")).expect("scratch is ours");
        }
        config["linux"]["maskedPaths"] = json!(["/a", "/b"]);
    });
    assert_eq!(said, "1\n/a:\n\n/b:\nno\n");
}

#[test]
fn a_signal_asks_whether_it_runs_and_a_kill_ends_who_outlived_the_first_one() {
    let container = Container::new("asked", "exec sleep 1000");
    container.succeeds(&["kill", &container.id, "0"]);
    container.succeeds(&["kill", &container.id, "KILL"]);
    super::patience::within(10, "it ends", || container.state()["status"] == "stopped");
    assert!(container.fails(1, &["kill", &container.id, "0"]).contains("container not running"));
    if !is_root() {
        return;
    }
    let beside = Container::with("outlived", "sleep 1000 & exec sleep 1000", |config| {
        let namespaces = config["linux"]["namespaces"].as_array_mut().expect("it is a list");
        namespaces.retain(|one| one["type"] != "pid");
    });
    let first = beside.pid();
    let others = || -> Vec<u32> {
        serde_json::from_str(&beside.succeeds(&["ps", "-f", "json", &beside.id])).expect("it is JSON")
    };
    super::patience::within(10, "it ends", || others().len() == 2);
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(first as i32).expect("it is one"),
        rustix::process::Signal::KILL,
    )
    .expect("it runs");
    super::patience::within(10, "it ends", || others().len() == 1);
    beside.succeeds(&["kill", &beside.id, "KILL"]);
    super::patience::within(10, "it ends", || others().is_empty());
}

#[test]
fn a_program_whose_interpreter_is_missing_is_told_from_a_missing_one() {
    let container = Container::new("interpreter", "exec sleep 1000");
    let program = container.scratch.join("rootfs/run.sh");
    std::fs::write(&program, "#!/no/such/shell\n").expect("scratch is ours");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("scratch is ours");
    assert!(
        container.fails(255, &["exec", &container.id, "/run.sh"]).contains("exec /run.sh: no such file or directory")
    );
    let said = container.fails(255, &["exec", &container.id, "/missing"]);
    assert!(said.contains("executable file `/missing` not found in $PATH"), "{said}");
}

#[test]
fn whoever_listens_gets_a_descriptor_of_the_process() {
    let scratch = Scratch::new("oci-pidfd");
    let place = scratch.join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&place).expect("scratch is ours");
    let container = Container::new("pidfd", "exec sleep 1000");
    let socket = place.to_str().expect("it is text");
    let mut command = container.command(&["exec", "-d", "--pidfd-socket", socket, &container.id, "sleep", "1000"]);
    assert!(command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("holm starts").success());
    let (taken, _) = listener.accept().expect("it was connected");
    let process = super::exec::receive(&taken);
    rustix::process::pidfd_send_signal(&process, rustix::process::Signal::KILL).expect("it is a process's");
    let mut ended = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut ended, None).expect("it can be waited for");
    let refused = container.fails(255, &["exec", "--pidfd-socket", "/no/such/socket", &container.id, "true"]);
    assert!(refused.contains("cannot use pidfd socket /no/such/socket: no such file"), "{refused}");
}

#[test]
fn a_further_process_sees_the_same_machine() {
    let container = Container::with("machine", "exec sleep 1000", |config| {
        config["linux"]["personality"] = json!({ "domain": "LINUX32" });
    });
    assert_eq!(container.says(&[], "uname -m"), "i686\n");
}

#[test]
fn sockets_of_a_service_manager_are_passed_on() {
    let scratch = Scratch::new("oci-listening");
    bundle(&scratch, "echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES; cat <&3; test ! -e /proc/self/fd/4 || echo more");
    std::fs::write(scratch.join("passed"), "read\n").expect("scratch is ours");
    let made = oci(&scratch);
    let mut command = Command::new("sh");
    let script = "program=$1; shift; LISTEN_FDS=1 LISTEN_FDNAMES=web exec \"$program\" oci \"$@\" 3<\"$0\" 4</dev/null";
    command.args(["-c", script]).arg(scratch.join("passed")).arg(made.get_program()).args(made.get_args());
    command.arg("run").arg("-b").arg(scratch.join(".")).arg(format!("holm-test-listening-{}", std::process::id()));
    let output = command.stdin(Stdio::null()).output().expect("sh starts");
    assert_eq!(text(&output.stdout), "1 1 web\nread\n", "{}", text(&output.stderr));
}

#[test]
fn a_configuration_can_be_another_file() {
    let scratch = Scratch::new("oci-config");
    bundle(&scratch, "echo other");
    std::fs::rename(scratch.join("config.json"), scratch.join("other.json")).expect("scratch is ours");
    let mut command = oci(&scratch);
    command.arg("run").arg("-b").arg(scratch.join(".")).args(["--config", "other.json"]);
    let output = done(command, &[&format!("holm-test-config-{}", std::process::id())]);
    assert_eq!(text(&output.stdout), "other\n", "{}", text(&output.stderr));
}

#[test]
fn nothing_is_made_in_a_control_group_that_stands_still() {
    let hierarchy = ["/sys/fs/cgroup/freezer", "/sys/fs/cgroup"].into_iter().find(|place| {
        let file = if place.ends_with("freezer") { "tasks" } else { "cgroup.subtree_control" };
        std::path::Path::new(place).join(file).exists()
    });
    let Some(place) = hierarchy.filter(|_| is_root()) else { return };
    let name = format!("holm-test-still-{}", std::process::id());
    let group = std::path::Path::new(place).join(&name);
    std::fs::create_dir(&group).expect("root may");
    let (file, word) = if place.ends_with("freezer") { ("freezer.state", "FROZEN") } else { ("cgroup.freeze", "1") };
    std::fs::write(group.join(file), word).expect("root may");
    let mut site = Site::new("still", "true");
    site.config["linux"]["cgroupsPath"] = json!(format!("/{name}"));
    let mut command = oci(&site.scratch);
    command.args(["create", "-b", &site.written()]);
    let mut child = command.arg(&name).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("holm starts");
    let mut said = String::new();
    BufReader::new(child.stderr.take().expect("it is a pipe")).read_line(&mut said).expect("it says something");
    let code = child.wait().expect("it ends").code();
    std::fs::remove_dir(&group).expect("nobody is in it");
    assert_eq!(code, Some(1));
    assert!(said.contains("container's cgroup unexpectedly frozen"), "{said}");
}

#[test]
fn a_source_inside_of_the_root_is_what_is_mounted_there_by_then() {
    let bind = |source: String, at: String| json!({ "source": source, "destination": at, "options": ["rbind"] });
    let (said, _) = run("inside", "read -r line </seen/file; echo $line", |config, scratch| {
        let root = scratch.join("rootfs").to_str().expect("it is text").to_owned();
        std::fs::create_dir(scratch.join("source")).expect("scratch is ours");
        std::fs::write(scratch.join("source/file"), "of the mount\n").expect("scratch is ours");
        let source = scratch.join("source").to_str().expect("it is text").to_owned();
        let mounts = config["mounts"].as_array_mut().expect("they are there");
        // A destination may be written in the same way.
        mounts.extend([bind(source, format!("{root}/first")), bind(format!("{root}/first"), "/seen".into())]);
    });
    assert_eq!(said, "of the mount\n");
    let mut site = Site::new("inside-link", "true");
    let root = site.scratch.join("rootfs").to_str().expect("it is text").to_owned();
    symlink("/", format!("{root}/away")).expect("scratch is ours");
    let mounts = site.config["mounts"].as_array_mut().expect("they are there");
    mounts.push(bind(format!("{root}/away"), "/seen".into()));
    let output = done(oci(&site.scratch), &["run", "-b", &site.written(), &site.id]);
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("a symbolic link of the root is in its path"), "{said}");
}

#[test]
fn a_source_inside_of_the_root_is_shown_with_other_owners() {
    if !is_root() {
        return;
    }
    for users in [false, true] {
        let (said, _) = run("inside-owners", "ls -ln /seen", |config, scratch| {
            let root = scratch.join("rootfs").to_str().expect("it is text").to_owned();
            std::fs::create_dir(scratch.join("source")).expect("scratch is ours");
            std::fs::write(scratch.join("source/file"), "").expect("scratch is ours");
            let to = if users { 5000 } else { 7 };
            let maps = json!([{ "containerID": 0, "hostID": to, "size": 1 }]);
            if users {
                let all = json!([{ "containerID": 0, "hostID": 4993, "size": 100 }]);
                (config["linux"]["uidMappings"], config["linux"]["gidMappings"]) = (all.clone(), all);
                config["linux"]["namespaces"].as_array_mut().expect("they are there").push(json!({ "type": "user" }));
                for path in [".", "rootfs", "source"] {
                    std::fs::set_permissions(scratch.join(path), PermissionsExt::from_mode(0o755)).expect("ours");
                }
                std::os::unix::fs::chown(scratch.join("rootfs"), Some(4993), Some(4993)).expect("root may");
            }
            let first = format!("{root}/first");
            let source = scratch.join("source");
            config["mounts"].as_array_mut().expect("they are there").extend([
                json!({ "source": source, "destination": first, "options": ["bind"] }),
                json!({ "source": first, "destination": "/seen", "options": ["bind"],
                    "uidMappings": maps, "gidMappings": maps }),
            ]);
        });
        let owner = said.lines().last().and_then(|line| line.split_whitespace().nth(2));
        assert_eq!(owner, Some("7"), "{users}: {said}");
    }
}

#[test]
fn a_container_that_waits_ends_at_a_signal_that_asks_for_it() {
    let mut site = Site::new("asked", "exec sleep 1000");
    for signal in ["TERM", "INT"] {
        let place = site.written();
        site.id.push_str(signal);
        let mut make = oci(&site.scratch);
        make.args(["create", "-b", &place, &site.id]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(make.status().expect("holm starts").success());
        assert!(done(oci(&site.scratch), &["kill", &site.id, signal]).status.success());
        let state = || text(&done(oci(&site.scratch), &["state", &site.id]).stdout);
        super::patience::within(20, signal, || state().contains("\"status\": \"stopped\""));
    }
}

#[test]
fn the_log_tells_in_runcs_words_how_far_set_up_has_come() {
    let mut site = Site::new("debug", "true");
    site.config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW",
        "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"] });
    let place = site.written();
    let log = site.scratch.join("log");
    let log = log.to_str().expect("it is text");
    for (options, to_log) in [(&["--debug"][..], false), (&["--debug", "--log", log], true)] {
        let output = done(oci(&site.scratch), &[options, &["run", "-b", &place, &site.id]].concat());
        let error = text(&output.stderr);
        let said = if to_log { std::fs::read_to_string(log).expect("it was written") } else { error.clone() };
        let filter = "seccomp filter flags: 6";
        for words in ["level=debug", "nsexec container setup", "init: closing the pipe to signal completion", filter] {
            assert!(output.status.success() && said.contains(words), "{words}: {said}");
        }
        assert!(!to_log || error.is_empty(), "{error}");
    }
    let output = done(oci(&site.scratch), &["explain", &place]);
    assert!(text(&output.stdout).contains("instructions, flags 6"), "{}", text(&output.stdout));
}
