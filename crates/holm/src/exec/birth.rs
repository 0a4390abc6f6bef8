//! The start of the child, if possible in its control group of version 2: the kernel needn't move it there, for which it
//! waits until every CPU has seen that.

use super::child::{self, Context};
use super::parent::reap;
use crate::sys::clone::{Cloned, Kind, Stack, start_within};
use crate::sys::signal::Blocked;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Result;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

/// Starts the child in the namespaces of `flags`, and in `group`, if somebody can be started there; else the child enters it, or
/// learns why not. `control` is the parent's end of the socket.
///
/// # Errors
/// Those of clone3(2).
pub(super) fn start_child(
    context: &Context<'_>,
    (flags, kind): (u64, Kind),
    stack: &Stack,
    group: Option<OwnedFd>,
    control: &OwnedFd,
) -> Result<Cloned> {
    let born = |group: Option<BorrowedFd<'_>>| {
        let _blocked = Blocked::new();
        start_within(group, flags, kind, stack, child::run, context)
    };
    if let Some(group) = group {
        context.in_group.store(true, Ordering::Relaxed);
        match born(Some(group.as_fd())) {
            Ok(child) if lives(&child, control) => return Ok(child),
            Ok(dead) => drop(reap(&dead.pidfd)),
            Err(_) => {}
        }
        context.in_group.store(false, Ordering::Relaxed);
    }
    born(None)
}

/// Whether a child that was started in a group begins to run. Linux takes one for killed with its group (`cgroup.kill`) if
/// that, or the group of its parent, has ever been killed as a whole: 6.18 compares the count of the one with that of the other.
fn lives(child: &Cloned, control: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(control, PollFlags::IN), PollFd::new(&child.pidfd, PollFlags::IN)];
    let waited = rustix::io::retry_on_intr(|| poll(&mut polled, None));
    // Without an answer it is held for alive: its memory is this one.
    waited.is_err() || polled[0].revents().contains(PollFlags::IN)
}
