//! Ids: the caller's own, its ranges, and who maps them.

use super::{Found, advice, as_root, finding, outside};
use crate::doctor::facts::{Container, Facts, Helper, Sandbox, Try};
use crate::doctor::{Area, By, Deed, Finding, Reach, Remedy, Status};
use crate::model::remedy;

/// As many ids as images and packages count with.
const WHOLE: u64 = 65_536;
const LOST: &str =
    "holm run --map auto; roots with files of several owners: holm root build, import and pull keep the caller's alone";

pub(super) fn judge(found: &mut Found<'_>) {
    let facts = found.facts;
    // Without a /proc there is no file to write to, which is told by itself.
    if facts.of(Try::OwnMap).fails() && !found.blocked && facts.sight.unreadable.is_none() {
        let mut fault =
            finding("own-ids", Area::Ids, Status::Lost, "the caller's ids can't be mapped in a new user namespace");
        fault.value = super::namespaces::said(facts.of(Try::OwnMap));
        fault.cause = "/proc/self/uid_map can't be written: a security module forbids it, or /proc is not the caller's"
            .to_owned();
        fault.lost = "holm run as an ordinary user".to_owned();
        fault.remedies = super::mounts::uncover(facts);
        found.add(fault);
    }
    if facts.caller.privileged {
        return privileged(found);
    }
    if !facts.ids.root_mapped {
        return found.add(no_root(facts));
    }
    let before = found.findings.len();
    unread(found);
    if facts.ids.users.unread.is_none() && facts.ids.groups.unread.is_none() {
        ranges(found);
    }
    helpers(found);
    if found.findings.len() > before {
        return;
    }
    if facts.starts(&Sandbox::Ranges) {
        let count = facts.ids.users.count();
        found.works("ranges", Area::Ids, format!("ids: {count} in /etc/subuid, mapped by newuidmap"), "");
    } else if let Some((seen, cause)) = facts.started(&Sandbox::Ranges).failure() {
        let mut fault = finding("ranges", Area::Ids, Status::Lost, "ranges of ids can't be mapped");
        (fault.value, fault.cause) = (seen, cause);
        fault.lost = LOST.to_owned();
        found.add(fault);
    }
}

/// Root gives each sandbox ids that are nobody's.
fn privileged(found: &mut Found<'_>) {
    let facts = found.facts;
    unread(found);
    if facts.ids.free {
        return found.works(
            "free-ids",
            Area::Ids,
            "ids: each sandbox of root gets 65536 that are nobody's outside",
            "",
        );
    }
    if facts.ids.users.unread.is_some() || facts.ids.groups.unread.is_some() {
        return;
    }
    let mut fault = finding("free-ids", Area::Ids, Status::Lost, "no ids are free for sandboxes of root");
    fault.value =
        "65536 ids that nobody has are neither mapped here nor left by /etc/subuid and /etc/subgid".to_owned();
    fault.cause = match facts.caller.in_first_user_namespace {
        true => "/etc/subuid or /etc/subgid give all ids away".to_owned(),
        false => "this user namespace has too few ids (/proc/self/uid_map)".to_owned(),
    };
    fault.lost =
        "as root: ids of its own for each sandbox; root inside is then root out here, without capabilities".to_owned();
    fault.remedies = vec![advice(
        "give the container around more ids: podman run --userns=auto:size=131072, lxc.idmap, systemd-nspawn --private-users",
        By::Outside,
        Reach::Container,
        "",
    )];
    found.add(fault);
}

/// Lists of ranges that are there and can't be read.
fn unread(found: &mut Found<'_>) {
    let ids = &found.facts.ids;
    let files = [("/etc/subuid", &ids.users), ("/etc/subgid", &ids.groups)];
    let closed: Vec<_> = files.into_iter().filter_map(|(file, given)| Some((file, given.unread?))).collect();
    for (file, errno) in closed {
        let mut fault = finding("unread-ranges", Area::Ids, Status::Lost, format!("{file} can't be read"));
        fault.value = crate::model::text::cause(&errno.into());
        fault.cause = "it tells which ids are whose; without it holm takes none".to_owned();
        fault.lost = LOST.to_owned();
        fault.remedies = vec![as_root(format!("chmod 644 {file}"), Reach::Machine, "")];
        found.add(fault);
    }
}

/// Ranges that are missing, too small, or somebody else's, too.
fn ranges(found: &mut Found<'_>) {
    let facts = found.facts;
    let ids = &facts.ids;
    let user = facts.caller.name.clone().unwrap_or_else(|| facts.caller.uid.to_string());
    let (users, groups) = (ids.users.count(), ids.groups.count());
    if users < WHOLE || groups < WHOLE {
        let none = users == 0 || groups == 0;
        let title = if none { "the user has no ranges of ids" } else { "the user's ranges of ids are small" };
        let mut fault = finding("ranges", Area::Ids, Status::Lost, title);
        fault.value = format!("{users} ids in /etc/subuid, {groups} in /etc/subgid");
        fault.cause = match none {
            true => format!("no line of both files begins with {user}: or {}:", facts.caller.uid),
            false => format!("images and packages count with {WHOLE}: owners above what is there can't be kept"),
        };
        fault.lost = LOST.to_owned();
        // Never ids of the system's own.
        let first = ids.users.next.max(ids.groups.next).max(100_000);
        fault.remedies = vec![as_root(remedy::ranges(first, &user), Reach::User, "")];
        found.add(fault);
    }
    let mut shared = ids.users.shared_with.clone();
    shared.extend(ids.groups.shared_with.iter().cloned());
    shared.sort();
    shared.dedup();
    if !shared.is_empty() {
        let mut fault = finding("shared-ranges", Area::Ids, Status::Lost, "others were given some of the user's ids");
        fault.value = format!("in /etc/subuid or /etc/subgid: {}", shared.join(", "));
        fault.cause = "two lines have ids in common".to_owned();
        fault.lost = "the wall between the sandboxes of these users: files of the one are the other's".to_owned();
        let text = "give each user ranges of its own in both files, then change the owners of what was stored";
        fault.remedies = vec![advice(text, By::Root, Reach::User, "")];
        found.add(fault);
    }
}

