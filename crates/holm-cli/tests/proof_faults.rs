//! Every system call of a set-up fails in turn, in every process, with EPERM, ENOMEM, EINTR and ENOSYS: holm says so and
//! exits with 125, or the program runs behind the very same walls. Nothing hangs, nothing survives, nothing is left.
//!
//! Each wish but the plainest has every sixteenth call only; with `HOLM_PROOF=all` it has all.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use testkit::tracer::{Call, Made, Run, run};
use testkit::{Scratch, Traces, holm};

const ERRNOS: [(&str, i32); 4] = [("EPERM", 1), ("ENOMEM", 12), ("EINTR", 4), ("ENOSYS", 38)];

/// Numbers of system calls (x86-64).
mod number {
    pub(super) const CLOSE: u64 = 3;
    pub(super) const MMAP: u64 = 9;
    pub(super) const MPROTECT: u64 = 10;
    pub(super) const MUNMAP: u64 = 11;
    pub(super) const BRK: u64 = 12;
    pub(super) const SIGACTION: u64 = 13;
    pub(super) const IOCTL: u64 = 16;
    /// ioctl_ns(2)
    pub(super) const NS_GET_USERNS: u64 = 0xb701;
    pub(super) const MREMAP: u64 = 25;
    pub(super) const MADVISE: u64 = 28;
    pub(super) const EXECVE: u64 = 59;
    pub(super) const FCNTL: u64 = 72;
    pub(super) const PRCTL: u64 = 157;
    pub(super) const GETRANDOM: u64 = 318;
    pub(super) const LANDLOCK_CREATE: u64 = 444;
    pub(super) const LANDLOCK_RESTRICT: u64 = 446;
    pub(super) const KEYCTL: u64 = 250;
    /// What always succeeds, or fails for wrong arguments only: ids (getuid(2), getgid(2), getppid(2), getpid(2)), umask(2),
    /// capget(2) of oneself, sigprocmask(2). rustix has no errors for most of them.
    pub(super) const SURE: [u64; 8] = [14, 39, 95, 102, 104, 107, 108, 110];
    pub(super) const CAPGET: u64 = 125;
    /// Those that take something away from the program, or apart from the host. What they did to mounts is compared as
    /// the program sees it.
    pub(super) const WALLS: [u64; 21] = [
        SIGACTION,
        95,
        112,
        114,
        116,
        117,
        119,
        126,
        PRCTL,
        155,
        170,
        KEYCTL,
        272,
        302,
        308,
        317,
        436,
        56,
        435,
        LANDLOCK_CREATE,
        LANDLOCK_RESTRICT,
    ];
}

/// What the program tells about its place.
const PROBE: [&str; 8] = [
    "cat",
    "/proc/self/status",
    "/proc/self/limits",
    "/proc/self/uid_map",
    "/proc/self/gid_map",
    "/proc/self/setgroups",
    "/proc/sys/kernel/hostname",
    "/proc/self/mountinfo",
];

/// What must be the same in each run.
struct Walls {
    /// Lines of the probe.
    lines: Vec<String>,
    mounts: Vec<String>,
    /// How often each call of `number::WALLS` succeeded, by process.
    made: BTreeMap<(usize, u64, u64), usize>,
}

impl Walls {
    fn of(run: &Run) -> Walls {
        let varies = |line: &str| {
            let names =
                ["Vm", "Rss", "Pid:", "Tgid", "Ngid", "PPid", "TracerPid", "Threads", "voluntary", "nonvol", "Hugetlb"];
            let machine =
                ["Cpus", "Mems", "Name", "State", "SigQ", "Kthread", "FDSize", "untag", "x86_", "Spec", "Core", "THP"];
            names.iter().chain(&machine).any(|name| line.starts_with(name))
        };
        let is_mount = |line: &&str| line.contains(" - ");
        let lines = run.output.lines().filter(|l| !is_mount(l) && !varies(l)).map(without_range).collect();
        // Without the numbers of mounts, devices and descriptors.
        let shown = |line: &str| {
            let rest = line.splitn(4, ' ').nth(3).unwrap_or_default();
            let options = rest.split(",lowerdir=").next().unwrap_or_default().split(',');
            options.map(owner_without_range).collect::<Vec<_>>().join(",")
        };
        let mounts = run.output.lines().filter(is_mount).map(shown).collect();
        let mut made = BTreeMap::new();
        for Made { call, arguments, .. } in run.made.iter().filter(|made| made.result >= 0 && matters(made)) {
            let kind = if call.number == number::PRCTL { arguments[0] } else { 0 };
            *made.entry((call.process, call.number, kind)).or_default() += 1;
        }
        Walls { lines, mounts, made }
    }

