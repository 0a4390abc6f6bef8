//! The labels of security modules that the program starts with.

use crate::calls::*;
use crate::task::take_number;

/// Writes the program's labels; errno and step of the first that fails.
#[inline(always)]
pub(crate) fn label(mut text: *mut u8) -> Option<[i32; 2]> {
    // SAFETY: an argument of this program, which ends with a NUL; it is cut here and not read again.
    while unsafe { *text } != 0 {
        // SAFETY: as above; each line is a number, a path without spaces, and a value that a line feed ends.
        let (step, file, value, length) = unsafe {
            let mut rest = text.cast_const();
            let step = take_number(&mut rest);
            text = rest.cast_mut();
            let (file, _) = cut(&mut text, b' ');
            let (value, length) = cut(&mut text, b'\n');
            (step, file, value, length)
        };
        let errno = write_label(file, value, length);
        if errno != 0 {
            return Some([errno, step as i32]);
        }
    }
    None
}

/// Ends what `text` begins with at the next `end`, by a NUL in its place; where it begins, and its length.
///
/// # Safety
/// `text` can be written, and has an `end` before its NUL.
#[inline(always)]
unsafe fn cut(text: &mut *mut u8, end: u8) -> (usize, usize) {
    let first = *text;
    let mut length = 0;
    // SAFETY: as the caller says; nothing behind `end` is written.
    unsafe {
        while **text != end && **text != 0 {
            *text = text.add(1);
            length += 1;
        }
        if **text == end {
            **text = 0;
            *text = text.add(1);
        }
    }
    (first as usize, length)
}

/// Writes to a file of this thread's own below /proc; an errno, or 0. What is there is the root's affair, so it must be a proc,
/// and the way to the file must stay in it: then names are the kernel's, and the thread is this one.
#[inline(always)]
fn write_label(file: usize, value: usize, length: usize) -> i32 {
    const AT_FDCWD: usize = -100isize as usize;
    const PROC: usize = 0x9fa0;
    // O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    let proc = call(OPENAT, [AT_FDCWD, c"/proc".as_ptr() as usize, 0x2b_0000, 0, 0, 0]);
    let mut facts = [0usize; 15];
    if proc < 0 || call(FSTATFS, [proc as usize, facts.as_mut_ptr() as usize, 0, 0, 0, 0]) < 0 || facts[0] != PROC {
        return ESTALE;
    }
    // struct open_how: O_WRONLY | O_CLOEXEC; no mode; RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH.
    let how = [0x8_0001usize, 0, 0x0b];
    let opened = call(OPENAT2, [proc as usize, file, how.as_ptr() as usize, 24, 0, 0]);
    match -opened as i32 {
        ENOENT => return ESTALE,
        errno @ 1.. => return errno,
        _ => {}
    }
    match call(WRITE, [opened as usize, value, length, 0, 0, 0]) {
        errno @ -4095..0 => -errno as i32,
        done if done as usize == length => 0,
        _ => EIO,
    }
}
