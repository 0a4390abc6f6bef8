//! What is weaker than in the default sandbox. Pure, as all of planning.

use super::{identity, policy};
use crate::host::Host;
use crate::model::landlock::{Rules, Writes as Files};
use crate::model::limit::{Resource, ResourceLimit};
use crate::model::namespace::Namespace;
use crate::spec::filesystem::{Access, Operation, Writes};
use crate::spec::identity::Groups;
use crate::spec::life::Base;
use crate::spec::namespaces::Choice;
use crate::spec::origins::Wish;
use crate::spec::policy::{Calls, Nesting, NewPrivileges, ProcView, SysView};
use crate::spec::{Spec, Unsaid};

/// One promise of the default sandbox that doesn't hold, or holds less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weaker {
    /// What the program can do, or what protects less.
    pub message: String,
    /// By which wish; empty if the machine is the reason.
    pub origin: String,
}

pub(super) fn weaker(spec: &Spec, host: &Host) -> Vec<Weaker> {
    let mut found = Vec::new();
    let mut add = |message: String, origin: &str| found.push(Weaker { message, origin: origin.to_owned() });
    let from = |wish| spec.origins.of(wish);
    for kind in Namespace::ALL.into_iter().filter(|kind| *kind != Namespace::Time) {
        match spec.namespaces.choice(kind) {
            Choice::New => {}
            Choice::Share => add(format!("the {kind} namespace is the caller's"), from(Wish::Share(kind))),
            Choice::Join(_, origin) => add(format!("the {kind} namespace belongs to others, too"), origin),
        }
    }
    match &spec.writes {
        Writes::Through => add("what the program writes changes the root itself".to_owned(), from(Wish::Writes)),
        Writes::Refused | Writes::Temporary | Writes::Kept(_) => {}
    }
    for entry in &spec.filesystem {
        if let Operation::Bind { at, access, .. } = &entry.operation {
            let at = at.display();
            match access {
                Access::ReadOnly => {}
                Access::ReadWrite => add(format!("what the program writes to {at} reaches the host"), &entry.origin),
                Access::Devices => add(format!("{at} is writable, and devices in it work"), &entry.origin),
            }
        }
    }
    from_policy(spec, &mut add);
    if spec.environment.base == Base::Caller {
        add("the program has the caller's whole environment".to_owned(), from(Wish::EnvironmentBase));
    }
    if !spec.descriptors.is_empty() {
        add(format!("the program has the caller's descriptors {:?}", spec.descriptors), from(Wish::Descriptors));
    }
    from_machine(spec, host, &mut add);
    found
}

fn from_policy(spec: &Spec, add: &mut impl FnMut(String, &str)) {
    let (wish, from) = (&spec.policy, |wish| spec.origins.of(wish));
    match &wish.calls {
        Calls::Default | Calls::Strict => {}
        Calls::All => add("the program can use every system call".to_owned(), from(Wish::Calls)),
        Calls::Filter(_) => add("system calls are those of another filter".to_owned(), from(Wish::Calls)),
    }
    for capability in &wish.capabilities {
        let more = match *capability {
            crate::model::capability::Capability::SYS_ADMIN => ", and can make read-only mounts writable again",
            _ => "",
        };
        add(format!("the program has {capability} over the sandbox's namespaces{more}"), from(Wish::Capabilities));
    }
    if wish.nesting == Nesting::Allowed {
        let message = "the program can make user namespaces, have every capability in them, and mount";
        add(message.to_owned(), from(Wish::Nesting));
    }
    if wish.new_privileges == NewPrivileges::Allowed {
        add("set-user-id programs and file capabilities work".to_owned(), from(Wish::NewPrivileges));
    }
    if wish.proc == ProcView::Full {
        add("/proc tells about the machine".to_owned(), from(Wish::Proc));
    }
    let leaves_core = |limit: &ResourceLimit| limit.resource == Resource::CORE && limit.hard != Some(0);
    if let Some(place) = spec.limits.resources.iter().position(leaves_core) {
        add("a program that crashes may leave its memory on the host".to_owned(), from(Wish::Resource(place)));
    }
    if wish.sys == SysView::ReadOnly {
        add("/sys tells about the machine".to_owned(), from(Wish::Sys));
    }
}

/// What the machine or the caller's rights don't give.
fn from_machine(spec: &Spec, host: &Host, add: &mut impl FnMut(String, &str)) {
    if host.groups && !identity::can_drop_groups(spec, host) {
        let message = "the caller's supplementary groups stay: without rights they can't be dropped; --map auto can";
        add(message.to_owned(), "");
    } else if host.groups && spec.identity.groups == Groups::Callers {
        add(
            "the caller's supplementary groups stay, with the rights that they give".to_owned(),
            spec.origins.of(Wish::Groups),
        );
    }
    if identity::reaches_root(spec, host) {
        add("a user inside is root outside: what is writable is so with root's rights".to_owned(), "");
    }
    if let Some(entry) = spec.entry.as_ref().filter(|entry| entry.filtered) {
        let message = "the filter of system calls in there can't be seen from outside: holm's own is used instead";
        add(message.to_owned(), &entry.origin);
    }
    if spec.unsaid == Unsaid::Nothing {
        return add("there is no second wall, by Landlock".to_owned(), "");
    }
    let best = Rules::new(6, Files::Listed);
    let here = policy::rules(spec, host);
    if here.scopes != best.scopes && spec.entry.is_none() {
        add("Landlock can't keep signals and abstract sockets apart on this kernel; namespaces do".to_owned(), "");
    }
    if host.landlock < 2 {
        add("Landlock can't be a second wall for files on this kernel; mounts are the first".to_owned(), "");
    }
}
