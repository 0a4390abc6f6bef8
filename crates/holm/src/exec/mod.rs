//! Floor 5: all effects of a start. It takes no decision: every `if` on a wish is in `plan`.
//!
//! `compile` turns a plan into a `program` of C strings and descriptors before the clone, with what `outside` opens; `child`
//! walks it without allocating, with `place` for paths inside and `mounts` for file systems; `parent` starts the child, by `birth`, does
//! its own steps meanwhile and reads the records; `keep` undoes what the parent made if a later step fails, and `cgroup` in any case, with `resctrl`; `schedule` is what
//! the parent sets on the child, and `device` what it gives to it.

mod arguments;
mod attach;
mod beneath;
mod birth;
pub(crate) mod cgroup;
mod child;
mod compile;
mod device;
mod guard;
mod home;
mod keep;
mod maps;
mod mounts;
mod outside;
mod overlay;
mod owners;
pub(crate) mod parent;
mod place;
mod privileges;
pub(crate) mod program;
pub(crate) mod resctrl;
mod schedule;
mod wall;
pub(crate) mod watch;
mod within;

/// A step that the kernel refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed {
    /// Its number, from 1 on.
    pub(crate) step: usize,
    /// Why.
    pub(crate) errno: rustix::io::Errno,
}

/// Why there is no running program.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A step failed.
    Failed(Failed),
    /// The child ended without a word; the number is its wait status.
    Lost(i32),
}
