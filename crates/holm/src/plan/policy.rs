//! Steps for the policy: what is given up, and what the kernel is told to refuse.
//!
//! Landlock and the filter come last, but where execve may give rights: then the process has no no_new_privs, and they
//! need the capabilities that it is about to drop (landlock(7), seccomp(2)). A process whose every set of capabilities is said
//! keeps one of them for the filter, and gives that up behind it: a filter that was written for a program needs to allow little
//! of what set-up takes.

use super::push;
use super::step::{Act, Actor, CallFilter, Step};
use crate::host::Host;
use crate::model::capability::Capability;
use crate::model::label::Module;
use crate::model::landlock::{ABSTRACT_SOCKETS, Rules, SIGNAL, Writes as Files};
use crate::model::limit::Resource;
use crate::model::namespace::Namespace;
use crate::model::seccomp::policy::{Opening, Policy};
use crate::model::seccomp::{ARCHITECTURE, Action, Call, Filter, Instruction, TooLong, answer};
use crate::spec::filesystem::Writes;
use crate::spec::life::Lifetime;
use crate::spec::namespaces::Choice;
use crate::spec::origins::Wish;
use crate::spec::policy::{Calls, Denials, Keyring, Nesting, NewPrivileges};
use crate::spec::{Spec, Unsaid};
use syscalls::x86_64::Sysno;

/// What belongs to the caller, and rights.
pub(super) fn give_up(spec: &Spec, host: &Host, steps: &mut Vec<Step>) {
    let policy = &spec.policy;
    if rules(spec, host).files != 0 && *spec.namespaces.choice(Namespace::Ipc) == Choice::New {
        let why = "they are the ipc namespace's own; mq_open(3) reaches them by no path that a rule covers";
        push(steps, Actor::Child, Act::AdmitQueues, why, "");
    }
    let label = spec.policy.labels.iter().find(|label| label.module == Module::Selinux);
    if let Some(label) = label.filter(|_| policy.keyring == Keyring::New) {
        let why = "the session keyring that is made next is the program's";
        let origin = spec.origins.of(Wish::Label(label.module));
        push(steps, Actor::Child, Act::LabelKeys(label.clone()), why, origin);
    }
    if policy.keyring == Keyring::New {
        let why = "keys of the caller's session are not the program's (keyrings(7))";
        push(steps, Actor::Child, Act::JoinKeyring, why, "");
    }
    let says_cores = spec.limits.resources.iter().any(|limit| limit.resource == Resource::CORE);
    if !says_cores && spec.unsaid == Unsaid::Safe {
        let why = "a core file holds all of a program's memory, and the host writes it";
        push(steps, Actor::Child, Act::RefuseCores, why, "");
    }
    if restricts_early(spec) {
        restrict(spec, host, steps);
    }
    if let Some(mut sets) = policy.sets {
        let why = "what is in no set, no program inside can use";
        if keeps_one(spec) {
            sets.permitted |= Capability::SYS_ADMIN.bit();
        }
        let act = Act::SetCapabilities { sets, new: policy.new_privileges };
        return push(steps, Actor::Child, act, why, spec.origins.of(Wish::Capabilities));
    }
    let why = match policy.new_privileges {
        NewPrivileges::Refused => "no_new_privs, capability sets, locked securebits: no program inside can gain any",
        NewPrivileges::Allowed => "set-user-id programs and file capabilities may give some back",
    };
    let origin = if policy.capabilities.is_empty() { "" } else { spec.origins.of(Wish::Capabilities) };
    let act = Act::DropPrivileges { kept: policy.capabilities.clone(), new: policy.new_privileges };
    push(steps, Actor::Child, act, why, origin);
}

/// The program's labels: by the init and no sooner, since they hold from the next execve on.
pub(super) fn label(spec: &Spec, steps: &mut Vec<Step>) {
    for label in &spec.policy.labels {
        let why = "from its first instruction, and not the init, which the module knows nothing of";
        let origin = spec.origins.of(Wish::Label(label.module));
        push(steps, Actor::Child, Act::Label(label.clone()), why, origin);
    }
}

