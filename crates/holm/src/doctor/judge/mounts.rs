//! File systems that a sandbox makes, and those in which holm keeps files.

use super::namespaces::said;
use super::{EVERYTHING, Found, advice, as_root, finding, outside};
use crate::doctor::facts::{Container, Facts, Outcome, Sandbox, Spot, Started, Try};
use crate::doctor::tries::FILE_SYSTEMS;
use crate::doctor::{Area, By, Finding, Reach, Remedy, Status};
use crate::model::remedy;
use rustix::io::Errno;

pub(super) fn judge(found: &mut Found<'_>) {
    let facts = found.facts;
    let outcome = |kind| facts.of(Try::FileSystem(kind));
    for (kind, lost) in [
        ("tmpfs", EVERYTHING),
        ("sysfs", "holm run --sys ro with a network of its own"),
        ("devpts", "holm run --tty, and every program that opens terminals"),
        ("mqueue", "holm run --mqueue"),
        ("overlay", "holm run --overlay, --overlay-mount, --root bins:A,B and stored roots; holm diff and apply"),
    ] {
        match kind {
            _ if !outcome(kind).fails() => {}
            "tmpfs" => found.block(no_kind(facts, kind, lost)),
            _ => found.add(no_kind(facts, kind, lost)),
        }
    }
    if outcome("proc").fails() {
        found.block(no_proc(facts));
    }
    let there: Vec<&str> = FILE_SYSTEMS.into_iter().filter(|kind| outcome(kind).works()).collect();
    if !there.is_empty() {
        found.works("file-systems", Area::Mounts, format!("file systems: {}", there.join(", ")), "");
    }
    for sandbox in [Sandbox::Terminal, Sandbox::Queues, Sandbox::Sys, Sandbox::Overlay] {
        options(found, &sandbox);
    }
    for spot in &facts.spots {
        place(found, spot);
    }
}

/// A sandbox with an option of its own that doesn't start although the file system can be made.
fn options(found: &mut Found<'_>, sandbox: &Sandbox) {
    let (check, option, kind) = match sandbox {
        Sandbox::Terminal => ("terminals", "holm run --tty", "devpts"),
        Sandbox::Queues => ("queues", "holm run --mqueue", "mqueue"),
        Sandbox::Sys => ("sys", "holm run --sys ro", "sysfs"),
        _ => ("overlays", "holm run --overlay", "overlay"),
    };
    if let Some(failure) = found.facts.started(sandbox).failure()
        && !found.facts.of(Try::FileSystem(kind)).fails()
    {
        let mut fault = finding(check, Area::Mounts, Status::Lost, format!("{option} doesn't work"));
        (fault.value, fault.cause) = failure;
        fault.lost = option.to_owned();
        found.add(fault);
    }
}

fn no_kind(facts: &Facts, kind: &'static str, lost: &str) -> Finding {
    let mut fault = finding(kind, Area::Mounts, Status::Lost, format!("{kind} can't be mounted"));
    fault.value = said(facts.of(Try::FileSystem(kind)));
    fault.lost = lost.to_owned();
    (fault.cause, fault.remedies) = match facts.of(Try::FileSystem(kind)) {
        Outcome::Refused(Errno::NODEV) => {
            let load = as_root(format!("modprobe {kind}"), Reach::Machine, "");
            ("the kernel has no such file system, or its module isn't loaded".to_owned(), vec![load])
        }
        Outcome::Refused(Errno::PERM) if kind == "sysfs" => (
            "mount too revealing: an outer container covers parts of its /sys, or has none".to_owned(),
            show_sys(facts),
        ),
        Outcome::Refused(Errno::PERM) if kind == "overlay" => (
            "the kernel lets user namespaces have no overlays (Linux 5.11), or a security module refuses it".to_owned(),
            vec![super::kernel::newer((5, 11))],
        ),
        _ => ("the kernel, a filter or a security module refuses it".to_owned(), super::calls::unfilter(facts)),
    };
    fault
}

