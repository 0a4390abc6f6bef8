//! How a program ends and what a signal does: exit codes, forwarding, reaping, and that nothing outlives its owner.

mod patience;

use patience::{Running, output, within};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use testkit::{Scratch, holm, run};

fn code(script: &str) -> Option<i32> {
    output(run().args(["bash", "-c", script]).stdin(Stdio::null())).status.code()
}

/// Starts a script that says when it is ready.
fn start(options: &[&str], script: &str) -> Running {
    Running::ready(run().args(options).args(["bash", "-c", script]))
}

/// A program that says that it is ready and handles no signal. (bash loses one that comes just before its `exec`.)
const DEFAULTS: [&str; 3] = ["perl", "-e", "$| = 1; print qq(\\n); sleep 60"];

fn signal(to: &Running, name: &str) {
    let done = Command::new("kill").args([&format!("-{name}"), &to.child.id().to_string()]).status();
    assert!(done.expect("kill is there").success(), "{name}");
}

/// A number of seconds to sleep that no other process on this machine has among its arguments.
fn mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("7{}.{:03}1", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The processes on this machine with `mark` among their arguments: pid, and pid in the innermost namespace.
fn marked(mark: &str) -> Vec<(String, String)> {
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").expect("/proc is there").flatten().filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let pid = entry.file_name().into_string().ok()?;
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let inner = status.lines().find_map(|l| l.strip_prefix("NSpid:")?.split_whitespace().last())?;
        (pid != own && String::from_utf8_lossy(&line).contains(mark)).then(|| (pid, inner.to_owned()))
    });
    processes.collect()
}

/// The processes whose pid namespace has this link, without zombies, which wait for who inherits them.
fn members(namespace: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("/proc is there").flatten().filter_map(|entry| {
        let link = fs::read_link(entry.path().join("ns/pid")).ok()?;
        let alive = !fs::read(entry.path().join("cmdline")).ok()?.is_empty();
        (alive && link.to_string_lossy() == namespace).then(|| entry.file_name().to_string_lossy().into_owned())
    });
    processes.collect()
}

/// The state letter of the program that runs with `mark` as pid 2 of a sandbox.
fn state(mark: &str) -> Option<char> {
    let (pid, _) = marked(mark).into_iter().find(|(_, inner)| inner == "2")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("State:")?.trim().chars().next())
}

#[test]
fn exit_codes_are_a_shells() {
    assert_eq!(code("exit 7"), Some(7));
    assert_eq!(code("exit 255"), Some(255));
    for (name, number) in [("TERM", 15), ("KILL", 9), ("SEGV", 11), ("INT", 2), ("PIPE", 13)] {
        assert_eq!(code(&format!("kill -{name} $$")), Some(128 + number), "{name}");
    }
}

#[test]
fn what_cannot_be_found_is_127_and_what_cannot_be_executed_126() {
    let scratch = Scratch::new("codes");
    for (name, content, mode) in [("plain", "#!/bin/sh\n", 0o644), ("script", "true\n", 0o755)] {
        fs::write(scratch.join(name), content).expect("scratch is ours");
        fs::set_permissions(scratch.join(name), fs::Permissions::from_mode(mode)).expect("scratch is ours");
    }
    let status = |program: &str| {
        let bind = format!("{}:/x", scratch.path().display());
        let done = output(run().args(["--bind", &bind, program]).stdin(Stdio::null()));
        (done.status.code(), String::from_utf8_lossy(&done.stderr).starts_with("error: cannot "))
    };
    for program in ["no-such-program", "/no/such/program", "/usr/bin/env/below-a-file"] {
        assert_eq!(status(program), (Some(127), true), "{program}");
    }
    for program in ["/etc/passwd", "/usr", "/x/plain", "/x/script"] {
        assert_eq!(status(program), (Some(126), true), "{program}");
    }
}

#[test]
fn failures_of_holms_own_are_125() {
    let wrong: [&[&str]; 4] = [
        &["--no-such-option"],
        &["--chdir", "/no/such/directory", "true"],
        &["--bind", "/no/such/source", "true"],
        &["--pass-fd", "99", "true"],
    ];
    for options in wrong {
        assert_eq!(output(run().args(options)).status.code(), Some(125), "{options:?}");
    }
}

#[test]
fn a_trapped_signal_leaves_the_exit_code_to_the_program() {
    for name in ["TERM", "INT", "HUP", "USR1", "USR2", "QUIT", "ALRM"] {
        let mut child = start(&[], &format!("trap 'exit 9' {name}; echo; while :; do sleep 0.02; done"));
        signal(&child, name);
        assert_eq!(child.code(), Some(9), "{name}");
    }
}

