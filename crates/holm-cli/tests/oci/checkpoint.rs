//! Containers that are written down by criu and made again. Where the machine's criu doesn't know its kernel, a stand-in answers.

use super::container::Container;
use super::patience::within;
use super::site::Site;
use super::{done, oci, text};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use testkit::is_root;

/// What counts in its root, slowly, with only the host's network.
fn counter(name: &str) -> Container {
    let script = "i=0; while sleep 0.05; do i=$((i + 1)); echo $i > /count; done";
    Container::with(name, script, |config| {
        let namespaces = config["linux"]["namespaces"].as_array_mut().expect("it has some");
        namespaces.retain(|one| one["type"] != "network");
        namespaces.push(json!({ "type": "ipc" }));
        let mounts = config["mounts"].as_array_mut().expect("it has some");
        // Two of one file system, as restricted as each other.
        for at in ["/one", "/deep/two"] {
            mounts.push(
                json!({ "destination": at, "type": "bind", "source": "/etc", "options": ["bind", "ro", "nosuid"] }),
            );
        }
        config["linux"]["maskedPaths"] = json!(["/proc/keys", "/proc/timer_list"]);
    })
}

impl Container {
    fn count(&self) -> u32 {
        let said = std::fs::read_to_string(self.scratch.join("rootfs/count")).unwrap_or_default();
        said.trim().parse().unwrap_or(0)
    }

    fn counts_on(&self) {
        let before = self.count();
        within(60, "it counts on", || self.count() > before);
    }

    fn place(&self, name: &str) -> String {
        self.scratch.join(name).to_str().expect("it is text").to_owned()
    }

    /// Its mounts from outside, with what restricts them.
    fn mounts(&self) -> Vec<String> {
        let said = std::fs::read_to_string(format!("/proc/{}/mountinfo", self.pid())).expect("it runs");
        let part = |line: &str| Some(line.split(' ').skip(4).take(2).collect::<Vec<_>>().join(" "));
        let mut all: Vec<String> = said.lines().filter_map(part).collect();
        all.sort();
        all
    }
}

/// Held by who uses criu: two of them at once take each other's sockets, in one network namespace.
static CRIU: Mutex<()> = Mutex::new(());

fn criu_knows_the_kernel() -> bool {
    let knows = Command::new("criu").arg("check").stdout(Stdio::null()).stderr(Stdio::null()).status();
    knows.expect("criu is installed").success()
}

#[test]
fn a_container_is_written_down_and_made_again_where_criu_knows_the_kernel() {
    let _alone = CRIU.lock();
    let container = counter("criu");
    container.counts_on();
    let (images, work, id) = (container.place("images"), container.place("work"), container.id.clone());
    let down = ["checkpoint", "--image-path", &images, "--work-path", &work, &id];
    if !is_root() {
        assert!(container.fails(1, &down).contains("criu needs to be root"));
        return container.counts_on();
    }
    if !criu_knows_the_kernel() {
        let said = container.fails(1, &down);
        assert!(said.contains(": criu: ") && said.contains("work/dump.log)"), "{said}");
        return container.counts_on();
    }
    let mounts = container.mounts();
    container.succeeds(&["checkpoint", "--leave-running", "--image-path", &images, "--work-path", &work, &id]);
    container.counts_on();
    container.succeeds(&down);
    assert!(container.fails(1, &["state", &id]).contains("does not exist"));
    let before = container.count();
    let (bundle, pid) = (container.place("."), container.place("pid"));
    let mut again = container.command(&["restore", "--detach", "--pid-file", &pid, "--image-path", &images]);
    again.args(["--work-path", &work, "--bundle", &bundle, &id]).stdout(Stdio::null()).stderr(Stdio::null());
    let log = || std::fs::read_to_string(container.scratch.join("work/restore.log")).unwrap_or_default();
    assert!(again.status().expect("holm starts").success(), "{}", log());
    within(60, "it counts on", || container.count() > before);
    assert_eq!(container.state()["status"], "running");
    assert_eq!(std::fs::read_to_string(&pid).expect("it was written"), container.pid().to_string());
    assert_eq!(container.mounts(), mounts);
    assert_eq!(container.says(&[], "touch /one/x 2> /dev/null || echo refused; cat /proc/keys"), "refused\n");
    // Nobody but this process saw where criu found the root.
    let own = std::fs::read_to_string("/proc/self/mountinfo").expect("it can be read");
    assert!(!own.contains(&container.place("state")), "{own}");
    container.succeeds(&["kill", &id, "KILL"]);
    within(60, "it ends", || container.state()["status"] == "stopped");
}

