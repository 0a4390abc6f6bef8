//! Raw system calls for x86-64 (syscall(2), "Architecture calling conventions").
//!
//! Shared by the library's floor `sys` and the freestanding pid 1. Nothing here touches `errno`, thread-local
//! storage or the heap: the set-up child shares the caller's memory, so it may use nothing else.

#[cfg(not(target_arch = "x86_64"))]
compile_error!("holm knows the system call convention of x86-64 only");

/// Makes system call `number` and returns what the kernel returns: a result, or a negated errno from -4095 to -1.
///
/// # Safety
/// The arguments must be what this system call takes; pointers must stay valid for the call.
#[inline(always)]
pub(crate) unsafe fn syscall(number: usize, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the caller vouches for the arguments; the kernel clobbers rcx and r11 only.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}
