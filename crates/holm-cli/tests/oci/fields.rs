//! Fields of a configuration whose effect shows inside.

use super::container::Container;
use super::exec::receive;
use super::patience::{Running, within};
use super::site::Site;
use super::{done, oci, text};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use testkit::{Scratch, holm, is_root};

fn push(list: &mut Value, value: Value) {
    list.as_array_mut().expect("it is a list").push(value);
}

/// What a container prints whose shell runs `script`; its messages if it fails.
fn run(name: &str, script: &str, change: impl FnOnce(&mut Value)) -> Result<String, String> {
    let mut site = Site::new(name, script);
    change(&mut site.config);
    let output = done(oci(&site.scratch), &["run", "-b", &site.written(), &site.id]);
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn clocks_are_shifted_in_a_time_namespace() {
    let clocks = |offsets: Value| {
        move |config: &mut Value| {
            push(&mut config["linux"]["namespaces"], json!({ "type": "time" }));
            config["linux"]["timeOffsets"] = offsets;
        }
    };
    let wrong = |offsets| run("clocks-wrong", "true", clocks(offsets)).expect_err("it is refused");
    assert!(wrong(json!({ "tai": { "secs": 1 } })).contains("only monotonic and boottime can be"));
    assert!(wrong(json!({ "boottime": { "secs": i64::MAX } })).contains("it is too much"));
    let shared = run("clocks-shared", "true", |config| config["linux"]["timeOffsets"] = json!({ "boottime": {} }));
    assert!(shared.is_err_and(|said| said.contains("cannot set time offsets: the time namespace is not a new one")));
    let offsets = json!({ "monotonic": { "secs": 1000, "nanosecs": 7 }, "boottime": { "secs": 2000000 } });
    let script = "cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime; readlink /proc/self/ns/time";
    let found = match run("clocks", script, clocks(offsets.clone())) {
        // Before Linux 6.2.
        Err(said) if said.contains("cannot make a time namespace: ") => return,
        found => found.expect("it runs"),
    };
    let words: Vec<&str> = found.split_whitespace().collect();
    assert_eq!(words[..6], ["monotonic", "1000", "7", "boottime", "2000000", "0"], "{found}");
    assert!(words[6].parse::<u64>().is_ok_and(|seconds| seconds >= 2_000_000), "{found}");
    assert_ne!(std::fs::read_link("/proc/self/ns/time").expect("it is there").to_str(), Some(words[7]));
    // What is run in there is in it, too.
    let container = Container::with("clocks-exec", "exec sleep 1000", clocks(offsets));
    let seconds = container.says(&[], "cut -d. -f1 /proc/uptime");
    assert!(seconds.trim().parse::<u64>().is_ok_and(|seconds| seconds >= 2_000_000), "{seconds}");
}

#[test]
fn mounts_are_changed_where_they_stand() {
    let tmpfs = |at: &str, options: Value| json!({ "destination": at, "type": "tmpfs", "options": options });
    let script = "touch /all/x || echo all; touch /late/x || echo late; touch /open/x && echo open; grep -o 'size=[0-9]*k' /proc/self/mountinfo";
    let found = run("remount", script, |config| {
        for mount in [
            // There is nothing below it, but it is one of those that are meant.
            tmpfs("/all", json!(["rro"])),
            tmpfs("/late", json!([])),
            tmpfs("/late", json!(["remount", "ro"])),
            tmpfs("/open", json!(["ro"])),
            tmpfs("/open", json!(["remount", "rw", "size=4096k"])),
        ] {
            push(&mut config["mounts"], mount);
        }
    });
    // A tmpfs that is read-only from the start is so when all is mounted.
    let found = found.expect("it runs");
    assert!(found.starts_with("all\nlate\n") && found.contains("size=4096k"), "{found}");
    let nothing = run("remount-nothing", "true", |config| {
        push(&mut config["mounts"], tmpfs("/usr/bin", json!(["remount", "ro"])))
    });
    assert!(nothing.is_err(), "it is no mount");
}

#[test]
fn a_read_only_dev_has_its_terminal_and_a_tmpfs_the_mode_of_what_it_hides() {
    let mut site = Site::new(
        "dev-console",
        "test -c /dev/console; echo $?; touch /dev/x; grep ' /hides ' /proc/mounts; exec sleep 1000",
    );
    let hidden = site.scratch.join("rootfs/hides");
    std::fs::create_dir(&hidden).expect("scratch is ours");
    std::fs::set_permissions(&hidden, PermissionsExt::from_mode(0o710)).expect("scratch is ours");
    site.config["process"]["terminal"] = json!(true);
    site.config["mounts"][2]["options"] = json!(["mode=755", "ro"]);
    push(&mut site.config["mounts"], json!({ "destination": "/hides", "type": "tmpfs" }));
    let socket = site.scratch.join("socket");
    let listener = UnixListener::bind(&socket).expect("the name is short enough");
    let mut command = oci(&site.scratch);
    command.args(["run", "-d", "-b", &site.written(), "--console-socket"]).arg(&socket).arg(&site.id);
    assert_eq!(site.said(command), (Some(0), String::new()));
    let terminal = receive(&listener.accept().expect("it was called").0);
    let mut lines = BufReader::new(std::fs::File::from(terminal)).lines().map(|line| line.expect("it is open"));
    assert_eq!(lines.next().as_deref(), Some("0"));
    assert!(lines.next().is_some_and(|line| line.contains("Read-only file system")));
    assert!(lines.next().is_some_and(|line| line.contains("mode=710")));
}

#[test]
fn options_of_a_mount_may_be_long() {
    let lower = Scratch::new("long-options");
    let layers: Vec<String> = ["a", "b"].map(|name| lower.join(name.repeat(200)).display().to_string()).into();
    for (layer, file) in layers.iter().zip(["one", "two"]) {
        std::fs::create_dir(layer).expect("scratch is ours");
        std::fs::write(format!("{layer}/{file}"), "").expect("scratch is ours");
    }
    let mounted = |option: String| {
        let options = json!([option, "noexec", "noatime"]);
        let mount = json!({ "destination": "/both", "type": "overlay", "source": "overlay", "options": options });
        run("long-options", "ls /both; grep -c ' /both .*noexec,noatime' /proc/self/mountinfo", |config| {
            push(&mut config["mounts"], mount)
        })
    };
    assert_eq!(mounted(format!("lowerdir={}", layers.join(":"))).expect("it runs"), "one\ntwo\n1\n");
    let said =
        mounted(format!("lowerdir={}", vec![layers.join(":"); 20].join(":"))).expect_err("it is more than a page");
    assert!(said.contains("argument list too long"), "{said}");
    for mount in std::fs::read_to_string("/proc/self/mounts").expect("it is there").lines() {
        assert!(!mount.contains(&layers[0]), "it stays inside");
    }
}

#[test]
fn a_user_namespace_need_not_own_what_is_joined_with_it() {
    if !is_root() {
        return;
    }
    let map = json!([{ "containerID": 0, "hostID": 0, "size": 1000 }]);
    let owner = Container::with("join-user", "exec sleep 1000", |config| {
        push(&mut config["linux"]["namespaces"], json!({ "type": "user" }));
        config["linux"]["uidMappings"] = map.clone();
        config["linux"]["gidMappings"] = map;
    });
    let other = Container::new("join-net", "exec sleep 1000");
    let of = |pid: u32, kind: &str| format!("/proc/{pid}/ns/{kind}");
    let (user, net) = (of(owner.pid(), "user"), of(other.pid(), "net"));
    let joined = Container::with("join-both", "exec sleep 1000", |config| {
        config["linux"]["namespaces"] = json!([{ "type": "user", "path": user }, { "type": "network", "path": net },
            { "type": "pid" }, { "type": "mount" }]);
    });
    for (kind, path) in [("user", user), ("net", net)] {
        let expected = std::fs::read_link(path).expect("it runs");
        assert_eq!(std::fs::read_link(of(joined.pid(), kind)).expect("it runs"), expected);
        assert_eq!(
            joined.says(&[], &format!("readlink /proc/self/ns/{kind}")).trim(),
            expected.to_str().expect("text")
        );
    }
}

#[test]
fn what_means_nothing_for_a_bind_mount_is_told() {
    let scratch = Scratch::new("oci-bound");
    let found = run("bind-options", "stat -c %F /mnt", |config| {
        let bind = json!({ "destination": "/mnt", "type": "bind", "source": scratch.join("."), "options": ["bind", "mode=755", "size=64k"] });
        push(&mut config["mounts"], bind);
    });
    assert_eq!(found.as_deref(), Ok("directory\n"));
}

/// A filter that was written for a program says nothing of newer calls, which set-up makes.
#[test]
fn a_filter_need_not_allow_what_set_up_does() {
    for no_new_privileges in [true, false] {
        let found = run("filter", "grep -e CapPrm -e CapEff -e CapBnd -e Seccomp: /proc/self/status", |config| {
            config["process"]["noNewPrivileges"] = json!(no_new_privileges);
            config["process"]["cwd"] = json!("/usr");
            let names =
                json!(["close_range", "dup2", "openat2", "faccessat2", "umask", "personality", "mount_setattr"]);
            let refused = json!({ "names": names, "action": "SCMP_ACT_ERRNO" });
            config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused] });
            let one = json!(["CAP_KILL"]);
            config["process"]["capabilities"] = json!({ "bounding": one, "permitted": one, "effective": one });
        });
        let found = found.unwrap_or_else(|said| panic!("{no_new_privileges}: {said}"));
        let words: Vec<&str> = found.split_whitespace().collect();
        let kill = "0000000000000020";
        assert_eq!(words, ["CapPrm:", kill, "CapEff:", kill, "CapBnd:", kill, "Seccomp:", "2"], "{no_new_privileges}");
    }
}

