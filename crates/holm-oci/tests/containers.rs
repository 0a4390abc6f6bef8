//! Containers from their making to their end, as root and as an ordinary user (then in a user namespace of one id).

use holm_oci::resctrl::Schemas;
use holm_oci::verbs::{Changes, Console, Create, Exec, Force, Mounted, Paused, Waits, Watch, What, Whom};
use holm_oci::verbs::{create, delete, exec, explain, kill, list, start, state, update};
use serde_json::{Value, json};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use testkit::{Scratch, Traces};

/// A bundle whose root has the host's /usr, and a state directory.
struct Site {
    scratch: Scratch,
    config: Value,
}

impl Site {
    /// A container whose shell runs `script`.
    fn new(name: &str, script: &str) -> Site {
        let scratch = Scratch::new(name);
        let root = scratch.join("rootfs");
        std::fs::create_dir(&root).expect("the scratch directory can be written");
        for top in ["bin", "lib", "lib64", "sbin"] {
            std::os::unix::fs::symlink(format!("usr/{top}"), root.join(top)).expect("it is new");
        }
        let mut namespaces: Vec<Value> =
            ["pid", "network", "ipc", "uts", "mount"].iter().map(|kind| json!({ "type": kind })).collect();
        let mut linux = json!({});
        if !testkit::is_root() {
            namespaces.push(json!({ "type": "user" }));
            let own = |id: u32| json!([{ "containerID": 0, "hostID": id, "size": 1 }]);
            linux["uidMappings"] = own(rustix::process::geteuid().as_raw());
            linux["gidMappings"] = own(rustix::process::getegid().as_raw());
        }
        linux["namespaces"] = json!(namespaces);
        let config = json!({
            "ociVersion": "1.2.0",
            "process": {
                "user": { "uid": 0, "gid": 0 },
                "args": ["sh", "-c", script],
                "env": ["PATH=/usr/bin:/usr/sbin"],
                "cwd": "/",
                "noNewPrivileges": true,
            },
            "root": { "path": "rootfs" },
            "mounts": [
                { "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"] },
                { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"] },
            ],
            "linux": linux,
        });
        Site { scratch, config }
    }

    fn wish(&self, id: &str) -> Create {
        let text = serde_json::to_vec(&self.config).expect("it is JSON");
        std::fs::write(self.scratch.join("config.json"), text).expect("the scratch directory can be written");
        Create { root: self.state(), id: id.to_owned(), bundle: self.scratch.join("."), ..Create::default() }
    }

    fn state(&self) -> PathBuf {
        self.scratch.join("state")
    }

    fn refused(&self) -> String {
        create(&self.wish(&format!("refused-{}", std::process::id()))).map(drop).expect_err("it is wrong").to_string()
    }

    /// Runs it to its end; what it wrote to /out.
    fn run(&self) -> String {
        let made = create(&self.wish("once")).unwrap_or_else(|error| panic!("{error}"));
        start(&self.state(), "once", Waits::Caller).unwrap_or_else(|error| panic!("{error}"));
        end(&made.process);
        delete(&self.state(), "once", Force::No).unwrap_or_else(|error| panic!("{error}"));
        std::fs::read_to_string(self.scratch.join("rootfs/out")).expect("it has written")
    }
}

/// Whatever becomes of the test, no container stays.
impl Drop for Site {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.state()).into_iter().flatten().flatten() {
            let _ = delete(&self.state(), &entry.file_name().to_string_lossy(), Force::Yes);
        }
    }
}

/// Waits for a child.
fn end(process: &impl AsFd) {
    let id = rustix::process::WaitId::PidFd(process.as_fd());
    rustix::process::waitid(id, rustix::process::WaitIdOptions::EXITED).expect("it is a child of this process");
}

fn eventually(what: impl Fn() -> bool) {
    let begin = Instant::now();
    while !what() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it never happened");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn containers_are_as_their_configuration_says_and_leave_nothing() {
    // One test: others in the same process would be seen as traces.
    let before = Traces::now();
    a_container_waits_runs_ends_and_is_removed();
    what_is_asked_of_the_wrong_state_is_refused();
    a_configuration_holds_inside();
    a_tmpfs_begins_with_what_it_hides();
    a_program_is_scheduled_as_wished();
    files_are_shown_with_other_owners();
    bad_configurations_are_refused_and_leave_nothing();
    a_record_that_is_damaged_can_be_removed_by_force_alone();
    hooks_are_told_and_can_refuse();
    what_is_the_hosts_is_not_set_by_joining_it();
    a_link_in_the_root_leads_nowhere_else();
    a_group_of_resctrl_is_entered_before_the_program_runs_and_left_as_it_was();
    assert_eq!(Traces::now(), before);
}

