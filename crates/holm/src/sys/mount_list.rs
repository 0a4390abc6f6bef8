//! The mounts of any mount namespace, with or without a process in it: listmount(2), statmount(2) (Linux 6.8; with another
//! namespace's number 6.11).

use super::{check, raw};
use rustix::io::{Errno, Result};

/// The kernel's `struct mnt_id_req`.
#[repr(C)]
struct Request {
    size: u32,
    spare: u32,
    mount: u64,
    parameter: u64,
    namespace: u64,
}

const SYS_STATMOUNT: usize = 457;
const SYS_LISTMOUNT: usize = 458;
/// From the root on (`LSMT_ROOT`).
const ROOT: u64 = u64::MAX;
const SB_BASIC: u64 = 1;
const MNT_ROOT: u64 = 8;
const MNT_POINT: u64 = 0x10;
/// The first numbers there, the magic number among them, have so many bytes.
const NUMBERS: usize = 32;
/// Where strings begin in the kernel's `struct statmount`.
const STRINGS: usize = 512;

/// The numbers of mounts of a mount namespace that come after `last`; as many as `to` takes, and 0 at the end.
///
/// # Errors
/// ENOENT: it is gone. EPERM: the caller lacks CAP_SYS_ADMIN over it. ENOSYS, EINVAL: an older kernel.
pub(crate) fn list(namespace: u64, last: u64, to: &mut [u64]) -> Result<usize> {
    let request = Request { size: size_of::<Request>() as u32, spare: 0, mount: ROOT, parameter: last, namespace };
    let arguments = [&raw const request as usize, to.as_mut_ptr() as usize, to.len(), 0, 0, 0];
    // SAFETY: a struct of the size it tells to read, and as many numbers as told to write, alive for the call.
    check(unsafe { raw::syscall(SYS_LISTMOUNT, arguments) })
}

/// What statmount(2) writes: numbers at fixed places, then strings.
pub(crate) struct Facts(Vec<u8>);

impl Facts {
    /// Room for the facts of one mount at a time.
    pub(crate) fn new() -> Facts {
        Facts(vec![0; STRINGS + 8192])
    }

    /// The magic number of a mount's file system (statfs(2)).
    pub(crate) fn magic(&mut self, namespace: u64, mount: u64) -> Result<u64> {
        self.read(namespace, mount, SB_BASIC, NUMBERS)?;
        let bytes = self.0[24..32].try_into().map_err(|_| Errno::INVAL)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Which part of its file system a mount shows, and where it is, as paths.
    ///
    /// # Errors
    /// EOVERFLOW: they have more than 1 MiB.
    pub(crate) fn paths(&mut self, namespace: u64, mount: u64) -> Result<(&[u8], &[u8])> {
        // Paths may be longer than what open(2) takes, but are not without end.
        while let Err(errno) = self.read(namespace, mount, MNT_ROOT | MNT_POINT, self.0.len()) {
            if errno != Errno::OVERFLOW || self.0.len() > STRINGS + (1 << 20) {
                return Err(errno);
            }
            let doubled = self.0.len() * 2;
            self.0.resize(doubled, 0);
        }
        Ok((self.string(104)?, self.string(108)?))
    }

    /// The string whose place is told at `at`.
    fn string(&self, at: usize) -> Result<&[u8]> {
        let place = self.0[at..at + 4].try_into().map_err(|_| Errno::INVAL)?;
        let rest = self.0.get(STRINGS + u32::from_ne_bytes(place) as usize..).ok_or(Errno::INVAL)?;
        rest.split(|&byte| byte == 0).next().ok_or(Errno::INVAL)
    }

    /// Has at most `room` bytes written.
    fn read(&mut self, namespace: u64, mount: u64, wanted: u64, room: usize) -> Result<()> {
        let request = Request { size: size_of::<Request>() as u32, spare: 0, mount, parameter: wanted, namespace };
        let arguments = [&raw const request as usize, self.0.as_mut_ptr() as usize, room.min(self.0.len()), 0, 0, 0];
        // SAFETY: a struct of the size it tells to read, and as many bytes as told to write, which there are, alive for the call.
        check(unsafe { raw::syscall(SYS_STATMOUNT, arguments) })?;
        let mask = self.0[8..16].try_into().map_err(|_| Errno::INVAL)?;
        if u64::from_ne_bytes(mask) & wanted == wanted { Ok(()) } else { Err(Errno::NOENT) }
    }
}
