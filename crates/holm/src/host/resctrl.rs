//! Where the file system resctrl is mounted (Documentation/filesystems/resctrl.rst). Reads only: nothing is mounted.

use crate::model::text::unescape;
use std::path::{Path, PathBuf};

/// What statfs(2) tells of it (linux/magic.h, RDTGROUP_SUPER_MAGIC).
const MAGIC: u64 = 0x0765_5821;

/// Where its top is mounted, and seen by this process; `None` if it isn't.
pub fn mounted() -> Option<PathBuf> {
    let text = std::fs::read("/proc/self/mountinfo").ok()?;
    // Another mount may lie over it.
    let is_seen = |point: &PathBuf| rustix::fs::statfs(point).is_ok_and(|about| about.f_type as u64 == MAGIC);
    mounts(&text).into_iter().map(|(point, _)| point).find(is_seen)
}

/// How far apart the steps are to which the kernel rounds a bandwidth up ("bandwidth_gran"); 1 where it takes each number.
pub(crate) fn step(mounted: &Path, resource: &str) -> u64 {
    let text = || std::fs::read("/proc/self/mountinfo").ok();
    if resource == "MB" && text().is_some_and(|text| mounts(&text).iter().any(|(_, is_in_mbps)| *is_in_mbps)) {
        return 1;
    }
    let text = std::fs::read_to_string(mounted.join("info").join(resource).join("bandwidth_gran"));
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1)
}

/// The mount points in a text of proc_pid_mountinfo(5) that show it as a whole, and whether bandwidth is in MB a second there
/// (`mba_MBps`), to which the kernel holds it by itself.
fn mounts(text: &[u8]) -> Vec<(PathBuf, bool)> {
    let mount = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
        let separator = fields.iter().position(|field| *field == b"-")?;
        let is_it = fields.get(separator + 1) == Some(&&b"resctrl"[..]) && fields.get(3) == Some(&&b"/"[..]);
        let options = fields.get(separator + 3).copied().unwrap_or_default();
        let is_in_mbps = options.split(|&byte| byte == b',').any(|option| option == b"mba_MBps");
        is_it.then(|| (PathBuf::from(unescape(fields[4])), is_in_mbps))
    };
    text.split(|&byte| byte == b'\n').filter_map(mount).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_top_is_found_by_its_type_alone() {
        let text = b"30 20 0:26 / /sys/fs/resctrl rw,relatime shared:9 - resctrl resctrl rw,mba_MBps\n\
            31 20 0:26 /web /srv/web rw - resctrl resctrl rw\n\
            32 20 0:27 / /sys/fs/resctrl2 rw - tmpfs resctrl rw\n\
            33 20 0:26 / /srv/a\\040b rw - resctrl none rw\nhalf a - resctrl\n";
        let expected = [(PathBuf::from("/sys/fs/resctrl"), true), (PathBuf::from("/srv/a b"), false)];
        assert_eq!(mounts(text), expected);
    }

    #[test]
    fn steps_of_bandwidth_are_the_kernels_word() {
        let scratch = testkit::Scratch::new("resctrl-step");
        std::fs::create_dir_all(scratch.join("info/SMBA")).expect("scratch is ours");
        std::fs::write(scratch.join("info/SMBA/bandwidth_gran"), "8\n").expect("scratch is ours");
        assert_eq!([step(&scratch.join("."), "SMBA"), step(&scratch.join("."), "MB")], [8, 1]);
    }
}
