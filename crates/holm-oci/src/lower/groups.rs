//! `linux.cgroupsPath` and `linux.resources`: control groups by their places, and what is written into their files.

use super::{Lowering, origin};
use holm::model::group::Version;
use holm::spec::limits::NamedGroup;
use holm::spec::origins::Wish;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType, LinuxResources};
use std::path::{Component, Path, PathBuf};

/// A mounted hierarchy of control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mounted: PathBuf,
    /// Of which version it is.
    pub version: Version,
    /// Its controllers, in version 1.
    pub controllers: Vec<String>,
    /// The caller's own group, from the root of the hierarchy on.
    pub own: PathBuf,
}

/// The hierarchies that /proc/self/mountinfo and /proc/self/cgroup tell of. Beside those of version 1 the one of version 2 has
/// no controllers, and is left out.
pub fn hierarchies(mounts: &str, own: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mounts.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let (before, after): (Vec<&str>, Vec<&str>) = (before.split(' ').collect(), after.split(' ').collect());
        let ([_, _, _, "/", at, ..], [kind, _, options, ..]) = (&before[..], &after[..]) else { continue };
        let known = |name: &&str| !["rw", "ro", "xattr", "clone_children", "noprefix"].contains(name);
        let names: Vec<String> = options.split(',').filter(known).map(str::to_owned).collect();
        let (version, names) = match *kind {
            "cgroup" => (Version::One, names),
            "cgroup2" => (Version::Two, Vec::new()),
            _ => continue,
        };
        let mine = own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (listed, path) = (parts.next()?, parts.next()?);
            (listed == names.join(",")).then(|| PathBuf::from(path))
        });
        let Some(own) = mine else { continue };
        if found.iter().any(|one| one.version == version && one.controllers == names) {
            continue;
        }
        found.push(Hierarchy { mounted: (*at).into(), version, controllers: names, own });
    }
    let legacy = found.iter().any(|one| one.version == Version::One);
    found.retain(|one| !legacy || one.version == Version::One);
    found
}

