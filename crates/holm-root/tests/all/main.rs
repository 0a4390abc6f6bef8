//! What the crate promises, tried on made-up trees and on this machine's own programs.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod against_ld_so;
mod closures;
mod debian;
mod extras;
mod fixture;
mod hostile;
mod missing;
mod replaces;
mod roots;
mod scripts;
mod stored;
