//! A process that keeps a place until a sandbox is there.

use crate::exec::parent::reap;
use crate::sys::clone::Cloned;
use rustix::process::{Signal, pidfd_send_signal};
use std::io;

/// A process that does nothing and holds nothing of its maker's: systemd makes a control group for a process, not for one that is to
/// come. It ends when it is dropped, or with the thread that has made it.
#[derive(Debug)]
pub struct Keeper(Cloned);

impl Keeper {
    /// Starts one, in the caller's control groups and namespaces.
    ///
    /// # Errors
    /// As clone(2): the caller may have no more processes (EAGAIN).
    pub fn new() -> io::Result<Keeper> {
        Ok(Keeper(crate::sys::still::start()?))
    }

    /// Its pid, in the caller's pid namespace.
    pub fn id(&self) -> i32 {
        self.0.pid
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.0.pidfd, Signal::KILL);
        let _ = reap(&self.0.pidfd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_keeper_holds_nothing_and_ends_when_it_is_dropped() {
        let keeper = Keeper::new().expect("a process can be started");
        let place = PathBuf::from(format!("/proc/{}", keeper.id()));
        let begin = std::time::Instant::now();
        let held = || std::fs::read_dir(place.join("fd")).map_or(0, Iterator::count);
        while held() > 0 && begin.elapsed().as_secs() < 20 {
            std::thread::yield_now();
        }
        assert_eq!((held(), place.exists()), (0, true));
        drop(keeper);
        assert!(!place.exists());
    }
}
