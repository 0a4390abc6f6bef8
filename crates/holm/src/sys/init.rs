//! Pid 1 as bytes (`init/`), in a sealed file without a name.

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::{Errno, Result, write};
use std::ffi::CStr;
use std::os::fd::OwnedFd;

#[path = "../../init/flags.rs"]
pub(crate) mod flags;
#[path = "../../init/wire.rs"]
pub(crate) mod wire;

static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/holm-init"));

/// The file's name, as `/proc/PID/exe` of the init tells it (memfd_create(2)).
pub(crate) const NAME: &CStr = c"holm-init";

/// Makes the file: executable (memfd_create(2), `MFD_EXEC`), close-on-exec, sealed against every change.
pub(crate) fn file() -> Result<OwnedFd> {
    let wanted = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = match memfd_create(NAME, wanted | MemfdFlags::EXEC) {
        // Before Linux 6.3 the flag is unknown and every such file is executable.
        Err(Errno::INVAL) => memfd_create(NAME, wanted)?,
        other => other?,
    };
    let mut rest = PROGRAM;
    while !rest.is_empty() {
        let written = write(&file, rest)?;
        rest = &rest[written..];
    }
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(file)
}
