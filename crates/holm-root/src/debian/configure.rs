//! Packages that are unpacked become installed ones: their scripts run, inside a sandbox whose root is the draft.
//!
//! In this order, by one shell script: the preinst of each package, as dpkg would have run it before it unpacked;
//! dpkg itself for packages whose preinst moves files; then `dpkg --configure -a`. The sandbox has no network, starts
//! no services (policy-rc.d), and of the capabilities only those that change owners and modes of its own files. Calls
//! that wait for the disk answer at once: the store syncs the whole draft before anybody sees it. Where the caller has
//! a single id no file can be given away, and calls that try say that they did.
//!
//! Source: Debian Policy 6.5 and 9.3.3, dpkg(1) for the environment of scripts, deb-triggers(5).

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use holm::Spec;
use holm::model::capability::Capability;
use holm::model::id::IdMap;
use holm::model::seccomp::policy::Policy;
use holm::model::seccomp::{Action, Rule};
use holm::spec::filesystem::{Access, Content, Entry, Missing, Operation, Root, Source, Writes};
use holm::spec::identity::{Maps, User};
use holm::spec::life::{Change, Stdio};
use holm::spec::policy::Calls;
use syscalls::x86_64::Sysno;

use super::package::Fetched;
use super::unpack::Unpacked;
use crate::tree::Owners;

/// Inside, what this module needs: on a tmpfs of the sandbox, so nothing of it can stay.
const OWN: &str = "/tmp/holm";
/// Inside, the control files of packages whose preinst is still to be run.
pub(super) const WAITING: &str = "/var/lib/dpkg/holm.ci";
/// So many lines of what scripts said are kept for an error.
const LINES: usize = 30;
/// More lines a script may print without an end than this are cut.
const LINE: u64 = 64 << 10;
/// How often it is asked whether to go on while scripts say nothing.
const ASK: Duration = Duration::from_millis(200);

/// What a sandbox may do with its own files.
const CAPABILITIES: [&str; 7] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID", "SETFCAP"];
/// Calls that wait for the disk.
const WAITS: [Sysno; 6] =
    [Sysno::fsync, Sysno::fdatasync, Sysno::msync, Sysno::sync, Sysno::syncfs, Sysno::sync_file_range];
/// Calls that give files away.
const GIVES: [Sysno; 4] = [Sysno::chown, Sysno::fchown, Sysno::fchownat, Sysno::lchown];

/// Why packages could not be configured.
#[derive(Debug)]
pub(super) enum Failed {
    /// The sandbox did not start.
    Start(holm::Error),
    /// A script failed; the last lines of what was said.
    Script(String),
}

