//! What is wished of an archive.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use super::error::Error;
use super::relation;
use super::version;

/// The architecture of all roots, by Debian's name.
pub const ARCHITECTURE: &str = "amd64";

/// A set of packages of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Whose archives, keys and layout.
    pub family: Family,
    /// `bookworm`, `stable`, …
    pub suite: String,
    /// Which packages a root begins with.
    pub variant: Variant,
    /// More packages: `NAME` or `NAME=VERSION`.
    pub include: Vec<String>,
    /// Where packages are from.
    pub origin: Origin,
    /// Components instead of those that are usual there.
    pub components: Option<Vec<String>>,
    /// A file with the keys to trust, instead of the usual ones.
    pub keyring: Option<PathBuf>,
}

/// A distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `deb.debian.org`.
    Debian,
    /// `archive.ubuntu.com`.
    Ubuntu,
}

impl Family {
    /// What its archives call themselves (`Origin`).
    pub fn name(self) -> &'static str {
        match self {
            Family::Debian => "Debian",
            Family::Ubuntu => "Ubuntu",
        }
    }
}

/// Where packages are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// As apt's configuration in this directory (`/etc/apt`) says of the suite, else the family's own archives.
    Host(PathBuf),
    /// The suite in the archive at this address alone.
    Mirror(String),
    /// The family's archives as they were at this time.
    Snapshot(SystemTime),
}

/// Which packages a root begins with: mmdebstrap's variants of the same name, mmdebstrap(1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// `Essential: yes`.
    Essential,
    /// Those, apt, and priority required.
    Minbase,
    /// Those and build-essential.
    Buildd,
    /// Those of minbase, and priorities important and standard.
    Standard,
}

impl Variant {
    /// Each of them, the usual one first.
    pub const ALL: [Variant; 4] = [Variant::Minbase, Variant::Essential, Variant::Standard, Variant::Buildd];

    /// Its name in options and recipes.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Essential => "essential",
            Variant::Minbase => "minbase",
            Variant::Buildd => "buildd",
            Variant::Standard => "standard",
        }
    }

    /// The priorities that belong to it.
    pub(super) fn priorities(self) -> &'static [&'static str] {
        match self {
            Variant::Essential => &[],
            Variant::Minbase | Variant::Buildd => &["required"],
            Variant::Standard => &["required", "important", "standard"],
        }
    }

    /// The packages that belong to it whatever their priority.
    pub(super) fn packages(self) -> &'static [&'static str] {
        match self {
            Variant::Essential => &[],
            Variant::Minbase | Variant::Standard => &["apt"],
            Variant::Buildd => &["apt", "build-essential"],
        }
    }
}

impl Wish {
    /// The variant minbase of a suite of Debian, from where the host has its packages.
    pub fn new(suite: &str) -> Wish {
        Wish {
            family: Family::Debian,
            suite: suite.to_owned(),
            variant: Variant::Minbase,
            include: Vec::new(),
            origin: Origin::Host(Path::new("/etc/apt").to_owned()),
            components: None,
            keyring: None,
        }
    }

    /// The packages that are asked for by name, with their versions if those are given.
    ///
    /// # Errors
    /// A suite, mirror, component or package that can't be one.
    pub(super) fn check(&self) -> Result<Vec<(&str, Option<&str>)>, Error> {
        let bad = |what, value: &str, cause: &str| {
            Err(Error::Wish { what, value: value.to_owned(), cause: cause.to_owned() })
        };
        let words = self.components.iter().flatten().map(|name| ("component", name));
        for (what, value) in words.chain([("suite", &self.suite)]) {
            if !value.split('/').all(relation::is_name) {
                return bad(what, value, "it has letters, digits and +-._ between slashes only");
            }
        }
        match &self.origin {
            Origin::Mirror(uri) if !is_address(uri) => {
                return bad("mirror", uri, "it is not an address that begins with http:// or https://");
            }
            _ => {}
        }
        let mut packages = Vec::new();
        for text in &self.include {
            let (name, version) = match text.split_once('=') {
                Some((name, version)) => (name, Some(version)),
                None => (text.as_str(), None),
            };
            if !relation::is_name(name) || version.is_some_and(|version| !version::is_version(version)) {
                return bad("package", text, "NAME or NAME=VERSION is expected");
            }
            packages.push((name, version));
        }
        Ok(packages)
    }
}

/// Whether a text is an address that files can be below.
pub(super) fn is_address(text: &str) -> bool {
    let plain = !text.contains(|character: char| character.is_whitespace() || character.is_control());
    let of_files = |url: reqwest::Url| {
        ["http", "https"].contains(&url.scheme()) && url.has_host() && url.query().is_none() && url.fragment().is_none()
    };
    plain && reqwest::Url::parse(text).is_ok_and(of_files)
}
