//! Programs that say which devices a control group of version 2 may use (bpf(2), `BPF_PROG_TYPE_CGROUP_DEVICE`).

use super::{check, raw};
use rustix::io::Result;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// One instruction of the kernel's machine, `struct bpf_insn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    pub(crate) code: u8,
    /// The destination in the lower half, the source in the upper one.
    pub(crate) registers: u8,
    pub(crate) offset: i16,
    pub(crate) value: i32,
}

impl Instruction {
    pub(crate) const fn new(code: u8, registers: u8, offset: i16, value: i32) -> Instruction {
        Instruction { code, registers, offset, value }
    }
}

/// The kernel's `union bpf_attr` for BPF_PROG_LOAD, up to the type that it is attached by.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attached_by: u32,
}

/// The same for BPF_PROG_ATTACH.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    attached_by: u32,
    flags: u32,
}

/// Has `group`, a directory of version 2, ask `program` about every use of a device, beside the programs of the groups above. It
/// needs CAP_SYS_ADMIN, or CAP_BPF with CAP_NET_ADMIN, in the first user namespace.
pub(crate) fn restrict(group: BorrowedFd<'_>, program: &[Instruction]) -> Result<()> {
    const CGROUP_DEVICE_PROGRAM: u32 = 15;
    const CGROUP_DEVICE: u32 = 6;
    const ALLOW_MULTI: u32 = 1 << 1;
    let load = Load {
        kind: CGROUP_DEVICE_PROGRAM,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        licence: c"MIT".as_ptr() as u64,
        attached_by: CGROUP_DEVICE,
        ..Load::default()
    };
    let arguments = [5, &raw const load as usize, size_of::<Load>(), 0, 0, 0];
    // SAFETY: BPF_PROG_LOAD with a struct of the length given, which names `count` instructions and a C string, all alive for
    // the call; the kernel only reads them.
    let loaded = check(unsafe { raw::syscall(libc::SYS_bpf as usize, arguments) })?;
    // SAFETY: the kernel has just made this descriptor for us, close-on-exec.
    let loaded = unsafe { OwnedFd::from_raw_fd(loaded as i32) };
    let attach = Attach {
        target: group.as_raw_fd() as u32,
        program: loaded.as_raw_fd() as u32,
        attached_by: CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    let arguments = [8, &raw const attach as usize, size_of::<Attach>(), 0, 0, 0];
    // SAFETY: BPF_PROG_ATTACH with a struct of the length given, which names two open descriptors.
    check(unsafe { raw::syscall(libc::SYS_bpf as usize, arguments) })?;
    Ok(())
}
