//! `features`: what is done of the specification (features.md).

use holm::model::capability::Capability;
use holm::model::mount::Attributes;
use serde_json::{Value, json};

/// The features, as the specification shapes them.
pub fn features() -> Value {
    let below = Attributes::names().filter(|name| !["defaults", "async"].contains(name)).map(|name| format!("r{name}"));
    let words = ["bind", "private", "shared", "slave", "unbindable"];
    let own = words
        .iter()
        .flat_map(|word| [(*word).to_owned(), format!("r{word}")])
        .chain(["tmpcopyup", "idmap", "ridmap"].map(str::to_owned));
    let mut options: Vec<String> = Attributes::names().map(str::to_owned).chain(below).chain(own).collect();
    options.sort();
    let capabilities: Vec<String> = Capability::all().map(|one| one.to_string()).collect();
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.3.0",
        "hooks": ["prestart", "createRuntime", "poststart", "poststop"],
        "mountOptions": options,
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"],
            "capabilities": capabilities,
            "cgroup": { "v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": false },
            "seccomp": {
                "enabled": true,
                "actions": crate::seccomp::ACTIONS,
                "operators": crate::seccomp::COMPARISONS,
                "archs": ["SCMP_ARCH_X86_64"],
                "knownFlags": crate::seccomp::FLAGS,
                "supportedFlags": crate::seccomp::FLAGS,
            },
            "apparmor": { "enabled": false },
            "selinux": { "enabled": false },
            "intelRdt": { "enabled": false },
            "mountExtensions": { "idmap": { "enabled": true } },
            "netDevices": { "enabled": false },
        },
        "annotations": {},
    })
}
