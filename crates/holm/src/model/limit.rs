//! Values of limits: sizes, shares of CPUs, lists of CPUs, durations, resources of getrlimit(2), rates of a disk.
//!
//! They parse what people write and print it again. A text that is none is refused with the cause in words; whether a
//! value makes sense on a machine is not asked here.

use std::fmt;
use std::str::FromStr;

const UNITS: [(char, u32); 4] = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];

/// Reads a number of bytes, with an optional K, M, G or T (powers of 1024).
///
/// # Errors
/// It is no such number, in words.
pub fn bytes(text: &str) -> Result<u64, String> {
    let unit = UNITS.iter().find(|(letter, _)| text.ends_with([*letter, letter.to_ascii_lowercase()]));
    let (digits, shift) = unit.map_or((text, 0), |(_, shift)| (&text[..text.len() - 1], *shift));
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let bytes = digits.parse::<u64>().ok().filter(|_| is_number).and_then(|n| n.checked_mul(1 << shift));
    bytes.ok_or_else(|| format!("{text:?} is no size: it needs a number and perhaps K, M, G or T"))
}

/// A number of bytes, shown with the largest unit that divides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bytes(number) = *self;
        match UNITS.iter().rev().find(|(_, shift)| number > 0 && number % (1 << shift) == 0) {
            Some((letter, shift)) => write!(f, "{}{letter}", number >> shift),
            None => write!(f, "{number}"),
        }
    }
}

/// Reads a duration in nanoseconds: a number with ns, us, ms, s, m, h or d; without a unit it is seconds. It may be
/// negative.
///
/// # Errors
/// It is none, in words.
pub fn nanoseconds(text: &str) -> Result<i64, String> {
    let units = [
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
    ];
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" => Some(1_000_000_000),
        name => units.iter().find(|(n, _)| *n == name).map(|(_, size)| *size),
    };
    let amount = digits.parse::<i64>().ok().zip(unit).and_then(|(n, unit): (i64, i64)| n.checked_mul(unit));
    amount.ok_or_else(|| format!("{text:?} is no duration: it needs a number and ns, us, ms, s, m, h or d"))
}

/// A share of CPU time, in thousandths of one CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cpus(pub u32);

impl FromStr for Cpus {
    type Err = String;

    /// Reads `2`, `1.5` or `0.25`.
    fn from_str(text: &str) -> Result<Cpus, String> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        let number = || {
            let thousandths: u32 = format!("{part:0<3}").parse().ok()?;
            whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(thousandths)
        };
        let parsed = if digits(whole) && digits(part) && part.len() <= 3 { number() } else { None };
        let cause =
            || format!("{text:?} is no number of CPUs: it needs digits, such as 2 or 1.5, three behind the point");
        parsed.map(Cpus).ok_or_else(cause)
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1000, self.0 % 1000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// The highest number of a CPU that sched_setaffinity(2) is given here.
pub const LAST_CPU: u32 = 1023;
/// A list names each of them once at most, in so many bytes.
const LONGEST_LIST: usize = 8192;

/// A set of CPUs, in rising order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuList(pub Vec<u32>);

impl CpuList {
    /// As one number in base 16, the bit of each set, as taskset(1) has it: `0x3`.
    pub fn mask(&self) -> String {
        let last = self.0.last().copied().unwrap_or(0);
        let digit =
            |place: u32| self.0.iter().filter(|&&cpu| cpu / 4 == place).fold(0, |sum, cpu| sum | 1 << (cpu % 4));
        (0..=last / 4).rev().fold("0x".to_owned(), |text, place| format!("{text}{:x}", digit(place)))
    }
}

impl FromStr for CpuList {
    type Err = String;

