//! What is read rather than tried: settings, limits and what is used of them, ids, security modules, what can be seen of
//! others. What can't be read is a fact, too.

use super::Asked;
use super::aside::{Alone, aside};
use super::facts::{Caller, Container, Facts, Gauge, Given, Helper, Ids, Layout, Measure, Security, Sight, Spot};
use crate::host::groups::may_write;
use crate::host::limits::number;
use crate::host::ranges::{self, Ranges};
use crate::host::{self, Host};
use crate::inspect::live::Live;
use crate::inspect::machine::{Link, Machine};
use crate::inspect::maker::{Clues, Tool, maker};
use crate::model::limit::Resource;
use crate::model::namespace::{FIRST_PID, Namespace};
use crate::spec::Spec;
use crate::spec::limits::Limits;
use rustix::fs::StatVfsMountFlags;
use rustix::process::Rlimit;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is looked at for a plan, read by what plans: that of a sandbox with these limits.
pub(super) fn host(tried: &Facts, limits: Limits) -> Host {
    let landlock = if tried.kills_for("landlock_create_ruleset") { 0 } else { crate::sys::landlock::version() };
    let mut spec = Spec::new("true");
    spec.limits = limits;
    Host::with_landlock(&spec, landlock)
}

/// The facts that are read, beside those that were tried.
pub(super) fn facts(tried: Facts, host: &Host) -> Facts {
    let name = host.user.as_ref().map(|account| account.name.clone());
    let mounts = text("/proc/self/mountinfo");
    let (sight, machine) = sight(&tried.kills_sight());
    let caller = Caller {
        uid: host.uid,
        privileged: host.privileged,
        in_first_user_namespace: host::limits::in_first_user_namespace(),
        program: std::env::current_exe().ok(),
        name,
    };
    Facts {
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        container: container(),
        ids: ids(host),
        gauges: gauges(&caller, machine.as_ref(), &mounts),
        security: security(host),
        layout: layout(&mounts),
        sight,
        covered: covered(&mounts),
        programs: vec![("pasta", host::helper("pasta").is_some())],
        caller,
        ..tried
    }
}

