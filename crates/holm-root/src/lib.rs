//! Root directories: a directory that a program can live in with nothing of the host around it.
//!
//! - [`closure`] answers "what must be there for this program to start?" by reading ELF files. Nothing is
//!   executed: running a file's own loader, as `ldd` does, hands control to whoever wrote the file.
//! - [`programs`] adds what programs open while they run, by named rules, and copies all into a directory that it keeps
//!   in a cache, so that the second start costs some stat calls.
//! - [`store`] keeps whole roots under names, from directories, archives and images, each content once.
//! - [`image`] reads images: layouts, archives and what registries have.
//! - [`recipe`] makes roots of others, with programs, files and what commands do in them.
//! - [`changes`] keeps what sandboxes changed: to compare, to apply to the host's files, to make a root of.
//!
//! This crate reads and copies files. It makes no namespaces and no mounts; that is the crate `holm`.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod changes;
pub mod closure;
pub mod deb822;
pub mod debian;
pub mod image;
mod net;
pub mod programs;
pub mod progress;
pub mod recipe;
pub mod store;
mod tree;
pub mod unpack;
mod within;