#[test]
fn a_signal_that_is_not_trapped_ends_the_program() {
    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1), ("USR1", 10), ("USR2", 12), ("QUIT", 3)] {
        let mut child = Running::ready(run().args(DEFAULTS));
        signal(&child, name);
        assert_eq!(child.code(), Some(128 + number), "{name}");
    }
}

#[test]
fn real_time_signals_reach_the_program() {
    for (name, number) in [("34", 34), ("39", 39), ("64", 64)] {
        let mut child = Running::ready(run().args(DEFAULTS));
        signal(&child, name);
        assert_eq!(child.code(), Some(128 + number), "{name}");
    }
    let mut child = start(&[], "trap 'exit 9' RTMIN+1; echo; while :; do sleep 0.02; done");
    signal(&child, "35");
    assert_eq!(child.code(), Some(9));
}

#[test]
fn signals_that_the_caller_blocks_or_ignores_are_passed_on() {
    for option in ["--block-signal=TERM", "--ignore-signal=TERM"] {
        let mut child = Running::ready(Command::new("env").arg(option).arg(holm()).arg("run").args(DEFAULTS));
        signal(&child, "TERM");
        assert_eq!(child.code(), Some(143), "{option}");
    }
}

#[test]
fn a_flood_of_signals_does_not_hide_the_last() {
    let mut child = start(&[], "trap : USR1; trap 'exit 9' TERM; echo; while :; do sleep 0.02; done");
    let pid = child.child.id().to_string();
    let flood = format!("for i in $(seq 500); do kill -USR1 {pid}; done; kill -TERM {pid}");
    assert!(output(Command::new("bash").args(["-c", &flood])).status.success());
    assert_eq!(child.code(), Some(9));
}

#[test]
fn a_stopped_program_gets_its_signals_when_it_goes_on() {
    let mark = mark();
    let mut child = start(&[], &format!("trap 'exit 9' TERM; echo; kill -STOP $$; sleep {mark} & wait"));
    within(5, "it stops", || state(&mark) == Some('T'));
    signal(&child, "TERM");
    std::thread::sleep(Duration::from_millis(200));
    assert!(child.child.try_wait().expect("it is ours").is_none());
    signal(&child, "CONT");
    assert_eq!(child.code(), Some(9));
}

/// Kills holm while these run: the program, a child of it, one in a session of its own, and a stopped one.
fn killed(options: &[&str]) {
    let mark = mark();
    let script =
        format!("(setsid sleep {mark} &); (sleep {mark} & kill -STOP $!); trap '' HUP TERM INT; echo; sleep {mark}");
    let mut child = start(options, &script);
    let shared = options.contains(&"pid") || options.contains(&"--join");
    within(5, "all run", || marked(&mark).len() >= 5);
    let (program, _) = marked(&mark).into_iter().find(|(_, inner)| shared || inner == "2").expect("it runs");
    let namespace =
        fs::read_link(format!("/proc/{program}/ns/pid")).expect("it is ours").to_string_lossy().into_owned();
    child.child.kill().expect("it is ours");
    child.child.wait().expect("it is ours");
    within(2, &format!("they are gone: {options:?}"), || {
        marked(&mark).is_empty() && (shared || members(&namespace).is_empty())
    });
}

#[test]
fn killing_holm_leaves_no_process() {
    killed(&[]);
    killed(&["--wait-all"]);
    killed(&["-t"]);
}

/// Options that join the namespaces of a sandbox that runs, so long as what is returned beside lives.
fn joined() -> (Running, [String; 4]) {
    let holder = start(&[], "echo; exec sleep 60");
    let init = testkit::init_of(holder.child.id());
    let options = ["--join".to_owned(), format!("user={init}"), "--join".to_owned(), format!("pid={init}")];
    (holder, options)
}

#[test]
fn killing_holm_leaves_no_process_in_a_pid_namespace_that_is_shared_or_joined() {
    killed(&["--share", "pid"]);
    let (mut holder, options) = joined();
    killed(&options.each_ref().map(String::as_str));
    assert!(holder.child.try_wait().expect("it is ours").is_none());
}

#[test]
fn the_end_of_the_program_is_the_end_of_all_in_a_pid_namespace_that_is_shared_or_joined() {
    let (mut holder, options) = joined();
    for options in [&["--share".to_owned(), "pid".to_owned()][..], &options] {
        let mark = mark();
        let script = format!("(setsid sleep {mark} &); (sleep {mark} & kill -STOP $!); sleep {mark} & exit 6");
        let done = output(run().args(options).args(["bash", "-c", &script]).stdin(Stdio::null()));
        assert_eq!((done.status.code(), marked(&mark)), (Some(6), vec![]), "{options:?}");
    }
    assert!(holder.child.try_wait().expect("it is ours").is_none());
}