fn text(path: &str) -> String {
    // Bytes of others, such as paths of mounts, need not be UTF-8.
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn setting(name: &str) -> Option<u64> {
    number(&format!("/proc/sys/{name}"))
}

fn ids(host: &Host) -> Ids {
    let name = host.user.as_ref().map(|account| account.name.as_str());
    let given = |file: &str| match Ranges::read(Path::new(file)) {
        Ok(all) => Given {
            own: all.of(host.uid, name),
            shared_with: all.shared_with(host.uid, name),
            unread: None,
            next: all.next(),
        },
        Err(errno) => Given { unread: Some(errno), ..Given::default() },
    };
    Ids {
        users: given("/etc/subuid"),
        groups: given("/etc/subgid"),
        newuidmap: helper("newuidmap"),
        newgidmap: helper("newgidmap"),
        own_mapped: ranges::is_mapped("/proc/self/uid_map", host.uid)
            && ranges::is_mapped("/proc/self/gid_map", host.gid),
        root_mapped: ranges::is_mapped("/proc/self/uid_map", 0),
        free: host.range.is_some(),
    }
}

fn helper(name: &str) -> Option<Helper> {
    use std::os::unix::fs::MetadataExt;
    let path = host::helper(name)?;
    let found = std::fs::metadata(&path).ok()?;
    let mut capabilities = [0u8; 64];
    let nosuid = rustix::fs::statvfs(&path).is_ok_and(|facts| facts.f_flag.contains(StatVfsMountFlags::NOSUID));
    Some(Helper {
        set_user_id: found.uid() == 0 && found.mode() & 0o4000 != 0,
        capabilities: rustix::fs::getxattr(&path, "security.capability", &mut capabilities[..]).is_ok(),
        nosuid: nosuid.then(|| mount_point(&path)),
        path,
    })
}

/// Where the file system that a path is on is mounted: the last mount whose place is above it.
fn mount_point(path: &Path) -> String {
    let whole = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mounts = text("/proc/self/mountinfo");
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    points.filter(|point| whole.starts_with(point)).max_by_key(|point| point.len()).unwrap_or("/").to_owned()
}

fn gauges(caller: &Caller, machine: Option<&Machine>, mounts: &str) -> Vec<Gauge> {
    let uid = caller.uid;
    let mut all = Vec::new();
    let mut add = |name, most: Option<u64>, used| all.extend(most.map(|most| Gauge { name, most, used, hard: None }));
    for kind in Namespace::ALL {
        let most = setting(&format!("user/max_{}_namespaces", kind.name()));
        add(Measure::Namespaces(kind), most, machine.map(|machine| made_by(machine, kind, uid)));
    }
    // The fourth field of /proc/loadavg is `running/all`, of processes and threads.
    let tasks = text("/proc/loadavg").split(' ').nth(3).and_then(|field| field.split_once('/')?.1.parse().ok());
    add(Measure::Pids, setting("kernel/pid_max"), tasks);
    add(Measure::Mounts, setting("fs/mount-max"), Some(mounts.lines().count() as u64));
    let (keys, used) = keys(&text("/proc/key-users"), caller, setting("kernel/keys/root_maxkeys"));
    add(keys, setting(&keys.name().replace('.', "/")), used);
    let mut add = |resource, limit, used| {
        let Rlimit { current, maximum } = rustix::process::getrlimit(limit);
        let gauge =
            |most| Gauge { name: Measure::Limit(resource), most, used, hard: Some(maximum.unwrap_or(u64::MAX)) };
        all.extend(current.map(gauge));
    };
    let processes = machine.map(|machine| machine.processes.iter().filter(|process| process.uid == uid).count() as u64);
    add(Resource::PROCESSES, rustix::process::Resource::Nproc, processes);
    let open = std::fs::read_dir("/proc/self/fd").map(|entries| entries.count() as u64).ok();
    add(Resource::OPEN_FILES, rustix::process::Resource::Nofile, open);
    all
}

/// How many namespaces of a kind a user made, as far as they can be seen with a process in them.
fn made_by(machine: &Machine, kind: Namespace, uid: u32) -> u64 {
    let is_own = |found: &&crate::inspect::machine::Found| match (kind, found.owner) {
        (Namespace::User, _) => found.uid == Some(uid),
        (_, Link::To(owner)) => machine.namespaces[owner].uid == Some(uid),
        _ => false,
    };
    machine.namespaces.iter().filter(|found| found.kind == kind).filter(is_own).count() as u64
}

/// Which limit of keys holds for the caller, and how many count: lines are `UID: USAGE KEYS/INSTANTIATED COUNTED/MOST BYTES/MOST`
/// (keyrings(7)). Root of a user namespace may be the machine's, which its own line tells by the limit of the machine's root.
pub(super) fn keys(text: &str, caller: &Caller, of_root: Option<u64>) -> (Measure, Option<u64>) {
    let uid = caller.uid.to_string();
    let line = text.lines().find(|line| line.trim_start().split(':').next() == Some(&*uid));
    let counted = line.and_then(|line| line.split_whitespace().nth(3)?.split_once('/'));
    let most = counted.and_then(|(_, most)| most.parse::<u64>().ok());
    let is_root = caller.uid == 0 && most.map_or(caller.in_first_user_namespace, |most| Some(most) == of_root);
    let used = match counted {
        Some((used, _)) => used.parse().ok(),
        // Who isn't listed has none.
        None => (!text.is_empty()).then_some(0),
    };
    (if is_root { Measure::RootKeys } else { Measure::Keys }, used)
}

fn security(host: &Host) -> Security {
    let status = text("/proc/self/status");
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u32>().ok());
    let causes = crate::error::causes();
    let modules = text("/sys/kernel/security/lsm");
    // Of the modules that may tell here, AppArmor alone writes `NAME (MODE)`, or `unconfined`.
    let confined = text("/proc/self/attr/apparmor/current").trim_end_matches(['\n', '\0']).to_owned();
    Security {
        modules: modules.trim().split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        userns_clone: causes.userns_clone,
        apparmor_restrict: causes.apparmor,
        apparmor_profile: Some(confined).filter(|profile| !profile.is_empty() && profile != "unconfined"),
        selinux_enforcing: number("/sys/fs/selinux/enforce").map(|value: u64| value == 1),
        memfd_noexec: causes.memfd_noexec,
        no_new_privileges: field("NoNewPrivs:") == Some(1),
        filtered: field("Seccomp:") == Some(2),
        landlock: host.landlock,
        chroot: causes.chroot,
        initramfs: causes.initramfs,
    }
}

