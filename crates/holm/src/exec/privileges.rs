//! Ids and capabilities of the program (credentials(7), capabilities(7)). Runs in the child: nothing here allocates.

use crate::model::id::OVERFLOW;
use crate::spec::policy::{CapabilitySets, NewPrivileges};
use rustix::io::{Errno, Result};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, Gid, Uid, set_thread_res_gid, set_thread_res_uid};

/// Becomes another user; capabilities stay, for what is still to be set up and for `reduce` to drop for good.
pub(crate) fn take_ids(uid: u32, gid: u32) -> Result<()> {
    rustix::thread::set_keep_capabilities(true)?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    let held = rustix::thread::capabilities(None)?;
    rustix::thread::set_capabilities(None, rustix::thread::CapabilitySets { effective: held.permitted, ..held })
}

/// Becomes user 0 and group 0, where the own ids aren't mapped: they are shown as the overflow id then
/// (user_namespaces(7)). Where 0 isn't mapped either, they stay.
pub(crate) fn take_mapped_ids() -> Result<()> {
    if rustix::process::geteuid().as_raw() != OVERFLOW {
        return Ok(());
    }
    match take_ids(0, 0) {
        Err(Errno::INVAL) => Ok(()),
        done => done,
    }
}

/// What set-user-id programs may get where execve may give rights: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID,
/// SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP, as container engines give it.
const BY_EXECVE: u64 = 0xa80425fb;

/// Leaves the capabilities `kept` in all five sets and none else, and locks the way back.
pub(crate) fn reduce(kept: u64, new: NewPrivileges) -> Result<()> {
    let refused = new == NewPrivileges::Refused;
    let bounding = if refused { kept } else { kept | BY_EXECVE };
    let kept = CapabilitySet::from_bits_retain(kept);
    let held = rustix::thread::capabilities(None)?;
    let may = held.permitted.contains(CapabilitySet::SETPCAP);
    if may {
        bound(bounding)?;
    }
    rustix::thread::clear_ambient_capability_set()?;
    if !kept.is_empty() {
        rustix::thread::set_capabilities(None, rustix::thread::CapabilitySets { inheritable: kept, ..held })?;
        raise(kept.bits())?;
    }
    if may && refused {
        let bits = CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
        rustix::thread::set_capabilities_secure_bits(bits)?;
    }
    rustix::thread::set_capabilities(
        None,
        rustix::thread::CapabilitySets { effective: kept, permitted: kept, inheritable: kept },
    )?;
    if refused { rustix::thread::set_no_new_privs(true) } else { Ok(()) }
}

/// Sets each set of capabilities. Securebits stay: a program that becomes user 0 has what the bounding set leaves.
pub(crate) fn set(sets: &CapabilitySets, new: NewPrivileges) -> Result<()> {
    bound(sets.bounding)?;
    rustix::thread::clear_ambient_capability_set()?;
    leave(sets)?;
    raise(sets.ambient)?;
    match new {
        NewPrivileges::Refused => rustix::thread::set_no_new_privs(true),
        NewPrivileges::Allowed => Ok(()),
    }
}

/// Makes CAP_SYS_ADMIN effective where it was kept for the filter.
pub(crate) fn raise_administration() -> Result<()> {
    let mut held = rustix::thread::capabilities(None)?;
    if held.effective.contains(CapabilitySet::SYS_ADMIN) || !held.permitted.contains(CapabilitySet::SYS_ADMIN) {
        return Ok(());
    }
    held.effective |= CapabilitySet::SYS_ADMIN;
    rustix::thread::set_capabilities(None, held)
}

/// Leaves these capabilities, in one call; those in the bounding and ambient sets are right by now.
pub(crate) fn leave(sets: &CapabilitySets) -> Result<()> {
    let [effective, permitted, inheritable] =
        [sets.effective, sets.permitted, sets.inheritable].map(CapabilitySet::from_bits_retain);
    rustix::thread::set_capabilities(None, rustix::thread::CapabilitySets { effective, permitted, inheritable })
}

fn raise(ambient: u64) -> Result<()> {
    for number in (0..64).filter(|number| ambient & 1 << number != 0) {
        let one = CapabilitySet::from_bits_retain(1 << number);
        rustix::thread::configure_capability_in_ambient_set(one, true)?;
    }
    Ok(())
}

/// Takes everything but `kept` out of the bounding set.
fn bound(kept: u64) -> Result<()> {
    for number in (0..64).filter(|number| kept & 1 << number == 0) {
        match rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Err(Errno::INVAL) => break,
            done => done?,
        }
    }
    Ok(())
}
