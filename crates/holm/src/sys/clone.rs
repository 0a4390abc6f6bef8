//! clone3(2) with shared memory: the child starts on a stack of its own and leaves by execve or exit.
//!
//! A plain fork copies the caller's page tables (236 ms at 4 GiB). Sharing them costs the same for any caller, and is
//! safe only while the caller's frame stays and the child neither allocates nor touches thread-local storage.

use super::{check, raw};
use rustix::io::Result;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::ffi::c_void;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The kernel's `struct clone_args` up to the control group (88 bytes, Linux 5.7).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const STACK: usize = 256 * 1024;
const PAGE: usize = 4096;

/// A stack for a child, with a guard page below it; unmapped when dropped.
pub(crate) struct Stack(usize);

impl Stack {
    /// Maps a new stack.
    pub(crate) fn new() -> Result<Stack> {
        // SAFETY: a new anonymous mapping, at an address of the kernel's choice.
        let base = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                STACK,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::STACK,
            )
        }?;
        let stack = Stack(base as usize);
        // SAFETY: the lowest page of the mapping just made, which nothing uses yet.
        unsafe { rustix::mm::mprotect(base, PAGE, rustix::mm::MprotectFlags::empty()) }?;
        Ok(stack)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length; whoever ran on it is gone (the contract of `start`).
        let _ = unsafe { munmap(self.0 as *mut c_void, STACK) };
    }
}

/// A child that shares the caller's memory.
#[derive(Debug)]
pub(crate) struct Cloned {
    /// The child's pid in the caller's pid namespace.
    pub(crate) pid: i32,
    /// The child's descriptor (pidfd_open(2)), close-on-exec.
    pub(crate) pidfd: OwnedFd,
}

/// What a child shares with its caller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing: memory is copied, as by fork. Only joining a time namespace needs it (setns(2)).
    Own,
    /// Memory.
    Shared,
    /// Memory, and its parent (`CLONE_PARENT`).
    Sibling,
}

/// Starts a child in the namespaces of `flags` (CLONE_NEW* bits), with all handlers cleared, that runs `run(data)` on
/// `stack`.
///
/// Where memory is shared, safe to call from `exec` only, which keeps this contract: `stack` and everything `run` reads stay
/// alive and unchanged until the child has called execve or is gone (`exec::parent::Nursery`). Anywhere `run` does not allocate, take locks, panic
/// or touch thread-local storage (`exec::child`, held by a test).
pub(crate) fn start<T: Sync>(
    flags: u64,
    kind: Kind,
    stack: &Stack,
    run: extern "C" fn(&T) -> !,
    data: &T,
) -> Result<Cloned> {
    start_within(None, flags, kind, stack, run, data)
}

/// The same in a control group of version 2, given by its directory (`CLONE_INTO_CGROUP`): the kernel needn't move the child
/// there, for which it waits until every CPU has seen it.
///
/// # Errors
/// Those of clone3(2); with a group also why nobody can be put there.
pub(crate) fn start_within<T: Sync>(
    group: Option<BorrowedFd<'_>>,
    flags: u64,
    kind: Kind,
    stack: &Stack,
    run: extern "C" fn(&T) -> !,
    data: &T,
) -> Result<Cloned> {
    let mut pidfd = -1i32;
    // linux/sched.h; libc's constants of those names don't fit their type.
    const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let base = libc::CLONE_PIDFD as u64 | CLONE_CLEAR_SIGHAND;
    let sibling = kind == Kind::Sibling;
    let shared = match kind {
        Kind::Own => 0,
        Kind::Shared => libc::CLONE_VM,
        Kind::Sibling => libc::CLONE_VM | libc::CLONE_PARENT,
    };
    let arguments = CloneArgs {
        flags: flags | base | shared as u64 | if group.is_some() { CLONE_INTO_CGROUP } else { 0 },
        cgroup: group.map_or(0, |group| group.as_raw_fd() as u64),
        pidfd: (&raw mut pidfd) as u64,
        // With CLONE_PARENT the exit signal is the caller's own, and naming one is an error (clone(2)).
        exit_signal: if sibling { 0 } else { libc::SIGCHLD as u64 },
        stack: stack.0 as u64,
        stack_size: STACK as u64,
        ..CloneArgs::default()
    };
    let answer: isize;
    // SAFETY: the arguments describe a mapped stack; in the child rsp is its top, 16-byte aligned, and `run` never
    // returns; r12 and r13 are kept by the kernel. In the parent this is an ordinary system call.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => answer,
            in("rdi") &raw const arguments,
            in("rsi") size_of::<CloneArgs>(),
            in("r12") run as *const (),
            in("r13") std::ptr::from_ref(data),
            lateout("rcx") _, lateout("r11") _,
        );
    }
    let pid = check(answer)? as i32;
    // SAFETY: the kernel has just put a new descriptor of ours there (CLONE_PIDFD).
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Cloned { pid, pidfd })
}

/// Ends this process without running anything of the caller's.
pub(crate) fn exit(code: i32) -> ! {
    loop {
        // SAFETY: exit_group takes a number and does not return.
        unsafe { raw::syscall(libc::SYS_exit_group as usize, [code as usize, 0, 0, 0, 0, 0]) };
    }
}