pub(super) fn layout(mounts: &str) -> Layout {
    let has = |kind: &str| mounts.lines().any(|line| line.contains(&format!(" - {kind} ")));
    match (has("cgroup"), has("cgroup2")) {
        (true, true) => Layout::Hybrid,
        (true, false) => Layout::Legacy,
        (false, true) => Layout::Unified,
        (false, false) => Layout::None,
    }
}

/// The mounts below /proc, where a whole one has but binfmt_misc's, which the kernel puts on an empty directory.
pub(super) fn covered(mounts: &str) -> Vec<String> {
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let below = points.filter(|point| point.starts_with("/proc/") && *point != "/proc/sys/fs/binfmt_misc");
    below.map(str::to_owned).collect()
}

/// What is seen of others, unless looking at them kills.
fn sight(killing: &[&str]) -> (Sight, Option<Machine>) {
    let ptrace_scope = setting("kernel/yama/ptrace_scope");
    if !killing.is_empty() {
        return (Sight { ptrace_scope, ..Sight::default() }, None);
    }
    match Live::new().and_then(|mut live| live.update()) {
        Ok(machine) => {
            let (processes, closed) = (machine.processes.len(), machine.unread.processes);
            let sight = Sight { ptrace_scope, hidden: machine.unread.hidden, processes, closed, unreadable: None };
            (sight, Some(machine))
        }
        Err(error) => (Sight { ptrace_scope, unreadable: Some(error.to_string()), ..Sight::default() }, None),
    }
}

/// How long a file system may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The places, each asked by a thread: a file system on a network may never answer, and whoever asks it is left behind then.
pub(super) fn spots(asked: &Asked) -> Vec<Spot> {
    let ask = |(name, path): &(&'static str, PathBuf)| {
        let (name, place) = (*name, path.clone());
        match aside(PATIENCE, move || spot(name, &place)) {
            Ok(spot) => spot,
            Err(Alone::Silent) => {
                Spot { name, directory: path.clone(), file_system: "no answer".to_owned(), writable: false }
            }
            Err(Alone::NoThread) => spot(name, path),
        }
    };
    asked.places.iter().map(ask).collect()
}

/// A place, or what is there of it.
fn spot(name: &'static str, path: &Path) -> Spot {
    let directory = path.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("/")).to_owned();
    let magic = rustix::fs::statfs(&directory).map(|facts| facts.f_type as u64).unwrap_or_default();
    Spot { name, writable: may_write(&directory), file_system: file_system(magic), directory }
}

/// File systems by their magic numbers (statfs(2)); others by their number.
fn file_system(magic: u64) -> String {
    const KNOWN: [(u64, &str); 14] = [
        (0xef53, "ext4"),
        (0x5846_5342, "xfs"),
        (0x9123_683e, "btrfs"),
        (0x0102_1994, "tmpfs"),
        (0x794c_7630, "overlay"),
        (0x6969, "nfs"),
        (0x6573_5546, "fuse"),
        (0x2fc1_2fc1, "zfs"),
        (0xf2f5_2010, "f2fs"),
        (0x4d44, "vfat"),
        (0xff53_4d42, "cifs"),
        (0x0102_1997, "9p"),
        (0x8584_58f6, "ramfs"),
        (0xca45_1a4e, "bcachefs"),
    ];
    let known = KNOWN.iter().find(|(number, _)| *number == magic);
    known.map_or_else(|| format!("{magic:#x}"), |(_, name)| (*name).to_owned())
}