    /// What of these walls isn't as in `whole`.
    fn differ(&self, whole: &Walls) -> Option<String> {
        if self.lines != whole.lines {
            return Some(format!("{:?} instead of {:?}", self.lines, whole.lines));
        }
        if self.made != whole.made {
            let less = whole.made.iter().filter(|(key, count)| self.made.get(key) != Some(count));
            return Some(format!("(process, call, kind) and how often: {:?}", less.collect::<Vec<_>>()));
        }
        let more = self.mounts.iter().filter(|mount| !whole.mounts.contains(mount));
        let less = whole.mounts.iter().filter(|mount| !self.mounts.contains(mount));
        // A file of /etc that can't be looked at isn't shown, and one that can't be read doesn't tell where home is; all
        // else stays.
        let fresh =
            |mount: &&String| mount.contains(" /etc/") || mount.starts_with("/ /home/") && mount.contains(" tmpfs ");
        more.into_iter().chain(less).find(|mount| !fresh(mount)).map(|mount| format!("mount {mount:?}"))
    }
}

/// Where ids begin of which each run takes a range that nobody has.
const FIRST: u32 = 0x8_0000;

/// A line of the probe, a map of ids without its range.
fn without_range(line: &str) -> String {
    match line.split_whitespace().map(str::parse::<u32>).collect::<Vec<_>>()[..] {
        [Ok(inside), Ok(outside), Ok(count)] if outside >= FIRST => format!("{inside} to a range of {count}"),
        _ => line.to_owned(),
    }
}

/// An option of a mount, the owner without his range.
fn owner_without_range(option: &str) -> String {
    match option.split_once('=').map(|(key, id)| (key, id.parse::<u32>())) {
        Some((key @ ("uid" | "gid"), Ok(id))) if id >= FIRST => format!("{key}={}", id % 0x1_0000),
        _ => option.to_owned(),
    }
}

fn matters(made: &Made) -> bool {
    const SET_NAME: u64 = 15;
    const GET_DUMPABLE: u64 = 3;
    const SET_DUMPABLE: u64 = 4;
    let outside = made.call.process == 0;
    match (made.call.number, made.arguments[0]) {
        // A name is for people; the parent's own attribute is put back as it was.
        (number::PRCTL, SET_NAME | GET_DUMPABLE) => false,
        (number::PRCTL, SET_DUMPABLE) => !outside,
        // A question; whether there are rules then shows.
        (number::LANDLOCK_CREATE, 0) => false,
        // What the init closes for itself comes after the start.
        (436, 0) => false,
        // The parent's dispositions and limits are its own.
        (number::SIGACTION | 302, _) => !outside,
        (number, _) => number::WALLS.contains(&number),
    }
}

/// Why a call isn't made to fail.
fn left_out(made: &Made) -> Option<&'static str> {
    const GETFD: u64 = 1;
    match (made.call.number, made.arguments[1]) {
        (number::CLOSE, _) => Some("the descriptor is gone whatever it answers (close(2))"),
        (number::FCNTL, GETFD) => Some("a check of the standard library in debug builds"),
        (called, _) if number::SURE.contains(&called) => Some("it always succeeds, but for wrong arguments"),
        (number::CAPGET, _) => Some("of the process itself it always succeeds (capget(2))"),
        _ => None,
    }
}

/// What is wrong with a run in which `made` failed with `errno`.
fn judge(case: &Case, made: &Made, errno: i32, run: &Run) -> Option<String> {
    if run.hung || run.survivors > 0 {
        return Some(format!("hung: {}, survivors: {}", run.hung, run.survivors));
    }
    let called = made.call.number;
    let told = run.errors.starts_with("error: cannot ") || run.errors.starts_with("error: the ");
    match run.code {
        125 if told => None,
        126 | 127 if told && called == number::EXECVE => None,
        0 => {
            let mut walls = Walls::of(run);
            // ENOSYS, or EPERM from an outer filter.
            if errno == 38 || errno == 1 && made.call == case.version() {
                // A kernel without Landlock, or without keyrings: --explain says so, or there is nothing to hide.
                walls.machine_lacks(called, &case.whole);
            }
            if errno == 1 && (called, made.arguments[1]) == (number::IOCTL, number::NS_GET_USERNS) {
                // The caller's mounts are another's, then, and none of them is shown with its owners.
                walls.mounts.clone_from(&case.whole.mounts);
            }
            walls.differ(&case.whole).map(|what| format!("the program ran, with another {what}"))
        }
        // The runtime's calls before `main`, and memory: the process aborts, and has started nothing or ends it all.
        134 | 139 | 101 | 127 if case.is_runtime(made) => None,
        code => Some(format!("exit code {code}, {:?}", run.errors)),
    }
}

