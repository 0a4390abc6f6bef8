//! execveat(2), close_range(2) and the dumpable attribute (prctl(2)).

use super::{check, raw};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, c_char};
use std::os::fd::{AsRawFd, BorrowedFd};

/// A NULL-terminated list of C strings that owns what it points to.
pub(crate) struct StringList<'a> {
    pointers: Vec<*const c_char>,
    _strings: std::marker::PhantomData<&'a CStr>,
}

// SAFETY: the pointers lead to immutable strings that live for 'a.
unsafe impl Sync for StringList<'_> {}

impl<'a> StringList<'a> {
    /// Lists `strings` in order.
    pub(crate) fn new(strings: impl IntoIterator<Item = &'a CStr>) -> StringList<'a> {
        let mut pointers: Vec<*const c_char> = strings.into_iter().map(CStr::as_ptr).collect();
        pointers.push(std::ptr::null());
        StringList { pointers, _strings: std::marker::PhantomData }
    }
}

/// Becomes the program that `file` is open on; returns only on failure.
pub(crate) fn execute(file: BorrowedFd<'_>, argv: &StringList<'_>, envp: &StringList<'_>) -> Errno {
    let arguments = [
        file.as_raw_fd() as usize,
        c"".as_ptr() as usize,
        argv.pointers.as_ptr() as usize,
        envp.pointers.as_ptr() as usize,
        libc::AT_EMPTY_PATH as usize,
        0,
    ];
    // SAFETY: an open descriptor, an empty C string and two NULL-terminated arrays of C strings.
    let answer = unsafe { raw::syscall(libc::SYS_execveat as usize, arguments) };
    Errno::from_raw_os_error(-(answer as i32))
}

/// Closes every descriptor from `first` to `last`, both included.
pub(crate) fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: called in the set-up child, whose descriptor table is its own and who uses none of these afterwards, and for
    // descriptors that the caller has named as given away (`Plan::give_descriptors_away`).
    check(unsafe { raw::syscall(libc::SYS_close_range as usize, [first as usize, last as usize, 0, 0, 0, 0]) })?;
    Ok(())
}

/// Names a descriptor of the caller by its number, if it can be one.
pub(crate) fn borrow(number: i32) -> Option<BorrowedFd<'static>> {
    // SAFETY: only the kernel judges whether it is open; whoever names a number in a wish keeps it open (Spec's contract).
    (number >= 0).then(|| unsafe { BorrowedFd::borrow_raw(number) })
}

/// Makes `number` a copy of `descriptor`, without close-on-exec (dup2(2)).
pub(crate) fn duplicate(descriptor: i32, number: i32) -> Result<()> {
    // SAFETY: called in the set-up child, whose descriptor table is its own; `number` is not owned by anything there.
    check(unsafe { raw::syscall(libc::SYS_dup2 as usize, [descriptor as usize, number as usize, 0, 0, 0, 0]) })?;
    Ok(())
}

/// Whether this process may be traced and dumped (`PR_GET_DUMPABLE`).
pub(crate) fn dumpable() -> usize {
    // SAFETY: takes no further argument.
    check(unsafe { raw::syscall(libc::SYS_prctl as usize, [libc::PR_GET_DUMPABLE as usize, 0, 0, 0, 0, 0]) })
        .unwrap_or(0)
}

/// Sets what `dumpable` tells.
pub(crate) fn set_dumpable(value: usize) {
    // SAFETY: takes a number.
    let _ =
        check(unsafe { raw::syscall(libc::SYS_prctl as usize, [libc::PR_SET_DUMPABLE as usize, value, 0, 0, 0, 0]) });
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_execution_that_fails_returns_the_errno() {
        let file = std::fs::File::open("/").expect("/ opens");
        let nothing = super::StringList::new([]);
        let errno = super::execute(std::os::fd::AsFd::as_fd(&file), &nothing, &nothing);
        assert_eq!(errno, rustix::io::Errno::ACCESS);
    }
}
