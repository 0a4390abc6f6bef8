//! What is shown and chosen, and what a key does to it.

use super::details;
use super::rows::{Key, Of, Row, Sort, Source, View};
use crate::see::containers::Names;
use crate::see::matrix::Sharing;
use crate::see::screen::Screen;
use crate::see::target::label;
use holm::inspect::detail::Open;
use holm::inspect::machine::{Machine, Process};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use rustix::process::{Signal, pidfd_send_signal};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Whether the view goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Leave,
    /// A shell where this process is, which started then.
    Enter {
        pid: u32,
        start: u64,
    },
}

/// What keys are for.
pub(super) enum Mode {
    /// For moving and commands.
    Look,
    /// For the text that is looked for.
    Filter,
    /// For yes or no.
    Ask(Question),
    /// For leaving the list of keys.
    Help,
}

/// Whether a process shall be sent a signal.
pub(super) struct Question {
    /// The process that was chosen, and no other that gets its pid.
    process: OwnedFd,
    signal: Signal,
    pub(super) text: String,
}

/// Longest text that is looked for.
const LONGEST: usize = 64;

/// For so long the files of engines are believed as they were read.
const FRESH: Duration = Duration::from_secs(5);

/// Everything that is drawn.
pub(super) struct State {
    pub(super) screen: Screen,
    pub(super) machine: Machine,
    pub(super) sharing: Sharing,
    pub(super) view: View,
    pub(super) rows: Vec<Row>,
    pub(super) chosen: usize,
    pub(super) details: Vec<String>,
    /// Names of containers, and since when these are known.
    names: (Names, Instant),
    pub(super) filter: String,
    pub(super) sort: Sort,
    pub(super) mode: Mode,
    /// What the last command did.
    pub(super) message: String,
    /// How many rows the screen has room for, and which is the first there.
    pub(super) page: usize,
    pub(super) first: usize,
    /// The view from which the processes of a set were opened.
    before: View,
}

impl State {
    pub(super) fn new(screen: Screen) -> State {
        State {
            screen,
            machine: Machine::default(),
            sharing: Sharing::default(),
            view: View::Matrix,
            rows: Vec::new(),
            chosen: 0,
            details: Vec::new(),
            names: (Names::default(), Instant::now()),
            filter: String::new(),
            sort: Sort::Pid,
            mode: Mode::Look,
            message: String::new(),
            page: 1,
            first: 0,
            before: View::Matrix,
        }
    }

    /// Shows another reading; the same row stays chosen, if it is still there.
    pub(super) fn take(&mut self, machine: Machine) {
        let key = self.key_of_row();
        if self.names.1.elapsed() > FRESH {
            self.names = (Names::default(), Instant::now());
        }
        self.sharing = Sharing::of(&machine);
        self.machine = machine;
        self.list(key);
    }

