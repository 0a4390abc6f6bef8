//! Filters of system calls in the JSON form of the OCI runtime specification (config-linux.md, "Seccomp").

use holm::model::seccomp::{Action, Comparison, Condition, ENOSYS, EPERM, Filter, Rule};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use syscalls::{arm, mips, powerpc64, s390x, x86, x86_64};

/// Flags that can be given. TSYNC is done for one thread before there are others, WAIT_KILLABLE_RECV always.
pub(crate) const FLAGS: [&str; 4] =
    ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", WAITS_KILLABLE];
const WAITS_KILLABLE: &str = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV";
/// Actions that can be asked for.
pub(crate) const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];
/// Comparisons that can be made.
pub(crate) const COMPARISONS: [&str; 7] =
    ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document {
    default_action: String,
    default_errno_ret: Option<u16>,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    syscalls: Vec<Entry>,
    #[serde(default)]
    listener_path: String,
    #[serde(default)]
    listener_metadata: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    names: Vec<String>,
    action: String,
    errno_ret: Option<u16>,
    #[serde(default)]
    args: Vec<Argument>,
    #[serde(default, rename = "comment")]
    _comment: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

type Parsed<T> = Result<T, String>;

/// Who answers what a filter asks (config-linux.md, "Seccomp", `listenerPath`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The socket at which it listens.
    pub path: PathBuf,
    /// What it is told besides.
    pub metadata: String,
    /// Whether a call that it was told of must not be interrupted (`SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`).
    pub waits_killable: bool,
}

/// The filter of a JSON text, which has nobody to ask.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Filter, String> {
    let document: Document = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let listener = [("listenerPath", &document.listener_path), ("listenerMetadata", &document.listener_metadata)];
    match listener.iter().find(|(_, value)| !value.is_empty()) {
        Some((field, _)) => Err(format!("{field} asks for a listener, and none is told of calls")),
        None => filter(&document).map(|(filter, _)| filter),
    }
}

/// The filter of a part of a configuration, and whom it asks, if it asks anything.
///
/// # Errors
/// What is wrong with it.
pub fn from_value(value: serde_json::Value) -> Result<(Filter, Option<Agent>), String> {
    filter(&serde_json::from_value(value).map_err(|e| e.to_string())?)
}

fn filter(document: &Document) -> Parsed<(Filter, Option<Agent>)> {
    if !(document.architectures.is_empty() || document.architectures.iter().any(|name| name == "SCMP_ARCH_X86_64")) {
        return Err("its architectures are without SCMP_ARCH_X86_64".to_owned());
    }
    if let Some(flag) = document.flags.iter().find(|flag| !FLAGS.contains(&flag.as_str())) {
        return Err(format!("flag {flag} is not supported"));
    }
    let otherwise = action(&document.default_action, document.default_errno_ret)?;
    if otherwise == Action::Notify {
        return Err("SCMP_ACT_NOTIFY cannot be used as the default action: nothing would start".to_owned());
    }
    let mut asks = false;
    let mut calls: BTreeMap<u32, Vec<Rule>> = BTreeMap::new();
    for entry in &document.syscalls {
        let action = action(&entry.action, entry.errno_ret)?;
        let alternatives = alternatives(entry.args.iter().map(condition).collect::<Parsed<Vec<Condition>>>()?);
        for name in &entry.names {
            // By sendmsg the listener itself is sent; and what is written may be the answer's own.
            if action == Action::Notify && ["write", "sendmsg"].contains(&name.as_str()) {
                return Err(format!("SCMP_ACT_NOTIFY cannot be used for the {name} syscall"));
            }
            asks |= action == Action::Notify;
            if let Some(number) = number(name)? {
                let rules = alternatives.iter().map(|conditions| Rule { conditions: conditions.clone(), action });
                calls.entry(number).or_default().extend(rules);
            }
        }
    }
    // Who traces calls answers those for itself that the filter doesn't know.
    let allows = matches!(otherwise, Action::Allow | Action::Log | Action::Trace(_));
    let next = calls.last_key_value().map_or(0, |(number, _)| number + 1);
    let agent = match (asks, document.listener_path.as_str()) {
        (false, _) => None,
        (true, "") => return Err("SCMP_ACT_NOTIFY needs a listener, and there is none: listenerPath".to_owned()),
        (true, path) => {
            let waits_killable = document.flags.iter().any(|flag| flag == WAITS_KILLABLE);
            Some(Agent { path: path.into(), metadata: document.listener_metadata.clone(), waits_killable })
        }
    };
    let bit = |flag: &String| match flag.as_str() {
        "SECCOMP_FILTER_FLAG_LOG" => 1 << 1,
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => 1 << 2,
        _ => 0,
    };
    let flags = document.flags.iter().map(bit).fold(0, std::ops::BitOr::bitor);
    Ok((Filter { calls, otherwise, unknown_from: if allows { u32::MAX } else { next }, flags }, agent))
}

/// The conditions of each rule of an entry. All have to hold; but where two are on one argument, each is enough: so profiles that
/// list values mean it, and so runc and crun read them.
fn alternatives(conditions: Vec<Condition>) -> Vec<Vec<Condition>> {
    let mut arguments: Vec<u8> = conditions.iter().map(|condition| condition.argument).collect();
    arguments.sort_unstable();
    match arguments.windows(2).any(|pair| pair[0] == pair[1]) {
        true => conditions.into_iter().map(|condition| vec![condition]).collect(),
        false => vec![conditions],
    }
}

