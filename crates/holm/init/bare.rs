//! What the compiler wants to find in a program without libraries.

use crate::task::exit;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(125)
}

/// The compiler may call this for copies; nothing else is linked in.
///
/// # Safety
/// As C's memcpy.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: the caller gives two areas of `length` bytes that don't overlap.
    unsafe {
        core::arch::asm!("rep movsb", inout("rcx") length => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack));
    }
    to
}

/// The compiler may call this to clear memory; nothing else is linked in.
///
/// # Safety
/// As C's memset.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
    // SAFETY: the caller gives an area of `length` bytes.
    unsafe {
        core::arch::asm!("rep stosb", inout("rcx") length => _, inout("rdi") to => _, in("al") byte as u8, options(nostack));
    }
    to
}

/// Named by the unwind tables of `core`, never called: a panic here ends the process.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