/// Ended when it is dropped.
struct Server(std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_containers_memory_is_written_down_before_or_elsewhere_where_criu_knows_the_kernel() {
    if !is_root() || !criu_knows_the_kernel() {
        return;
    }
    let _alone = CRIU.lock();
    let container = counter("criu-pages");
    container.counts_on();
    let id = &container.id;
    container.succeeds(&["checkpoint", "--pre-dump", "--image-path", &container.place("before"), id]);
    container.counts_on();
    let images = container.place("images");
    container.succeeds(&["checkpoint", "--parent-path", "../before", "--image-path", &images, id]);
    let pages = |at: &str| std::fs::metadata(container.scratch.join(at).join("pages-1.img")).map(|about| about.len());
    let [before, after] = ["before", "images"].map(|at| pages(at).expect("it was written"));
    assert!(after < before, "{after} bytes after {before}");
    let (bundle, count) = (container.place("."), container.count());
    let again = || {
        let mut again = container.command(&["restore", "--detach", "--image-path", &images, "--bundle", &bundle, id]);
        let done = again.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("holm starts");
        let log = || std::fs::read_to_string(container.scratch.join("images/restore.log")).unwrap_or_default();
        assert!(done.success(), "{}", log());
    };
    again();
    within(60, "it counts on", || container.count() > count);
    // The pages of the next one go by a server.
    std::fs::remove_dir_all(&images).expect("it is ours");
    std::fs::create_dir(&images).expect("scratch is ours");
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr()).expect("there is one").port();
    let mut server = Command::new("criu");
    server.args(["page-server", "--images-dir", &images, "--address", "127.0.0.1", "--port", &port.to_string()]);
    let server = Server(server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("criu is installed"));
    let listens = |text: &str| text.lines().any(|line| line.contains(&format!(":{port:04X} 00000000:0000 0A ")));
    within(60, "it listens", || std::fs::read_to_string("/proc/net/tcp").is_ok_and(|text| listens(&text)));
    container.succeeds(&["checkpoint", "--page-server", &format!("127.0.0.1:{port}"), "--image-path", &images, id]);
    drop(server);
    assert!(pages("images").is_err(), "what the server writes has another name");
    let count = container.count();
    again();
    within(60, "it counts on", || container.count() > count);
    container.succeeds(&["kill", id, "KILL"]);
    within(60, "it ends", || container.state()["status"] == "stopped");
}

/// A criu that keeps what it was asked, has `post-dump` noted, and then says that it has failed, with `ENOSPC`.
const STAND_IN: &str = r#"#!/usr/bin/python3
import os, socket, sys
own = socket.socket(fileno=int(sys.argv[2]))
open(os.path.dirname(sys.argv[0]) + "/asked", "wb").write(own.recv(1 << 16))
own.send(bytes([8, 6, 16, 1, 42, 11, 10, 9]) + b"post-dump")
open(os.path.dirname(sys.argv[0]) + "/answered", "wb").write(own.recv(1 << 16))
own.send(bytes([8, 1, 16, 0, 56, 28]))
"#;

