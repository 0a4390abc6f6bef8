//! The commands that show namespaces, as typed.

use clap::{Arg, ArgAction, Command, value_parser};

/// All of them.
pub(crate) fn commands() -> Vec<Command> {
    vec![list()]
}

fn list() -> Command {
    Command::new("ls")
        .about("Lists namespaces, who made them, and what keeps them alive")
        .after_help(
            "Examples:\n  \
            holm ls                           all that you may see\n  \
            holm ls --kind net,user           of these kinds only\n  \
            holm ls --pid 4242                those that a process is in\n  \
            holm ls --made-by docker          those of containers\n  \
            holm ls --json                    for programs (docs/reference/see.md)",
        )
        .arg(
            Arg::new("kind")
                .long("kind")
                .value_name("KIND,...")
                .value_parser(value_parser!(String))
                .help("Only of these kinds: user, cgroup, ipc, uts, net, pid, time, mnt"),
        )
        .arg(
            Arg::new("pid")
                .long("pid")
                .value_name("PID")
                .value_parser(value_parser!(u32))
                .help("Only those that this process is in"),
        )
        .arg(
            Arg::new("made-by")
                .long("made-by")
                .value_name("TOOL")
                .value_parser(value_parser!(String))
                .help("Only those that this tool made"),
        )
        .arg(
            Arg::new("columns").long("columns").value_name("COLUMN,...").value_parser(value_parser!(String)).help(
                "Show these columns: kind, id, user, procs, leader, name, made-by, held-by, owner, parent, number",
            ),
        )
        .arg(json())
}

fn json() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON")
}
