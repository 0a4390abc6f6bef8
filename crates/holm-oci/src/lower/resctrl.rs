//! `linux.intelRdt`: the group of resctrl that a container is in (config-linux.md, "IntelRdt").

use super::{Lowering, origin};
use crate::reason;
use crate::resctrl::Schemas;
use holm::plan::{Blame, Reason};
use holm::spec::limits::{Presence, ResctrlGroup};
use holm::spec::origins::Wish;
use oci_spec::runtime::LinuxIntelRdt;

const FIELD: &str = "linux.intelRdt";

impl Lowering<'_> {
    pub(super) fn resctrl(&mut self, wished: &LinuxIntelRdt) {
        let Some((mounted, own)) = self.around.resctrl.clone() else {
            let message = "cannot put the container into a resctrl group: no resctrl file system is mounted here";
            let hint = "where processor and kernel know it: mount -t resctrl resctrl /sys/fs/resctrl".to_owned();
            return self.reasons.push(Reason { hint, blame: Blame::Machine, ..reason(message, origin(FIELD)) });
        };
        let wrong = |field: &str, value: &str, cause: &str| {
            (format!("{FIELD}.{field}"), format!("cannot use {value:?}: {cause}"))
        };
        let mut refused = Vec::new();
        let said = wished.clos_id().as_deref().filter(|name| !name.is_empty());
        let monitored = wished.enable_monitoring().unwrap_or_default().then(|| (own.clone(), Presence::Refused));
        // The default group is the top itself, whose name is this slash.
        let is_default = said == Some("/");
        let schemas = Schemas { l3: wished.l3_cache_schema().clone(), bandwidth: wished.mem_bw_schema().clone() };
        self.warnings.extend(schemas.ignored().map(|warning| format!("{}: {warning}", origin(FIELD))));
        let agreed = schemas.lines().unwrap_or_else(|(field, cause)| {
            refused.push(wrong(field, schemas.bandwidth.as_deref().unwrap_or_default(), cause));
            Vec::new()
        });
        let written: Vec<String> = wished.schemata().iter().flatten().cloned().collect();
        if let Some(line) = written.iter().find(|line| line.contains('\n')) {
            refused.push(wrong("schemata", line, "each of them is a line"));
        }
        if is_default && !written.is_empty() {
            refused.push(wrong("schemata", &written.join(" "), "the default group is everybody's"));
        }
        let presence = match said {
            None => Presence::Refused,
            Some(_) if is_default || (agreed.is_empty() && written.is_empty()) => Presence::Needed,
            Some(_) => Presence::Allowed,
        };
        refused.into_iter().for_each(|(field, message)| self.refuse(&field, message));
        let name = (!is_default).then(|| said.map_or(own, str::to_owned));
        self.spec.limits.resctrl = Some(ResctrlGroup { mounted, name, presence, agreed, written, monitored });
        self.spec.origins.set(Wish::Resctrl, origin(FIELD));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Lowered, Surroundings, lower};
    use super::*;
    use crate::bundle::Bundle;
    use serde_json::{Value, json};

    /// What becomes of such a field of a container named `c1`, where resctrl is mounted at `/rdt`.
    fn lowered(rdt: Value) -> crate::Result<Lowered> {
        lower(
            &bundle(rdt),
            &Surroundings { resctrl: Some(("/rdt".into(), "c1".to_owned())), ..Surroundings::default() },
        )
    }

    fn bundle(rdt: Value) -> Bundle {
        let config = json!({
            "ociVersion": "1.3.0",
            "process": { "user": { "uid": 0, "gid": 0 }, "args": ["true"], "cwd": "/" },
            "root": { "path": "rootfs" },
            "linux": { "namespaces": [{ "type": "mount" }, { "type": "pid" }], "intelRdt": rdt },
        });
        let config = serde_json::from_value(config).expect("it is a configuration");
        Bundle { directory: "/b".into(), config, seccomp: None, warnings: Vec::new() }
    }

    fn group(rdt: Value) -> ResctrlGroup {
        let lowered = lowered(rdt).unwrap_or_else(|error| panic!("{error}"));
        lowered.spec.limits.resctrl.expect("there is one")
    }

    #[test]
    fn its_group_is_the_containers_own_or_one_that_is_named() {
        let own = group(json!({ "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20", "schemata": ["L2:0=3"] }));
        let lines = |all: &[&str]| all.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let expected = ResctrlGroup {
            mounted: "/rdt".into(),
            name: Some("c1".to_owned()),
            presence: Presence::Refused,
            agreed: lines(&["L3:0=f", "MB:0=20"]),
            written: lines(&["L2:0=3"]),
            monitored: None,
        };
        assert_eq!(own, expected);
        let shared = group(json!({ "closID": "gold", "enableMonitoring": true }));
        let (name, monitored) = (Some("gold".to_owned()), Some(("c1".to_owned(), Presence::Refused)));
        let expected = ResctrlGroup {
            name,
            monitored,
            presence: Presence::Needed,
            agreed: Vec::new(),
            written: Vec::new(),
            ..expected
        };
        assert_eq!(shared, expected);
        assert_eq!(group(json!({ "closID": "gold", "schemata": ["L2:0=3"] })).presence, Presence::Allowed);
        let default = group(json!({ "closID": "/", "memBwSchema": "MB:0=100" }));
        assert_eq!((default.name, default.presence), (None, Presence::Needed));
        assert_eq!(group(json!({ "closID": "", "schemata": [] })).presence, Presence::Refused);
    }

    #[test]
    fn what_says_no_schema_is_refused_by_its_field_or_told() {
        for (rdt, field, cause) in [
            (json!({ "memBwSchema": "L3:0=f" }), "memBwSchema", "it does not begin with MB:"),
            (json!({ "memBwSchema": "MB:0=1\nL3:0=f" }), "memBwSchema", "it is more than a line"),
            (json!({ "schemata": ["L3:0=f\nL2:0=f"] }), "schemata", "each of them is a line"),
            (json!({ "closID": "/", "schemata": ["L3:0=f"] }), "schemata", "the default group is everybody's"),
        ] {
            let refused = lowered(rdt.clone()).map(drop);
            let Err(crate::Error::Start(holm::Error::Refused(refusal))) = refused else {
                panic!("{rdt} is not refused")
            };
            let reason = &refusal.reasons[0];
            assert_eq!(reason.origin, format!("config.json: linux.intelRdt.{field}"));
            assert!(reason.message.ends_with(cause), "{}", reason.message);
        }
        let ignored = lowered(json!({ "l3CacheSchema": "L3:0=f\nMB:0=9" })).unwrap_or_else(|error| panic!("{error}"));
        let expected =
            "config.json: linux.intelRdt: MB lines of l3CacheSchema are ignored: memBwSchema limits memory bandwidth";
        assert_eq!(ignored.warnings, [expected]);
    }

    #[test]
    fn without_resctrl_it_is_refused_with_what_would_help() {
        let refused = lower(&bundle(json!({ "closID": "gold" })), &Surroundings::default()).map(drop);
        let Err(crate::Error::Start(holm::Error::Refused(refusal))) = refused else { panic!("it is not refused") };
        let [reason] = &refusal.reasons[..] else { panic!("{refusal:?}") };
        assert_eq!(reason.origin, "config.json: linux.intelRdt");
        assert!(reason.message.ends_with("no resctrl file system is mounted here") && reason.hint.contains("mount -t"));
    }
}
