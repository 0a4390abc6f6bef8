//! What a program finds when it starts: pipes, descriptors, environment, directory, and no trace of the caller's habits.

mod patience;

use patience::{Running, output, within};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use testkit::{Scratch, holm, run};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a line of shell in which `holm` is the binary under test.
fn shell(line: &str) -> Output {
    output(Command::new("bash").args(["-c", &line.replace("holm ", &format!("{} ", holm().display()))]))
}

/// Starts a script at pipes.
fn piped(script: &str) -> Running {
    Running::new(run().args(["bash", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()))
}

#[test]
fn pipes_are_passed_unchanged() {
    let data: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut child = piped("exec cat");
    let mut stdin = child.child.stdin.take().expect("it is piped");
    let sent = data.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent));
    let mut seen = Vec::new();
    child.child.stdout.take().expect("it is piped").read_to_end(&mut seen).expect("it can be read");
    writer.join().expect("it does not panic").expect("cat reads all");
    assert_eq!(child.code(), Some(0));
    assert!(seen == data, "{} bytes of {}", seen.len(), data.len());
}

#[test]
fn a_slow_reader_gets_all() {
    let mut child = piped("head -c 2000000 /dev/zero; exit 3");
    let mut stdout = child.child.stdout.take().expect("it is piped");
    let (mut part, mut seen) = ([0; 50_000], 0);
    while let length @ 1.. = stdout.read(&mut part).expect("it can be read") {
        seen += length;
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!((seen, child.code()), (2_000_000, Some(3)));
}

#[test]
fn standard_error_stays_apart() {
    let done = output(run().args(["sh", "-c", "echo out; echo err >&2"]));
    assert_eq!((text(&done.stdout), text(&done.stderr)), ("out\n".to_owned(), "err\n".to_owned()));
}

/// Reads `a` and the end of the output of a program that goes on.
fn ends_though_it_goes_on(child: &mut Running) {
    let mut stdout = child.child.stdout.take().expect("it is piped");
    let (sender, seen) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let read = stdout.read_to_end(&mut all);
        sender.send((read.is_ok(), all))
    });
    let all = seen.recv_timeout(Duration::from_secs(10)).expect("the end is seen");
    assert_eq!(all, (true, b"a\n".to_vec()));
    assert!(child.child.try_wait().expect("it is ours").is_none());
}

#[test]
fn output_that_the_program_closes_ends_though_it_goes_on() {
    let mut child = piped("echo a; exec >&-; sleep 60");
    ends_though_it_goes_on(&mut child);
}

#[test]
fn input_that_the_program_closes_breaks_though_it_goes_on() {
    let mut child = piped("exec <&-; sleep 60");
    let mut stdin = child.child.stdin.take().expect("it is piped");
    within(10, "the pipe breaks", || match stdin.write(b"x") {
        Ok(_) => false,
        Err(error) => error.kind() == ErrorKind::BrokenPipe,
    });
    assert!(child.child.try_wait().expect("it is ours").is_none());
}

#[test]
fn a_reader_that_leaves_ends_the_writer_by_a_signal() {
    let done = shell("holm run yes | head -n 1; echo ${PIPESTATUS[0]}");
    assert_eq!(text(&done.stdout), "y\n141\n");
}

#[test]
fn closed_standard_descriptors_are_empty_ones() {
    let done = shell("holm run cat <&-");
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), String::new()), "{}", text(&done.stderr));
    let done = shell("holm run sh -c 'echo lost; echo said >&2; exit 4' >&-");
    assert_eq!((done.status.code(), text(&done.stderr)), (Some(4), "said\n".to_owned()));
    let done = shell("holm run sh -c 'ls /proc/self/fd' <&- 2>&-");
    assert_eq!(text(&done.stdout), "0\n1\n2\n3\n");
}

