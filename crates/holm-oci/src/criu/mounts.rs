//! The mounts of a container as criu is to see them: which of them come from outside, and whether they are there again with all
//! their restrictions.

use crate::{Error, Result};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxFlags, openat2, statx};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// What a mount may be restricted by (mount(8)).
const RESTRICTIONS: [&str; 4] = ["ro", "nosuid", "nodev", "noexec"];

/// A mount that comes from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outer {
    /// Where it is inside.
    pub(crate) point: PathBuf,
    /// What of the configuration it belongs to; nothing for what hides a file.
    pub(crate) of: Option<PathBuf>,
    /// Where it is below that.
    pub(crate) below: PathBuf,
}

/// What mounts are restricted by, by their places; on one place there may be several.
pub(crate) type Restrictions = BTreeMap<PathBuf, Vec<Vec<String>>>;

/// A line of /proc/PID/mountinfo (proc(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    id: u64,
    device: String,
    root: PathBuf,
    point: PathBuf,
    options: Vec<String>,
    kind: String,
}

/// The mounts that a process sees.
fn lines(process: impl std::fmt::Display) -> Result<Vec<Line>> {
    let path = format!("/proc/{process}/mountinfo");
    let text = std::fs::read_to_string(&path).map_err(|error| Error::io(format!("read {path}"), error))?;
    Ok(text.lines().filter_map(line).collect())
}

fn line(text: &str) -> Option<Line> {
    let (mount, file_system) = text.split_once(" - ")?;
    let fields: Vec<&str> = mount.split(' ').collect();
    let [id, _, device, root, point, options, ..] = fields[..] else { return None };
    Some(Line {
        id: id.parse().ok()?,
        device: device.to_owned(),
        root: plain(root)?,
        point: plain(point)?,
        options: options.split(',').map(str::to_owned).collect(),
        kind: file_system.split(' ').next()?.to_owned(),
    })
}

/// A path as it is: spaces and the like are three octal digits there.
fn plain(text: &str) -> Option<PathBuf> {
    let mut parts = text.split('\\');
    let mut all = parts.next()?.as_bytes().to_vec();
    for part in parts {
        all.push(u8::from_str_radix(part.get(..3)?, 8).ok()?);
        all.extend(&part.as_bytes()[3..]);
    }
    Some(String::from_utf8(all).ok()?.into())
}

/// The mounts of a container that come from outside, `attached` being what its configuration brings in. `root` is its root as its
/// first process, `pid`, has it.
pub(crate) fn outer(pid: i32, root: BorrowedFd<'_>, attached: &[PathBuf]) -> Result<Vec<Outer>> {
    let lines = lines(pid)?;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    // What was unmounted meanwhile, or is hidden, is nowhere.
    let mount = |path: &Path| {
        let file = openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), within).ok()?;
        let id = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?.stx_mnt_id;
        lines.iter().find(|line| line.id == id).map(|line| line.point.clone())
    };
    let places: Vec<_> = attached.iter().filter_map(|of| Some((mount(of)?, of.clone()))).collect();
    let here: HashSet<String> = self::lines("self")?.into_iter().map(|line| line.device).collect();
    Ok(belonging(&lines, &places, &here))
}

/// `places` are what the configuration brings in, by where it is; `here` are the file systems that are mounted outside.
fn belonging(lines: &[Line], places: &[(PathBuf, PathBuf)], here: &HashSet<String>) -> Vec<Outer> {
    let of = |line: &Line| {
        let above = places.iter().filter(|(point, _)| line.point.starts_with(point));
        let nearest = above.max_by_key(|(point, _)| point.components().count());
        // What is mounted below and isn't known outside was made in the container.
        if let Some((point, of)) = nearest.filter(|(point, _)| *point == line.point || here.contains(&line.device)) {
            let below = line.point.strip_prefix(point).ok()?.to_owned();
            return Some(Outer { point: line.point.clone(), of: Some(of.clone()), below });
        }
        let hides = line.kind == "devtmpfs" && line.root == Path::new("/null");
        hides.then(|| Outer { point: line.point.clone(), of: None, below: PathBuf::new() })
    };
    lines.iter().filter_map(of).collect()
}

