//! What a container uses, by its control groups, in the shape that engines know from runc: `{"cpu": …, "memory": …}`, times in
//! nanoseconds, sizes in bytes. What a machine doesn't count is left out. On a hybrid machine each controller is of one version, and
//! files of the other that have its names are of no use: every group of version 2 has a `cpu.stat`.

use crate::group::Group;
use crate::resctrl::Resctrl;
use holm::model::group::Version;
use holm::model::limit::CpuList;
use serde_json::{Map, Value, json};

/// What a unit of cpuacct.stat is (time(7), "USER_HZ").
const TICK: u64 = 10_000_000;

/// What the groups of a container have counted.
pub(crate) fn stats(groups: &[Group], resctrl: Option<&Resctrl>) -> Value {
    let of = |mark: &str| Files::of(groups, mark);
    json!({
        "cpu": of("cpu.shares").cpu(&of("cpuacct.usage")),
        "cpuset": of("cpuset.mems").cpuset(),
        "memory": of("memory.limit_in_bytes").memory(),
        "pids": of("pids.max").pids(),
        "blkio": of("blkio.reset_stats").disks(),
        "hugetlb": of("hugetlb.2MB.limit_in_bytes").huge_pages(),
        "intel_rdt": resctrl.map_or_else(|| json!({}), Resctrl::stats),
        "network_interfaces": null,
    })
}

/// The files of a controller.
struct Files<'a> {
    version: Version,
    /// The groups of that version.
    groups: Vec<&'a Group>,
}

/// An object of those that are there.
fn present<const N: usize>(values: [(&str, Option<u64>); N]) -> Value {
    values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect::<Map<_, _>>().into()
}

