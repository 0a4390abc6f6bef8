//! What holm asks of the kernel: system calls and newer interfaces, since when they are there, and what is lost without them.

/// What a system call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// No sandbox starts without it.
    Every,
    /// This is lost.
    Lost(&'static str),
    /// Nothing is lost; what is done instead.
    Instead(&'static str),
    /// The same, but each start makes it: none outlives a filter that kills for it.
    Asked(&'static str),
}

/// Whether the kernel answers anything but EPERM to a caller without rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    None,
    /// Only to who may mount.
    ToMount,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) name: &'static str,
    pub(super) mounts: Rights,
    pub(super) since: (u32, u32),
    pub(super) used: Use,
}

const fn call(name: &'static str, since: (u32, u32), used: Use) -> Need {
    Need { name, mounts: Rights::None, since, used }
}

const fn mounting(name: &'static str) -> Need {
    Need { name, mounts: Rights::ToMount, since: (5, 2), used: Use::Every }
}

const SEES: &str = "holm ls, holm top: mount namespaces without a process";

/// The system calls.
pub(super) const CALLS: &[Need] = &[
    call("clone3", (5, 3), Use::Every),
    call("unshare", (2, 6), Use::Every),
    call("setns", (3, 0), Use::Every),
    call("openat2", (5, 6), Use::Every),
    call("mount", (1, 0), Use::Lost("holm run --keep")),
    call("umount2", (1, 0), Use::Every),
    mounting("pivot_root"),
    call("open_tree", (5, 2), Use::Every),
    mounting("move_mount"),
    mounting("fsopen"),
    call("fsconfig", (5, 2), Use::Every),
    mounting("fsmount"),
    call("mount_setattr", (5, 12), Use::Every),
    call("close_range", (5, 9), Use::Every),
    call("execveat", (3, 19), Use::Every),
    call("memfd_create", (3, 17), Use::Every),
    call("pidfd_open", (5, 3), Use::Lost("holm enter, holm ps")),
    call("pidfd_send_signal", (5, 1), Use::Every),
    call("seccomp", (3, 17), Use::Every),
    call("keyctl", (2, 6), Use::Every),
    call("landlock_create_ruleset", (5, 13), Use::Asked("mounts are the only wall for files")),
    call("process_vm_readv", (3, 2), Use::Lost("holm run --log-denied, holm learn: the paths of refused calls")),
    call("name_to_handle_at", (2, 6), Use::Instead("namespaces are opened to be told apart")),
    call("listmount", (6, 8), Use::Lost(SEES)),
    call("statmount", (6, 8), Use::Lost(SEES)),
];

/// Those that holm's own process makes when it looks at processes.
pub(super) const SIGHT: [&str; 2] = ["pidfd_open", "name_to_handle_at"];
/// The one with which it reads the paths of refused calls.
pub(super) const DENIALS: &str = "process_vm_readv";

/// Requests of ioctl(2), and files of control groups, with the version that brought them.
pub(super) const INTERFACES: &[Need] = &[
    call("cgroup.kill", (5, 14), Use::Instead("what is left in a control group ends with its init")),
    call("PIDFD_GET_USER_NAMESPACE", (6, 11), Use::Instead("namespaces are opened through /proc")),
    call("NS_GET_ID", (6, 18), Use::Instead("inodes tell namespaces apart")),
];
