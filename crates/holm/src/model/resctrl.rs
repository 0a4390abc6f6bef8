//! Groups of resctrl, the file system by which the kernel shares out caches and memory bandwidth (Documentation/filesystems/resctrl.rst): their
//! names, and what their file `schemata` says.

use std::path::{Path, PathBuf};

/// Why a name is none of a group; `None` if it is one.
pub fn unfit(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("it is empty"),
        "." | ".." => Some("it climbs"),
        "info" | "mon_groups" | "mon_data" => Some("it is the kernel's own"),
        name if name.contains('/') => Some("it has a slash"),
        name if name.contains(char::is_control) => Some("it has a control character"),
        name => (name.len() > 255).then_some("it is longer than 255 bytes"),
    }
}

/// Where a group is, below where the file system is mounted; without a name it is the default group.
pub fn directory(mounted: &Path, name: Option<&str>) -> PathBuf {
    name.map_or_else(|| mounted.to_owned(), |name| mounted.join(name))
}

/// Whether a text of `schemata` says already what these lines say, so that writing them would change nothing. Lines are
/// `RESOURCE:ID=VALUE;...`; what they don't name stays as it is. The kernel rounds bandwidths up to the next of its steps, which are as far
/// apart as `step` tells of a resource (there, "Memory bandwidth Allocation").
pub(crate) fn says(schemata: &str, lines: &[String], step: impl Fn(&str) -> u64) -> bool {
    let there: Vec<_> = schemata.lines().filter_map(parse).collect();
    lines.iter().all(|line| {
        let Some((resource, wished)) = parse(line) else { return false };
        let Some((_, values)) = there.iter().find(|(name, _)| *name == resource) else { return false };
        let step = if is_bandwidth(resource) { step(resource) } else { 1 };
        let is_so = |(instance, wish): &(u32, u64)| {
            values.iter().any(|(one, value)| one == instance && value.checked_sub(*wish).is_some_and(|up| up < step))
        };
        wished.iter().all(is_so)
    })
}

fn is_bandwidth(resource: &str) -> bool {
    matches!(resource, "MB" | "SMBA")
}

/// A line's resource, and the value of each of its instances; `None` if it is no such line.
fn parse(line: &str) -> Option<(&str, Vec<(u32, u64)>)> {
    let (resource, values) = line.split_once(':')?;
    let resource = resource.trim();
    let number = |text: &str| match is_bandwidth(resource) {
        true => text.parse().ok(),
        // Parts of caches are masks, which the kernel takes with 0x, too.
        false => {
            let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
            u64::from_str_radix(digits, 16).ok()
        }
    };
    let value = |pair: &str| {
        let (instance, value) = pair.split_once('=')?;
        Some((instance.trim().parse().ok()?, number(value.trim())?))
    };
    let pairs = values.split(';').filter(|pair| !pair.trim().is_empty());
    Some((resource, pairs.map(value).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_a_name_of_its_own_right_below() {
        for name in ["", ".", "..", "a/b", "/", "info", "mon_groups", "mon_data", "a\nb", &"a".repeat(256)] {
            assert!(unfit(name).is_some(), "{name:?}");
        }
        for name in ["web", "infos", "...", "a b", &"a".repeat(255)] {
            assert_eq!(unfit(name), None);
        }
    }

    #[test]
    fn schemata_are_compared_by_what_they_mean() {
        let there = "    MB:0= 20;1= 70\n    L3:0=007f0;1=0001f\nL2CODE:0=f\n";
        let says =
            |lines: &[&str]| says(there, &lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(), |_| 1);
        assert!(says(&[]));
        assert!(says(&["L3:0=7f0;1=1f", "MB:1=70;0=20;", "L2CODE: 0 = 0f"]));
        assert!(says(&["L3:0=0x7f0;1=0X1F"]));
        assert!(says(&["L3:1=1F"]), "what it doesn't name stays");
        for other in ["L3:0=7f1;1=1f", "L3:2=1", "L2:0=f", "MB:0=14", "MB:0=x", "MB:0", "L3", "L3:0=-1"] {
            assert!(!says(&["L3:0=7f0", other]), "{other}");
        }
    }

    #[test]
    fn a_bandwidth_is_what_the_kernel_rounds_it_up_to() {
        let says = |line: &str, step| says("MB:0= 20\nSMBA:0=20\nL3:0=20\n", &[line.to_owned()], |_| step);
        for (wished, step, so) in [(20, 10, true), (11, 10, true), (10, 10, false), (21, 10, false), (19, 1, false)] {
            assert_eq!(says(&format!("MB:0={wished}"), step), so, "{wished} in steps of {step}");
            assert_eq!(says(&format!("SMBA:0={wished}"), step), so, "{wished} in steps of {step}");
        }
        assert!(!says("L3:0=1f", 10), "a mask is no number");
    }
}