impl Files<'_> {
    /// Those of the controller that has a file `mark` in version 1.
    fn of<'a>(groups: &'a [Group], mark: &str) -> Files<'a> {
        let legacy = groups.iter().find(|group| !group.unified && group.directory.join(mark).exists());
        match legacy {
            Some(group) => Files { version: Version::One, groups: vec![group] },
            None => Files { version: Version::Two, groups: groups.iter().filter(|group| group.unified).collect() },
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        self.groups.iter().find_map(|group| group.text(name))
    }

    /// A file that is one number; there is none of a limit that is `max`.
    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.trim().parse().ok()
    }

    /// The numbers of a file of lines `NAME NUMBER`.
    fn numbers(&self, name: &str) -> Map<String, Value> {
        let line = |line: &str| {
            let (name, number) = line.split_once(' ')?;
            Some((name.to_owned(), json!(number.trim().parse::<u64>().ok()?)))
        };
        self.text(name).unwrap_or_default().lines().filter_map(line).collect()
    }

    /// How much was waited for a resource (psi, Documentation/accounting/psi.rst).
    fn pressure(&self, name: &str) -> Option<Value> {
        let line = |line: &str| {
            let (which, values) = line.split_once(' ')?;
            let value = |pair: &str| {
                let (name, value) = pair.split_once('=')?;
                let value = match name {
                    "total" => json!(value.parse::<u64>().ok()?),
                    _ => json!(value.parse::<f64>().ok()?),
                };
                Some((name.to_owned(), value))
            };
            Some((which.to_owned(), Value::from(values.split(' ').filter_map(value).collect::<Map<_, _>>())))
        };
        Some(self.text(name)?.lines().filter_map(line).collect::<Map<_, _>>().into())
    }

    fn pids(&self) -> Value {
        present([("current", self.number("pids.current")), ("limit", self.number("pids.max"))])
    }

    /// `times` are those of the controller that counts time, a second one in version 1.
    fn cpu(&self, times: &Files<'_>) -> Value {
        let of = |map: &Map<String, Value>, name: &str, unit: u64| {
            map.get(name).and_then(Value::as_u64).map(|number| number.saturating_mul(unit))
        };
        let stat = self.numbers("cpu.stat");
        let usage = match times.version {
            Version::Two => {
                let (stat, names) = (times.numbers("cpu.stat"), ["usage_usec", "system_usec", "user_usec"]);
                let [total, kernel, user] = names.map(|name| of(&stat, name, 1000));
                present([("total", total), ("kernel", kernel), ("user", user)])
            }
            Version::One => {
                let stat = times.numbers("cpuacct.stat");
                let (kernel, user) = (of(&stat, "system", TICK), of(&stat, "user", TICK));
                let mut usage = present([("total", times.number("cpuacct.usage")), ("kernel", kernel), ("user", user)]);
                if let Some(each) = times.text("cpuacct.usage_percpu") {
                    usage["percpu"] = each.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).collect();
                }
                usage
            }
        };
        let (waited, unit) =
            if self.version == Version::Two { ("throttled_usec", 1000) } else { ("throttled_time", 1) };
        let throttling = present([
            ("periods", of(&stat, "nr_periods", 1)),
            ("throttledPeriods", of(&stat, "nr_throttled", 1)),
            ("throttledTime", of(&stat, waited, unit)),
        ]);
        let mut cpu = json!({ "usage": usage, "throttling": throttling });
        if let Some(pressure) = self.pressure("cpu.pressure") {
            cpu["psi"] = pressure;
        }
        cpu
    }

    fn cpuset(&self) -> Value {
        let mut set = present(
            [
                ("cpu_exclusive", "cpuset.cpu_exclusive"),
                ("mem_hardwall", "cpuset.mem_hardwall"),
                ("mem_exclusive", "cpuset.mem_exclusive"),
                ("memory_migrate", "cpuset.memory_migrate"),
                ("memory_spread_page", "cpuset.memory_spread_page"),
                ("memory_spread_slab", "cpuset.memory_spread_slab"),
                ("memory_pressure", "cpuset.memory_pressure"),
                ("sched_load_balance", "cpuset.sched_load_balance"),
            ]
            .map(|(name, file)| (name, self.number(file))),
        );
        for (name, file) in [("cpus", "cpuset.cpus"), ("mems", "cpuset.mems")] {
            if let Some(text) = self.text(file) {
                set[name] = text.trim().parse::<CpuList>().unwrap_or_default().0.into();
            }
        }
        set
    }

    fn memory(&self) -> Value {
        let stat = self.numbers("memory.stat");
        let counted = |name: &str| stat.get(name).and_then(Value::as_u64);
        let mut memory = if self.version == Version::Two {
            let events = self.numbers("memory.events");
            let (usage, limit) = (self.number("memory.current"), self.number("memory.max").unwrap_or(u64::MAX));
            // Engines know both together, from version 1.
            let swap = self.number("memory.swap.max").unwrap_or(u64::MAX).saturating_add(limit);
            let swapped = self.number("memory.swap.current").zip(usage).map(|(swap, usage)| swap + usage);
            let entry = |usage, max, limit, failed| {
                present([("usage", usage), ("max", max), ("limit", Some(limit)), ("failcnt", Some(failed))])
            };
            let failed = events.get("max").and_then(Value::as_u64).unwrap_or(0);
            json!({
                "cache": counted("file"),
                "usage": entry(usage, self.number("memory.peak"), limit, failed),
                "swap": entry(swapped, None, swap, 0),
            })
        } else {
            let entry = |prefix: &str| {
                let file = |name: &str| self.number(&format!("{prefix}.{name}"));
                let (usage, max) = (file("usage_in_bytes"), file("max_usage_in_bytes"));
                present([
                    ("usage", usage),
                    ("max", max),
                    ("limit", file("limit_in_bytes")),
                    ("failcnt", file("failcnt")),
                ])
            };
            json!({
                "cache": counted("cache"),
                "usage": entry("memory"),
                "swap": entry("memory.memsw"),
                "kernel": entry("memory.kmem"),
                "kernelTCP": entry("memory.kmem.tcp"),
            })
        };
        if let Some(pressure) = self.pressure("memory.pressure") {
            memory["psi"] = pressure;
        }
        memory["raw"] = stat.into();
        memory
    }

    fn disks(&self) -> Value {
        let list = |name: &str| served(&self.text(name).unwrap_or_default());
        let mut disks = if self.version == Version::Two {
            let text = self.text("io.stat").unwrap_or_default();
            json!({
                "ioServiceBytesRecursive": counted(&text, [("rbytes", "Read"), ("wbytes", "Write"), ("dbytes", "Discard")]),
                "ioServicedRecursive": counted(&text, [("rios", "Read"), ("wios", "Write"), ("dios", "Discard")]),
            })
        } else {
            json!({
                "ioServiceBytesRecursive": list("blkio.throttle.io_service_bytes_recursive"),
                "ioServicedRecursive": list("blkio.throttle.io_serviced_recursive"),
            })
        };
        if let Some(pressure) = self.pressure("io.pressure") {
            disks["psi"] = pressure;
        }
        disks
    }

    /// By the size of a page, which is part of the files' names.
    fn huge_pages(&self) -> Value {
        let mut all = Map::new();
        let (end, most) =
            if self.version == Version::Two { (".current", "") } else { (".usage_in_bytes", ".max_usage_in_bytes") };
        for entry in self.groups.iter().flat_map(|group| std::fs::read_dir(&group.directory)).flatten().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            let Some(size) = name.strip_prefix("hugetlb.").and_then(|rest| rest.strip_suffix(end)) else { continue };
            if size.contains("rsvd") {
                continue;
            }
            let file = |part: &str| self.number(&format!("hugetlb.{size}{part}"));
            let failed = match self.version == Version::Two {
                true => self.numbers(&format!("hugetlb.{size}.events")).get("max").and_then(Value::as_u64),
                false => file(".failcnt"),
            };
            let value = present([("usage", file(end)), ("max", file(most)), ("failcnt", failed)]);
            all.insert(size.to_owned(), value);
        }
        all.into()
    }
}

