//! The eight kinds of namespaces (namespaces(7)) and sets of them.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A kind of namespace, in the order in which they are joined: the user namespace first, since it gives the right to
/// join the others, and the mount namespace last, since paths mean something else afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// User and group ids, capabilities (user_namespaces(7)).
    User,
    /// Control group paths (cgroup_namespaces(7)).
    Cgroup,
    /// System V and POSIX message queues, shared memory, semaphores (ipc_namespaces(7)).
    Ipc,
    /// Host and domain name (uts_namespaces(7)).
    Uts,
    /// Interfaces, addresses, routes, ports, abstract sockets (network_namespaces(7)).
    Net,
    /// Process ids (pid_namespaces(7)).
    Pid,
    /// Boot and monotonic clocks (time_namespaces(7)).
    Time,
    /// Mount points (mount_namespaces(7)).
    Mount,
}

/// The inode of the user namespace with which the machine started, on every kernel (linux/proc_ns.h, `PROC_USER_INIT_INO`).
pub(crate) const FIRST_USER: u64 = 0xefff_fffd;
/// The same of the pid namespace (`PROC_PID_INIT_INO`).
pub(crate) const FIRST_PID: u64 = 0xefff_fffc;

impl Namespace {
    /// All kinds, in joining order.
    pub const ALL: [Namespace; 8] = [
        Namespace::User,
        Namespace::Cgroup,
        Namespace::Ipc,
        Namespace::Uts,
        Namespace::Net,
        Namespace::Pid,
        Namespace::Time,
        Namespace::Mount,
    ];

    /// The one that a setting belongs to, by its path below /proc/sys (namespaces(7), ipc_namespaces(7)).
    pub fn of_setting(path: &Path) -> Option<Namespace> {
        const IPC: [&str; 10] = [
            "msgmax",
            "msgmnb",
            "msgmni",
            "sem",
            "shmall",
            "shmmax",
            "shmmni",
            "shm_rmid_forced",
            "msg_next_id",
            "sem_next_id",
        ];
        let mut parts = path.components().map(|part| part.as_os_str().to_str().unwrap_or(""));
        match (parts.next()?, parts.next()?) {
            ("net", _) => Some(Namespace::Net),
            ("fs", "mqueue") => Some(Namespace::Ipc),
            ("kernel", name) if IPC.contains(&name) => Some(Namespace::Ipc),
            ("kernel", "domainname") => Some(Namespace::Uts),
            _ => None,
        }
    }

    /// The kernel's name, as in `/proc/PID/ns`.
    pub fn name(self) -> &'static str {
        match self {
            Namespace::User => "user",
            Namespace::Cgroup => "cgroup",
            Namespace::Ipc => "ipc",
            Namespace::Uts => "uts",
            Namespace::Net => "net",
            Namespace::Pid => "pid",
            Namespace::Time => "time",
            Namespace::Mount => "mnt",
        }
    }

    /// The option of unshare(1) that makes one.
    pub fn long_name(self) -> &'static str {
        match self {
            Namespace::Mount => "mount",
            other => other.name(),
        }
    }

    /// Kind and inode of the text of a link to a namespace, `net:[4026531840]` (namespaces(7)).
    pub fn of_link(text: &[u8]) -> Option<(Namespace, u64)> {
        let (kind, rest) = std::str::from_utf8(text).ok()?.split_once(":[")?;
        let inode = rest.strip_suffix(']')?.parse().ok()?;
        let kind = Namespace::ALL.into_iter().find(|one| one.name() == kind)?;
        Some((kind, inode))
    }

    /// Its CLONE_NEW* bit (clone(2)).
    pub(crate) fn flag(self) -> u64 {
        let flag = match self {
            Namespace::User => libc::CLONE_NEWUSER,
            Namespace::Cgroup => libc::CLONE_NEWCGROUP,
            Namespace::Ipc => libc::CLONE_NEWIPC,
            Namespace::Uts => libc::CLONE_NEWUTS,
            Namespace::Net => libc::CLONE_NEWNET,
            Namespace::Pid => libc::CLONE_NEWPID,
            Namespace::Time => libc::CLONE_NEWTIME,
            Namespace::Mount => libc::CLONE_NEWNS,
        };
        flag as u64
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Namespace {
    type Err = UnknownNamespace;

    fn from_str(text: &str) -> Result<Namespace, UnknownNamespace> {
        let found = Namespace::ALL.into_iter().find(|n| n.name() == text || n.long_name() == text);
        found.ok_or_else(|| UnknownNamespace(text.to_owned()))
    }
}

/// A word that names no kind of namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown namespace {0:?}: the kinds are user, cgroup, ipc, uts, net, pid, time and mnt")]
pub struct UnknownNamespace(pub String);

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NamespaceSet(u64);

impl NamespaceSet {
    /// Whether `kind` is in the set.
    pub fn contains(self, kind: Namespace) -> bool {
        self.0 & kind.flag() != 0
    }

    /// The set without `kind`.
    #[must_use]
    pub fn without(self, kind: Namespace) -> NamespaceSet {
        NamespaceSet(self.0 & !kind.flag())
    }

    /// The kinds in the set, in joining order.
    pub fn iter(self) -> impl Iterator<Item = Namespace> {
        Namespace::ALL.into_iter().filter(move |&kind| self.contains(kind))
    }

    /// The CLONE_NEW* bits.
    pub(crate) fn flags(self) -> u64 {
        self.0
    }
}

impl FromIterator<Namespace> for NamespaceSet {
    fn from_iter<I: IntoIterator<Item = Namespace>>(kinds: I) -> NamespaceSet {
        NamespaceSet(kinds.into_iter().fold(0, |bits, kind| bits | kind.flag()))
    }
}

impl fmt::Display for NamespaceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, kind) in self.iter().enumerate() {
            write!(f, "{}{kind}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_parses_under_both_of_its_names() {
        for kind in Namespace::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(kind.long_name().parse(), Ok(kind));
        }
        assert!("network".parse::<Namespace>().is_err());
    }

    #[test]
    fn links_name_a_kind_and_an_inode() {
        assert_eq!(Namespace::of_link(b"net:[4026531840]"), Some((Namespace::Net, 4_026_531_840)));
        for wrong in [
            &b"net:[4026531840"[..],
            b"/net:[1]",
            b"pipe:[1]",
            b"net:[",
            b"net:[]",
            b"net:[x]",
            b"net",
            b"net:[99999999999999999999]",
            b"",
        ] {
            assert_eq!(Namespace::of_link(wrong), None);
        }
    }

    #[test]
    fn a_set_lists_its_kinds_in_joining_order() {
        let set: NamespaceSet = [Namespace::Mount, Namespace::User, Namespace::Net].into_iter().collect();
        assert_eq!(set.to_string(), "user, net, mnt");
        assert_eq!(set.without(Namespace::Net).to_string(), "user, mnt");
    }
}
