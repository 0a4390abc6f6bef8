//! Programs that say which devices a control group of version 2 may use (bpf(2), `BPF_PROG_TYPE_CGROUP_DEVICE`).

use super::{check, raw};
use rustix::io::Result;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

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

/// The same for BPF_PROG_ATTACH and BPF_PROG_DETACH.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    attached_by: u32,
    flags: u32,
}

/// The same for BPF_PROG_QUERY: all of it, since Linux 6.17 writes into the last field whatever length it is told.
#[repr(C)]
#[derive(Default)]
struct Query {
    target: u32,
    attached_by: u32,
    query: u32,
    flags: u32,
    numbers: u64,
    count: u32,
    unused: u32,
    further: [u64; 3],
    revision: u64,
}

/// The same for BPF_PROG_GET_FD_BY_ID.
#[repr(C)]
struct Number {
    number: u32,
    next: u32,
    flags: u32,
}

/// The same for BPF_OBJ_GET_INFO_BY_FD.
#[repr(C)]
struct Ask {
    object: u32,
    length: u32,
    info: u64,
}

/// The kernel's `struct bpf_prog_info`, up to the name.
#[repr(C)]
#[derive(Default)]
struct Info {
    kind: u32,
    number: u32,
    tag: [u8; 8],
    lengths: [u32; 2],
    instructions: [u64; 2],
    loaded: u64,
    user: u32,
    maps: u32,
    map_numbers: u64,
    name: [u8; 16],
}

const CGROUP_DEVICE_PROGRAM: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 1 << 1;
/// How holm's own are known.
const NAME: [u8; 16] = *b"holm_devices\0\0\0\0";
/// So many programs a group can have (the kernel's `BPF_CGROUP_MAX_PROGS`).
const MOST: usize = 64;

/// Has `group`, a directory of version 2, ask `program` about every use of a device, beside the programs of the groups above and
/// those that it asks already; all have to allow it. It needs CAP_SYS_ADMIN, or CAP_BPF with CAP_NET_ADMIN, in the first user
/// namespace. The program that the kernel has made of it is returned.
pub(crate) fn restrict(group: BorrowedFd<'_>, program: &[Instruction]) -> Result<OwnedFd> {
    let mut load = Load {
        kind: CGROUP_DEVICE_PROGRAM,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        licence: c"MIT".as_ptr() as u64,
        name: NAME,
        attached_by: CGROUP_DEVICE,
        ..Load::default()
    };
    // SAFETY: BPF_PROG_LOAD names `count` instructions and a C string, all alive for the call; the kernel only reads them.
    let loaded = unsafe { call(5, &mut load) }?;
    // SAFETY: the kernel has just made this descriptor for us, close-on-exec.
    let loaded = unsafe { OwnedFd::from_raw_fd(loaded as i32) };
    let mut attach = Attach { flags: ALLOW_MULTI, ..Attach::of(group, loaded.as_fd()) };
    // SAFETY: BPF_PROG_ATTACH names two open descriptors.
    unsafe { call(8, &mut attach) }?;
    Ok(loaded)
}

impl Attach {
    fn of(group: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Attach {
        let (target, program) = (group.as_raw_fd() as u32, program.as_raw_fd() as u32);
        Attach { target, program, attached_by: CGROUP_DEVICE, flags: 0 }
    }
}

/// Has `group` ask `program` no more.
pub(crate) fn release(group: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: BPF_PROG_DETACH names two open descriptors.
    unsafe { call(9, &mut Attach::of(group, program)) }.map(drop)
}

/// The number of a program, which the kernel gives to no other while it counts on.
pub(crate) fn number(program: BorrowedFd<'_>) -> Result<u32> {
    Ok(info(program)?.number)
}

/// The program of this number, if holm has made it and `group` asks it by itself; that needs CAP_SYS_ADMIN in the first user
/// namespace.
pub(crate) fn find(group: BorrowedFd<'_>, number: u32) -> Result<Option<OwnedFd>> {
    let mut numbers = [0u32; MOST];
    let mut query = Query {
        target: group.as_raw_fd() as u32,
        attached_by: CGROUP_DEVICE,
        numbers: numbers.as_mut_ptr() as u64,
        count: MOST as u32,
        ..Query::default()
    };
    // SAFETY: BPF_PROG_QUERY writes at most `count` numbers there, and how many it has into the struct.
    unsafe { call(16, &mut query) }?;
    if !numbers.iter().take(query.count as usize).any(|one| *one == number) {
        return Ok(None);
    }
    // SAFETY: BPF_PROG_GET_FD_BY_ID names a number.
    let program = unsafe { call(13, &mut Number { number, next: 0, flags: 0 }) }?;
    // SAFETY: the kernel has just made this descriptor for us, close-on-exec.
    let program = unsafe { OwnedFd::from_raw_fd(program as i32) };
    Ok((info(program.as_fd())?.name == NAME).then_some(program))
}

fn info(program: BorrowedFd<'_>) -> Result<Info> {
    let mut info = Info::default();
    let mut ask =
        Ask { object: program.as_raw_fd() as u32, length: size_of::<Info>() as u32, info: (&raw mut info) as u64 };
    // SAFETY: BPF_OBJ_GET_INFO_BY_FD writes at most `length` bytes to `info`, which is ours alone and made of numbers.
    unsafe { call(15, &mut ask) }?;
    Ok(info)
}

/// bpf(2).
///
/// # Safety
/// `attributes` is the kernel's struct for the command, or as much of it as that command reads and writes, and what it names is
/// alive.
unsafe fn call<T>(command: usize, attributes: &mut T) -> Result<usize> {
    let arguments = [command, (&raw mut *attributes) as usize, size_of::<T>(), 0, 0, 0];
    // SAFETY: the struct has this length and is ours alone; what it names is the caller's word.
    check(unsafe { raw::syscall(libc::SYS_bpf as usize, arguments) })
}
