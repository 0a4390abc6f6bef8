//! What archives said before, in the cache: a file for each suite of each archive.
//!
//! Whoever was asked before is asked whether it still says the same. If it does, by its word (304) or by the same bytes,
//! and the keys are the same, its signature was checked before: that counts for a day, since keys expire. Dates only
//! go forward: a release that is older than one that was seen is a replay, or a mirror that is behind.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::Error;
use super::kept;
use super::source::Archive;
use super::validators::Validators;
use crate::store::listing::{Hash, hex};

/// So long a signature needn't be checked again.
const CHECKED: Duration = Duration::from_secs(24 * 60 * 60);

/// What one archive said of one suite.
#[derive(Serialize, Deserialize)]
struct Record {
    /// The latest date of a release, in seconds since 1970.
    date: u64,
    clear: Option<Clear>,
}

/// A clear-signed release.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Clear {
    validators: Validators,
    /// SHA-256 of the file, in hexadecimal.
    signed: String,
    /// That of the keys it was checked with.
    keys: String,
    /// When, in seconds since 1970.
    checked: u64,
    /// The text that was signed.
    pub(super) text: String,
}

impl Clear {
    /// What has just been checked.
    pub(super) fn new(signed: &[u8], validators: Validators, keys: &Hash, now: SystemTime, text: &str) -> Clear {
        let (signed, keys) = (hex(&Sha256::digest(signed)), hex(keys));
        Clear { validators, signed, keys, checked: seconds(now), text: text.to_owned() }
    }

    /// How the server knows it again.
    pub(super) fn validators(&self) -> Validators {
        self.validators.clone()
    }

    /// Whether this is the file.
    pub(super) fn is(&self, signed: &[u8]) -> bool {
        self.signed == hex(&Sha256::digest(signed))
    }
}

/// How what an archive says differs from what it said before.
pub(super) enum News {
    /// Not at all.
    Nothing,
    /// A release whose signature was checked now.
    Clear(Clear),
    /// The same of one with its signature in a file of its own.
    Apart,
}

/// What is known of an archive.
pub(super) struct Seen {
    path: PathBuf,
    record: Option<Record>,
}

impl Seen {
    /// Of this archive, in this cache.
    pub(super) fn of(archive: &Archive, cache: &Path) -> Seen {
        let name = hex(&Sha256::digest(format!("{}\n{}", archive.uri, archive.suite)));
        let path = cache.join("releases").join(name + ".json");
        let record = kept::read(&path).and_then(|text| serde_json::from_str(&text).ok());
        Seen { path, record }
    }

    /// The release, if its signature was checked with these keys not long ago.
    pub(super) fn checked(&self, keys: &Hash, now: SystemTime) -> Option<&Clear> {
        let clear = self.record.as_ref()?.clear.as_ref()?;
        // A clock that was set back tells nothing.
        let age = seconds(now).checked_sub(clear.checked)?;
        (clear.keys == hex(keys) && age < CHECKED.as_secs()).then_some(clear)
    }

    /// Refuses a release that is older than one before.
    pub(super) fn refuse_older(&self, url: &str, date: SystemTime) -> Result<(), Error> {
        let seen = self.record.as_ref().map_or(0, |record| record.date);
        if seconds(date) >= seen {
            return Ok(());
        }
        let seen = SystemTime::UNIX_EPOCH + Duration::from_secs(seen);
        Err(Error::Older { url: url.to_owned(), date, seen, record: self.path.clone() })
    }

    /// Notes a release that is good.
    pub(super) fn note(&self, date: SystemTime, news: News) -> Result<(), Error> {
        let clear = match news {
            News::Nothing => return Ok(()),
            News::Clear(clear) => Some(clear),
            News::Apart => None,
        };
        write(&self.path, &Record { date: seconds(date), clear })
    }
}

/// Leaves of a record only the date.
pub(super) fn shorten(path: &Path) -> Result<(), Error> {
    let record = kept::read(path).and_then(|text| serde_json::from_str::<Record>(&text).ok());
    match record {
        Some(Record { date, clear: Some(_) }) => write(path, &Record { date, clear: None }),
        _ => Ok(()),
    }
}

fn write(path: &Path, record: &Record) -> Result<(), Error> {
    let text = serde_json::to_string(record).map_err(|error| Error::malformed("what an archive says", error))?;
    kept::write(path, &text)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
