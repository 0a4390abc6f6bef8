//! `linux`: namespaces, ids, settings, the filter.

use super::{Lowering, origin};
use holm::model::id::IdMap;
use holm::model::namespace::Namespace;
use holm::spec::identity::Maps;
use holm::spec::namespaces::{Choice, Device, Target, TimeOffsets};
use holm::spec::origins::Wish;
use holm::spec::policy::{Calls, Denials, Nesting, ProcView};
use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType, LinuxNetDevice};
use std::path::PathBuf;

impl Lowering<'_> {
    pub(super) fn linux(&mut self) {
        let Some(linux) = self.bundle.config.linux() else {
            return self.refuse("linux", "cannot make a container without namespaces: there is no linux");
        };
        self.namespaces(linux);
        self.maps(linux);
        self.settings(linux);
        self.clocks(linux);
        self.network_devices(linux);
        self.machine(linux);
        linux.intel_rdt().iter().for_each(|wished| self.resctrl(wished));
        self.policy();
    }

    /// What may be asked of the kernel.
    pub(super) fn policy(&mut self) {
        self.spec.policy.nesting = Nesting::Allowed;
        self.spec.policy.proc = ProcView::Full;
        self.spec.policy.calls = match &self.bundle.seccomp {
            None => Calls::All,
            Some(value) => match crate::seccomp::from_value(value.clone()) {
                Ok((filter, agent)) => {
                    if let Some(agent) = &agent {
                        self.spec.policy.denials = Denials::HandedOver;
                        if agent.waits_killable && !self.around.waits_killable {
                            let cause = "flag SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs Linux 5.19";
                            self.refuse("linux.seccomp", format!("cannot filter system calls: {cause}"));
                        }
                    }
                    self.agent = agent;
                    Calls::Filter(filter)
                }
                Err(cause) => {
                    self.refuse("linux.seccomp", format!("cannot filter system calls: {cause}"));
                    Calls::All
                }
            },
        };
    }

    fn namespaces(&mut self, linux: &Linux) {
        let mut said: Vec<Namespace> = Vec::new();
        for wished in linux.namespaces().iter().flatten() {
            let kind = kind(wished.typ());
            if said.contains(&kind) {
                self.refuse("linux.namespaces", format!("cannot make the {kind} namespace: it is there twice"));
                continue;
            }
            said.push(kind);
            let choice = match wished.path() {
                None => Choice::New,
                Some(path) if path.as_os_str().is_empty() => Choice::New,
                Some(path) if path.is_absolute() => {
                    Choice::Join(Target::Path(path.clone()), origin("linux.namespaces"))
                }
                Some(path) => {
                    let message = format!("cannot join {}: it is not an absolute path", crate::shown(path));
                    self.refuse("linux.namespaces", message);
                    continue;
                }
            };
            self.spec.namespaces.choices.push((kind, choice));
        }
        for kind in Namespace::ALL.into_iter().filter(|kind| !said.contains(kind)) {
            self.spec.namespaces.choices.push((kind, Choice::Share));
        }
        if self.spec.root_stands_apart() {
            let warning = "without a new mount namespace the root is taken by chroot(2) alone, which holds back less";
            self.warnings.push(format!("{}: {warning}", origin("linux.namespaces")));
        }
    }

    fn maps(&mut self, linux: &Linux) {
        let (uid, gid) = (id_maps(linux.uid_mappings()), id_maps(linux.gid_mappings()));
        self.spec.identity.origin = origin("linux.uidMappings, linux.gidMappings");
        let new = *self.spec.namespaces.choice(Namespace::User) == Choice::New;
        match (new, uid.is_empty() && gid.is_empty()) {
            (true, false) => self.spec.identity.maps = Maps::Listed { uid, gid },
            (true, true) => self.refuse("linux.uidMappings", "cannot make a user namespace without maps of ids"),
            (false, false) => self.refuse("linux.uidMappings", "cannot map ids: the user namespace is not a new one"),
            (false, true) => self.spec.identity.maps = Maps::Single,
        }
    }

    fn clocks(&mut self, linux: &Linux) {
        let mut offsets = TimeOffsets::default();
        let mut all: Vec<_> = linux.time_offsets().iter().flatten().collect();
        all.sort_by_key(|(clock, _)| *clock);
        for (clock, offset) in &all {
            let nanoseconds = offset.secs().unwrap_or(0).checked_mul(1_000_000_000);
            let nanoseconds = nanoseconds.and_then(|whole| whole.checked_add(offset.nanosecs().unwrap_or(0).into()));
            let place = match clock.as_str() {
                "monotonic" => Some(&mut offsets.monotonic),
                "boottime" => Some(&mut offsets.boot),
                _ => None,
            };
            match (place, nanoseconds) {
                (Some(place), Some(nanoseconds)) => *place = nanoseconds,
                (None, _) => {
                    let message = format!("cannot shift clock {clock:?}: only monotonic and boottime can be");
                    self.refuse("linux.timeOffsets", message);
                }
                (_, None) => {
                    self.refuse("linux.timeOffsets", format!("cannot shift clock {clock:?}: it is too much"));
                }
            }
        }
        let new = *self.spec.namespaces.choice(Namespace::Time) == Choice::New;
        self.spec.namespaces.time = (new || !all.is_empty()).then_some(offsets);
        let field = if all.is_empty() { "linux.namespaces" } else { "linux.timeOffsets" };
        self.spec.origins.set(Wish::Time, origin(field));
    }

    fn network_devices(&mut self, linux: &Linux) {
        let mut all: Vec<_> = linux.net_devices().iter().flatten().collect();
        all.sort_by_key(|(name, _)| *name);
        let inside = |name: &String, wished: &LinuxNetDevice| {
            wished.name().as_ref().filter(|wished| !wished.is_empty()).unwrap_or(name).into()
        };
        let device =
            |(name, wished): (&String, &LinuxNetDevice)| Device { name: name.into(), inside: inside(name, wished) };
        self.spec.namespaces.devices = all.into_iter().map(device).collect();
        self.spec.origins.set(Wish::Devices, origin("linux.netDevices"));
    }

    /// A setting must be one of a namespace that isn't the caller's; of one that is joined that is seen once it is open.
    fn settings(&mut self, linux: &Linux) {
        let mut all: Vec<(&String, &String)> = linux.sysctl().iter().flatten().collect();
        all.sort();
        for (key, value) in all {
            let path = PathBuf::from(if key.contains('/') { key.clone() } else { key.replace('.', "/") });
            let owner = Namespace::of_setting(&path);
            if owner.is_none_or(|kind| *self.spec.namespaces.choice(kind) == Choice::Share) {
                let cause = "it is not a setting of a namespace of the container's own";
                self.refuse("linux.sysctl", format!("cannot set {key:?}: {cause}"));
            }
            self.spec.settings.push((path, value.into()));
        }
    }
}

