//! Nothing in these tests waits for ever: what a test starts ends with it, or is killed in time.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Longer than anything takes that works, on a busy machine.
const LONG: Duration = Duration::from_secs(20);
/// Longer than a whole test takes.
const LIFE: Duration = Duration::from_secs(90);

/// How many times slower than usual this machine is, and all patience longer: `HOLM_PATIENCE`, a whole number.
pub(crate) fn slowness() -> u32 {
    std::env::var("HOLM_PATIENCE").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Waits until `done`.
///
/// # Panics
/// It isn't after so many seconds of a usual machine.
pub(crate) fn within(seconds: u64, what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    let seconds = seconds * u64::from(slowness());
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(seconds), "not within {seconds} seconds: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs `command` to its end, for what it prints.
///
/// # Panics
/// It doesn't end; it is killed then.
pub(crate) fn output(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let watch = kill_after(LONG, &child);
    let output = child.wait_with_output().expect("it is ours");
    drop(watch);
    assert_ne!(output.status.signal(), Some(9), "{command:?} does not end");
    output
}

/// Kills `child` after so long, unless what is returned is dropped before.
fn kill_after(time: Duration, child: &Child) -> Sender<()> {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).expect("it is ours");
    let (watch, dropped) = channel();
    std::thread::spawn(move || {
        if dropped.recv_timeout(time * slowness()) == Err(RecvTimeoutError::Timeout) {
            let _ = pidfd_send_signal(&process, Signal::KILL);
        }
    });
    watch
}

/// A program that runs, killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    _watch: Sender<()>,
}

impl Running {
    /// Starts it.
    pub(crate) fn new(command: &mut Command) -> Running {
        let child = command.spawn().expect("it starts");
        Running { _watch: kill_after(LIFE, &child), child }
    }

    /// Starts it without input, and waits for the first byte that it prints: it is ready then.
    #[allow(dead_code, reason = "not all tests wait for one")]
    pub(crate) fn ready(command: &mut Command) -> Running {
        let mut running = Running::new(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let output = running.child.stdout.as_mut().expect("it is a pipe");
        std::io::Read::read_exact(output, &mut [0]).expect("it says that it is ready");
        running
    }

    /// Waits for its end; its exit code, or `None` if a signal ended it.
    pub(crate) fn code(&mut self) -> Option<i32> {
        within(LONG.as_secs(), "it ends", || self.child.try_wait().expect("it is ours").is_some());
        self.child.wait().expect("it is ours").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
