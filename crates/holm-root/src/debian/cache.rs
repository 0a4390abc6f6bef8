//! What of the cache nobody needs any more.
//!
//! | path | what | is removed when |
//! |---|---|---|
//! | `files/SHA256` | packages and indexes | no build has used it for a week, and no selection that stays names it |
//! | `files/SHA256.part` | a download that was begun | nobody has gone on with it for a week |
//! | `selections/SHA256.toml` | what was chosen ([`super::kept`]) | no build has used it for a week |
//! | `releases/SHA256.json` | what archives said ([`super::seen`]) | never: after a week only the date is left |
//!
//! Whoever uses a file sets its time (`st_mtime`). Other files are nobody's business here, and are left.

use std::collections::HashSet;
use std::fs::{self, File, FileTimes};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::error::Error;
use super::seen;
use crate::store::Freed;
use crate::store::listing::{Hash, parse_hash};

/// So long something stays that nobody uses.
const UNUSED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Notes that a file is used now. Where that can't be noted it is cleaned away sooner, and nothing else.
pub(super) fn used(file: &File) {
    let _ = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
}

/// Removes what nobody has used for a week before `now`. `cache` is a directory that is the caller's alone; there may
/// be none.
///
/// # Errors
/// Something can't be read or removed.
pub fn clean(cache: &Path, now: SystemTime) -> Result<Freed, Error> {
    let mut freed = Freed::default();
    let is_old = |status: &fs::Metadata| {
        let changed = status.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        now.duration_since(changed).is_ok_and(|age| age > UNUSED)
    };
    let mut named: HashSet<Hash> = HashSet::new();
    for (path, status) in of_kind(cache, "selections", "toml")? {
        match is_old(&status) {
            true => remove(&path, &status, &mut freed)?,
            false => named.extend(super::kept::packages(&path)),
        }
    }
    for (path, status) in of_kind(cache, "files", "part")? {
        if is_old(&status) {
            remove(&path, &status, &mut freed)?;
        }
    }
    for (path, status) in of_kind(cache, "files", "")? {
        if is_old(&status) && !hash(&path).is_some_and(|hash| named.contains(&hash)) {
            remove(&path, &status, &mut freed)?;
        }
    }
    for (path, status) in of_kind(cache, "releases", "json")? {
        if is_old(&status) {
            seen::shorten(&path)?;
            let after = fs::symlink_metadata(&path).map_err(Error::io("read", &path))?;
            freed.bytes += bytes(&status).saturating_sub(bytes(&after));
        }
    }
    Ok(freed)
}

/// How many bytes the cache takes on disk.
///
/// # Errors
/// It can't be read.
pub fn size(cache: &Path) -> Result<u64, Error> {
    let mut sum = 0;
    for (name, end) in [("files", ""), ("files", "part"), ("selections", "toml"), ("releases", "json")] {
        sum += of_kind(cache, name, end)?.iter().map(|(_, status)| bytes(status)).sum::<u64>();
    }
    Ok(sum)
}

/// The files of one directory of the cache whose names are a hash with this ending.
fn of_kind(cache: &Path, name: &str, end: &str) -> Result<Vec<(PathBuf, fs::Metadata)>, Error> {
    let directory = cache.join(name);
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("read", &directory))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io("read", &directory))?.path();
        if hash(&path).is_none() || path.extension().unwrap_or_default() != end {
            continue;
        }
        match fs::symlink_metadata(&path) {
            // Somebody has finished or removed it meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            status => found.push((path.clone(), status.map_err(Error::io("read", &path))?)),
        }
    }
    found.retain(|(_, status)| status.is_file());
    Ok(found)
}

fn hash(path: &Path) -> Option<Hash> {
    parse_hash(path.file_stem()?.to_str()?)
}

fn bytes(status: &fs::Metadata) -> u64 {
    status.blocks() * 512
}

fn remove(path: &Path, status: &fs::Metadata, freed: &mut Freed) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        removed => removed.map_err(Error::io("remove", path))?,
    }
    freed.files += 1;
    freed.bytes += bytes(status);
    Ok(())
}
