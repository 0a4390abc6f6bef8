//! Where control groups can be made: the caller's own group in each hierarchy (cgroups(7)), and what stands in the way.
//!
//! Version 1 has a hierarchy for each controller or a few; version 2 has one for all. On a hybrid machine some controllers
//! are here, some there. Reads only.

use crate::model::group::{Owner, Version};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::path::{Path, PathBuf};

/// Where groups can be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    /// The caller's own group in each mounted hierarchy of version 1.
    pub legacy: Vec<Legacy>,
    /// Groups of version 2 below which one could be made, the best first.
    pub unified: Vec<Unified>,
}

/// A group of version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Legacy {
    /// The controllers of its hierarchy.
    pub controllers: Vec<String>,
    /// Where it is.
    pub directory: PathBuf,
    /// Whether the caller may make groups below it.
    pub writable: bool,
}

/// A group of version 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unified {
    /// Where it is.
    pub directory: PathBuf,
    /// The controllers that it has (`cgroup.controllers`).
    pub available: Vec<String>,
    /// Those that groups below it have (`cgroup.subtree_control`).
    pub enabled: Vec<String>,
    /// Whether the caller may make groups below it, move itself there and enable controllers for them.
    pub writable: bool,
    /// Which processes are in it: a group with any can't enable controllers below it.
    pub members: Members,
    /// Whether it is the machine's topmost one, for which that rule doesn't hold.
    pub top: bool,
}

/// Which processes are in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Members {
    /// None.
    Nobody,
    /// The caller's process and no other.
    Caller,
    /// Others, too.
    Others,
}

impl Groups {
    /// Looks.
    pub(crate) fn probe(privileged: bool) -> Groups {
        let mut groups = Groups::default();
        for Hierarchy { version, mounted, controllers, own } in hierarchies() {
            match version {
                Version::Two => groups.unified = unified(own, mounted, privileged),
                Version::One => {
                    let writable = may_write(&own);
                    groups.legacy.push(Legacy { controllers, directory: own, writable });
                }
            }
        }
        groups
    }
}

/// A mounted hierarchy of control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Of which version it is.
    pub version: Version,
    /// Where it is mounted.
    pub mounted: PathBuf,
    /// Its controllers; one of version 1 may have a name instead, `name=systemd`.
    pub controllers: Vec<String>,
    /// The caller's own group.
    pub own: PathBuf,
}

/// The hierarchies that this process sees, with its own groups.
pub fn hierarchies() -> Vec<Hierarchy> {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let mounts = mounts(&read(Path::new("/proc/self/mountinfo")));
    let of = |(controllers, group): (Vec<String>, PathBuf)| {
        let (own, mounted) = find(&mounts, &controllers, &group)?;
        if !controllers.is_empty() {
            return Some(Hierarchy { version: Version::One, mounted, controllers, own });
        }
        let available = read(&mounted.join("cgroup.controllers"));
        let controllers = available.split_whitespace().map(str::to_owned).collect();
        Some(Hierarchy { version: Version::Two, mounted, controllers, own })
    };
    own(&read(Path::new("/proc/self/cgroup"))).into_iter().filter_map(of).collect()
}

/// Where a group with these controllers is, and the mount that shows it.
fn find(mounts: &[Mount], controllers: &[String], group: &Path) -> Option<(PathBuf, PathBuf)> {
    let fits = |mount: &&Mount| match controllers.is_empty() {
        true => mount.kind == "cgroup2",
        false => mount.kind == "cgroup" && controllers.iter().all(|c| mount.options.contains(c)),
    };
    let place = |mount: &Mount| Some((locate(mount, group)?, mount.point.clone()));
    mounts.iter().filter(fits).filter_map(place).find(|(directory, _)| directory.is_dir())
}

/// The directories of the groups in a text of `/proc/PID/cgroup` that this mount namespace shows.
pub(crate) fn directories(groups: &str) -> Vec<PathBuf> {
    seen(groups).into_iter().filter_map(|seen| seen.directory).collect()
}

/// A group of a process, where this process sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its hierarchy's controllers; version 2 has none there.
    pub(crate) controllers: Vec<String>,
    /// The group as the kernel tells it.
    pub(crate) group: PathBuf,
    /// Where it is; `None` if no mount shows it.
    pub(crate) directory: Option<PathBuf>,
}

