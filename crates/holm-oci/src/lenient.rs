//! What engines leave out of a process's description though the specification wants it, names that this program doesn't know, and older
//! ones.
//! Pure.

use holm::model::capability::Capability;
use serde_json::{Value, json};

/// The sets of capabilities of a process.
const SETS: [&str; 5] = ["bounding", "effective", "inheritable", "permitted", "ambient"];

/// Makes a process's description whole: its user and group are 0 where it doesn't say them, and capabilities that have no
/// such name are taken out, as the specification has it. Warnings about these are returned. A flag that the types of
/// `oci_spec` spell otherwise than the specification (config.md, "scheduler") gets their name.
pub(crate) fn complete(process: &mut Value) -> Vec<String> {
    let Some(fields) = process.as_object_mut() else { return Vec::new() };
    if let Some(user) = fields.entry("user").or_insert_with(|| json!({})).as_object_mut() {
        for id in ["uid", "gid"] {
            user.entry(id).or_insert_with(|| json!(0));
        }
    }
    let flags = fields.get_mut("scheduler").and_then(|scheduler| scheduler.get_mut("flags")?.as_array_mut());
    for flag in flags.into_iter().flatten().filter(|flag| *flag == "SCHED_FLAG_RESET_ON_FORK") {
        *flag = json!("SCHED_RESET_ON_FORK");
    }
    let mut unknown: Vec<String> = Vec::new();
    let is_known = |name: &Value| name.as_str().is_none_or(|name| Capability::parse(name).is_some());
    for set in SETS {
        let listed = fields.get_mut("capabilities").and_then(|sets| sets.get_mut(set)?.as_array_mut());
        let Some(listed) = listed else { continue };
        unknown.extend(listed.iter().filter(|name| !is_known(name)).map(Value::to_string));
        listed.retain(is_known);
    }
    unknown.sort_unstable();
    unknown.dedup();
    unknown.into_iter().map(ignored).collect()
}

/// What versions before 1.3 of the specification call monitoring of resctrl: each has a monitoring group made, as `enableMonitoring` does.
pub(crate) fn monitor(config: &mut Value) {
    let Some(resctrl) = config.pointer_mut("/linux/intelRdt").and_then(Value::as_object_mut) else { return };
    if ["enableCMT", "enableMBM"].iter().any(|name| resctrl.get(*name) == Some(&json!(true))) {
        resctrl.insert("enableMonitoring".to_owned(), json!(true));
    }
}

/// The warning about a capability that has no such name, as it is written.
pub(crate) fn ignored(name: String) -> String {
    format!("unknown capability {name} is ignored")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_nobody_else_and_unknown_capabilities_are_none() {
        let mut process = json!({ "capabilities": { "bounding": ["CAP_KILL", "CAP_NO", 7], "ambient": ["CAP_NO"] } });
        assert_eq!(complete(&mut process), ["unknown capability \"CAP_NO\" is ignored"]);
        assert_eq!(process["user"], json!({ "uid": 0, "gid": 0 }));
        assert_eq!(process["capabilities"], json!({ "bounding": ["CAP_KILL", 7], "ambient": [] }));
        let mut process = json!({ "user": { "uid": 5, "umask": 7 } });
        assert_eq!(complete(&mut process), [""; 0]);
        assert_eq!(process["user"], json!({ "uid": 5, "gid": 0, "umask": 7 }));
        complete(&mut json!([]));
        let mut process = json!({ "scheduler": { "policy": "SCHED_FIFO", "flags": ["SCHED_FLAG_RESET_ON_FORK"] } });
        complete(&mut process);
        let read: oci_spec::runtime::Scheduler = crate::field::read(&process["scheduler"], 0).expect("it is right");
        assert_eq!(*read.flags(), Some(vec![oci_spec::runtime::LinuxSchedulerFlag::SchedResetOnFork]));
    }

    #[test]
    fn older_names_of_monitoring_are_the_same() {
        for (older, monitored) in [("enableCMT", true), ("enableMBM", true), ("enableCMT", false)] {
            let mut config = json!({ "linux": { "intelRdt": { older: monitored } } });
            monitor(&mut config);
            let expected = monitored.then_some(&Value::Bool(true));
            assert_eq!(config["linux"]["intelRdt"].get("enableMonitoring"), expected, "{older}");
        }
        monitor(&mut json!({ "linux": { "intelRdt": 7 } }));
    }
}