/// The restrictions, where they can be last.
pub(super) fn restrict_last(spec: &Spec, host: &Host, steps: &mut Vec<Step>) {
    if !restricts_early(spec) {
        restrict(spec, host, steps);
    }
    if let Some(sets) = spec.policy.sets.filter(|_| keeps_one(spec)) {
        let why = "kept for the filter, and not the program's";
        push(steps, Actor::Child, Act::GiveUpAdministration(sets), why, spec.origins.of(Wish::Capabilities));
    }
}

/// Whether the restrictions come before the rights go: without no_new_privs they take CAP_SYS_ADMIN. What says everything of
/// itself has no rules, and keeps the right for its filter.
fn restricts_early(spec: &Spec) -> bool {
    spec.policy.new_privileges == NewPrivileges::Allowed && (spec.policy.sets.is_none() || spec.unsaid == Unsaid::Safe)
}

/// Whether CAP_SYS_ADMIN is kept for the filter, which takes that or no_new_privs (seccomp(2)).
fn keeps_one(spec: &Spec) -> bool {
    spec.policy.sets.is_some_and(|sets| sets.permitted & sets.effective & Capability::SYS_ADMIN.bit() == 0)
        && spec.policy.new_privileges == NewPrivileges::Allowed
        && spec.policy.calls != Calls::All
        && spec.unsaid == Unsaid::Nothing
}

/// Whether the filter comes behind the closing of descriptors: where nothing but the init's own calls come behind it.
pub(super) fn filters_last(spec: &Spec) -> bool {
    spec.lifetime == Lifetime::Detached && spec.unsaid == Unsaid::Nothing
}

fn restrict(spec: &Spec, host: &Host, steps: &mut Vec<Step>) {
    let rules = rules(spec, host);
    if !rules.is_empty() {
        let why = "a second wall behind mounts and namespaces (landlock(7))";
        push(steps, Actor::Child, Act::Confine(rules), why, "");
    }
    if let Ok(Some(filter)) = filter(spec) {
        let why = "what programs don't need is refused: the kernel has had flaws there before";
        let origin = match &spec.policy.calls {
            Calls::Filter(_) | Calls::Strict => spec.origins.of(Wish::Calls),
            Calls::Default | Calls::All => "",
        };
        let act = Act::FilterCalls { filter, denials: spec.policy.denials };
        push(steps, Actor::Child, act, why, origin);
    }
}

/// What Landlock is told. A process that it restricts in writing can't mount, so whoever may mount is not.
pub(super) fn rules(spec: &Spec, host: &Host) -> Rules {
    if spec.unsaid == Unsaid::Nothing {
        return Rules::new(0, Files::Free);
    }
    let read_only = *spec.namespaces.choice(Namespace::Mount) == Choice::New && spec.writes == Writes::Refused;
    let files = if read_only && !may_mount(spec) { Files::Listed } else { Files::Free };
    let rules = Rules::new(host.landlock, files);
    // To reach the processes of what is entered is meant, and its own namespaces keep all others apart.
    let entered = |kind| spec.entry.is_some() && matches!(spec.namespaces.choice(kind), Choice::Join(..));
    let free = [(entered(Namespace::Pid), SIGNAL), (entered(Namespace::Net), ABSTRACT_SOCKETS)];
    free.into_iter().filter(|(free, _)| *free).fold(rules, |rules, (_, scope)| rules.without_scope(scope))
}

pub(super) fn may_mount(spec: &Spec) -> bool {
    spec.policy.nesting == Nesting::Allowed || spec.policy.capabilities.contains(&Capability::SYS_ADMIN)
}

/// The filter, if there is to be one.
pub(super) fn filter(spec: &Spec) -> Result<Option<CallFilter>, TooLong> {
    let compiled = |filter: &Filter| {
        filter.compile().map(|instructions| Some(CallFilter::Compiled { instructions, flags: filter.flags }))
    };
    let built_in = |policy: Policy| match openings(spec) {
        none if none.is_empty() => Ok(Some(CallFilter::BuiltIn(policy))),
        some => compiled(&policy.filter(&some)),
    };
    match &spec.policy.calls {
        Calls::Default => built_in(Policy::Default),
        Calls::Strict => built_in(Policy::Strict),
        Calls::All => Ok(None),
        Calls::Filter(filter) => compiled(filter),
    }
}

