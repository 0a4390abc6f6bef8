//! The life of a program: exit codes, signals, descriptors, environment, and that nothing outlives its owner.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use testkit::{holm, run};

fn code(script: &str) -> Option<i32> {
    run().args(["bash", "-c", script]).stdin(Stdio::null()).status().expect("holm starts").code()
}

/// Waits until `done`, at most five seconds.
fn within(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(5), "not within five seconds: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process on this machine has `mark` among its arguments.
fn runs(mark: &str) -> bool {
    let own = std::process::id().to_string();
    fs::read_dir("/proc").expect("/proc is there").flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        entry.file_name() != own.as_str() && String::from_utf8_lossy(&line).contains(mark)
    })
}

/// Starts a script that says when it is ready.
fn start(options: &[&str], script: &str) -> Child {
    let mut child = run()
        .args(options)
        .args(["bash", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("holm starts");
    let mut byte = [0];
    child.stdout.as_mut().expect("it is piped").read_exact(&mut byte).expect("the script says that it is ready");
    child
}

fn signal(pid: u32, name: &str) {
    let done = Command::new("kill").args([name, &pid.to_string()]).status().expect("kill is there");
    assert!(done.success());
}

#[test]
fn exit_codes_are_a_shells() {
    assert_eq!(code("exit 7"), Some(7));
    assert_eq!(code("kill -TERM $$"), Some(143));
    assert_eq!(code("kill -KILL $$"), Some(137));
    assert_eq!(code("kill -SEGV $$"), Some(139));
    let status = |program: &str| run().arg(program).stderr(Stdio::null()).status().expect("holm starts").code();
    assert_eq!(status("no-such-program"), Some(127));
    assert_eq!(status("/etc/passwd"), Some(126));
    assert_eq!(status("/usr"), Some(126));
    let own = Command::new(holm()).args(["run", "--no-such-option"]).stderr(Stdio::null()).status();
    assert_eq!(own.expect("holm starts").code(), Some(125));
}

#[test]
fn signals_reach_the_program_and_its_own_exit_code_is_kept() {
    for name in ["TERM", "INT", "HUP", "USR1", "USR2", "QUIT"] {
        let script = format!("trap 'exit 9' {name}; echo; while :; do sleep 0.05; done");
        let mut child = start(&[], &script);
        signal(child.id(), &format!("-{name}"));
        assert_eq!(child.wait().expect("it is ours").code(), Some(9), "{name}");
    }
    let mut child = start(&[], "echo; exec sleep 60");
    signal(child.id(), "-TERM");
    assert_eq!(child.wait().expect("it is ours").code(), Some(143));
}

#[test]
fn killing_holm_leaves_no_process() {
    for options in [&[][..], &["--share", "pid"]] {
        let mark = format!("77{}{}", std::process::id(), options.len());
        let mut child = start(options, &format!("(setsid sleep {mark} &) ; echo; sleep {mark}"));
        within("they run", || runs(&mark));
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        within("they are gone", || !runs(&mark));
    }
}

#[test]
fn killing_holms_parent_leaves_no_process() {
    let mark = format!("78{}", std::process::id());
    let script = format!("{} run bash -c 'echo; sleep {mark}' & wait", holm().display());
    let mut parent = Command::new("bash").args(["-c", &script]).stdout(Stdio::piped()).spawn().expect("bash starts");
    parent.stdout.as_mut().expect("it is piped").read_exact(&mut [0]).expect("it is ready");
    parent.kill().expect("it is ours");
    parent.wait().expect("it is ours");
    within("all are gone", || !runs(&mark));
}

#[test]
fn a_thread_that_ends_does_not_end_what_it_started() {
    let started = std::thread::spawn(|| start(&[], "echo; sleep 0.5; exit 6"));
    let mut child = started.join().expect("the thread starts it");
    assert_eq!(child.wait().expect("it is ours").code(), Some(6));
}

#[test]
fn background_processes_end_with_the_program_unless_waited_for() {
    let start = Instant::now();
    assert_eq!(code("sleep 30 & exit 4"), Some(4));
    assert!(start.elapsed() < Duration::from_secs(10));
    let done = run().args(["--wait-all", "sh", "-c", "(sleep 0.3; echo late) & exit 5"]).output().expect("holm starts");
    assert_eq!((done.status.code(), &*done.stdout), (Some(5), &b"late\n"[..]));
}

#[test]
fn orphans_are_reaped() {
    let script = "for i in 1 2 3; do (true &) ; done; sleep 0.3; grep -l 'State:.Z' /proc/[0-9]*/status | wc -l";
    let done = run().args(["bash", "-c", script]).output().expect("holm starts");
    assert_eq!(done.stdout, b"0\n");
}

#[test]
fn pipes_are_passed_unchanged() {
    let data: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut child = run().arg("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("holm starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let sent = data.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent));
    let mut seen = Vec::new();
    child.stdout.take().expect("it is piped").read_to_end(&mut seen).expect("it can be read");
    writer.join().expect("it does not panic").expect("cat reads all");
    assert!(child.wait().expect("it is ours").success());
    assert!(seen == data, "{} bytes of {}", seen.len(), data.len());
}

#[test]
fn a_closed_standard_input_is_an_empty_one() {
    let script = format!("{} run cat <&-", holm().display());
    let done = Command::new("sh").args(["-c", &script]).output().expect("sh starts");
    assert_eq!((done.status.code(), &*done.stdout), (Some(0), &b""[..]), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn descriptors_are_closed_unless_passed() {
    let script = |options: &str| {
        let line = format!(
            "{} run {options} sh -c 'ls /proc/self/fd | tr \"\\n\" \" \"; cat <&5' 5</etc/hostname 6</etc/hostname 2>/dev/null",
            holm().display()
        );
        let done = Command::new("sh").args(["-c", &line]).output().expect("sh starts");
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let name = fs::read_to_string("/etc/hostname").expect("the host has a name");
    assert_eq!(script(""), "0 1 2 3 ");
    assert_eq!(script("--pass-fd 5"), format!("0 1 2 3 5 {name}"));
}

#[test]
fn the_environment_is_clean_unless_wished() {
    let names = |options: &[&str]| {
        let done =
            run().args(options).arg("/usr/bin/env").env("SECRET", "x").env("LANG", "C").env("TERM", "dumb").output();
        let text = String::from_utf8_lossy(&done.expect("holm starts").stdout).into_owned();
        let mut names: Vec<String> = text.lines().filter_map(|l| Some(l.split_once('=')?.0.to_owned())).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names(&[]), "HOME LANG PATH SHELL TERM USER");
    assert_eq!(names(&["--env", "SECRET", "--env", "NEW=1"]), "HOME LANG NEW PATH SECRET SHELL TERM USER");
    assert!(names(&["--env-all"]).contains("SECRET"));
}

#[test]
fn signal_dispositions_mask_and_umask_are_reset() {
    let line = format!(
        "umask 077; trap '' INT QUIT; {} run sh -c 'grep -E \"Sig(Ign|Blk)\" /proc/self/status; umask'",
        holm().display()
    );
    let done = Command::new("sh").args(["-c", &line]).output().expect("sh starts");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0022\n");
}

#[test]
fn a_directory_that_exists_inside_is_kept() {
    let pwd = |from: &str, options: &[&str]| {
        let done = run().args(options).arg("pwd").current_dir(from).output().expect("holm starts");
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    };
    assert_eq!(pwd("/usr/bin", &[]), "/usr/bin");
    assert_eq!(pwd("/proc/sys/kernel", &["--chdir", "/usr"]), "/usr");
    assert_eq!(pwd("/sys", &[]), "/");
}

#[test]
fn the_zeroth_argument_can_be_chosen() {
    let done =
        run().args(["--arg0", "other", "bash", "-c", "echo $BASH_ARGV0; tr '\\0' ' ' < /proc/$$/cmdline"]).output();
    assert!(String::from_utf8_lossy(&done.expect("holm starts").stdout).contains("other -c"));
}