impl Walls {
    fn machine_lacks(&mut self, called: u64, whole: &Walls) {
        let gone: &[u64] = match called {
            number::LANDLOCK_CREATE => &[number::LANDLOCK_CREATE, number::LANDLOCK_RESTRICT],
            number::KEYCTL => &[number::KEYCTL],
            _ => &[],
        };
        let lacking = whole.made.iter().filter(|((_, number, _), _)| gone.contains(number));
        self.made.extend(lacking.map(|(key, count)| (*key, *count)));
    }
}

/// A wish, with what its run does when nothing fails.
struct Case {
    command: Vec<String>,
    calls: Vec<Made>,
    whole: Walls,
}

impl Case {
    fn new(options: &[&str]) -> Case {
        let holm = holm().to_string_lossy().into_owned();
        let words = [&*holm, "run"].into_iter().chain(options.iter().copied()).chain(PROBE);
        let command: Vec<String> = words.map(str::to_owned).collect();
        let run = start(&command, None);
        assert_eq!((run.code, run.hung, run.survivors), (0, false, 0), "{}", run.errors);
        Case { command, whole: Walls::of(&run), calls: run.made }
    }

    /// The question for Landlock's version.
    fn version(&self) -> Call {
        Call { process: 0, number: number::LANDLOCK_CREATE, earlier: 0 }
    }

    /// A call of the C and Rust runtimes before `main`, of the allocator, or for the seed of a hash.
    fn is_runtime(&self, made: &Made) -> bool {
        use number::{BRK, GETRANDOM, MADVISE, MMAP, MPROTECT, MREMAP, MUNMAP};
        const SIGCHLD: u64 = 17;
        // The first thing that `main` does after reading arguments.
        let main = self.calls.iter().position(|m| m.call.number == number::SIGACTION && m.arguments[0] == SIGCHLD);
        let place = self.calls.iter().position(|m| m.call == made.call);
        made.call.process == 0
            && (place < main || [BRK, GETRANDOM, MADVISE, MMAP, MPROTECT, MREMAP, MUNMAP].contains(&made.call.number))
    }

    /// Fails one call of every `step` in every way; what was wrong.
    fn fail_each(&self, step: usize) -> Vec<String> {
        let faults: Vec<(&Made, (&str, i32))> = self
            .calls
            .iter()
            .filter(|made| left_out(made).is_none())
            .step_by(step)
            .flat_map(|made| ERRNOS.map(|errno| (made, errno)))
            .collect();
        let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || {
            while let Some((made, (name, errno))) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                let run = start(&self.command, Some((made.call, *errno)));
                if let Some(what) = judge(self, made, *errno, &run) {
                    let what = format!("{:?} {:x?} with {name}: {what}", made.call, made.arguments);
                    wrong.lock().expect("no thread panics").push(what);
                }
            }
        };
        std::thread::scope(|scope| {
            let threads = std::thread::available_parallelism().map_or(2, usize::from);
            (0..threads).for_each(|_| drop(scope.spawn(work)));
        });
        eprintln!("{:?}: {} calls, {} faults", &self.command[2..], self.calls.len(), faults.len());
        wrong.into_inner().expect("no thread panics")
    }
}

fn start(command: &[String], fault: Option<(Call, i32)>) -> Run {
    run(&command.iter().map(String::as_str).collect::<Vec<_>>(), fault)
}

#[test]
fn a_system_call_that_fails_never_weakens_a_sandbox() {
    let scratch = Scratch::new("proof-faults");
    std::fs::create_dir(scratch.join("d")).expect("scratch is ours");
    let before = Traces::now();
    let mut wrong = Case::new(&[]).fail_each(1);
    let rest = testkit::much(16, 1);
    let bind = format!("{}:/s", scratch.join("d").display());
    let layers = format!("/o:lower={},tmp", scratch.join("d").display());
    std::fs::write(scratch.join("f"), "text").expect("scratch is ours");
    let file = format!("{}:/f", scratch.join("f").display());
    let operations = format!(
        "--overlay --bind-rw {bind} --tmpfs /m:size=1M --overlay-mount {layers} --dir /m/d --file {file} --symlink f:/l \
         --chmod 600:/f --mask /f --remount-ro /m --mqueue /q"
    );
    let rest_of_it = "--user 5:6 --tty=always --cap-add chown --sys ro --time-offset boot=1h";
    for options in [&operations, rest_of_it] {
        wrong.extend(Case::new(&options.split_whitespace().collect::<Vec<_>>()).fail_each(rest));
    }
    assert_eq!(Traces::left(&before, scratch.path()), [""; 0]);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
