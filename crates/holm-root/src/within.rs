//! Programs that run in a root in the making: in a sandbox whose root is the draft, written through.
//!
//! The sandbox has no network, and of the capabilities only those that change owners and modes of its own files. Calls
//! that wait for the disk answer at once: the store syncs the whole draft before anybody sees it. Where the caller has a
//! single id no file can be given away, and calls that try say that they did. The draft must have `/dev`, `/proc` and
//! `/tmp` to mount on.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use holm::Spec;
use holm::model::capability::Capability;
use holm::model::id::IdMap;
use holm::model::seccomp::policy::Policy;
use holm::model::seccomp::{Action, Rule};
use holm::spec::filesystem::{Root, Writes};
use holm::spec::identity::{Maps, User};
use holm::spec::life::{Change, Stdio};
use holm::spec::policy::Calls;
use syscalls::x86_64::Sysno;

use crate::tree::Owners;

/// So many lines of what programs said are kept for an error.
const LINES: usize = 30;
/// More bytes of a line that a program prints without an end than this are another line.
const LINE: u64 = 64 << 10;
/// How often it is asked whether to go on while programs say nothing.
const ASK: Duration = Duration::from_millis(200);

/// What a sandbox may do with its own files.
const CAPABILITIES: [&str; 7] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID", "SETFCAP"];
/// Calls that wait for the disk.
const WAITS: [Sysno; 6] =
    [Sysno::fsync, Sysno::fdatasync, Sysno::msync, Sysno::sync, Sysno::syncfs, Sysno::sync_file_range];
/// Calls that give files away.
const GIVES: [Sysno; 4] = [Sysno::chown, Sysno::fchown, Sysno::fchownat, Sysno::lchown];

/// Why programs did not do all they were to do.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The sandbox did not start.
    Start(holm::Error),
    /// The program failed, with this exit code; the last lines of what was said.
    Program(u8, String),
}

/// A program in the root `files`, run by user 0. It starts in `/`, and its standard output is a pipe.
pub(crate) fn spec(files: &Path, owners: Owners, program: &str) -> Spec {
    let mut spec = Spec::new(program);
    spec.root = Root::Directory(files.to_owned());
    spec.writes = Writes::Through;
    spec.directory = Some("/".into());
    spec.environment.changes = ["TERM", "LANG"].map(|name| Change::Unset(name.into())).into();
    spec.stdio = [Stdio::Null, Stdio::Piped, Stdio::Null];
    spec.identity.user = User::Ids { uid: 0, gid: 0 };
    spec.identity.maps = maps(owners);
    spec.policy.capabilities = CAPABILITIES.into_iter().filter_map(Capability::parse).collect();
    spec.policy.calls = calls(owners);
    spec
}

/// Runs it. `go_on` is given each line of what it prints, and an empty one now and then; it says whether to go on, else
/// the program is killed.
pub(crate) fn run(spec: &Spec, go_on: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), Failed> {
    let mut child = spec.spawn().map_err(Failed::Start)?;
    let mut said = VecDeque::new();
    if let Some(output) = child.stdout.take() {
        // Read in a thread: a program that says nothing can be stopped, too. It ends with the last that can write.
        let (sender, lines) = sync_channel(LINES);
        std::thread::spawn(move || read_lines(output, &sender));
        loop {
            let line = match lines.recv_timeout(ASK) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if !go_on(&line) {
                child.kill().map_err(|error| Failed::Program(125, error.to_string()))?;
                break;
            }
            if line.is_empty() {
                continue;
            }
            if said.len() == LINES {
                said.pop_front();
            }
            said.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    }
    match child.wait() {
        Ok(exit) if exit.success() => Ok(()),
        ended => Err(Failed::Program(ended.map_or(125, holm::Exit::code), Vec::from(said).join("\n"))),
    }
}

/// Sends what is written line by line, with the lines' ends, until its end or until nobody wants more.
fn read_lines(output: impl Read, sender: &SyncSender<Vec<u8>>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        let read = output.by_ref().take(LINE).read_until(b'\n', &mut line);
        if !matches!(read, Ok(1..)) || sender.send(line).is_err() {
            return;
        }
    }
}

/// How ids inside are ids outside. Who may map any id leaves the choice to the sandbox, which takes ids that are
/// nobody's; in a user namespace of few ids they are the same inside.
fn maps(owners: Owners) -> Maps {
    /// From here on the sandbox looks for ids (systemd's UIDS-GIDS).
    const LARGE: u64 = 0x7000_0000;
    let own = |file: &str| -> Vec<IdMap> {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = |line: &str| {
            let numbers: Vec<u32> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
            let [inside, _, count] = numbers[..] else { return None };
            Some(IdMap { inside, outside: inside, count })
        };
        text.lines().filter_map(line).collect()
    };
    let (uid, gid) = (own("/proc/self/uid_map"), own("/proc/self/gid_map"));
    let large = |maps: &[IdMap]| maps.iter().any(|map| u64::from(map.inside) + u64::from(map.count) >= LARGE);
    match owners {
        Owners::Listed => Maps::Single,
        Owners::Kept if large(&uid) && large(&gid) => Maps::Automatic,
        Owners::Kept => Maps::Listed { uid, gid },
    }
}

fn calls(owners: Owners) -> Calls {
    let mut filter = Policy::Default.filter(&[]);
    let gives = GIVES.iter().filter(|_| owners == Owners::Listed);
    for call in WAITS.iter().chain(gives) {
        let nothing = Rule { conditions: Vec::new(), action: Action::Errno(0) };
        filter.calls.insert(*call as u32, vec![nothing]);
    }
    Calls::Filter(filter)
}
