//! Where the script can do only less than the plan, or otherwise.

use super::{Pipes, Script, limits};
use crate::model::namespace::Namespace;
use crate::plan::step::{Act, Whose};
use crate::spec::filesystem::Operation;
use crate::spec::life::Stdio;
use crate::spec::namespaces::TimeOffsets;
use std::os::unix::ffi::OsStrExt;

impl Script<'_> {
    /// What may differ in a step, and whether it does.
    pub(super) fn differences(&self, act: &Act) -> Vec<(bool, &'static str)> {
        let launch = &self.plan.launch;
        let Pipes { tell, answer, ready, go } = self.pipes;
        match act {
            Act::OpenNamespace { whose, .. } => vec![
                (true, "a pid could mean another process by now"),
                (*whose == Whose::Others, "nobody looks whether it is the caller's own"),
            ],
            Act::Limit(limit) => vec![(true, limits::difference(limit))],
            Act::Enter(Namespace::User) => {
                vec![(true, "later tools have capabilities there only as user 0 inside: nsenter can't hand them on")]
            }
            Act::Enter(Namespace::Mount) => vec![(true, "the tools of later steps must exist in there")],
            Act::MapOwners { .. } => {
                vec![(true, "files whose owners aren't mapped are nobody's: mount 2.38 maps no owners")]
            }
            Act::Keep { .. } => vec![(true, "it stays if a later step fails")],
            Act::OffsetTime(TimeOffsets { boot, monotonic }) => {
                vec![([boot, monotonic].iter().any(|n| *n % 1_000_000_000 != 0), "unshare takes whole seconds")]
            }
            Act::TakeMappedIds => vec![(true, "the ids stay; where they aren't mapped, most of what follows fails")],
            Act::JoinKeyring => vec![(true, "the caller's keys stay: no tool of Debian's base system does it")],
            Act::AdmitQueues | Act::Confine(_) => vec![(true, "util-linux 2.38 has no tool for it")],
            Act::FilterCalls { .. } => {
                vec![(true, "no tool of the base system does it; all system calls are answered")]
            }
            Act::DropPrivileges { .. } => {
                let joined = self.joined.iter().any(|(kind, _)| *kind == Namespace::User);
                vec![
                    (true, "setpriv has no lock for ambient capabilities; but there are none left to raise"),
                    (joined, "the bounding set stays if the joined user namespace gave no capabilities"),
                ]
            }
            Act::OpenTerminal => vec![(true, "the caller's terminal stays: no tool opens one of the new root")],
            Act::Descriptors(_) => {
                let taken = [tell, answer, ready, go].iter().any(|number| self.used.contains(number));
                vec![
                    (true, "descriptors above 9 stay open, as sh can't name them"),
                    (taken, "descriptors 6 to 9 are this script's own: the caller's use more than it can leave alone"),
                ]
            }
            Act::Init => vec![
                (
                    true,
                    "it is a shell, which passes no signal on (kill -9 of this script ends it all) and can be traced",
                ),
                (launch.wait_all, "all ends with the program: sh can't wait for what others have started"),
                (!launch.own_pids, "what the program leaves behind goes on; holm's init finds and ends it"),
                (launch.held.is_some(), "no lock is held: others may use or remove the kept changes meanwhile"),
                (launch.stdio.contains(&Stdio::Piped), "there are no pipes; standard descriptors are this script's"),
            ],
            Act::RootAsIs { .. }
            | Act::TakeRoot
            | Act::Visit
            | Act::MoveDevice(_)
            | Act::Propagate(_)
            | Act::Personality(_)
            | Act::MemoryPolicy(_)
            | Act::ShowTerminal { .. }
            | Act::Domain(_)
            | Act::Setting { .. }
            | Act::TakeGroups(_)
            | Act::FindHome { .. }
            | Act::Seek(_)
            | Act::LabelKeys(_)
            | Act::Label(_)
            | Act::SetCapabilities { .. }
            | Act::GiveUpAdministration(_)
            | Act::Operate {
                operation:
                    Operation::Mount { .. }
                    | Operation::Remount { .. }
                    | Operation::Attach { .. }
                    | Operation::Node { .. }
                    | Operation::Protect { .. },
                ..
            } => vec![(true, "it is not done: this script is for what holm run can be asked for")],
            Act::WaitAtDoor => vec![(true, "nothing waits: the program is started at once, as a shell's child")],
            Act::Execute(name) => {
                let odd = launch.environment.iter().any(|(name, _)| !survives(name.as_bytes()));
                vec![
                    (launch.arguments.first() != Some(name), "sh can't give a zeroth argument other than the name"),
                    (odd, "sh drops variables that are its own (PWD, OLDPWD, IFS, PPID) or no names to it"),
                ]
            }
            _ => Vec::new(),
        }
    }
}

/// Whether sh hands on a variable of this name as it is.
fn survives(name: &[u8]) -> bool {
    let own: [&[u8]; 4] = [b"PWD", b"OLDPWD", b"IFS", b"PPID"];
    let is_name = name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    is_name && name.first().is_some_and(|b| !b.is_ascii_digit()) && !own.contains(&name)
}