/// The kernel shows no more in a new /proc than what is seen in the old one.
fn no_proc(facts: &Facts) -> Finding {
    let rest = facts.any_starts();
    let mut fault = finding("proc", Area::Mounts, Status::Lost, "proc can't be mounted");
    let covered: Vec<&str> = facts.covered.iter().map(String::as_str).take(6).collect();
    let more = facts.covered.len().saturating_sub(covered.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    fault.value = match covered.is_empty() {
        true => said(facts.of(Try::FileSystem("proc"))),
        false => format!("mounted over: {}{more}", covered.join(", ")),
    };
    fault.cause =
        "mount too revealing: parts of /proc are covered here, or it isn't mounted, so the kernel shows no whole one"
            .to_owned();
    fault.lost =
        if rest { "holm run with processes of its own: without --share pid".to_owned() } else { EVERYTHING.to_owned() };
    fault.remedies = uncover(facts);
    if facts.sight.unreadable.is_some() {
        fault.remedies.insert(0, as_root("mount -t proc proc /proc", Reach::Machine, ""));
    }
    if rest {
        let share = "holm run --share pid, which needs no /proc of its own";
        fault.remedies.insert(0, advice(share, By::Caller, Reach::Run, "the program sees the processes out here"));
    }
    fault
}

/// A /proc that is whole, by whoever starts the container around.
pub(super) fn uncover(facts: &Facts) -> Vec<Remedy> {
    const WEAKENS: &str =
        "programs in the container see, and as root may change, what /proc and /sys tell of the machine";
    const OPTIONS: [(Container, &str); 6] = [
        (Container::Docker, "docker run --security-opt systempaths=unconfined"),
        (Container::Podman, "podman run --security-opt unmask=ALL"),
        (Container::Kubernetes, "securityContext: { procMount: Unmasked }, in a pod with hostUsers: false"),
        (Container::Lxc, "lxc.mount.auto = proc:rw sys:rw; for Incus: incus config set NAME security.nesting=true"),
        (Container::Holm, "holm run --allow-userns --seccomp none --proc full"),
        (Container::Other, "whoever starts the container has to leave /proc uncovered"),
    ];
    debug_assert!(OPTIONS[0].1.ends_with(remedy::DOCKER_PROC));
    outside(facts.container, &OPTIONS, WEAKENS)
}

/// A /sys that is whole.
fn show_sys(facts: &Facts) -> Vec<Remedy> {
    match facts.container {
        Some(Container::Holm) => {
            vec![advice("holm run --sys ro around", By::Outside, Reach::Container, "/sys tells about the machine")]
        }
        _ => uncover(facts),
    }
}

/// A place where files are kept.
fn place(found: &mut Found<'_>, spot: &Spot) {
    let (name, directory) = (spot.name, spot.directory.display());
    if !spot.writable {
        let mut fault = finding("place", Area::Mounts, Status::Lost, format!("{name} can't be written"));
        fault.value = format!("{directory} ({})", spot.file_system);
        fault.cause = "it is read-only, belongs to somebody else, or its file system doesn't answer".to_owned();
        fault.lost = "what holm keeps there: stored roots, changes under names".to_owned();
        fault.remedies = vec![elsewhere()];
        return found.add(fault);
    }
    let upper = found.facts.started(&Sandbox::Upper(spot.directory.clone()));
    let bind = found.facts.started(&Sandbox::Bind(spot.directory.clone()));
    if let Some((message, hint)) = upper.failure() {
        let mut fault = finding("upper", Area::Mounts, Status::Lost, format!("{name} can't hold changes of overlays"));
        fault.value = format!("{directory} ({}): {message}", spot.file_system);
        fault.cause = match spot.file_system.as_str() {
            "overlay" | "nfs" | "fuse" | "vfat" | "cifs" | "9p" => {
                format!("overlayfs takes no upper directory on {}", spot.file_system)
            }
            _ => hint,
        };
        fault.lost = format!("holm run --overlay=DIR and --overlay-mount with directories there{}", kept(spot));
        fault.remedies = vec![elsewhere()];
        found.add(fault);
    }
    if let Some((message, hint)) = bind.failure() {
        let mut fault =
            finding("idmapped", Area::Mounts, Status::Lost, format!("{name} can't be bound with its owners"));
        fault.value = format!("{directory} ({}): {message}", spot.file_system);
        fault.cause = hint;
        fault.lost = "as root: holm run --bind-rw of what is there".to_owned();
        let host = "holm run --userns host, which maps the caller's own id";
        fault.remedies =
            vec![advice(host, By::Caller, Reach::Run, "root inside is root outside, without capabilities")];
        found.add(fault);
    }
    if *upper == Started::Untried && found.facts.any_starts() {
        let cause = format!("{directory}: no directory could be made there that nobody else can change");
        found.absent("place", Area::Mounts, format!("{name} was not tried"), cause);
    }
    if matches!((upper, bind), (Started::Yes, Started::Yes | Started::Untried)) {
        let idmapped = if *bind == Started::Yes { ", idmapped" } else { "" };
        found.works(
            "place",
            Area::Mounts,
            format!("{name}: overlays{idmapped}"),
            format!("{directory} ({})", spot.file_system),
        );
    }
}

fn kept(spot: &Spot) -> &'static str {
    if spot.name == "the store" { ", --overlay=NAME, stored roots that are changed" } else { "" }
}

fn elsewhere() -> Remedy {
    let text =
        "name a directory on ext4, xfs, btrfs or tmpfs: HOLM_STORE=DIR for the store, DIR itself for --overlay=DIR";
    advice(text, By::Caller, Reach::User, "")
}
