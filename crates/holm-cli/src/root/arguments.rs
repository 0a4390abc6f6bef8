//! `holm root` as typed.

use super::progress;
use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgAction, Command, value_parser};
use holm_root::debian::wish::Variant;

const EXAMPLES: &str = "\
Examples:
  holm root build debian:bookworm           make a root of Debian, and store it
  holm root import ./custom-root web        store a directory as web
  holm root import web.tar.zst web          store an archive: tar, plain or by gzip, xz or zstd
  holm root pull debian:bookworm deb        store an image from a registry
  holm run --root web bash                  run in it; writes go to memory
  holm root verify                          compare all roots with what was stored

The store is the directory HOLM_STORE, else /var/lib/holm for user 0, else holm in XDG_DATA_HOME or ~/.local/share.
Exit code: 125 if something can't be done, or differs.";

pub(crate) fn command() -> Command {
    Command::new("root")
        .about("Keeps roots in a store: builds, imports, exports, lists, checks and removes them")
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(build())
        .subcommand(
            progress::options(Command::new("import")
                .about("Stores a directory, an archive or an image")
                .arg(path(
                    "source",
                    "SOURCE",
                    "A directory; a tar archive, plain or by gzip, xz or zstd; a squashfs or erofs image; an image layout, or an archive of one; \
                     oci:PATH:TAG for one image of several",
                ))
                .arg(name().required(true))
                .arg(max_size())),
        )
        .subcommand(
            progress::options(Command::new("pull")
                .about("Stores an image from a registry")
                .arg(
                    Arg::new("image")
                        .value_name("IMAGE")
                        .required(true)
                        .value_parser(value_parser!(String))
                        .help("[REGISTRY/]REPOSITORY[:TAG][@DIGEST], such as debian:bookworm"),
                )
                .arg(name().help("The root's name in the store [default: the image's whole name, with + for /]"))
                .arg(
                    Arg::new("insecure")
                        .long("insecure")
                        .action(ArgAction::SetTrue)
                        .help("Speak HTTP, without TLS, also with a registry elsewhere than on loopback"),
                )
                .arg(max_size())),
        )
        .subcommand(
            Command::new("export")
                .about("Writes a root as a plain tar archive, or as an image of one layer")
                .arg(name().required(true))
                .arg(path(
                    "to",
                    "TO",
                    "FILE.tar; oci:DIR[:TAG] for an image layout, oci-archive:FILE[:TAG], docker-archive:FILE[:NAME]",
                )),
        )
        .subcommand(Command::new("ls").about("Lists all roots").arg(json()))
        .subcommand(show())
        .subcommand(
            Command::new("rm").about("Removes a name, and its root if no other name has it").arg(name().required(true)),
        )
        .subcommand(Command::new("gc").about("Removes what no name leads to"))
        .subcommand(Command::new("verify").about("Compares roots with what was stored, content and all").arg(name()))
        .subcommand(
            Command::new("du").about("Shows what roots take on disk, and what removing each would free").arg(json()),
        )
}

fn build() -> Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).value_parser(OsStringValueParser::new()).help(help)
    };
    let command = Command::new("build")
        .about("Makes a root of Debian packages, of the host's programs, or by a recipe, and stores it")
        .override_usage(
            "holm root build [OPTIONS] <SOURCE> [NAME]\n       holm root build [OPTIONS] -f <RECIPE> [NAME]",
        )
        .after_help(BUILD_EXAMPLES)
        .arg(
            path("source", "SOURCE", "debian:SUITE, ubuntu:SUITE, or bins:A,B,... for programs of the host")
                .required(false)
                .required_unless_present("file"),
        )
        .arg(name().help("The root's name in the store [default: SOURCE, or the recipe's file without its ending]"))
        .arg(
            value(
                "file",
                "RECIPE",
                "Follow a recipe: a file in TOML (docs/roots/recipe.md); with --lock, --sbom as SOURCE",
            )
            .short('f')
            .conflicts_with_all(["name", "variant", "include", "mirror", "snapshot", "keyring", "deb"]),
        )
        .arg(
            Arg::new("variant")
                .long("variant")
                .value_name("WHICH")
                .value_parser(PossibleValuesParser::new(Variant::ALL.map(Variant::name)).try_map(variant))
                .help("Which packages it begins with [default: minbase]"),
        )
        .arg(value("include", "PACKAGE,...", "More packages: NAME or NAME=VERSION").action(ArgAction::Append))
        .arg(value("mirror", "URL", "Take packages from this archive alone [default: as the host's apt does]"))
        .arg(
            value("snapshot", "DATE", "Take the archive as it was then: 2026-01-31, or with a time")
                .conflicts_with("mirror"),
        )
        .arg(value("keyring", "FILE", "Trust the keys in this file [default: the distribution's]"))
        .arg(value("lock", "FILE", "Take just the packages that this file lists; if there is none, write it"))
        .arg(value("sbom", "FILE", "Write a list of the packages in the form of SPDX 2.3"))
        .arg(deb().help("With bins: add all files of these installed packages, and what those need"));
    progress::options(command)
}

const BUILD_EXAMPLES: &str = "\
Examples:
  holm root build debian:bookworm                       the packages of minbase, from the host's mirror
  holm root build debian:trixie dev --variant buildd    with compilers, under the name dev
  holm root build debian:bookworm web --include nginx   with one package more
  holm root build bins:bash,git,python3 tools           the host's programs, with all that they need
  holm root build -f web.toml                           what the recipe says, under the name web
  holm run --root debian:bookworm bash                  builds it the first time, and runs in it

Packages are kept in /var/cache/holm for user 0, else in holm in XDG_CACHE_HOME or ~/.cache.";

fn show() -> Command {
    Command::new("show")
        .about("Shows what is known of a root")
        .arg(name().required(true).help("The root's name in the store; with --why also bins:A,B,..."))
        .arg(json())
        .arg(Arg::new("why").long("why").action(ArgAction::SetTrue).help(
            "List what a root of programs holds, each file with the reason, and what it hasn't of the host's files",
        ))
        .arg(deb().requires("why").help("With --why: the root with these packages, too"))
}

fn deb() -> Arg {
    let deb = Arg::new("deb").long("deb").value_name("PACKAGE,...").action(ArgAction::Append);
    deb.value_parser(OsStringValueParser::new())
}

fn max_size() -> Arg {
    Arg::new("max-size")
        .long("max-size")
        .value_name("SIZE")
        .default_value("32G")
        .value_parser(value_parser!(String))
        .help("Refuse what becomes larger")
}

fn name() -> Arg {
    Arg::new("name").value_name("NAME").value_parser(OsStringValueParser::new()).help("The root's name in the store")
}

fn path(id: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(id).value_name(value).required(true).value_parser(OsStringValueParser::new()).help(help)
}

fn json() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON")
}

fn variant(name: String) -> Result<Variant, String> {
    Variant::ALL.into_iter().find(|one| one.name() == name).ok_or(name)
}
