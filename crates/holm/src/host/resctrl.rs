//! Where the file system resctrl is mounted (Documentation/filesystems/resctrl.rst). Reads only: nothing is mounted.

use crate::model::text::unescape;
use std::path::PathBuf;

/// What statfs(2) tells of it (linux/magic.h, RDTGROUP_SUPER_MAGIC).
const MAGIC: u64 = 0x0765_5821;

/// Where its top is mounted, and seen by this process; `None` if it isn't.
pub fn mounted() -> Option<PathBuf> {
    let text = std::fs::read("/proc/self/mountinfo").ok()?;
    // Another mount may lie over it.
    let is_seen = |point: &PathBuf| rustix::fs::statfs(point).is_ok_and(|about| about.f_type as u64 == MAGIC);
    points(&text).into_iter().find(is_seen)
}

/// The mount points in a text of proc_pid_mountinfo(5) that show it as a whole.
fn points(text: &[u8]) -> Vec<PathBuf> {
    let point = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
        let separator = fields.iter().position(|field| *field == b"-")?;
        let is_it = fields.get(separator + 1) == Some(&&b"resctrl"[..]) && fields.get(3) == Some(&&b"/"[..]);
        is_it.then(|| PathBuf::from(unescape(fields[4])))
    };
    text.split(|&byte| byte == b'\n').filter_map(point).collect()
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
        assert_eq!(points(text), [PathBuf::from("/sys/fs/resctrl"), PathBuf::from("/srv/a b")]);
    }
}
