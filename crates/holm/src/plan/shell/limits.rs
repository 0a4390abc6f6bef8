//! Limits by hand: all of them on the script itself, before anything else; what it starts inherits them.

use super::text::{Text, source};
use crate::model::limit::Resource;
use crate::plan::limits::Limit;
/// What differs from the plan; empty for nothing.
pub(super) fn difference(limit: &Limit) -> &'static str {
    match limit {
        Limit::Make { .. } => "it stays; remove it afterwards by rmdir",
        Limit::StandAside { .. } => "that stays, too",
        Limit::AllCpus | Limit::Scheduler(_) | Limit::IoPriority(_) | Limit::Resctrl { .. } => {
            "it is not done: this script is for what holm run can be asked for"
        }
        Limit::Devices { .. } => "no tool of the base system does it; the devices of the group above can be used",
        Limit::Timeout(_) => "there is none: start this script by timeout(1)",
        Limit::Resource(_) | Limit::Allow(_) => "it holds for this script from here on, not for the program alone",
        _ => "",
    }
}

/// The commands of one step; `made` counts the groups made so far.
pub(super) fn commands(limit: &Limit, made: &mut usize, text: &mut Text) {
    match limit {
        Limit::StandAside { directory } => {
            let below = source(&directory.join("holm-by-hand-aside"));
            text.words(&[b"mkdir -p", &below]);
            text.words(&[b"echo $$ >", &below_file(&below, "cgroup.procs")]);
        }
        Limit::Enable { directory, controllers } => {
            let signed: Vec<String> = controllers.iter().map(|name| format!("+{name}")).collect();
            let file = source(&directory.join("cgroup.subtree_control"));
            text.words(&[b"echo", signed.join(" ").as_bytes(), b">", &file]);
        }
        Limit::Make { directory, .. } => {
            text.words(&[&[format!("group{made}=").as_bytes(), &source(directory)].concat()]);
            text.line(&format!("group{made}=$group{made}/holm-by-hand-$$\nmkdir \"$group{made}\""));
            *made += 1;
        }
        Limit::MakeNamed { directory, .. } => {
            text.words(&[&[format!("group{made}=").as_bytes(), &source(directory)].concat()]);
            text.line(&format!("mkdir -p \"$group{made}\""));
            *made += 1;
        }
        Limit::Write { group, files, .. } => {
            for (name, value) in files {
                text.line(&format!("echo '{value}' >\"$group{group}/{name}\""));
            }
        }
        Limit::Enter => (0..*made).for_each(|group| text.line(&format!("echo $$ >\"$group{group}/cgroup.procs\""))),
        Limit::Nice(nice) => text.line(&format!("renice -n {nice} -p $$ >/dev/null")),
        Limit::Affinity(cpus) => text.line(&format!("taskset -pc {cpus} $$ >/dev/null")),
        Limit::AllCpus | Limit::Scheduler(_) | Limit::IoPriority(_) | Limit::Resctrl { .. } => {}
        Limit::OomScore(score) => text.line(&format!("echo {score} >/proc/$$/oom_score_adj")),
        Limit::Allow(limit) => text.line(&prlimit(limit.resource, "", limit.hard)),
        Limit::Resource(limit) => text.line(&prlimit(limit.resource, &amount(limit.soft), limit.hard)),
        Limit::View | Limit::Lock | Limit::Timeout(_) | Limit::Devices { .. } => {}
    }
}

fn below_file(directory: &[u8], name: &str) -> Vec<u8> {
    [directory, b"/", name.as_bytes()].concat()
}

fn amount(value: Option<u64>) -> String {
    value.map_or("unlimited".to_owned(), |number| number.to_string())
}

fn prlimit(resource: Resource, soft: &str, hard: Option<u64>) -> String {
    format!("prlimit --pid $$ --{}={soft}:{}", resource.name(), amount(hard))
}
