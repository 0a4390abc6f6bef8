//! What the command line asks for. Parsing only: no file is looked at and nothing is measured here.

use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Usage: holm-bench [--holm PATH] [--runs N] [--json] [--check]

Measures starts of holm, of the least a start can cost, and of bubblewrap and unshare.

  --holm PATH  the holm to measure (default: the one beside this program)
  --runs N     measured runs of each command, at least 1 (default: 200)
  --json       print one JSON document in place of the tables
  --check      end with status 1 if holm is over one of the project's limits
  --help       print this
";

const DEFAULT_RUNS: usize = 200;

/// Asked for by `mounts`, of the copy of this program it starts in a mount namespace of its own.
pub(crate) const INSIDE_MOUNTS: &str = "--inside-mounts";
/// Asked for by `library`, of copies of this program; the scratch directory and MiB of memory follow.
pub(crate) const INSIDE_LIBRARY: &str = "--inside-library";

#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    Help,
    Measure(Options),
    InsideMounts { scratch: PathBuf, runs: usize },
    InsideLibrary { scratch: PathBuf, mib: usize },
}

#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// `None` is the one beside this program, if there is one.
    pub(crate) holm: Option<PathBuf>,
    pub(crate) runs: usize,
    pub(crate) output: Output,
    pub(crate) judgement: Judgement,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Output {
    Table,
    Json,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Judgement {
    None,
    Limits,
}

pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut options = Options { holm: None, runs: DEFAULT_RUNS, output: Output::Table, judgement: Judgement::None };
    let mut inside = None;
    let mut words = words;
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        match word.as_str() {
            "--help" | "-h" => return Ok(Request::Help),
            "--holm" => options.holm = Some(value()?.into()),
            "--runs" => options.runs = runs(&value()?)?,
            "--json" => options.output = Output::Json,
            "--check" => options.judgement = Judgement::Limits,
            INSIDE_LIBRARY => {
                let scratch = value()?.into();
                let mib = value()?.parse().map_err(|_| format!("{INSIDE_LIBRARY} wants MiB"))?;
                return Ok(Request::InsideLibrary { scratch, mib });
            }
            INSIDE_MOUNTS => inside = Some(PathBuf::from(value()?)),
            _ => return Err(format!("unknown argument {word}: see --help")),
        }
    }
    Ok(match inside {
        Some(scratch) => Request::InsideMounts { scratch, runs: options.runs },
        None => Request::Measure(options),
    })
}

fn runs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(runs) if runs > 0 => Ok(runs),
        _ => Err(format!("--runs wants a whole number from 1, not {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn every_flag_is_understood() {
        let wanted =
            Options { holm: Some("/bin/holm".into()), runs: 7, output: Output::Json, judgement: Judgement::Limits };
        assert_eq!(parsed("--holm /bin/holm --runs 7 --json --check"), Ok(Request::Measure(wanted)));
    }

    #[test]
    fn a_wrong_argument_is_named() {
        assert_eq!(parsed("--runs 0"), Err("--runs wants a whole number from 1, not 0".into()));
        assert_eq!(parsed("--holm"), Err("--holm wants a value".into()));
        assert_eq!(parsed("--fast"), Err("unknown argument --fast: see --help".into()));
    }
}