/// Which container this is in, by what it puts into its root, its pid 1's environment and its control group.
fn container() -> Option<Container> {
    if is_first_pid_namespace() {
        // Files that a container has are on machines, too, whose root was made of an image.
        return None;
    }
    let clues = |pid: &str| Clues {
        groups: text(&format!("/proc/{pid}/cgroup")),
        program: std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default().display().to_string(),
        ..Clues::default()
    };
    let is = |path: &str| PathBuf::from(path).exists();
    let first = text("/proc/1/environ");
    let named = first.split('\0').find_map(|line| line.strip_prefix("container=").map(str::to_owned));
    let named = named.or_else(|| Some(text("/run/systemd/container")).filter(|name| !name.is_empty()));
    match named.as_deref().map(str::trim) {
        _ if text("/proc/1/comm") == "holm-init\n" => Some(Container::Holm),
        _ if is("/run/secrets/kubernetes.io") => Some(Container::Kubernetes),
        _ if is("/run/.containerenv") => Some(Container::Podman),
        _ if is("/.dockerenv") => Some(Container::Docker),
        _ if is("/.flatpak-info") => Some(Container::Flatpak),
        Some("docker") => Some(Container::Docker),
        Some("podman") => Some(Container::Podman),
        Some("lxc" | "lxc-libvirt") => Some(Container::Lxc),
        Some("systemd-nspawn") => Some(Container::Nspawn),
        Some("flatpak") => Some(Container::Flatpak),
        Some(_) => Some(Container::Other),
        None => maker(&clues("self")).and_then(|maker| by_tool(maker.tool)),
    }
}

/// Whether the processes seen here are all of the machine's.
fn is_first_pid_namespace() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/pid").is_ok_and(|found| found.ino() == FIRST_PID)
}

/// What a control group tells; whatever isn't a container is left out.
fn by_tool(tool: Tool) -> Option<Container> {
    Some(match tool {
        Tool::Docker => Container::Docker,
        Tool::Podman => Container::Podman,
        Tool::Kubernetes => Container::Kubernetes,
        Tool::Lxc => Container::Lxc,
        Tool::Nspawn => Container::Nspawn,
        Tool::Containerd => Container::Other,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_told_apart() {
        let (one, two) = ("1 2 0:1 / /a rw - cgroup cgroup rw,cpu\n", "1 2 0:1 / /b rw - cgroup2 cgroup2 rw\n");
        assert_eq!([layout(""), layout(one), layout(two)], [Layout::None, Layout::Legacy, Layout::Unified]);
        assert_eq!(layout(&format!("{one}{two}")), Layout::Hybrid);
    }

    #[test]
    fn mounts_below_proc_cover_it() {
        let text = "1 2 0:1 / /proc rw - proc proc rw\n1 2 0:1 / /proc/kcore ro - tmpfs tmpfs rw\n\
                    1 2 0:1 / /proc/sys/fs/binfmt_misc rw - autofs x rw\n1 2 0:1 / /process rw - tmpfs x rw\n";
        assert_eq!(covered(text), ["/proc/kcore"]);
    }

    #[test]
    fn keys_are_counted_by_user_and_root_has_a_limit_of_its_own() {
        let text = "    0:     9 8/8 3/1000000 40/25000000\n 1000:     4 4/4 190/200 40/20000\n";
        let caller = |uid| Caller { uid, in_first_user_namespace: true, ..Caller::default() };
        let of_root = Some(1_000_000);
        assert_eq!(keys(text, &caller(0), of_root), (Measure::RootKeys, Some(3)));
        assert_eq!(keys(text, &caller(1000), of_root), (Measure::Keys, Some(190)));
        assert_eq!(keys(text, &caller(100), of_root), (Measure::Keys, Some(0)));
        assert_eq!(keys("", &caller(0), of_root), (Measure::RootKeys, None));
        let inside = Caller { in_first_user_namespace: false, ..caller(0) };
        assert_eq!(keys(text, &inside, of_root), (Measure::RootKeys, Some(3)), "root is root outside");
        assert_eq!(keys("    0: 4 4/4 1/200 9/20000\n", &inside, of_root), (Measure::Keys, Some(1)));
    }
}
