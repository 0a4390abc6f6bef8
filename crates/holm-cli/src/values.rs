//! Values of options: bytes as typed become what they mean, or a cause in words.

use holm::model::id::IdMap;
use holm::model::limit;
use holm::model::namespace::Namespace;
use holm::model::text::cause;
use holm::spec::identity::User;
use holm::spec::namespaces::{KEPT, Target, TimeOffsets};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A value, or why it is none.
pub(crate) type Parsed<T> = Result<T, String>;

/// Where a value stands, as typed: `--bind /opt`, `web.toml: bind /opt`.
pub(crate) fn origin(place: &str, option: &str, value: &OsStr) -> String {
    let shown = if value.is_empty() { "''".into() } else { value.to_string_lossy() };
    format!("{place}{option} {shown}")
}

/// Reads text by `parse`.
pub(crate) fn text<T>(parse: impl FnOnce(&str) -> Parsed<T>) -> impl FnOnce(&OsStr) -> Parsed<T> {
    |value| value.to_str().ok_or_else(|| "it is no UTF-8".to_owned()).and_then(parse)
}

/// The parts of `value` between `separator`s; a backslash takes the meaning from the next one.
pub(crate) fn split(value: &OsStr, separator: u8) -> Vec<OsString> {
    let mut parts = vec![Vec::new()];
    let mut bytes = value.as_bytes().iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let next_is_special = bytes.peek().is_some_and(|&next| next == separator);
        let last = parts.last_mut().expect("there is always one");
        match byte {
            b'\\' if next_is_special => last.extend(bytes.next()),
            byte if byte == separator => parts.push(Vec::new()),
            byte => last.push(byte),
        }
    }
    parts.into_iter().map(OsString::from_vec).collect()
}

/// `KEY=REST` as key and rest; without a '=' there is no key.
pub(crate) fn key(value: &OsStr) -> (Option<&str>, &OsStr) {
    let bytes = value.as_bytes();
    match bytes.iter().position(|&b| b == b'=') {
        Some(at) => (std::str::from_utf8(&bytes[..at]).ok(), OsStr::from_bytes(&bytes[at + 1..])),
        None => (None, value),
    }
}

/// A number that is not negative.
pub(crate) fn number(text: &OsStr) -> Parsed<i32> {
    let parsed = text.to_str().and_then(|t| t.parse::<i32>().ok()).filter(|&n| n >= 0);
    parsed.ok_or_else(|| format!("{:?} is no number", text.display()))
}

/// Permission bits in octal.
pub(crate) fn mode(text: &OsStr) -> Parsed<u32> {
    let bits = text.to_str().and_then(|t| u32::from_str_radix(t, 8).ok()).filter(|&bits| bits <= 0o7777);
    bits.ok_or_else(|| format!("{:?} is no mode: it needs octal digits, such as 755", text.display()))
}

/// A size in bytes above 0, with an optional K, M, G or T (powers of 1024).
pub(crate) fn size(text: &str) -> Parsed<u64> {
    let none = || format!("{text:?} is no size: it needs a number above 0 and perhaps K, M, G or T");
    limit::bytes(text).ok().filter(|&n| n > 0).ok_or_else(none)
}

/// Where a source without a place of its own is inside: at the same absolute path.
pub(crate) fn same_inside(source: &OsStr) -> Parsed<PathBuf> {
    if source.is_empty() {
        return Err("it is empty".to_owned());
    }
    let absolute =
        std::path::absolute(source).map_err(|e| format!("cannot find {}: {}", source.display(), cause(&e)))?;
    let climbs = absolute.components().any(|c| c == std::path::Component::ParentDir);
    if climbs {
        std::fs::canonicalize(&absolute).map_err(|e| format!("cannot find {}: {}", source.display(), cause(&e)))
    } else {
        Ok(absolute)
    }
}

/// A name for a sandbox: one that can't be taken for a pid, a namespace or a path.
pub(crate) fn sandbox_name(text: &str) -> Parsed<OsString> {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let is_name = begins && text.len() <= 64 && text.bytes().all(of_name);
    is_name.then(|| text.into()).ok_or_else(|| {
        format!("{text:?} is no name: it needs a letter, then letters, digits, '-', '_' and '.', 64 at most")
    })
}

/// A list of kinds: `net,ipc`.
pub(crate) fn namespaces(text: &str) -> Parsed<Vec<Namespace>> {
    text.split(',')
        .map(|name| name.parse().map_err(|e: holm::model::namespace::UnknownNamespace| e.to_string()))
        .collect()
}

/// `KIND=WHERE`.
pub(crate) fn namespace_and(value: &OsStr) -> Parsed<(Namespace, &OsStr)> {
    match key(value) {
        (Some(kind), rest) if !rest.is_empty() => {
            Ok((kind.parse().map_err(|e: holm::model::namespace::UnknownNamespace| e.to_string())?, rest))
        }
        _ => Err("it needs the form KIND=WHERE, such as net=/run/netns/blue".to_owned()),
    }
}

