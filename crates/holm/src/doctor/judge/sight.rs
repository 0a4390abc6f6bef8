//! What the caller can see of others, for `holm ls` and its neighbours; devices and programs that others use.

use super::{Found, as_root, finding, sysctl};
use crate::doctor::facts::Try;
use crate::doctor::{Area, Reach, Status};

const LOST: &str = "holm ls, ps, tree, matrix, top, why, caps, diagram; holm enter";

pub(super) fn judge(found: &mut Found<'_>) {
    let facts = found.facts;
    let sight = &facts.sight;
    if let Some(message) = &sight.unreadable {
        let mut fault = finding("proc-seen", Area::Sight, Status::Lost, "no processes can be seen");
        fault.value.clone_from(message);
        fault.cause = "/proc isn't mounted, or shows another pid namespace".to_owned();
        fault.lost = LOST.to_owned();
        fault.remedies = vec![as_root("mount -t proc proc /proc", Reach::Machine, "")];
        return found.add(fault);
    }
    let killing = facts.kills_sight();
    if !killing.is_empty() {
        let mut fault = finding("sight", Area::Sight, Status::Lost, "processes can't be looked at");
        fault.value = format!("killed by a filter: {}", killing.join(", "));
        fault.cause = "a filter of system calls ends whoever asks the kernel about a process so".to_owned();
        fault.lost = LOST.to_owned();
        fault.remedies = super::calls::unfilter(facts);
        found.add(fault);
        return devices(found);
    }
    if sight.hidden {
        let mut fault = finding("hidepid", Area::Sight, Status::Lost, "processes of others are hidden");
        fault.value = "/proc is mounted with hidepid".to_owned();
        fault.cause = "it shows the caller's own processes alone (proc(5))".to_owned();
        fault.lost = "holm ls, tree, matrix, top, why, diagram: what others have".to_owned();
        fault.remedies = vec![as_root(
            "mount -o remount,hidepid=0 /proc",
            Reach::Machine,
            "users see each other's processes and arguments",
        )];
        found.add(fault);
    }
    if sight.ptrace_scope.is_some_and(|scope| scope >= 2) && !(facts.caller.privileged && sight.ptrace_scope == Some(2))
    {
        let mut fault = finding("ptrace", Area::Sight, Status::Lost, "memory of one's own processes can't be read");
        fault.value = format!("kernel.yama.ptrace_scope = {}", sight.ptrace_scope.unwrap_or_default());
        fault.cause = "Yama keeps it for root (2), or from everybody (3)".to_owned();
        fault.lost = "holm run --log-denied, holm learn: paths of refused calls".to_owned();
        fault.remedies =
            vec![sysctl("sysctl -w kernel.yama.ptrace_scope=1", "a program may trace those that it starts")];
        found.add(fault);
    }
    let title = format!("sight: {} processes, of which {} are closed to the caller", sight.processes, sight.closed);
    found.works("sight", Area::Sight, title, "");
    devices(found);
}

/// What holm doesn't need, and programs in sandboxes may.
fn devices(found: &mut Found<'_>) {
    let facts = found.facts;
    for (device, check, instead) in [
        ("/dev/fuse", "fuse", "a file system of a user's can't be mounted; holm mounts none"),
        ("/dev/net/tun", "tun", "a network of a user's, as by pasta, can't be made; holm makes none"),
    ] {
        let outcome = facts.of(Try::Device(device));
        if outcome.works() {
            found.works(check, Area::Sight, format!("{device} can be opened"), "");
        } else if outcome.fails() {
            let cause = format!("{}: {instead}", super::namespaces::said(outcome));
            found.absent(check, Area::Sight, format!("{device} can't be opened"), cause);
        }
    }
    for (program, there) in &facts.programs {
        match there {
            true => found.works("programs", Area::Sight, format!("{program} is installed"), ""),
            false => found.absent("programs", Area::Sight, format!("{program} is not installed"), "holm does without"),
        }
    }
}
