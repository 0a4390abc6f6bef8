//! Why something can't be done with the store.

use std::io;
use std::path::{Path, PathBuf};

use crate::unpack::Limits;
use holm::model::text::cause;

/// Why something can't be done with the store. Each names what; the store is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store isn't the caller's alone, or of another version.
    #[error("cannot use store {}: {cause}", path.display())]
    Unusable {
        /// The store's directory.
        path: PathBuf,
        /// The reason.
        cause: String,
    },
    /// No such name.
    #[error("cannot find root {name}: the store has none of that name")]
    Unknown {
        /// As given.
        name: String,
        /// All names there are.
        names: Vec<String>,
    },
    /// No name at all.
    #[error("cannot use the name {name:?}: {cause}")]
    Name {
        /// As given.
        name: String,
        /// The rule it breaks.
        cause: &'static str,
    },
    /// Another root has this name.
    #[error("cannot store {name}: another root has this name")]
    Taken {
        /// The name.
        name: String,
    },
    /// A sandbox has it as its root.
    #[error("cannot remove {name}: a sandbox runs in it")]
    InUse {
        /// The name.
        name: String,
    },
    /// No changes of that name.
    #[error("cannot find changes {name}: the store has none of that name")]
    UnknownChanges {
        /// As given.
        name: String,
        /// All names there are.
        names: Vec<String>,
    },
    /// Somebody else writes them.
    #[error("cannot use changes {name}: a sandbox or another command writes them")]
    ChangesInUse {
        /// Their name.
        name: String,
    },
    /// They are of another root.
    #[error("cannot go on with changes {name}: they are of another root")]
    OtherRoot {
        /// Their name.
        name: String,
    },
    /// They were made with other ids.
    #[error("cannot go on with changes {name}: they were made with other ids (--map, --user, --userns, --share user)")]
    OtherIds {
        /// Their name.
        name: String,
    },
    /// No root can be made of them.
    #[error("cannot commit {name}: its root is the host's programs, not a directory or stored root")]
    Uncommitted {
        /// Their name.
        name: String,
    },
    /// The host changed what is to be written over.
    #[error("cannot apply {}: the host changed it since the run began", path.display())]
    Clash {
        /// Where.
        path: PathBuf,
    },
    /// The changes of a directory would be in it.
    #[error("cannot bind a copy of {}: the store, where its changes go, is in it", path.display())]
    HoldsStore {
        /// The directory.
        path: PathBuf,
    },
    /// A directory can't be bound as a copy.
    #[error("cannot bind a copy of {}: {cause}", path.display())]
    Uncopied {
        /// The directory.
        path: PathBuf,
        /// Why not.
        cause: &'static str,
    },
    /// A file of the store isn't what the store wrote.
    #[error("cannot use {}: {cause}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// Something can't be made a part of a root.
    #[error("cannot unpack {}: {cause}", path.display())]
    Unpack {
        /// The path inside, or of the archive if it is wrong as a whole.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// An archive would become more than it may.
    #[error(
        "cannot unpack {}: it is larger than {} bytes or {} members, the limit",
        path.display(), limits.bytes, limits.members
    )]
    TooLarge {
        /// The path inside, or of the archive if it is too large as a whole.
        path: PathBuf,
        /// What it may become.
        limits: Limits,
    },
    /// An image can't become a root.
    #[error("cannot use image {image}: {cause}")]
    Image {
        /// As named.
        image: String,
        /// What is wrong.
        cause: String,
    },
    /// A registry doesn't give an image.
    #[error("cannot pull {image}: {cause}")]
    Pull {
        /// Its whole name.
        image: String,
        /// What is wrong.
        cause: String,
        /// The server's answer (RFC 9110, section 15), if that is the reason.
        status: Option<u16>,
    },
    /// An image of erofs is for the kernel to read, which doesn't here.
    #[error("cannot unpack {}: it is an image of erofs, {reason}", path.display())]
    Erofs {
        /// The image.
        path: PathBuf,
        /// Why the kernel doesn't.
        reason: &'static str,
    },
    /// An archive of an image is compressed: its files can't be found without unpacking it.
    #[error("cannot unpack {}: it is an archive of an image, compressed as a whole", path.display())]
    Packed {
        /// The archive.
        path: PathBuf,
    },
    /// Which image of several is meant isn't known.
    #[error("cannot choose an image of {}: {}", image.display(), tag.as_ref().map_or_else(
        || "it holds several".to_owned(), |tag| format!("none, or more than one, has the tag {tag}")))]
    Tag {
        /// The layout or archive.
        image: PathBuf,
        /// The tag that was asked for.
        tag: Option<String>,
        /// The tags there are.
        tags: Vec<String>,
    },
    /// Whoever is told how far it is wanted it to stop.
    #[error("cannot store the root: it was interrupted")]
    Interrupted,
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

/// Inside an error of the system's: it was to stop.
#[derive(Debug, thiserror::Error)]
#[error("it was interrupted")]
pub(crate) struct Stopped;

impl Error {
    /// An [`Error::Io`] of this verb and path.
    pub(crate) fn io<E: Into<io::Error>>(verb: &'static str, path: &Path) -> impl FnOnce(E) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { verb, path, source: source.into() }
    }

    /// An [`Error::Unpack`] with the system's reason, unless that is [`Stopped`].
    pub(crate) fn unpack<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> Error {
        let path = path.to_owned();
        move |error| {
            let error = error.into();
            match error.get_ref().is_some_and(|inner| inner.is::<Stopped>()) {
                true => Error::Interrupted,
                false => Error::Unpack { path, cause: cause(&error) },
            }
        }
    }
}
