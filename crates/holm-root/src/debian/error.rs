//! Why something can't be had from an archive.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use holm::model::text::cause;

/// Why something can't be had from an archive. Nothing but the cache was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part of the wish means nothing.
    #[error("cannot use {what} {value:?}: {cause}")]
    Wish {
        /// Which part: `suite`, `mirror`, `package`.
        what: &'static str,
        /// As given.
        value: String,
        /// The rule it breaks.
        cause: String,
    },
    /// The archive has no such suite.
    #[error("cannot find suite {suite} at {uri}: the archive has none of that name")]
    Suite {
        /// As given.
        suite: String,
        /// The archive's address.
        uri: String,
        /// Known suites with nearly that name.
        near: Vec<String>,
    },
    /// The suite has no such component.
    #[error("cannot find component {component} of {suite} at {uri}: the archive has none of that name")]
    Component {
        /// As given.
        component: String,
        /// The archive's suite.
        suite: String,
        /// The archive's address.
        uri: String,
        /// Components with nearly that name.
        near: Vec<String>,
    },
    /// There are no keys to check an archive with.
    #[error("cannot use keyring {}: {cause}", path.display())]
    Keyring {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// What the archive says isn't signed as it must be, or isn't of this time or suite.
    #[error("cannot trust {url}: {cause}")]
    Untrusted {
        /// The file.
        url: String,
        /// What is wrong.
        cause: String,
    },
    /// What the archive says is older than what it has said before.
    #[error("cannot trust {url}: its date, {}, is before {}, which it had before", shown(*date), shown(*seen))]
    Older {
        /// The file.
        url: String,
        /// Its date.
        date: SystemTime,
        /// The latest date that was seen.
        seen: SystemTime,
        /// The file of the cache that tells so.
        record: PathBuf,
    },
    /// The server doesn't give a file.
    #[error("cannot download {url}: {cause}")]
    Download {
        /// The file.
        url: String,
        /// What is wrong.
        cause: String,
        /// The server's answer (RFC 9110, section 15), if that is the reason.
        status: Option<u16>,
    },
    /// A file isn't of its form.
    #[error("cannot read {what}: {cause}")]
    Malformed {
        /// The file.
        what: String,
        /// What is wrong.
        cause: String,
    },
    /// No archive has this package.
    #[error("cannot find package {name}: no archive has {}", version.as_deref().map_or("it".to_owned(), |version| format!("version {version} of it")))]
    Package {
        /// As given.
        name: String,
        /// As given.
        version: Option<String>,
        /// Packages with nearly that name; or all versions of that package.
        near: Vec<String>,
    },
    /// Packages can't be together.
    #[error("cannot choose packages: {cause}")]
    Unsatisfiable {
        /// Which relation of which package.
        cause: String,
    },
    /// The system refused.
    #[error("cannot {verb} {}: {}", path.display(), cause(source))]
    Io {
        /// What was tried.
        verb: &'static str,
        /// With what.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

fn shown(time: SystemTime) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_seconds(time)
}

impl Error {
    pub(super) fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { verb, path, source }
    }

    pub(super) fn untrusted(url: &str) -> impl Fn(String) -> Error + use<> {
        let url = url.to_owned();
        move |cause| Error::Untrusted { url: url.clone(), cause }
    }

    pub(super) fn malformed(what: &str, cause: impl ToString) -> Error {
        Error::Malformed { what: what.to_owned(), cause: cause.to_string() }
    }
}