/// What the wished capabilities and namespaces need beyond the policy.
fn openings(spec: &Spec) -> Vec<Opening> {
    let held = |capability: Capability| spec.policy.capabilities.contains(&capability);
    let nests = spec.policy.nesting == Nesting::Allowed;
    let wanted = [
        (nests || held(Capability::SYS_ADMIN), Opening::Namespaces),
        (nests || held(Capability::SYS_ADMIN), Opening::Mounts),
        (held(Capability::SYS_CHROOT), Opening::Chroot),
        (held(Capability::SYS_PTRACE), Opening::Tracing),
        (held(Capability::SYS_NICE), Opening::Placement),
        (held(Capability::NET_RAW), Opening::Packets),
        (held(Capability::NET_ADMIN), Opening::Netlink),
    ];
    wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, opening)| opening).collect()
}

/// Calls that pid 1 makes, and the set-up child after the filter holds.
const NEEDED: &[Sysno] = &[
    Sysno::read,
    Sysno::close,
    Sysno::poll,
    Sysno::mmap,
    Sysno::rt_sigaction,
    Sysno::rt_sigprocmask,
    Sysno::ioctl,
    Sysno::getpid,
    Sysno::sendto,
    Sysno::recvfrom,
    Sysno::sendmsg,
    Sysno::clone,
    Sysno::execve,
    Sysno::wait4,
    Sysno::kill,
    Sysno::fcntl,
    Sysno::setpgid,
    Sysno::setsid,
    Sysno::prctl,
    Sysno::exit_group,
    Sysno::openat,
    Sysno::signalfd4,
    Sysno::execveat,
    Sysno::pidfd_send_signal,
];

/// Calls of the set-up child after the filter holds, and of what waits at a door and becomes the program.
const NEEDED_AT_DOOR: &[Sysno] = &[
    Sysno::close,
    Sysno::rt_sigaction,
    Sysno::rt_sigprocmask,
    Sysno::sendto,
    Sysno::recvfrom,
    Sysno::accept4,
    Sysno::execve,
    Sysno::fcntl,
    Sysno::setsid,
    Sysno::prctl,
    Sysno::exit_group,
    Sysno::execveat,
];

/// Calls that write a label.
const NEEDED_FOR_LABELS: &[Sysno] = &[Sysno::openat, Sysno::openat2, Sysno::fstatfs, Sysno::write];

/// The calls that `filter` refuses though no such sandbox starts or ends without them, or these limits or labels would not hold.
pub(super) fn lacks(filter: &[Instruction], spec: &Spec) -> Vec<&'static str> {
    let asks = spec.policy.denials == Denials::HandedOver;
    let refused = |number: u32| {
        let call = Call { number, architecture: ARCHITECTURE, instruction_pointer: 0, arguments: [0; 6] };
        match answer(filter, &call) {
            Action::Allow | Action::Log => false,
            // Only once the listener is sent is there somebody to answer.
            Action::Notify => !asks || number == Sysno::sendmsg as u32,
            _ => true,
        }
    };
    let for_listener = asks.then_some(Sysno::sendmsg);
    let for_time = spec.limits.timeout.map(|_| Sysno::clock_gettime);
    let for_resources = spec.limits.resources.first().map(|_| Sysno::prlimit64);
    let for_capabilities = keeps_one(spec).then_some(Sysno::capset);
    let for_descriptors = [Sysno::dup2, Sysno::close_range].into_iter().filter(|_| !filters_last(spec));
    let always = if spec.lifetime == Lifetime::Owned { NEEDED } else { NEEDED_AT_DOOR };
    let for_labels = NEEDED_FOR_LABELS.iter().copied().filter(|_| !spec.policy.labels.is_empty());
    let further =
        for_time.into_iter().chain(for_resources).chain(for_capabilities).chain(for_descriptors).chain(for_labels);
    let needed = always.iter().copied().chain(further).chain(for_listener);
    needed.filter(|call| refused(*call as u32)).map(|call| call.name()).collect()
}
