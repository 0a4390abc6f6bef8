//! What would help when a step fails: a pure table of the act, the errno and facts read after the failure.

use super::check::Blame;
use super::limits::Limit;
use super::step::{Act, MapWriter};
use crate::model::label::{Label, Module};
use crate::model::namespace::Namespace;
use crate::model::remedy;
use crate::spec::filesystem::{BindSource, Operation};
use rustix::io::Errno;

/// Facts about why a machine refuses, read only once something was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Causes {
    /// `user.max_user_namespaces`.
    pub(crate) max_user_namespaces: Option<u64>,
    /// `kernel.unprivileged_userns_clone` (Debian's kernels).
    pub(crate) userns_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns` (Ubuntu's kernels).
    pub(crate) apparmor: Option<u64>,
    /// `vm.memfd_noexec`.
    pub(crate) memfd_noexec: Option<u64>,
    /// Whether the root directory is not the one the mount namespace began with (chroot(2)).
    pub(crate) chroot: bool,
    /// Whether the root directory is the file system that the kernel itself began with: the initramfs.
    pub(crate) initramfs: bool,
    /// What resctrl itself says about what it has refused (`info/last_cmd_status`).
    pub(crate) resctrl: Option<String>,
}

/// What would help, and whose doing it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Hint {
    /// In words; empty if there is nothing to say.
    pub(crate) text: String,
    pub(crate) blame: Blame,
}

/// The hint for a failed step.
pub(crate) fn hint(act: &Act, errno: Errno, causes: &Causes) -> Hint {
    match machine(act, errno, causes) {
        Some((cause, remedy)) => Hint { text: format!("{cause}{remedy}"), blame: Blame::Machine },
        None => {
            let said = causes.resctrl.iter().map(|words| format!("resctrl says: {words}"));
            let helps = Some(wish(act, errno)).filter(|text| !text.is_empty()).map(str::to_owned);
            Hint { text: said.chain(helps).collect::<Vec<_>>().join("; "), blame: Blame::Wish }
        }
    }
}

/// What a machine, or the container around, refuses to every sandbox or to a kind of them: the cause, and the remedy.
fn machine(act: &Act, errno: Errno, causes: &Causes) -> Option<(&'static str, &'static str)> {
    Some(match (act, errno) {
        (Act::Clone(_) | Act::Fork(_) | Act::MakeNetwork, Errno::NOSPC | Errno::USERS)
            if causes.max_user_namespaces == Some(0) =>
        {
            (
                "user namespaces are switched off: sysctl user.max_user_namespaces is 0; as root: ",
                remedy::MAX_USER_NAMESPACES,
            )
        }
        (Act::Clone(_) | Act::Fork(_) | Act::MakeNetwork, Errno::NOSPC | Errno::USERS) => (
            "a limit of namespaces is reached: see sysctl user.max_user_namespaces and its neighbours, or nesting deeper than 32",
            "",
        ),
        (Act::Clone(_), Errno::PERM) if causes.userns_clone == Some(0) => {
            ("unprivileged user namespaces are switched off: as root: ", remedy::USERNS_CLONE)
        }
        (Act::Clone(_), Errno::PERM) if causes.chroot => {
            ("the kernel makes no user namespace inside a chroot(2); a root entered by pivot_root would do", "")
        }
        // The user namespace may be made, but gives no right to make the others, or to do anything in them.
        (
            Act::Clone(_)
            | Act::Fork(_)
            | Act::MakeNetwork
            | Act::WriteMaps { .. }
            | Act::RootTmpfs
            | Act::Loopback
            | Act::Hostname(_),
            Errno::ACCESS | Errno::PERM,
        ) if causes.apparmor == Some(1) => (
            "AppArmor takes the rights in new user namespaces: give holm a profile with 'userns,' or, for all programs, as root: ",
            remedy::APPARMOR_RESTRICT,
        ),
        (Act::Clone(_) | Act::Fork(_) | Act::MakeNetwork, Errno::PERM | Errno::NOSYS) => (
            "a filter or security module of an outer container refuses namespaces; for Docker: ",
            remedy::DOCKER_FILTER,
        ),
        (Act::WriteMaps { writer: MapWriter::Helpers, .. }, _) => (
            "newuidmap or newgidmap refused: they must be set-user-id root, on a file system without nosuid, and /etc/subuid must list the ranges",
            "",
        ),
        (Act::MountProc { .. }, Errno::PERM) => (
            "mount too revealing: an outer container covers parts of its /proc; --share pid does without, or for Docker: ",
            remedy::DOCKER_PROC,
        ),
        (Act::LimitNamespaces, Errno::ROFS | Errno::ACCESS | Errno::PERM | Errno::NOENT | Errno::XDEV) => (
            "the caller's /proc/sys can't be written: an outer container guards it; --allow-userns leaves this wall out",
            "",
        ),
        (Act::Pivot, Errno::INVAL) if causes.initramfs => (
            "the root directory is the initramfs, which pivot_root(2) can't leave; move to another one first: ",
            remedy::INITRAMFS,
        ),
        (Act::Init, Errno::ACCESS) if causes.memfd_noexec.is_some_and(|level| level > 1) => {
            ("sysctl vm.memfd_noexec is 2: no program runs from memory; as root: ", remedy::MEMFD_NOEXEC)
        }
        (Act::Limit(Limit::Make { .. } | Limit::Enter), Errno::ACCESS | Errno::PERM | Errno::ROFS) => {
            ("the control group is not the caller's to write: ", remedy::DELEGATE)
        }
        (Act::Limit(Limit::Enable { .. } | Limit::StandAside { .. }), Errno::BUSY) => {
            ("another process came into the group; start holm in one of its own: ", remedy::DELEGATE)
        }
        _ => return None,
    })
}

/// What helps with a wish that can't be had.
fn wish(act: &Act, errno: Errno) -> &'static str {
    match (act, errno) {
        (Act::Fork(_) | Act::ForkInit, Errno::NOMEM) => {
            "a pid namespace that is joined takes in nobody once its first process has ended; else memory is short"
        }
        (Act::WriteMaps { .. }, Errno::PERM) => "the ids outside must be the caller's own, or the caller privileged",
        (Act::OpenNamespace { .. }, Errno::INVAL) => "it is not a namespace of that kind; see ls -l /proc/PID/ns",
        (Act::OpenNamespace { .. }, Errno::EXIST) => {
            "it is the caller's own: what is set there would hold for all that are in it; join another one"
        }
        (Act::OpenNamespace { .. }, Errno::ACCESS | Errno::PERM) => {
            "only its owner and root may look at a process's namespaces"
        }
        (Act::OpenNamespace { .. }, Errno::NOENT | Errno::SRCH) => {
            "there is none; holm joins PATH, PID, NAME or fd:NUMBER"
        }
        (Act::Enter(_), Errno::PERM) => {
            "joining needs rights in the user namespace that owns it; join that one, too: --join user=…"
        }
        (Act::Enter(Namespace::User), Errno::INVAL) => {
            "holm is in that user namespace already: leave it out, or --share user as root"
        }
        (Act::Keep { .. }, Errno::EXIST) => "a namespace is kept there already: umount it first",
        (Act::Keep { .. }, Errno::LOOP) => "a symbolic link stands there; name the file that it leads to",
        (Act::Keep { .. }, Errno::PERM) => {
            "only an empty file of the caller's own is covered by a namespace; name a file that does not exist"
        }
        (Act::Keep { .. }, Errno::NOENT) => "its directory does not exist; make it first",
        (Act::Keep { .. }, Errno::INVAL) => {
            "a mnt namespace can be kept only by an older one, on a mount of which no other gets copies: mount --bind DIR DIR; mount --make-private DIR"
        }
        (Act::OffsetTime(_), Errno::RANGE) => {
            "a clock can't go back to before the boot, nor forward by more than some 146 years"
        }
        (Act::DropGroups, Errno::PERM) => {
            "setgroups was given up in this user namespace; a map of groups from /etc/subgid would keep it"
        }
        (
            Act::RootOverlay { .. } | Act::Operate { operation: Operation::Overlay { .. }, .. },
            Errno::INVAL | Errno::NODEV | Errno::LOOP,
        ) => {
            "overlayfs takes no such layers: they must not lie in each other, and upper and work need a file system that can bear them"
        }
        (Act::Operate { operation: Operation::Mount { kind, .. }, .. }, Errno::LOOP)
            if kind == "proc" || kind == "sysfs" =>
        {
            "a symbolic link stands there; processes and devices must be mounted on ordinary directory"
        }
        (Act::Operate { operation: Operation::Attach { source: BindSource::Inside(_), .. }, .. }, Errno::LOOP) => {
            "a symbolic link of the root is in its path, which may lead anywhere in it: name what it leads to"
        }
        (Act::Operate { .. } | Act::MountProc { .. }, Errno::LOOP) => {
            "a symbolic link stands there; mounting over one is refused"
        }
        (Act::Operate { operation: Operation::Chmod { .. }, .. }, Errno::ROFS) => {
            "only what this sandbox has made can be changed: files of the host keep their modes"
        }
        (Act::Operate { operation: Operation::RemountReadOnly { .. }, .. }, Errno::INVAL) => {
            "nothing is mounted just there; a bind of a directory on itself is a mount: --bind DIR"
        }
        (Act::Operate { .. } | Act::MountProc { .. }, Errno::ROFS) => {
            "it is missing there and would have to be made on a file system of the host; make it first, or mount a --tmpfs above it"
        }
        (Act::Operate { operation, .. }, Errno::NOTDIR) if operation.mounts() => {
            "a directory can't be mounted on a file, nor anything below one: a file stands there"
        }
        (Act::Operate { operation, .. }, Errno::ISDIR) if operation.mounts() => {
            "a file can't be mounted on a directory, and a directory stands there: name the file in it"
        }
        (Act::Operate { operation: Operation::Node { .. }, .. }, Errno::EXIST) => {
            "something else stands there in the root; a tmpfs on the directory it is in would hide that"
        }
        (Act::Operate { operation: Operation::Mask { .. } | Operation::Protect { .. }, .. }, Errno::STALE) => {
            "the file system that it is in is covered by another one, or its directory was renamed meanwhile"
        }
        (Act::Operate { operation: Operation::Remount { .. }, .. }, Errno::XDEV) => {
            "it is none that was made for the container, and its options hold for all its mounts, the host's, too"
        }
        (Act::Operate { operation: Operation::Overlay { .. }, .. }, Errno::TOOBIG) => "it has too many layers",
        (Act::Operate { operation, .. }, Errno::FBIG) if operation.descriptor().is_some() => {
            "16 MiB are the most that is copied; --bind shows a file of any size"
        }
        (Act::Operate { operation: Operation::Bind { .. }, .. }, Errno::MFILE) => {
            "each bind by a privileged caller takes an open file for a moment; see ulimit -n"
        }
        (Act::Operate { operation: Operation::Bind { .. }, .. }, Errno::NOSPC) => {
            "each bind by a privileged caller counts as a mount namespace for a moment; see sysctl user.max_mnt_namespaces and fs.mount-max"
        }
        (Act::Operate { .. } | Act::RootBind { .. } | Act::RootOverlay { .. }, Errno::ACCESS) => {
            "it, or a directory above it, belongs to someone else and can't be searched"
        }
        (Act::MapOwners { .. }, Errno::INVAL | Errno::PERM) => {
            "a file system to be written can't show owners by id maps (overlayfs; tmpfs before Linux 6.3): --userns host maps the caller's own id"
        }
        (Act::Label(Label { module: Module::AppArmor, .. }), Errno::NOENT) => {
            "no such profile is loaded; apparmor_parser -r FILE loads one"
        }
        (Act::Label(_), Errno::STALE | Errno::XDEV | Errno::ROFS | Errno::LOOP) => {
            "it is written by the /proc inside, which must be one, writable, with nothing mounted over the process's own files"
        }
        (Act::Label(_) | Act::LabelKeys(_), Errno::INVAL) => "the module knows no such label",
        (Act::Label(_) | Act::LabelKeys(_), Errno::ACCESS | Errno::PERM) => "the policy doesn't let the caller give it",
        (Act::DropPrivileges { .. }, Errno::PERM) => "the process has no such capability here to keep: see --cap-add",
        (Act::Confine(_), Errno::TOOBIG) => "Landlock takes 16 layers: this is nested too deep",
        (Act::EnterRoot { .. }, Errno::PERM) => {
            "only who has CAP_SYS_CHROOT takes another root: leave root out of --take"
        }
        (Act::EnterGroup { .. }, _) => "limits in there can't bind what is entered: leave cgroup out of --take",
        (Act::Limit(limit), errno) => super::limits::hint(limit, errno),
        (Act::OpenTerminal, _) => "a terminal needs the sandbox's own /dev; see --dev",
        (Act::ChangeDirectory { .. }, Errno::NOENT) => "it does not exist inside; bind it: --bind DIR",
        (Act::ChangeDirectory { .. }, Errno::LOOP) => {
            "it leads over a link of /proc, which may point out of the root; name the directory itself"
        }
        (Act::TakeIds { .. }, Errno::INVAL) => "the id is not mapped in the user namespace",
        (Act::Execute(_), Errno::NOEXEC) => {
            "it is no program this kernel can run; a script needs a first line like #!/bin/sh"
        }
        (_, Errno::MFILE) => "the limit of open descriptors is too low: ulimit -n",
        (_, Errno::NFILE) => "the machine's limit of open files is reached: sysctl fs.file-max",
        (_, Errno::FBIG) => "the limit of file sizes is too low: ulimit -f",
        (Act::Execute(_), Errno::TOOBIG) => "arguments and environment are too long together (execve(2))",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::namespace::NamespaceSet;
    use crate::plan::limits::Resctrl;
    use crate::spec::filesystem::Access;
    use crate::spec::limits::Presence;
    use crate::spec::policy::ProcView;

    fn clone() -> Act {
        Act::Clone(NamespaceSet::default())
    }

    fn expect(act: &Act, errno: Errno, causes: &Causes, part: &str) {
        let hint = hint(act, errno, causes);
        assert!(hint.text.contains(part), "{act:?} {errno:?} {causes:?}: {hint:?}");
    }

    #[test]
    fn what_switches_user_namespaces_off_is_named() {
        let none = Causes::default();
        let limit = |limit| Causes { max_user_namespaces: Some(limit), ..Causes::default() };
        let fork = Act::Fork(NamespaceSet::default());
        for act in [clone(), fork.clone(), Act::MakeNetwork] {
            for errno in [Errno::NOSPC, Errno::USERS] {
                expect(&act, errno, &limit(0), "sysctl user.max_user_namespaces is 0");
                expect(&act, errno, &limit(9), "a limit of namespaces is reached");
                expect(&act, errno, &none, "a limit of namespaces is reached");
            }
            expect(&act, Errno::PERM, &none, "a filter or security module of an outer container");
            expect(&act, Errno::NOSYS, &none, "a filter or security module of an outer container");
        }
        let debian = Causes { userns_clone: Some(0), ..Causes::default() };
        expect(&clone(), Errno::PERM, &debian, "sysctl -w kernel.unprivileged_userns_clone=1");
        let chroot = Causes { chroot: true, ..Causes::default() };
        expect(&clone(), Errno::PERM, &chroot, "inside a chroot(2)");
        expect(&fork, Errno::NOMEM, &none, "once its first process has ended");
    }

    #[test]
    fn apparmor_is_named_wherever_it_takes_the_rights() {
        let ubuntu = Causes { apparmor: Some(1), ..Causes::default() };
        let maps = Act::WriteMaps { writer: MapWriter::Child, uid: Vec::new(), gid: Vec::new() };
        let fork = Act::Fork(NamespaceSet::default());
        let acts = [clone(), fork, Act::MakeNetwork, maps, Act::RootTmpfs, Act::Loopback, Act::Hostname("x".into())];
        for act in acts {
            for errno in [Errno::PERM, Errno::ACCESS] {
                expect(&act, errno, &ubuntu, "kernel.apparmor_restrict_unprivileged_userns=0");
                let off = Causes { apparmor: Some(0), ..Causes::default() };
                assert!(!hint(&act, errno, &off).text.contains("AppArmor"), "{act:?}");
            }
        }
    }

    #[test]
    fn what_an_outer_container_hides_is_named() {
        let act = Act::MountProc { at: "/proc".into(), view: ProcView::default(), access: Access::ReadWrite };
        expect(&act, Errno::PERM, &Causes::default(), "mount too revealing");
        let sealed = Causes { memfd_noexec: Some(2), ..Causes::default() };
        expect(&Act::Init, Errno::ACCESS, &sealed, "vm.memfd_noexec is 2");
    }

    #[test]
    fn what_resctrl_says_stands_before_what_helps() {
        let step = |act| Act::Limit(Limit::Resctrl { mounted: "/sys/fs/resctrl".into(), act });
        let said = |words: &str| Causes { resctrl: Some(words.to_owned()), ..Causes::default() };
        let make = |written: &[&str]| Resctrl::Make {
            name: Some("web".to_owned()),
            presence: Presence::Refused,
            agreed: Vec::new(),
            written: written.iter().map(|line| (*line).to_owned()).collect(),
        };
        let text = hint(&step(make(&[])), Errno::NOSPC, &said("Out of CLOSIDs")).text;
        assert!(text.starts_with("resctrl says: Out of CLOSIDs; the processor has no more"), "{text}");
        let write = step(make(&["L3:0=5"]));
        let text = hint(&write, Errno::INVAL, &said("Mask has non-consecutive 1-bits")).text;
        assert_eq!(text, "resctrl says: Mask has non-consecutive 1-bits");
    }

    #[test]
    fn limits_of_the_caller_are_named_for_any_step() {
        for act in [clone(), Act::Pivot, Act::Init] {
            expect(&act, Errno::MFILE, &Causes::default(), "ulimit -n");
            expect(&act, Errno::FBIG, &Causes::default(), "ulimit -f");
        }
    }
}