/// The number of a call; `None` if only other architectures have it.
fn number(name: &str) -> Parsed<Option<u32>> {
    if let Ok(call) = name.parse::<x86_64::Sysno>() {
        return Ok(Some(call as u32));
    }
    let of_others = [
        name.parse::<x86::Sysno>().is_ok(),
        name.parse::<arm::Sysno>().is_ok(),
        name.parse::<mips::Sysno>().is_ok(),
        name.parse::<powerpc64::Sysno>().is_ok(),
        name.parse::<s390x::Sysno>().is_ok(),
    ];
    match of_others.contains(&true) {
        true => Ok(None),
        false => Err(format!("unknown system call {name:?}")),
    }
}

fn action(name: &str, errno: Option<u16>) -> Parsed<Action> {
    if errno.is_some_and(|errno| errno > 4095) {
        return Err(format!("errno {} is past the last, 4095", errno.unwrap_or_default()));
    }
    Ok(match name {
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_ERRNO" => Action::Errno(errno.unwrap_or(EPERM)),
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_TRACE" => Action::Trace(errno.unwrap_or(ENOSYS)),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_NOTIFY" => Action::Notify,
        other => return Err(format!("unknown action {other:?}")),
    })
}

fn condition(argument: &Argument) -> Parsed<Condition> {
    let Argument { index, value, value_two, op } = argument;
    if *index > 5 {
        return Err(format!("argument {index} is past the last, 5"));
    }
    let (comparison, mask, value) = match op.as_str() {
        "SCMP_CMP_EQ" => (Comparison::Equal, u64::MAX, *value),
        "SCMP_CMP_NE" => (Comparison::NotEqual, u64::MAX, *value),
        "SCMP_CMP_LT" => (Comparison::Less, u64::MAX, *value),
        "SCMP_CMP_LE" => (Comparison::LessOrEqual, u64::MAX, *value),
        "SCMP_CMP_GT" => (Comparison::Greater, u64::MAX, *value),
        "SCMP_CMP_GE" => (Comparison::GreaterOrEqual, u64::MAX, *value),
        "SCMP_CMP_MASKED_EQ" => (Comparison::Equal, *value, *value_two),
        other => return Err(format!("unknown comparison {other:?}")),
    };
    Ok(Condition { argument: *index, mask, comparison, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_becomes_rules() {
        let text = r#"{ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [
                { "names": ["read", "_llseek", "syscall"], "action": "SCMP_ACT_ALLOW" },
                { "names": ["clone"], "action": "SCMP_ACT_ALLOW",
                  "args": [{ "index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }] }] }"#;
        let filter = parse(text).expect("it is right");
        assert_eq!(filter.otherwise, Action::Errno(38));
        assert_eq!(filter.calls.keys().copied().collect::<Vec<_>>(), [0, 56]);
        assert_eq!(filter.calls[&56][0].conditions[0].mask, 0x7e02_0000);
        assert_eq!(filter.unknown_from, 57);
    }

    #[test]
    fn two_conditions_on_one_argument_are_alternatives() {
        let with = |args: &str| {
            let text = format!(
                r#"{{ "defaultAction": "SCMP_ACT_ERRNO",
                    "syscalls": [{{ "names": ["dup3"], "action": "SCMP_ACT_ALLOW", "args": [{args}] }}] }}"#
            );
            parse(&text).expect("it is right").calls.remove(&292).expect("it is there")
        };
        let equal = |index: u8, value: u64| format!(r#"{{ "index": {index}, "value": {value}, "op": "SCMP_CMP_EQ" }}"#);
        let both = with(&[equal(0, 1), equal(1, 2)].join(","));
        assert_eq!(both.iter().map(|rule| rule.conditions.len()).collect::<Vec<_>>(), [2]);
        let either = with(&[equal(0, 1), equal(1, 2), equal(0, 3)].join(","));
        assert_eq!(either.iter().map(|rule| rule.conditions[0].value).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |rest: &str| format!(r#"{{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rest}] }}"#);
        for (text, part) in [
            (with(r#"{ "names": ["opne"], "action": "SCMP_ACT_ALLOW" }"#), "unknown system call \"opne\""),
            (with(r#"{ "names": ["open"], "action": "SCMP_ACT_DENY" }"#), "unknown action \"SCMP_ACT_DENY\""),
            (with(r#"{ "names": ["open"], "action": "SCMP_ACT_NOTIFY" }"#), "listener"),
            (with(r#"{ "names": ["open"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4096 }"#), "errno 4096"),
            (
                with(
                    r#"{ "names": ["open"], "action": "SCMP_ACT_ERRNO", "args": [{ "index": 6, "value": 1, "op": "SCMP_CMP_EQ" }] }"#,
                ),
                "argument 6",
            ),
            (with(r#"{ "names": ["open"], "action": "SCMP_ACT_ALLOW", "includes": {} }"#), "unknown field `includes`"),
            (
                r#"{ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_ARM"] }"#.to_owned(),
                "SCMP_ARCH_X86_64",
            ),
            ("[".to_owned(), "line 1"),
        ] {
            let cause = parse(&text).expect_err("it is wrong");
            assert!(cause.contains(part), "{cause}");
        }
    }
}
