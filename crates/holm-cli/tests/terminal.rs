//! The program's own terminal, seen from a real one: its name and size, its end, and the caller's out of reach.

mod patience;
mod screen;

use patience::{Running, output, within};
use screen::Screen;
use std::io::Read;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use testkit::{holm, run};

/// The binary's path, as text.
fn binary() -> String {
    holm().display().to_string()
}

/// A shell line in which `holm` is the binary under test.
fn line(line: &str) -> String {
    line.replace("holm ", &format!("{} ", binary()))
}

fn shell(text: &str) -> Output {
    output(Command::new("bash").args(["-c", &line(text)]))
}

/// Processor time that a process has used, in clock ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // After the name, which may hold anything, come the state and so on; utime and stime are fields 14 and 15 (proc(5)).
    let fields = line.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11);
    fields.take(2).map(|ticks| ticks.parse::<u64>().expect("it is a number")).sum()
}

#[test]
fn a_shell_at_a_terminal_gets_one_of_its_own_with_its_size() {
    let mut screen = Screen::new(&[&binary(), "run", "sh"]);
    screen.keys("echo size $(stty size) name $(tty)\n");
    screen.expect("size 24 100 name /dev/pts/0");
    screen.keys("exit 5\n");
    screen.ends_with(5);
}

#[test]
fn what_is_entered_gets_a_terminal_of_the_place() {
    let name = format!("t{}-tty", std::process::id());
    let mut sandbox = run();
    let _sandbox = Running::ready(sandbox.args(["--name", &name, "sh", "-c", "echo ready; exec sleep 80"]));
    let mut screen = Screen::new(&[&binary(), "enter", &name]);
    screen.keys("echo size $(stty size) name $(tty)\n");
    screen.expect("size 24 100 name /dev/pts/0");
    screen.keys("exit 5\n");
    screen.ends_with(5);
}

#[test]
fn the_terminal_inside_is_another_one() {
    let ask = "stat -L -c at-%d-%i- /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2";
    let mut screen = Screen::new(&["sh", "-c", &line(&format!("{ask}; echo; holm run -t {ask}; echo end"))]);
    let mut seen = Vec::new();
    for _ in 0..6 {
        screen.expect("at-");
        seen.push(screen.until("\r\n"));
    }
    assert!(seen[0] == seen[1] && seen[0] == seen[2] && seen[3] == seen[4] && seen[3] == seen[5], "{seen:?}");
    assert_ne!(seen[0], seen[3]);
    screen.expect("end");
    screen.ends_with(0);
}

#[test]
fn a_new_size_reaches_the_program_with_its_signal() {
    let look = "if test -n \"$new\"; then new=; echo now $(stty size).; fi; sleep 0.02";
    let script = format!("trap new=1 WINCH; echo ready; while :; do {look}; done");
    let mut screen = Screen::new(&[&binary(), "run", "-t", "bash", "-c", &script]);
    screen.expect("ready");
    screen.resize(30, 120);
    screen.expect("now 30 120.");
    screen.resize(10, 20);
    screen.expect("now 10 20.");
    screen.keys("\x03");
    screen.ends_with(130);
}

#[test]
fn ctrl_c_reaches_the_program() {
    let script = "trap 'echo got; exit 3' INT; echo ready; while :; do sleep 0.02; done";
    let mut screen = Screen::new(&[&binary(), "run", "-t", "bash", "-c", script]);
    screen.expect("ready");
    screen.keys("\x03");
    screen.expect("got");
    screen.ends_with(3);
}

#[test]
fn the_callers_settings_come_back() {
    // Each way to end is between two looks at the settings.
    let end = "sh -c 'echo pid=$$.; exec holm run -t sleep 60'; echo code=$?.;";
    let script =
        format!("stty erase X; stty -g; holm run -t sh -c 'stty raw -echo; exit 4'; stty -g; {end} stty -g; echo end");
    let mut screen = Screen::new(&["sh", "-c", &line(&script)]);
    let before = screen.until("\r\n");
    screen.expect(before.as_str());
    screen.expect("pid=");
    let pid = screen.until(".");
    screen.expect_raw();
    assert!(Command::new("kill").arg(&pid).status().expect("kill is there").success());
    screen.expect("code=143.");
    screen.expect(before.as_str());
    screen.expect("end");
    screen.ends_with(0);
}

#[test]
fn keystrokes_put_into_the_terminal_stay_inside() {
    // TIOCSTI of every byte of a command to whoever reads the terminal next (ioctl_tty(2)).
    let push = "for (split //, qq(echo in\\$((40+2))jected\\n)) { ioctl(STDIN, 0x5412, my \\$c = \\$_) or die qq(no) }";
    for option in ["--tty=always", "--tty=never"] {
        let mut screen = Screen::new(&["bash", "--norc", "--noediting", "-i"]);
        screen.keys(&line(&format!("holm run {option} perl -e \"{push}\"; echo done$((1+1))\n")));
        screen.expect("done2");
        screen.keys("echo after$((2+2)); exit 0\n");
        let seen = screen.until("after4");
        assert!(!seen.contains("in42jected"), "{option}: {seen}");
        screen.ends_with(0);
    }
}

