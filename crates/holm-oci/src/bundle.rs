//! A bundle: a directory with a `config.json`.

use crate::{Error, Result, shown};
use oci_spec::runtime::Spec;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A configuration has at most so many bytes: 16 MiB.
pub(crate) const MOST: u64 = 16 << 20;

/// A bundle that was read.
#[derive(Debug)]
pub struct Bundle {
    /// Where it is: absolute, without links.
    pub directory: PathBuf,
    /// Its configuration.
    pub config: Spec,
    /// `linux.seccomp` as it stands there.
    pub seccomp: Option<serde_json::Value>,
    /// What of it is done otherwise than asked.
    pub warnings: Vec<String>,
}

impl Bundle {
    /// Reads the bundle in a directory; `config` is its configuration's file from there on, if it isn't `config.json`.
    ///
    /// # Errors
    /// There is no such directory or no such file; it is no configuration of a version 1.
    pub fn read(directory: &Path, config: Option<&Path>) -> Result<Bundle> {
        let found = directory.canonicalize().map_err(|e| Error::io(format!("use bundle {}", shown(directory)), e))?;
        let path = found.join(config.unwrap_or(Path::new("config.json")));
        let failed = |error: std::io::Error| Error::io(format!("read {}", shown(&path)), error);
        let text = std::fs::File::open(&path).and_then(bounded).map_err(failed)?;
        parse(&text, found).map_err(|cause| Error::refused(format!("cannot use this bundle: {cause}"), shown(&path)))
    }

    /// A path of the configuration that may be relative to the bundle.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }
}

/// The text of a configuration, or of a part of one.
///
/// # Errors
/// It can't be read, is no text, or is longer than any is (EFBIG).
pub fn bounded(source: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    source.take(MOST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST { Err(rustix::io::Errno::FBIG.into()) } else { Ok(text) }
}

/// The bundle of a configuration's text.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str, directory: PathBuf) -> std::result::Result<Bundle, String> {
    let mut whole: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let version = whole.get("ociVersion").and_then(|version| version.as_str()).unwrap_or("");
    if !is_known(version) {
        return Err(format!("ociVersion {version:?} is not a version 1"));
    }
    let seccomp = whole.pointer("/linux/seccomp").filter(|value| !value.is_null()).cloned();
    let warnings = whole.get_mut("process").map(crate::lenient::complete).unwrap_or_default();
    crate::lenient::monitor(&mut whole);
    let config = crate::field::read(&whole, text.len())?;
    Ok(Bundle { directory, config, seccomp, warnings })
}

/// Whether a version is `1.MINOR.PATCH`, whatever follows.
fn is_known(version: &str) -> bool {
    let mut parts = version.splitn(3, '.');
    let number = |part: Option<&str>| part.is_some_and(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    let patch = |part: &str| part.bytes().take_while(u8::is_ascii_digit).count() > 0;
    parts.next() == Some("1") && number(parts.next()) && parts.next().is_some_and(patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        assert!(["1.0.0", "1.0.2-dev", "1.3.0", "1.2.1+x"].into_iter().all(is_known));
        assert!(!["", "1", "1.0", "2.0.0", "01.0.0", "1.x.0", "1.0.x", "one"].into_iter().any(is_known));
    }
}