    /// Reads `0-1,3`, as cpuset(7) writes it ("List format").
    fn from_str(text: &str) -> Result<CpuList, String> {
        let cause =
            || format!("{text:?} is no list of CPUs: it needs numbers and ranges up to {LAST_CPU}, such as 0-1,3");
        if text.len() > LONGEST_LIST {
            return Err(format!("{} bytes are no list of CPUs: {LONGEST_LIST} are the most", text.len()));
        }
        let mut listed = [false; LAST_CPU as usize + 1];
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let ends = first.parse::<u32>().ok().zip(last.parse::<u32>().ok());
            match ends.filter(|(first, last)| first <= last && *last <= LAST_CPU) {
                Some((first, last)) => listed[first as usize..=last as usize].fill(true),
                None => return Err(cause()),
            }
        }
        Ok(CpuList((0..=LAST_CPU).filter(|&cpu| listed[cpu as usize]).collect()))
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        for run in self.0.chunk_by(|one, next| one + 1 == *next) {
            parts.push(match run {
                [one] => one.to_string(),
                [first, .., last] => format!("{first}-{last}"),
                [] => String::new(),
            });
        }
        f.write_str(&parts.join(","))
    }
}

/// A resource of getrlimit(2); the numbers are the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource(usize);

/// The names of getrlimit(2) without `RLIMIT_`, each at its number.
const RESOURCES: [&str; 16] = [
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

impl Resource {
    /// The size of a core file (`RLIMIT_CORE`).
    pub const CORE: Resource = Resource(4);
    /// How many open files (`RLIMIT_NOFILE`).
    pub const OPEN_FILES: Resource = Resource(7);
    /// Processes and threads of a user.
    pub const PROCESSES: Resource = Resource(6);

    /// All of them.
    pub fn all() -> impl Iterator<Item = Resource> {
        (0..RESOURCES.len()).map(Resource)
    }

    /// The kernel's number.
    pub fn number(self) -> usize {
        self.0
    }

    /// The name of getrlimit(2) in lower case, without `RLIMIT_`.
    pub fn name(self) -> &'static str {
        RESOURCES[self.0]
    }
}

/// What a process may use of a resource, in the units of getrlimit(2); `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimit {
    /// Of what.
    pub resource: Resource,
    /// What holds now.
    pub soft: Option<u64>,
    /// Up to where the process may raise it.
    pub hard: Option<u64>,
}

impl FromStr for ResourceLimit {
    type Err = String;

    /// Reads `NAME=SOFT[:HARD]`; without HARD it is SOFT.
    fn from_str(text: &str) -> Result<ResourceLimit, String> {
        let Some((name, values)) = text.split_once('=') else {
            return Err("it needs the form NAME=SOFT[:HARD], such as nofile=1024".to_owned());
        };
        let known = RESOURCES.iter().position(|known| *known == name);
        let resource =
            known.map(Resource).ok_or_else(|| format!("there is no resource {name:?}: {}", RESOURCES.join(", ")))?;
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        let amount = |text: &str| match text {
            "unlimited" => Ok(None),
            text => bytes(text).map(Some).map_err(|_| format!("{text:?} is neither a number nor unlimited")),
        };
        Ok(ResourceLimit { resource, soft: amount(soft)?, hard: amount(hard)? })
    }
}

impl fmt::Display for ResourceLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = |value: Option<u64>| value.map_or("unlimited".to_owned(), |number| number.to_string());
        write!(f, "{}={}:{}", self.resource.name(), amount(self.soft), amount(self.hard))
    }
}

/// What may go to and from a disk in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// Bytes read.
    pub read_bytes: Option<u64>,
    /// Bytes written.
    pub written_bytes: Option<u64>,
    /// Read operations.
    pub reads: Option<u64>,
    /// Write operations.
    pub writes: Option<u64>,
}

impl Rates {
    /// The rates that are limited, with the names that cgroup v2 has for them.
    pub fn named(&self) -> Vec<(&'static str, u64)> {
        let all =
            [("rbps", self.read_bytes), ("wbps", self.written_bytes), ("riops", self.reads), ("wiops", self.writes)];
        all.into_iter().filter_map(|(name, rate)| Some((name, rate?))).collect()
    }
}

impl FromStr for Rates {
    type Err = String;

