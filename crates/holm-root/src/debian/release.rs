//! What an archive says of one suite: which index files there are, with sizes and hashes, and how long that holds.
//!
//! The text was signed ([`super::keyring`]). That alone doesn't tell that it is of the suite that was asked for, nor that
//! it is of today: a mirror can show an old one, to keep fixes from us.
//!
//! Source: the page DebianRepository/Format of Debian's wiki; apt-secure(8).

use std::collections::HashMap;
use std::time::SystemTime;

use super::keyring::SLACK;
use crate::deb822::{self, Field, Paragraph};
use crate::store::listing::parse_hash;

/// A file below the suite's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) size: u64,
    pub(super) sha256: [u8; 32],
}

/// The file `Release`, read.
#[derive(Debug)]
pub(super) struct Release<'t> {
    names: Vec<&'t str>,
    /// Whose archive it is.
    pub(super) origin: Option<&'t str>,
    pub(super) date: SystemTime,
    valid_until: Option<SystemTime>,
    /// Files can be had by their hash, so that they fit while the archive changes.
    pub(super) by_hash: bool,
    /// Packages of no architecture stand in an index of their own alone.
    pub(super) all_apart: bool,
    files: HashMap<&'t str, Listed>,
}

/// At what time a release must be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Now(SystemTime),
    /// A snapshot of this time.
    Then(SystemTime),
    /// Now, but its end isn't asked for.
    Endless(SystemTime),
}

impl<'t> Release<'t> {
    /// Reads the text, which was signed.
    pub(super) fn parse(text: &'t str) -> Result<Release<'t>, String> {
        let mut all = deb822::paragraphs(text);
        let paragraph = all.next().ok_or("it is empty")?.map_err(|error| error.to_string())?;
        if all.next().is_some() {
            return Err("it has more than one paragraph".to_owned());
        }
        let time = |name: &str| match paragraph.value(name) {
            Some(value) => parse_date(value).map(Some).ok_or(format!("its {name} is no date: {value}")),
            None => Ok(None),
        };
        let words = |name: &str| paragraph.value(name).unwrap_or("").split_ascii_whitespace();
        let all_apart = words("Architectures").any(|word| word == "all")
            && !words("No-Support-for-Architecture-all").any(|word| word == "Packages");
        Ok(Release {
            names: [paragraph.value("Suite"), paragraph.value("Codename")].into_iter().flatten().collect(),
            origin: paragraph.value("Origin"),
            date: time("Date")?.ok_or("it has no Date")?,
            valid_until: time("Valid-Until")?,
            by_hash: paragraph.value("Acquire-By-Hash").is_some_and(|value| value.eq_ignore_ascii_case("yes")),
            all_apart,
            files: files(&paragraph)?,
        })
    }

    /// Whether it is of this suite and of this time.
    pub(super) fn check(&self, suite: &str, moment: Moment) -> Result<(), String> {
        // Old security archives have a suite `buster/updates`, which calls itself `buster`.
        let names = [suite, suite.strip_suffix("/updates").unwrap_or(suite)];
        if !self.names.iter().any(|name| names.contains(name)) {
            let own = match self.names.as_slice() {
                [] => "nothing".to_owned(),
                names => names.join(", "),
            };
            return Err(format!("it is of {own}, not of {suite}"));
        }
        let shown = |time| humantime::format_rfc3339_seconds(time).to_string();
        let (latest, of) = match moment {
            Moment::Now(now) | Moment::Endless(now) => (now + SLACK, "the future; is this machine's clock right?"),
            Moment::Then(then) => (then, "after the snapshot"),
        };
        if self.date > latest {
            return Err(format!("its date, {}, is {of}", shown(self.date)));
        }
        match (moment, self.valid_until) {
            (Moment::Now(now), Some(end)) if end < now => Err(format!("it was valid until {}", shown(end))),
            _ => Ok(()),
        }
    }

    /// A file by its path below the suite's directory.
    pub(super) fn file(&self, path: &str) -> Option<Listed> {
        self.files.get(path).copied()
    }

    /// The components that have an index for this architecture.
    pub(super) fn components(&self, architecture: &str) -> Vec<&'t str> {
        let end = format!("/binary-{architecture}/Packages");
        let mut names: Vec<&str> = self
            .files
            .keys()
            .filter_map(|path| path.rsplit_once('.').map_or(*path, |(path, _)| path).strip_suffix(&end))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn files<'t>(paragraph: &Paragraph<'t>) -> Result<HashMap<&'t str, Listed>, String> {
    let field = paragraph.field("SHA256").ok_or("it has no SHA-256 of its files")?;
    field.lines().filter(|line| !line.is_empty()).map(|line| one(line).ok_or(format!("no file is {line:?}"))).collect()
}

