//! Floor 1: small values with the kernel's names; they parse and print themselves and do no I/O.

pub mod id;
pub mod namespace;
pub mod text;