    /// Reads `rbps=10M,wbps=1M,riops=100,wiops=50`, each at most once and in any order.
    fn from_str(text: &str) -> Result<Rates, String> {
        let mut rates = Rates::default();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let slot = match name {
                "rbps" => &mut rates.read_bytes,
                "wbps" => &mut rates.written_bytes,
                "riops" => &mut rates.reads,
                "wiops" => &mut rates.writes,
                _ => return Err(format!("{part:?} is no rate: there are rbps=, wbps=, riops= and wiops=")),
            };
            if slot.replace(bytes(value)?).is_some() {
                return Err(format!("{name} stands there twice"));
            }
        }
        Ok(rates)
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |name: &str, rate| if name.ends_with("bps") { Bytes(rate).to_string() } else { rate.to_string() };
        let parts: Vec<String> =
            self.named().iter().map(|(name, rate)| format!("{name}={}", shown(name, *rate))).collect();
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_know_their_units_and_their_end() {
        assert_eq!((bytes("64M"), bytes("1"), bytes("2g"), bytes("0")), (Ok(64 << 20), Ok(1), Ok(2 << 30), Ok(0)));
        assert!(["", "M", "-1", "+1", "1.5M", "99999999999T", "1MB"].iter().all(|text| bytes(text).is_err()));
        assert_eq!([512 << 20, 1500, 0, 1 << 40].map(|n| Bytes(n).to_string()), ["512M", "1500", "0", "1T"]);
    }

    #[test]
    fn shares_of_cpus_are_thousandths() {
        let shown = ["2", "1.5", "0.025", "16.0"].map(|text| text.parse::<Cpus>().expect(text).to_string());
        assert_eq!(shown, ["2", "1.5", "0.025", "16"]);
        let wrong = ["", ".5", "1.", "1.0001", "-1", "1e3", "4294968", "x"];
        assert!(wrong.iter().all(|text| text.parse::<Cpus>().is_err()));
    }

    #[test]
    fn lists_of_cpus_are_sorted_and_joined() {
        assert_eq!("3,0-1,1,2,7".parse::<CpuList>().expect("it is right").to_string(), "0-3,7");
        let masks = ["0", "0,1", "3-5,64"].map(|text| text.parse::<CpuList>().expect("it is right").mask());
        assert_eq!(masks, ["0x1", "0x3", "0x10000000000000038"]);
        assert!(
            ["", "1-0", "a", "0,", "1024", "-1", "0-4294967295"].iter().all(|text| text.parse::<CpuList>().is_err())
        );
    }

    #[test]
    fn resources_have_one_value_or_two() {
        let shown = |text: &str| text.parse::<ResourceLimit>().map(|limit| limit.to_string());
        assert_eq!(shown("nofile=64"), Ok("nofile=64:64".to_owned()));
        assert_eq!(shown("as=1G:unlimited"), Ok("as=1073741824:unlimited".to_owned()));
        assert!(["nofile", "files=1", "cpu=x", "cpu=1:", "cpu=:1"].iter().all(|text| shown(text).is_err()));
        let libc = [libc::RLIMIT_CPU, libc::RLIMIT_NOFILE, libc::RLIMIT_AS, libc::RLIMIT_RTTIME];
        let names = ["cpu", "nofile", "as", "rttime"].map(|name| RESOURCES.iter().position(|n| *n == name));
        assert_eq!(names, libc.map(|number| Some(number as usize)));
    }

    #[test]
    fn rates_name_each_direction_once() {
        assert_eq!("wiops=5,rbps=1M".parse::<Rates>().map(|r| r.to_string()), Ok("rbps=1M,wiops=5".to_owned()));
        assert!(["", "rbps", "rbps=1,rbps=2", "bps=1"].iter().all(|text| text.parse::<Rates>().is_err()));
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(
            (nanoseconds("2"), nanoseconds("-5ms"), nanoseconds("1m")),
            (Ok(2_000_000_000), Ok(-5_000_000), Ok(60_000_000_000))
        );
        assert!(["", "1y", "99999999999d", "s"].iter().all(|text| nanoseconds(text).is_err()));
    }
}
