//! The command line as typed.

use crate::limits;
use crate::operations::OPTIONS;
use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, Command, value_parser};

/// The whole command.
pub(crate) fn command() -> Command {
    Command::new("holm")
        .about("Makes, shows and enters isolated places on a Linux machine")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(run())
        .subcommand(learn())
        .subcommand(crate::root::arguments::command())
        .subcommand(crate::oci::command("oci"))
        .subcommand(crate::enter::arguments::command())
        .subcommands(crate::see::arguments::commands())
        .subcommands(crate::changes::arguments::commands())
        .subcommand(generate())
}

const EXAMPLES: &str = "\
Examples:
  holm run bash                                 a shell, the host's programs, none of its data
  holm run --root bins:bash,ls,ps bash          a root with these programs and their libraries only
  holm run --root ./custom-root bash            a directory as the root
  holm run --bind-rw . --chdir \"$PWD\" make      work on this directory, and nothing else
  holm run --share net curl https://debian.org  with the host's network
  holm run --user root --map auto bash          root inside, with a range of ids
  holm run --memory 512M --timeout 10s make     not more than that
  holm run --explain bash                       the steps, and why each; nothing is done

Exit code: the program's own; 128+N if signal N ended it; 127 not found; 126 not executable; 125 holm's own failure.";

fn run() -> Command {
    let mut command = Command::new("run")
        .about("Runs a program in new namespaces with a root of its own")
        .override_usage("holm run [OPTIONS] [PROGRAM] [ARGUMENT]...")
        .after_help(EXAMPLES);
    let groups = [
        root_options(),
        namespace_options(),
        identity_options(),
        policy_options(),
        program_options(),
        limit_options(),
        other_options(),
    ];
    for arg in groups.into_iter().flatten() {
        command = command.arg(arg);
    }
    for option in OPTIONS {
        let arg = repeated(option.name, option.value, option.help);
        command = command.arg(arg.help_heading("File system, done in the order given"));
    }
    command
        .arg(program().required(false).help("The program and its arguments [default: what the image of the root says]"))
}

fn program() -> Arg {
    Arg::new("program")
        .value_name("PROGRAM")
        .required(true)
        .num_args(1..)
        .trailing_var_arg(true)
        .value_parser(OsStringValueParser::new())
        .help("The program and its arguments")
}

pub(crate) fn single(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help).value_parser(OsStringValueParser::new())
}

pub(crate) fn repeated(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    single(name, value, help).action(ArgAction::Append).allow_hyphen_values(true)
}

pub(crate) fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// An option for what is printed, with the form that it may have; the first is the default.
pub(crate) fn printed<const N: usize>(name: &'static str, forms: [&'static str; N], help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("FORM")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value(forms[0])
        .value_parser(forms)
        .help(help)
}

fn under(heading: &'static str, args: Vec<Arg>) -> Vec<Arg> {
    args.into_iter().map(|arg| arg.help_heading(heading)).collect()
}

/// What `--overlay` without a directory means: no directory can be given that has this name.
pub(crate) const IN_MEMORY: &str = "\0";

fn root_options() -> Vec<Arg> {
    under(
        "Root",
        vec![
            single(
                "root",
                "ROOT",
                "host (default), bins:A,B,... for these programs, none, a directory, a stored root (holm root), or an image: oci:PATH[:TAG], docker:NAME",
            ),
            repeated("with", "A,B,...", "Add these programs to a root of programs; alone, a root of these"),
            repeated("deb", "PACKAGE,...", "Add all files of these installed Debian packages, and what those need"),
            flag("rw", "Writes to the root go through to it"),
            Arg::new("overlay")
                .long("overlay")
                .value_name("NAME|DIR")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value(IN_MEMORY)
                .conflicts_with("rw")
                .value_parser(OsStringValueParser::new())
                .help("Writes to the root go to memory; with =DIR to a directory; with =NAME they and those to bound directories are kept (holm diff)"),
        ],
    )
}

fn namespace_options() -> Vec<Arg> {
    let text = |arg: Arg| arg.value_parser(value_parser!(String));
    under(
        "Namespaces: user, mnt, pid, ipc, uts, net and cgroup are new by default",
        vec![
            text(repeated("share", "KIND,...", "Share these with the host")),
            repeated("join", "KIND=WHERE", "Join one: a path, a pid, a kept name or fd:N"),
            repeated("keep", "KIND=WHERE", "Keep a new one under a name or a path"),
            text(single("time-offset", "boot=T,mono=T", "Make a time namespace with these offsets"))
                .allow_hyphen_values(true),
            single("hostname", "NAME", "The host name inside [default: holm]"),
        ],
    )
}

