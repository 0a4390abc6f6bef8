//! What was found, as JSON; docs/reference/doctor.md is its description.

use holm::doctor::facts::Gauge;
use holm::doctor::{Deed, Facts, Finding, Remedy};
use serde_json::{Value, json};

/// The version of the schema: it grows when something is removed or means something else.
pub(crate) const VERSION: u32 = 1;

pub(super) fn document(facts: &Facts, findings: &[Finding], code: u8) -> Value {
    json!({
        "version": VERSION,
        "exit-code": code,
        "user": { "uid": facts.caller.uid, "name": facts.caller.name, "privileged": facts.caller.privileged },
        "kernel": facts.kernel,
        "container": facts.container.map(|container| container.name()),
        "limits": facts.gauges.iter().map(limit).collect::<Vec<Value>>(),
        "findings": findings.iter().map(finding).collect::<Vec<Value>>(),
    })
}

fn limit(gauge: &Gauge) -> Value {
    json!({ "name": gauge.name.name(), "most": gauge.most, "used": gauge.used })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "check": finding.check,
        "area": finding.area.name(),
        "status": finding.status.name(),
        "title": finding.title,
        "seen": finding.value,
        "cause": finding.cause,
        "lost": finding.lost,
        "remedies": finding.remedies.iter().map(remedy).collect::<Vec<Value>>(),
    })
}

fn remedy(remedy: &Remedy) -> Value {
    json!({
        "by": remedy.by.name(),
        "reach": remedy.reach.name(),
        "weakens": remedy.weakens,
        "deeds": remedy.deeds.iter().map(deed).collect::<Vec<Value>>(),
    })
}

fn deed(deed: &Deed) -> Value {
    match deed {
        Deed::Command(text) => json!({ "is": "command", "text": text }),
        Deed::File(path, text) => json!({ "is": "file", "path": path, "text": text }),
        Deed::Options(text) => json!({ "is": "options", "text": text }),
        Deed::Advice(text) => json!({ "is": "advice", "text": text }),
    }
}
