//! The kernel's version, and what newer ones have.

use super::{EVERYTHING, Found, advice, finding};
use crate::doctor::facts::Try;
use crate::doctor::needs::{INTERFACES, Use};
use crate::doctor::{Area, By, Reach, Remedy, Status};

/// The oldest that holm works with.
const OLDEST: (u32, u32) = (5, 14);
/// From here on Landlock keeps signals and abstract sockets apart.
const SCOPES: u32 = 6;

pub(super) fn judge(found: &mut Found<'_>) {
    let facts = found.facts;
    if facts.version() < OLDEST {
        let mut fault = finding("kernel", Area::Kernel, Status::Lost, "the kernel is too old");
        fault.value = format!("Linux {}", facts.kernel);
        fault.cause =
            "holm needs Linux 5.14 or newer: clone3, mount_setattr, close_range, and what they brought".to_owned();
        fault.lost = EVERYTHING.to_owned();
        fault.remedies = vec![newer(OLDEST)];
        found.block(fault);
    } else {
        found.works("kernel", Area::Kernel, format!("kernel: Linux {}", facts.kernel), "");
    }
    let mut there = Vec::new();
    for need in INTERFACES {
        let outcome = facts.of(Try::Interface(need.name));
        let (major, minor) = need.since;
        match need.used {
            _ if outcome.works() => there.push(need.name),
            Use::Instead(instead) if outcome.fails() && !facts.kills_sight().contains(&need.name) => {
                let cause = format!("it came with Linux {major}.{minor}; {instead}");
                found.absent(need.name, Area::Kernel, format!("{} is missing", need.name), cause);
            }
            _ => {}
        }
    }
    if !there.is_empty() {
        found.works("interfaces", Area::Kernel, format!("interfaces: {}", there.join(", ")), "");
    }
    // What kills is told with the calls.
    if !facts.kills_for("landlock_create_ruleset") {
        landlock(found);
    }
}

fn landlock(found: &mut Found<'_>) {
    let version = found.facts.security.landlock;
    if version >= SCOPES {
        return found.works("landlock", Area::Security, format!("Landlock: version {version}"), "");
    }
    if version >= 2 {
        let cause = format!("it has version {version} of {SCOPES} (Linux 6.12); namespaces do it alone");
        return found.absent(
            "landlock",
            Area::Security,
            "Landlock can't keep signals and abstract sockets apart",
            cause,
        );
    }
    let mut fault = finding("landlock", Area::Security, Status::Lost, "Landlock can't be a second wall for files");
    fault.value = format!("version {version}");
    fault.cause =
        "the kernel has no Landlock of version 2 (Linux 5.19), it is switched off, or a filter refuses it".to_owned();
    fault.lost = "nothing of what runs; holm run then has mounts as its only wall for files".to_owned();
    let boot = advice(
        "boot with lsm= and landlock first in its list: lsm=landlock,...; the present list is in /sys/kernel/security/lsm",
        By::Root,
        Reach::Machine,
        "",
    );
    fault.remedies = vec![boot];
    found.add(fault);
}

/// Another kernel.
pub(super) fn newer((major, minor): (u32, u32)) -> Remedy {
    advice(format!("boot Linux {major}.{minor} or newer"), By::Root, Reach::Machine, "")
}
