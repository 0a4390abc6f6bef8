//! Floor 0: the system calls that `rustix` lacks, or that take care, made safe. The only module with `unsafe` code.
//!
//! It decides nothing. Its functions allocate nothing unless they say so, take borrowed descriptors and C strings, and
//! return `rustix::io::Errno`, so that the set-up child (`exec::child`) can use them.
#![allow(unsafe_code)]

pub(crate) mod clone;
pub(crate) mod device;
pub(crate) mod init;
pub mod inside;
pub(crate) mod landlock;
pub(crate) mod loopback;
pub(crate) mod mount;
pub(crate) mod mount_list;
pub(crate) mod namespace;
pub(crate) mod netlink;
pub(crate) mod notify;
pub(crate) mod policy;
pub(crate) mod process;
#[path = "../../init/raw.rs"]
mod raw;
pub(crate) mod schedule;
pub mod signal;
pub(crate) mod socket;
pub(crate) mod still;
pub(crate) mod trial;

use rustix::io::{Errno, Result};

/// Turns the kernel's answer into a result.
fn check(answer: isize) -> Result<usize> {
    usize::try_from(answer).map_err(|_| Errno::from_raw_os_error(-(answer as i32)))
}
