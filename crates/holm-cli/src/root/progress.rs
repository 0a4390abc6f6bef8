//! How far the work is, told on the way: bars on a terminal, lines in a pipe, events as JSON, or not at all.

use super::wrong;
use crate::report::Fault;
use clap::{Arg, ArgAction, ArgMatches, Command};
use holm::signal::Signals;
use holm_root::progress::{Progress, Stage};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use rustix::process::Signal;
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Events of one stage come no faster.
const PAUSE: Duration = Duration::from_millis(100);

/// In which form.
enum Form {
    Bars(MultiProgress),
    Lines,
    Json,
    Quiet,
}

/// A stage that has begun.
struct Begun {
    last: Progress,
    told: Instant,
    bar: Option<ProgressBar>,
}

/// Tells it.
pub(crate) struct Teller {
    form: Form,
    begun: Vec<Begun>,
}

/// The options of commands that tell it.
pub(crate) fn options(command: Command) -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    command
        .arg(flag("quiet", "Don't tell how far it is"))
        .arg(flag("json", "Print events as JSON, one a line").conflicts_with("quiet"))
}

impl Teller {
    pub(crate) fn new(matches: &ArgMatches) -> Teller {
        let form = match (matches.get_flag("json"), matches.get_flag("quiet")) {
            (true, _) => Form::Json,
            (_, true) => Form::Quiet,
            _ if std::io::stderr().is_terminal() => Form::Bars(MultiProgress::new()),
            _ => Form::Lines,
        };
        Teller { form, begun: Vec::new() }
    }

    /// Whether the result is told as an event, too.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.form, Form::Json)
    }

    pub(crate) fn tell(&mut self, progress: Progress) {
        let Some(at) = self.begun.iter().position(|one| one.last.stage == progress.stage) else {
            return self.begin(progress);
        };
        let stage = &mut self.begun[at];
        if stage.last == progress {
            return;
        }
        let due = stage.told.elapsed() >= PAUSE || progress.done == progress.total;
        stage.last = progress;
        match (&self.form, &stage.bar) {
            (Form::Bars(_), Some(bar)) => set(bar, progress),
            (Form::Json, _) if due => {
                stage.told = Instant::now();
                event(progress);
            }
            _ => {}
        }
    }

    fn begin(&mut self, progress: Progress) {
        let mut bar = None;
        match &self.form {
            Form::Bars(bars) => {
                let new = bars.add(new(progress));
                set(&new, progress);
                bar = Some(new);
            }
            Form::Lines => say(&format!("{}\n", words(progress.stage))),
            Form::Json => event(progress),
            Form::Quiet => {}
        }
        self.begun.push(Begun { last: progress, told: Instant::now(), bar });
    }

    /// The same, until a signal asks holm to end: then the work is to stop, and its traces are removed. Signals do nothing
    /// else from now on.
    pub(crate) fn until_signal(&mut self) -> Result<impl FnMut(Progress) -> ControlFlow<()>, Vec<Fault>> {
        let ending = [Signal::HUP, Signal::INT, Signal::TERM].map(Signal::as_raw);
        let signals =
            Signals::take(&ending).map_err(|error| vec![wrong(format!("cannot receive signals: {error}"))])?;
        Ok(move |progress| {
            self.tell(progress);
            match signals.next() {
                Ok(None) => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        })
    }

    /// Nothing more is told.
    pub(crate) fn end(&mut self) {
        self.begun.drain(..).filter_map(|stage| stage.bar).for_each(|bar| bar.finish());
    }
}

fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn event(progress: Progress) {
    let (stage, done, total) = (word(progress.stage), progress.done, progress.total);
    let event = serde_json::json!({ "event": "progress", "stage": stage, "done": done, "total": total });
    // Whoever reads no events any more still wants the root.
    let _ = writeln!(std::io::stdout(), "{event}");
}

fn new(progress: Progress) -> ProgressBar {
    let counted = match progress.stage {
        Stage::Index | Stage::Packages | Stage::Layers | Stage::Unpack => "{bytes}/{total_bytes}",
        _ => "{pos}/{len}",
    };
    let style = ProgressStyle::with_template(&format!("{{msg:26}} [{{bar:30}}] {counted}"));
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
    ProgressBar::new(progress.total).with_style(style).with_message(words(progress.stage))
}

fn set(bar: &ProgressBar, progress: Progress) {
    bar.set_length(progress.total.max(progress.done));
    bar.set_position(progress.done);
}

fn words(stage: Stage) -> &'static str {
    match stage {
        Stage::Release => "asking the archives",
        Stage::Index => "reading the indexes",
        Stage::Choose => "choosing packages",
        Stage::Packages => "downloading packages",
        Stage::Registry => "asking the registry",
        Stage::Layers => "downloading layers",
        Stage::Unpack => "unpacking files",
        Stage::Copy => "copying files",
        Stage::Configure => "configuring packages",
        Stage::Base => "laying out the source",
        Stage::Programs => "adding programs",
        Stage::Files => "adding files",
        Stage::Commands => "running commands",
        Stage::Store => "storing the root",
    }
}

fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::Release => "release",
        Stage::Index => "index",
        Stage::Choose => "choose",
        Stage::Packages => "packages",
        Stage::Registry => "registry",
        Stage::Layers => "layers",
        Stage::Unpack => "unpack",
        Stage::Copy => "copy",
        Stage::Configure => "configure",
        Stage::Base => "base",
        Stage::Programs => "programs",
        Stage::Files => "files",
        Stage::Commands => "commands",
        Stage::Store => "store",
    }
}
