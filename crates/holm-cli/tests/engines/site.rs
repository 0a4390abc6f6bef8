//! What an engine is given: a directory of its own, an image, a name of the runtime; and a look at what it leaves behind.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use testkit::{Scratch, holm};

/// Programs of the image.
const PROGRAMS: &str = "bins:sh,busybox,cat,chmod,env,grep,id,ls,mkdir,mount,ps,rm,sleep,stat,touch,true,uname";

/// A place for one engine.
pub(crate) struct Site {
    pub(crate) scratch: Scratch,
}

/// What a command did.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Site {
    /// Makes one, with an image as `tiny.tar`; `None`, with a word about it, where a program is missing.
    pub(crate) fn new(name: &str, needed: &[&str]) -> Option<Site> {
        let lacks = |program: &&&str| {
            let found = |directory: &str| Path::new(directory).join(program).exists();
            !["/usr/bin", "/usr/sbin", "/usr/local/bin"].iter().any(|directory| found(directory))
        };
        // The image has it, too.
        if let Some(missing) = needed.iter().chain(&["busybox"]).find(lacks) {
            testkit::skip(&format!("{missing} is missing: test.sh installs it"));
            return None;
        }
        let site = Site { scratch: Scratch::new(name) };
        std::os::unix::fs::symlink(holm(), site.runtime()).expect("it is new");
        site.root(&["build", "--quiet", PROGRAMS, "tiny"]);
        site.root(&["export", "tiny", &site.path("tiny.tar")]);
        Some(site)
    }

    /// `holm root` on the site's own store, which has `tiny`.
    pub(crate) fn root(&self, arguments: &[&str]) {
        let mut command = Command::new(holm());
        command
            .arg("root")
            .args(arguments)
            .env("HOLM_STORE", self.path("store"))
            .env("XDG_CACHE_HOME", self.path("cache"));
        self.done(command).expect_code(0);
    }

    /// A path in its directory.
    pub(crate) fn path(&self, name: &str) -> String {
        self.scratch.join(name).to_str().expect("it is text").to_owned()
    }

    /// The runtime, by a name that makes it one.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.scratch.join("holm-oci")
    }

    /// Settings of containerd (config.toml) for what it would else make in places of the machine's.
    pub(crate) fn containerd_places(&self) -> String {
        format!("[plugins.\"io.containerd.internal.v1.opt\"]\npath = {:?}\n", self.path("opt"))
    }

    /// The control group below which everything of this engine is.
    pub(crate) fn group(&self) -> String {
        let name = self.scratch.path().file_name().and_then(|name| name.to_str()).expect("it is text");
        format!("{name}-groups")
    }

    /// Runs a command to its end, which takes at most a minute.
    pub(crate) fn done(&self, command: Command) -> Done {
        let mut limited = Command::new("timeout");
        limited.args(["--kill-after=5", "60"]).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        let output = limited.current_dir(self.scratch.path()).output().expect("timeout(1) is there");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Done { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Fails the test if something stays on the machine.
    pub(crate) fn expect_nothing_left(&self) {
        expect_none(|| self.left());
    }

    /// Fails the test if a process of it stays, as [`Site::expect_nothing_left`] does.
    pub(crate) fn expect_no_process(&self) {
        expect_none(|| self.processes());
    }

    /// What is left of it on the machine: processes, mounts, control groups with processes. Empty groups are removed.
    fn left(&self) -> Vec<String> {
        let processes = self.processes().into_iter().map(|(pid, line)| format!("process {pid}: {line}"));
        let groups = self.groups().into_iter().filter(|group| !remove_groups(group));
        processes.chain(self.mounts()).chain(groups.map(|group| group.display().to_string())).collect()
    }

    /// The processes that have its directory among their arguments.
    fn processes(&self) -> Vec<(i32, String)> {
        let own = self.path("");
        let of = |entry: std::fs::DirEntry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(&own).then_some((pid, line))
        };
        std::fs::read_dir("/proc").expect("it is there").flatten().filter_map(of).collect()
    }

    /// What is mounted in its directory.
    fn mounts(&self) -> Vec<String> {
        let own = self.path("");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("it is there");
        let point = |line: &str| line.split(' ').nth(4).map(str::to_owned);
        mounts.lines().filter_map(point).filter(|point| point.starts_with(&own)).collect()
    }

    /// Its control groups.
    fn groups(&self) -> Vec<PathBuf> {
        let top = Path::new("/sys/fs/cgroup");
        let below = std::fs::read_dir(top).into_iter().flatten().flatten().map(|entry| entry.path());
        let all = below.chain([top.to_owned()]).map(|hierarchy| hierarchy.join(self.group()));
        all.filter(|group| group.exists()).collect()
    }
}

/// A test that failed leaves nothing, either.
impl Drop for Site {
    fn drop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process};
        if !std::thread::panicking() {
            return;
        }
        for pid in self.processes().into_iter().filter_map(|(pid, _)| Pid::from_raw(pid)) {
            let _ = kill_process(pid, Signal::KILL);
        }
        for pid in self.groups().iter().flat_map(|group| members(group)).filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        for point in self.mounts().iter().rev() {
            let _ = Command::new("umount").args(["--lazy", point]).status();
        }
        self.left();
    }
}

/// The processes in a control group and in those below it.
fn members(group: &Path) -> Vec<i32> {
    let own = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let mut all: Vec<i32> = own.lines().filter_map(|line| line.parse().ok()).collect();
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.extend(members(&entry.path()));
        }
    }
    all
}

/// Removes a control group with those below it, unless a process is in one.
fn remove_groups(group: &Path) -> bool {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    (0..50).any(|_| {
        std::fs::remove_dir(group).is_ok() || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            false
        }
    })
}

impl Done {
    /// Fails the test unless the command ended so.
    pub(crate) fn expect_code(self, code: i32) -> Done {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }

    /// The output of a command that must have succeeded.
    pub(crate) fn text(self) -> String {
        self.expect_code(0).out
    }
}

/// Fails the test if something stays. What was killed may take a moment.
fn expect_none<T: std::fmt::Debug>(left: impl Fn() -> Vec<T>) {
    let mut found = left();
    let mut tries = 100;
    while !found.is_empty() && tries > 0 {
        std::thread::sleep(std::time::Duration::from_millis(50));
        (found, tries) = (left(), tries - 1);
    }
    assert!(found.is_empty(), "left: {found:#?}");
}

/// Waits until something holds.
pub(crate) fn eventually(what: impl Fn() -> bool) {
    let begin = std::time::Instant::now();
    while !what() {
        assert!(begin.elapsed() < std::time::Duration::from_secs(60), "it never happened");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
