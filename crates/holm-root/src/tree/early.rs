//! What is made goes to the disk while more is made: less is left for the store to wait for.
//!
//! Nobody relies on it: whoever needs the tree on its disk syncs again, and an error counts then. So this one opens the
//! tree anew: the kernel tells each open file of an error once (syncfs(2)).

use std::os::fd::BorrowedFd;
use std::thread::{Builder, JoinHandle};

use rustix::fs::{Mode, openat, syncfs};

use super::DIRECTORY;

/// So many bytes are worth it.
const STEP: u64 = 32 << 20;

/// Syncs in another thread, once at a time.
#[derive(Default)]
pub(super) struct Early {
    /// Bytes since the last one began.
    bytes: u64,
    thread: Option<JoinHandle<()>>,
}

impl Early {
    /// Notes that so many bytes more were written; begins once they are enough.
    pub(super) fn wrote(&mut self, root: BorrowedFd<'_>, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= STEP && self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            self.begin(root);
        }
    }

    /// Begins, whatever is still being synced.
    pub(super) fn begin(&mut self, root: BorrowedFd<'_>) {
        self.bytes = 0;
        let Ok(root) = openat(root, ".", DIRECTORY, Mode::empty()) else { return };
        let work = move || {
            let _ = syncfs(root);
        };
        self.thread = Builder::new().name("sync".to_owned()).spawn(work).ok();
    }
}
