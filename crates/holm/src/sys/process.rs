//! execveat(2), close_range(2) and the dumpable attribute (prctl(2)).

use super::{check, raw};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, c_char};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU8, Ordering};

/// A NULL-terminated list of C strings that owns what it points to.
pub(crate) struct StringList<'a> {
    pointers: Vec<*const c_char>,
    _strings: std::marker::PhantomData<&'a CStr>,
}

// SAFETY: the pointers lead to strings that live for 'a, and are immutable or made of atomic bytes.
unsafe impl Sync for StringList<'_> {}

/// A string that is written after it was listed.
pub(crate) struct Line(Box<[AtomicU8]>);

impl Line {
    /// Room for `length` bytes; it is `text`, which is no longer.
    pub(crate) fn new(text: &str, length: usize) -> Line {
        let line = Line((0..=length).map(|_| AtomicU8::new(0)).collect());
        line.write(0, text.as_bytes());
        line
    }

    /// Writes `bytes`, without NUL, from `at` on, and ends it there. Nothing is written if there is no room.
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) {
        let Some(room) = self.0.get(at..).filter(|room| room.len() > bytes.len()) else { return };
        room.iter().zip(bytes.iter().chain(&[0])).for_each(|(place, byte)| place.store(*byte, Ordering::Relaxed));
    }
}

impl<'a> StringList<'a> {
    /// Lists `strings` in order, and then `line`.
    pub(crate) fn new(strings: impl IntoIterator<Item = &'a CStr>, line: Option<&'a Line>) -> StringList<'a> {
        let line = line.map(|line| line.0.as_ptr().cast::<c_char>());
        let mut pointers: Vec<*const c_char> = strings.into_iter().map(CStr::as_ptr).chain(line).collect();
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
    // SAFETY: called in the set-up child and in one that does nothing, whose descriptor tables are their own and who use none
    // of these afterwards, and for descriptors that the caller has named as given away (`Plan::give_descriptors_away`).
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

/// Whether the current directory is below the root directory, by a path that fits (getcwd(2), "(unreachable)").
pub(crate) fn is_below_root() -> bool {
    let mut path = [0u8; 4096];
    // SAFETY: a buffer to write to and its length, alive for the call.
    let done =
        check(unsafe { raw::syscall(libc::SYS_getcwd as usize, [path.as_mut_ptr() as usize, path.len(), 0, 0, 0, 0]) });
    done.is_ok() && path[0] == b'/'
}

/// The hard limit of a resource of getrlimit(2), for this process; the largest number is unlimited.
pub(crate) fn hard_limit(resource: usize) -> Result<u64> {
    let mut limits = [0u64; 2];
    let arguments = [0, resource, 0, limits.as_mut_ptr() as usize, 0, 0];
    // SAFETY: a struct rlimit64, two 64-bit numbers, to write to, alive for the call (prlimit(2)).
    check(unsafe { raw::syscall(libc::SYS_prlimit64 as usize, arguments) })?;
    Ok(limits[1])
}

/// Sets the hard limit of a resource of another process, and leaves what holds now as it is.
pub(crate) fn set_hard_limit(pid: i32, resource: usize, hard: u64) -> Result<()> {
    let mut limits = [0u64; 2];
    let ask = [pid as usize, resource, 0, limits.as_mut_ptr() as usize, 0, 0];
    // SAFETY: a struct rlimit64 to write to, alive for the call.
    check(unsafe { raw::syscall(libc::SYS_prlimit64 as usize, ask) })?;
    limits[1] = hard;
    let set = [pid as usize, resource, limits.as_ptr() as usize, 0, 0, 0];
    // SAFETY: a struct rlimit64 to read, alive for the call.
    check(unsafe { raw::syscall(libc::SYS_prlimit64 as usize, set) })?;
    Ok(())
}

/// Waits for the end of a child; what it and those it waited for have used.
pub(crate) fn wait_usage(pidfd: BorrowedFd<'_>) -> Result<Used> {
    /// waitid(2), `P_PIDFD`.
    const BY_PIDFD: usize = 3;
    // struct rusage: user and system time in seconds and microseconds, ru_maxrss in kB, and more; blocks at 11 and 12.
    let mut usage = [0i64; 18];
    let wanted = libc::WEXITED as usize;
    let arguments = [BY_PIDFD, pidfd.as_raw_fd() as usize, 0, wanted, usage.as_mut_ptr() as usize, 0];
    // SAFETY: an open pidfd, no siginfo_t, and a struct rusage of 144 bytes to write to, alive for the call.
    check(unsafe { raw::syscall(libc::SYS_waitid as usize, arguments) })?;
    let time = |at: usize| std::time::Duration::new(usage[at] as u64, usage[at + 1] as u32 * 1000);
    let blocks = |at: usize| usage[at] as u64 * 512;
    let memory = usage[4] as u64 * 1024;
    Ok(Used { user: time(0), system: time(2), memory, read: blocks(11), written: blocks(12) })
}

/// What a process and those it waited for have used (getrusage(2)).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    pub(crate) user: std::time::Duration,
    pub(crate) system: std::time::Duration,
    /// The most bytes of memory that one of them had.
    pub(crate) memory: u64,
    /// Bytes from and to disks.
    pub(crate) read: u64,
    pub(crate) written: u64,
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_execution_that_fails_returns_the_errno() {
        let file = std::fs::File::open("/").expect("/ opens");
        let nothing = super::StringList::new([], None);
        let errno = super::execute(std::os::fd::AsFd::as_fd(&file), &nothing, &nothing);
        assert_eq!(errno, rustix::io::Errno::ACCESS);
    }
}
