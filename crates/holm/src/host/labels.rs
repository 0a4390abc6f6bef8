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
        Module::Selinux => rustix::fs::statfs("/sys/fs/selinux").is_ok_and(|found| found.f_type == SELINUX),
    }
}

/// Those that are.
pub(crate) fn all_in_force() -> Vec<Module> {
    [Module::AppArmor, Module::Selinux].into_iter().filter(|module| in_force(*module)).collect()
}
