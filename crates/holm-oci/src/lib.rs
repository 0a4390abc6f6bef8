//! Containers of the OCI runtime specification.
//!
//! A bundle's `config.json` is one more front end: [`lower`] turns it into a [`holm::Spec`], field by field; what can't be done
//! is refused by name. `create` carries the plan out up to the point where the sandbox waits
//! ([`Plan::hold`](holm::plan::Plan::hold)) and notes it in the state directory ([`state`]); `start` knocks at its door. The verbs are in
//! [`verbs`].

pub mod bundle;
mod criu;
mod field;
pub mod group;
mod lenient;
mod listening;
pub mod lower;
mod notify;
pub mod resctrl;
pub mod seccomp;
mod socket;
pub mod state;
mod stats;
mod systemd;
pub mod verbs;

use holm::plan::{Reason, Refusal};
use std::path::Path;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something can't be done, and why.
    #[error("{0}")]
    Failed(String),
    /// There is no container of this name.
    #[error("cannot find container {0}: container does not exist")]
    Missing(String),
    /// The configuration, or the machine, doesn't allow it.
    #[error(transparent)]
    Start(#[from] holm::Error),
    /// The program can't be executed: as engines know it.
    #[error("{0}")]
    Program(String),
}

impl Error {
    /// `cannot VERB OBJECT: CAUSE`.
    pub(crate) fn io(what: impl std::fmt::Display, error: impl Into<std::io::Error>) -> Error {
        Error::Failed(format!("cannot {what}: {}", holm::model::text::cause(&error.into())))
    }

    /// Engines tell by these words that a program is missing, or can't be opened.
    pub(crate) fn not_found(program: &str, errno: i32) -> Error {
        let cause = holm::model::text::cause(&std::io::Error::from_raw_os_error(errno));
        Error::Program(match errno == rustix::io::Errno::NOENT.raw_os_error() {
            true => format!("cannot run {program}: executable file `{program}` not found in $PATH: {cause}"),
            false => format!("cannot run {program}: open executable: {cause}"),
        })
    }

    /// The same of one that was found: it is no program, or what it is run by is missing.
    pub(crate) fn not_executable(program: &str, errno: i32) -> Error {
        let cause = holm::model::text::cause(&std::io::Error::from_raw_os_error(errno));
        Error::Program(format!("cannot run {program}: exec {program}: {cause}"))
    }

    /// One reason why a configuration is refused.
    pub(crate) fn refused(message: impl Into<String>, origin: impl Into<String>) -> Error {
        holm::Error::from(Refusal { reasons: vec![reason(message, origin)] }).into()
    }
}

pub(crate) fn reason(message: impl Into<String>, origin: impl Into<String>) -> Reason {
    Reason { message: message.into(), origin: origin.into(), hint: String::new(), blame: holm::plan::Blame::Wish }
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A path as messages show it.
pub(crate) fn shown(path: &Path) -> String {
    holm::model::text::name(path.as_os_str()).to_string()
}
