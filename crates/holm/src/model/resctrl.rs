//! Groups of resctrl, the file system by which the kernel shares out caches and memory bandwidth (Documentation/filesystems/resctrl.rst): their
//! names, and what their file `schemata` says.

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

/// Whether a text of `schemata` says already what these lines say, so that writing them would change nothing. Lines are
/// `RESOURCE:ID=VALUE;...`; what they don't name stays as it is.
pub fn says(schemata: &str, lines: &[String]) -> bool {
    let there: Vec<_> = schemata.lines().filter_map(parse).collect();
    lines.iter().all(|line| {
        let Some((resource, wished)) = parse(line) else { return false };
        let found = there.iter().find(|(name, _)| *name == resource);
        found.is_some_and(|(_, values)| wished.iter().all(|value| values.contains(value)))
    })
}

/// A line's resource, and the value of each of its instances; `None` if it is no such line.
fn parse(line: &str) -> Option<(&str, Vec<(u32, u64)>)> {
    let (resource, values) = line.split_once(':')?;
    let resource = resource.trim();
    // Bandwidths are numbers, parts of caches are masks.
    let radix = if resource.ends_with("MB") || resource == "SMBA" { 10 } else { 16 };
    let value = |pair: &str| {
        let (instance, value) = pair.split_once('=')?;
        Some((instance.trim().parse().ok()?, u64::from_str_radix(value.trim(), radix).ok()?))
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
        let says = |lines: &[&str]| says(there, &lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        assert!(says(&[]));
        assert!(says(&["L3:0=7f0;1=1f", "MB:1=70;0=20;", "L2CODE: 0 = 0f"]));
        assert!(says(&["L3:1=1F"]), "what it doesn't name stays");
        for other in ["L3:0=7f1;1=1f", "L3:2=1", "L2:0=f", "MB:0=14", "MB:0=x", "MB:0", "L3", "L3:0=-1"] {
            assert!(!says(&["L3:0=7f0", other]), "{other}");
        }
    }
}