fn what_is_the_hosts_is_not_set_by_joining_it() {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("it is there").trim().to_owned();
    let domain = std::fs::read_to_string("/proc/sys/kernel/domainname").expect("it is there").trim().to_owned();
    let semaphores = std::fs::read_to_string("/proc/sys/kernel/sem").expect("it is there").trim().to_owned();
    for (kind, field, value) in [
        ("network", "sysctl", json!({ "net.unix.max_dgram_qlen": "512" })),
        ("ipc", "sysctl", json!({ "kernel.sem": semaphores })),
        ("uts", "hostname", json!(host)),
        ("uts", "domainname", json!(domain)),
    ] {
        let mut site = Site::new("oci-joined", "exec true");
        let namespaces = site.config["linux"]["namespaces"].as_array_mut().expect("it is a list");
        let name = if kind == "network" { "net" } else { kind };
        let one = namespaces.iter_mut().find(|one| one["type"] == kind).expect("it is there");
        one["path"] = json!(format!("/proc/self/ns/{name}"));
        let place = if field == "sysctl" { &mut site.config["linux"] } else { &mut site.config };
        place[field] = value;
        let said = site.refused();
        let expected = format!("cannot open the {name} namespace of /proc/self/ns/{name}, to set something in it: ");
        assert!(said.contains(&expected), "{field}: {said}");
    }
    let mut site = Site::new("oci-cpus", "exec true");
    site.config["process"]["execCPUAffinity"] = json!({ "final": "3-1" });
    assert!(site.refused().contains("cannot run on CPU 3-1: "));
    let mut site = Site::new("oci-shared", "exec true");
    site.config["linux"]["namespaces"].as_array_mut().expect("it is a list").retain(|one| one["type"] != "uts");
    site.config["domainname"] = json!(domain);
    assert!(site.refused().contains("cannot set the domain name: the UTS namespace is not a new one"));
}

fn a_container_waits_runs_ends_and_is_removed() {
    let site = Site::new("oci-life", "echo ran >/out; exec sleep 1000");
    let made = create(&site.wish("c1")).unwrap_or_else(|error| panic!("{error}"));
    let waits = state(&site.state(), "c1").expect("it is there");
    assert_eq!(waits.status, "created");
    assert!(waits.pid > 0);
    assert!(!site.scratch.join("rootfs/out").exists(), "it must not run before it is started");
    start(&site.state(), "c1", Waits::Caller).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(state(&site.state(), "c1").expect("it is there").status, "running");
    eventually(|| std::fs::read(format!("/proc/{}/comm", waits.pid)).is_ok_and(|name| name == b"sleep\n"));
    let error = create(&site.wish("c1")).map(drop).expect_err("it is in use").to_string();
    assert_eq!(error, "cannot make container c1: container with given ID already exists");
    kill(&site.state(), "c1", 9, Whom::First).unwrap_or_else(|error| panic!("{error}"));
    end(&made.process);
    let ended = state(&site.state(), "c1").expect("it is there");
    assert_eq!((ended.status, ended.pid), ("stopped", 0));
    assert_eq!(list(&site.state()).expect("it can be read").0.len(), 1);
    delete(&site.state(), "c1", Force::No).unwrap_or_else(|error| panic!("{error}"));
    let error = state(&site.state(), "c1").map(drop).expect_err("it is gone").to_string();
    assert_eq!(error, "cannot find container c1: container does not exist");
    assert!(list(&site.state()).expect("it can be read").0.is_empty());
}

fn what_is_asked_of_the_wrong_state_is_refused() {
    let site = Site::new("oci-states", "exec sleep 1000");
    let root = site.state();
    let message = |done: holm_oci::Result<()>| done.expect_err("it is refused").to_string();
    let made = create(&site.wish("c2")).unwrap_or_else(|error| panic!("{error}"));
    start(&root, "c2", Waits::Caller).unwrap_or_else(|error| panic!("{error}"));
    let twice = "cannot start container c2: cannot start an already running container";
    assert_eq!(message(start(&root, "c2", Waits::Caller)), twice);
    let running = "cannot delete container c2 that is not stopped: running";
    assert_eq!(message(delete(&root, "c2", Force::No).map(drop)), running);
    kill(&root, "c2", 9, Whom::First).unwrap_or_else(|error| panic!("{error}"));
    end(&made.process);
    let stopped = "cannot start container c2: cannot start a container that has stopped";
    assert_eq!(message(start(&root, "c2", Waits::Caller)), stopped);
    let ended = kill(&root, "c2", 15, Whom::First).expect_err("it has ended").to_string();
    assert_eq!(ended, "cannot kill container c2: container not running");
    delete(&root, "c2", Force::No).unwrap_or_else(|error| panic!("{error}"));
    delete(&root, "c2", Force::Yes).expect("one that is gone is no failure by force");
    for id in ["../c", "a/b", "", ".", ".."] {
        let error =
            create(&Create { id: id.to_owned(), ..site.wish("x") }).map(drop).expect_err("it is no name").to_string();
        assert!(error.contains("invalid container ID format"), "{error}");
    }
    let waiting = create(&site.wish("c3")).unwrap_or_else(|error| panic!("{error}"));
    delete(&root, "c3", Force::No).expect("one that waits can be removed");
    end(&waiting.process);
}

