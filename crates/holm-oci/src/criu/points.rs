//! Mount points that a container's root lacks, where it is another one than before: criu makes none.

use crate::{Error, Result, shown};
use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What a mount point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
}

/// Makes `points` in a root, each with the directories above it; what is there stays. No link is followed: where they were there
/// was none.
///
/// # Errors
/// Something else is in the way.
pub(crate) fn make<'a>(root: &Path, points: impl Iterator<Item = (&'a Path, Kind)>) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(root, flags, Mode::empty());
    let top = top.map_err(|errno| Error::io(format!("use {}", shown(root)), errno))?;
    for (point, kind) in points {
        let failed = |errno| Error::io(format!("make mount point {} in {}", shown(point), shown(root)), errno);
        one(top.as_fd(), point, kind).map_err(failed)?;
    }
    Ok(())
}

fn one(top: BorrowedFd<'_>, point: &Path, kind: Kind) -> rustix::io::Result<()> {
    let names: Vec<_> = point.iter().filter(|name| *name != "/").collect();
    let Some((last, above)) = names.split_last() else { return Ok(()) };
    let mut at = top.try_clone_to_owned().map_err(|_| Errno::MFILE)?;
    for name in above {
        at = below(at.as_fd(), Path::new(name))?;
    }
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match openat2(&at, Path::new(last), OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), within) {
        // A file of the root may have itself mounted on it: the kernel knows what fits.
        Ok(_) => return Ok(()),
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    match kind {
        Kind::Directory => below(at.as_fd(), Path::new(last)).map(drop),
        Kind::File => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            openat(&at, *last, flags, Mode::from_raw_mode(0o644)).map(drop)
        }
    }
}

/// The directory of this name, made if there is none.
fn below(at: BorrowedFd<'_>, name: &Path) -> rustix::io::Result<OwnedFd> {
    match mkdirat(at, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    openat2(at, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), within)
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Scratch;

    #[test]
    fn mount_points_are_made_below_the_root_and_nowhere_else() {
        let scratch = Scratch::new("points");
        let root = scratch.join("root");
        std::fs::create_dir_all(root.join("a")).expect("scratch is ours");
        std::fs::create_dir_all(scratch.join("out")).expect("scratch is ours");
        std::fs::write(root.join("file"), "kept").expect("scratch is ours");
        std::os::unix::fs::symlink(scratch.join("out"), root.join("link")).expect("scratch is ours");
        let all =
            [("/a/b/c", Kind::Directory), ("/d/e", Kind::File), ("/file", Kind::File), ("/file", Kind::Directory)];
        make(&root, all.iter().map(|(point, kind)| (Path::new(*point), *kind))).expect("they are made");
        assert!(root.join("a/b/c").is_dir() && root.join("d/e").is_file());
        assert_eq!(std::fs::read_to_string(root.join("file")).expect("it is there"), "kept");
        for wrong in ["/link/x", "/../y", "/link", "/file/z"] {
            for kind in [Kind::Directory, Kind::File] {
                assert!(make(&root, [(Path::new(wrong), kind)].into_iter()).is_err(), "{wrong}");
            }
        }
        assert_eq!(std::fs::read_dir(scratch.join("out")).expect("it is there").count(), 0);
        assert!(!scratch.join("y").exists());
    }
}
