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
            shown || std::fs::read_to_string("/proc/filesystems").map_or(true, |text| has_selinux(&text))
        }
    }
}

/// Whether the kernel labels files, though its file system may be mounted nowhere: it has that only if it was booted with the module. What
/// can't be read says nothing, and the kernel refuses a label that it doesn't know.
fn has_selinux(filesystems: &str) -> bool {
    filesystems.lines().any(|line| line.split_whitespace().last() == Some("selinuxfs"))
}

/// Those that are.
pub(crate) fn all_in_force() -> Vec<Module> {
    [Module::AppArmor, Module::Selinux].into_iter().filter(|module| in_force(*module)).collect()
}

#[cfg(test)]
mod tests {
    use super::has_selinux;

    #[test]
    fn selinux_is_in_force_where_its_file_system_is_not_mounted_too() {
        assert!(has_selinux("nodev\tsysfs\nnodev\tselinuxfs\n\text4\n"));
        assert!(!has_selinux("nodev\tsysfs\n\text4\n") && !has_selinux("nodev\tselinuxfs2\n"));
    }
}
