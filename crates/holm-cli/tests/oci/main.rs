//! `holm oci` as engines call it: exit codes, the log, names of the program, makers that die.

mod bad;
mod checkpoint;
mod container;
mod crowd;
mod exec;
mod fields;
mod flaws;
mod habits;
mod home;
mod hooks;
mod limits;
mod notify;
#[path = "../patience/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod patience;
mod pause;
mod ready;
#[path = "../screen/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod screen;
mod site;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use testkit::{Scratch, holm, is_root};

/// A bundle whose shell runs `script`, below the host's /usr.
fn bundle(scratch: &Scratch, script: &str) {
    let root = scratch.join("rootfs");
    std::fs::create_dir_all(&root).expect("the scratch directory can be written");
    for top in ["bin", "lib", "lib64", "sbin"] {
        let _ = std::os::unix::fs::symlink(format!("usr/{top}"), root.join(top));
    }
    let own = |id: u32| format!(r#"[{{ "containerID": 0, "hostID": {id}, "size": 1 }}]"#);
    let ids = match is_root() {
        true => String::new(),
        false => format!(
            r#", {{ "type": "user" }}], "uidMappings": {}, "gidMappings": {}"#,
            own(rustix::process::geteuid().as_raw()),
            own(rustix::process::getegid().as_raw())
        ),
    };
    let rest = if ids.is_empty() { "]".to_owned() } else { ids };
    let script = serde_json::json!(script);
    let text = format!(
        r#"{{ "ociVersion": "1.2.0", "process": {{ "user": {{ "uid": 0, "gid": 0 }}, "args": ["sh", "-c", {script}],
            "env": ["PATH=/usr/bin"], "cwd": "/", "noNewPrivileges": true }}, "root": {{ "path": "rootfs" }},
            "mounts": [{{ "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"] }},
                {{ "destination": "/proc", "type": "proc" }}, {{ "destination": "/dev", "type": "tmpfs", "options": ["mode=755"] }},
                {{ "destination": "/dev/pts", "type": "devpts", "options": ["newinstance", "ptmxmode=0666", "mode=0620"] }}],
            "linux": {{ "namespaces": [{{ "type": "pid" }}, {{ "type": "mount" }}, {{ "type": "network" }}{rest} }} }}"#
    );
    std::fs::write(scratch.join("config.json"), text).expect("the scratch directory can be written");
}

/// `holm oci`, under an engine's name for it.
fn oci(scratch: &Scratch) -> Command {
    let mut command = Command::new(holm());
    command.arg0("/usr/bin/crun").arg("--root").arg(scratch.join("state")).stdin(Stdio::null());
    command
}

fn done(mut command: Command, arguments: &[&str]) -> Output {
    command.args(arguments).output().expect("holm starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

#[test]
fn engines_get_the_codes_and_words_that_they_know() {
    let scratch = Scratch::new("oci");
    let place = scratch.join(".");
    let here = place.to_str().expect("it is text");
    // Pid 1 of a namespace gets no signal from inside that it doesn't handle (pid_namespaces(7)).
    for (script, code) in [("exit 7", 7), ("kill -9 $$", 0), ("kill -TERM $$; exit 3", 3)] {
        bundle(&scratch, script);
        let output = done(oci(&scratch), &["run", "-b", here, "c"]);
        assert_eq!(output.status.code(), Some(code), "{script}: {}", text(&output.stderr));
        assert!(empty(&scratch.join("state")), "{script}");
    }
    bundle(&scratch, "echo said $$");
    let output = done(oci(&scratch), &["run", "--bundle", here, "c"]);
    assert_eq!(text(&output.stdout), "said 1\n", "{}", text(&output.stderr));
    let log = scratch.join("log");
    let mut command = oci(&scratch);
    command.arg("--log").arg(&log).args(["--log-format", "json"]);
    let output = done(command, &["start", "missing"]);
    assert_eq!(output.status.code(), Some(1));
    let message = "cannot find container missing: container does not exist";
    assert_eq!(text(&output.stderr), format!("error: {message}\n"));
    let line: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&log).expect("it was made")).expect("it is JSON");
    assert_eq!((line["level"].as_str(), line["msg"].as_str()), (Some("error"), Some(message)));
    for option in ["--version", "-v", "-V"] {
        let version = done(oci(&scratch), &[option]);
        assert!(text(&version.stdout).starts_with("crun "), "{option}: {}", text(&version.stdout));
    }
    let named = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(holm());
        command.arg0(name);
        text(&done(command, arguments).stderr)
    };
    let root = format!("--root={}", scratch.join("state").display());
    assert_eq!(named("/some/other", &[&root, "state", "missing"]), format!("error: {message}\n"));
    assert!(named("/usr/bin/holm", &[&root, "state", "missing"]).contains("unexpected argument '--root'"));
}

#[test]
fn a_state_directory_that_nobody_named_goes_with_its_last_container() {
    let scratch = Scratch::new("oci-state");
    let place = scratch.join(".");
    let here = place.to_str().expect("it is text");
    bundle(&scratch, "exec sleep 1000");
    let state = if is_root() { "/run".into() } else { scratch.join("run") }.join("holm-oci");
    let own = |name: &str| format!("{name}-{}", std::process::id());
    let oci = |arguments: &[&str]| {
        let mut command = Command::new(holm());
        command.arg("oci").args(arguments).stdin(Stdio::null()).env("XDG_RUNTIME_DIR", scratch.join("run"));
        // What waits to be started has the caller's streams: their end isn't waited for.
        assert!(command.stdout(Stdio::null()).status().is_ok_and(|status| status.success()), "{arguments:?}");
    };
    for name in ["one", "two"] {
        oci(&["create", "-b", here, &own(name)]);
    }
    oci(&["delete", "--force", &own("one")]);
    assert!(state.exists(), "it has another one");
    oci(&["delete", "--force", &own("two")]);
    assert!(!state.exists());
}

/// Whatever call its maker dies at, nothing of the container goes on, and what is noted of it can be removed.
#[test]
fn a_maker_that_is_killed_leaves_nothing_that_cannot_be_removed() {
    let scratch = Scratch::new("oci-killed");
    let place = scratch.join(".");
    let here = place.to_str().expect("it is text");
    bundle(&scratch, "exec sleep 1000");
    for pause in [1, 2, 4, 6, 8, 10, 12, 15, 20, 30] {
        let mut command = oci(&scratch);
        command.args(["create", "-b", here, "k"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut maker = command.spawn().expect("holm starts");
        std::thread::sleep(std::time::Duration::from_millis(pause));
        let _ = maker.kill();
        let _ = maker.wait();
        let output = done(oci(&scratch), &["delete", "--force", "k"]);
        assert!(output.status.success(), "after {pause} ms: {}", text(&output.stderr));
        assert!(!scratch.join("state/k").exists(), "after {pause} ms");
    }
}
