//! `linux.resources.devices`: which devices a container may use. Nothing is allowed but what a rule allows, and the devices
//! that every container has.
//!
//! The last rule that speaks of a device counts. Version 2 asks a program that says just that. Version 1 knows one answer for
//! all and a list of exceptions by number, and reads no more than the letter of a rule for both kinds: there the rules are first
//! made a list that means the same ([`Exceptions`]), and what has no such list is refused. One thing is stricter there: opened to
//! be read and written, a device needs one rule that allows both.

use super::resources::Lowering;
use holm::model::device::{DeviceAccess, DeviceKind, DeviceRule, Verdict};
use holm::model::group::Version;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

impl Lowering<'_> {
    pub(super) fn devices(&mut self, listed: &[LinuxDeviceCgroup]) {
        let mut rules = Vec::new();
        for one in listed {
            match rule(one) {
                Ok(rule) => rules.push(rule),
                Err(cause) => return self.refuse("devices", format!("cannot limit devices: {cause}")),
            }
        }
        let rules = completed(rules);
        let two = self.hierarchies.iter().position(|one| one.version == Version::Two);
        match (self.of("devices"), two) {
            (Some((place, _)), _) => match Exceptions::of(&rules) {
                Ok(exceptions) => self.writes.files[place].extend(exceptions.lines()),
                Err(cause) => self.refuse("devices", cause),
            },
            (None, Some(place)) => self.writes.devices = Some((place, rules)),
            (None, None) if listed.is_empty() => {}
            (None, None) => self.refuse("devices", "cannot limit devices: there is no controller devices"),
        }
    }
}

/// The devices that a container may use, each rule of which allows something, as systemd lists them; what no such list says is
/// `None`.
#[derive(Debug)]
pub(crate) struct AllowList(Option<Vec<DeviceRule>>);

impl AllowList {
    /// That of a configuration; a rule that is none is refused elsewhere.
    pub(crate) fn of(listed: &[LinuxDeviceCgroup]) -> AllowList {
        let rules = listed.iter().map(rule).collect::<Result<Vec<_>, _>>().ok();
        let exceptions = rules.and_then(|rules| Exceptions::of(&completed(rules)).ok());
        AllowList(exceptions.filter(|made| made.usual == Verdict::Refuse).map(|made| made.rules))
    }

    /// Devices in systemd's words, and what for (systemd.resource-control(5), `DeviceAllow`). `majors` is a text of /proc/devices,
    /// by whose names it knows all devices of a driver.
    pub(crate) fn named(&self, majors: &str) -> Option<Vec<(String, String)>> {
        self.0.as_ref()?.iter().map(|rule| Some((device(rule, majors)?, rule.access.to_string()))).collect()
    }
}

fn device(rule: &DeviceRule, majors: &str) -> Option<String> {
    let (kind, title) = match rule.kind? {
        DeviceKind::Character => ("char", "Character devices:"),
        DeviceKind::Block => ("block", "Block devices:"),
    };
    match (rule.major, rule.minor) {
        (Some(major), Some(minor)) => Some(format!("/dev/{kind}/{major}:{minor}")),
        (None, None) => Some(format!("{kind}-*")),
        (Some(major), None) => {
            let mut listed =
                majors.lines().skip_while(|line| *line != title).skip(1).take_while(|line| !line.is_empty());
            let name = listed.find_map(|line| line.trim().strip_prefix(&major.to_string())?.strip_prefix(' '))?;
            Some(format!("{kind}-{name}"))
        }
        (None, Some(_)) => None,
    }
}

/// What a rule of the configuration says.
fn rule(wished: &LinuxDeviceCgroup) -> Result<DeviceRule, String> {
    let kind = match wished.typ() {
        None | Some(LinuxDeviceType::A) => None,
        Some(LinuxDeviceType::B) => Some(DeviceKind::Block),
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => Some(DeviceKind::Character),
        Some(LinuxDeviceType::P) => return Err("a pipe is no device".to_owned()),
    };
    // -1 is any.
    let number = |number: Option<i64>| match number {
        None | Some(-1) => Ok(None),
        Some(number) => u32::try_from(number).map(Some).map_err(|_| format!("{number} is no number of a device")),
    };
    let access = wished.access().as_deref().filter(|access| !access.is_empty()).unwrap_or("rwm");
    let (verdict, parsed) = match (wished.allow(), DeviceAccess::parse(access)) {
        (true, access) => (Verdict::Allow, access),
        // Whatever else is meant by its letters, all is refused then.
        (false, access) => (Verdict::Refuse, access.or(Some(DeviceAccess::ALL))),
    };
    let access = parsed.ok_or_else(|| format!("access {access:?} is not of r, w and m"))?;
    Ok(DeviceRule { verdict, kind, major: number(wished.major())?, minor: number(wished.minor())?, access })
}

