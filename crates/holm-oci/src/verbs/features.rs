//! `features`: what is done of the specification (features.md).

use holm::model::capability::Capability;
use holm::model::mount::Attributes;
use serde_json::{Value, json};

const MEMORY_MODES: [&str; 7] = [
    "MPOL_DEFAULT",
    "MPOL_PREFERRED",
    "MPOL_BIND",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];
const MEMORY_FLAGS: [&str; 3] = ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"];

/// The features, as the specification shapes them.
pub fn features() -> Value {
    let below = Attributes::names().filter(|name| !["defaults", "async"].contains(name)).map(|name| format!("r{name}"));
    let words = ["bind", "private", "shared", "slave", "unbindable"];
    let own = words
        .iter()
        .flat_map(|word| [(*word).to_owned(), format!("r{word}")])
        .chain(["tmpcopyup", "remount", "idmap", "ridmap"].map(str::to_owned));
    let mut options: Vec<String> = Attributes::names().map(str::to_owned).chain(below).chain(own).collect();
    options.sort();
    let capabilities: Vec<String> = Capability::all().map(|one| one.to_string()).collect();
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.3.0",
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": options,
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            "capabilities": capabilities,
            "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true },
            "seccomp": {
                "enabled": true,
                "actions": crate::seccomp::ACTIONS,
                "operators": crate::seccomp::COMPARISONS,
                "archs": ["SCMP_ARCH_X86_64"],
                "knownFlags": crate::seccomp::FLAGS,
                "supportedFlags": crate::seccomp::FLAGS,
            },
            "apparmor": { "enabled": true },
            "selinux": { "enabled": true },
            "intelRdt": { "enabled": true, "schemata": true, "monitoring": true },
            "memoryPolicy": { "modes": MEMORY_MODES, "flags": MEMORY_FLAGS },
            "mountExtensions": { "idmap": { "enabled": true } },
            "netDevices": { "enabled": true },
        },
        "annotations": {},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::resources::writes;
    use holm::host::groups::Hierarchy;
    use holm::model::group::Version;
    use oci_spec::runtime::{LinuxMemoryPolicy, LinuxResources};

    #[test]
    fn what_is_told_is_taken() {
        let told = features();
        for mode in told["linux"]["memoryPolicy"]["modes"].as_array().expect("they are listed") {
            let policy = json!({ "mode": mode, "nodes": "0", "flags": told["linux"]["memoryPolicy"]["flags"] });
            serde_json::from_value::<LinuxMemoryPolicy>(policy).unwrap_or_else(|error| panic!("{mode}: {error}"));
        }
        let rdma = json!({ "rdma": { "mlx5_1": { "hcaHandles": 3, "hcaObjects": 4 } } });
        let resources: LinuxResources = serde_json::from_value(rdma).expect("they are resources");
        for version in [Version::One, Version::Two] {
            let place = std::path::PathBuf::from("/cg");
            let one = Hierarchy { version, mounted: place.clone(), controllers: vec!["rdma".into()], own: place };
            let done = writes(&resources, &[one]).refused.is_empty();
            assert_eq!(told["linux"]["cgroup"]["rdma"], done);
        }
    }
}