/// Maps of ids.
pub(super) fn id_maps(maps: &Option<Vec<LinuxIdMapping>>) -> Vec<IdMap> {
    let one = |map: &LinuxIdMapping| IdMap { inside: map.container_id(), outside: map.host_id(), count: map.size() };
    maps.iter().flatten().map(one).collect()
}

fn kind(wished: LinuxNamespaceType) -> Namespace {
    match wished {
        LinuxNamespaceType::Mount => Namespace::Mount,
        LinuxNamespaceType::Cgroup => Namespace::Cgroup,
        LinuxNamespaceType::Uts => Namespace::Uts,
        LinuxNamespaceType::Ipc => Namespace::Ipc,
        LinuxNamespaceType::User => Namespace::User,
        LinuxNamespaceType::Pid => Namespace::Pid,
        LinuxNamespaceType::Network => Namespace::Net,
        LinuxNamespaceType::Time => Namespace::Time,
    }
}

#[cfg(test)]
mod tests {
    use crate::bundle::Bundle;
    use crate::lower::{Surroundings, lower};

    #[test]
    fn a_filter_whose_calls_must_not_be_interrupted_needs_a_kernel_that_can_wait() {
        let config = serde_json::json!({
            "ociVersion": "1.2.0", "root": { "path": "rootfs" }, "linux": { "namespaces": [{ "type": "mount" }] },
            "process": { "user": { "uid": 0, "gid": 0 }, "args": ["sh"], "cwd": "/" },
        });
        let asks = |flags: &[&str]| {
            serde_json::json!({ "defaultAction": "SCMP_ACT_ALLOW", "flags": flags, "listenerPath": "/agent",
                "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" }] })
        };
        let refused = |flags: &[&str], waits_killable: bool| {
            let config = serde_json::from_value(config.clone()).expect("it is right");
            let seccomp = Some(asks(flags));
            let bundle = Bundle { directory: "/bundle".into(), config, seccomp, warnings: Vec::new() };
            let around = Surroundings { waits_killable, makes_nodes: true, ..Surroundings::default() };
            lower(&bundle, &around).map(drop).map_err(|error| error.to_string()).err()
        };
        let flag = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV";
        assert_eq!([refused(&[flag], true), refused(&[], false)], [None, None]);
        let said = refused(&[flag], false).expect("it is refused");
        assert!(said.contains("flag SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs Linux 5.19"), "{said}");
    }
}