/// The groups of a process, by the text of its `/proc/PID/cgroup`.
pub(crate) fn seen(groups: &str) -> Vec<Seen> {
    let mounts = mounts(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
    let place = |(controllers, group): (Vec<String>, PathBuf)| {
        let directory = find(&mounts, &controllers, &group).map(|(directory, _)| directory);
        Seen { controllers, group, directory }
    };
    own(groups).into_iter().map(place).collect()
}

/// The users whose a group is, in each hierarchy where this process sees one there: who owns it chose its name, or had root choose it.
pub fn users(group: &Path) -> Vec<u32> {
    use std::os::unix::fs::MetadataExt;
    let mounts = mounts(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
    let directories = mounts.iter().filter_map(|mount| locate(mount, group));
    directories.filter_map(|directory| Some(std::fs::metadata(directory).ok()?.uid())).collect()
}

/// This process, as an owner of groups; `None` without a /proc.
pub(crate) fn this_process() -> Option<Owner> {
    use std::os::unix::fs::MetadataExt;
    let namespace = std::fs::metadata("/proc/self/ns/pid").ok()?.ino();
    let pid = std::process::id() as i32;
    Some(Owner { namespace, pid, start: start_of(pid)? })
}

/// When a process of this pid namespace started.
pub(crate) fn start_of(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses, which may hold any; the start is the 22nd.
    text[text.rfind(')')? + 2..].split(' ').nth(19)?.parse().ok()
}

/// What is left in `directory` of owners, in this pid namespace, that are gone.
pub(crate) fn left_behind(directory: &Path) -> Vec<PathBuf> {
    let Some(own) = this_process() else { return Vec::new() };
    let is_left = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        let owner = name.to_str().and_then(Owner::of).filter(|owner| owner.namespace == own.namespace);
        owner.is_some_and(|owner| start_of(owner.pid) != Some(owner.start))
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(is_left).map(|entry| entry.path()).collect()
}

/// Each mount in a text of `mountinfo` with each group in a text of `cgroup` that it shows, whether or not there is anything.
pub(crate) fn located(mountinfo: &str, groups: &str) -> Vec<(PathBuf, PathBuf)> {
    let (mounts, groups) = (mounts(mountinfo), own(groups));
    let below = |mount: &Mount, group: &Path| Some((mount.point.clone(), locate(mount, group)?));
    mounts.iter().flat_map(|mount| groups.iter().filter_map(|(_, group)| below(mount, group))).collect()
}

struct Mount {
    kind: String,
    root: PathBuf,
    point: PathBuf,
    options: Vec<String>,
}

/// Mounts of control groups in a text of proc(5), `mountinfo`.
fn mounts(text: &str) -> Vec<Mount> {
    let parse = |line: &str| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let mut fields = file_system.split(' ');
        let kind = fields.next().filter(|kind| kind.starts_with("cgroup"))?;
        let options = fields.nth(1)?.split(',').map(str::to_owned).collect();
        Some(Mount { kind: kind.to_owned(), root: root.into(), point: point.into(), options })
    };
    text.lines().filter_map(parse).collect()
}

/// Controllers, with commas, and group of each hierarchy, of a text of /proc/PID/cgroup (cgroups(7)); version 2 has no controllers there.
pub fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'))
}

/// The same, taken apart.
pub fn own(text: &str) -> Vec<(Vec<String>, PathBuf)> {
    let controllers = |text: &str| text.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect();
    lines(text).map(|(all, group)| (controllers(all), PathBuf::from(group))).collect()
}

/// Where a group is below a mount; `None` if it is outside of what the mount or the cgroup namespace shows.
fn locate(mount: &Mount, group: &Path) -> Option<PathBuf> {
    let below = group.strip_prefix(&mount.root).ok()?;
    let leads_out = below.components().any(|part| !matches!(part, std::path::Component::Normal(_)));
    // Joined with nothing, a path would get a slash at its end.
    let here = if below == Path::new("") { mount.point.clone() } else { mount.point.join(below) };
    (!leads_out).then_some(here)
}

pub(crate) fn may_write(path: &Path) -> bool {
    accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

/// The one above the caller's, if holm moved the caller out of it; the caller's; and for root the topmost one.
fn unified(own: PathBuf, point: PathBuf, privileged: bool) -> Vec<Unified> {
    let name = own.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let moved = Owner::of(name).is_some_and(|owner| Some(owner) == this_process());
    let above = own.parent().filter(|_| moved).map(Path::to_owned);
    let mut places: Vec<PathBuf> = above.into_iter().collect();
    places.push(own);
    if privileged && !places.contains(&point) {
        places.push(point);
    }
    places.into_iter().map(look).collect()
}

fn look(directory: PathBuf) -> Unified {
    let words = |name: &str| {
        let text = std::fs::read_to_string(directory.join(name)).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let members = words("cgroup.procs");
    let own = std::process::id().to_string();
    Unified {
        available: words("cgroup.controllers"),
        enabled: words("cgroup.subtree_control"),
        writable: ["", "cgroup.procs", "cgroup.subtree_control"].iter().all(|name| may_write(&directory.join(name))),
        members: match &members[..] {
            [] => Members::Nobody,
            [one] if *one == own => Members::Caller,
            _ => Members::Others,
        },
        top: !directory.join("cgroup.type").exists(),
        directory,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_below_its_mount_only() {
        let text = "38 31 0:37 / /sys/fs/cgroup/systemd rw shared:9 - cgroup cgroup rw,name=systemd\n\
                    41 31 0:38 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n1 1 0:1 / / rw - ext4 /dev/vda rw\n";
        let mounts = mounts(text);
        assert_eq!(mounts.len(), 2);
        assert_eq!(locate(&mounts[1], Path::new("/a/b")), Some("/sys/fs/cgroup/b".into()));
        assert_eq!(locate(&mounts[1], Path::new("/c")), None);
        assert_eq!(locate(&mounts[0], Path::new("/../c")), None);
        let rootless = Mount { root: PathBuf::new(), ..self::mounts(text).remove(0) };
        assert_eq!(locate(&rootless, Path::new("/c")), None);
    }

    #[test]
    fn own_groups_have_their_controllers() {
        let found = own("4:cpu,cpuacct:/x:y\n0::/user.slice\n");
        assert_eq!(found[0], (vec!["cpu".to_owned(), "cpuacct".to_owned()], "/x:y".into()));
        assert_eq!(found[1], (Vec::new(), "/user.slice".into()));
    }

    #[test]
    fn this_process_is_its_own_owner() {
        let owner = this_process().expect("/proc is there");
        assert_eq!((owner.pid, start_of(owner.pid)), (std::process::id() as i32, Some(owner.start)));
    }
}
