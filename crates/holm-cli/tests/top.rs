//! `holm top` at a terminal: what tmux shows of it, which keys do what, and that the terminal is left as it was.

mod patience;

use patience::{Running, output, within};
use std::process::{Command, Stdio};
use testkit::{Scratch, holm};

/// A server of tmux's with one window, in which a line of a shell runs.
struct Window {
    scratch: Scratch,
}

impl Window {
    fn new(name: &str, columns: u16, line: &str) -> Window {
        let window = Window { scratch: Scratch::new(name) };
        let line = line.replace("holm ", &format!("{} ", holm().display()));
        let line = format!(
            "cd {}; stty -g >before; {line}; echo status $?; stty -g >after; cmp before after && echo same; cat",
            window.scratch.path().display()
        );
        let columns = columns.to_string();
        window.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", "24", &line]);
        window
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.args(["-u", "-L", "holm-test"]).args(arguments);
        command
            .env("TMUX_TMPDIR", self.scratch.path())
            .env_remove("TMUX")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("NO_COLOR");
        let done = output(&mut command);
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("it prints UTF-8")
    }

    fn keys(&self, keys: &[&str]) {
        let mut arguments = vec!["send-keys"];
        arguments.extend(keys);
        self.tmux(&arguments);
    }

    /// What is shown once all of `parts` are.
    fn expect(&self, parts: &[&str]) -> String {
        let mut shown = String::new();
        let what = format!("{parts:?}");
        within(15, &what, || {
            shown = self.tmux(&["capture-pane", "-p"]);
            parts.iter().all(|part| shown.contains(part))
        });
        shown
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.tmux(&["capture-pane", "-p"]));
        }
        let mut command = Command::new("tmux");
        command.args(["-L", "holm-test", "kill-server"]).env("TMUX_TMPDIR", self.scratch.path());
        let _ = command.stderr(Stdio::null()).status();
    }
}

/// A name that no process of another run of these tests has.
fn unique(letter: char) -> String {
    format!("{letter}{}", std::process::id())
}

/// A process in a user and a network namespace of its own, under a name that begins so and goes on with what nobody wants
/// on a screen.
fn inside(name: &str) -> Running {
    let script = format!("$| = 1; $0 = qq({name}\\e[2J\\xff); print qq(\\n); sleep 120");
    let mut command = Command::new("unshare");
    Running::ready(command.args(["--user", "--map-root-user", "--net", "perl", "-e", &script]))
}

/// Shows only rows with this text.
fn only(window: &Window, text: &str) {
    window.keys(&["/", text, "Enter"]);
    window.expect(&[&format!("with \"{text}\", of "), "q quit"]);
}

#[test]
fn a_wide_screen_shows_who_shares_what_and_more_of_the_chosen_set() {
    let name = unique('w');
    let _inside = inside(&name);
    let window = Window::new("top-wide", 200, "holm top");
    let shown = window.expect(&["holm top: ", "SET   USER  CGROUP  IPC   UTS   NET   PID   TIME  MNT   PROCS  LEADER"]);
    assert!(
        shown.lines().nth(2).is_some_and(|line| line.starts_with("A     -     -       -     -     -     -")),
        "{shown}"
    );
    only(&window, &name);
    let shown = window.expect(&["own user 4", "1 process, leader "]);
    let rows: Vec<&str> = shown.lines().skip(2).take_while(|line| !line.starts_with('─')).collect();
    let row = rows[0].split_whitespace().collect::<Vec<_>>();
    assert_eq!(row[1..10], ["own", "-", "-", "-", "own", "-", "-", "-", "1"], "{shown}");
    assert_eq!(row[11], format!("{name}\\u{{1b}}[2J\\xff"), "{shown}");
    assert!(rows[1..].iter().all(|line| line.is_empty()), "{shown}");
    window.keys(&["Enter"]);
    window.expect(&["PID         USER        NAME", "memory "]);
    window.keys(&["Escape"]);
    window.expect(&["namespaces, by pid", "SET   USER"]);
    window.keys(&["Tab"]);
    let shown = window.expect(&["USER NAMESPACE, SET", "user 4026531837", "  A: "]);
    assert!(shown.lines().any(|line| line.starts_with("  user 4")), "{shown}");
    window.keys(&["?"]);
    window.expect(&["any key: back", "send SIGTERM, SIGKILL; asks first"]);
    window.keys(&["x", "s"]);
    window.expect(&["by processes"]);
    window.keys(&["q"]);
    window.expect(&["status 0", "same"]);
}

