//! An ordinary user's rights over what a sandbox made: files of the user's subordinate ids, and files and directories
//! without any mode.
//!
//! The same command runs once more in a user namespace of its own and nothing else: there it has the rights of those ids'
//! owner. Every id is mapped to itself, so nothing else looks different. Where such a namespace can't be made, the command
//! goes on as it is, and says what it can't read.

use holm::Spec;
use holm::model::capability::Capability;
use holm::model::id::IdMap;
use holm::model::namespace::Namespace;
use holm::spec::identity::Maps;
use holm::spec::life::Base;
use holm::spec::namespaces::Choice;
use holm::spec::policy::Calls;
use holm_root::changes::{About, Ids};
use rustix::thread::{CapabilitySet, capabilities};
use std::process::ExitCode;

const RIGHTS: [&str; 3] = ["DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER"];

/// Runs this command again with these rights and returns how it ended; `None` if it has them, or can't have them.
pub(super) fn again(about: &About) -> Option<ExitCode> {
    let held = capabilities(None).ok()?.effective;
    if held.contains(CapabilitySet::DAC_OVERRIDE) {
        return None;
    }
    let mut child = spec(about)?.spawn().ok()?;
    child.wait().ok().map(|exit| ExitCode::from(exit.code()))
}

fn spec(about: &About) -> Option<Spec> {
    let mut arguments = std::env::args_os();
    let zeroth = arguments.next();
    let mut spec = Spec::new(std::env::current_exe().ok()?).args(arguments);
    spec.program.zeroth = zeroth;
    spec.namespaces.choices =
        Namespace::ALL.into_iter().filter(|kind| *kind != Namespace::User).map(|kind| (kind, Choice::Share)).collect();
    spec.identity.maps = maps(about);
    spec.environment.base = Base::Caller;
    spec.policy.calls = Calls::All;
    spec.policy.capabilities = RIGHTS.iter().filter_map(|name| Capability::parse(name)).collect();
    Some(spec)
}

/// Each id that the changes have to itself.
fn maps(about: &About) -> Maps {
    let same = |maps: &[(u32, u32, u32)]| {
        maps.iter().map(|&(_, outside, count)| IdMap { inside: outside, outside, count }).collect()
    };
    match &about.ids {
        Ids::Outside { users, groups } if about.ids.has_ranges() => {
            Maps::Listed { uid: same(users), gid: same(groups) }
        }
        _ => Maps::Single,
    }
}
