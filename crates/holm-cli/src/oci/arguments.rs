//! The options of `holm oci`, as engines give them.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};
use holm_oci::verbs::Also;
use std::path::PathBuf;
use std::time::Duration;

/// The command, under its own name or an engine's.
pub(crate) fn command(name: &'static str) -> Command {
    // Engines look for the words; of what a release was made its number tells.
    let version =
        concat!("version ", env!("CARGO_PKG_VERSION"), "\ncommit: v", env!("CARGO_PKG_VERSION"), "\nspec: 1.3.0");
    let page = |name: &str, about: &str| {
        format!("NAME:\n   {name} - {about}\n\n{{usage-heading}} {{usage}}\n\n{{all-args}}{{after-help}}")
    };
    Command::new(name)
        .help_template(page(name, "Open Container Initiative runtime, holm"))
        .about("Makes containers of the OCI runtime specification, for engines")
        .version(version)
        .disable_version_flag(true)
        .arg(
            Arg::new("version")
                .short('v')
                .visible_short_alias('V')
                .long("version")
                .action(ArgAction::Version)
                .help("Print version"),
        )
        .subcommand_required(true)
        .args(global().map(|option| option.global(true)))
        .subcommand(making("create", "Makes a container, which waits to be started"))
        .subcommand(
            making("run", "Makes and starts a container, and stays until its program has ended")
                .arg(flag("detach", "Leave it alone once it runs").short('d'))
                .arg(flag("keep", "Don't remove it afterwards")),
        )
        .subcommand(exec())
        .subcommand(one("start", "Starts the program of a container that waits"))
        .subcommand(one("state", "Prints a container's state"))
        .subcommand(
            one("kill", "Sends a signal to a container's first process")
                .arg(Arg::new("SIGNAL").help("Name or number [default: TERM]"))
                .arg(flag("all", "To all its processes").short('a')),
        )
        .subcommand(update())
        .subcommand(
            one("events", "Tells what a container uses, and when it runs out of memory")
                .arg(flag("stats", "Once, what it uses now"))
                .arg(
                    Arg::new("interval")
                        .long("interval")
                        .value_name("TIME")
                        .value_parser(interval)
                        .help("How often it tells what it uses [default: 5s]"),
                ),
        )
        .subcommand(
            Command::new("explain")
                .about("Prints the numbered steps of a bundle; nothing is done")
                .arg(Arg::new("BUNDLE").value_parser(value_parser!(PathBuf)).help("The bundle [default: .]"))
                .arg(word("format", &["table", "json"], "The form").short('f').default_value("table")),
        )
        .subcommand(
            criu("checkpoint", "Writes a container down by criu, and ends it", &CRIU_FLAGS)
                .arg(file("parent-path", "DIR", "Earlier images, from these on: only what has changed is written"))
                .arg(flag("leave-running", "Let it go on"))
                .arg(flag("pre-dump", "Only its memory, which a later one has as --parent-path; it goes on"))
                .arg(
                    Arg::new("page-server")
                        .long("page-server")
                        .value_name("ADDRESS:PORT")
                        .help("Who listens there gets the memory"),
                ),
        )
        .subcommand(
            criu("restore", "Makes a container again, and stays until its program has ended", &CRIU_FLAGS[..5])
                .arg(bundle())
                .arg(file("pid-file", "FILE", "Write the pid of its first process there"))
                .arg(file("console-socket", "SOCKET", "Who listens there gets its terminal"))
                .arg(flag("detach", "Leave it alone once it runs").short('d'))
                .arg(flag("no-pivot", "Allows what is not needed: pivot_root(2) is used"))
                .arg(flag("no-subreaper", "Allows what is so anyway: nobody but the caller gets its children"))
                .arg(
                    Arg::new("lsm-profile")
                        .long("lsm-profile")
                        .value_name("apparmor:NAME|selinux:LABEL")
                        .help("Its profile or label instead of the former one"),
                ),
        )
        .subcommand(one("pause", "Stops all processes of a container"))
        .subcommand(one("resume", "Lets all processes of a container go on"))
        .subcommand(
            one("ps", "Lists the processes of a container")
                .arg(word("format", &["table", "json"], "The form").short('f').default_value("table"))
                .arg(
                    Arg::new("OPTIONS")
                        .num_args(0..)
                        .trailing_var_arg(true)
                        .allow_hyphen_values(true)
                        .help("Options of ps(1) for the table [default: -ef]"),
                ),
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
        .mut_subcommands(|verb| {
            let page = page(&format!("{name} {}", verb.get_name()), "{about}");
            verb.help_template(page)
        })
}

/// Options that stand before the verb or behind it.
fn global() -> [Arg; 7] {
    [
        file("root", "DIR", "State directory [default: /run/holm-oci, or below $XDG_RUNTIME_DIR]"),
        file("log", "FILE", "Errors and warnings go there, too"),
        word("log-format", &["text", "json"], "Their form").default_value("text"),
        flag("debug", "Tells what was set up, in runc's words, and the CPUs of an exec"),
        flag("systemd-cgroup", "As --cgroup-manager systemd"),
        word(
            "cgroup-manager",
            &["cgroupfs", "systemd", "disabled"],
            "Who makes control groups [default: cgroupfs, that is holm itself]",
        ),
        // Of `spec` it stands alone.
        word(
            "rootless",
            &["true", "false", "auto"],
            "Taken from engines, holm sees it for itself; for spec, an ordinary user's",
        )
        .num_args(0..=1)
        .default_missing_value("true"),
    ]
}

fn exec() -> Command {
    let many = |name, value, help| Arg::new(name).long(name).value_name(value).action(ArgAction::Append).help(help);
    let text = |name, value, help| Arg::new(name).long(name).value_name(value).help(help);
    let id = value_parser!(u32);
    one("exec", "Runs one more program in a container")
        .arg(
            Arg::new("COMMAND")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .help("The program and its arguments"),
        )
        .arg(file("process", "FILE", "What this file says, in the form of process in a config.json").short('p'))
        .arg(flag("detach", "Leave it alone once it runs").short('d'))
        .arg(flag("tty", "Give it a terminal").short('t'))
        .arg(file("console-socket", "SOCKET", "Who listens there gets its terminal"))
        .arg(pidfd_socket())
        .arg(file("pid-file", "FILE", "Write its pid there"))
        .arg(preserved())
        .arg(file("cwd", "DIR", "Start in this directory"))
        .arg(many("env", "NAME=VALUE", "Set a variable").short('e'))
        .arg(text("user", "UID[:GID]", "Run it as this user").short('u'))
        .arg(many("additional-gids", "GID", "Further groups").short('g').value_parser(id))
        .arg(many("cap", "CAPABILITY", "Further capabilities").short('c'))
        .arg(flag("no-new-privs", "Let it gain no rights by execve(2)"))
        .arg(text("apparmor", "PROFILE", "Its AppArmor profile"))
        .arg(text("process-label", "LABEL", "Its SELinux label"))
        .arg(flag("ignore-paused", "In a paused container, wait until it goes on"))
        .arg(many("cgroup", "[CONTROLLER,...:]PATH", "Put it into this group below the container's"))
}

fn interval(text: &str) -> Result<Duration, String> {
    let none = || format!("{text:?} is no time that goes by");
    crate::limits::duration(text).and_then(|time| if time.is_zero() { Err(none()) } else { Ok(time) })
}

fn update() -> Command {
    let limit = |name| Arg::new(name).long(name).value_name("LIMIT").allow_hyphen_values(true);
    one("update", "Changes the limits of a container")
        .arg(file("resources", "FILE", "As linux.resources in a config.json; - is standard input").short('r'))
        .args(super::update::options().map(limit))
}

fn one(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).arg(Arg::new("ID").required(true).help("The container's name"))
}

