//! A real terminal with a program at it, and somebody who types and reads.

use crate::patience::{Running, slowness, within};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Screen {
    pub(crate) keyboard: File,
    seen: String,
    pub(crate) running: Running,
}

impl Screen {
    /// Starts `command` as the leader of a session at a new terminal of 24 rows and 100 columns.
    pub(crate) fn new(command: &[&str]) -> Screen {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let controlling = openpt(flags).expect("the machine has terminals");
        grantpt(&controlling).expect("it is ours");
        unlockpt(&controlling).expect("it is ours");
        let peer = File::from(ioctl_tiocgptpeer(&controlling, flags).expect("it is unlocked"));
        let keyboard = File::from(controlling);
        let same = || Stdio::from(peer.try_clone().expect("a descriptor is free"));
        let mut starter = Command::new("setsid");
        starter.arg("--ctty").args(command).env("TERM", "dumb").env("PS1", "P> ").env_remove("HISTFILE");
        let starter = starter.stdin(same()).stdout(same()).stderr(same());
        let screen = Screen { keyboard, seen: String::new(), running: Running::new(starter) };
        screen.resize(24, 100);
        screen
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.keyboard, size).expect("it is a terminal");
    }

    pub(crate) fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Waits until `text` appears.
    pub(crate) fn expect(&mut self, text: &str) {
        self.until(text);
    }

    /// Waits until `text` appears, and returns what came before it since the last time.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some((before, after)) = self.seen.split_once(text) {
                let (before, after) = (before.to_owned(), after.to_owned());
                self.seen = after;
                return before;
            }
            assert!(
                start.elapsed() < Duration::from_secs(15) * slowness(),
                "{text:?} does not come after {:?}",
                self.seen
            );
            self.read();
        }
    }

    /// Takes what is shown within a tenth of a second.
    fn read(&mut self) {
        let pause = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let mut part = [0; 4096];
        match poll(&mut [PollFd::new(&self.keyboard, PollFlags::IN)], Some(&pause)) {
            Ok(1) => {
                // Nobody has the terminal open any more: EIO.
                let length = self.keyboard.read(&mut part).unwrap_or(0);
                self.seen += &String::from_utf8_lossy(&part[..length]);
            }
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }

    /// Whether keys come to the program one by one.
    pub(crate) fn is_raw(&self) -> bool {
        let settings = tcgetattr(&self.keyboard).expect("it is a terminal");
        !settings.local_modes.intersects(LocalModes::ICANON | LocalModes::ISIG)
    }

    /// Waits until keys go through to a program in a sandbox.
    pub(crate) fn expect_raw(&self) {
        within(15, "the terminal is raw", || self.is_raw());
    }

    /// Waits for the end of what runs here.
    pub(crate) fn ends_with(mut self, code: i32) {
        assert_eq!(self.running.code(), Some(code), "{:?}", self.seen);
    }
}