/// With what every container may do. Its devices come behind the last rule for all devices, so that a rule for one of them still
/// counts. Making nodes is allowed last: what they are opened for is asked then.
fn completed(mut rules: Vec<DeviceRule>) -> Vec<DeviceRule> {
    if !rules.first().is_some_and(DeviceRule::is_of_all) {
        rules.insert(0, DeviceRule::all(Verdict::Refuse));
    }
    let behind = rules.iter().rposition(DeviceRule::is_of_all).map_or(0, |place| place + 1);
    let allow =
        |kind, major, minor, access| DeviceRule { verdict: Verdict::Allow, kind: Some(kind), major, minor, access };
    let used = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)];
    let used = used.into_iter().map(|(major, minor)| (Some(major), Some(minor))).chain([(Some(136), None)]);
    let used = used.map(|(major, minor)| allow(DeviceKind::Character, major, minor, DeviceAccess::ALL));
    rules.splice(behind..behind, used);
    rules.extend([DeviceKind::Character, DeviceKind::Block].map(|kind| allow(kind, None, None, DeviceAccess::MAKE)));
    rules
}

/// What version 1 keeps: an answer for all devices, and rules with the other answer.
struct Exceptions {
    usual: Verdict,
    /// No two are of the same kind and numbers.
    rules: Vec<DeviceRule>,
}

impl Exceptions {
    /// # Errors
    /// A rule takes something out of a broader one, which version 1 can't.
    fn of(rules: &[DeviceRule]) -> Result<Exceptions, String> {
        let mut made = Exceptions { usual: Verdict::Refuse, rules: Vec::new() };
        for rule in rules {
            if rule.is_of_all() {
                made = Exceptions { usual: rule.verdict, rules: Vec::new() };
                continue;
            }
            let both = [DeviceKind::Character, DeviceKind::Block];
            for kind in both.into_iter().filter(|kind| rule.kind.is_none_or(|wished| wished == *kind)) {
                let rule = DeviceRule { kind: Some(kind), ..*rule };
                if rule.verdict == made.usual { made.take(&rule)? } else { made.add(rule) }
            }
        }
        Ok(made)
    }

    fn add(&mut self, rule: DeviceRule) {
        let same = |one: &&mut DeviceRule| (one.kind, one.major, one.minor) == (rule.kind, rule.major, rule.minor);
        match self.rules.iter_mut().find(same) {
            Some(one) => one.access = one.access.with(rule.access),
            None => self.rules.push(rule),
        }
    }

    /// Takes out what a rule says to be as usual.
    fn take(&mut self, rule: &DeviceRule) -> Result<(), String> {
        let meets = |one: Option<u32>, other: Option<u32>| one.is_none() || other.is_none() || one == other;
        let within = |one: Option<u32>, other: Option<u32>| other.is_none() || one == other;
        let mut left = Vec::new();
        for one in &self.rules {
            let rest = one.access.without(rule.access);
            let met = one.kind == rule.kind && meets(one.major, rule.major) && meets(one.minor, rule.minor);
            if !met || rest == Some(one.access) {
                left.push(*one);
            } else if within(one.major, rule.major) && within(one.minor, rule.minor) {
                left.extend(rest.map(|access| DeviceRule { access, ..*one }));
            } else {
                let verb = if rule.verdict == Verdict::Allow { "allow" } else { "refuse" };
                let cause = "version 1 of control groups can't take it out of a broader rule";
                return Err(format!("cannot {verb} devices {rule}: {cause}, {one}"));
            }
        }
        self.rules = left;
        Ok(())
    }