impl Lowering<'_> {
    pub(super) fn control_groups(&mut self) {
        let linux = self.bundle.config.linux().as_ref();
        let path = linux.and_then(|linux| linux.cgroups_path().clone()).filter(|path| !path.as_os_str().is_empty());
        let resources = linux.and_then(|linux| linux.resources().clone());
        let nothing = LinuxResources::default();
        if let Some(path) = &path
            && path.components().any(|part| !matches!(part, Component::RootDir | Component::Normal(_)))
        {
            let message = format!("cannot use control group {}: it climbs", crate::shown(path));
            return self.refuse("linux.cgroupsPath", message);
        }
        let Some(place) = path.or_else(|| self.around.group.clone()) else {
            if resources.is_some_and(|wished| asks(&wished)) {
                self.refuse(
                    "linux.resources",
                    "cannot limit anything: there are no control groups that the caller may make",
                );
            }
            return;
        };
        let relative = place.strip_prefix("/").map(Path::to_owned);
        for one in self.around.hierarchies.clone() {
            let directory = match &relative {
                Ok(from_root) => one.mounted.join(from_root),
                Err(_) => one.mounted.join(one.own.strip_prefix("/").unwrap_or(&one.own)).join(&place),
            };
            let files = Vec::new();
            self.spec.limits.groups.push(NamedGroup { directory, version: one.version, files });
        }
        self.spec.origins.set(Wish::NamedGroups, origin("linux.cgroupsPath, linux.resources"));
        self.resources(resources.as_ref().unwrap_or(&nothing));
    }

    /// Notes what is written into the group that has `controller`.
    fn set(&mut self, controller: &str, file: &str, value: String) {
        let has = |one: &super::Hierarchy| {
            one.version == Version::Two || one.controllers.iter().any(|name| name == controller)
        };
        match self.around.hierarchies.iter().position(has) {
            Some(place) => self.spec.limits.groups[place].files.push((file.to_owned(), value)),
            None => self.refuse("linux.resources", format!("cannot set {file}: there is no controller {controller}")),
        }
    }

    /// The same, by the file's name in each version.
    fn either(&mut self, controller: &str, [one, two]: [&str; 2], value: String) {
        let is_two = self.around.hierarchies.iter().any(|hierarchy| hierarchy.version == Version::Two);
        self.set(controller, if is_two { two } else { one }, value);
    }

    fn resources(&mut self, wished: &LinuxResources) {
        let is_two = self.around.hierarchies.iter().any(|hierarchy| hierarchy.version == Version::Two);
        if let Some(pids) = wished.pids() {
            let most = if pids.limit() > 0 { pids.limit().to_string() } else { "max".to_owned() };
            self.set("pids", "pids.max", most);
        }
        self.memory(wished, is_two);
        self.cpu(wished, is_two);
        self.refuse_resources(wished);
        for (name, value) in wished.unified().iter().flatten() {
            match is_two && !name.contains('/') && name.contains('.') {
                true => self.set("", name, value.clone()),
                false => {
                    self.refuse("linux.resources.unified", format!("cannot set {name}: it is no file of version 2"))
                }
            }
        }
        self.device_rules(wished.devices().as_deref().unwrap_or_default(), is_two);
    }

    fn memory(&mut self, wished: &LinuxResources, is_two: bool) {
        let Some(memory) = wished.memory() else { return };
        let amount = |value: i64| match (value, is_two) {
            (-1, true) => "max".to_owned(),
            (value, _) => value.to_string(),
        };
        if memory.kernel().is_some_and(|value| value > 0) || memory.kernel_tcp().is_some_and(|value| value > 0) {
            self.refuse("linux.resources.memory", "cannot limit the kernel's memory: holm does not know how yet");
        }
        if let Some(limit) = memory.limit().filter(|limit| *limit != 0) {
            self.either("memory", ["memory.limit_in_bytes", "memory.max"], amount(limit));
        }
        if let Some(swap) = memory.swap().filter(|swap| *swap != 0) {
            // Version 1, and the specification, count both together.
            let swap = match (memory.limit(), is_two && swap > 0) {
                (Some(limit), true) => swap.saturating_sub(limit).max(0),
                _ => swap,
            };
            self.either("memory", ["memory.memsw.limit_in_bytes", "memory.swap.max"], amount(swap));
        }
        if let Some(low) = memory.reservation().filter(|low| *low != 0) {
            self.either("memory", ["memory.soft_limit_in_bytes", "memory.low"], amount(low));
        }
        if let Some(swappiness) = memory.swappiness() {
            match is_two {
                true => self.refuse("linux.resources.memory.swappiness", "cannot set swappiness: version 2 has none"),
                false => self.set("memory", "memory.swappiness", swappiness.to_string()),
            }
        }
        if memory.disable_oom_killer() == Some(true) {
            match is_two {
                true => self.refuse(
                    "linux.resources.memory.disableOOMKiller",
                    "cannot switch the killer off: version 2 has no way",
                ),
                false => self.set("memory", "memory.oom_control", "1".to_owned()),
            }
        }
    }

    fn cpu(&mut self, wished: &LinuxResources, is_two: bool) {
        let Some(cpu) = wished.cpu() else { return };
        if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
            // From 2..262144 to 1..10000, as the engines have it.
            let weight = 1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142;
            match is_two {
                true => self.set("cpu", "cpu.weight", weight.to_string()),
                false => self.set("cpu", "cpu.shares", shares.to_string()),
            }
        }
        let (quota, period) = (cpu.quota().filter(|quota| *quota != 0), cpu.period().filter(|period| *period != 0));
        if is_two && (quota.is_some() || period.is_some()) {
            let quota = quota.filter(|quota| *quota > 0).map_or("max".to_owned(), |quota| quota.to_string());
            self.set("cpu", "cpu.max", format!("{quota} {}", period.unwrap_or(100_000)));
        } else {
            if let Some(period) = period {
                self.set("cpu", "cpu.cfs_period_us", period.to_string());
            }
            if let Some(quota) = quota {
                self.set("cpu", "cpu.cfs_quota_us", quota.to_string());
            }
        }
        for (file, list) in [("cpuset.cpus", cpu.cpus()), ("cpuset.mems", cpu.mems())] {
            if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
                self.set("cpuset", file, list.clone());
            }
        }
    }

    fn refuse_resources(&mut self, wished: &LinuxResources) {
        let cpu = wished.cpu().as_ref();
        let some = |is_there: bool, field: &'static str| is_there.then_some(field);
        let found = [
            some(
                cpu.is_some_and(|cpu| cpu.realtime_runtime().is_some_and(|n| n != 0)),
                "linux.resources.cpu.realtimeRuntime",
            ),
            some(
                cpu.is_some_and(|cpu| cpu.realtime_period().is_some_and(|n| n != 0)),
                "linux.resources.cpu.realtimePeriod",
            ),
            some(cpu.is_some_and(|cpu| cpu.idle().is_some_and(|n| n != 0)), "linux.resources.cpu.idle"),
            some(cpu.is_some_and(|cpu| cpu.burst().is_some_and(|n| n != 0)), "linux.resources.cpu.burst"),
            some(wished.block_io().as_ref().is_some_and(|io| *io != Default::default()), "linux.resources.blockIO"),
            some(
                wished.hugepage_limits().as_ref().is_some_and(|all| !all.is_empty()),
                "linux.resources.hugepageLimits",
            ),
            some(wished.network().as_ref().is_some_and(|net| *net != Default::default()), "linux.resources.network"),
            some(wished.rdma().as_ref().is_some_and(|all| !all.is_empty()), "linux.resources.rdma"),
        ];
        for field in found.into_iter().flatten() {
            self.refuse(field, format!("cannot do {field}: holm does not know how yet"));
        }
    }

    /// The list of version 1. The devices that every container has can be used whatever it says.
    fn device_rules(&mut self, rules: &[LinuxDeviceCgroup], is_two: bool) {
        if is_two && rules.iter().any(|rule| !rule.allow()) {
            let message = "cannot refuse devices in version 2 of control groups: holm does not know how yet";
            return self.refuse("linux.resources.devices", message);
        }
        if is_two || rules.is_empty() {
            return;
        }
        for rule in rules {
            let file = if rule.allow() { "devices.allow" } else { "devices.deny" };
            self.set("devices", file, device_line(rule));
        }
        for line in ALWAYS {
            self.set("devices", "devices.allow", (*line).to_owned());
        }
    }
}