/// Where the namespaces that were kept under a name are.
pub(crate) fn kept(kind: Namespace, name: &OsStr) -> PathBuf {
    Path::new(KEPT).join(kind.name()).join(name)
}

/// A namespace to join: a path, a pid, `fd:N`, or a name under which one was kept by holm or by ip-netns(8).
pub(crate) fn target(kind: Namespace, place: &OsStr) -> Parsed<Target> {
    if place.as_bytes().contains(&b'/') {
        return Ok(Target::Path(place.into()));
    }
    if let Some(number) = place.to_str().and_then(|t| t.strip_prefix("fd:")) {
        return self::number(number.as_ref()).map(Target::Descriptor);
    }
    if let Some(pid) = place.to_str().and_then(|t| t.parse::<i32>().ok()) {
        return if pid > 0 { Ok(Target::Process(pid)) } else { Err(format!("{pid} is no pid")) };
    }
    let kept = kept(kind, place);
    let named = Path::new("/run/netns").join(place);
    Ok(Target::Path(if kind == Namespace::Net && !kept.exists() && named.exists() { named } else { kept }))
}

/// `boot=DURATION,mono=DURATION`, each with a sign if it goes back.
pub(crate) fn time_offsets(text: &str) -> Parsed<TimeOffsets> {
    let mut offsets = TimeOffsets::default();
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("boot", value)) => offsets.boot = limit::nanoseconds(value)?,
            Some(("mono", value)) => offsets.monotonic = limit::nanoseconds(value)?,
            _ => return Err(format!("unknown part {part:?}: there are boot=DURATION and mono=DURATION")),
        }
    }
    Ok(offsets)
}

/// `root`, or `UID:GID`, or `UID` for both.
pub(crate) fn user(text: &str) -> Parsed<User> {
    if text == "root" {
        return Ok(User::Ids { uid: 0, gid: 0 });
    }
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    match (id(uid), id(gid)) {
        (Some(uid), Some(gid)) => Ok(User::Ids { uid, gid }),
        _ => Err(format!("{text:?} is no user: it needs root, UID or UID:GID")),
    }
}

fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&id| id != u32::MAX)
}

/// Which ids a map is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Users,
    Groups,
    Both,
}

/// `[u:|g:]INSIDE:OUTSIDE:COUNT`.
pub(crate) fn map(text: &str) -> Parsed<(Of, IdMap)> {
    let (of, numbers) = match text.split_once(':') {
        Some(("u", rest)) => (Of::Users, rest),
        Some(("g", rest)) => (Of::Groups, rest),
        _ => (Of::Both, text),
    };
    let numbers: Option<Vec<u32>> = numbers.split(':').map(|n| n.parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[inside, outside, count]) => Ok((of, IdMap { inside, outside, count })),
        _ => {
            Err(format!("{text:?} is no map: it needs auto, or INSIDE:OUTSIDE:COUNT, perhaps with u: or g: before it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_keeps_a_colon_in_a_path() {
        assert_eq!(split(OsStr::new(r"a\:b:c"), b':'), ["a:b", "c"]);
        assert_eq!(split(OsStr::new(r"a\b"), b':'), [r"a\b"]);
        assert_eq!(split(OsStr::new(":"), b':'), ["", ""]);
    }

    #[test]
    fn sizes_know_their_units_and_their_end() {
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("1"), Ok(1));
        assert!(size("0").is_err() && size("M").is_err() && size("99999999999T").is_err() && size("-1").is_err());
    }

    #[test]
    fn durations_may_go_back() {
        assert_eq!(
            time_offsets("boot=-1h,mono=250ms"),
            Ok(TimeOffsets { boot: -3_600_000_000_000, monotonic: 250_000_000 })
        );
        assert!(
            time_offsets("boot=1y").is_err()
                && time_offsets("x=1").is_err()
                && time_offsets("boot=99999999999d").is_err()
        );
    }

    #[test]
    fn users_are_root_or_numbers() {
        assert_eq!(user("root"), Ok(User::Ids { uid: 0, gid: 0 }));
        assert_eq!(user("5:6"), Ok(User::Ids { uid: 5, gid: 6 }));
        assert!(user("alice").is_err() && user("4294967295").is_err() && user("1:2:3").is_err());
    }

    #[test]
    fn maps_may_name_users_or_groups() {
        assert!(matches!(map("u:0:1000:1"), Ok((Of::Users, IdMap { inside: 0, outside: 1000, count: 1 }))));
        assert!(map("0:1").is_err() && map("0:1:x").is_err());
    }
}
