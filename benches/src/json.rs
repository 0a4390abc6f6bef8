//! The report for a program: one JSON document. Units are in the names.

use std::fmt;

use crate::crowd::Crowd;
use crate::library::Library;
use crate::mounts::Mounts;
use crate::peer::Peer;
use crate::policy::{Call, Pair, Policy};
use crate::report::Report;
use crate::start::Starts;
use crate::system_calls::SystemCalls;

pub(crate) fn document(report: &Report, breaches: &[String]) -> String {
    let versions = report.host.versions.iter().map(|(peer, version)| (peer.name(), Value::text(version)));
    let absent = report.absent.iter().map(|absent| (absent.peer.name(), Value::text(&absent.reason)));
    let rates = report.rates.iter().map(|rate| (rate.peer.name(), Value::Number(rate.starts_per_second)));
    Value::object([
        ("kernel", Value::text(&report.host.kernel)),
        ("processors", Value::Number(report.host.processors as f64)),
        ("versions", Value::object(versions)),
        ("not_measured", Value::object(absent)),
        ("starts", Value::List(report.starts.iter().map(starts).collect())),
        ("starts_per_second", Value::object(rates)),
        ("mounts", mounts(&report.mounts)),
        ("library", library(&report.library)),
        ("policy", policy(&report.policy)),
        ("lists", crowd(&report.crowd)),
        ("system_calls", calls(&report.calls)),
        ("failures", texts(&report.failures)),
        ("over_limit", texts(breaches)),
    ])
    .to_string()
}

fn starts(starts: &Starts) -> Value {
    let floor = starts.of(Peer::Floor);
    let mut members = vec![("uid", Value::Number(starts.user_id.into()))];
    for series in &starts.series {
        let mut numbers = vec![
            ("runs", Value::Number(series.records.len() as f64)),
            ("median_ms", Value::Number(series.median())),
            ("min_ms", Value::Number(series.least())),
            ("p90_ms", Value::Number(series.ninetieth())),
            ("cpu_ms", Value::Number(series.cpu())),
            ("peak_kib", Value::Number(series.peak_kib() as f64)),
        ];
        if let Some(floor) = floor {
            numbers.push(("floor_ratio", Value::Number(series.median() / floor.median())));
            numbers.push(("floor_paired_ratio", Value::Number(series.paired_ratio(floor))));
        }
        members.push((series.peer.name(), Value::object(numbers)));
    }
    Value::object(members)
}

fn mounts(mounts: &Mounts) -> Value {
    match mounts {
        Mounts::Skipped { reason } => Value::object([("not_measured", Value::text(reason))]),
        Mounts::Measured { namespace, growths } => {
            let mut members = vec![("namespace", Value::text(namespace))];
            for growth in growths {
                let numbers = [
                    ("without_ms", Value::Number(growth.without)),
                    ("with_ms", Value::Number(growth.with)),
                    ("growth_ms", Value::Number(growth.difference())),
                ];
                members.push((growth.peer.name(), Value::object(numbers)));
            }
            Value::object(members)
        }
    }
}

fn library(library: &Library) -> Value {
    match library {
        Library::Skipped { reason } => Value::object([("not_measured", Value::text(reason))]),
        Library::Measured(calls) => Value::object([
            ("large_mib", Value::Number(calls.large_mib as f64)),
            ("small_ms", Value::Number(calls.small)),
            ("large_ms", Value::Number(calls.large)),
        ]),
    }
}

fn policy(policy: &Policy) -> Value {
    let pair = |pair: &Pair| {
        Value::object([
            ("with", Value::Number(pair.with)),
            ("without", Value::Number(pair.without)),
            ("difference", Value::Number(pair.difference)),
        ])
    };
    let call = |call: &Call| {
        Value::object([
            ("default", Value::Number(call.policy)),
            ("least", Value::Number(call.least)),
            ("none", Value::Number(call.none)),
        ])
    };
    match policy {
        Policy::Skipped { reason } => Value::object([("not_measured", Value::text(reason))]),
        Policy::Measured(costs) => Value::object([
            ("start_ms", pair(&costs.start)),
            ("start_cpu_ms", pair(&costs.start_cpu)),
            ("getpid_cpu_ns", call(&costs.plain)),
            ("ioctl_cpu_ns", call(&costs.conditional)),
        ]),
    }
}

fn crowd(crowd: &Crowd) -> Value {
    match crowd {
        Crowd::Skipped { reason } => Value::object([("not_measured", Value::text(reason))]),
        Crowd::Measured { few, few_ms, lists } => {
            let list = |list: &crate::crowd::List| {
                let mut numbers =
                    vec![("crowd", Value::Number(list.count as f64)), ("holm_ms", Value::Number(list.holm))];
                numbers.extend(list.lsns.map(|lsns| ("lsns_ms", Value::Number(lsns))));
                Value::object(numbers)
            };
            Value::object([
                ("processes", Value::Number(*few as f64)),
                ("holm_ms", Value::Number(*few_ms)),
                ("crowds", Value::List(lists.iter().map(list).collect())),
            ])
        }
    }
}

fn calls(calls: &SystemCalls) -> Value {
    match calls {
        SystemCalls::Skipped { reason } => Value::object([("not_measured", Value::text(reason))]),
        SystemCalls::Counted(counts) => {
            Value::object(counts.iter().map(|count| (count.peer.name(), Value::Number(count.calls as f64))))
        }
    }
}

fn texts(texts: &[String]) -> Value {
    Value::List(texts.iter().map(|text| Value::text(text)).collect())
}

enum Value {
    Number(f64),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(&'static str, Self)>),
}

impl Value {
    fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    fn object(members: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        Self::Object(members.into_iter().collect())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Thousandths are below the noise; whole numbers print as such.
            Self::Number(number) => write!(f, "{}", (number * 1e4).round() / 1e4),
            Self::Text(text) => quote(f, text),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (index, (name, value)) in members.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { "," })?;
                    quote(f, name)?;
                    write!(f, ":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for letter in text.chars() {
        match letter {
            '"' | '\\' => write!(f, "\\{letter}")?,
            control if control < ' ' => write!(f, "\\u{:04x}", u32::from(control))?,
            other => write!(f, "{other}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_as_json() {
        let value = Value::object([
            ("whole", Value::Number(4096.0)),
            ("part", Value::Number(1.23456)),
            ("list", Value::List(vec![Value::text("a\"b\\c\nd"), Value::object([])])),
        ]);
        assert_eq!(value.to_string(), r#"{"whole":4096,"part":1.2346,"list":["a\"b\\c\u000ad",{}]}"#);
    }
}