/// Making nodes, and the devices that every container has: those of /dev, its terminals.
const ALWAYS: &[&str] = &[
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:1 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
];

fn device_line(rule: &LinuxDeviceCgroup) -> String {
    let kind = match rule.typ() {
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => "c",
        Some(LinuxDeviceType::B) => "b",
        _ => "a",
    };
    let number = |number: Option<i64>| number.filter(|number| *number >= 0).map_or("*".to_owned(), |n| n.to_string());
    let access = rule.access().as_deref().filter(|access| !access.is_empty()).unwrap_or("rwm");
    format!("{kind} {}:{} {access}", number(rule.major()), number(rule.minor()))
}

/// Whether resources ask for anything.
fn asks(wished: &LinuxResources) -> bool {
    let with = |devices| {
        let mut bare = LinuxResources::default();
        bare.set_devices(devices);
        bare
    };
    *wished != with(wished.devices().clone()) || wished.devices().iter().flatten().any(|rule| !rule.allow())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_either_version_are_found() {
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:1 - cgroup cgroup rw,cpu,cpuacct\n\
            40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let found = hierarchies(mounts, "3:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/c\n");
        let shown: Vec<_> =
            found.iter().map(|one| (one.controllers.join(","), one.own.display().to_string())).collect();
        assert_eq!(shown, [("cpu,cpuacct".into(), "/a".into()), ("name=systemd".into(), "/b".into())]);
        let found = hierarchies("1 2 0:3 / /sys/fs/cgroup rw - cgroup2 none rw,nsdelegate\n", "0::/x\n");
        assert_eq!((found.len(), found[0].version), (1, Version::Two));
    }
}
