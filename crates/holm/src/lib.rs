//! Isolated places on Linux: a program in new namespaces, with a root directory of its own.
//!
//! ```no_run
//! let mut child = holm::Spec::new("bash").args(["-c", "id; ls /"]).spawn()?;
//! let exit = child.wait()?;
//! assert!(exit.success());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Spec`] is a wish: a plain value whose default is the safest useful sandbox. [`Spec::plan`] turns it into a
//! [`Plan`](plan::Plan), a numbered list of steps that can be printed, and [`Plan::spawn`](plan::Plan::spawn) carries it out.
//! The shape is that of `std::process`: a [`Child`] has pipes, `wait`, `try_wait` and `kill`, and is a descriptor that can be
//! polled. It differs in one thing: a sandbox ends with its owner, however that ends.
//!
//! All paths are bytes; nothing here needs UTF-8. Spawning is safe in a program with other threads, and costs the same
//! however much memory the program uses (clone3(2) with shared memory, no fork).
//!
//! [`inspect`] reads what namespaces there are; [`doctor`] tells what this machine can't do for the caller, and why.
//!
//! Floors, each of which imports only lower ones: `sys`, `model`, `spec` and `host`, `plan` and `inspect`, `exec`, `error`, `run`, `doctor`.
#![warn(missing_docs)]

pub mod doctor;
pub mod error;
mod exec;
pub mod host;
pub mod inspect;
pub mod model;
pub mod plan;
pub mod run;
pub mod spec;
mod sys;

pub use error::Error;
pub use run::{Child, Exit};
pub use spec::Spec;
pub use sys::signal;