fn a_configuration_holds_inside() {
    let script = "exec >/out 2>&1; echo $$; id -u; umask; uname -n; pwd; echo $HELLO; ulimit -n; ulimit -Hn
        grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs' /proc/self/status
        cat /proc/self/oom_score_adj; cat /proc/sys/net/ipv4/ip_forward
        wc -c </proc/version; touch /proc/sys/kernel/shmmax 2>&1 | grep -c -i read-only; touch /usr/x 2>&1 | grep -c -i read-only
        ls /sys/class/net; ls /dev; readlink /dev/fd; stat -f -c %T /tmp/mem; stat -c %a /tmp/mem";
    let mut site = Site::new("oci-fields", script);
    let config = &mut site.config;
    config["hostname"] = json!("island");
    config["process"]["cwd"] = json!("/work/here");
    config["process"]["env"] = json!(["PATH=/usr/bin", "HELLO=a b"]);
    config["process"]["user"]["umask"] = json!(0o27);
    config["process"]["oomScoreAdj"] = json!(500);
    config["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 100, "hard": 200 }]);
    let some = ["CAP_KILL", "CAP_NET_BIND_SERVICE"];
    config["process"]["capabilities"] = json!({ "bounding": some, "permitted": some, "effective": some });
    config["linux"]["sysctl"] = json!({ "net.ipv4.ip_forward": "1" });
    config["linux"]["maskedPaths"] = json!(["/proc/version", "/proc/no/such"]);
    config["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
    let memory =
        json!({ "destination": "/tmp/mem", "type": "tmpfs", "source": "tmpfs", "options": ["ro", "mode=700"] });
    let sys = json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"] });
    config["mounts"].as_array_mut().expect("it is a list").extend([memory, sys]);
    let said = site.run();
    // NET_BIND_SERVICE is 10 and KILL is 5; user 0 gets by execve what the bounding set has.
    let expected = "1\n0\n0027\nisland\n/work/here\na b\n100\n200\n\
        CapInh:\t0000000000000000\nCapPrm:\t0000000000000420\nCapEff:\t0000000000000420\nCapBnd:\t0000000000000420\n\
        CapAmb:\t0000000000000000\nNoNewPrivs:\t1\n500\n1\n0\n1\n1\n\
        lo\nfd\nfull\nnull\nptmx\nrandom\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n/proc/self/fd\ntmpfs\n700\n";
    assert_eq!(said, expected);
}

fn a_tmpfs_begins_with_what_it_hides() {
    let script =
        "exec >/out 2>&1; cd /full; find . | sort; readlink link; stat -c '%a %Y' . deep deep/file; cat deep/file
        stat -f -c %T . /empty /bare; stat -c %a /empty /bare /new; touch added";
    let mut site = Site::new("oci-beneath", script);
    let root = site.scratch.join("rootfs");
    for directory in ["full/deep", "empty", "bare"] {
        std::fs::create_dir_all(root.join(directory)).expect("it is new");
    }
    std::fs::write(root.join("full/deep/file"), "text\n").expect("it can be written");
    // It is no way out, and it isn't followed.
    std::os::unix::fs::symlink("/proc/self/root", root.join("full/link")).expect("it is new");
    for (path, mode) in
        [("full/deep/file", 0o640), ("full/deep", 0o711), ("full", 0o750), ("empty", 0o701), ("bare", 0o703)]
    {
        let file = std::fs::File::open(root.join(path)).expect("it is there");
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("it is this test's");
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(7)).expect("it is this test's");
    }
    let tmpfs =
        |at: &str, options: Value| json!({ "destination": at, "type": "tmpfs", "source": "tmpfs", "options": options });
    let mounts = site.config["mounts"].as_array_mut().expect("it is a list");
    mounts.extend([tmpfs("/full", json!(["tmpcopyup"])), tmpfs("/empty", json!([])), tmpfs("/new", json!([]))]);
    mounts.push(tmpfs("/bare", json!(["mode=750"])));
    let said = site.run();
    let expected = ".\n./deep\n./deep/file\n./link\n/proc/self/root\n750 7\n711 7\n640 7\ntext\n\
        tmpfs\ntmpfs\ntmpfs\n701\n750\n1777\n";
    assert_eq!(said, expected);
    assert!(!root.join("full/added").exists(), "it is hidden, not changed");
}

fn a_program_is_scheduled_as_wished() {
    let script = "exec >/out 2>&1; uname -m; chrt -p $$ | head -n 1; ionice -p $$; cut -d ' ' -f 19 /proc/$$/stat
        grep -c bind:0 /proc/$$/numa_maps >/many; [ $(cat /many) -gt 0 ] && echo bound";
    let mut site = Site::new("oci-schedule", script);
    site.config["process"]["scheduler"] = json!({ "policy": "SCHED_BATCH", "nice": 5 });
    site.config["process"]["ioPriority"] = json!({ "class": "IOPRIO_CLASS_IDLE", "priority": 7 });
    site.config["linux"]["personality"] = json!({ "domain": "LINUX32" });
    let nodes = Path::new("/sys/devices/system/node/node0").exists();
    if nodes {
        site.config["linux"]["memoryPolicy"] = json!({ "mode": "MPOL_BIND", "nodes": "0" });
    }
    let said = site.run();
    let bound = if nodes { "bound\n" } else { "" };
    let own = said.lines().nth(1).and_then(|line| line.split(' ').nth(1)).unwrap_or("");
    assert_eq!(said, format!("i686\npid {own} current scheduling policy: SCHED_BATCH\nidle\n5\n{bound}"));
    for (field, value) in [
        ("scheduler", json!({ "policy": "SCHED_OTHER", "priority": 3 })),
        ("scheduler", json!({ "policy": "SCHED_ISO" })),
        ("ioPriority", json!({ "class": "IOPRIO_CLASS_BE", "priority": 8 })),
    ] {
        let mut site = Site::new("oci-unscheduled", "true");
        site.config["process"][field] = value;
        let error = site.refused();
        assert!(error.starts_with("cannot s"), "{error}");
    }
}

fn files_are_shown_with_other_owners() {
    let map = |inside: u32, outside: u32| json!([{ "containerID": inside, "hostID": outside, "size": 100 }]);
    if !testkit::is_root() {
        let mut site = Site::new("oci-owners", "true");
        site.config["mounts"][0]["options"] = json!(["rbind", "ridmap"]);
        assert!(site.refused().starts_with("cannot show other owners: it takes CAP_SYS_ADMIN"));
        return;
    }
    let site = |name: &str, options: Value| {
        let script = "exec >/out 2>&1; stat -c '%u %g' /files/note /files; touch /files/new; stat -c %u /files/new";
        let mut site = Site::new(name, script);
        let files = site.scratch.join("files");
        std::fs::create_dir(&files).expect("it is new");
        std::fs::write(files.join("note"), "text").expect("it can be written");
        std::os::unix::fs::chown(files.join("note"), Some(5), Some(6)).expect("this is root");
        let mut mount = json!({ "destination": "/files", "type": "bind", "source": "files", "options": options });
        mount["options"].as_array_mut().expect("it is a list").push(json!("bind"));
        site.config["mounts"].as_array_mut().expect("it is a list").push(mount);
        site
    };
    let mut mapped = site("oci-owners-mapped", json!([]));
    let last = mapped.config["mounts"].as_array().map_or(0, |mounts| mounts.len() - 1);
    mapped.config["mounts"][last]["uidMappings"] = map(0, 0);
    mapped.config["mounts"][last]["gidMappings"] = map(0, 70_000);
    assert!(mapped.run().starts_with("5 70006\n0 70000\n"));
    let mut own = site("oci-owners-inside", json!(["idmap"]));
    assert_eq!(own.refused(), "cannot show owners as ids inside: the user namespace is the caller's");
    let root = own.scratch.join("rootfs");
    for directory in ["usr", "proc", "dev", "files"] {
        std::fs::create_dir_all(root.join(directory)).expect("it can be written");
    }
    std::os::unix::fs::chown(&root, Some(300_000), Some(300_000)).expect("this is root");
    own.config["linux"]["namespaces"].as_array_mut().expect("it is a list").push(json!({ "type": "user" }));
    own.config["linux"]["uidMappings"] = map(0, 300_000);
    own.config["linux"]["gidMappings"] = map(0, 300_000);
    assert_eq!(own.run(), "5 6\n0 0\n0\n");
    let made = std::fs::metadata(own.scratch.join("files/new")).expect("it was made");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), 0, "ids inside are those on the disk");
    // By the maps of a namespace that is there, too.
    let mut holder = std::process::Command::new("unshare").args(["-U", "sleep", "1000"]).spawn().expect("it starts");
    let of = |name: &str| PathBuf::from(format!("/proc/{}/{name}", holder.id()));
    let caller = std::fs::read_link("/proc/self/ns/user").expect("it is there");
    eventually(|| std::fs::read_link(of("ns/user")).expect("it is there") != caller);
    for file in ["uid_map", "gid_map"] {
        std::fs::write(of(file), "0 300000 1000").expect("this is root");
    }
    std::fs::remove_file(own.scratch.join("files/new")).expect("it was made");
    let list = own.config["linux"]["namespaces"].as_array_mut().expect("it is a list");
    list.retain(|one| one["type"] != "user");
    list.push(json!({ "type": "user", "path": of("ns/user") }));
    for field in ["uidMappings", "gidMappings"] {
        own.config["linux"].as_object_mut().expect("it is one").remove(field);
    }
    let found = own.run();
    holder.kill().and_then(|()| holder.wait()).expect("it was started here");
    assert_eq!(found, "5 6\n0 0\n0\n");
}

