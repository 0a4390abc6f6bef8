//! What engines write about containers: configurations, processes, resources, and holm's own records of them.

use holm::Spec;
use holm::host::groups::Hierarchy;
use holm::host::{Host, RootFacts};
use holm::model::group::Version;
use holm::model::label::Module;
use holm::plan::Plan;
use holm_oci::group::{Group, Origin};
use holm_oci::lower::{Lowered, Surroundings, further, limits, lower};
use holm_oci::{bundle, state};
use std::collections::HashMap;

/// A configuration; one that is read is lowered or refused, on machines of either kind, and what is lowered is planned or
/// refused. So is its process as a further one.
pub fn configuration(bytes: &[u8]) {
    let Some(bundle) = std::str::from_utf8(bytes).ok().and_then(|text| bundle::parse(text, "/".into()).ok()) else {
        return;
    };
    for version in [Version::One, Version::Two] {
        let around = around(version);
        planned(lower(&bundle, &around), bytes);
        if let Some(process) = bundle.config.process() {
            planned(further(process, bundle.seccomp.as_ref(), HashMap::new(), Spec::new(""), &around), bytes);
        }
    }
}

/// What `exec --process` reads.
pub fn process(bytes: &[u8]) {
    if let Ok(process) = serde_json::from_slice(bytes) {
        planned(further(&process, None, HashMap::new(), Spec::new(""), &around(Version::Two)), bytes);
    }
}

/// What `update --resources` reads: each file that is written is one of the group itself.
pub fn resources(bytes: &[u8]) {
    let Ok(resources) = serde_json::from_slice(bytes) else { return };
    for version in [Version::One, Version::Two] {
        let group = |one: &Hierarchy| Group {
            directory: one.mounted.join("a"),
            unified: version == Version::Two,
            origin: Origin::Made,
            devices: None,
        };
        let hierarchies = around(version).hierarchies;
        let groups: Vec<Group> = hierarchies.iter().map(group).collect();
        for (place, name, value) in limits(&resources, &groups, &hierarchies).into_iter().flatten() {
            assert!(place < groups.len() && !name.contains('/') && !name.is_empty(), "{place} {name:?}={value:?}");
        }
    }
}

/// A record; one that is taken is the same once it is written and read again.
pub fn record(bytes: &[u8]) {
    if let Ok(record) = state::parse(bytes) {
        let _ = record.status();
        let text = serde_json::to_vec(&record).expect("it can be written");
        let again = state::parse(&text).expect("it was read before");
        assert_eq!(again.process, record.process);
        assert_eq!(serde_json::to_vec(&again).expect("it can be written").len(), text.len());
    }
}

fn around(version: Version) -> Surroundings {
    let named: &[&[&str]] = match version {
        Version::One => {
            &[&["cpu", "cpuacct"], &["memory"], &["blkio"], &["devices"], &["pids"], &["hugetlb"], &["rdma"]]
        }
        Version::Two => &[&["cpu", "cpuset", "io", "memory", "pids", "hugetlb", "rdma"]],
    };
    let hierarchy = |names: &&[&str]| {
        let mounted = std::path::PathBuf::from("/cg").join(names.join(","));
        let controllers = names.iter().map(|name| (*name).to_owned()).collect();
        Hierarchy { version, own: mounted.clone(), mounted, controllers }
    };
    let hierarchies = named.iter().map(hierarchy).collect();
    Surroundings { hierarchies, grantable: u64::MAX, makes_nodes: true, selinux: true, ..Surroundings::default() }
}

/// Plans what was lowered. A plan holds nothing that can't be given to the kernel, and isn't much longer than what was read.
fn planned(lowered: holm_oci::Result<Lowered>, bytes: &[u8]) {
    let Ok(Lowered { spec, .. }) = lowered else { return };
    let root = Some(Ok(RootFacts { missing: Vec::new() }));
    let modules = vec![Module::AppArmor, Module::Selinux];
    let host = Host { privileged: true, owns_mounts: true, root, modules, ..Host::default() };
    let Ok(plan) = Plan::new(&spec, &host) else { return };
    let shown = format!("{:?}", plan.steps());
    assert!(shown.len() < 1_000_000 + 500 * bytes.len(), "{} of {}", shown.len(), bytes.len());
    let steps = plan.steps().iter().filter(|step| !matches!(step.act, holm::plan::step::Act::RootAsIs { .. }));
    for step in steps {
        // A backslash that is one is shown as two.
        assert!(!format!("{:?}", step.act).replace("\\\\", "").contains("\\0"), "{:?}", step.act);
    }
}