fn making(name: &'static str, about: &'static str) -> Command {
    one(name, about)
        .arg(bundle())
        .arg(file("config", "FILE", "The configuration, in or from the bundle [default: config.json]").short('f'))
        .arg(file("pid-file", "FILE", "Write the pid of its first process there"))
        .arg(file("console-socket", "SOCKET", "Who listens there gets its terminal"))
        .arg(preserved())
        .arg(pidfd_socket())
        .arg(flag("no-pivot", "Allows what is not needed: pivot_root(2) is used"))
        .arg(flag("no-new-keyring", "Leave it the caller's session keyring, with all keys in it"))
}

/// What criu may do, by the options for it.
pub(super) const CRIU_FLAGS: [(&str, Also, &str); 6] = [
    ("auto-dedup", Also::Deduplicated, "Free what an earlier image holds, too"),
    ("ext-unix-sk", Also::ExternalSockets, "Take sockets along that are connected to the outside"),
    ("file-locks", Also::FileLocks, "Take locks of files along"),
    ("shell-job", Also::ShellJob, "Take a terminal or session of the outside along"),
    ("tcp-established", Also::EstablishedConnections, "Take connections of TCP along"),
    ("tcp-skip-in-flight", Also::SkippedConnections, "Leave connections of TCP out that are being made"),
];

fn criu(name: &'static str, about: &'static str, flags: &'static [(&'static str, Also, &'static str)]) -> Command {
    const MODES: [&str; 4] = ["soft", "full", "strict", "ignore"];
    // Podman says one twice.
    one(name, about)
        .args_override_self(true)
        .arg(file("image-path", "DIR", "Where the images are [default: checkpoint]"))
        .arg(file("work-path", "DIR", "Where criu's log goes [default: to the images]"))
        .arg(word("manage-cgroups-mode", &MODES, "What criu does about control groups [default: soft]"))
        .arg(word("empty-ns", &["network"], "Leave this namespace empty, for others to set it up"))
        .args(flags.iter().map(|(name, _, help)| flag(name, help)))
}

fn pidfd_socket() -> Arg {
    file("pidfd-socket", "SOCKET", "Who listens there gets a descriptor of its process")
}

fn preserved() -> Arg {
    Arg::new("preserve-fds")
        .long("preserve-fds")
        .value_name("N")
        .value_parser(value_parser!(u16).range(..=1000))
        .help("Pass descriptors 3 to 3+N-1 on, those that are open")
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
