//! What holm's tests share: the binary under test, the ordinary user, gates for what a machine may lack, and checks
//! that nothing is left behind.
//!
//! Tests run as root and as an ordinary user: the whole test program is run twice. A gate skips with a reason; with `CI`
//! set it fails instead.

pub mod archive;
pub mod forest;
pub mod killer;
pub mod random;
pub mod server;
pub mod tracer;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The binary `holm`: `HOLM` names it, else it is beside the test program.
///
/// # Panics
/// There is none; `cargo build` makes it.
pub fn holm() -> PathBuf {
    let named = std::env::var_os("HOLM").map(PathBuf::from);
    let path = named.unwrap_or_else(|| {
        let own = std::env::current_exe().expect("a test program has a path");
        own.ancestors().nth(2).expect("it is in target/PROFILE/deps").join("holm")
    });
    assert!(path.exists(), "{} is missing: cargo build makes it", path.display());
    path
}

/// A command that runs `holm run`.
pub fn run() -> Command {
    let mut command = Command::new(holm());
    command.arg("run");
    command
}

/// Whether the test runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the caller has ranges of ids (subuid(5)), and what maps them.
pub fn has_ranges() -> bool {
    let run = |argument: &str| {
        let done = Command::new("id").arg(argument).output();
        done.map(|done| String::from_utf8_lossy(&done.stdout).trim().to_owned()).unwrap_or_default()
    };
    let names = [run("-u"), run("-un")];
    let listed = |file: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| line.split(':').next().is_some_and(|owner| names.iter().any(|name| name == owner)))
    };
    listed("/etc/subuid") && listed("/etc/subgid") && Path::new("/usr/bin/newuidmap").exists()
}

/// The pid of the init of a sandbox whose program runs, by the pid of the `holm` that started it.
///
/// # Panics
/// It has none.
pub fn init_of(holm: u32) -> String {
    // A helper of the start may not be reaped yet.
    let is_init =
        |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "holm-init\n");
    children_of(holm).into_iter().find(is_init).expect("it has an init").to_string()
}

/// The pids of the children of all threads of a process, zombies included; none if it has ended.
pub fn children_of(pid: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    children
}

/// Says why a test is skipped; fails in CI, where everything must be there.
///
/// # Panics
/// `CI` is set.
pub fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "skipped in CI: {reason}");
    eprintln!("skipped: {reason}");
}

/// `all` where the whole of a proof is wished (`HOLM_PROOF=all`), else `some`.
pub fn much(some: usize, all: usize) -> usize {
    if std::env::var_os("HOLM_PROOF").is_some_and(|value| value == "all") { all } else { some }
}

/// What a sandbox could leave behind in this process and on this machine.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Traces {
    /// Open descriptors of this process, with what they are open on.
    pub descriptors: BTreeSet<String>,
    /// Children of this process, zombies included.
    pub children: BTreeSet<String>,
    /// Mounts of this mount namespace, but for those of tests that other processes run.
    pub mounts: String,
    /// Control groups that holm made for this process.
    pub cgroups: BTreeSet<PathBuf>,
}

impl Traces {
    /// Looks.
    pub fn now() -> Traces {
        let descriptors = std::fs::read_dir("/proc/self/fd")
            .expect("/proc is there")
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let target = std::fs::read_link(&path).ok()?;
                let own = target.starts_with(format!("/proc/{}/fd", std::process::id()));
                (!own).then(|| format!("{} -> {}", path.display(), target.display()))
            })
            .collect();
        let children = children_of(std::process::id()).iter().map(u32::to_string).collect();
        let mut cgroups = BTreeSet::new();
        find_own_groups(Path::new("/sys/fs/cgroup"), 8, &mut cgroups);
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("/proc is there");
        let own = format!("/holm-test-{}-", std::process::id());
        let is_ours = |line: &&str| !line.contains("/holm-test-") || line.contains(&own);
        let mounts = mounts.split_inclusive('\n').filter(is_ours).collect();
        Traces { descriptors, children, mounts, cgroups }
    }

    /// What there is since `before` and wasn't then, after a test that takes so long that others mount things meanwhile
    /// and use control groups: mounts count on `/` and in `scratch`, control groups if they stay without a process.
    pub fn left(before: &Traces, scratch: &Path) -> Vec<String> {
        let now = Traces::now();
        let point =
            |line: &&str| line.split(' ').nth(4).is_some_and(|at| at == "/" || Path::new(at).starts_with(scratch));
        let known: BTreeSet<&str> = before.mounts.lines().collect();
        let mounts = now.mounts.lines().filter(point).filter(|line| !known.contains(line)).map(str::to_owned);
        let idle = |group: &&PathBuf| {
            (0..100).all(|_| {
                std::thread::sleep(std::time::Duration::from_millis(20));
                std::fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|pids| pids.is_empty())
            })
        };
        let groups = now.cgroups.difference(&before.cgroups).filter(idle).map(|group| group.display().to_string());
        let descriptors = now.descriptors.difference(&before.descriptors).cloned();
        mounts.chain(groups).chain(descriptors).chain(now.children.difference(&before.children).cloned()).collect()
    }
}

fn find_own_groups(directory: &Path, depth: usize, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("holm-") && name.contains(&format!("-{}-", std::process::id())) {
                found.insert(entry.path());
            }
            if depth > 1 {
                find_own_groups(&entry.path(), depth - 1, found);
            }
        }
    }
}

/// A directory of this test, gone when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one; `name` tells tests apart.
    ///
    /// # Panics
    /// The temporary directory can't be written.
    pub fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("holm-test-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary directory can be written");
        Scratch(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::fs::remove_dir_all(&self.0).is_err() {
            // overlayfs leaves a directory of mode 000 in its work directory, and a store may have files of the caller's ranges of
            // ids.
            let _ = match is_root() {
                true => Command::new("chmod").args(["-R", "u+rwx"]).arg(&self.0).status(),
                false => {
                    Command::new("unshare").args(["-r", "--map-auto", "chmod", "-R", "a+rwx"]).arg(&self.0).status()
                }
            };
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
