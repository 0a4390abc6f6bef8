//! Archives on loopback, good and bad, and what is made of them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod again;
mod bad_archives;
mod bad_servers;
mod choice;
mod fixture;
mod good;
mod versions;
