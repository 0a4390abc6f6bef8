//! Which archives a wish means: those of the host's apt configuration, a mirror, a snapshot, or the distribution's own.
//!
//! Only the suite itself and what belongs to it (`-updates`, `-security`) is taken. Entries with addresses other than
//! HTTP's, and what apt would trust without a signature (`trusted=yes`), are no exceptions: the former are left out, the
//! latter is ignored.
//!
//! Source: sources.list(5).

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::keyring::Trust;
use super::release;
use super::wish::{Family, Origin, Wish};
use crate::deb822::{self, Paragraph};

/// One suite of one archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Address, without a slash at its end.
    pub uri: String,
    /// Directory below `dists`.
    pub suite: String,
    /// `main`, `contrib`, …
    pub components: Vec<String>,
    /// Who may sign.
    pub trust: Trust,
    /// Whether the end of its validity counts.
    pub(super) ends: bool,
}

impl Archive {
    fn new(uri: &str, suite: &str, components: &[String], trust: &Trust) -> Archive {
        let uri = uri.trim_end_matches('/').to_owned();
        Archive { uri, suite: suite.to_owned(), components: components.to_vec(), trust: trust.clone(), ends: true }
    }

    /// The address of a file below the suite's directory.
    pub(super) fn file(&self, path: &str) -> String {
        format!("{}/dists/{}/{path}", self.uri, self.suite)
    }
}

/// What the host's apt knows of this suite; nothing if it doesn't know the suite itself.
pub(super) fn of_host(wish: &Wish) -> Result<Vec<Archive>, Error> {
    let Origin::Host(apt) = &wish.origin else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for path in lists(apt)? {
        let text = match fs::read_to_string(&path) {
            // What isn't the caller's to read, such as addresses with passwords, isn't theirs to use.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => continue,
            text => text.map_err(Error::io("read", &path))?,
        };
        let read = match path.extension() == Some(OsStr::new("sources")) {
            true => paragraphs(&text, apt),
            false => lines(&text, apt),
        };
        found.extend(read.map_err(|cause| Error::malformed(&path.display().to_string(), cause))?);
    }
    let ours = [
        wish.suite.clone(),
        format!("{}-updates", wish.suite),
        format!("{}-security", wish.suite),
        format!("{}/updates", wish.suite),
    ];
    found.retain(|archive| ours.contains(&archive.suite));
    if !found.iter().any(|archive| archive.suite == wish.suite) {
        return Ok(Vec::new());
    }
    for archive in &mut found {
        if let Some(components) = &wish.components {
            archive.components.clone_from(components);
        }
        if let Some(keyring) = &wish.keyring {
            archive.trust = Trust::Files(vec![keyring.clone()]);
        } else if archive.trust == Trust::Files(Vec::new()) {
            archive.trust = usual_trust(wish);
        }
    }
    Ok(found)
}

/// The archives of a mirror or a snapshot, or the distribution's own.
pub(super) fn usual(wish: &Wish) -> Vec<Archive> {
    let trust = usual_trust(wish);
    let components = wish.components.clone().unwrap_or_else(|| match wish.family {
        Family::Debian => vec!["main".to_owned()],
        Family::Ubuntu => vec!["main".to_owned(), "universe".to_owned()],
    });
    let suite = &wish.suite;
    let archive = |uri: &str, suite: &str| Archive::new(uri, suite, &components, &trust);
    let (own, security) = match (&wish.origin, wish.family) {
        (Origin::Mirror(uri), _) => return vec![archive(uri, suite)],
        (Origin::Snapshot(time), Family::Debian) => {
            let stamp = stamp(*time);
            let of = |name: &str| format!("http://snapshot.debian.org/archive/{name}/{stamp}");
            (of("debian"), of("debian-security"))
        }
        (Origin::Snapshot(time), Family::Ubuntu) => {
            let uri = format!("http://snapshot.ubuntu.com/ubuntu/{}", stamp(*time));
            (uri.clone(), uri)
        }
        (Origin::Host(_), Family::Debian) => {
            ("http://deb.debian.org/debian".to_owned(), "http://deb.debian.org/debian-security".to_owned())
        }
        (Origin::Host(_), Family::Ubuntu) => {
            ("http://archive.ubuntu.com/ubuntu".to_owned(), "http://security.ubuntu.com/ubuntu".to_owned())
        }
    };
    if ["sid", "unstable", "experimental", "rc-buggy"].contains(&suite.as_str()) {
        return vec![archive(&own, suite)];
    }
    let (updates, fixes) = (format!("{suite}-updates"), format!("{suite}-security"));
    vec![archive(&own, suite), archive(&own, &updates), archive(&security, &fixes)]
}

/// A time as snapshot archives name it.
fn stamp(time: std::time::SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string().replace(['-', ':'], "")
}

/// Who may sign where nothing is said.
fn usual_trust(wish: &Wish) -> Trust {
    if let Some(keyring) = &wish.keyring {
        return Trust::Files(vec![keyring.clone()]);
    }
    let name = match wish.family {
        Family::Debian => "debian",
        Family::Ubuntu => "ubuntu",
    };
    let own = ["gpg", "pgp"].map(|end| PathBuf::from(format!("/usr/share/keyrings/{name}-archive-keyring.{end}")));
    let [first, _] = &own;
    Trust::Files(vec![own.iter().find(|path| path.exists()).unwrap_or(first).clone()])
}

