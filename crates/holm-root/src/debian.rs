//! Packages of Debian, and of archives laid out like Debian's, and the roots that are made of them.

pub mod archive;
pub mod build;
pub mod cache;
mod claims;
mod configure;
mod control;
mod database;
mod deb;
pub mod error;
pub mod fetch;
mod index;
mod indexes;
mod kept;
pub mod keyring;
mod keys;
mod lock;
pub mod package;
#[doc(hidden)]
pub mod parsers;
mod relation;
mod release;
mod sbom;
mod seen;
mod solve;
pub mod source;
mod unpack;
mod validators;
pub mod version;
pub mod wish;
