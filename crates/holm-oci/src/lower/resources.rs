//! `linux.resources`: what is written into the files of control groups, controller by controller. On a hybrid machine some are
//! of version 1 and some of version 2.

use holm::host::groups::Hierarchy;
use holm::model::device::DeviceRule;
use holm::model::group::Version;
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxNetwork, LinuxResources, LinuxThrottleDevice};

/// What is to be done in the groups of a container, one for each hierarchy.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// For each hierarchy, names of files and what is written there, in order.
    pub files: Vec<Vec<(String, String)>>,
    /// Rules for devices, and the hierarchy of version 2 whose group asks a program for them.
    pub devices: Option<(usize, Vec<DeviceRule>)>,
    /// What can't be done: the field, and why.
    pub refused: Vec<(String, String)>,
}

/// A file and its value.
type File<'a> = Option<(&'a str, String)>;

/// What `wished` means for these hierarchies. Without a list of devices nothing is said about them; an empty one is a list.
pub fn writes(wished: &LinuxResources, hierarchies: &[Hierarchy]) -> Writes {
    let mut lowering = Lowering { hierarchies, writes: Writes::default() };
    lowering.writes.files.resize(hierarchies.len(), Vec::new());
    if let Some(pids) = wished.pids() {
        let most = if pids.limit() > 0 { pids.limit().to_string() } else { "max".to_owned() };
        lowering.same("pids.limit", "pids", "pids.max", most);
    }
    wished.memory().iter().for_each(|memory| lowering.memory(memory));
    wished.cpu().iter().for_each(|cpu| lowering.cpu(cpu));
    wished.block_io().iter().for_each(|io| lowering.block_io(io));
    wished.network().iter().for_each(|network| lowering.network(network));
    lowering.others(wished);
    wished.devices().iter().for_each(|listed| lowering.devices(listed));
    lowering.writes
}

/// From shares of 2 to 262144 to a weight of 1 to 10000, as the engines have it.
pub(crate) fn cpu_weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

/// From 10 to 1000 to 1 to 10000.
pub(crate) fn disk_weight(weight: u16) -> u32 {
    1 + (u32::from(weight.clamp(10, 1000)) - 10) * 9999 / 990
}

/// What `both` leaves for swap, which version 1, and the specification, count together with memory: that is a limit of swap only
/// beside one of memory.
pub(crate) fn swap_alone(limit: Option<i64>, both: i64) -> Option<i64> {
    limit.filter(|limit| (1..=both).contains(limit)).map(|limit| both - limit)
}

pub(super) struct Lowering<'a> {
    pub(super) hierarchies: &'a [Hierarchy],
    pub(super) writes: Writes,
}

