//! The program's own terminal, seen from a real one: name, size, job control, and the caller's terminal given back.

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use testkit::{holm, run};

/// A terminal with a program at it.
struct Screen {
    keyboard: File,
    output: Receiver<Vec<u8>>,
    seen: String,
    child: Child,
}

impl Screen {
    /// Starts `command` as the leader of a session at a new terminal of 24 rows and 100 columns.
    fn new(command: &[&str]) -> Screen {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let controlling = openpt(flags).expect("the machine has terminals");
        grantpt(&controlling).expect("it is ours");
        unlockpt(&controlling).expect("it is ours");
        let peer = File::from(ioctl_tiocgptpeer(&controlling, flags).expect("it is unlocked"));
        let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&controlling, size).expect("it is a terminal");
        let same = || Stdio::from(peer.try_clone().expect("a descriptor is free"));
        let mut starter = Command::new("setsid");
        starter.args(["--ctty", "--wait"]).args(command).env("TERM", "dumb").env("PS1", "P> ");
        let child = starter.stdin(same()).stdout(same()).stderr(same()).spawn().expect("setsid is there");
        let keyboard = File::from(controlling);
        let mut reader = keyboard.try_clone().expect("a descriptor is free");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut part) {
                if sender.send(part[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Screen { keyboard, output, seen: String::new(), child }
    }

    fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Waits until `text` appears, and forgets what came up to its end.
    fn expect(&mut self, text: &str) {
        let start = Instant::now();
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let part = self.output.recv_timeout(Duration::from_millis(100)).unwrap_or_default();
            self.seen += &String::from_utf8_lossy(&part);
            assert!(start.elapsed() < Duration::from_secs(10), "{text:?} does not come after {:?}", self.seen);
        }
    }

    fn ends_with(mut self, code: i32) {
        drop(self.output);
        assert_eq!(self.child.wait().expect("it is ours").code(), Some(code));
    }
}

/// The binary's path, as text.
fn binary() -> String {
    holm().display().to_string()
}

#[test]
fn a_shell_at_a_terminal_gets_one_of_its_own_with_its_size() {
    let mut screen = Screen::new(&[&binary(), "run", "sh"]);
    screen.keys("echo size $(stty size) name $(tty)\n");
    screen.expect("size 24 100 name /dev/pts/0");
    let size = Winsize { ws_row: 30, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&screen.keyboard, size).expect("it is a terminal");
    screen.keys("sleep 0.3; echo now $(stty size)\n");
    screen.expect("now 30 120");
    screen.keys("exit 5\n");
    screen.ends_with(5);
}

#[test]
fn job_control_works_inside() {
    let mut screen = Screen::new(&[&binary(), "run", "bash", "--norc", "-i"]);
    screen.keys("echo ready$((1+1)); sleep 100\n");
    screen.expect("ready2");
    std::thread::sleep(Duration::from_millis(300));
    screen.keys("\x1a");
    screen.expect("Stopped");
    screen.keys("fg\n");
    screen.expect("sleep 100");
    std::thread::sleep(Duration::from_millis(300));
    screen.keys("\x03");
    screen.keys("echo after$((2+2)); exit 0\n");
    screen.expect("after4");
    screen.ends_with(0);
}

#[test]
fn ctrl_z_on_a_program_stops_holm_and_gives_the_terminal_back() {
    let mut screen = Screen::new(&["bash", "--norc", "-i"]);
    let line = format!("{} run -t cat\n", binary());
    screen.keys(&line);
    std::thread::sleep(Duration::from_millis(500));
    screen.keys("hello\n");
    screen.expect("hello\r\nhello");
    screen.keys("\x1a");
    screen.expect("Stopped");
    screen.keys("stty -a | tr ';' '\\n' | grep -c -- -icanon; echo cooked$((1+1))\n");
    screen.expect("0\r\ncooked2");
    screen.keys("fg\n");
    screen.expect("run -t cat");
    std::thread::sleep(Duration::from_millis(300));
    screen.keys("again\n");
    screen.expect("again\r\nagain");
    screen.keys("\x04");
    screen.expect("P> ");
    screen.keys("echo code$?; exit 0\n");
    screen.expect("code0");
    screen.ends_with(0);
}

#[test]
fn a_pipe_makes_no_terminal_unless_wished() {
    let shown = |options: &[&str]| {
        let done =
            run().args(options).args(["sh", "-c", "test -t 1 && echo yes || echo no"]).stdin(Stdio::null()).output();
        String::from_utf8_lossy(&done.expect("holm starts").stdout).trim_end().to_owned()
    };
    assert_eq!(shown(&[]), "no");
    assert_eq!(shown(&["-t"]), "yes");
}

#[test]
fn nothing_that_was_written_before_the_end_is_lost() {
    let script = "head -c 1000000 /dev/zero | tr '\\0' x";
    let done = run().args(["-t", "sh", "-c", script]).stdin(Stdio::null()).output().expect("holm starts");
    assert_eq!(done.stdout.len(), 1_000_000);
}