#[test]
fn a_terminal_is_made_if_all_three_standard_descriptors_are_one() {
    let ask = "sh -c '[ \"$(tty)\" = /dev/pts/0 ] && echo own >&2 || echo none >&2'";
    for (around, expected) in [
        ("holm run ASK", "own"),
        ("holm run --tty=auto ASK", "own"),
        ("holm run --tty=never ASK", "none"),
        ("true | holm run ASK", "none"),
        ("holm run ASK | cat", "none"),
        ("holm run ASK 2>&1 >/dev/null | cat", "none"),
        ("true | holm run -t ASK", "own"),
    ] {
        let script = line(&around.replace("ASK", ask));
        let mut screen = Screen::new(&["sh", "-c", &format!("{script}; echo end")]);
        let seen = screen.until("end");
        assert_eq!(seen.trim(), expected, "{around}");
        screen.ends_with(0);
    }
}

#[test]
fn at_pipes_a_terminal_is_made_only_on_wish() {
    let ask = "run OPTION sh -c 'test -t 0 && test -t 1 && test -t 2 && tty || echo none' </dev/null";
    assert_eq!(shell(&format!("holm {}", ask.replace("OPTION", ""))).stdout, b"none\n");
    assert_eq!(shell(&format!("holm {}", ask.replace("OPTION", "-t"))).stdout, b"/dev/pts/0\r\n");
}

#[test]
fn the_end_of_a_pipe_is_the_end_of_the_keys() {
    let done = shell("echo hi | holm run -t cat; echo ${PIPESTATUS[1]}");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "hi\r\nhi\r\n0\n");
    let done = shell("printf hi | holm run -t sh -c 'stty -echo; echo ready; cat; exit 4'; echo ${PIPESTATUS[1]}");
    assert!(String::from_utf8_lossy(&done.stdout).ends_with("hi4\n"), "{:?}", done.stdout);
}

#[test]
fn nothing_that_was_written_before_the_end_is_lost() {
    let script = "head -c 1000000 /dev/zero | tr '\\0' x; exit 3";
    let mut child = Running::new(run().args(["-t", "sh", "-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()));
    let mut stdout = child.child.stdout.take().expect("it is piped");
    let (mut part, mut seen) = ([0; 50_000], 0);
    while let length @ 1.. = stdout.read(&mut part).expect("it can be read") {
        seen += length;
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!((seen, child.code()), (1_000_000, Some(3)));
}

#[test]
fn output_after_a_while_without_anybody_at_the_terminal_is_shown() {
    let script = "echo one; exec 0<&- 1>&- 2>&-; sleep 0.3; echo two >/dev/tty";
    let done = output(run().args(["-t", "sh", "-c", script]).stdin(Stdio::null()));
    assert_eq!(String::from_utf8_lossy(&done.stdout), "one\r\ntwo\r\n");
}

#[test]
fn a_reader_that_leaves_ends_the_program() {
    let done = shell("holm run -t yes </dev/null | head -n 1; test ${PIPESTATUS[0]} -ne 0 && echo ended");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "y\r\nended\n");
    let done = shell("holm run -t sh -c 'echo; sleep 600' </dev/null | true; echo ${PIPESTATUS[0]}");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "129\n");
}

#[test]
fn output_that_nobody_takes_does_not_hold_up_a_signal() {
    let mut child = Running::new(run().args(["-t", "yes"]).stdin(Stdio::null()).stdout(Stdio::piped()));
    std::thread::sleep(Duration::from_millis(500));
    within(10, "it ends", || {
        let _ = Command::new("kill").arg(child.child.id().to_string()).status();
        std::thread::sleep(Duration::from_millis(50));
        child.child.try_wait().expect("it is ours").is_some()
    });
    assert_eq!(child.code(), Some(143));
}

#[test]
fn a_terminal_that_hangs_up_ends_the_program_unless_it_ignores_that() {
    for (script, code) in [("echo ready; sleep 60", 129), ("trap '' HUP; echo ready; sleep 1; exit 4", 4)] {
        let mut screen = Screen::new(&[&binary(), "run", "-t", "bash", "-c", script]);
        screen.expect("ready");
        let Screen { keyboard, mut running, .. } = screen;
        drop(keyboard);
        assert_eq!(running.code(), Some(code), "{script}");
    }
}

#[test]
fn waiting_costs_no_processor_time() {
    for (around, what) in [("echo | X >/dev/null", "no keys"), ("X </dev/null | true", "no reader"), ("X", "neither")] {
        let script = line(
            &around.replace('X', "sh -c 'echo $$ >&2; exec holm run -t bash -c \"trap : HUP; sleep 2; sleep 2\"'"),
        );
        let mut shell =
            Running::new(Command::new("bash").args(["-c", &script]).stdin(Stdio::null()).stderr(Stdio::piped()));
        let mut pid = [0; 16];
        let length = shell.child.stderr.as_mut().expect("it is piped").read(&mut pid).expect("it says its pid");
        let pid = String::from_utf8_lossy(&pid[..length]).trim().parse().expect("it is a number");
        // What the start costs, which depends on the machine, is over by then.
        std::thread::sleep(Duration::from_millis(1500));
        let before = ticks(pid);
        std::thread::sleep(Duration::from_millis(1500));
        let used = ticks(pid) - before;
        assert!(used < 50, "{what}: {used} ticks");
    }
}
