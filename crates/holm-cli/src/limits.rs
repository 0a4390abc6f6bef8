//! Limits as typed, in a profile's table and on the command line, and what becomes of them.

use crate::fill::Fill;
use crate::values::{Parsed, text};
use clap::ArgMatches;
use holm::model::limit::{ResourceLimit, bytes, nanoseconds};
use holm::spec::limits::{Disk, DiskLimit};
use holm::spec::origins::Wish;
use serde::Deserialize;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// The options for limits, with the shape of their values and help.
pub(crate) const SINGLE: [(&str, &str, &str); 8] = [
    ("memory", "SIZE", "Memory of all processes together, files in memory included: 512M"),
    ("swap", "SIZE", "Swap beside --memory; 0 for none"),
    ("pids", "N", "Processes and threads"),
    ("cpus", "N", "CPU time: that of so many CPUs, such as 1.5"),
    ("timeout", "TIME", "Send TERM after this time, KILL 2 s later; then the exit code is 124"),
    ("nice", "N", "Niceness, from -20 to 19"),
    ("cpu-affinity", "LIST", "Run on these CPUs only: 0-1,3"),
    ("oom-score", "N", "Killed early (1000) or late (-1000) when the machine's memory runs out"),
];

/// Those that can be given more than once.
pub(crate) const REPEATED: [(&str, &str, &str); 2] = [
    ("io", "DISK:RATE=N,...", "Rates of the disk that holds a path, or MAJ:MIN: rbps, wbps, riops, wiops"),
    ("rlimit", "NAME=SOFT[:HARD]", "A limit of getrlimit(2) for each process: nofile=1024, core=0"),
];

/// Limits as typed, from one place.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Limits {
    memory: Option<Value>,
    swap: Option<Value>,
    pids: Option<Value>,
    cpus: Option<Value>,
    io: Vec<Value>,
    rlimit: Vec<Value>,
    timeout: Option<Value>,
    nice: Option<Value>,
    cpu_affinity: Option<Value>,
    oom_score: Option<Value>,
}

/// A value: in a profile a text or a number.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a number")]
enum Value {
    Integer(i64),
    Number(f64),
    Text(OsText),
}

/// A text; on the command line it may be no UTF-8.
#[derive(Deserialize)]
#[serde(from = "String")]
struct OsText(OsString);

impl From<String> for OsText {
    fn from(text: String) -> OsText {
        OsText(text.into())
    }
}

impl Value {
    fn text(&self) -> OsString {
        match self {
            Value::Integer(number) => number.to_string().into(),
            Value::Number(number) => number.to_string().into(),
            Value::Text(OsText(text)) => text.clone(),
        }
    }
}

impl Limits {
    pub(crate) fn from_matches(matches: &ArgMatches) -> Limits {
        let value = |text: &OsString| Value::Text(OsText(text.clone()));
        let one = |name: &str| matches.get_one::<OsString>(name).map(value);
        let many = |name: &str| matches.get_many::<OsString>(name).into_iter().flatten().map(value).collect();
        Limits {
            memory: one("memory"),
            swap: one("swap"),
            pids: one("pids"),
            cpus: one("cpus"),
            io: many("io"),
            rlimit: many("rlimit"),
            timeout: one("timeout"),
            nice: one("nice"),
            cpu_affinity: one("cpu-affinity"),
            oom_score: one("oom-score"),
        }
    }
}

fn count(text: &str) -> Parsed<u64> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn integer(text: &str) -> Parsed<i32> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

pub(crate) fn duration(text: &str) -> Parsed<Duration> {
    let time = nanoseconds(text)?;
    u64::try_from(time).map(Duration::from_nanos).map_err(|_| format!("{text:?} is before now"))
}

/// `PATH:RATES` or `MAJ:MIN:RATES`; the path may hold anything.
fn disk(value: &OsStr) -> Parsed<DiskLimit> {
    let form = || "it needs the form PATH:RATE=N,... or MAJ:MIN:RATE=N,..., such as /:rbps=10M".to_owned();
    let bytes = value.as_bytes();
    let colon = bytes.iter().rposition(|&b| b == b':').filter(|&at| at > 0).ok_or_else(form)?;
    let place = OsStr::from_bytes(&bytes[..colon]);
    let rates = std::str::from_utf8(&bytes[colon + 1..]).map_err(|_| form())?.parse()?;
    let numbers = place.to_str().and_then(|text| text.split_once(':'));
    let device = numbers.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let disk = device.map_or_else(|| Disk::Holding(place.into()), |(major, minor)| Disk::Number(major, minor));
    Ok(DiskLimit { disk, rates })
}

/// Adds them to the wish: what is there already counts less.
pub(crate) fn take(fill: &mut Fill, place: &str, typed: &Limits) {
    let value = |value: &Option<Value>| value.as_ref().map(Value::text);
    let memory = fill.read((place, "memory"), Wish::Memory, value(&typed.memory), text(bytes));
    let swap = fill.read((place, "swap"), Wish::Swap, value(&typed.swap), text(bytes));
    let pids = fill.read((place, "pids"), Wish::Pids, value(&typed.pids), text(count));
    let cpus = fill.read((place, "cpus"), Wish::Cpus, value(&typed.cpus), text(str::parse));
    let timeout = fill.read((place, "timeout"), Wish::Timeout, value(&typed.timeout), text(duration));
    let nice = fill.read((place, "nice"), Wish::Nice, value(&typed.nice), text(integer));
    let affinity = fill.read((place, "cpu-affinity"), Wish::Affinity, value(&typed.cpu_affinity), text(str::parse));
    let oom_score = fill.read((place, "oom-score"), Wish::OomScore, value(&typed.oom_score), text(integer));
    let limits = &mut fill.spec.limits;
    limits.memory = memory.or(limits.memory);
    limits.swap = swap.or(limits.swap);
    limits.pids = pids.or(limits.pids);
    limits.cpus = cpus.or(limits.cpus);
    limits.timeout = timeout.or(limits.timeout);
    limits.nice = nice.or(limits.nice);
    limits.affinity = affinity.or(limits.affinity.take());
    limits.oom_score = oom_score.or(limits.oom_score);
    for value in &typed.io {
        let wish = Wish::Io(fill.spec.limits.io.len());
        let read = fill.read((place, "io"), wish, Some(value.text()), disk);
        fill.spec.limits.io.extend(read);
    }
    for value in &typed.rlimit {
        let wish = Wish::Resource(fill.spec.limits.resources.len());
        let read = fill.read((place, "rlimit"), wish, Some(value.text()), text(str::parse::<ResourceLimit>));
        fill.spec.limits.resources.extend(read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_a_path_or_two_numbers() {
        let shown = |text: &str| disk(OsStr::new(text)).map(|limit| (limit.disk, limit.rates.to_string()));
        assert_eq!(shown("8:0:rbps=1M"), Ok((Disk::Number(8, 0), "rbps=1M".to_owned())));
        assert_eq!(shown("/a:b:wiops=5"), Ok((Disk::Holding("/a:b".into()), "wiops=5".to_owned())));
        assert!(["", "/", ":rbps=1", "/:", "/:x=1"].iter().all(|text| shown(text).is_err()));
    }
}
