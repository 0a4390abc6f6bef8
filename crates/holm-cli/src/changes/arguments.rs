//! `holm diff`, `apply`, `commit` and `drop` as typed.

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, Command};

const EXAMPLES: &str = "\
Examples:
  holm run --overlay=try --bind . make install   let it loose on a copy of this directory
  holm diff try                                  what it changed
  holm diff -p try src                           in src, line by line
  holm apply try src                             write the changes in src back to the host
  holm commit try --to web                       make a stored root of what it did to its root
  holm drop try                                  forget all of it
  holm diff 4242 1                               two processes: which namespaces differ, and what that isolates";

pub(crate) fn commands() -> [Command; 4] {
    [diff(), apply(), commit(), drop()]
}

fn diff() -> Command {
    Command::new("diff")
        .about("Shows what a sandbox changed; without a name, which changes are kept; of two pids, what isolates them")
        .after_help(EXAMPLES)
        .arg(name())
        .arg(paths("Only what is at or below these paths"))
        .arg(flag("patch", "Show what changed in text files, line by line").short('p'))
        .arg(flag("json", "Print JSON").conflicts_with("patch"))
}

fn apply() -> Command {
    Command::new("apply")
        .about("Writes changes of bound directories back to the host")
        .after_help(
            "Only files, directories and links are written, as the caller's own, without set-user-id bits and \
            capabilities; nothing is written through a link. What the host changed since the run began is refused.",
        )
        .arg(name().required(true))
        .arg(paths("Only what is at or below these paths"))
        .arg(flag("dry-run", "Print what would be written, and write nothing"))
        .arg(flag("force", "Write over what the host changed since, too"))
}

fn commit() -> Command {
    Command::new("commit").about("Makes a stored root of a root and its changes").arg(name().required(true)).arg(
        Arg::new("to")
            .long("to")
            .value_name("ROOT")
            .value_parser(OsStringValueParser::new())
            .help("The new root's name in the store [default: the name of the changes]"),
    )
}

fn drop() -> Command {
    Command::new("drop").about("Removes changes").arg(name().required(true))
}

fn name() -> Arg {
    Arg::new("name").value_name("NAME").value_parser(OsStringValueParser::new()).help("The name of the changes")
}

fn paths(help: &'static str) -> Arg {
    Arg::new("path").value_name("PATH").num_args(0..).value_parser(OsStringValueParser::new()).help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}