#[test]
fn descriptors_are_closed_unless_passed() {
    let listed = |options: &str| {
        let list = "ls /proc/self/fd | tr \"\\n\" \" \"; cat <&5";
        let done = shell(&format!("holm run {options} sh -c '{list}' 5</etc/hostname 6</etc/hostname 2>/dev/null"));
        text(&done.stdout)
    };
    let name = fs::read_to_string("/etc/hostname").expect("the host has a name");
    assert_eq!(listed(""), "0 1 2 3 ");
    assert_eq!(listed("--pass-fd 5"), format!("0 1 2 3 5 {name}"));
    assert_eq!(listed("--pass-fd 6 --pass-fd 5"), format!("0 1 2 3 5 6 {name}"));
}

#[test]
fn no_descriptor_of_holms_own_can_be_named() {
    let close = "for n in 3 4 5 6 7 8 9; do eval \"exec $n<&-\"; done;";
    for option in ["--pass-fd $n", "--join net=fd:$n", "--bind-data fd:$n:/tmp/x", "--bind fd:$n:/mnt"] {
        let done = shell(&format!("{close} for n in 3 4 5 6 7 8 9; do holm run {option} true; echo $?; done"));
        assert_eq!(text(&done.stdout), "125\n".repeat(7), "{option}: {}", text(&done.stderr));
        for number in 3..10 {
            let told = format!("cannot use descriptor {number}: it is not open");
            assert!(text(&done.stderr).contains(&told), "{option}: {}", text(&done.stderr));
        }
    }
}

#[test]
fn a_passed_descriptor_keeps_its_number_and_ends_with_the_program() {
    let done =
        shell("{ holm run --pass-fd 77 sh -c 'echo lost; echo kept >/proc/self/fd/77' 77>&1 >/dev/null; } | cat");
    assert_eq!(text(&done.stdout), "kept\n");
    let done = shell("echo far | holm run --pass-fd 200 cat /proc/self/fd/200 200<&0 </dev/null");
    assert_eq!(text(&done.stdout), "far\n");
}

#[test]
fn a_passed_pipe_that_the_program_closes_ends_though_it_goes_on() {
    let line = "exec HOLM run --pass-fd 3 sh -c 'echo a >&3; exec 3>&-; exec sleep 60' 3>&1 >/dev/null";
    let line = line.replace("HOLM", &holm().display().to_string());
    let mut child = Running::new(Command::new("bash").args(["-c", &line]).stdout(Stdio::piped()));
    ends_though_it_goes_on(&mut child);
}

