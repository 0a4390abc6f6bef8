//! Capabilities by their names (capabilities(7)).

use std::fmt;

/// One capability: its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability(u8);

/// In the order of their numbers, from 0 on (linux/capability.h).
const NAMES: [&str; Capability::COUNT] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

impl Capability {
    /// How many there are.
    pub(crate) const COUNT: usize = 41;
    /// May make namespaces' mounts, host names and more.
    pub const SYS_ADMIN: Capability = Capability(21);
    /// May change a root by chroot(2).
    pub const SYS_CHROOT: Capability = Capability(18);
    /// May trace.
    pub const SYS_PTRACE: Capability = Capability(19);
    /// May place memory.
    pub const SYS_NICE: Capability = Capability(23);
    /// May use packet sockets.
    pub const NET_RAW: Capability = Capability(13);
    /// May configure networks.
    pub const NET_ADMIN: Capability = Capability(12);

    /// All of them.
    pub fn all() -> impl Iterator<Item = Capability> {
        (0..NAMES.len() as u8).map(Capability)
    }

    /// The capability of this name, in any case, with or without `CAP_`.
    pub fn parse(name: &str) -> Option<Capability> {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        NAMES.iter().position(|known| *known == bare).map(|number| Capability(number as u8))
    }

    /// Its bit in the kernel's sets.
    pub fn bit(self) -> u64 {
        1 << self.0
    }
}

/// With `CAP_`.
impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CAP_{}", NAMES[usize::from(self.0)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_in_any_form() {
        for name in ["net_raw", "CAP_NET_RAW", "Net_Raw"] {
            assert_eq!(Capability::parse(name), Some(Capability::NET_RAW));
        }
        assert_eq!(Capability::parse("CAP_"), None);
        assert_eq!(Capability::parse("chown").map(Capability::bit), Some(1));
        assert_eq!(Capability::SYS_ADMIN.to_string(), "CAP_SYS_ADMIN");
    }
}
