//! What the library tells pid 1, as bits of its second argument.

/// The program gets a session of its own.
pub(crate) const NEW_SESSION: u32 = 1;
/// Descriptor 0 is a new terminal: it becomes the controlling one and the program its foreground job.
pub(crate) const TERMINAL: u32 = 2;
/// Wait for every process, not for the program alone.
pub(crate) const WAIT_ALL: u32 = 4;
/// A time namespace waits for the next fork; only a fork with memory of its own enters it (time_namespaces(7)).
pub(crate) const OWN_MEMORY: u32 = 8;
/// The pid namespace is not ours: the kernel ends nobody when we end, so we do it through a /proc of the caller's.
pub(crate) const FOREIGN_PIDS: u32 = 16;
/// It becomes the program itself once it is told to, instead of starting it.
pub(crate) const IN_PLACE: u32 = 32;
/// It starts itself once more, in the pid namespace that waits for the next fork, and ends.
pub(crate) const GOES_IN: u32 = 64;
/// How long a program may take to end after it was told that its time is over.
pub(crate) const GRACE_MILLISECONDS: u64 = 2000;
