//! What of `linux.resources`, and of annotations, are properties of a unit (org.freedesktop.systemd1(5), systemd.resource-control(5)).
//! They are what systemd sets when it looks at a unit again, so they come first; files of the group say the rest, and what
//! a property only says roughly.

use super::text;
use crate::lower::AllowList;
use crate::lower::resources::{cpu_weight, disk_weight, swap_alone};
use holm::model::limit::CpuList;
use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources};
use std::collections::HashMap;
use zbus::Variant;

/// A property's name, and its value.
pub(super) type Property = (String, Variant<'static>);

/// What an annotation can't say: who is in the scope, where it is, and which devices it uses.
const OWN: [&str; 8] =
    ["Controller", "Delegate", "DelegateControllers", "DeviceAllow", "DevicePolicy", "PIDFDs", "PIDs", "Slice"];

/// What is said of a unit's resources.
///
/// # Errors
/// A list of CPUs or nodes is none.
pub(super) fn resources(wished: &LinuxResources) -> Result<Vec<Property>, String> {
    let mut all = Vec::new();
    let mut add = |name: &str, value: Option<Variant<'static>>| all.extend(value.map(|value| (name.to_owned(), value)));
    add("TasksMax", wished.pids().as_ref().map(|pids| most(pids.limit()).into()));
    if let Some(memory) = wished.memory() {
        let said = |value: Option<i64>| value.filter(|value| *value != 0);
        add("MemoryMax", said(memory.limit()).map(|limit| most(limit).into()));
        add("MemorySwapMax", swap(memory).map(Variant::from));
        add("MemoryLow", said(memory.reservation()).map(|low| most(low).into()));
    }
    if let Some(cpu) = wished.cpu() {
        add("CPUWeight", cpu.shares().filter(|shares| *shares != 0).map(cpu_weight).map(Variant::from));
        if let Some((quota, period)) = quota(cpu) {
            add("CPUQuotaPerSecUSec", Some(quota.into()));
            add("CPUQuotaPeriodUSec", period.map(Variant::from));
        }
        add("AllowedCPUs", bits(cpu.cpus().as_deref())?.map(Variant::from));
        add("AllowedMemoryNodes", bits(cpu.mems().as_deref())?.map(Variant::from));
    }
    let weight = wished.block_io().as_ref().and_then(|io| io.weight()).filter(|weight| *weight != 0);
    add("IOWeight", weight.map(|weight| u64::from(disk_weight(weight)).into()));
    Ok(all)
}

/// Which devices a unit may use, where systemd has words for it. What else is refused is refused by holm's own program or files.
pub(super) fn devices(allowed: &AllowList) -> Vec<Property> {
    let majors = std::fs::read_to_string("/proc/devices").unwrap_or_default();
    match allowed.named(&majors) {
        Some(list) => {
            vec![("DevicePolicy".to_owned(), "strict".into()), ("DeviceAllow".to_owned(), list.into())]
        }
        None => vec![("DevicePolicy".to_owned(), "auto".into())],
    }
}

/// What annotations say; a time in seconds becomes one in microseconds.
///
/// # Errors
/// A name or a value is none.
pub(super) fn annotated(annotations: &HashMap<String, String>) -> Result<Vec<Property>, String> {
    let mut all = Vec::new();
    for (key, text) in annotations {
        let Some(name) = key.strip_prefix("org.systemd.property.") else { continue };
        let wrong = |cause: &str| format!("cannot set {key} to {text:?}: {cause}");
        if name.len() < 3 || !name.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Err(wrong("it is no name of a property"));
        }
        if OWN.contains(&name) {
            return Err(wrong("it follows from the rest of the configuration"));
        }
        let value = text::value(text).map_err(|cause| wrong(&cause))?;
        all.push(match name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U')) {
            Some(stem) => (format!("{stem}USec"), microseconds(&value).ok_or_else(|| wrong("it is no time"))?),
            None => (name.to_owned(), value),
        });
    }
    all.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(all)
}

