//! What is known of a name in the store: a JSON file, and which names there can be.

use serde::{Deserialize, Serialize};

use crate::image::Config;
use crate::tree::Owners;

/// The form of the file.
pub(crate) const VERSION: u32 = 1;

/// What the store knows of a stored root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// The version of this form: 1.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// SHA-256 of its listing, in hexadecimal.
    pub id: String,
    /// What it was made from, in words.
    pub source: String,
    /// When it got this name: seconds since 1970.
    pub created: u64,
    /// Bytes of content.
    pub size: u64,
    /// Files, directories and all else.
    pub entries: u64,
    /// Whether its files on disk belong to whom they should.
    pub owners: Owners,
    /// What the files on disk are not.
    pub not_on_disk: NotOnDisk,
    /// How a program is started in it, if it was made from an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Config>,
}

/// What a stored root's listing has and its files on disk have not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotOnDisk {
    /// Entries that belong to others: an ordinary user's files are all the user's own.
    pub owners: u64,
    /// Device nodes: whoever gets hold of one has the device.
    pub devices: u64,
    /// Sockets, and attributes that are neither `user.*` nor file capabilities: not in the listing either.
    pub left_out: u64,
}

/// Whether a text can be a name, or why not.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@+-".contains(&byte);
    let reserved = ["store:", "bins:", "oci:", "docker:"].iter().any(|prefix| name.starts_with(prefix));
    match name.as_bytes() {
        [] => Err("it is empty"),
        _ if name.len() > 128 => Err("it has more than 128 bytes"),
        [first, ..] if !first.is_ascii_alphanumeric() => Err("it must begin with a letter or digit"),
        bytes if !bytes.iter().all(|byte| allowed(*byte)) => Err("it can have letters, digits and . _ : @ + - only"),
        _ if reserved || name == "host" || name == "none" => Err("--root has another meaning for it"),
        _ => Ok(()),
    }
}

/// Whether a text has the form of an id.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
