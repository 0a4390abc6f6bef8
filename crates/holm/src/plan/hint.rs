//! What would help when a step fails: a pure table of the act, the errno and facts read after the failure.

use super::step::{Act, MapWriter};
use crate::spec::filesystem::Operation;
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
}

/// The hint for a failed step; empty if there is none.
pub(crate) fn hint(act: &Act, errno: Errno, causes: &Causes) -> String {
    let text: &str = match (act, errno) {
        (Act::Clone(_) | Act::Fork(_) | Act::MakeNetwork, Errno::NOSPC | Errno::USERS)
            if causes.max_user_namespaces == Some(0) =>
        {
            "user namespaces are switched off: sysctl user.max_user_namespaces is 0; as root: sysctl -w user.max_user_namespaces=10000"
        }
        (Act::Clone(_) | Act::Fork(_) | Act::MakeNetwork, Errno::NOSPC | Errno::USERS) => {
            "a limit of namespaces is reached: see sysctl user.max_user_namespaces and its neighbours, or nesting deeper than 32"
        }
        (Act::Clone(_), Errno::PERM) if causes.userns_clone == Some(0) => {
            "unprivileged user namespaces are switched off: as root: sysctl -w kernel.unprivileged_userns_clone=1"
        }
        (Act::Clone(_), Errno::PERM) if causes.chroot => {
            "the kernel makes no user namespace inside a chroot(2); a root entered by pivot_root would do"
        }
        (
            Act::Clone(_) | Act::WriteMaps { .. } | Act::RootTmpfs | Act::Loopback | Act::Hostname(_),
            Errno::ACCESS | Errno::PERM,
        ) if causes.apparmor == Some(1) => {
            "AppArmor takes the rights in new user namespaces: give holm a profile with 'userns,' or, for all programs, as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        }
        (Act::Clone(_), Errno::PERM | Errno::NOSYS) => {
            "a filter or security module of an outer container refuses namespaces; for Docker: --security-opt seccomp=unconfined"
        }
        (Act::WriteMaps { writer: MapWriter::Helpers, .. }, _) => {
            "newuidmap or newgidmap refused: they must be set-user-id root, on a file system without nosuid, and /etc/subuid must list the ranges"
        }
        (Act::WriteMaps { .. }, Errno::PERM) => "the ids outside must be the caller's own, or the caller privileged",
        (Act::OpenNamespace { .. }, Errno::INVAL) => "it is not a namespace of that kind; see ls -l /proc/PID/ns",
        (Act::OpenNamespace { .. }, Errno::ACCESS | Errno::PERM) => {
            "only its owner and root may look at a process's namespaces"
        }
        (Act::OpenNamespace { .. }, Errno::NOENT | Errno::SRCH) => {
            "there is none; holm joins PATH, PID, NAME or fd:NUMBER"
        }
        (Act::Enter(_), Errno::PERM) => {
            "joining needs rights in the user namespace that owns it; join that one, too: --join user=…"
        }
        (Act::Keep { .. }, Errno::EXIST) => "a namespace is kept there already: umount it first",
        (Act::Keep { .. }, Errno::INVAL) => {
            "a mnt namespace can be kept only on a private mount: mount --bind DIR DIR; mount --make-private DIR"
        }
        (Act::MountProc { .. }, Errno::PERM) => {
            "mount too revealing: an outer container covers parts of its /proc; for Docker: --security-opt systempaths=unconfined, or --share pid"
        }
        (
            Act::RootOverlay { .. } | Act::Operate { operation: Operation::Overlay { .. }, .. },
            Errno::INVAL | Errno::NODEV | Errno::LOOP,
        ) => {
            "overlayfs takes no such layers: they must not lie in each other, and upper and work need a file system that can bear them"
        }
        (Act::Operate { .. } | Act::MountProc { .. }, Errno::LOOP) => {
            "a symbolic link stands there; mounting over one is refused"
        }
        (Act::Operate { .. } | Act::MountProc { .. }, Errno::ROFS) => {
            "it is missing there and would have to be made on a file system of the host; make it first, or mount a --tmpfs above it"
        }
        (Act::Operate { operation: Operation::Bind { .. }, .. }, Errno::NOTDIR | Errno::ISDIR) => {
            "a directory can be bound on a directory only, and a file on a file"
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
        (Act::LimitNamespaces, Errno::ROFS | Errno::ACCESS | Errno::PERM | Errno::NOENT) => {
            "the caller's /proc/sys can't be written: an outer container guards it; --allow-userns leaves this wall out"
        }
        (Act::DropPrivileges { .. }, Errno::PERM) => "the process has no such capability here to keep: see --cap-add",
        (Act::Confine(_), Errno::TOOBIG) => "Landlock takes 16 layers: this is nested too deep",
        (Act::Pivot, Errno::INVAL) if causes.initramfs => {
            "the root directory is the initramfs, which pivot_root(2) can't leave; move to another one first: switch_root(8)"
        }
        (Act::OpenTerminal, _) => "a terminal needs the sandbox's own /dev; see --dev",
        (Act::ChangeDirectory { .. }, Errno::NOENT) => "it does not exist inside; bind it: --bind DIR",
        (Act::ChangeDirectory { .. }, Errno::LOOP) => {
            "it leads over a link of /proc, which may point out of the root; name the directory itself"
        }
        (Act::TakeIds { .. }, Errno::INVAL) => "the id is not mapped in the user namespace",
        (Act::Init, Errno::ACCESS) if causes.memfd_noexec.is_some_and(|level| level > 1) => {
            "sysctl vm.memfd_noexec is 2: no program runs from memory; as root: sysctl -w vm.memfd_noexec=1"
        }
        (Act::Execute(_), Errno::NOEXEC) => {
            "it is no program this kernel can run; a script needs a first line like #!/bin/sh"
        }
        (Act::Execute(_), Errno::TOOBIG) => "arguments and environment are too long together (execve(2))",
        _ => "",
    };
    text.to_owned()
}
