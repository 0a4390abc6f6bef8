//! The mounts of a container as criu is to see them: which of them come from outside, and whether they are there again with all
//! their restrictions.

use crate::state::Attached;
use crate::{Error, Result, shown};
use holm::model::text::unescape;
use holm::run::inside;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxAttributes, StatxFlags, fstat, openat2, stat, statx};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What a mount may be restricted by (mount(8)).
const RESTRICTIONS: [&str; 5] = ["ro", "nosuid", "nodev", "noexec", "nosymfollow"];

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

/// What mounts are restricted by, by their places; on one place there may be several, the topmost last.
pub(crate) type Restrictions = BTreeMap<PathBuf, Vec<Vec<String>>>;

/// A line of /proc/PID/mountinfo (proc(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    id: u64,
    parent: u64,
    device: String,
    root: PathBuf,
    point: PathBuf,
    options: Vec<String>,
    kind: String,
}

impl Line {
    fn attached(&self, of: &Path, below: &Path) -> Attached {
        let (device, root) = (self.device.clone(), self.root.clone());
        Attached { of: of.to_owned(), below: below.to_owned(), id: self.id, device, root }
    }
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
    let [id, parent, device, root, point, options, ..] = fields[..] else { return None };
    Some(Line {
        id: id.parse().ok()?,
        parent: parent.parse().ok()?,
        device: device.to_owned(),
        root: plain(root)?,
        point: plain(point)?,
        options: options.split(',').map(str::to_owned).collect(),
        kind: file_system.split(' ').next()?.to_owned(),
    })
}

/// A path as it is, if it is text, as records and criu's options are.
fn plain(text: &str) -> Option<PathBuf> {
    Some(unescape(text.as_bytes()).into_string().ok()?.into())
}

/// What of the host's is mounted in a container in which nobody has run yet. `places` are where its configuration brings something
/// in, and what; `root` is its root as its first process, `pid`, has it.
///
/// # Errors
/// One can't be told from others.
pub(crate) fn attached(pid: i32, root: BorrowedFd<'_>, places: &[(PathBuf, PathBuf)]) -> Result<Vec<Attached>> {
    let lines = lines(pid)?;
    let find = |(of, source): &(PathBuf, PathBuf)| {
        let point = number(root, of, source).and_then(|id| lines.iter().find(|line| line.id == id));
        let cause = || Error::Failed(format!("its mount {} can't be told from others", shown(of)));
        point.map(|line| (line.point.clone(), of.clone())).ok_or_else(cause)
    };
    let places = places.iter().map(find).collect::<Result<Vec<_>>>()?;
    let is_below = |line: &Line| places.iter().any(|(point, _)| line.point != *point && line.point.starts_with(point));
    let here = match lines.iter().any(is_below) {
        true => self::lines("self")?.into_iter().map(|line| line.device).collect(),
        false => HashSet::new(),
    };
    Ok(belonging(&lines, &places, &here))
}

/// The number of the mount at `of` if it shows what `source` is.
fn number(root: BorrowedFd<'_>, of: &Path, source: &Path) -> Option<u64> {
    let file = inside::look(root, of, OFlags::empty()).ok()?;
    let (found, wished) = (fstat(&file).ok()?, stat(source).ok()?);
    let is_same = (found.st_dev, found.st_ino) == (wished.st_dev, wished.st_ino);
    let about = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    (is_same && about.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)).then_some(about.stx_mnt_id)
}

/// `places` are what the configuration brings in, by where it is; `here` are the file systems that are mounted outside.
fn belonging(lines: &[Line], places: &[(PathBuf, PathBuf)], here: &HashSet<String>) -> Vec<Attached> {
    let of = |line: &Line| {
        let above = places.iter().filter(|(point, _)| line.point.starts_with(point));
        let nearest = above.max_by_key(|(point, _)| point.components().count());
        // What is mounted below and isn't known outside was made for the container.
        let (point, of) = nearest.filter(|(point, _)| *point == line.point || here.contains(&line.device))?;
        Some(line.attached(of, line.point.strip_prefix(point).ok()?))
    };
    lines.iter().filter_map(of).collect()
}

/// The same of a container that was made again, before anybody goes on in it: `outer` is what was made from outside.
///
/// # Errors
/// One can't be told from others.
pub(crate) fn attached_again(pid: i32, outer: &[Outer]) -> Result<Vec<Attached>> {
    let lines = lines(pid)?;
    let of = |line: &Line| {
        let outer = outer.iter().find(|outer| outer.point == line.point)?;
        Some(line.attached(outer.of.as_deref()?, &outer.below))
    };
    let all: Vec<Attached> = lines.iter().filter_map(of).collect();
    told(&lines, &all).map(|_| all)
}

/// The mounts of a container that come from outside, where they are now.
///
/// # Errors
/// One isn't what it was any more, or can't be told from others.
pub(crate) fn outer(pid: i32, known: &[Attached]) -> Result<Vec<Outer>> {
    told(&lines(pid)?, known)
}

