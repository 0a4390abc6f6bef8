//! Limits of a container, and rules for its devices, in whatever version of control groups the machine has.

use std::path::Path;
use std::process::Command;
use testkit::{Scratch, holm};

/// Reads /dev/kmsg, which no list of usual devices has, and the null device, which every one has.
const SCRIPT: &str =
    "mknod /dev/kmsg c 1 11 && echo made; head -c 0 /dev/kmsg 2>/dev/null && echo read; echo >/dev/null && echo null
    cat $FILES";

#[test]
fn limits_and_rules_for_devices_hold() {
    if !testkit::is_root() {
        return;
    }
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    if !unified && !Path::new("/sys/fs/cgroup/devices").exists() {
        return testkit::skip("no control groups are mounted");
    }
    let files = match unified {
        true => "memory.max pids.max cpu.max memory.high",
        false => "memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us",
    };
    let files: Vec<String> = files.split(' ').map(|file| format!("/sys/fs/cgroup/{file}")).collect();
    let refused = serde_json::json!({ "allow": false, "access": "rwm" });
    let allowed = serde_json::json!({ "allow": true, "type": "c", "major": 1, "minor": 11, "access": "r" });
    for (devices, expected) in [(vec![refused.clone()], "made\nnull\n"), (vec![refused, allowed], "made\nread\nnull\n")]
    {
        let scratch = Scratch::new("groups");
        std::fs::create_dir(scratch.join("rootfs")).expect("it is new");
        for top in ["bin", "lib", "lib64", "sbin"] {
            std::os::unix::fs::symlink(format!("usr/{top}"), scratch.join("rootfs").join(top)).expect("it is new");
        }
        let mut resources = serde_json::json!({
            "devices": devices, "memory": { "limit": 67_108_864 }, "pids": { "limit": 20 },
            "cpu": { "quota": 50_000, "period": 100_000 },
        });
        if unified {
            resources["unified"] = serde_json::json!({ "memory.high": "33554432" });
        }
        let rights = ["CAP_MKNOD", "CAP_SYSLOG", "CAP_DAC_OVERRIDE"];
        let config = serde_json::json!({
            "ociVersion": "1.3.0",
            "process": {
                "user": { "uid": 0, "gid": 0 }, "args": ["sh", "-c", SCRIPT], "cwd": "/",
                "env": ["PATH=/usr/bin:/usr/sbin", format!("FILES={}", files.join(" "))],
                "capabilities": { "bounding": rights, "permitted": rights, "effective": rights },
            },
            "root": { "path": "rootfs" },
            "mounts": [
                { "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"] },
                { "destination": "/proc", "type": "proc" },
                { "destination": "/dev", "type": "tmpfs", "options": ["mode=755", "nosuid"] },
                { "destination": "/sys", "type": "sysfs", "options": ["ro"] },
                { "destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["ro"] },
            ],
            "linux": {
                "namespaces": [{ "type": "pid" }, { "type": "mount" }, { "type": "network" }, { "type": "cgroup" }],
                "cgroupsPath": format!("/holm-groups-{}", std::process::id()), "resources": resources,
            },
        });
        std::fs::write(scratch.join("config.json"), config.to_string()).expect("it can be written");
        let mut command = Command::new(holm());
        command.args(["oci", "--root"]).arg(scratch.join("state")).args(["run", "c"]).current_dir(scratch.path());
        let output = command.output().expect("holm starts");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let limits = if unified { "67108864\n20\n50000 100000\n33554432\n" } else { "67108864\n20\n50000\n" };
        assert_eq!(out, format!("{expected}{limits}"), "{err}");
    }
}
