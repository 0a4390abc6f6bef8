//! `holm enter` as typed.

use crate::arguments::{flag, printed, repeated, single, tty};
use clap::builder::OsStringValueParser;
use clap::{Arg, Command, value_parser};
use holm::inspect::enter::Part;

/// The words of `--take`, and what they stand for.
pub(crate) const PARTS: [(&str, Part); 7] = [
    ("root", Part::Root),
    ("cwd", Part::Directory),
    ("cgroup", Part::Groups),
    ("ids", Part::Ids),
    ("caps", Part::Capabilities),
    ("limits", Part::Limits),
    ("env", Part::Environment),
];

/// The command.
pub(crate) fn command() -> Command {
    Command::new("enter")
        .about("Runs a program where a sandbox, a container or a process is")
        .after_help(
            "Examples:\n  \
            holm enter web                    a shell in the sandbox that runs with --name web\n  \
            holm enter 4242 ps                the namespaces, root, user and limits of a process\n  \
            holm enter 4f5e0c9a               a container, by the start of its id\n  \
            holm enter --only net 4242 ss -l  one of its namespaces alone\n  \
            holm enter /run/netns/blue ip a   a namespace that is kept under a path\n  \
            holm enter --explain web          the steps, and why each; nothing is done\n\n\
            What is entered gets the user, the capabilities and the limits that are there, and no way to more; its exit code is as of\n\
            holm run.",
        )
        .arg(
            Arg::new("target").value_name("TARGET").required(true).value_parser(OsStringValueParser::new()).help(
                "A sandbox's name or pid, a process, a container's name, id or the start of it, a path of a namespace, or its id as in holm ls",
            ),
        )
        .arg(
            Arg::new("program")
                .value_name("PROGRAM")
                .num_args(1..)
                .trailing_var_arg(true)
                .value_parser(OsStringValueParser::new())
                .help("The program and its arguments [default: sh]"),
        )
        .arg(
            single("only", "KIND,...", "Enter only these namespaces [default: all that differ]")
                .value_parser(value_parser!(String)),
        )
        .arg(
            single(
                "take",
                "WHAT,...",
                "Take this of a process, too: root, cwd, cgroup, ids, caps, limits, env, or none [default: all but env]",
            )
            .value_parser(value_parser!(String)),
        )
        .arg(
            single("user", "USER", "root, UID or UID:GID inside [default: the one there]")
                .value_parser(value_parser!(String)),
        )
        .arg(
            single("started", "TICKS", "Enter only a process that started then, as field 22 of /proc/PID/stat")
                .value_parser(value_parser!(u64))
                .hide(true),
        )
        .arg(single("seccomp", "FILTER", "System calls: default, strict, none, or a file in OCI's JSON form"))
        .arg(single("chdir", "DIR", "Start in this directory inside [default: the one there, else /]"))
        .arg(repeated("env", "NAME[=VALUE]", "Set a variable, or pass the caller's value on"))
        .arg(flag("env-all", "Pass the whole environment on"))
        .arg(tty())
        .arg(printed("explain", ["table", "json"], "Print the steps and do nothing: a table (default), or json"))
}
