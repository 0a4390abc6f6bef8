//! Roots of Debian and archives laid out like it.

pub mod package;