/// No path is looked up for that: whoever runs in the container has made them what they are. criu knows mounts by their places,
/// so all that are on one place have to be the same.
fn told(lines: &[Line], known: &[Attached]) -> Result<Vec<Outer>> {
    let of = |line: &Line| {
        let known = known.iter().find(|one| one.id == line.id);
        let hides = line.kind == "devtmpfs" && line.root == Path::new("/null");
        let is_same = known.is_none_or(|one| (&one.device, &one.root) == (&line.device, &line.root));
        let alone = |outer: &Outer| {
            let mut beside = lines.iter().filter(|other| other.point == outer.point);
            beside.all(|other| (&other.device, &other.root) == (&line.device, &line.root))
        };
        let outer = match known {
            Some(one) => Outer { point: line.point.clone(), of: Some(one.of.clone()), below: one.below.clone() },
            None if hides => Outer { point: line.point.clone(), of: None, below: PathBuf::new() },
            None => return None,
        };
        let cause = || Error::Failed(format!("its mount {} can't be told from others", shown(&line.point)));
        Some(if is_same && alone(&outer) { Ok(outer) } else { Err(cause()) })
    };
    lines.iter().filter_map(of).collect()
}

/// What is mounted below a `source` of the host's at `below`. Whoever can write there can put a link there, too.
///
/// # Errors
/// The kernel's; nothing is mounted there.
pub(crate) fn submount(source: &Path, below: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let top = rustix::fs::open(source, flags, Mode::empty())?;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = openat2(top, below, flags, Mode::empty(), within)?;
    let about = statx(&file, c"", AtFlags::EMPTY_PATH, StatxFlags::empty())?;
    if about.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) { Ok(file) } else { Err(Errno::INVAL) }
}

/// Whether what is at a path below `root` is what `wished` is open on.
pub(crate) fn is_there(root: BorrowedFd<'_>, path: &Path, wished: &OwnedFd) -> bool {
    let both = inside::look_without_links(root, path).and_then(fstat).and_then(|found| Ok((found, fstat(wished)?)));
    both.is_ok_and(|(found, wished)| (found.st_dev, found.st_ino) == (wished.st_dev, wished.st_ino))
}

/// What the mounts that a process sees are restricted by.
pub(crate) fn restrictions(pid: i32) -> Result<Restrictions> {
    Ok(restricted(&lines(pid)?))
}

fn restricted(lines: &[Line]) -> Restrictions {
    // How many mounts are below it on its place: the order in which they are listed tells nothing.
    let height = |line: &Line| {
        let below = |line: &&Line| lines.iter().find(|one| one.id == line.parent && one.point == line.point);
        std::iter::successors(Some(line), below).take(lines.len()).count()
    };
    let mut sorted: Vec<&Line> = lines.iter().collect();
    sorted.sort_by_cached_key(|line| height(line));
    let mut all = Restrictions::new();
    for line in sorted {
        let by = RESTRICTIONS.into_iter().filter(|word| line.options.iter().any(|option| option == word));
        all.entry(line.point.clone()).or_default().push(by.map(str::to_owned).collect());
    }
    all
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
    use std::os::fd::AsFd;

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
        assert_eq!(found.iter().map(|one| one.id).collect::<Vec<_>>(), [93, 94]);
        let one =
            |point, of: Option<&str>, below| Outer { point: place(point), of: of.map(place), below: place(below) };
        let wished =
            [one("/a b", Some("/link"), ""), one("/a b/sub", Some("/link"), "sub"), one("/proc/keys", None, "")];
        assert_eq!(told(&lines, &found).expect("each is told"), wished);
        // They are renamed, and one is gone.
        let mut now = lines.clone();
        now.retain(|line| line.id != 94);
        now[2].point = place("/c");
        let wished = [one("/c", Some("/link"), ""), one("/proc/keys", None, "")];
        assert_eq!(told(&now, &found).expect("each is told"), wished);
        // Another one has its number, or lies on it.
        let mut other = lines.clone();
        other[2].root = place("/");
        let mut over = lines.clone();
        over[4].point = place("/a b");
        for wrong in [other, over] {
            let error = told(&wrong, &found).expect_err("it can't be told").to_string();
            assert_eq!(error, "its mount /a b can't be told from others");
        }
    }

    #[test]
    fn what_is_mounted_below_is_found_without_links() {
        let scratch = testkit::Scratch::new("submount");
        std::fs::create_dir_all(scratch.join("a/sub")).expect("scratch is ours");
        std::os::unix::fs::symlink("/", scratch.join("a/proc")).expect("scratch is ours");
        let found = submount(Path::new("/"), Path::new("proc")).expect("it is mounted");
        let here = rustix::fs::open("/", OFlags::PATH, Mode::empty()).expect("it is there");
        assert!(is_there(here.as_fd(), Path::new("/proc"), &found));
        assert!(!is_there(here.as_fd(), Path::new("/"), &found));
        for (below, errno) in
            [("a/sub", Errno::INVAL), ("a/proc/proc", Errno::LOOP), ("../..", Errno::XDEV), ("x", Errno::NOENT)]
        {
            assert_eq!(submount(&scratch.join("."), Path::new(below)).err(), Some(errno), "{below}");
        }
    }

    #[test]
    fn mounts_on_one_place_keep_their_order() {
        let lower = "93 91 0:1 / /a ro - tmpfs tmpfs rw\n";
        let upper = "92 93 0:2 / /a nosuid,nosymfollow - tmpfs tmpfs rw\n";
        for text in [[lower, upper].concat(), [upper, lower].concat()] {
            assert_eq!(restricted(&read(&text))[Path::new("/a")], [vec!["ro"], vec!["nosuid", "nosymfollow"]]);
        }
        let swapped =
            read(&[lower.replace("ro", "nosuid,nosymfollow"), upper.replace("nosuid,nosymfollow", "ro")].concat());
        assert!(looser(&restricted(&read(&[lower, upper].concat())), &restricted(&swapped)).is_some());
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