#[test]
fn a_chain_of_processes_each_of_which_starts_the_next_ends_with_holm() {
    let mark = mark();
    let chain = format!("# {mark}\nif (fork()) {{ print qq(x\\n); sleep 60 }} while (1) {{ exit if fork() }}");
    let mut child = Running::ready(run().args(["--share", "pid", "perl", "-e", &format!("$| = 1; {chain}")]));
    child.child.kill().expect("it is ours");
    child.child.wait().expect("it is ours");
    within(5, "the chain ends", || marked(&mark).is_empty());
}

#[test]
fn killing_holms_parent_leaves_no_process() {
    let mark = mark();
    let script = format!("{} run bash -c '(setsid sleep {mark} &); echo; sleep {mark}'; exit", holm().display());
    let mut parent = Running::ready(Command::new("sh").args(["-c", &script]));
    parent.child.kill().expect("it is ours");
    parent.child.wait().expect("it is ours");
    within(2, "all are gone", || marked(&mark).is_empty());
}

#[test]
fn holm_goes_on_if_its_starter_has_ended_before_it_begins() {
    let scratch = Scratch::new("orphan");
    let (go, out) = (scratch.join("go"), scratch.join("out"));
    assert!(Command::new("mkfifo").arg(&go).status().expect("mkfifo is there").success());
    let script = format!(
        "(read -r line <{}; exec {} run sh -c 'sleep 0.3; echo over') >{} 2>&1 &",
        go.display(),
        holm().display(),
        out.display()
    );
    assert!(Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).status().expect("sh is there").success());
    fs::write(&go, "\n").expect("somebody reads");
    within(10, "it runs to its end", || fs::read_to_string(&out).is_ok_and(|said| said == "over\n"));
}

#[test]
fn killing_holm_while_it_starts_leaves_no_process() {
    let mark = mark();
    for round in 0..40 {
        let mut child = Running::new(run().args(["sleep", &mark]).stderr(Stdio::null()));
        std::thread::sleep(Duration::from_micros(400 * round));
        signal(&child, if round % 2 == 0 { "KILL" } else { "TERM" });
        child.code();
    }
    within(2, "all are gone", || marked(&mark).is_empty());
}

#[test]
fn a_thread_that_ends_does_not_end_what_it_started() {
    let started = std::thread::spawn(|| start(&[], "echo; sleep 0.5; exit 6"));
    let mut child = started.join().expect("the thread starts it");
    assert_eq!(child.code(), Some(6));
}

#[test]
fn background_processes_end_with_the_program_unless_waited_for() {
    assert_eq!(code("sleep 600 & exit 4"), Some(4));
    let done = output(run().args(["--wait-all", "sh", "-c", "(sleep 0.3; echo late) & exit 5"]));
    assert_eq!((done.status.code(), &*done.stdout), (Some(5), &b"late\n"[..]));
}

#[test]
fn a_signal_ends_the_wait_for_background_processes() {
    for name in ["TERM", "INT"] {
        let mark = mark();
        let mut child = start(&["--wait-all"], &format!("trap '' TERM; (trap '' TERM; sleep {mark}) & echo; exit 5"));
        within(5, "the program ends", || state(&mark).is_none());
        // Its end may not have been told yet, and until then it's the one who ignores the signal.
        within(5, "holm ends", || {
            signal(&child, name);
            child.child.try_wait().expect("it is ours").is_some()
        });
        assert_eq!((child.code(), marked(&mark)), (Some(5), vec![]), "{name}");
    }
}

#[test]
fn the_program_is_pid_2_and_its_parent_pid_1() {
    let done = output(run().args(["sh", "-c", "echo $$ $PPID"]));
    assert_eq!(String::from_utf8_lossy(&done.stdout), "2 1\n");
}

#[test]
fn orphans_are_reaped() {
    let script = "for i in $(seq 300); do (true &) ; done; sleep 0.3; grep -l 'State:.Z' /proc/[0-9]*/status | wc -l";
    let done = output(run().args(["bash", "-c", script]));
    assert_eq!(String::from_utf8_lossy(&done.stdout), "0\n");
}

#[test]
fn a_caller_that_ignores_its_childrens_ends_still_gets_the_exit_code() {
    let mut env = Command::new("env");
    let script = "(sleep 0.1 &); sleep 0.2; grep -l 'State:.Z' /proc/[0-9]*/status | wc -l; exit 3";
    let done = output(env.arg("--ignore-signal=CHLD").arg(holm()).args(["run", "bash", "-c", script]));
    assert_eq!(
        (done.status.code(), &*done.stdout),
        (Some(3), &b"0\n"[..]),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}