/// Runs the scripts of all packages in the root `files`; `done` is told with each line whether a package is configured,
/// and says whether to go on.
pub(super) fn configure(
    files: &Path,
    packages: &[(&Fetched, &Unpacked)],
    owners: Owners,
    epoch: i64,
    done: &mut dyn FnMut(bool) -> bool,
) -> Result<(), Failed> {
    let spec = spec(files, packages, owners, epoch);
    let mut child = spec.spawn().map_err(Failed::Start)?;
    let mut said = VecDeque::new();
    if let Some(output) = child.stdout.take() {
        // Read in a thread: a script that says nothing can be stopped, too. It ends with the last that can write.
        let (sender, lines) = sync_channel(LINES);
        std::thread::spawn(move || read_lines(output, &sender));
        loop {
            let line = match lines.recv_timeout(ASK) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if !done(line.starts_with(b"Setting up ")) {
                child.kill().map_err(|error| Failed::Script(error.to_string()))?;
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
        _ => Err(Failed::Script(Vec::from(said).join("\n"))),
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

fn spec(files: &Path, packages: &[(&Fetched, &Unpacked)], owners: Owners, epoch: i64) -> Spec {
    let mut spec = Spec::new("/bin/sh").arg(format!("{OWN}/configure"));
    spec.root = Root::Directory(files.to_owned());
    spec.writes = Writes::Through;
    spec.directory = Some("/".into());
    spec.stdio = [Stdio::Null, Stdio::Piped, Stdio::Null];
    spec.identity.user = User::Ids { uid: 0, gid: 0 };
    spec.identity.maps = maps(owners);
    spec.policy.capabilities = CAPABILITIES.into_iter().filter_map(Capability::parse).collect();
    spec.policy.calls = calls(owners);
    let set = |name: &str, value: &str| Change::Set(name.into(), value.into());
    spec.environment.changes = vec![
        Change::Unset("TERM".into()),
        Change::Unset("LANG".into()),
        set("LC_ALL", "C"),
        set("DEBIAN_FRONTEND", "noninteractive"),
        set("DEBCONF_NONINTERACTIVE_SEEN", "true"),
        set("SOURCE_DATE_EPOCH", &epoch.to_string()),
    ];
    let mut put = |operation| spec.filesystem.push(Entry { operation, origin: String::new() });
    let text = Content::Bytes(script(packages).into_bytes());
    put(Operation::File { at: format!("{OWN}/configure").into(), content: text, mode: 0o644 });
    for (fetched, _) in packages.iter().filter(|(_, unpacked)| !unpacked.done) {
        let source = Source::Path(fetched.file.clone());
        let at = package_file(fetched).into();
        put(Operation::Bind { source, at, access: Access::ReadOnly, missing: Missing::Refuse });
    }
    spec
}

/// Inside, where dpkg finds a package that it is to unpack.
fn package_file(fetched: &Fetched) -> String {
    format!("{OWN}/{}.deb", fetched.package.name)
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

/// What preinsts have said about owners and modes, dpkg would have heeded when it unpacked (dpkg-statoverride(1)).
const OVERRIDES: &str = "\
if [ -s /var/lib/dpkg/statoverride ]; then
    while read -r user group mode path; do
        if [ -e \"$path\" ]; then chown \"${user#\\#}:${group#\\#}\" \"$path\" && chmod \"$mode\" \"$path\"; fi
    done </var/lib/dpkg/statoverride
fi
";

/// The script that runs inside. What is put into it are names of packages and architectures, which were checked.
fn script(packages: &[(&Fetched, &Unpacked)]) -> String {
    let mut text = String::from("exec 2>&1\n");
    let dpkg = packages.iter().find(|(fetched, _)| fetched.package.name == "dpkg");
    let version = dpkg.and_then(|(fetched, _)| fetched.package.version.split('-').next()).unwrap_or_default();
    let version: String = version.chars().filter(|c| c.is_ascii_alphanumeric() || ".+~".contains(*c)).collect();
    let preinst = |unpacked: &Unpacked| unpacked.done && unpacked.control.files.contains_key("preinst");
    for (_, unpacked) in packages.iter().filter(|(_, unpacked)| preinst(unpacked)) {
        let (key, name) = (unpacked.control.key(), &unpacked.control.name);
        // A string takes everything.
        let _ = write!(
            text,
            "mv {WAITING}/{key} /var/lib/dpkg/tmp.ci &&\n\
            DPKG_MAINTSCRIPT_PACKAGE={name} DPKG_MAINTSCRIPT_ARCH={} DPKG_MAINTSCRIPT_NAME=preinst \
            DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 DPKG_RUNNING_VERSION={version} DPKG_ADMINDIR=/var/lib/dpkg DPKG_ROOT= \
            /var/lib/dpkg/tmp.ci/preinst install || {{ echo 'the preinst of {name} failed'; exit 1; }}\n\
            rm -r /var/lib/dpkg/tmp.ci\n",
            unpacked.control.architecture
        );
    }
    text.push_str(OVERRIDES);
    let left: Vec<String> =
        packages.iter().filter(|(_, unpacked)| !unpacked.done).map(|(fetched, _)| package_file(fetched)).collect();
    if !left.is_empty() {
        let _ = writeln!(text, "dpkg --force-depends --force-confnew --unpack {} || exit 1", left.join(" "));
    }
    text.push_str("exec dpkg --configure -a\n");
    text
}
