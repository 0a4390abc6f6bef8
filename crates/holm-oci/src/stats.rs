//! What a container uses, by its control groups, in the shape that engines know from runc: `{"cpu": …, "memory": …}`, times in
//! nanoseconds, sizes in bytes. What a machine doesn't count is left out.

use crate::group::Group;
use serde_json::{Map, Value, json};

/// What a unit of cpuacct.stat is (time(7), "USER_HZ").
const TICK: u64 = 10_000_000;

/// What the groups of a container have counted.
pub(crate) fn stats(groups: &[Group]) -> Value {
    let files = Files(groups);
    json!({
        "cpu": files.cpu(),
        "cpuset": files.cpuset(),
        "memory": files.memory(),
        "pids": present([("current", files.number("pids.current")), ("limit", files.number("pids.max"))]),
        "blkio": files.disks(),
        "hugetlb": files.huge_pages(),
        "intel_rdt": {},
        "network_interfaces": null,
    })
}

/// The files of all groups together: each has its name once.
struct Files<'a>(&'a [Group]);

/// An object of those that are there.
fn present<const N: usize>(values: [(&str, Option<u64>); N]) -> Value {
    values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect::<Map<_, _>>().into()
}

impl Files<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.0.iter().find_map(|group| group.text(name))
    }

    fn is_unified(&self) -> bool {
        self.0.iter().any(|group| group.unified)
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

    fn cpu(&self) -> Value {
        let of = |map: &Map<String, Value>, name: &str, unit: u64| {
            map.get(name).and_then(Value::as_u64).map(|number| number.saturating_mul(unit))
        };
        let stat = self.numbers("cpu.stat");
        let (usage, waited, unit) = if self.is_unified() {
            let times = [("total", "usage_usec"), ("kernel", "system_usec"), ("user", "user_usec")];
            (present(times.map(|(name, file)| (name, of(&stat, file, 1000)))), "throttled_usec", 1000)
        } else {
            let times = self.numbers("cpuacct.stat");
            let total = self.number("cpuacct.usage");
            let mut usage =
                present([("total", total), ("kernel", of(&times, "system", TICK)), ("user", of(&times, "user", TICK))]);
            if let Some(each) = self.text("cpuacct.usage_percpu") {
                usage["percpu"] = each.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).collect();
            }
            (usage, "throttled_time", 1)
        };
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
                set[name] = members(text.trim()).into();
            }
        }
        set
    }

    fn memory(&self) -> Value {
        let stat = self.numbers("memory.stat");
        let counted = |name: &str| stat.get(name).and_then(Value::as_u64);
        let mut memory = if self.is_unified() {
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
        let mut disks = if self.is_unified() {
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
        let (end, most) = if self.is_unified() { (".current", "") } else { (".usage_in_bytes", ".max_usage_in_bytes") };
        for entry in self.0.iter().flat_map(|group| std::fs::read_dir(&group.directory)).flatten().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            let Some(size) = name.strip_prefix("hugetlb.").and_then(|rest| rest.strip_suffix(end)) else { continue };
            if size.contains("rsvd") {
                continue;
            }
            let file = |part: &str| self.number(&format!("hugetlb.{size}{part}"));
            let failed = match self.is_unified() {
                true => self.numbers(&format!("hugetlb.{size}.events")).get("max").and_then(Value::as_u64),
                false => file(".failcnt"),
            };
            let value = present([("usage", file(end)), ("max", file(most)), ("failcnt", failed)]);
            all.insert(size.to_owned(), value);
        }
        all.into()
    }
}

/// The numbers of a list such as `0-2,7`.
fn members(list: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
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
        assert_eq!(members("0-2,7"), [0, 1, 2, 7]);
        assert!(members("").is_empty());
    }
}
