//! What is known of kept changes: a JSON file.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::store::error::Error;
use crate::store::listing::{escape, unescape};

/// The form of the file.
pub(super) const VERSION: u32 = 1;

/// What is known of kept changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The version of this form: 1.
    pub version: u32,
    /// Their name.
    pub name: String,
    /// What the root was made of.
    pub root: Root,
    /// Where changes are kept.
    pub places: Vec<Place>,
    /// How overlayfs marks what it does in a layer.
    pub marks: Marks,
    /// What the ids of files on disk are.
    pub ids: Ids,
    /// Where something was mounted inside: overlayfs shows a directory or file made for that as an addition.
    pub points: Vec<Text>,
    /// When the last run began: seconds since 1970.
    pub started: u64,
    /// Its program and arguments.
    pub command: Vec<Text>,
}

impl About {
    /// Refuses another root than the changes are of.
    pub(super) fn is_of(&self, root: &Root) -> Result<(), Error> {
        match self.root == *root {
            true => Ok(()),
            false => Err(Error::OtherRoot { name: self.name.clone() }),
        }
    }
}

/// What a root was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Root {
    /// Links and small files, and the host's `/usr`.
    Host,
    /// A directory of programs.
    Programs(Text),
    /// A directory.
    Directory(Text),
    /// A stored root.
    Stored {
        /// Its name then.
        name: String,
        /// Its id.
        id: String,
    },
}

/// One directory whose changes are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// `root`, `usr`, or a number: the layer is the directory `KEY-upper`.
    pub key: String,
    /// The directory of the host; for `root` what [`About::root`] says.
    pub base: Text,
    /// Where it is inside.
    pub at: Text,
    /// The directory's inode number: another directory of that name is not meant.
    pub inode: u64,
    /// When the first run with it began: seconds and nanoseconds since 1970. What changed later isn't what the program saw.
    pub began: (i64, i64),
    /// What was applied since: path, inode number and time of the last change, so that it counts as seen.
    pub applied: Vec<(Text, u64, i64, i64)>,
}

/// In which extended attributes overlayfs keeps its marks (overlayfs, `userxattr`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Marks {
    /// `user.overlay.*`: it was mounted in a user namespace.
    User,
    /// `trusted.overlay.*`.
    Trusted,
}

/// What the ids of files on disk are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ids {
    /// Those inside.
    Inside,
    /// Those outside; each map is the first id inside, the first outside, and how many.
    Outside {
        /// Of user ids.
        users: Vec<(u32, u32, u32)>,
        /// Of group ids.
        groups: Vec<(u32, u32, u32)>,
    },
}

impl About {
    /// Reads what is known of the changes of this name.
    ///
    /// # Errors
    /// It is damaged, or of another version or name; why, in words.
    pub fn parse(bytes: &[u8], name: &str) -> Result<About, String> {
        let about: About =
            serde_json::from_slice(bytes).map_err(|error| format!("it tells nothing of changes: {error}"))?;
        match about.version == VERSION && about.name == name && about.places.iter().all(Place::is_plain) {
            true => Ok(about),
            false => Err("it is of another version or name, or damaged".to_owned()),
        }
    }
}

impl Place {
    /// Whether it was bound: it is no part of the root.
    pub fn is_bound(&self) -> bool {
        !self.key.is_empty() && self.key.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Whether its key is one that names a directory of ours.
    fn is_plain(&self) -> bool {
        matches!(self.key.as_str(), "root" | "usr") || self.is_bound()
    }

    /// The name of the directory with its changes.
    pub(super) fn upper(&self) -> String {
        format!("{}-upper", self.key)
    }

    /// The name of the directory that overlayfs works in.
    pub(super) fn work(&self) -> String {
        format!("{}-work", self.key)
    }
}

impl Ids {
    /// Whether some are not the caller's own.
    pub fn has_ranges(&self) -> bool {
        matches!(self, Ids::Outside { users, groups } if users.iter().chain(groups).any(|map| map.2 > 1))
    }

    /// The ids inside of a file with these ids on disk; one that is nobody's inside is 65534.
    pub(super) fn inside(&self, uid: u32, gid: u32) -> (u32, u32) {
        let find = |maps: &[(u32, u32, u32)], id: u32| {
            let of = |&(inside, outside, count): &(u32, u32, u32)| {
                let past = id.checked_sub(outside).filter(|past| *past < count)?;
                inside.checked_add(past)
            };
            maps.iter().find_map(of).unwrap_or(65534)
        };
        match self {
            Ids::Inside => (uid, gid),
            Ids::Outside { users, groups } => (find(users, uid), find(groups, gid)),
        }
    }
}

/// A path or argument; in JSON as in a listing: a byte that isn't visible ASCII, or is a backslash, is `\xNN`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(pub OsString);

impl Text {
    /// It as a path.
    pub fn path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl From<&Path> for Text {
    fn from(path: &Path) -> Text {
        Text(path.as_os_str().to_owned())
    }
}

impl From<PathBuf> for Text {
    fn from(path: PathBuf) -> Text {
        Text(path.into())
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escape(self.0.as_bytes()))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = unescape(&text).ok_or_else(|| D::Error::custom("it is no escaped path"))?;
        Ok(Text(OsString::from_vec(bytes)))
    }
}