/// In a user namespace in which user 0 is nobody, no program gets its rights.
fn no_root(facts: &Facts) -> Finding {
    let mut fault = helpers_fault("ranges of ids can't be mapped in this user namespace");
    fault.value = "/proc/self/uid_map has no user 0".to_owned();
    fault.cause = "newuidmap and newgidmap are root's, and root has no id here that would give them rights".to_owned();
    let whole = match facts.container {
        Some(Container::Holm) => "run holm outside of the sandbox: --map auto there; nothing in it can hand ranges on",
        _ => "give the user namespace around a range of ids, with user 0 in it",
    };
    fault.remedies = vec![advice(whole, By::Outside, Reach::Container, "")];
    fault
}

/// newuidmap(1) and newgidmap(1): the first thing that keeps them from their rights.
fn helpers(found: &mut Found<'_>) {
    let facts = found.facts;
    let both = [("newuidmap", &facts.ids.newuidmap), ("newgidmap", &facts.ids.newgidmap)];
    let missing: Vec<&str> = both.iter().filter(|(_, helper)| helper.is_none()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        let mut fault = helpers_fault(format!("{} can't be found", missing.join(" and ")));
        fault.cause = "the package is not installed".to_owned();
        let weakens = "two more set-user-id programs, which map only what /etc/subuid lists";
        let install = |command: &str| as_root(command, Reach::Machine, weakens);
        fault.remedies = vec![install(remedy::HELPERS), install("dnf install shadow-utils")];
        return found.add(fault);
    }
    let there: Vec<&Helper> = both.iter().filter_map(|(_, helper)| helper.as_ref()).collect();
    if let Some(point) = there.iter().find_map(|helper| helper.nosuid.as_ref()) {
        let mut fault = helpers_fault(POWERLESS);
        fault.value = format!("{point} is mounted nosuid");
        fault.cause =
            "on such a file system set-user-id bits and file capabilities count for nothing (mount(8))".to_owned();
        let weakens = "set-user-id programs on that file system work";
        fault.remedies = vec![as_root(format!("mount -o remount,suid {point}"), Reach::Machine, weakens)];
        return found.add(fault);
    }
    let powerless: Vec<&Helper> = there.into_iter().filter(|helper| !helper.has_rights()).collect();
    if !powerless.is_empty() {
        return found.add(without_bits(&powerless));
    }
    if facts.security.no_new_privileges {
        let mut fault = helpers_fault(POWERLESS);
        fault.value = "NoNewPrivs: 1 in /proc/self/status".to_owned();
        fault.cause = "this process was started with no_new_privs, which can't be given back".to_owned();
        fault.remedies = privileges(facts);
        found.add(fault);
    }
}

const POWERLESS: &str = "newuidmap and newgidmap get no rights";

fn helpers_fault(title: impl Into<String>) -> Finding {
    let mut fault = finding("id-helpers", Area::Ids, Status::Lost, title);
    fault.lost = LOST.to_owned();
    fault
}

/// Helpers that are ordinary programs.
fn without_bits(helpers: &[&Helper]) -> Finding {
    let mut fault = helpers_fault(POWERLESS);
    let paths: Vec<String> = helpers.iter().map(|helper| helper.path.display().to_string()).collect();
    fault.value = format!("neither a set-user-id bit of root's nor file capabilities: {}", paths.join(", "));
    fault.cause = "copying a file, or unpacking it as a user, drops both".to_owned();
    let capability = |path: &String| {
        let needed = if path.ends_with("newuidmap") { "cap_setuid" } else { "cap_setgid" };
        Deed::Command(format!("setcap {needed}=ep {path}"))
    };
    let paths_in_a_row = paths.join(" ");
    let bits = format!("chown root {paths_in_a_row} && chmod u+s {paths_in_a_row}");
    let deeds = paths.iter().map(capability).collect();
    fault.remedies = vec![
        Remedy { deeds, by: By::Root, reach: Reach::Machine, weakens: "" },
        as_root(bits, Reach::Machine, "they then run with all of root's rights instead of one capability"),
    ];
    fault
}

/// A start that leaves execve(2) its rights.
fn privileges(facts: &Facts) -> Vec<Remedy> {
    const WEAKENS: &str = "set-user-id programs work there";
    const OPTIONS: [(Container, &str); 5] = [
        (Container::Docker, "docker run --security-opt no-new-privileges=false"),
        (Container::Podman, "podman run --security-opt no-new-privileges=false"),
        (Container::Kubernetes, "securityContext: { allowPrivilegeEscalation: true }"),
        (Container::Holm, "holm run --new-privs"),
        (Container::Other, "start holm from a shell without it: a service with NoNewPrivileges=no, or another login"),
    ];
    match facts.container {
        None => vec![Remedy {
            deeds: vec![Deed::Advice(OPTIONS[4].1.to_owned())],
            by: By::Caller,
            reach: Reach::Run,
            weakens: "",
        }],
        container => outside(container, &OPTIONS, WEAKENS),
    }
}