    /// Files and what is written there.
    fn lines(&self) -> impl Iterator<Item = (String, String)> {
        let file = |verdict| if verdict == Verdict::Allow { "devices.allow" } else { "devices.deny" };
        // The kernel takes but this letter for all of them.
        let all = (file(self.usual).to_owned(), "a".to_owned());
        std::iter::once(all).chain(self.rules.iter().map(move |rule| (file(rule.verdict).to_owned(), rule.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::resources::{Writes, writes};
    use holm::host::groups::Hierarchy;
    use serde_json::{Value, json};

    fn lowered(rules: Value, version: Version) -> Writes {
        let controllers = if version == Version::One { vec!["devices".to_owned()] } else { Vec::new() };
        let hierarchy = Hierarchy { version, mounted: "/cg".into(), controllers, own: "/cg".into() };
        let wished = serde_json::from_value(json!({ "devices": rules })).expect("it is right");
        writes(&wished, &[hierarchy])
    }

    /// What is written in version 1, but for what every container may do.
    fn old(rules: Value) -> Vec<String> {
        let all = |rules: Value| {
            let Writes { files, refused, .. } = lowered(rules, Version::One);
            assert_eq!(refused, []);
            files[0].iter().map(|(file, value)| format!("{file} {value}")).collect::<Vec<_>>()
        };
        let always = all(json!([]));
        let own = |line: &String| !always[1..].contains(line);
        all(rules).into_iter().filter(own).collect()
    }

    #[test]
    fn a_container_without_rules_uses_its_own_devices_alone() {
        let files = &lowered(json!([]), Version::One).files[0];
        assert_eq!(files[0], ("devices.deny".to_owned(), "a".to_owned()));
        let lines: Vec<&str> = files[1..].iter().map(|(_, line)| line.as_str()).collect();
        let used = ["c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm"];
        assert_eq!(lines[..5], used);
        assert_eq!(lines[5..], ["c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm", "c *:* m", "b *:* m"]);
        let (place, rules) = lowered(json!([]), Version::Two).devices.expect("there are rules");
        assert_eq!((place, rules[0], rules.len()), (0, DeviceRule::all(Verdict::Refuse), 12));
        let nothing = writes(&serde_json::from_value(json!({})).expect("it is right"), &[]);
        assert_eq!(nothing, Writes::default(), "no list is no wish");
    }

    #[test]
    fn a_rule_for_both_kinds_is_not_one_for_all_devices() {
        let deny = json!({ "allow": false });
        let one = json!({ "allow": true, "major": 1, "minor": 11, "access": "r" });
        assert_eq!(old(json!([deny, one])), ["devices.deny a", "devices.allow c 1:11 r", "devices.allow b 1:11 r"]);
        let made = json!({ "allow": true, "type": "a", "access": "r" });
        assert_eq!(old(json!([made])), ["devices.deny a", "devices.allow c *:* rm", "devices.allow b *:* rm"]);
        assert_eq!(old(json!([deny, { "allow": true }])), ["devices.allow a"]);
    }

    #[test]
    fn what_is_refused_later_is_taken_out_or_has_no_list() {
        let rule = |allow: bool, major: i64, minor: i64, access: &str| json!({ "allow": allow, "type": "c", "major": major, "minor": minor, "access": access });
        let listed = json!([rule(true, 10, 1, "rw"), rule(true, 10, 2, "r"), rule(false, 10, -1, "r")]);
        assert_eq!(old(listed), ["devices.deny a", "devices.allow c 10:1 w"]);
        let others = json!([{ "allow": true }, rule(false, 10, 229, "rwm"), rule(true, 10, 229, "r")]);
        assert_eq!(old(others), ["devices.allow a", "devices.deny c 10:229 w"]);
        // As engines have it: it is refused already.
        assert_eq!(old(json!([rule(false, 10, 229, "rwm")])), ["devices.deny a"]);
        // A refusal in letters that are none is one of all.
        assert_eq!(old(json!([rule(true, 10, 229, "rw"), rule(false, 10, 229, "ra")])), ["devices.deny a"]);
        for (listed, said) in [
            (json!([rule(true, 1, -1, "rwm"), rule(false, 1, 11, "rwm")]), "refuse devices c 1:11 rwm"),
            (json!([rule(true, -1, 3, "r"), rule(false, 1, -1, "r")]), "refuse devices c 1:* r"),
            (json!([{ "allow": true }, rule(false, 10, -1, "rwm"), rule(true, 10, 1, "r")]), "allow devices c 10:1 r"),
        ] {
            let refused = lowered(listed.clone(), Version::One).refused;
            assert!(refused.len() == 1 && refused[0].1.starts_with(&format!("cannot {said}: ")), "{refused:?}");
            let new = lowered(listed, Version::Two);
            assert!(new.refused.is_empty() && new.devices.is_some());
        }
    }

    #[test]
    fn a_device_that_every_container_has_can_be_refused() {
        let console = json!([{ "allow": false, "type": "c", "major": 5, "minor": 1 }]);
        let files = &lowered(console.clone(), Version::One).files[0];
        assert!(files.iter().all(|(_, line)| !line.starts_with("c 5:1 ")), "{files:?}");
        let (_, rules) = lowered(console, Version::Two).devices.expect("there are rules");
        let last = rules.iter().rfind(|rule| (rule.major, rule.minor) == (Some(5), Some(1)));
        assert_eq!(last.map(|rule| rule.verdict), Some(Verdict::Refuse));
    }

    #[test]
    fn systemd_is_told_what_may_be_used() {
        let majors = "Character devices:\n  1 mem\n 10 misc\n136 pts\n\nBlock devices:\n  8 sd\n 10 other\n";
        let named = |rules: Value| {
            let listed: Vec<LinuxDeviceCgroup> = serde_json::from_value(rules).expect("it is right");
            AllowList::of(&listed).named(majors)
        };
        let usual = named(json!([])).expect("it is a list");
        assert_eq!(usual[0], ("/dev/char/1:3".to_owned(), "rwm".to_owned()));
        let rest = [("char-pts", "rwm"), ("char-*", "m"), ("block-*", "m")];
        assert_eq!(usual[8..], rest.map(|(name, access)| (name.to_owned(), access.to_owned())));
        let disks = named(json!([{ "allow": true, "type": "b", "major": 8, "access": "r" }])).expect("it is a list");
        assert!(disks.contains(&("block-sd".to_owned(), "r".to_owned())), "{disks:?}");
        for other in [
            json!([{ "allow": true }]),
            json!([{ "allow": true, "type": "c", "major": 77, "access": "r" }]),
            json!([{ "allow": true, "type": "c", "minor": 7, "access": "r" }]),
        ] {
            assert_eq!(named(other), None);
        }
    }

    #[test]
    fn a_rule_that_is_none_is_refused() {
        for wrong in [json!({ "allow": true, "access": "x" }), json!({ "allow": true, "type": "p" })] {
            assert_eq!(lowered(json!([wrong]), Version::Two).refused.len(), 1);
        }
    }
}
