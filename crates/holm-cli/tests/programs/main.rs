//! Ordinary programs at their usual work, outside and inside a plain sandbox: the policy refuses nothing that they need.
//!
//! The same script runs in both places, each time in a new directory below /tmp, and must print the same and end with the
//! same code. Run as root and as an ordinary user. `HOLM_PROGRAMS=all` adds what takes minutes.

mod debian;
mod python;

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use testkit::{run, skip};

const PATH: &str = "/usr/bin:/bin:/usr/sbin:/sbin";

/// Runs its arguments in a new directory, with a new home, and leaves nothing.
const SOMEWHERE: &str = "
    place=$(mktemp -d /tmp/holm-programs-XXXXXX) && mkdir \"$place/home\" \"$place/work\" && cd \"$place/work\" || exit 99
    HOME=$place/home TMPDIR=$place \"$@\"
    code=$?
    cd /
    rm -rf \"$place\"
    exit $code";

/// Where a program runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    Outside,
    Inside,
}

/// What `program` prints there, both streams together, and its exit code.
pub(crate) fn told(place: Where, program: &[&str]) -> (String, Option<i32>) {
    let variables = [("PATH", PATH), ("LANG", "C.UTF-8"), ("TERM", "dumb")];
    let mut command = match place {
        Where::Outside => {
            let mut command = Command::new("env");
            command.arg("-i").args(variables.map(|(name, value)| format!("{name}={value}")));
            command
        }
        Where::Inside => {
            let mut command = run();
            command.args(variables.map(|(name, value)| format!("--env={name}={value}")));
            command
        }
    };
    let script = format!("exec 2>&1\n{SOMEWHERE}");
    let done: Output =
        command.args(["sh", "-c", &script, "-"]).args(program).stdin(Stdio::null()).output().expect("it starts");
    let text = [done.stdout, done.stderr].concat();
    (String::from_utf8_lossy(&text).into_owned(), done.status.code())
}

/// Whether a program is installed; says so if not.
pub(crate) fn there(program: &str) -> bool {
    let there = PATH.split(':').any(|directory| Path::new(directory).join(program).exists());
    if !there {
        skip(&format!("{program} is not installed"));
    }
    there
}

/// Whether what takes minutes is wished.
pub(crate) fn all() -> bool {
    std::env::var_os("HOLM_PROGRAMS").is_some_and(|wish| wish == OsStr::new("all"))
}

/// The same is printed in both places, `lines` or more, and the end is the same.
fn same(program: &[&str], lines: usize) {
    if !there(program[0]) {
        return;
    }
    let (outside, inside) = (told(Where::Outside, program), told(Where::Inside, program));
    let differing = outside.0.lines().zip(inside.0.lines()).find(|(a, b)| a != b);
    assert_eq!(inside, outside, "the first line that differs: {differing:?}");
    assert!(inside.0.lines().count() >= lines, "{}", inside.0);
}

#[test]
fn bash_does_the_same() {
    same(&["bash", "-c", include_str!("scripts/bash.sh")], 35);
}

#[test]
fn dash_does_the_same() {
    same(&["dash", "-c", include_str!("scripts/dash.sh")], 20);
}

#[test]
fn every_program_of_coreutils_does_the_same() {
    let table = include_str!("scripts/coreutils.sh");
    let works: Vec<(&str, &str)> = table.lines().skip(1).filter_map(|line| line.split_once(": ")).collect();
    let mut script = String::new();
    for (name, work) in &works {
        let work = work.replace('\'', "'\\''");
        script +=
            &format!("echo '== {name}'; mkdir 'd.{name}'; (cd 'd.{name}'; exec bash -c '{work}' 2>&1); echo $?\n");
    }
    same(&["bash", "-c", &script], 400);
    // The table leaves none out.
    let listed = Command::new("dpkg").args(["--listfiles", "coreutils"]).output();
    let listed = listed.map(|done| String::from_utf8_lossy(&done.stdout).into_owned()).unwrap_or_default();
    for path in listed.lines().map(Path::new).filter(|p| p.parent().is_some_and(|d| d.ends_with("bin"))) {
        let name = path.file_name().and_then(OsStr::to_str).expect("it has a plain name");
        assert!(works.iter().any(|(known, _)| *known == name), "{name} is not in the table");
    }
}

#[test]
fn git_does_the_same() {
    if there("git") {
        same(&["sh", "-c", include_str!("scripts/git.sh")], 20);
    }
}

#[test]
fn node_does_the_same() {
    if there("node") {
        let script =
            "printf %s \"$1\" >main.js && node main.js && mkdir again && cd again && UV_USE_IO_URING=1 node ../main.js";
        same(&["sh", "-c", script, "-", include_str!("scripts/node.js")], 30);
    }
}

#[test]
fn make_and_gcc_build_the_same() {
    if there("make") && there("gcc") {
        same(&["sh", "-c", include_str!("scripts/build.sh")], 28);
    }
}

#[test]
fn names_of_services_and_protocols_are_known() {
    let ask = "print join ' ', (getservbyname 'https', 'tcp')[2], (getprotobyname 'udp')[2]";
    assert_eq!(told(Where::Inside, &["perl", "-e", ask]), told(Where::Outside, &["perl", "-e", ask]));
}