fn bad_configurations_are_refused_and_leave_nothing() {
    let nothing = Scratch::new("oci-nothing");
    let error =
        create(&Create { root: nothing.join("state"), id: "x".into(), bundle: nothing.join("."), ..Create::default() });
    let error = error.map(drop).expect_err("there is no config.json").to_string();
    assert!(error.ends_with("config.json: no such file or directory"), "{error}");
    let cases: [(&str, Value, &str); 15] = [
        ("/ociVersion", json!("3.0.0"), "ociVersion \"3.0.0\" is not a version 1"),
        ("/process/args", json!([]), "process.args is empty"),
        ("/process/cwd", json!("here"), "cannot start in \"here\": it is not an absolute path"),
        ("/process/env", json!(["NOVALUE"]), "cannot set variable \"NOVALUE\": it is no NAME=VALUE"),
        ("/process/apparmorProfile", json!("strict"), "cannot run under AppArmor profile strict: "),
        (
            "/process/args/0",
            json!("/no/such"),
            "executable file `/no/such` not found in $PATH: no such file or directory",
        ),
        ("/root/path", json!("missing"), "cannot use"),
        ("/linux/namespaces/1/type", json!("pid"), "cannot make the pid namespace: it is there twice"),
        ("/linux/namespaces/1/path", json!("/proc/version"), "cannot open the net namespace of /proc/version"),
        (
            "/linux/seccomp",
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": ["opne"], "action": "SCMP_ACT_ERRNO" }] }),
            "unknown system call \"opne\"",
        ),
        ("/linux/sysctl", json!({ "kernel.panic": "1" }), "cannot set \"kernel.panic\""),
        ("/linux/rootfsPropagation", json!("wide"), "cannot mount the root \"wide\": there is no such word"),
        ("/mounts/0/options", json!(["remount", "idmap"]), "cannot change the mount /usr so"),
        ("/mounts/0/source", json!("/u\0sr"), "the source holds a NUL byte"),
        ("/mounts/1/options", json!(["size=\0"]), "the type, the source or an option holds a NUL byte"),
    ];
    for (pointer, value, expected) in cases {
        let mut site = Site::new("oci-bad", "true");
        let (parent, key) = pointer.rsplit_once('/').expect("it is a pointer");
        let parent = site.config.pointer_mut(parent).expect("it is there");
        match key.parse::<usize>() {
            Ok(place) if parent.is_array() => parent[place] = value,
            _ => parent[key] = value,
        }
        let error = site.refused();
        assert!(error.contains(expected), "{pointer}: {error}");
        let left = std::fs::read_dir(site.state()).map_or(0, |entries| entries.count());
        assert_eq!(left, 0, "{pointer}");
    }
}

