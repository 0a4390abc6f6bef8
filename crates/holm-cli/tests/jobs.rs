//! Job control, inside a sandbox with a terminal of its own and around one: stop, background, foreground.

mod patience;
mod screen;

use patience::output;
use screen::Screen;
use std::process::Command;
use std::time::Duration;
use testkit::holm;

/// An interactive shell at a terminal.
fn shell() -> Screen {
    let mut screen = Screen::new(&["bash", "--norc", "--noediting", "-i"]);
    screen.expect("P> ");
    screen
}

/// Types a line in which `holm` is the binary under test.
fn enter(screen: &mut Screen, line: &str) {
    screen.keys(&format!("{}\n", line.replace("holm ", &format!("{} ", holm().display()))));
}

/// Types a line that `cat` reads, and waits for its answer.
fn answers(screen: &mut Screen, line: &str) {
    screen.keys(&format!("{line}\n"));
    screen.expect(&format!("{line}\r\n{line}"));
}

/// Ends the first job and waits until the shell knows. (`wait` would return for a job that is stopped, too.)
fn end_job(screen: &mut Screen) {
    enter(screen, "p=$(jobs -p %1); kill %1; while test -d /proc/$p; do sleep 0.05; done");
    screen.expect("Exit 143");
}

/// Gives a job time to start, where nothing tells that it has.
fn settle() {
    std::thread::sleep(Duration::from_millis(400));
}

/// Presses Ctrl-Z and waits until the shell has the terminal back.
fn suspend(screen: &mut Screen) {
    screen.keys("\x1a");
    screen.expect("Stopped");
    screen.expect("P> ");
}

#[test]
fn job_control_works_inside() {
    let mut screen = Screen::new(&[&holm().display().to_string(), "run", "--env", "PS1", "bash", "--norc", "-i"]);
    screen.keys("echo ready$((1+1)); sleep 100\n");
    screen.expect("ready2");
    settle();
    suspend(&mut screen);
    screen.keys("jobs | grep -c sleep; echo listed$((1+1))\n");
    screen.expect("1\r\nlisted2");
    screen.keys("fg\n");
    screen.expect("sleep 100");
    settle();
    screen.keys("\x03");
    screen.expect("P> ");
    screen.keys("echo code$?; echo after$((2+2)); exit 0\n");
    screen.expect("code130");
    screen.expect("after4");
    screen.ends_with(0);
}

#[test]
fn ctrl_z_on_a_program_stops_holm_and_gives_the_terminal_back() {
    let mut screen = shell();
    enter(&mut screen, "holm run -t cat");
    screen.expect_raw();
    answers(&mut screen, "hello");
    suspend(&mut screen);
    enter(&mut screen, "stty -a | tr ';' '\\n' | grep -c -- -icanon; echo cooked$((1+1))");
    screen.expect("0\r\ncooked2");
    enter(&mut screen, "fg");
    screen.expect("run -t cat");
    screen.expect_raw();
    answers(&mut screen, "again");
    screen.keys("\x04");
    screen.expect("P> ");
    enter(&mut screen, "echo code$?; exit 0");
    screen.expect("code0");
    screen.ends_with(0);
}

#[test]
fn a_new_size_of_the_terminal_meanwhile_is_seen_when_it_goes_on() {
    let mut screen = shell();
    enter(&mut screen, "holm run -t bash -c 'cat; stty size'");
    screen.expect_raw();
    suspend(&mut screen);
    screen.resize(33, 44);
    enter(&mut screen, "fg");
    screen.expect_raw();
    screen.keys("\x04");
    screen.expect("33 44");
    screen.expect("P> ");
    enter(&mut screen, "exit 0");
    screen.ends_with(0);
}

#[test]
fn a_stopped_program_can_be_ended_from_the_background() {
    let mut screen = shell();
    enter(&mut screen, "holm run -t cat");
    screen.expect_raw();
    suspend(&mut screen);
    end_job(&mut screen);
    enter(&mut screen, "stty -a | grep -c -- ' icanon'; exit 0");
    screen.expect("1\r\n");
    screen.ends_with(0);
}

#[test]
fn a_program_runs_in_the_background_and_comes_to_the_front() {
    let mut screen = shell();
    enter(&mut screen, "holm run -t sh -c 'echo begun$((1+1)); exec cat' &");
    screen.expect("begun2");
    enter(&mut screen, "jobs; echo here$((1+1))");
    screen.expect("Running");
    screen.expect("here2");
    enter(&mut screen, "fg");
    screen.expect_raw();
    answers(&mut screen, "hello");
    screen.keys("\x04");
    screen.expect("P> ");
    enter(&mut screen, "echo code$?; holm run -t sh -c 'echo more$((1+1)); exec sleep 60' &");
    screen.expect("code0");
    screen.expect("more2");
    end_job(&mut screen);
    enter(&mut screen, "exit 0");
    screen.ends_with(0);
}

#[test]
fn a_stop_from_outside_leaves_the_keys_to_the_program_afterwards() {
    let mut screen = shell();
    enter(&mut screen, "holm run -t cat");
    screen.expect_raw();
    let pid = testkit::children_of(screen.running.child.id())[0].to_string();
    assert!(output(Command::new("kill").args(["-STOP", &pid])).status.success());
    screen.expect("Stopped");
    screen.expect("P> ");
    enter(&mut screen, "fg");
    screen.expect_raw();
    answers(&mut screen, "hello");
    screen.keys("\x04");
    screen.expect("P> ");
    enter(&mut screen, "echo code$?; stty -a | grep -c -- ' icanon'; exit 0");
    screen.expect("code0");
    screen.expect("1\r\n");
    screen.ends_with(0);
}

#[test]
fn ctrl_z_does_nothing_where_no_shell_would_go_on() {
    let mut screen = Screen::new(&[&holm().display().to_string(), "run", "-t", "cat"]);
    screen.expect_raw();
    answers(&mut screen, "hello");
    screen.keys("\x1a");
    settle();
    answers(&mut screen, "again");
    screen.keys("\x04");
    screen.ends_with(0);
}

#[test]
fn without_a_terminal_of_its_own_keys_stop_continue_and_end_the_program() {
    let mut screen = shell();
    enter(&mut screen, "holm run --tty=never cat");
    answers(&mut screen, "hello");
    suspend(&mut screen);
    enter(&mut screen, "fg");
    screen.expect("never cat\r\n");
    answers(&mut screen, "again");
    screen.keys("\x03");
    screen.expect("P> ");
    enter(&mut screen, "echo code$?");
    screen.expect("code130");
    enter(&mut screen, "holm run --tty=never bash -c 'trap \"exit 9\" INT; echo now; while :; do sleep 0.02; done'");
    screen.expect("now\r\n");
    screen.keys("\x03");
    screen.expect("P> ");
    enter(&mut screen, "echo code$?; exit 0");
    screen.expect("code9");
    screen.ends_with(0);
}