#[test]
fn a_view_ends_with_its_terminal() {
    let window = Window::new("top-gone", 80, r#"sh -c 'echo $$ >pid; trap "" HUP; exec holm top'"#);
    window.expect(&["holm top: "]);
    let pid = std::fs::read_to_string(window.scratch.path().join("pid")).expect("the shell wrote it");
    let process = format!("/proc/{}", pid.trim());
    assert!(std::path::Path::new(&process).exists());
    window.tmux(&["kill-server"]);
    within(10, "the view has ended", || !std::path::Path::new(&process).exists());
}

#[test]
fn a_narrow_screen_has_a_letter_a_kind_and_a_new_size_is_followed() {
    let name = unique('n');
    let _inside = inside(&name);
    let window = Window::new("top-narrow", 40, "holm top");
    window.expect(&["SET  U C I U N P T M PROCS LEADER"]);
    only(&window, &name);
    let shown = window.expect(&["* - - - * - - - 1 "]);
    assert!(shown.lines().all(|line| line.chars().count() <= 40), "{shown}");
    window.tmux(&["resize-window", "-x", "200"]);
    window.expect(&["SET   USER  CGROUP", "own   -       -     -     own   -"]);
    window.tmux(&["resize-window", "-x", "20", "-y", "6"]);
    window.expect(&["too small"]);
    window.keys(&["C-c"]);
    window.expect(&["status 0", "same"]);
}

#[test]
fn a_process_is_killed_after_a_yes_only() {
    let name = unique('k');
    let mut inside = inside(&name);
    let window = Window::new("top-kill", 100, "holm top");
    window.expect(&["SET   USER"]);
    only(&window, &name);
    window.keys(&["K"]);
    window.expect(&["send SIGKILL to ", &name, "? (y/n)"]);
    window.keys(&["n"]);
    window.expect(&["q quit", &name]);
    assert!(inside.child.try_wait().expect("it was started here").is_none(), "it still runs");
    window.keys(&["K"]);
    window.expect(&["send SIGKILL to "]);
    window.keys(&["y"]);
    assert_eq!(inside.code(), None);
    window.expect(&["holm top: "]);
    // Without a choice there is nobody to be killed, and of the host's set it isn't the first process.
    window.keys(&["Escape"]);
    window.expect(&["\nA     -  "]);
    window.keys(&["Home", "k"]);
    window.expect(&["choose a process: Enter"]);
}

#[test]
fn a_signal_ends_it_and_the_terminal_is_as_before() {
    let window = Window::new("top-signal", 100, "sh -c 'echo $$ >pid; exec holm top'");
    window.expect(&["holm top: "]);
    let pid = std::fs::read_to_string(window.scratch.path().join("pid")).expect("it has started");
    let done = Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status().expect("sh is there");
    assert!(done.success());
    let shown = window.expect(&["status 143", "same"]);
    assert!(!shown.contains("holm top: "), "{shown}");
}

#[test]
fn without_colours_and_utf_8_there_are_none() {
    const CYAN: &str = "\u{1b}[38;5;6m";
    let _inside = inside(&unique('c'));
    for (variables, colours) in [("LC_ALL=C NO_COLOR=1", false), ("LC_ALL=C", true)] {
        let window = Window::new("top-plain", 100, &format!("{variables} holm top"));
        window.expect(&["holm top: ", "-----", " own "]);
        let shown = window.tmux(&["capture-pane", "-p", "-e"]);
        assert!(shown.is_ascii() && shown.contains(CYAN) == colours, "{shown:?}");
    }
}

#[test]
fn a_sandbox_of_holms_is_told_with_what_was_asked_for() {
    let mut command = testkit::run();
    command.args(["--timeout", "2m", "sh", "-c", "echo; exec sleep 61.75"]);
    let sandbox = Running::ready(&mut command);
    let window = Window::new("top-sandbox", 120, "holm top");
    window.expect(&["SET   USER"]);
    only(&window, &testkit::init_of(sandbox.child.id()));
    window.expect(&["made by holm", "sh -c echo; exec sleep 61.75; root host; timeout=2m; runs for "]);
}

#[test]
fn a_shell_in_a_sandbox_has_the_terminal_until_it_ends() {
    let mut command = testkit::run();
    command.args(["--hostname", "island", "sh", "-c", "echo; exec sleep 62.75"]);
    let sandbox = Running::ready(&mut command);
    let window = Window::new("top-enter", 120, "holm top");
    window.expect(&["SET   USER"]);
    window.keys(&["e"]);
    window.expect(&["choose a process: Enter shows those of the set"]);
    only(&window, &testkit::init_of(sandbox.child.id()));
    window.keys(&["e"]);
    within(15, "a prompt", || {
        let shown = window.tmux(&["capture-pane", "-p"]);
        shown.trim_end() == if testkit::is_root() { "#" } else { "$" }
    });
    window.keys(&["echo in $(hostname) $((40 + 2))", "Enter"]);
    window.expect(&["in island 42"]);
    window.keys(&["exit", "Enter"]);
    window.expect(&["SET   USER", "made by holm"]);
    window.keys(&["q"]);
    window.expect(&["status 0", "same"]);
}

#[test]
fn without_a_terminal_there_is_an_error_and_a_hint() {
    let done = Command::new(holm()).arg("top").stdin(Stdio::null()).output().expect("holm starts");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(
        errors.starts_with("error: cannot show a live view: standard input and output must be a terminal"),
        "{errors}"
    );
    assert!(errors.contains("hint: holm matrix") && done.status.code() == Some(125), "{errors}");
    let window = Window::new("top-dumb", 100, "TERM=dumb holm top");
    window.expect(&["TERM says that this terminal can't move the cursor", "status 125", "same"]);
}
