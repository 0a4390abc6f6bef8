//! What is to be done about what a machine refuses: commands and settings, each in one place for error messages and reports.

/// User namespaces that are switched off by their number.
pub const MAX_USER_NAMESPACES: &str = "sysctl -w user.max_user_namespaces=10000";
/// User namespaces that Debian's kernels keep for root.
pub const USERNS_CLONE: &str = "sysctl -w kernel.unprivileged_userns_clone=1";
/// User namespaces that Ubuntu's kernels leave without rights.
pub const APPARMOR_RESTRICT: &str = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
/// Programs that may not run from memory.
pub const MEMFD_NOEXEC: &str = "sysctl -w vm.memfd_noexec=1";
/// A container's filter of system calls.
pub const DOCKER_FILTER: &str = "--security-opt seccomp=unconfined";
/// A container's covered /proc.
pub const DOCKER_PROC: &str = "--security-opt systempaths=unconfined";
/// The kernel's first file system as the root.
pub const INITRAMFS: &str = "switch_root(8)";
/// Control groups of version 2 for an ordinary user, for one command.
pub const DELEGATE: &str = "systemd-run --user --scope -p Delegate=yes holm run ...";
/// Version 2 instead of version 1, for good.
pub const UNIFIED: &str = "systemd.unified_cgroup_hierarchy=1";
/// Control groups that nobody has mounted.
pub const MOUNT_GROUPS: &str = "mount -t cgroup2 cgroup2 /sys/fs/cgroup";

/// newuidmap(1) and newgidmap(1), on Debian.
pub const HELPERS: &str = "apt-get install uidmap";

/// Ranges of ids for a user, the first of which is `first`.
pub fn ranges(first: u64, user: &str) -> String {
    let last = first + 65_535;
    format!("usermod --add-subuids {first}-{last} --add-subgids {first}-{last} {user}")
}

/// A controller of control groups for all users, for good.
pub fn delegate(controller: &str) -> String {
    format!("systemctl edit user@.service, with [Service] Delegate={controller} cpu io memory pids")
}

/// The file that a profile for AppArmor is installed as.
pub const APPARMOR_FILE: &str = "/etc/apparmor.d/holm";
/// What puts it in force.
pub const APPARMOR_LOAD: &str = "apparmor_parser -r /etc/apparmor.d/holm";

/// A profile that gives one program user namespaces and confines nothing; `None` for a path that AppArmor would take for a
/// pattern, which other programs may fit.
pub fn apparmor_profile(program: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    let body = "  userns,\n  include if exists <local/holm>\n}\n";
    (program.starts_with('/') && program.chars().all(plain)).then(|| {
        format!("abi <abi/4.0>,\ninclude <tunables/global>\n\nprofile holm {program} flags=(unconfined) {{\n{body}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_for_one_program_only() {
        let profile = apparmor_profile("/usr/local/bin/holm").expect("the path is plain");
        assert!(profile.contains("profile holm /usr/local/bin/holm flags=(unconfined) {\n  userns,\n"), "{profile}");
        for path in ["holm", "/tmp/*", "/a b", "/x/{a,b}", "/a\n", "/@{HOME}/holm"] {
            assert_eq!(apparmor_profile(path), None, "{path}");
        }
    }
}