#[test]
fn a_network_device_goes_into_the_container_with_its_addresses() {
    // A device is given away by who may configure it.
    if !is_root() {
        return;
    }
    let mut site = Site::new("device", "cat /proc/net/dev /proc/net/fib_trie /sys/class/net/inside/operstate");
    push(&mut site.config["mounts"], json!({ "destination": "/sys", "type": "sysfs" }));
    let mut outcome = |devices: Value| {
        site.config["linux"]["netDevices"] = devices;
        // In a network namespace of its own, which is the caller's to holm.
        let script = format!(
            "ip link add given type veth peer name peer; ip addr add 192.0.2.7/24 dev given; ip link add other type bridge
             \"$0\" oci --root {0}/state run -b {0} {1}; echo code $?; ip -o link",
            site.written(),
            site.id
        );
        let mut command = std::process::Command::new("unshare");
        let output = command.args(["-n", "sh", "-c", &script]).arg(holm()).output().expect("unshare starts");
        text(&output.stdout) + &text(&output.stderr)
    };
    let found = outcome(json!({ "given": { "name": "inside" } }));
    let (inside, after) = found.split_once("code 0").unwrap_or_else(|| panic!("{found}"));
    assert!(inside.contains("inside:") && inside.contains("192.0.2.7") && !inside.contains("other:"), "{found}");
    assert!(after.contains("other") && !after.contains("given"), "{found}");
    for (devices, said) in [
        (json!({ "missing": {} }), "cannot move network device missing into the network namespace: no such device"),
        (json!({ "given": { "name": "a/b" } }), "cannot move network device given: no device can be called a/b"),
        (json!({ "given": { "name": "a" }, "other": { "name": "a" } }), "there is another one for the name a"),
        (json!({ "given": { "name": "lo" } }), "cannot move network device given into the network namespace, as lo"),
    ] {
        let found = outcome(devices);
        assert!(found.contains(said) && found.contains("code 1\n"), "{found}");
    }
}