/// What the mounts that a process sees are restricted by.
pub(crate) fn restrictions(pid: i32) -> Result<Restrictions> {
    let mut all = Restrictions::new();
    for line in lines(pid)? {
        let by = RESTRICTIONS.into_iter().filter(|word| line.options.iter().any(|option| option == word));
        all.entry(line.point).or_default().push(by.map(str::to_owned).collect());
    }
    all.values_mut().for_each(|mounts| mounts.sort());
    Ok(all)
}

/// Where a mount is less restricted now than it was, or isn't there.
pub(crate) fn looser<'a>(before: &'a Restrictions, now: &Restrictions) -> Option<&'a Path> {
    let holds = |was: &[Vec<String>], is: &[Vec<String>]| {
        was.len() == is.len() && was.iter().zip(is).all(|(was, is)| was.iter().all(|word| is.contains(word)))
    };
    let loose = |(point, was): &(&PathBuf, &Vec<Vec<String>>)| !now.get(*point).is_some_and(|is| holds(was, is));
    before.iter().find(loose).map(|(point, _)| point.as_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Line> {
        text.lines().filter_map(line).collect()
    }

    #[test]
    fn mounts_of_the_host_are_told_from_those_of_the_container() {
        let lines = read(
            "91 66 254:0 /root / rw - ext4 /dev/vda rw\n92 91 0:41 / /proc rw - proc proc rw\n\
            93 91 254:0 /vol /a\\040b rw,nosuid shared:1 - ext4 /dev/vda rw\n94 93 0:30 / /a\\040b/sub rw - tmpfs tmpfs rw\n\
95 93 0:99 / /a\\040b/new rw - tmpfs tmpfs rw\n96 92 0:6 /null /proc/keys rw - devtmpfs dev rw\n",
        );
        let here = ["254:0", "0:30", "0:6"].map(str::to_owned).into();
        let place = |path: &str| PathBuf::from(path);
        let found = belonging(&lines, &[(place("/a b"), place("/link"))], &here);
        let one =
            |point, of: Option<&str>, below| Outer { point: place(point), of: of.map(place), below: place(below) };
        let wished =
            [one("/a b", Some("/link"), ""), one("/a b/sub", Some("/link"), "sub"), one("/proc/keys", None, "")];
        assert_eq!(found, wished);
    }

    #[test]
    fn a_mount_that_has_lost_a_restriction_is_seen() {
        let of = |all: &[(&str, &[&[&str]])]| {
            let words = |by: &&[&str]| by.iter().map(|one| (*one).to_owned()).collect::<Vec<String>>();
            all.iter()
                .map(|(point, by)| (PathBuf::from(point), by.iter().map(words).collect()))
                .collect::<Restrictions>()
        };
        let before = of(&[("/", &[&[]]), ("/vol", &[&["ro", "nosuid"]])]);
        let cases = [
            (of(&[("/", &[&["ro"]]), ("/vol", &[&["ro", "nosuid"]]), ("/x", &[&[]])]), None),
            (of(&[("/", &[&[]]), ("/vol", &[&["ro"]])]), Some(Path::new("/vol"))),
            (of(&[("/", &[&[]])]), Some(Path::new("/vol"))),
            (of(&[("/", &[&[]]), ("/vol", &[&["ro", "nosuid"], &["ro", "nosuid"]])]), Some(Path::new("/vol"))),
        ];
        for (now, wished) in cases {
            assert_eq!(looser(&before, &now), wished);
        }
        let own = restrictions(std::process::id() as i32).expect("it can be read");
        assert!(own.contains_key(Path::new("/")) && looser(&own, &own).is_none());
    }
}
