//! Floor 4: the namespaces of this machine, what keeps each alive, and how they relate. It reads only.
//!
//! [`read`](read::read) returns a [`Machine`](machine::Machine), a plain value; everything else here is a pure function of it or
//! of text that the kernel gave. The order of a reading:
//!
//! 1. Two threads take the processes in turn (`process`): links of `/proc/PID/ns` by readlinkat(2), threads whose links
//!    differ, open descriptors by the device they are on (`descriptors`), mounts of each new mount namespace (`mounts`).
//! 2. A namespace that wasn't known is opened once and asked for its number, owner and parent (`found`); those it leads to
//!    are found so, too. One without a number (before Linux 6.18) is held open until the end, so that its inode isn't given to
//!    another one meanwhile.
//! 3. What the threads found is joined, then mount namespaces without a process are looked for.
//!
//! [`Live`](live::Live) is a reading of processes that is kept up to date. [`reopen`](reopen::reopen) opens what was found.
//!
//! A process that ends meanwhile is left out. What can't be read is counted ([`Unread`](machine::Unread)): a list that is not
//! whole says so. No path of another process is followed but with `RESOLVE_CACHED`, without links, and as `O_PATH`: it may lead
//! into a file system that never answers.

mod descriptors;
pub mod detail;
pub mod enter;
mod found;
pub mod live;
pub mod machine;
pub mod maker;
mod mounts;
pub mod network;
#[doc(hidden)]
pub mod parsers;
mod process;
pub mod read;
pub mod reopen;
pub mod rights;
