//! Mounts of a container that hear of the host's, or tell them: in a mount namespace of the test's own.

use std::process::Command;
use testkit::{Scratch, holm};

/// What happens outside. The container waits for what is mounted outside, mounts something itself, and waits to be killed.
const OUTSIDE: &str = r#"
    mkdir shared; mount -t tmpfs none shared; mount --make-shared shared; mkdir shared/in shared/out shared/below; mount -t tmpfs none shared/below
    "$HOLM" oci --root "$PWD/state" run --detach c
    mount -t tmpfs none shared/in; touch shared/in/seen
    n=0; while [ ! -e rootfs/done ]; do sleep 0.05; n=$((n+1)); [ $n -lt 400 ]; done
    mountpoint -q shared/below
    cat rootfs/done; if [ -e shared/out/made ]; then echo outside; fi
    "$HOLM" oci --root "$PWD/state" delete --force c"#;

const INSIDE: &str = "set -- $(cut -d ' ' -f 5 /proc/self/mountinfo | grep -x -e /proc -e /v); test \"$*\" = '/proc /v' || exit 1; n=0; while [ ! -e /v/in/seen ] && [ $n -lt 20 ]; do sleep 0.05; n=$((n+1)); done
    if [ -e /v/in/seen ]; then echo inside; fi >/new; mount -t tmpfs none /v/out; touch /v/out/made; mv /new /done; exec sleep 1000";

#[test]
fn a_word_says_where_later_mounts_show() {
    if !testkit::is_root() {
        return;
    }
    for (word, expected) in [("rprivate", ""), ("rslave", "inside\n"), ("shared", "inside\noutside\n")] {
        let scratch = Scratch::new(&format!("propagation-{word}"));
        std::fs::create_dir(scratch.join("rootfs")).expect("it is new");
        for top in ["bin", "lib", "lib64", "sbin"] {
            std::os::unix::fs::symlink(format!("usr/{top}"), scratch.join("rootfs").join(top)).expect("it is new");
        }
        let rights = ["CAP_SYS_ADMIN"];
        let config = serde_json::json!({
            "ociVersion": "1.2.0",
            "process": {
                "user": { "uid": 0, "gid": 0 }, "args": ["sh", "-c", INSIDE], "env": ["PATH=/usr/bin:/usr/sbin"], "cwd": "/",
                "capabilities": { "bounding": rights, "permitted": rights, "effective": rights },
            },
            "root": { "path": "rootfs" },
            "mounts": [
                { "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"] },
                { "destination": "/proc", "type": "proc" },
                { "destination": "/v", "type": "bind", "source": "shared", "options": ["rbind", word] },
            ],
            "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }], "rootfsPropagation": word },
        });
        std::fs::write(scratch.join("config.json"), config.to_string()).expect("it can be written");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-euc", OUTSIDE]);
        let output = command.env("HOLM", holm()).current_dir(scratch.path()).output().expect("unshare(1) is there");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{word}: {out}{err}");
        assert_eq!(out, expected, "{word}: {err}");
    }
}

/// Who starts it has no right over the directory once it is in the user namespace.
#[test]
fn a_directory_that_nobody_inside_may_search_hears_of_the_hosts_mounts_too() {
    if !testkit::is_root() {
        return;
    }
    let scratch = Scratch::new("propagation-closed");
    for directory in ["rootfs/usr", "rootfs/proc", "rootfs/v", "closed"] {
        std::fs::create_dir_all(scratch.join(directory)).expect("it is new");
    }
    for top in ["bin", "lib", "lib64", "sbin"] {
        std::os::unix::fs::symlink(format!("usr/{top}"), scratch.join("rootfs").join(top)).expect("it is new");
    }
    let map = serde_json::json!([{ "containerID": 0, "hostID": 300_000, "size": 10 }]);
    let config = serde_json::json!({
        "ociVersion": "1.2.0",
        "process": {
            "user": { "uid": 0, "gid": 0 }, "args": ["sh", "-c", "grep -c ' /v .*master:' /proc/self/mountinfo"],
            "env": ["PATH=/usr/bin"], "cwd": "/",
        },
        "root": { "path": "rootfs" },
        "mounts": [
            { "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"] },
            { "destination": "/proc", "type": "proc" },
            { "destination": "/v", "type": "bind", "source": "closed", "options": ["rbind", "rslave"] },
        ],
        "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }, { "type": "user" }], "uidMappings": map, "gidMappings": map },
    });
    std::fs::write(scratch.join("config.json"), config.to_string()).expect("it can be written");
    let script = r#"mount -t tmpfs none closed; mount --make-shared closed; chmod 700 closed; chown 12345:12345 closed
        chown -R 300000:300000 rootfs; exec "$HOLM" oci --root "$PWD/state" run "closed-$$""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-euc", script]);
    let output = command.env("HOLM", holm()).current_dir(scratch.path()).output().expect("unshare(1) is there");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n", "{}", String::from_utf8_lossy(&output.stderr));
}
