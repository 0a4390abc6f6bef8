//! An option of socket(7) that rustix lacks.

use super::{check, raw};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Whether `MSG_PEEK` begins at a socket's first byte and leaves it so (`SO_PEEK_OFF` is negative).
pub(crate) fn peeks_at_start(socket: BorrowedFd<'_>) -> bool {
    let (mut offset, mut size) = (0i32, size_of::<i32>() as u32);
    let option = [libc::SOL_SOCKET as usize, libc::SO_PEEK_OFF as usize];
    let (value, length) = (&raw mut offset as usize, &raw mut size as usize);
    // SAFETY: a number to write to and its size, alive for the call (getsockopt(2)).
    let asked = check(unsafe {
        raw::syscall(
            libc::SYS_getsockopt as usize,
            [socket.as_raw_fd() as usize, option[0], option[1], value, length, 0],
        )
    });
    asked.is_ok() && offset < 0
}
