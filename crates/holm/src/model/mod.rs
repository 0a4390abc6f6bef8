//! Floor 1: small values with the kernel's names; they parse and print themselves and do no I/O.

pub mod capability;
pub mod denied;
pub mod device;
pub mod filters;
pub mod group;
pub mod id;
pub mod label;
pub mod landlock;
pub mod limit;
pub mod mount;
pub mod namespace;
pub(crate) mod proc;
pub mod remedy;
pub mod resctrl;
pub mod schedule;
pub mod seccomp;
pub mod text;
