//! `holm top`: who shares what, live.
//!
//! Once a second the reading is brought up to date (`holm::inspect::live`) and the screen drawn; in between only keys are
//! waited for. A shell that is asked for has the terminal meanwhile. The terminal is as it was before when the view ends: by a key, by a signal, by a failure, and by a panic, too.

mod details;
mod draw;
mod rows;
mod state;

use super::fault;
use super::screen::Screen;
use crate::report::{self, Fault};
use holm::inspect::live::Live;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, enable_raw_mode};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use state::{Next, State};
use std::io::{self, IsTerminal};
use std::ops::RangeInclusive;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How often the machine is looked at.
const EACH: Duration = Duration::from_secs(1);
/// A signal is answered within this time.
const PATIENCE: Duration = Duration::from_millis(200);

/// Shows the view until it is left.
pub(crate) fn run() -> ExitCode {
    if let Err(fault) = check_terminal() {
        return report::faults(&[fault]);
    }
    // Numbers of signals; 0 while there was none.
    let signal = Arc::new(AtomicUsize::new(0));
    let ended = Arc::new(AtomicBool::new(false));
    for number in [SIGTERM, SIGINT, SIGHUP] {
        // A second one ends the view at once, whatever it waits for.
        let hooks = signal_hook::flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&ended))
            .and_then(|_| signal_hook::flag::register(number, Arc::clone(&ended)))
            .and_then(|_| signal_hook::flag::register_usize(number, Arc::clone(&signal), number as usize));
        if let Err(error) = hooks {
            return report::own(&format!("cannot wait for signals: {}", holm::model::text::cause(&error)));
        }
    }
    let mut live = match Live::new() {
        Ok(live) => live,
        Err(error) => return report::faults(&[super::unreadable(&error)]),
    };
    let terminal = ratatui::try_init();
    let shown = terminal.and_then(|mut terminal| show(&mut terminal, &mut live, &signal));
    let restored = ratatui::try_restore();
    match shown.and_then(|code| restored.map(|()| code)) {
        Ok(code) => code,
        Err(error) => report::own(&format!("cannot show a live view: {}", holm::model::text::cause(&error))),
    }
}

fn check_terminal() -> Result<(), Fault> {
    let wrong = |cause: &str| fault(format!("cannot show a live view: {cause}"), "holm matrix prints the same once");
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(wrong("standard input and output must be a terminal"));
    }
    match std::env::var("TERM").as_deref() {
        Ok("" | "dumb") | Err(_) => Err(wrong("TERM says that this terminal can't move the cursor")),
        Ok(_) => Ok(()),
    }
}

fn show(terminal: &mut ratatui::DefaultTerminal, live: &mut Live, signal: &AtomicUsize) -> io::Result<ExitCode> {
    let screen = Screen::of_output();
    let mut state = State::new(screen);
    let (mut next, mut changed) = (Instant::now(), true);
    loop {
        match signal.load(Ordering::Relaxed) {
            0 => {}
            number => return Ok(ExitCode::from(128 + number as u8)),
        }
        let now = Instant::now();
        if now >= next {
            state.take(live.update().map_err(io::Error::other)?);
            (next, changed) = (now + EACH, true);
        }
        if changed {
            terminal.draw(|frame| draw::draw(frame, &mut state))?;
        }
        if let Keys::Gone = wait(next.saturating_duration_since(Instant::now()).min(PATIENCE))? {
            return Ok(ExitCode::from(128 + SIGHUP as u8));
        }
        changed = event::poll(Duration::ZERO)?;
        if changed && let Event::Key(key) = event::read()? {
            match state.key(key) {
                Next::Stay => {}
                Next::Leave => return Ok(ExitCode::SUCCESS),
                Next::Enter { pid, start } => {
                    enter(terminal, pid, start)?;
                    next = Instant::now();
                }
            }
        }
    }
}

/// Leaves the screen to a shell where a process is, and comes back when that ends.
fn enter(terminal: &mut ratatui::DefaultTerminal, pid: u32, start: u64) -> io::Result<()> {
    terminal.show_cursor()?;
    ratatui::try_restore()?;
    // Its pid may be another's by the time that it is looked up.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("holm").args(["enter", "--tty=always", "--started", &start.to_string(), &pid.to_string()]);
    // What went wrong was said, and is to be read.
    if command.status()?.code().is_some_and(|code| OWN_FAILURES.contains(&code)) {
        eprintln!("press Enter to go back");
        io::stdin().read_line(&mut String::new())?;
    }
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen)?;
    terminal.clear()
}

/// Exit codes of holm's own failures, and of a program that can't be started.
const OWN_FAILURES: RangeInclusive<i32> = 125..=127;

/// What a wait for keys ends with.
enum Keys {
    /// There may be some.
    Maybe,
    /// The terminal is gone.
    Gone,
}

/// Waits for a key, or for as long as that. crossterm would read at the end of a terminal that is gone for ever.
fn wait(patience: Duration) -> io::Result<Keys> {
    let patience = Timespec::try_from(patience).expect("it is under a second");
    let stdin = io::stdin();
    let mut keys = [PollFd::new(&stdin, PollFlags::IN)];
    match rustix::event::poll(&mut keys, Some(&patience)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let gone = keys[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
    Ok(if gone { Keys::Gone } else { Keys::Maybe })
}