/// Nothing is mounted in a mount namespace of others: the root stands apart, and leads nowhere else.
#[test]
fn a_root_without_a_mount_namespace_of_its_own_stands_apart() {
    if !is_root() {
        // Who has no right over the mount namespace mounts nothing there.
        return;
    }
    let own = std::fs::read_link("/proc/self/ns/mnt").expect("it is there");
    let other = Running::new(std::process::Command::new("unshare").args(["-m", "sleep", "1000"]));
    let theirs = format!("/proc/{}/ns/mnt", other.child.id());
    within(60, "it has a namespace of its own", || std::fs::read_link(&theirs).expect("it is there") != own);
    for path in [None, Some(theirs.clone())] {
        let place = std::fs::read_link(path.as_ref().unwrap_or(&"/proc/self/ns/mnt".to_owned())).expect("it is there");
        let script = "readlink /proc/self/ns/mnt; ls / /..; cat /proc/self/mountinfo; test -c /dev/null && echo made";
        let container = Container::with("apart", "exec sleep 1000", |config| {
            let list = config["linux"]["namespaces"].as_array_mut().expect("it is a list");
            list.retain(|one| one["type"] != "mount");
            list.extend(path.map(|path| json!({ "type": "mount", "path": path })));
            let cgroup = json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["ro"] });
            push(&mut config["mounts"], json!({ "destination": "/sys", "type": "sysfs" }));
            push(&mut config["mounts"], cgroup);
            config["linux"]["maskedPaths"] = json!(["/proc/kcore"]);
            config["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
        });
        let found = container.says(&[], script);
        let list = "bin\ndev\nlib\nlib64\nproc\nsbin\nsys\nusr\n";
        assert_eq!(found, format!("{}\n/:\n{list}\n/..:\n{list}made\n", place.display()), "{found}");
        assert!(!container.exec(&[], "echo 1 >/proc/sys/kernel/sysrq").status.success());
        assert!(!container.exec(&[], "mkdir /sys/fs/cgroup/x").status.success());
        let said = container.fails(255, &["exec", "--cap", "CAP_SYS_ADMIN", &container.id, "true"]);
        assert!(said.contains("with CAP_SYS_ADMIN setns(2) would lead out of its root"), "{said}");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("it is there");
        let rootfs = container.scratch.join("rootfs");
        assert!(!mounts.contains(rootfs.to_str().expect("it is text")), "{mounts}");
    }
}

