//! `spec`: a configuration to begin with, as engines and their users know it.

use serde_json::{Value, json};

/// For whom a configuration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Root.
    Root,
    /// An ordinary user, who becomes root of a user namespace with these ids alone, and makes no network.
    User {
        /// The user's id.
        uid: u32,
        /// Its group's.
        gid: u32,
    },
}

/// A configuration to begin with: a shell with few rights in namespaces of its own.
pub fn specification(owner: Owner) -> Value {
    let rights = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    json!({
        "ociVersion": "1.3.0",
        "process": {
            "terminal": true,
            "user": { "uid": 0, "gid": 0 },
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": { "bounding": rights, "effective": rights, "permitted": rights },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "holm",
        "mounts": mounts(owner),
        "linux": linux(owner)
    })
}

fn mounts(owner: Owner) -> Value {
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| json!({ "destination": destination, "type": kind, "source": source, "options": options });
    let tmpfs = ["nosuid", "strictatime", "mode=755", "size=65536k"];
    let terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    // Of an ordinary user's groups only one is there.
    let terminals: Vec<&str> = terminals.into_iter().chain((owner == Owner::Root).then_some("gid=5")).collect();
    let system = match owner {
        Owner::Root => mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        // Of a network that isn't its own a user mounts none.
        Owner::User { .. } => mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]),
    };
    json!([
        mount("/proc", "proc", "proc", &[]),
        mount("/dev", "tmpfs", "tmpfs", &tmpfs),
        mount("/dev/pts", "devpts", "devpts", &terminals),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        system,
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ])
}

fn linux(owner: Owner) -> Value {
    let kinds: &[&str] = match owner {
        Owner::Root => &["pid", "network", "ipc", "uts", "mount"],
        Owner::User { .. } => &["pid", "ipc", "uts", "mount", "user"],
    };
    let groups = of_version_two().then_some(&"cgroup");
    let namespaces: Vec<Value> = kinds.iter().chain(groups).map(|kind| json!({ "type": kind })).collect();
    let mut linux = json!({
        "namespaces": namespaces,
        "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
            "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
    });
    match owner {
        Owner::Root => linux["resources"] = json!({ "devices": [{ "allow": false, "access": "rwm" }] }),
        Owner::User { uid, gid } => {
            linux["uidMappings"] = json!([{ "containerID": 0, "hostID": uid, "size": 1 }]);
            linux["gidMappings"] = json!([{ "containerID": 0, "hostID": gid, "size": 1 }]);
        }
    }
    linux
}

/// Whether control groups are of version 2 alone, where engines make a namespace of them.
fn of_version_two() -> bool {
    const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;
    rustix::fs::statfs("/sys/fs/cgroup").is_ok_and(|facts| facts.f_type == CGROUP2_SUPER_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_configurations_with_few_rights() {
        for owner in [Owner::Root, Owner::User { uid: 7, gid: 8 }] {
            let value = specification(owner);
            let bundle = crate::bundle::parse(&value.to_string(), "/".into()).expect("it is one");
            let process = bundle.config.process().as_ref().expect("it is there");
            let rights = process.capabilities().as_ref().expect("they are there");
            assert_eq!(rights.bounding().as_ref().map(std::collections::HashSet::len), Some(3));
            assert_eq!((rights.inheritable(), rights.ambient()), (&None, &None));
        }
    }
}
