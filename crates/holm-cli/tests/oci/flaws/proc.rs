//! What is written to the kernel's own files, and what of them is hidden.

use super::super::patience::within;
use super::{Running, bind, exchanging, hostile, oci};
use serde_json::json;
use std::process::Stdio;
use testkit::{is_root, much};

/// CVE-2019-16884, CVE-2025-52881, CVE-2025-62596: an image's own volume lay over /proc, or was mounted there in a race, so that
/// what was to be written to the kernel's files went to others, or nowhere.
#[test]
fn a_volume_over_proc_takes_nothing_that_is_written_to_the_kernel() {
    let mut site = hostile("fake-proc", "cat /kernel/sys/kernel/domainname /kernel/self/oom_score_adj");
    let fake = site.scratch.join("fake");
    let files =
        ["sys/kernel/domainname", "self/oom_score_adj", "self/attr/exec", "self/uid_map", "sys/net/ipv4/ip_forward"];
    for file in files {
        let path = fake.join(file);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("scratch is ours");
        std::fs::write(path, "fake").expect("scratch is ours");
    }
    std::os::unix::fs::symlink("self", fake.join("thread-self")).expect("scratch is ours");
    site.mount(json!({ "destination": "/kernel", "type": "proc" }));
    site.mount(bind(&fake, "/proc"));
    site.config["linux"]["namespaces"].as_array_mut().expect("it is a list").push(json!({ "type": "uts" }));
    if is_root() {
        site.config["linux"]["sysctl"] = json!({ "kernel.domainname": "of-the-container" });
    }
    site.config["process"]["oomScoreAdj"] = json!(321);
    let before = std::fs::read("/proc/sys/kernel/domainname").expect("it is there");
    let name = if is_root() { "of-the-container\n".into() } else { String::from_utf8_lossy(&before).into_owned() };
    assert_eq!(site.prints(), format!("{name}321\n"));
    assert!(std::fs::read("/proc/sys/kernel/domainname").expect("it is there") == before);
    for file in files {
        assert_eq!(std::fs::read_to_string(fake.join(file)).expect("it is there"), "fake", "{file}");
    }
    // What was to be hidden in the kernel's /proc is not in what lies over it.
    site.config["linux"]["maskedPaths"] = json!(["/proc/self"]);
    site.refused("cannot hide /proc/self: ");
}

/// As of CVE-2023-27561: whoever can rename in the root while a container is made has /proc mounted in one place and hidden in
/// another. (holm was open to this before its first release.)
#[test]
fn what_is_hidden_in_proc_is_hidden_wherever_that_is_by_then() {
    let script = "while read -r _ _ _ _ at _ rest; do case $rest in *-?proc*) head -c 1 $at/filesystems
        (: >>$at/sysrq-trigger) 2>&- && echo opened;; esac; done </kernel/self/mountinfo >/said; echo over >>/said";
    let mut site = hostile("renamed", script);
    site.unmount("/proc");
    site.directory("proc");
    site.directory("decoy");
    std::fs::write(site.root("decoy/filesystems"), "").expect("scratch is ours");
    std::fs::write(site.root("decoy/sysrq-trigger"), "").expect("scratch is ours");
    site.link("link", "decoy");
    site.mount(json!({ "destination": "/proc", "type": "proc" }));
    // One to look from, with a name of its own that nobody takes for the other.
    site.mount(json!({ "destination": "/kernel", "type": "proc" }));
    site.config["linux"]["maskedPaths"] = json!(["/proc/filesystems", "/kernel/filesystems"]);
    site.config["linux"]["readonlyPaths"] = json!(["/proc/sysrq-trigger", "/kernel/sysrq-trigger"]);
    let root = site.root("");
    let place = site.written();
    let oci = |arguments: &[&str]| {
        let mut command = oci(&site.scratch);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().expect("holm starts").success()
    };
    let mut started = 0;
    for _ in 0..much(60, 1000) {
        if exchanging(&root, ["proc", "link"], || oci(&["create", "-b", &place, &site.id])) {
            started += 1;
            let running = Running(&site);
            assert!(oci(&["start", &site.id]));
            let said = || std::fs::read_to_string(site.root("said")).unwrap_or_default();
            within(20, "it looks", || said().ends_with("over\n"));
            assert_eq!(said(), "over\n");
            std::fs::remove_file(site.root("said")).expect("it was made");
            drop(running);
        }
    }
    assert!(started > 0, "it is never in time");
}

/// CVE-2021-43784: the length of a long list of ids or of a path overflowed the field of a message, and what followed was read
/// as another wish, such as an own namespace's path.
#[test]
fn long_maps_and_paths_are_refused_and_nothing_else_is_read_of_them() {
    let mut site = hostile("long", "true");
    let long = format!("/{}", "a/".repeat(40_000));
    site.config["linux"]["namespaces"][0]["path"] = json!(long);
    // In a user namespace of its own it is not even tried.
    site.refused(if is_root() { "file name too long" } else { "cannot mount proc for a joined pid namespace" });
    site.config["linux"]["namespaces"][0]["path"] = json!("");
    let namespaces = site.config["linux"]["namespaces"].as_array_mut().expect("it is a list");
    namespaces.retain(|one| one["type"] != "user");
    namespaces.push(json!({ "type": "user" }));
    let maps: Vec<_> = (0..5000).map(|n| json!({ "containerID": n, "hostID": 100_000 + n * 2, "size": 1 })).collect();
    site.config["linux"]["uidMappings"] = json!(maps);
    site.config["linux"]["gidMappings"] = json!(maps);
    site.refused("");
    site.is_unharmed();
}

/// CVE-2023-25809: without a cgroup namespace, and for an ordinary user, the host's control groups were there to be written.
#[test]
fn control_groups_of_others_are_neither_seen_nor_written() {
    let script = "exec 2>&1; d=holm-test-$1; for at in /sys/fs/cgroup /sys/fs/cgroup/*; do
        mkdir $at/../$d && echo made above $at; test -e $at/system.slice && echo others; done; find / -xdev -name $d; echo over";
    for own in [true, false] {
        let mut site = hostile("groups", script);
        let args = site.config["process"]["args"].as_array_mut().expect("it is a list");
        args.extend([json!("-"), json!(site.id.clone())]);
        site.directory("sys");
        site.mount(json!({ "destination": "/sys", "type": "tmpfs" }));
        site.mount(json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["rw"] }));
        if own {
            site.config["linux"]["namespaces"].as_array_mut().expect("it is a list").push(json!({ "type": "cgroup" }));
        }
        let said = site.prints();
        assert!(said.ends_with("over\n") && !said.contains("others"), "{said}");
        let name = format!("holm-test-{}", site.id);
        let made: Vec<_> = walk("/sys/fs/cgroup".as_ref(), &name);
        assert_eq!(made, Vec::<std::path::PathBuf>::new(), "root: {}", is_root());
    }
}

/// The directories of this name below another.
fn walk(directory: &std::path::Path, name: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    below
        .flat_map(|entry| {
            let own = (entry.file_name() == name).then(|| entry.path());
            own.into_iter().chain(walk(&entry.path(), name))
        })
        .collect()
}