    fn source(&self) -> Source<'_> {
        Source { machine: &self.machine, sharing: &self.sharing, filter: &self.filter, sort: self.sort }
    }

    pub(super) fn chosen(&self) -> Option<Of> {
        self.rows.get(self.chosen).map(|row| row.of)
    }

    fn key_of_row(&self) -> Option<Key> {
        self.chosen().map(|of| self.source().key(of))
    }

    /// Makes the rows anew and chooses the one with this key.
    fn list(&mut self, key: Option<Key>) {
        self.rows = self.source().rows(&self.view);
        let same = key.and_then(|key| self.rows.iter().position(|row| self.source().key(row.of) == key));
        self.choose(same.unwrap_or(self.chosen));
    }

    fn choose(&mut self, row: usize) {
        self.chosen = row.min(self.rows.len().saturating_sub(1));
        let lines = |of| details::lines(&self.screen, &self.machine, &self.sharing, &self.names.0, of);
        self.details = self.chosen().map(lines).unwrap_or_default();
    }

    fn show(&mut self, view: View) {
        self.view = view;
        (self.chosen, self.first) = (0, 0);
        self.list(None);
    }

    /// Does what a key is for.
    pub(super) fn key(&mut self, key: KeyEvent) -> Next {
        if key.kind == KeyEventKind::Release {
            return Next::Stay;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && key.code == KeyCode::Char('c') {
            return Next::Leave;
        }
        self.message.clear();
        match std::mem::replace(&mut self.mode, Mode::Look) {
            Mode::Filter => self.type_filter(key.code),
            Mode::Ask(question) => self.answer(&question, key.code),
            Mode::Help => {}
            Mode::Look if key.code == KeyCode::Char('q') => return Next::Leave,
            Mode::Look if key.code == KeyCode::Char('e') => return self.enter(),
            Mode::Look => self.command(key.code),
        }
        Next::Stay
    }

    fn enter(&mut self) -> Next {
        match self.meant() {
            Ok(&Process { pid, start, .. }) => Next::Enter { pid, start },
            Err(cause) => {
                self.message = cause.to_owned();
                Next::Stay
            }
        }
    }

    fn command(&mut self, key: KeyCode) {
        match key {
            KeyCode::Up => self.choose(self.chosen.saturating_sub(1)),
            KeyCode::Down => self.choose(self.chosen + 1),
            KeyCode::PageUp => self.choose(self.chosen.saturating_sub(self.page)),
            KeyCode::PageDown => self.choose(self.chosen + self.page),
            KeyCode::Home => self.choose(0),
            KeyCode::End => self.choose(self.rows.len()),
            KeyCode::Tab => self.show(if self.view == View::Tree { View::Matrix } else { View::Tree }),
            KeyCode::Enter => {
                if let Some(key @ Key::Set(_)) = self.key_of_row() {
                    self.before = std::mem::replace(&mut self.view, View::Members(key));
                    self.show(self.view.clone());
                }
            }
            KeyCode::Esc => self.back(),
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('s') => {
                self.sort = self.sort.next();
                self.list(self.key_of_row());
            }
            KeyCode::Char('k') => self.ask(Signal::TERM),
            KeyCode::Char('K') => self.ask(Signal::KILL),
            KeyCode::Char('?') => self.mode = Mode::Help,
            _ => {}
        }
    }

    /// Out of a set, or to all rows.
    fn back(&mut self) {
        self.filter.clear();
        let before = if let View::Members(key) = &self.view { Some(key.clone()) } else { None };
        if before.is_some() {
            self.view = self.before.clone();
        }
        self.list(before.or_else(|| self.key_of_row()));
    }

    fn type_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => return,
            KeyCode::Esc => {
                self.filter.clear();
                return self.list(self.key_of_row());
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) if !letter.is_control() && self.filter.len() < LONGEST => self.filter.push(letter),
            _ => {}
        }
        self.mode = Mode::Filter;
        self.list(self.key_of_row());
    }

    /// The process that is meant by the chosen row: of a set that isn't the host's, its leader.
    fn meant(&self) -> Result<&Process, &'static str> {
        let pid = match self.chosen() {
            Some(Of::Process(pid)) => Some(pid),
            Some(Of::Set(number)) if self.sharing.sets[number].namespaces == self.sharing.host => {
                return Err("choose a process: Enter shows those of the set");
            }
            Some(Of::Set(number)) => {
                crate::see::matrix::leader(&self.machine, &self.sharing.sets[number]).map(|leader| leader.pid)
            }
            Some(Of::User(_)) | None => return Err("choose a set or a process"),
        };
        pid.and_then(|pid| self.machine.process(pid)).ok_or("it ended")
    }

    fn ask(&mut self, signal: Signal) {
        let name = if signal == Signal::KILL { "SIGKILL" } else { "SIGTERM" };
        let process = match self.meant() {
            Ok(process) => process,
            Err(cause) => return self.message = cause.to_owned(),
        };
        match Open::new(process).and_then(|open| open.pidfd()) {
            Ok(descriptor) => {
                let text = format!("send {name} to {}? (y/n)", label(&self.screen, process));
                self.mode = Mode::Ask(Question { process: descriptor, signal, text });
            }
            Err(errno) => self.message = format!("cannot signal it: {}", holm::model::text::cause(&errno.into())),
        }
    }

    fn answer(&mut self, question: &Question, key: KeyCode) {
        if key != KeyCode::Char('y') {
            return;
        }
        self.message = match pidfd_send_signal(&question.process, question.signal) {
            Ok(()) => "sent".to_owned(),
            Err(errno) => format!("cannot signal it: {}", holm::model::text::cause(&errno.into())),
        };
    }
}