/// A file system is made read-only with all its mounts, the host's, too: only the container's own is.
#[test]
fn a_volume_over_a_read_only_tmpfs_of_a_root_apart_stays_as_it_is_outside() {
    if !is_root() {
        return;
    }
    for (at, expected) in [
        ("/a", "cannot change the file system at /a: another is mounted on it"),
        ("/link", "it is none that was made for the container"),
    ] {
        let mut site = Site::new("apart-sealed", "true");
        for directory in ["rootfs/a", "volume"] {
            std::fs::create_dir(site.scratch.join(directory)).expect("it is new");
        }
        std::os::unix::fs::symlink("a", site.scratch.join("rootfs/link")).expect("it is new");
        site.config["linux"]["namespaces"].as_array_mut().expect("it is a list").retain(|one| one["type"] != "mount");
        let volume = site.scratch.join("volume");
        push(&mut site.config["mounts"], json!({ "destination": "/a", "type": "tmpfs", "options": ["ro"] }));
        push(&mut site.config["mounts"], json!({ "destination": at, "type": "bind", "source": volume }));
        let script = format!(
            "mount -t tmpfs none {0}/volume && \"$0\" oci --root {0}/state run -b {0} {1}; touch {0}/volume/x && echo writable",
            site.written(),
            site.id
        );
        let mut command = std::process::Command::new("unshare");
        let output = command.args(["-m", "sh", "-c", &script]).arg(holm()).output().expect("unshare starts");
        let said = text(&output.stderr);
        assert!(said.contains(expected) && text(&output.stdout) == "writable\n", "{at}: {said}");
    }
}
