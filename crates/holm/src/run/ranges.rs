//! This process itself becomes root of its own ids: no sandbox, only a user namespace.
//!
//! newuidmap(1) and newgidmap(1) write the maps, and they have their rights outside alone: so a shell that is started
//! before the namespace is made waits for it, runs both, and ends. It gets two numbers a line and no environment.

use crate::host::Host;
use crate::model::id::{IdMap, around};
use crate::model::namespace::Namespace;
use crate::spec::Spec;
use crate::spec::filesystem::Root;
use crate::spec::identity::Maps;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

/// Enters a user namespace in which this process is root of its own ids and of its ranges in /etc/subuid and
/// /etc/subgid (subuid(5)).
///
/// In it the process can give its files to any of these ids, and read and remove what belongs to them; it has no more
/// rights over anything else than before. Where there are no ranges, or nobody to map them, nothing is done. There is no way back. A sandbox that is started then needs
/// [`Maps::Listed`](crate::spec::identity::Maps::Listed) with the ids that are there.
///
/// # Errors
/// A list of ranges can't be read; the process has other threads (EINVAL, unshare(2)); the machine allows no user namespaces; newuidmap(1) or
/// newgidmap(1) refuses: then no id is mapped, and the process can do nothing useful any more.
pub fn enter_ranges() -> io::Result<()> {
    let mut spec = Spec::new("");
    spec.root = Root::Empty;
    spec.identity.maps = Maps::Subordinate;
    let host = Host::probe(&spec);
    if let Some((_, errno)) = host.unread.first() {
        return Err(io::Error::from(*errno));
    }
    let (Some(users), Some(groups)) = (&host.newuidmap, &host.newgidmap) else { return Ok(()) };
    if host.subuid.is_empty() || host.subgid.is_empty() {
        return Ok(());
    }
    let mut script = String::from("read -r go || exit 1");
    for (helper, maps) in [(users, around(host.uid, 0, &host.subuid)), (groups, around(host.gid, 0, &host.subgid))] {
        let numbers = |map: &IdMap| format!(" {} {} {}", map.inside, map.outside, map.count);
        // A string takes everything. The helpers' paths are two of a fixed list.
        let _ = write!(script, " && {} {}", helper.display(), std::process::id());
        script.extend(maps.iter().map(numbers));
    }
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &script]).env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null());
    let mut waiting = shell.spawn()?;
    let entered = crate::sys::namespace::unshare(Namespace::User.flag());
    // Without a line the shell ends.
    let told = match (entered, waiting.stdin.take()) {
        (Ok(()), Some(mut stdin)) => stdin.write_all(b"go\n"),
        (entered, _) => entered.map_err(io::Error::from),
    };
    let mapped = waiting.wait()?;
    told?;
    match mapped.success() {
        true => Ok(()),
        false => Err(io::Error::other("newuidmap or newgidmap has refused the ranges in /etc/subuid or /etc/subgid")),
    }
}