fn microseconds(seconds: &Variant<'_>) -> Option<Variant<'static>> {
    let whole = match *seconds {
        Variant::I16(number) => u64::try_from(number).ok()?,
        Variant::I32(number) => u64::try_from(number).ok()?,
        Variant::I64(number) => u64::try_from(number).ok()?,
        Variant::U16(number) => number.into(),
        Variant::U32(number) => number.into(),
        Variant::U64(number) => number,
        Variant::F64(number) if (0.0..1e12).contains(&number) => return Some(((number * 1e6) as u64).into()),
        _ => return None,
    };
    whole.checked_mul(1_000_000).map(Variant::from)
}

/// A limit; what is negative or 0 is none, which systemd writes as the highest number.
fn most(limit: i64) -> u64 {
    u64::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(u64::MAX)
}

fn swap(memory: &LinuxMemory) -> Option<u64> {
    let both = memory.swap().filter(|both| *both != 0)?;
    if both < 0 { Some(u64::MAX) } else { swap_alone(memory.limit(), both).and_then(|alone| alone.try_into().ok()) }
}

/// Microseconds of CPU time in each second, rounded up to what systemd keeps, a hundredth of a CPU; and the period.
fn quota(cpu: &LinuxCpu) -> Option<(u64, Option<u64>)> {
    const KEPT: u64 = 10_000;
    let period = cpu.period().filter(|period| *period != 0);
    let quota = match cpu.quota().filter(|quota| *quota != 0)? {
        quota if quota < 0 => u64::MAX,
        quota => {
            let each = u128::from(quota.unsigned_abs()) * 1_000_000 / u128::from(period.unwrap_or(100_000));
            u64::try_from(each).ok()?.checked_next_multiple_of(KEPT)?
        }
    };
    Some((quota, period))
}

/// A list as bits, the lowest byte first.
fn bits(list: Option<&str>) -> Result<Option<Vec<u8>>, String> {
    let Some(list) = list.filter(|list| !list.is_empty()) else { return Ok(None) };
    let CpuList(numbers) = list.parse()?;
    let mut bytes = vec![0u8; numbers.last().map_or(0, |last| *last as usize / 8 + 1)];
    numbers.iter().for_each(|number| bytes[*number as usize / 8] |= 1 << (number % 8));
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(properties: Vec<Property>) -> Vec<String> {
        properties.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn limits_are_properties() {
        let wished = json!({
            "pids": { "limit": 5 }, "memory": { "limit": 1000, "swap": 1500, "reservation": 10 },
            "cpu": { "shares": 1024, "quota": 5001, "period": 10000, "cpus": "0-1,9" }, "blockIO": { "weight": 500 },
        });
        let wished = serde_json::from_value(wished).expect("it is right");
        assert_eq!(
            shown(resources(&wished).expect("it is right")),
            [
                "TasksMax=uint64 5",
                "MemoryMax=uint64 1000",
                "MemorySwapMax=uint64 500",
                "MemoryLow=uint64 10",
                "CPUWeight=uint64 39",
                "CPUQuotaPerSecUSec=uint64 510000",
                "CPUQuotaPeriodUSec=uint64 10000",
                "AllowedCPUs=[byte 0x03, 0x02]",
                "IOWeight=uint64 4950",
            ]
        );
        let free = json!({ "pids": { "limit": -1 }, "memory": { "limit": -1, "swap": -1 }, "cpu": { "quota": -1 } });
        let free = shown(resources(&serde_json::from_value(free).expect("it is right")).expect("it is right"));
        assert_eq!(free.len(), 4);
        assert!(free.iter().all(|one| one.ends_with("=uint64 18446744073709551615")), "{free:?}");
    }

    #[test]
    fn annotations_are_properties() {
        let said = |name: &str, value: &str| {
            annotated(&[(format!("org.systemd.property.{name}"), value.to_owned())].into()).map(shown)
        };
        assert_eq!(said("TimeoutStopUSec", "uint64 7"), Ok(vec!["TimeoutStopUSec=uint64 7".to_owned()]));
        assert_eq!(said("TimeoutStopSec", "7"), Ok(vec!["TimeoutStopUSec=uint64 7000000".to_owned()]));
        assert_eq!(said("CollectMode", "'inactive-or-failed'").map(|all| all.len()), Ok(1));
        for (name, value) in [
            ("x", "1"),
            ("Collect-Mode", "1"),
            ("CollectMode", "nothing"),
            ("TimeoutStopSec", "-1"),
            ("PIDs", "[uint32 1]"),
        ] {
            assert!(said(name, value).is_err(), "{name}");
        }
        assert_eq!(annotated(&[("org.example".to_owned(), "?".to_owned())].into()), Ok(Vec::new()));
    }
}