/// The keys that the host's apt trusts for archives without `Signed-By`.
fn host_keys(apt: &Path) -> Vec<PathBuf> {
    let directory = fs::read_dir(apt.join("trusted.gpg.d")).into_iter().flatten().flatten();
    let is_key = |path: &PathBuf| path.extension().is_some_and(|end| end == "gpg" || end == "asc");
    let mut files: Vec<PathBuf> = directory.map(|entry| entry.path()).filter(is_key).collect();
    files.sort();
    files.extend(Some(apt.join("trusted.gpg")).filter(|path| path.exists()));
    files
}

/// The files with apt's sources.
fn lists(apt: &Path) -> Result<Vec<PathBuf>, Error> {
    let parts = apt.join("sources.list.d");
    let mut files = match fs::read_dir(&parts) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        entries => {
            let entries =
                entries.and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(Error::io("read", &parts))?;
            entries.into_iter().map(|entry| entry.path()).collect()
        }
    };
    files.retain(|path| path.extension().is_some_and(|end| end == "list" || end == "sources"));
    files.sort();
    files.insert(0, apt.join("sources.list"));
    Ok(files)
}

/// Lines like `deb [signed-by=/k.gpg] http://a bookworm main`.
pub(super) fn lines(text: &str, apt: &Path) -> Result<Vec<Archive>, String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("").trim();
        let Some(rest) = line.strip_prefix("deb").filter(|rest| rest.starts_with([' ', '\t'])) else { continue };
        let rest = rest.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(format!("{line:?} has no end of its options"))?,
            None => ("", rest),
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [uri, suite, components @ ..] = words.as_slice() else { return Err(format!("{line:?} names no suite")) };
        let option = |name: &str| {
            let pairs = options.split_whitespace().filter_map(|option| option.split_once('='));
            pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next_back()
        };
        let given = Given {
            uris: vec![*uri],
            suites: vec![*suite],
            components: components.to_vec(),
            architectures: option("arch").map(|value| value.split(',').collect()),
            trust: option("signed-by").map(|value| trust(&value.replace(',', " "), apt)),
            ends: option("check-valid-until") != Some("no"),
        };
        found.extend(given.archives(apt));
    }
    Ok(found)
}

/// The same as paragraphs of fields.
pub(super) fn paragraphs(text: &str, apt: &Path) -> Result<Vec<Archive>, String> {
    let mut found = Vec::new();
    for paragraph in deb822::paragraphs(text) {
        let paragraph = paragraph.map_err(|error| error.to_string())?;
        let of = |name: &str| words(&paragraph, name);
        let enabled = paragraph.value("Enabled").is_none_or(|value| !["no", "false", "0", "off"].contains(&value));
        if !enabled || !of("Types").contains(&"deb") {
            continue;
        }
        let given = Given {
            uris: of("URIs"),
            suites: of("Suites"),
            components: of("Components"),
            architectures: paragraph.field("Architectures").map(|_| of("Architectures")),
            trust: paragraph.field("Signed-By").map(|field| trust(&release::whole(field), apt)),
            ends: paragraph.value("Check-Valid-Until") != Some("no"),
        };
        found.extend(given.archives(apt));
    }
    Ok(found)
}

fn words<'t>(paragraph: &Paragraph<'t>, name: &str) -> Vec<&'t str> {
    paragraph.field(name).into_iter().flat_map(|field| field.lines()).flat_map(str::split_whitespace).collect()
}

/// An entry as it is given, which can mean many archives.
struct Given<'t> {
    uris: Vec<&'t str>,
    suites: Vec<&'t str>,
    components: Vec<&'t str>,
    architectures: Option<Vec<&'t str>>,
    trust: Option<Trust>,
    ends: bool,
}

impl Given<'_> {
    fn archives(&self, apt: &Path) -> Vec<Archive> {
        let ours = self.architectures.as_ref().is_none_or(|names| names.contains(&super::wish::ARCHITECTURE));
        let components: Vec<String> = self.components.iter().map(|name| (*name).to_owned()).collect();
        let trust = self.trust.clone().unwrap_or_else(|| Trust::Files(host_keys(apt)));
        let is_http = |uri: &&&str| uri.starts_with("http://") || uri.starts_with("https://");
        let mut found = Vec::new();
        for uri in self.uris.iter().filter(is_http).filter(|_| ours && !components.is_empty()) {
            for suite in &self.suites {
                found.push(Archive { ends: self.ends, ..Archive::new(uri, suite, &components, &trust) });
            }
        }
        found
    }
}

/// What `Signed-By` says: a key, files, or fingerprints of keys that apt trusts.
fn trust(value: &str, apt: &Path) -> Trust {
    if value.trim_start().starts_with("-----BEGIN") {
        return Trust::Key(value.trim_start().to_owned());
    }
    let (files, fingerprints): (Vec<&str>, Vec<&str>) =
        value.split_whitespace().partition(|word| word.starts_with('/'));
    let files: Vec<PathBuf> = files.into_iter().map(PathBuf::from).collect();
    match (files.is_empty(), fingerprints.is_empty()) {
        (_, true) => Trust::Files(files),
        (true, false) => Trust::Only(host_keys(apt), fingerprints.into_iter().map(str::to_owned).collect()),
        (false, false) => Trust::Only(files, fingerprints.into_iter().map(str::to_owned).collect()),
    }
}

#[cfg(test)]
mod tests;