/// What disks have served, of a text of version 1: lines `MAJOR:MINOR OPERATION NUMBER`.
fn served(text: &str) -> Vec<Value> {
    let line = |line: &str| {
        let [device, operation, number] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
        entry(device, operation, number)
    };
    text.lines().filter_map(line).collect()
}

/// The same of version 2: lines `MAJOR:MINOR NAME=NUMBER...`.
fn counted(text: &str, names: [(&str, &str); 3]) -> Vec<Value> {
    let line = |line: &str| {
        let (device, rest) = line.split_once(' ')?;
        let value = |name: &str| rest.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        Some(names.iter().filter_map(|(name, shown)| entry(device, shown, value(name)?)).collect::<Vec<_>>())
    };
    text.lines().filter_map(line).flatten().collect()
}

fn entry(device: &str, operation: &str, value: &str) -> Option<Value> {
    let (major, minor) = device.split_once(':')?;
    let [major, minor, value] = [major, minor, value].map(|text| text.parse::<u64>().ok());
    Some(json!({ "major": major?, "minor": minor?, "op": operation, "value": value? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_told_in_one_way_of_either_version() {
        let read = json!({ "major": 254, "minor": 0, "op": "Read", "value": 4096 });
        let write = json!({ "major": 254, "minor": 0, "op": "Write", "value": 8 });
        assert_eq!(served("254:0 Read 4096\n254:0 Write 8\nTotal 4104\n"), [read.clone(), write.clone()]);
        let names = [("rbytes", "Read"), ("wbytes", "Write"), ("dbytes", "Discard")];
        assert_eq!(counted("254:0 rbytes=4096 wbytes=8 rios=1 wios=2\n7:0\n", names), [read, write]);
    }

    /// As on a machine with the controller cpu in version 1 and memory in version 2.
    #[test]
    fn each_controller_is_asked_in_its_own_version() {
        let place = testkit::Scratch::new("stats");
        let group = |name: &str, unified: bool, files: &[(&str, &str)]| {
            let directory = place.join(name);
            std::fs::create_dir(&directory).expect("the scratch directory can be written");
            for (file, text) in files {
                std::fs::write(directory.join(file), text).expect("the scratch directory can be written");
            }
            Group { directory, unified, origin: crate::group::Origin::Made, devices: None }
        };
        let two = [("cpu.stat", "usage_usec 5\nnr_periods 9\n"), ("memory.current", "7\n"), ("cpuset.cpus", "0-2,7\n")];
        let groups = [
            group("two", true, &two),
            group("cpu", false, &[("cpu.shares", "2\n"), ("cpu.stat", "nr_periods 3\nthrottled_time 4\n")]),
            group("times", false, &[("cpuacct.usage", "8\n"), ("cpuacct.stat", "user 1\n")]),
        ];
        let told = stats(&groups, None);
        assert_eq!(told["cpu"]["usage"], json!({ "total": 8, "user": TICK }));
        assert_eq!(told["cpu"]["throttling"], json!({ "periods": 3, "throttledTime": 4 }));
        assert_eq!((&told["memory"]["usage"]["usage"], &told["cpuset"]["cpus"]), (&json!(7), &json!([0, 1, 2, 7])));
        let told = stats(&groups[..1], None);
        assert_eq!(
            (&told["cpu"]["usage"], &told["cpu"]["throttling"]),
            (&json!({ "total": 5000 }), &json!({ "periods": 9 }))
        );
    }
}