impl Lowering<'_> {
    pub(super) fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.writes.refused.push((format!("linux.resources.{field}"), message.into()));
    }

    /// Which hierarchy has a controller.
    pub(super) fn of(&self, controller: &str) -> Option<(usize, Version)> {
        let has = |one: &Hierarchy| one.controllers.iter().any(|name| name == controller);
        self.hierarchies.iter().position(has).map(|place| (place, self.hierarchies[place].version))
    }

    /// Notes what is written into the group that has `controller`, in the words of its version.
    fn set(&mut self, field: &str, controller: &str, one: File<'_>, two: File<'_>) {
        let Some((place, version)) = self.of(controller) else {
            return self.refuse(field, format!("cannot set {field}: there is no controller {controller}"));
        };
        match if version == Version::One { one } else { two } {
            Some((file, value)) => self.writes.files[place].push((file.to_owned(), value)),
            None => {
                let version = if version == Version::One { 1 } else { 2 };
                let cause = format!("version {version} of control groups has nothing like it");
                self.refuse(field, format!("cannot set {field}: {cause}"));
            }
        }
    }

    /// The same, where the versions don't differ.
    fn same(&mut self, field: &str, controller: &str, file: &str, value: String) {
        self.set(field, controller, Some((file, value.clone())), Some((file, value)));
    }

    fn memory(&mut self, memory: &LinuxMemory) {
        let number = |value: i64| value.to_string();
        let or_max = |value: i64| if value == -1 { "max".to_owned() } else { value.to_string() };
        let wished = |value: Option<i64>| value.filter(|value| *value != 0);
        if wished(memory.kernel()).is_some() {
            self.refuse("memory.kernel", "cannot limit the kernel's memory: kernels don't do it any more");
        }
        if let Some(limit) = wished(memory.limit()) {
            let (one, two) = (("memory.limit_in_bytes", number(limit)), ("memory.max", or_max(limit)));
            self.set("memory.limit", "memory", Some(one), Some(two));
        }
        if let Some(swap) = wished(memory.swap()) {
            let max = (swap < 0).then(|| "max".to_owned());
            let alone = max.or_else(|| swap_alone(memory.limit(), swap).map(number));
            let one = ("memory.memsw.limit_in_bytes", number(swap));
            match alone.is_none() && self.of("memory").is_some_and(|(_, version)| version == Version::Two) {
                true => {
                    self.refuse("memory.swap", "cannot set memory.swap: it needs a memory.limit that is not above it")
                }
                false => self.set("memory.swap", "memory", Some(one), alone.map(|alone| ("memory.swap.max", alone))),
            }
        }
        if let Some(low) = wished(memory.reservation()) {
            let (one, two) = (("memory.soft_limit_in_bytes", number(low)), ("memory.low", or_max(low)));
            self.set("memory.reservation", "memory", Some(one), Some(two));
        }
        if let Some(limit) = wished(memory.kernel_tcp()) {
            let one = ("memory.kmem.tcp.limit_in_bytes", number(limit));
            self.set("memory.kernelTCP", "memory", Some(one), None);
        }
        if let Some(swappiness) = memory.swappiness() {
            self.set("memory.swappiness", "memory", Some(("memory.swappiness", swappiness.to_string())), None);
        }
        if memory.disable_oom_killer() == Some(true) {
            self.set("memory.disableOOMKiller", "memory", Some(("memory.oom_control", "1".to_owned())), None);
        }
        if memory.use_hierarchy() == Some(false) {
            self.refuse("memory.useHierarchy", "cannot count memory without groups below: kernels always count it");
        }
    }

    fn cpu(&mut self, cpu: &LinuxCpu) {
        if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
            let (one, two) = (("cpu.shares", shares.to_string()), ("cpu.weight", cpu_weight(shares).to_string()));
            self.set("cpu.shares", "cpu", Some(one), Some(two));
        }
        let (quota, period) = (cpu.quota().filter(|quota| *quota != 0), cpu.period().filter(|period| *period != 0));
        if self.of("cpu").is_some_and(|(_, version)| version == Version::Two) {
            if quota.is_some() || period.is_some() {
                let quota = quota.filter(|quota| *quota > 0).map_or("max".to_owned(), |quota| quota.to_string());
                let limit = format!("{quota} {}", period.unwrap_or(100_000));
                self.set("cpu.quota", "cpu", None, Some(("cpu.max", limit)));
            }
        } else {
            if let Some(period) = period {
                self.set("cpu.period", "cpu", Some(("cpu.cfs_period_us", period.to_string())), None);
            }
            if let Some(quota) = quota {
                self.set("cpu.quota", "cpu", Some(("cpu.cfs_quota_us", quota.to_string())), None);
            }
        }
        if let Some(burst) = cpu.burst() {
            let (one, two) = (("cpu.cfs_burst_us", burst.to_string()), ("cpu.max.burst", burst.to_string()));
            self.set("cpu.burst", "cpu", Some(one), Some(two));
        }
        if let Some(period) = cpu.realtime_period().filter(|period| *period != 0) {
            self.set("cpu.realtimePeriod", "cpu", Some(("cpu.rt_period_us", period.to_string())), None);
        }
        if let Some(runtime) = cpu.realtime_runtime().filter(|runtime| *runtime != 0) {
            self.set("cpu.realtimeRuntime", "cpu", Some(("cpu.rt_runtime_us", runtime.to_string())), None);
        }
        if let Some(idle) = cpu.idle() {
            self.same("cpu.idle", "cpu", "cpu.idle", idle.to_string());
        }
        for (field, file, list) in [("cpu.cpus", "cpuset.cpus", cpu.cpus()), ("cpu.mems", "cpuset.mems", cpu.mems())] {
            if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
                self.same(field, "cpuset", file, list.clone());
            }
        }
    }

    fn block_io(&mut self, io: &LinuxBlockIo) {
        let (one, two) = ("blkio", "io");
        let controller = if self.of(two).is_some() { two } else { one };
        if let Some(wished) = io.weight().filter(|wished| *wished != 0) {
            let files =
                (("blkio.bfq.weight", wished.to_string()), ("io.weight", format!("default {}", disk_weight(wished))));
            self.set("blockIO.weight", controller, Some(files.0), Some(files.1));
        }
        let leaf =
            io.weight_device().iter().flatten().any(|device| device.leaf_weight().is_some_and(|wished| wished != 0));
        if leaf || io.leaf_weight().is_some_and(|wished| wished != 0) {
            self.refuse(
                "blockIO.leafWeight",
                "cannot weigh the disk for processes beside groups: kernels don't do it any more",
            );
        }
        for device in io.weight_device().iter().flatten() {
            if let Some(wished) = device.weight().filter(|wished| *wished != 0) {
                let disk = format!("{}:{}", device.major(), device.minor());
                let one = ("blkio.bfq.weight_device", format!("{disk} {wished}"));
                let two = ("io.weight", format!("{disk} {}", disk_weight(wished)));
                self.set("blockIO.weightDevice", controller, Some(one), Some(two));
            }
        }
        let rates: [(&str, &str, &str, &Option<Vec<LinuxThrottleDevice>>); 4] = [
            ("throttleReadBpsDevice", "read_bps", "rbps", io.throttle_read_bps_device()),
            ("throttleWriteBpsDevice", "write_bps", "wbps", io.throttle_write_bps_device()),
            ("throttleReadIOPSDevice", "read_iops", "riops", io.throttle_read_iops_device()),
            ("throttleWriteIOPSDevice", "write_iops", "wiops", io.throttle_write_iops_device()),
        ];
        for (field, old, new, listed) in rates {
            for device in listed.iter().flatten() {
                let (disk, rate) = (format!("{}:{}", device.major(), device.minor()), device.rate());
                let file = format!("blkio.throttle.{old}_device");
                let one = (file.as_str(), format!("{disk} {rate}"));
                // 0 is no limit.
                let shown = if rate == 0 { "max".to_owned() } else { rate.to_string() };
                let two = ("io.max", format!("{disk} {new}={shown}"));
                self.set(&format!("blockIO.{field}"), controller, Some(one), Some(two));
            }
        }
    }

    fn network(&mut self, network: &LinuxNetwork) {
        if let Some(class) = network.class_id().filter(|class| *class != 0) {
            self.set("network.classID", "net_cls", Some(("net_cls.classid", class.to_string())), None);
        }
        for one in network.priorities().iter().flatten() {
            if one.name().is_empty() || one.name().contains(char::is_whitespace) {
                self.refuse("network.priorities", format!("cannot weigh interface {:?}: it is no name", one.name()));
                continue;
            }
            let line = format!("{} {}", one.name(), one.priority());
            self.set("network.priorities", "net_prio", Some(("net_prio.ifpriomap", line)), None);
        }
    }

    /// Huge pages, RDMA, and files of version 2 by their names.
    fn others(&mut self, wished: &LinuxResources) {
        for limit in wished.hugepage_limits().iter().flatten() {
            let size = limit.page_size();
            if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                self.refuse("hugepageLimits", format!("cannot limit pages of {size:?}: it is no size, such as 2MB"));
                continue;
            }
            let (one, two) = (format!("hugetlb.{size}.limit_in_bytes"), format!("hugetlb.{size}.max"));
            let value = limit.limit().to_string();
            self.set("hugepageLimits", "hugetlb", Some((&one, value.clone())), Some((&two, value)));
        }
        let mut listed: Vec<_> = wished.rdma().iter().flatten().collect();
        listed.sort_by_key(|(name, _)| name.as_str());
        for (name, limits) in listed {
            if name.is_empty() || name.contains(char::is_whitespace) {
                self.refuse("rdma", format!("cannot limit {name:?}: it is no name of a device"));
                continue;
            }
            let most = |count: Option<u32>| count.map_or("max".to_owned(), |count| count.to_string());
            let (handles, objects) = (most(limits.hca_handles()), most(limits.hca_objects()));
            self.same("rdma", "rdma", "rdma.max", format!("{name} hca_handle={handles} hca_object={objects}"));
        }
        let mut listed: Vec<_> = wished.unified().iter().flatten().collect();
        listed.sort();
        for (name, value) in listed {
            let controller = name.split_once('.').map(|(controller, _)| controller).filter(|_| !name.contains('/'));
            let has = |one: &Hierarchy| {
                let mut all = one.controllers.iter().map(String::as_str).chain(["cgroup"]);
                one.version == Version::Two && all.any(|own| Some(own) == controller)
            };
            match self.hierarchies.iter().position(has) {
                Some(place) => self.writes.files[place].push((name.clone(), value.clone())),
                None => {
                    let cause = "invalid configuration: in version 2 of control groups there is no such file here";
                    self.refuse("unified", format!("cannot set {name}: {cause}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hierarchy(version: Version, controllers: &[&str]) -> Hierarchy {
        let controllers = controllers.iter().map(|name| (*name).to_owned()).collect();
        Hierarchy { version, mounted: "/cg".into(), controllers, own: "/cg".into() }
    }

    fn lowered(wished: serde_json::Value, hierarchies: &[Hierarchy]) -> Writes {
        writes(&serde_json::from_value(wished).expect("it is right"), hierarchies)
    }

    fn shown(writes: &Writes) -> Vec<String> {
        writes.files.iter().flatten().map(|(file, value)| format!("{file}={value}")).collect()
    }

    #[test]
    fn each_version_has_its_words() {
        let wished = json!({
            "memory": { "limit": 1000, "swap": 1500, "reservation": 10 }, "pids": { "limit": -1 },
            "cpu": { "shares": 1024, "quota": 5000, "period": 10000, "cpus": "0" },
            "blockIO": { "weight": 500, "throttleReadBpsDevice": [{ "major": 8, "minor": 0, "rate": 7 }] },
            "hugepageLimits": [{ "pageSize": "2MB", "limit": 4 }], "rdma": { "mlx5": { "hcaHandles": 3 } },
        });
        let all = ["memory", "pids", "cpu", "cpuset", "blkio", "io", "hugetlb", "rdma"];
        let old: Vec<Hierarchy> = all.iter().map(|name| hierarchy(Version::One, &[name])).collect();
        let old = lowered(wished.clone(), &old);
        assert_eq!(old.refused, []);
        assert_eq!(
            shown(&old),
            [
                "memory.limit_in_bytes=1000",
                "memory.memsw.limit_in_bytes=1500",
                "memory.soft_limit_in_bytes=10",
                "pids.max=max",
                "cpu.shares=1024",
                "cpu.cfs_period_us=10000",
                "cpu.cfs_quota_us=5000",
                "cpuset.cpus=0",
                "blkio.bfq.weight=500",
                "blkio.throttle.read_bps_device=8:0 7",
                "hugetlb.2MB.limit_in_bytes=4",
                "rdma.max=mlx5 hca_handle=3 hca_object=max",
            ]
        );
        let new = lowered(wished, &[hierarchy(Version::Two, &all)]);
        assert_eq!(new.refused, []);
        assert_eq!(
            shown(&new),
            [
                "pids.max=max",
                "memory.max=1000",
                "memory.swap.max=500",
                "memory.low=10",
                "cpu.weight=39",
                "cpu.max=5000 10000",
                "cpuset.cpus=0",
                "io.weight=default 4950",
                "io.max=8:0 rbps=7",
                "hugetlb.2MB.max=4",
                "rdma.max=mlx5 hca_handle=3 hca_object=max",
            ]
        );
    }

    #[test]
    fn swap_is_what_both_limits_leave() {
        let two = [hierarchy(Version::Two, &["memory"])];
        let swap = |limit: i64, swap: i64| lowered(json!({ "memory": { "limit": limit, "swap": swap } }), &two);
        assert_eq!(shown(&swap(1000, 1000)), ["memory.max=1000", "memory.swap.max=0"]);
        assert_eq!(shown(&swap(-1, -1)), ["memory.max=max", "memory.swap.max=max"]);
        assert_eq!(shown(&swap(1000, -1)), ["memory.max=1000", "memory.swap.max=max"]);
        for (limit, both) in [(-1, 1000), (0, 1000), (1001, 1000)] {
            let refused = swap(limit, both).refused;
            let cause = "cannot set memory.swap: it needs a memory.limit that is not above it";
            assert_eq!(refused, [("linux.resources.memory.swap".to_owned(), cause.to_owned())]);
        }
    }

    #[test]
    fn what_a_machine_lacks_is_refused_by_its_name() {
        let wished = json!({
            "memory": { "swappiness": 3, "kernel": 5 }, "pids": { "limit": 3 }, "network": { "classID": 7 },
            "hugepageLimits": [{ "pageSize": "../x", "limit": 4 }], "unified": { "memory.high": "1", "../x": "1" },
        });
        let refused = lowered(wished, &[hierarchy(Version::Two, &["memory"])]).refused;
        let shown: Vec<&str> =
            refused.iter().map(|(field, _)| field.strip_prefix("linux.resources.").unwrap_or(field)).collect();
        assert_eq!(
            shown,
            ["pids.limit", "memory.kernel", "memory.swappiness", "network.classID", "hugepageLimits", "unified"]
        );
        assert_eq!(refused[0].1, "cannot set pids.limit: there is no controller pids");
        assert_eq!(refused[2].1, "cannot set memory.swappiness: version 2 of control groups has nothing like it");
    }
}
