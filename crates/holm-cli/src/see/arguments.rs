//! The commands that show namespaces, as typed.

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, Command, value_parser};

/// All of them.
pub(crate) fn commands() -> Vec<Command> {
    vec![list(), sandboxes(), tree(), matrix(), top(), why(), caps(), diagram(), doctor()]
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

fn sandboxes() -> Command {
    Command::new("ps").about("Lists the sandboxes of holm that run: root, limits, age and use").arg(json())
}

fn tree() -> Command {
    Command::new("tree").about("Shows namespaces below each other").arg(
        Arg::new("by")
            .long("by")
            .value_name("WHAT")
            .default_value("owner")
            .value_parser(["owner", "pid", "process", "container"])
            .help("User namespaces and what they own, pid namespaces, processes that are elsewhere than their parents, or makers"),
    )
}

fn matrix() -> Command {
    Command::new("matrix").about("Shows which processes share which namespaces: a row a set, a column a kind")
}

fn top() -> Command {
    Command::new("top")
        .about("Shows live which processes share which namespaces, and more of the chosen ones")
        .after_help("Keys: ? lists them, q quits")
}

fn why() -> Command {
    Command::new("why").about("Shows all that keeps a namespace alive").arg(namespace())
}

fn caps() -> Command {
    Command::new("caps")
        .about("Shows what a process may do in a namespace, and the rule that says so")
        .arg(Arg::new("pid").value_name("PID").required(true).value_parser(value_parser!(u32)).help("A process"))
        .arg(namespace())
}

fn diagram() -> Command {
    Command::new("diagram")
        .about("Draws the machine: the host, its global namespaces, and what is isolated from them")
        .after_help(
            "Examples:\n  \
            holm diagram -o machine.svg       a picture for slides\n  \
            holm diagram -o machine.html      a page: search, collapse, dark\n  \
            holm diagram 4242 -o one.svg      where a process is, within what\n  \
            holm diagram > machine.mmd        Mermaid, for a Markdown page on GitHub\n  \
            holm diagram --format dot | dot -Tpdf > machine.pdf",
        )
        .arg(
            Arg::new("target")
                .value_name("TARGET")
                .num_args(0..)
                .value_parser(OsStringValueParser::new())
                .help("Draw where this process or namespace is, and no others: a pid, an id as in holm ls, or a path"),
        )
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .value_parser(["mermaid", "dot", "svg", "html", "png"])
                .help("mermaid, dot, svg, html, or png where that is built in [default: what the file's name says, else mermaid]"),
        )
        .arg(
            Arg::new("output")
                .short('o')
                .long("output")
                .value_name("FILE")
                .value_parser(OsStringValueParser::new())
                .help("Write to this file instead of standard output"),
        )
}

fn doctor() -> Command {
    Command::new("doctor")
        .about("Tells what this machine can't do for you, why, and what to do about it")
        .after_help(
            "It tries everything and changes nothing. What fails comes first, with what is lost and how to get it back.\n\n\
            Exit code: 0 if nothing is lost, 1 if something is, 2 if no sandbox starts.\n\n\
            Examples:\n  \
            holm doctor                       all of it\n  \
            holm doctor --json                for programs (docs/reference/doctor.md)",
        )
        .arg(json())
}

fn namespace() -> Arg {
    Arg::new("namespace")
        .value_name("NAMESPACE")
        .required(true)
        .value_parser(OsStringValueParser::new())
        .help("Its id as in holm ls, the text of a link such as net:[4026531840], or a path")
}
