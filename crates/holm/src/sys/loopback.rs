//! The loopback interface of a new network namespace (netdevice(7)).

use super::{check, raw};
use rustix::io::Result;
use rustix::net::{AddressFamily, SocketType, socket};
use std::os::fd::AsRawFd;

/// Sets `lo` up in the calling process's network namespace.
pub(crate) fn up() -> Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // struct ifreq: a name of 16 bytes, then a union of 24 bytes, here the flags.
    let mut request = [0u8; 40];
    request[..2].copy_from_slice(b"lo");
    let flags = (libc::IFF_UP | libc::IFF_RUNNING) as u16;
    request[16..18].copy_from_slice(&flags.to_ne_bytes());
    let arguments = [socket.as_raw_fd() as usize, libc::SIOCSIFFLAGS as usize, request.as_mut_ptr() as usize, 0, 0, 0];
    // SAFETY: the request is a whole, initialised struct ifreq that outlives the call.
    check(unsafe { raw::syscall(libc::SYS_ioctl as usize, arguments) })?;
    Ok(())
}
