//! The options of `holm oci`, as engines give them.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};
use std::path::PathBuf;

/// The command, under its own name or an engine's.
pub(crate) fn command(name: &'static str) -> Command {
    let version = concat!(env!("CARGO_PKG_VERSION"), "\nspec: 1.3.0");
    Command::new(name)
        .about("Makes containers of the OCI runtime specification, for engines")
        .version(version)
        .subcommand_required(true)
        .arg(file("root", "DIR", "State directory [default: /run/holm-oci, or below $XDG_RUNTIME_DIR]"))
        .arg(file("log", "FILE", "Errors and warnings go there, too"))
        .arg(word("log-format", &["text", "json"], "Their form").default_value("text"))
        .arg(flag("debug", "Taken from engines; there is nothing more to tell"))
        .arg(flag("systemd-cgroup", "Refused: holm makes control groups itself"))
        .arg(word("cgroup-manager", &["cgroupfs", "systemd", "disabled"], "Who makes control groups"))
        .arg(word("rootless", &["true", "false", "auto"], "Taken from engines; holm sees it for itself"))
        .subcommand(making("create", "Makes a container, which waits to be started"))
        .subcommand(
            making("run", "Makes and starts a container, and stays until its program has ended")
                .arg(flag("detach", "Leave it alone once it runs").short('d'))
                .arg(flag("keep", "Don't remove it afterwards")),
        )
        .subcommand(one("start", "Starts the program of a container that waits"))
        .subcommand(one("state", "Prints a container's state"))
        .subcommand(
            one("kill", "Sends a signal to a container's first process")
                .arg(Arg::new("SIGNAL").help("Name or number [default: TERM]"))
                .arg(flag("all", "Taken from engines: the first process's end is everybody's").short('a')),
        )
        .subcommand(
            one("delete", "Removes a container")
                .arg(flag("force", "Kill it first; one that isn't there is no failure").short('f')),
        )
        .subcommand(
            Command::new("list")
                .about("Lists containers")
                .arg(word("format", &["table", "json"], "The form").short('f').default_value("table"))
                .arg(flag("quiet", "Names alone").short('q')),
        )
        .subcommand(Command::new("spec").about("Writes a config.json to begin with").arg(bundle()))
        .subcommand(Command::new("features").about("Prints what is done of the specification"))
}

fn one(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).arg(Arg::new("ID").required(true).help("The container's name"))
}

fn making(name: &'static str, about: &'static str) -> Command {
    one(name, about)
        .arg(bundle())
        .arg(file("pid-file", "FILE", "Write the pid of its first process there"))
        .arg(file("console-socket", "SOCKET", "Who listens there gets its terminal"))
        .arg(
            Arg::new("preserve-fds")
                .long("preserve-fds")
                .value_name("N")
                .value_parser(value_parser!(u16).range(..=1000))
                .help("Pass descriptors 3 to 3+N-1 on"),
        )
        .arg(flag("no-pivot", "Refused"))
        .arg(flag("no-new-keyring", "Refused"))
}

fn bundle() -> Arg {
    file("bundle", "DIR", "The bundle [default: .]").short('b')
}

fn file(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).value_parser(value_parser!(PathBuf)).help(help)
}

fn word(name: &'static str, values: &'static [&'static str], help: &'static str) -> Arg {
    Arg::new(name).long(name).value_parser(PossibleValuesParser::new(values)).help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}
