//! Which security modules are in force.

use crate::model::label::Module;

/// `SELINUX_MAGIC`, statfs(2).
const SELINUX: i64 = 0xf97c_ff8c;

/// Whether this one is, and takes labels.
pub fn in_force(module: Module) -> bool {
    match module {
        Module::AppArmor => {
            std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
        }
        Module::Selinux => {
            let shown = rustix::fs::statfs("/sys/fs/selinux").is_ok_and(|found| found.f_type == SELINUX);
            let booted = || std::fs::read_to_string("/proc/filesystems").map_or(true, |text| has_selinux(&text));
            (shown || booted())
                && std::fs::read("/proc/thread-self/attr/current").map_or(true, |text| is_context(&text))
        }
    }
}

/// Whether the kernel labels files, though its file system may be mounted nowhere: it has that only if it was booted with the module. What
/// can't be read says nothing, and the kernel refuses a label that it doesn't know.
fn has_selinux(filesystems: &str) -> bool {
    filesystems.lines().any(|line| line.split_whitespace().last() == Some("selinuxfs"))
}

/// Whether it is a label of a policy. Before one is loaded every process has the same word for one, and no label keeps anybody from
/// anything.
fn is_context(label: &[u8]) -> bool {
    label.contains(&b':')
}

/// Those that are.
pub(crate) fn all_in_force() -> Vec<Module> {
    [Module::AppArmor, Module::Selinux].into_iter().filter(|module| in_force(*module)).collect()
}

#[cfg(test)]
mod tests {
    use super::{has_selinux, is_context};

    #[test]
    fn selinux_is_in_force_where_its_file_system_is_not_mounted_too() {
        assert!(has_selinux("nodev\tsysfs\nnodev\tselinuxfs\n\text4\n"));
        assert!(!has_selinux("nodev\tsysfs\n\text4\n") && !has_selinux("nodev\tselinuxfs2\n"));
    }

    #[test]
    fn without_a_policy_it_is_not() {
        assert!(is_context(b"system_u:system_r:init_t:s0\0") && !is_context(b"kernel\0"));
    }
}