fn identity_options() -> Vec<Arg> {
    under(
        "Identity",
        vec![
            single("user", "USER", "root, UID or UID:GID inside [default: the caller's]")
                .value_parser(value_parser!(String)),
            single(
                "userns",
                "WHICH",
                "As root: auto (default) for ids that are nobody's outside, or host for the same ids",
            )
            .value_parser(["auto", "host"]),
            repeated("map", "MAP", "auto for the ranges in /etc/subuid, or [u:|g:]INSIDE:OUTSIDE:COUNT")
                .value_parser(value_parser!(String)),
        ],
    )
}

fn policy_options() -> Vec<Arg> {
    under(
        "Policy: the default refuses what ordinary programs don't need; each of these but strict is weaker",
        vec![
            repeated("cap-add", "NAME,...", "Keep these capabilities over the sandbox's namespaces, or all")
                .value_parser(value_parser!(String)),
            single("seccomp", "FILTER", "System calls: default, strict, none, or a file in OCI's JSON form"),
            flag("allow-userns", "Let the program make user namespaces, and mount in them"),
            flag("new-privs", "Let set-user-id programs and file capabilities work"),
            single("sys", "VIEW", "What is on /sys: none (default), or ro for the host's, read-only")
                .value_parser(value_parser!(String)),
        ],
    )
}

fn program_options() -> Vec<Arg> {
    under(
        "Program",
        vec![
            single("chdir", "DIR", "Start in this directory inside [default: the current one, else /]"),
            repeated("env", "NAME[=VALUE]", "Set a variable, or pass the caller's value on"),
            flag("env-all", "Pass the whole environment on"),
            single("arg0", "TEXT", "The zeroth argument").allow_hyphen_values(true),
            repeated("pass-fd", "N", "Keep descriptor N open"),
            tty(),
            flag("wait-all", "Wait for background processes, too"),
        ],
    )
}

pub(crate) fn tty() -> Arg {
    Arg::new("tty")
        .short('t')
        .long("tty")
        .value_name("WHEN")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("always")
        .value_parser(["auto", "always", "never"])
        .help("A terminal of its own: auto (default) if holm has one on 0, 1 and 2; always; never")
}

fn limit_options() -> Vec<Arg> {
    let once = limits::SINGLE.map(|(name, value, help)| single(name, value, help).allow_hyphen_values(true));
    let often = limits::REPEATED.map(|(name, value, help)| repeated(name, value, help));
    under("Limits: there is none by default", once.into_iter().chain(often).collect())
}

fn other_options() -> Vec<Arg> {
    under(
        "Other",
        vec![
            single("name", "NAME", "A name for the sandbox, for holm ps and holm enter")
                .value_parser(crate::values::sandbox_name),
            single("profile", "FILE", "Read options from a TOML file first"),
            printed(
                "explain",
                ["table", "json", "sh"],
                "Print the steps and do nothing: a table (default), json, or sh for a script",
            ),
            single(
                "diagram",
                "FILE",
                "Draw the sandbox and do nothing: FILE ends in .svg, .html, .dot, .mmd, or .png where that is built in",
            )
            .conflicts_with("explain"),
            printed(
                "log-denied",
                ["table", "json"],
                "Print what was refused on standard error, with what would allow it: a table (default), or json",
            ),
            printed("stats", ["table", "json"], "Print what was used on standard error: a table (default), or json"),
        ],
    )
}

fn learn() -> Command {
    Command::new("learn")
        .about("Runs a program in the default sandbox and writes a profile that allows what it missed")
        .after_help(
            "The profile goes to standard output, the program's own output to standard error.\n\n\
            Example:\n  holm learn make test > make.toml && holm run --profile make.toml make test",
        )
        .arg(single("profile", "FILE", "Start from this profile, to learn what is still missed"))
        .arg(program())
}

fn generate() -> Command {
    let shell = Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(clap_complete::Shell));
    Command::new("generate")
        .about("Prints the man page or completions")
        .subcommand_required(true)
        .subcommand(Command::new("man").about("Prints the man page, in roff"))
        .subcommand(Command::new("completions").about("Prints completions for a shell").arg(shell))
}
