//! Control groups: how they are laid out, and which controllers the caller can use.

use super::namespaces::said;
use super::{Found, advice, as_root, finding};
use crate::doctor::facts::{Container, Controller, Facts, Layout, Try};
use crate::doctor::{Area, By, Deed, Reach, Remedy, Status};
use crate::model::remedy;

pub(super) fn judge(found: &mut Found<'_>) {
    let facts = found.facts;
    let layout = match facts.layout {
        Layout::None => "none mounted",
        Layout::Legacy => "version 1",
        Layout::Hybrid => "versions 1 and 2",
        Layout::Unified => "version 2",
    };
    // What the plan allows and the kernel refuses is told with its answer.
    let tried = |one: &Controller| match facts.of(Try::Group(one.name)) {
        outcome if one.refused.is_none() && outcome.fails() => {
            Some((format!("a group can't be made: {}", said(outcome)), String::new()))
        }
        _ => one.refused.clone(),
    };
    let usable: Vec<&str> = facts.controllers.iter().filter(|one| tried(one).is_none()).map(|one| one.option).collect();
    if !usable.is_empty() {
        found.works("control-groups", Area::Groups, format!("control groups: {}", usable.join(", ")), layout);
    }
    // What has one way out is one finding, with all its causes.
    let mut told: Vec<(String, Vec<String>, Vec<&Controller>)> = Vec::new();
    for one in &facts.controllers {
        let Some((cause, hint)) = tried(one) else { continue };
        let place = told.iter().position(|(other, ..)| *other == hint).unwrap_or_else(|| {
            told.push((hint, Vec::new(), Vec::new()));
            told.len() - 1
        });
        let (_, causes, those) = &mut told[place];
        those.push(one);
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    for (hint, causes, those) in told {
        let options: Vec<&str> = those.iter().map(|one| one.option).collect();
        let names: Vec<&str> = those.iter().map(|one| one.name).collect();
        let title = format!("the caller can't limit by control groups: {}", names.join(", "));
        let mut fault = finding("controllers", Area::Groups, Status::Lost, title);
        fault.value = format!("control groups: {layout}");
        fault.cause = causes.join("; ");
        fault.lost = format!("holm run {}", options.join(", "));
        fault.remedies = remedies(facts, hint);
        found.add(fault);
    }
}

fn remedies(facts: &Facts, hint: String) -> Vec<Remedy> {
    let is_root = facts.caller.is_root_of_machine();
    // These run what a machine does, systemd among it.
    let whole = matches!(facts.container, None | Some(Container::Lxc | Container::Nspawn));
    match facts.layout {
        // What is mounted in a container nobody outside need follow, and root of it need not be let.
        _ if !whole => {
            let around = "limit the container around instead, or show it control groups of its own, writable";
            vec![advice(around, By::Outside, Reach::Container, "")]
        }
        Layout::None => vec![as_root(remedy::MOUNT_GROUPS, Reach::Machine, "")],
        Layout::Legacy | Layout::Hybrid if !is_root => vec![
            advice("run holm as root", By::Caller, Reach::Run, "holm runs with root's rights"),
            advice(
                format!("boot with {}: version 2 can be handed to users, version 1 can't", remedy::UNIFIED),
                By::Root,
                Reach::Machine,
                "",
            ),
        ],
        Layout::Unified if !is_root => {
            let file = "/etc/systemd/system/user@.service.d/delegate.conf".to_owned();
            let text = "[Service]\nDelegate=cpu io memory pids\n".to_owned();
            let scope = Remedy {
                deeds: vec![Deed::Command(remedy::DELEGATE.to_owned())],
                by: By::Caller,
                reach: Reach::Run,
                weakens: "",
            };
            let delegate = Remedy {
                deeds: vec![Deed::File(file, text), Deed::Command("systemctl daemon-reload".to_owned())],
                by: By::Root,
                reach: Reach::Machine,
                weakens: "each user may divide what it is given among its own groups",
            };
            vec![scope, delegate]
        }
        _ if hint.is_empty() => Vec::new(),
        _ => vec![advice(hint, By::Root, Reach::Machine, "")],
    }
}
