//! The picture of one sandbox, as it is planned. A pure function of the wish and the plan.

use super::picture::{Area, Chip, Item, Picture, Role, Sharing, What, lines, shown};
use holm::Spec;
use holm::model::namespace::Namespace;
use holm::plan::Plan;
use holm::plan::limits::Limit;
use holm::plan::step::Act;
use holm::spec::filesystem::{Access, Operation, Source};
use holm::spec::namespaces::Choice;
use std::path::Path;

/// Draws it.
pub(crate) fn picture(spec: &Spec, plan: &Plan) -> Picture {
    let mut global = Area::new(Role::Global, "Global namespaces".to_owned());
    global.items.push(Item { text: "holm".to_owned(), what: What::Process });
    let mut set = Area::new(Role::Set, "Sandbox".to_owned());
    set.chips = Namespace::ALL.map(|kind| chip(spec, kind)).to_vec();
    let is_new = |kind: Namespace| *spec.namespaces.choice(kind) == Choice::New;
    let words: Vec<String> =
        std::iter::once(&spec.program.name).chain(&spec.program.arguments).map(crate::report::plain).collect();
    let (init, program) = if is_new(Namespace::Pid) { ("1 holm-init", "2 ") } else { ("holm-init", "") };
    set.items = vec![
        Item { text: init.to_owned(), what: What::Process },
        Item { text: shown(format!("{program}{}", words.join(" "))), what: What::Process },
    ];
    let mut root = Area::new(Role::Root, "root /".to_owned());
    for step in plan.steps() {
        let text = || crate::report::plain(step.act.to_string());
        match &step.act {
            Act::RootTmpfs | Act::RootBind { .. } | Act::RootOverlay { .. } | Act::Seal => {
                root.about.extend(lines(text()));
            }
            Act::Operate { operation, .. } if operation.mounts() => {
                root.items.push(Item { text: shown(mounted(operation)), what: What::Mount });
            }
            Act::MountProc { at, .. } => root.items.push(Item { text: shown(named(at, "proc")), what: What::Mount }),
            Act::WriteMaps { .. }
            | Act::Hostname(_)
            | Act::OffsetTime(_)
            | Act::Limit(
                Limit::Write { .. } | Limit::Nice(_) | Limit::Affinity(_) | Limit::Resource(_) | Limit::Timeout(_),
            )
            | Act::DropPrivileges { .. }
            | Act::FilterCalls { .. }
            | Act::Confine(_) => set.about.extend(lines(text())),
            _ => {}
        }
    }
    let mut mounts = Area::new(Role::Namespace(Namespace::Mount), "mount namespace".to_owned());
    mounts.below.push(root);
    set.below.push(mounts);
    if is_new(Namespace::Net) {
        let mut net = Area::new(Role::Namespace(Namespace::Net), "network namespace".to_owned());
        net.items.push(Item { text: "lo".to_owned(), what: What::Interface(0) });
        set.below.push(net);
    }
    let mut system = Area::new(Role::System, "Host system".to_owned());
    system.below = vec![global, set];
    let title = format!("Plan of holm run {}", shown(words.join(" ")));
    Picture { title, areas: vec![system], ..Picture::default() }
}

/// Where something is mounted, and what.
fn mounted(operation: &Operation) -> String {
    match operation {
        Operation::Bind { source, at, access, .. } => {
            let what = match source {
                Source::Path(path) if path == at => String::new(),
                Source::Path(path) => format!("{}, ", crate::report::plain(path)),
                Source::Descriptor(number) => format!("descriptor {number}, "),
            };
            let access = if *access == Access::ReadOnly { "read-only" } else { "writable" };
            named(at, &format!("{what}{access}"))
        }
        Operation::Tmpfs { at, .. } => named(at, "empty, in memory"),
        Operation::Dev { at } => named(at, "a small one"),
        Operation::Proc { at } => named(at, "proc"),
        other => crate::report::plain(other.to_string()),
    }
}

fn named(at: &Path, what: &str) -> String {
    format!("{}: {what}", crate::report::plain(at))
}

fn chip(spec: &Spec, kind: Namespace) -> Chip {
    let sharing = match spec.namespaces.choice(kind) {
        Choice::New => Sharing::Own,
        Choice::Share => Sharing::Host,
        Choice::Join(target, _) => Sharing::With(shown(target.to_string())),
    };
    Chip { kind, inode: None, sharing }
}
