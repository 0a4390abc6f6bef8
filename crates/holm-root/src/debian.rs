//! Packages of Debian, and of archives laid out like Debian's.

pub mod archive;
pub mod error;
pub mod fetch;
mod index;
mod indexes;
pub mod keyring;
pub mod package;
pub mod progress;
mod relation;
mod release;
mod solve;
pub mod source;
pub mod version;
pub mod wish;