/// What the program finds in its environment, sorted.
fn environment(options: &[&str], caller: &[(&str, &str)]) -> Vec<String> {
    let mut command = run();
    let done = output(command.args(options).arg("/usr/bin/env").env_clear().envs(caller.iter().copied()));
    let mut lines: Vec<String> = text(&done.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn the_environment_is_clean() {
    let entry = shell("getent passwd $(id -u)");
    let entry = text(&entry.stdout);
    let fields: Vec<&str> = entry.trim_end().split(':').collect();
    let expected = [
        format!("HOME={}", fields[5]),
        "LANG=C".to_owned(),
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        format!("SHELL={}", fields[6]),
        "TERM=dumb".to_owned(),
        format!("USER={}", fields[0]),
    ];
    let caller = [("SECRET", "x"), ("LANG", "C"), ("TERM", "dumb"), ("PATH", "/bin"), ("HOME", "/x"), ("USER", "y")];
    assert_eq!(environment(&[], &caller), expected);
    let names: Vec<String> =
        environment(&[], &[]).iter().filter_map(|l| Some(l.split_once('=')?.0.to_owned())).collect();
    assert_eq!(names, ["HOME", "PATH", "SHELL", "USER"]);
}

#[test]
fn variables_are_passed_and_set_on_wish() {
    let caller = [("SECRET", "x"), ("OTHER", "z")];
    let seen = environment(&["--env", "SECRET", "--env", "NEW=1=2", "--env", "EMPTY=", "--env", "UNSET"], &caller);
    for line in ["SECRET=x", "NEW=1=2", "EMPTY="] {
        assert!(seen.iter().any(|l| l == line), "{line} in {seen:?}");
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
    let seen = environment(&["--env", "HOME=/one", "--env", "HOME=/two", "--env", "SECRET"], &caller);
    assert!(seen.contains(&"HOME=/two".to_owned()) && seen.len() == 5, "{seen:?}");
    assert_eq!(environment(&["--env-all"], &caller), ["OTHER=z", "SECRET=x"]);
    assert_eq!(environment(&["--env-all", "--env", "OTHER=1"], &caller), ["OTHER=1", "SECRET=x"]);
}

#[test]
fn the_program_is_looked_up_on_the_path_that_it_gets() {
    let done = output(run().args(["--env", "PATH=/nowhere", "true"]));
    assert_eq!(done.status.code(), Some(127));
    let scratch = Scratch::new("path");
    fs::copy("/bin/true", scratch.join("own-program")).expect("scratch is ours");
    let bind = format!("{}:/x", scratch.path().display());
    let done = output(run().args(["--bind", &bind, "--env", "PATH=/nowhere:/x", "own-program"]));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
}

#[test]
fn a_directory_that_exists_inside_is_kept() {
    let scratch = Scratch::new("directory");
    let own = scratch.path().to_str().expect("it has a plain name");
    let pwd = |from: &str, options: &[&str]| {
        let done = output(run().args(options).arg("pwd").current_dir(from));
        text(&done.stdout).trim_end().to_owned()
    };
    assert_eq!(pwd("/usr/bin", &[]), "/usr/bin");
    assert_eq!(pwd("/proc/sys/kernel", &["--chdir", "/usr"]), "/usr");
    assert_eq!(pwd("/sys", &[]), "/");
    assert_eq!(pwd(own, &[]), "/");
    assert_eq!(pwd(own, &["--bind", "."]), own);
}

#[test]
fn the_zeroth_argument_can_be_chosen() {
    let done = output(run().args(["--arg0", "other", "bash", "-c", "tr '\\0' ' ' < /proc/$$/cmdline"]));
    assert!(text(&done.stdout).starts_with("other -c "), "{}", text(&done.stdout));
    let done = output(run().args(["--arg0=-bash", "bash", "-c", "shopt -q login_shell && echo login"]));
    assert_eq!(text(&done.stdout), "login\n");
}

#[test]
fn dispositions_mask_and_umask_of_the_caller_are_reset() {
    let ask = "grep -E \"Sig(Ign|Blk)\" /proc/self/status; umask";
    let expected = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0022\n";
    for caller in ["--ignore-signal", "--block-signal", "--ignore-signal=INT,QUIT,TSTP,TTOU,CHLD --block-signal=HUP"] {
        let done = shell(&format!("umask 077; exec env {caller} holm run sh -c '{ask}'"));
        assert_eq!(text(&done.stdout), expected, "{caller}: {}", text(&done.stderr));
    }
}

#[test]
fn a_root_that_is_an_overlay_is_made_where_only_the_caller_may_search() {
    let scratch = Scratch::new("private");
    fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o700)).expect("scratch is ours");
    let done = output(run().args(["--root", "bins:true", "true"]).current_dir(scratch.path()));
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn what_prints_ends_quietly_when_nobody_reads() {
    let scratch = Scratch::new("nobody-reads");
    for arguments in [
        "--help",
        "run --help",
        "run --explain true",
        "run --explain=json true",
        "run --explain=sh true",
        "learn true",
        "generate man",
        "generate completions bash",
        "root ls",
        "root ls --json",
        "root du",
        "diff",
    ] {
        let (reader, writer) = std::io::pipe().expect("there are descriptors");
        drop(reader);
        let mut command = Command::new(holm());
        let command = command.args(arguments.split(' ')).env("HOLM_STORE", scratch.join("store"));
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("holm starts");
        let done = child.wait_with_output().expect("a child of ours");
        let said = text(&done.stderr);
        assert_eq!((done.status.code(), said.as_str()), (Some(0), ""), "{arguments}");
    }
}