fn a_record_that_is_damaged_can_be_removed_by_force_alone() {
    let site = Site::new("oci-damaged", "true");
    let made = create(&site.wish("c4")).unwrap_or_else(|error| panic!("{error}"));
    let record = site.state().join("c4/state.json");
    let text = std::fs::read_to_string(&record).expect("it is there");
    let mut older: Value = serde_json::from_str(&text).expect("it is JSON");
    older["form"] = json!(0);
    for damaged in [&text[..text.len() / 2], "", "{}", &older.to_string()] {
        std::fs::write(&record, damaged).expect("it can be written");
        let error = delete(&site.state(), "c4", Force::No).map(drop).expect_err("it is damaged").to_string();
        assert!(error.starts_with("cannot read the state of container c4: "), "{error}");
    }
    let holds = site.state().join("c4/holds.json");
    let text = std::fs::read_to_string(&holds).expect("it is there");
    std::fs::write(&holds, &text[1..]).expect("it can be written");
    let error = delete(&site.state(), "c4", Force::Yes).map(drop).expect_err("nobody knows what to kill").to_string();
    assert!(error.starts_with("cannot read the state of container c4: "), "{error}");
    std::fs::write(&holds, &text).expect("it can be written");
    delete(&site.state(), "c4", Force::Yes).unwrap_or_else(|error| panic!("{error}"));
    end(&made.process);
    assert!(!site.state().join("c4").exists());
    let noted: Value = serde_json::from_str(&text).expect("it is JSON");
    let groups = noted["groups"].as_array().expect("they are listed");
    assert!(groups.iter().all(|group| !Path::new(group["directory"].as_str().expect("it is a path")).exists()));
}