#[test]
fn criu_is_told_what_comes_from_outside_and_its_failure_leaves_the_container_alone() {
    use std::os::unix::fs::PermissionsExt;
    if !is_root() {
        return;
    }
    let container = counter("stand-in");
    let bin = container.scratch.join("bin");
    std::fs::create_dir(&bin).expect("scratch is ours");
    std::fs::write(bin.join("criu"), STAND_IN).expect("scratch is ours");
    std::fs::set_permissions(bin.join("criu"), PermissionsExt::from_mode(0o755)).expect("it is ours");
    // It renames what a path of the configuration leads through, and has it lead to its root.
    container.says(&[], "mv /deep /moved && mkdir -p /deep/two");
    let images = container.place("images");
    let with = |path: &str| {
        let mut command = oci(&container.scratch);
        command.env("PATH", path);
        let output = done(command, &["checkpoint", "--leave-running", "--image-path", &images, &container.id]);
        (output.status.code(), text(&output.stderr))
    };
    let place = bin.to_str().expect("it is text");
    let (code, said) = with(&format!("{place}:/usr/bin"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("criu: no space left on device (hint: see "), "{said}");
    let asked = text(&std::fs::read(bin.join("asked")).expect("it was asked"));
    for part in [
        "mnt[/usr]:/usr",
        "mnt[/one]:/one",
        "mnt[/moved/two]:/moved/two",
        "mnt[/proc/keys]:/proc/keys",
        "dump.log",
        "file[",
    ] {
        assert!(asked.contains(part), "{part}: {asked:?}");
    }
    assert!(!asked.contains("mnt[/proc]") && !asked.contains("mnt[/]"), "{asked:?}");
    assert_eq!(std::fs::read(bin.join("answered")).expect("it was answered"), [8, 6, 24, 1]);
    let notes = std::fs::read(container.scratch.join("images/holm.json")).expect("it was noted");
    let notes: Value = serde_json::from_slice(&notes).expect("it is JSON");
    let outer = json!({ "point": "/moved/two", "of": "/deep/two", "below": "" });
    assert!(notes["outer"].as_array().expect("they are listed").contains(&outer), "{notes}");
    assert_eq!(notes["restrictions"]["/moved/two"], json!([["ro", "nosuid"]]));
    container.counts_on();
    let (code, said) = with("/no/such/place");
    assert_eq!(code, Some(1));
    assert!(said.contains("criu is not on the PATH (hint: apt install criu)"), "{said}");
    container.counts_on();
    let said =
        container.fails(1, &["restore", "--image-path", &images, "--bundle", &container.place("."), &container.id]);
    assert!(said.contains("container with given ID already exists"), "{said}");
    // Another one in its control group: that fails, and nothing becomes of it.
    container.change(|config| config["linux"]["cgroupsPath"] = json!(format!("/{}", container.id)));
    let said = container.fails(1, &["restore", "--image-path", &images, "--bundle", &container.place("."), "other"]);
    assert!(said.contains("container's cgroup is not empty"), "{said}");
    container.counts_on();
}

#[test]
fn what_criu_cannot_make_again_is_not_written_down() {
    if !is_root() {
        return;
    }
    let container = Container::with("criu-ids", "exec sleep 1000", |config| {
        let mount = json!({ "destination": "/ids", "type": "bind", "source": "/etc", "options": ["bind"],
            "uidMappings": [{ "containerID": 0, "hostID": 5000, "size": 1 }],
            "gidMappings": [{ "containerID": 0, "hostID": 5000, "size": 1 }] });
        config["mounts"].as_array_mut().expect("it has some").push(mount);
    });
    let images = container.place("images");
    let said = container.fails(1, &["checkpoint", "--image-path", &images, &container.id]);
    assert!(said.contains("criu doesn't know mounts with maps of ids (idmap)"), "{said}");
    container.succeeds(&["kill", &container.id, "KILL"]);
    within(60, "it ends", || container.state()["status"] == "stopped");
    let said = container.fails(1, &["checkpoint", "--image-path", &images, &container.id]);
    assert!(said.contains("container not running: it is stopped"), "{said}");
    let site = Site::new("no-images", "true");
    let place = site.written();
    let (code, said) = {
        let mut make = oci(&site.scratch);
        make.args(["create", "-b", &place, &site.id]);
        site.said(make)
    };
    assert_eq!(code, Some(0), "{said}");
    for (arguments, code) in [(&["pause", &site.id][..], 0), (&["checkpoint", "--image-path", &images, &site.id], 1)] {
        let output = done(oci(&site.scratch), arguments);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        assert!(code == 0 || text(&output.stderr).contains("it was never started"), "{}", text(&output.stderr));
    }
    for (images, part) in [("/no/such/images", "no such file"), ("/usr", "no image of a container made by holm")] {
        let output = done(oci(&site.scratch), &["restore", "--image-path", images, "--bundle", &place, "one"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(part), "{}", text(&output.stderr));
    }
}
