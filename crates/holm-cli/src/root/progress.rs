//! How far a build is, told on the way: bars on a terminal, lines in a pipe, events as JSON, or not at all.

use clap::ArgMatches;
use holm_root::debian::progress::{Progress, Stage};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Events of one stage come no faster.
const PAUSE: Duration = Duration::from_millis(100);

/// In which form.
pub(crate) enum Form {
    Bars(Option<ProgressBar>),
    Lines,
    Json,
    Quiet,
}

/// Tells it.
pub(crate) struct Teller {
    form: Form,
    last: Option<(Stage, Instant)>,
}

impl Teller {
    pub(crate) fn new(matches: &ArgMatches) -> Teller {
        let form = match (matches.get_flag("json"), matches.get_flag("quiet")) {
            (true, _) => Form::Json,
            (_, true) => Form::Quiet,
            _ if std::io::stderr().is_terminal() => Form::Bars(None),
            _ => Form::Lines,
        };
        Teller { form, last: None }
    }

    /// Whether the result is told as an event, too.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.form, Form::Json)
    }

    pub(crate) fn tell(&mut self, progress: Progress) {
        let new = self.last.is_none_or(|(stage, _)| stage != progress.stage);
        let due = self.last.is_none_or(|(_, last)| last.elapsed() >= PAUSE);
        match &mut self.form {
            Form::Bars(bar) => {
                let bar = match bar {
                    Some(bar) if !new => bar,
                    _ => {
                        bar.take().inspect(ProgressBar::finish);
                        bar.insert(begin(progress))
                    }
                };
                bar.set_length(progress.total.max(progress.done));
                bar.set_position(progress.done);
            }
            Form::Lines if new => say(&format!("{}\n", words(progress.stage))),
            Form::Json if new || due || progress.done == progress.total => {
                let (stage, done, total) = (word(progress.stage), progress.done, progress.total);
                let event = serde_json::json!({ "event": "progress", "stage": stage, "done": done, "total": total });
                // Whoever reads no events any more still wants the root.
                let _ = writeln!(std::io::stdout(), "{event}");
            }
            _ => return,
        }
        self.last = Some((progress.stage, Instant::now()));
    }

    /// Nothing more is told.
    pub(crate) fn end(&mut self) {
        if let Form::Bars(bar) = &mut self.form {
            bar.take().inspect(ProgressBar::finish);
        }
    }
}

fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn begin(progress: Progress) -> ProgressBar {
    let counted = match progress.stage {
        Stage::Index | Stage::Packages | Stage::Unpack => "{bytes}/{total_bytes}",
        _ => "{pos}/{len}",
    };
    let style = ProgressStyle::with_template(&format!("{{msg:26}} [{{bar:30}}] {counted}"));
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
    ProgressBar::new(progress.total).with_style(style).with_message(words(progress.stage))
}

fn words(stage: Stage) -> &'static str {
    match stage {
        Stage::Release => "asking the archives",
        Stage::Index => "reading the indexes",
        Stage::Choose => "choosing packages",
        Stage::Packages => "downloading packages",
        Stage::Unpack => "unpacking packages",
        Stage::Configure => "configuring packages",
        Stage::Store => "storing the root",
    }
}

fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::Release => "release",
        Stage::Index => "index",
        Stage::Choose => "choose",
        Stage::Packages => "packages",
        Stage::Unpack => "unpack",
        Stage::Configure => "configure",
        Stage::Store => "store",
    }
}