fn hooks_are_told_and_can_refuse() {
    let mut site = Site::new("oci-hooks", "true");
    let note = |name: &str| {
        let file = site.scratch.join(name);
        let line = format!("cat >{}; echo $A >>{0}", file.display());
        json!([{ "path": "/bin/sh", "args": ["sh", "-c", line], "env": ["A=b"], "timeout": 60 }])
    };
    let hooks = json!({ "createRuntime": note("made"), "poststart": note("began"), "poststop": note("gone") });
    site.config["hooks"] = hooks;
    let made = create(&site.wish("h")).unwrap_or_else(|error| panic!("{error}"));
    let told = std::fs::read_to_string(site.scratch.join("made")).expect("it ran");
    assert!(told.contains("\"status\":\"creating\"") && told.ends_with("b\n"), "{told}");
    // What becomes of the bundle meanwhile doesn't count.
    std::fs::remove_file(site.scratch.join("config.json")).expect("it was read");
    start(&site.state(), "h", Waits::Caller).unwrap_or_else(|error| panic!("{error}"));
    assert!(site.scratch.join("began").exists() && !site.scratch.join("gone").exists());
    end(&made.process);
    delete(&site.state(), "h", Force::No).unwrap_or_else(|error| panic!("{error}"));
    let told = std::fs::read_to_string(site.scratch.join("gone")).expect("it ran");
    assert!(told.contains("\"status\":\"stopped\""), "{told}");
    for (hook, expected) in [
        (json!({ "path": "/bin/false" }), "cannot run hook /bin/false: exit status: 1"),
        (json!({ "path": "/no/such" }), "cannot run hook /no/such: no such file or directory"),
        (
            json!({ "path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1 }),
            "cannot run hook /bin/sleep: it takes longer than 1 s",
        ),
    ] {
        site.config["hooks"] = json!({ "prestart": [hook] });
        assert_eq!(site.refused(), format!("error running prestart hook #0: {expected}"));
    }
}

/// No machine is sure to have resctrl: a directory that looks like it stands for it, with groups that the kernel would fill.
fn a_group_of_resctrl_is_entered_before_the_program_runs_and_left_as_it_was() {
    let mut site = Site::new("oci-resctrl", "exec sleep 1000");
    let top = site.scratch.join("resctrl");
    let group = top.join("gold");
    std::fs::create_dir_all(group.join("mon_groups")).expect("scratch is ours");
    std::fs::create_dir_all(top.join("info")).expect("scratch is ours");
    let write = |path: &Path, text: &str| std::fs::write(path, text).expect("scratch is ours");
    let text = |path: &Path| std::fs::read_to_string(path).expect("it is there");
    let (schemata, tasks) = (group.join("schemata"), group.join("tasks"));
    write(&schemata, "    MB:0= 100\n    L3:0=7ff\n");
    write(&tasks, "");
    let wish = |site: &Site| Create { resctrl: Mounted::At(top.clone()), ..site.wish("c5") };
    site.config["linux"]["intelRdt"] = json!({ "closID": "gold" });
    if holm::host::resctrl::mounted().is_none() {
        assert!(site.refused().ends_with("no resctrl file system is mounted here"));
    }
    // Where it is already, what is said differently or can't be entered is told, and nothing is left.
    for (rdt, expected) in [
        (
            json!({ "closID": "gold", "l3CacheSchema": "L3:0=1" }),
            "use resctrl group gold, made if it is missing, whose schemata say L3:0=1: file exists",
        ),
        (json!({ "closID": "none" }), "use resctrl group none: no such file or directory"),
        (
            json!({ "closID": "none", "schemata": ["L2:0=1"] }),
            "use resctrl group none, made if it is missing, and set its schemata to L2:0=1: no such file or directory",
        ),
        (json!({ "closID": "../gold" }), "use resctrl group \"../gold\": it has a slash"),
        (json!({ "closID": "info" }), "use resctrl group \"info\": it is the kernel's own"),
    ] {
        site.config["linux"]["intelRdt"] = rdt;
        let error = create(&wish(&site)).map(drop).expect_err("it can't be").to_string();
        assert_eq!(error, format!("cannot {expected}"));
        assert!(!top.join("none").exists() && !site.state().join("c5").exists());
    }
    std::fs::rename(&tasks, group.join("away")).expect("scratch is ours");
    site.config["linux"]["intelRdt"] = json!({ "closID": "gold", "l3CacheSchema": "L3:0=7ff" });
    let error = create(&wish(&site)).map(drop).expect_err("it can't be entered").to_string();
    assert!(error.starts_with("cannot put the process inside into its resctrl group: "), "{error}");
    std::fs::rename(group.join("away"), &tasks).expect("scratch is ours");
    let plan = explain(&wish(&site)).map(|(plan, _)| plan).unwrap_or_else(|error| panic!("{error}"));
    let steps: Vec<String> = plan.steps().iter().map(|step| step.act.to_string()).collect();
    let place = |text: &str| steps.iter().position(|step| step == text).unwrap_or_else(|| panic!("{text}: {steps:?}"));
    let entered = place("put the process inside into its resctrl group");
    let found = place("use resctrl group gold, made if it is missing, whose schemata say L3:0=7ff");
    assert!(found < entered && entered + 1 < steps.len());
    assert_eq!(text(&tasks), "");

    let made = create(&wish(&site)).unwrap_or_else(|error| panic!("{error}"));
    let record: Value = serde_json::from_str(&text(&site.state().join("c5/state.json"))).expect("it is JSON");
    let noted = json!({ "mounted": top, "name": "gold", "origin": "found", "monitored": null });
    assert_eq!(record["resctrl"], noted);
    assert_eq!(text(&tasks), record["process"]["pid"].to_string());
    start(&site.state(), "c5", Waits::Caller).unwrap_or_else(|error| panic!("{error}"));
    // Another process gets there, too.
    write(&tasks, "");
    let what = What::Changed(Changes { arguments: vec!["true".into()], ..Changes::default() });
    let wished = Exec {
        root: site.state(),
        id: "c5".to_owned(),
        what,
        terminal: holm::spec::life::Terminal::None,
        pid_file: None,
        console: Console::Nobody,
        pidfd_socket: None,
        preserved: 0,
        paused: Paused::Refused,
        groups: Vec::new(),
    };
    let more = exec(&wished).unwrap_or_else(|error| panic!("{error}"));
    assert!(text(&tasks).parse::<u32>().is_ok_and(|pid| pid > 0 && json!(pid) != record["process"]["pid"]));
    end(&more.process);
    // Where it can't, the words are resctrl's.
    write(&top.join("info/last_cmd_status"), "Task in use\n");
    std::fs::rename(&tasks, group.join("away")).expect("scratch is ours");
    std::fs::create_dir(&tasks).expect("scratch is ours");
    let Err(holm_oci::Error::Start(holm::Error::Failed(failure))) = exec(&wished).map(drop) else {
        panic!("it is not refused")
    };
    assert_eq!(failure.to_string(), "cannot put the process inside into its resctrl group: is a directory");
    assert_eq!((failure.hint.as_str(), failure.origin.as_str()), ("resctrl says: Task in use", "exec c5"));
    std::fs::remove_dir(&tasks).expect("it is empty");
    std::fs::rename(group.join("away"), &tasks).expect("scratch is ours");
    // Its share is changed as a whole, or not.
    let schemas = |l3: &str, bandwidth: &str| Schemas { l3: Some(l3.into()), bandwidth: Some(bandwidth.into()) };
    let nothing = serde_json::from_value(json!({})).expect("there may be none");
    update(&site.state(), "c5", &nothing, &schemas("L3:0=f", "MB:0=20")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(text(&schemata).lines().take(2).collect::<Vec<_>>(), ["L3:0=f", "MB:0=20"]);
    if record["groups"].as_array().is_some_and(|groups| !groups.is_empty()) {
        write(&schemata, "L3:0=f\nMB:0=20\n");
        let refused = serde_json::from_value(json!({ "cpu": { "cpus": "4095" } })).expect("it is right");
        let told = update(&site.state(), "c5", &refused, &schemas("L3:0=1", "MB:0=30")).map(drop);
        let told = told.expect_err("no machine has it").to_string();
        assert!(told.starts_with("cannot write \"4095\" to "), "{told}");
        assert_eq!(text(&schemata), "L3:0=f\nMB:0=20\n", "it is put back");
    }
    let warnings = update(&site.state(), "c5", &nothing, &schemas("L3:0=f\nMB:0=9", ""));
    let warnings = warnings.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(warnings, ["MB lines of l3CacheSchema are ignored: memBwSchema limits memory bandwidth"]);
    let told = update(&site.state(), "c5", &nothing, &schemas("", "20")).map(drop).expect_err("it is none").to_string();
    assert_eq!(told, "cannot update container c5: memBwSchema: it does not begin with MB:");
    write(&top.join("info/last_cmd_status"), "Mask out of range\n");
    std::fs::rename(&schemata, group.join("away")).expect("scratch is ours");
    std::fs::create_dir(&schemata).expect("scratch is ours");
    let told = update(&site.state(), "c5", &nothing, &schemas("L3:0=fff", "")).map(drop).expect_err("it is gone");
    assert!(told.to_string().ends_with("gold: Mask out of range"), "{told}");
    std::fs::remove_dir(&schemata).expect("it is empty");
    std::fs::rename(group.join("away"), &schemata).expect("scratch is ours");
    let stats = Watch::new(&site.state(), "c5").unwrap_or_else(|error| panic!("{error}")).stats();
    let stats = serde_json::to_value(stats).expect("it is JSON");
    assert_eq!(stats["data"]["intel_rdt"], json!({ "l3_cache_schema": "L3:0=f", "mem_bw_schema": "MB:0=20" }));
    delete(&site.state(), "c5", Force::Yes).unwrap_or_else(|error| panic!("{error}"));
    end(&made.process);
    assert!(tasks.exists() && schemata.exists());
    a_group_that_counts_is_noted_once_it_was_made(&mut site, &top);
}

fn a_group_that_counts_is_noted_once_it_was_made(site: &mut Site, top: &Path) {
    let counting = top.join("gold/mon_groups/c6");
    let wish = |site: &Site| Create { resctrl: Mounted::At(top.to_owned()), ..site.wish("c6") };
    site.config["linux"]["intelRdt"] = json!({ "closID": "gold", "enableMonitoring": true });
    // One that is another's is refused, and stays.
    std::fs::create_dir(&counting).expect("scratch is ours");
    let error = create(&wish(site)).map(drop).expect_err("it is there").to_string();
    assert_eq!(error, "cannot make monitoring group c6 in it: file exists");
    assert!(counting.exists());
    std::fs::remove_dir(&counting).expect("it is empty");
    // Nobody can enter it, since no kernel fills it: it is removed. What is run when it is made sees what is noted.
    let error = create(&wish(site)).map(drop).expect_err("it can't be entered").to_string();
    assert!(error.starts_with("cannot put the process inside into its resctrl group: "), "{error}");
    assert!(!counting.exists() && !site.state().join("c6").exists());
}

/// As of CVE-2019-19921, CVE-2021-30465, CVE-2023-27561: a root that was made to lead a mount elsewhere.
fn a_link_in_the_root_leads_nowhere_else() {
    let site = Site::new("oci-links", "true");
    let outside = site.scratch.join("outside");
    std::fs::create_dir(&outside).expect("the scratch directory can be written");
    std::os::unix::fs::symlink("/usr", site.scratch.join("rootfs/proc")).expect("it is new");
    let error = site.refused();
    assert!(error.contains("too many levels of symbolic links"), "{error}");
    std::fs::remove_file(site.scratch.join("rootfs/proc")).expect("it was made");
    std::os::unix::fs::symlink("../../outside", site.scratch.join("rootfs/dev")).expect("it is new");
    let id = format!("inside-{}", std::process::id());
    let made = create(&site.wish(&id)).unwrap_or_else(|error| panic!("{error}"));
    assert!(site.scratch.join("rootfs/outside").exists(), "it leads to a place inside");
    assert_eq!(std::fs::read_dir(&outside).expect("it is there").count(), 0, "nothing is made outside");
    delete(&site.state(), &id, Force::Yes).unwrap_or_else(|error| panic!("{error}"));
    end(&made.process);
}