fn one(line: &str) -> Option<(&str, Listed)> {
    let mut words = line.split_ascii_whitespace();
    let (hash, size, path) = (words.next()?, words.next()?, words.next()?);
    let listed = Listed { size: size.parse().ok()?, sha256: parse_hash(hash)? };
    (words.next().is_none()).then_some((path, listed))
}

/// A date of RFC 5322 in universal time: `Sat, 11 Jul 2026 10:16:37 UTC`.
fn parse_date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [_, day, month, year, time, "UTC" | "GMT" | "Z" | "+0000"] = words[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    // One digit is what some archives write.
    let time = if time.find(':') == Some(1) { format!("0{time}") } else { time.to_owned() };
    humantime::parse_rfc3339(&format!("{year}-{month:02}-{day:0>2}T{time}Z")).ok()
}

/// The lines of a field as one text.
pub(super) fn whole(field: &Field<'_>) -> String {
    field.lines().map(|line| if line == "." { "" } else { line }).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const TEXT: &str = "Suite: stable\r\nCodename: trixie\r\nDate: Sat, 11 Jul 2026  1:16:37 UTC\r\nValid-Until: Sat, 18 Jul 2026 01:16:37 UTC\r\nAcquire-By-Hash: yes\r\nArchitectures: all amd64\r\nSHA256:\r\n e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855        0 main/binary-amd64/Packages.xz\r\n";

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).expect("it is a time")
    }

    #[test]
    fn a_release_is_read() {
        let release = Release::parse(TEXT).expect("it is well formed");
        assert_eq!(release.date, at("2026-07-11T01:16:37Z"));
        assert!(release.by_hash && release.all_apart);
        assert_eq!(release.file("main/binary-amd64/Packages.xz").map(|file| file.size), Some(0));
        assert_eq!(release.components("amd64"), ["main"]);
        let text = TEXT.replace("SHA256:", "No-Support-for-Architecture-all: Packages\nSHA256:");
        assert!(!Release::parse(&text).expect("it is well formed").all_apart);
    }

    #[test]
    fn a_release_counts_for_its_suite_and_time_alone() {
        let release = Release::parse(TEXT).expect("it is well formed");
        let good = Moment::Now(at("2026-07-12T00:00:00Z"));
        for suite in ["stable", "trixie", "trixie/updates"] {
            assert_eq!(release.check(suite, good), Ok(()), "{suite}");
        }
        let refused = [
            ("bookworm", good, "it is of stable, trixie, not of bookworm"),
            ("trixie", Moment::Now(at("2026-07-19T00:00:00Z")), "it was valid until 2026-07-18T01:16:37Z"),
            ("trixie", Moment::Now(at("2026-07-09T00:00:00Z")), "is the future"),
            ("trixie", Moment::Then(at("2026-07-11T00:00:00Z")), "is after the snapshot"),
        ];
        for (suite, moment, cause) in refused {
            let error = release.check(suite, moment).expect_err(cause);
            assert!(error.contains(cause), "{error}");
        }
        let later = at("2026-07-19T00:00:00Z");
        assert_eq!(release.check("trixie", Moment::Then(later)), Ok(()));
        assert_eq!(release.check("trixie", Moment::Endless(later)), Ok(()));
    }

    #[test]
    fn what_is_no_release_is_refused() {
        let changes = [
            ("Date: Sat", "X: Sat", "it has no Date"),
            ("UTC\r\nV", "CEST\r\nV", "its Date is no date"),
            ("SHA256:", "SHA1:", "it has no SHA-256"),
            ("  0 main", "  -1 main", "no file is"),
            ("e3b0", "e3g0", "no file is"),
            ("Codename", "Suite", "already"),
            ("Codename: trixie", "\n\nCodename: trixie", "more than one paragraph"),
        ];
        for (from, to, cause) in changes {
            let text = TEXT.replacen(from, to, 1);
            let error = Release::parse(&text).map(|_| ()).expect_err(cause);
            assert!(error.contains(cause), "{error}");
        }
        assert!(Release::parse("").is_err());
        assert!(
            at("2026-07-11T01:16:37Z") + Duration::ZERO == parse_date("Sat, 11 Jul 2026 01:16:37 +0000").expect("good")
        );
        assert_eq!(parse_date("Sat, 31 Feb 2026 01:16:37 UTC"), None);
    }
}
