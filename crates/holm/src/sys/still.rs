//! A process that does nothing.

use super::clone::{Cloned, Kind, Stack, exit, start as clone};
use super::trial;
use rustix::io::Result;
use rustix::process::{Pid, getpid, getppid};

/// Starts one by a fork. It holds none of the caller's descriptors, and ends by a signal, or with the thread that started it.
pub(crate) fn start() -> Result<Cloned> {
    // It has a copy of this memory, and of its stack.
    clone(0, Kind::Own, &Stack::new()?, stand, &getpid())
}

/// The process itself.
extern "C" fn stand(parent: &Pid) -> ! {
    trial::settle();
    // Whoever ended before that sends no signal.
    if getppid() != Some(*parent) {
        exit(0);
    }
    let _ = super::process::close_range(0, u32::MAX);
    loop {
        rustix::event::pause();
    }
}
