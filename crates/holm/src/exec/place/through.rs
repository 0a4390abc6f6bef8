//! Making what a symbolic link leads to, where that isn't there yet: an image's /etc/resolv.conf often leads nowhere until
//! something is mounted there. Nothing here allocates.
//!
//! The path is walked part by part. What is behind is a path without links, and each look at it is one of `Inside`: should
//! somebody else turn a part of it into a link meanwhile, that still leads nowhere but inside.

use super::{Inside, Make, create};
use rustix::fs::{FileType, Mode, OFlags, fstat, mkdirat, readlinkat_raw};
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

/// Links in a path (path_resolution(7)).
const LINKS: usize = 40;
/// Bytes of a path, with its NUL (`PATH_MAX`).
const LENGTH: usize = 4096;

impl Inside<'_> {
    /// Opens what is at `path`, with every link followed inside; what is missing on the way is made, and at last as `make` says.
    pub(super) fn make_through(&self, path: &CStr, make: Make) -> Result<OwnedFd> {
        let (mut behind, mut ahead) = (Text::new(), Text::new());
        ahead.put_before(path.to_bytes())?;
        let mut links = 0;
        while let Some((start, end)) = ahead.first() {
            let (name, is_last) = (&ahead.bytes[start..end], end == ahead.end);
            match name {
                b"." => {}
                b".." => behind.pop(),
                name => {
                    let length = behind.push(name)?;
                    let found = match self.look(behind.path()?, OFlags::NOFOLLOW) {
                        Err(Errno::NOENT) => {
                            self.make_at(&behind, (length, name), if is_last { make } else { Make::Directory })?
                        }
                        found => found?,
                    };
                    if FileType::from_raw_mode(fstat(&found)?.st_mode).is_symlink() {
                        links += 1;
                        if links > LINKS {
                            return Err(Errno::LOOP);
                        }
                        let mut target = [MaybeUninit::uninit(); LENGTH];
                        let (target, _) = readlinkat_raw(&found, c"", &mut target)?;
                        behind.cut(length);
                        if target.first() == Some(&b'/') {
                            behind.cut(0);
                        }
                        ahead.start = end;
                        ahead.put_before(target)?;
                        continue;
                    }
                }
            }
            ahead.start = end;
        }
        self.look(behind.path()?, OFlags::NOFOLLOW)
    }

    /// Makes the last part of `path`, `name` behind its first `above` bytes, in a directory of ours. It may be there by then: another
    /// sandbox with this root makes the same.
    fn make_at(&self, path: &Text, (above, name): (usize, &[u8]), make: Make) -> Result<OwnedFd> {
        let mut directory = Text::new();
        directory.push(&path.bytes[..above])?;
        let parent = self.look(directory.path()?, OFlags::DIRECTORY)?;
        self.own(parent.as_fd())?;
        let mut last = Text::new();
        last.push(name)?;
        let made = match make {
            Make::Nothing => Err(Errno::NOENT),
            Make::Directory => mkdirat(&parent, last.path()?, Mode::from_raw_mode(0o755)),
            Make::File => create(parent.as_fd(), last.path()?, 0o444).map(drop),
        };
        match made {
            Ok(()) | Err(Errno::EXIST) => self.look(path.path()?, OFlags::NOFOLLOW),
            Err(errno) => Err(errno),
        }
    }
}

/// A part of a path, in a place of its own.
struct Text {
    bytes: [u8; LENGTH],
    start: usize,
    end: usize,
}

impl Text {
    /// Nothing.
    fn new() -> Text {
        Text { bytes: [0; LENGTH], start: 0, end: 0 }
    }

    /// Where the first part begins and ends.
    fn first(&self) -> Option<(usize, usize)> {
        let start = (self.start..self.end).find(|&at| self.bytes[at] != b'/')?;
        let end = (start..self.end).find(|&at| self.bytes[at] == b'/').unwrap_or(self.end);
        Some((start, end))
    }

    /// Puts a path before what is there.
    fn put_before(&mut self, path: &[u8]) -> Result<()> {
        let rest = self.end - self.start;
        let whole = path.len() + usize::from(rest > 0) + rest;
        if whole >= LENGTH {
            return Err(Errno::NAMETOOLONG);
        }
        self.bytes.copy_within(self.start..self.end, whole - rest);
        self.bytes[..path.len()].copy_from_slice(path);
        if rest > 0 {
            self.bytes[path.len()] = b'/';
        }
        (self.start, self.end) = (0, whole);
        // Slashes behind the last part say nothing.
        self.end -= trailing(&self.bytes[..self.end]);
        Ok(())
    }

    /// Adds a part; how long it was before.
    fn push(&mut self, name: &[u8]) -> Result<usize> {
        let before = self.end;
        let slash = usize::from(before > 0);
        if before + slash + name.len() >= LENGTH {
            return Err(Errno::NAMETOOLONG);
        }
        if slash == 1 {
            self.bytes[before] = b'/';
        }
        self.bytes[before + slash..before + slash + name.len()].copy_from_slice(name);
        self.cut(before + slash + name.len());
        Ok(before)
    }

    /// Takes the last part off.
    fn pop(&mut self) {
        let slash = self.bytes[..self.end].iter().rposition(|&byte| byte == b'/');
        self.cut(slash.unwrap_or(0));
    }

    /// Leaves so many bytes.
    fn cut(&mut self, end: usize) {
        self.end = end;
        self.bytes[end] = 0;
    }

    /// As a path from the root on.
    fn path(&self) -> Result<&CStr> {
        if self.end == 0 {
            return Ok(c".");
        }
        CStr::from_bytes_until_nul(&self.bytes).map_err(|_| Errno::INVAL)
    }
}

/// How many slashes it ends with.
fn trailing(bytes: &[u8]) -> usize {
    bytes.iter().rev().take_while(|byte| **byte == b'/').count()
}

#[cfg(test)]
mod tests {
    use super::super::Own;
    use super::*;
    use std::os::unix::fs::symlink;
    use testkit::Scratch;

    #[test]
    fn what_a_link_leads_to_is_made_inside_and_on_ones_own_mounts_alone() {
        let scratch = Scratch::new("through");
        let root = scratch.join("root");
        for directory in ["etc", "a/b"] {
            std::fs::create_dir_all(root.join(directory)).expect("scratch is ours");
        }
        for (target, name) in [
            ("/run/resolve/stub", "etc/absolute"),
            ("../../../../run/up", "etc/climbing"),
            ("chain//", "etc/start"),
            ("/a/./b/../end", "etc/chain"),
            ("loop", "etc/loop"),
            ("/var/lib", "far"),
        ] {
            symlink(target, root.join(name)).expect("scratch is ours");
        }
        let open = rustix::fs::open(&root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).expect("it was made");
        let own = Own::new(1);
        let inside = Inside { root: open.as_fd(), made: &own };
        assert_eq!(inside.make_through(c"etc/absolute", Make::File).err(), Some(Errno::ROFS), "a disk of the host");
        own.add(open.as_fd()).expect("there is room");
        for (path, made, make) in [
            (c"etc/absolute", "run/resolve/stub", Make::File),
            (c"etc/climbing", "run/up", Make::Directory),
            (c"etc/start", "a/end", Make::File),
            (c"far/x/y", "var/lib/x/y", Make::Directory),
            (c"plain/new", "plain/new", Make::File),
        ] {
            let found = inside.make_through(path, make).unwrap_or_else(|errno| panic!("{path:?}: {errno}"));
            let there = rustix::fs::lstat(root.join(made)).unwrap_or_else(|errno| panic!("{made}: {errno}"));
            assert_eq!(fstat(&found).expect("it is open").st_ino, there.st_ino, "{path:?}");
            assert_eq!(FileType::from_raw_mode(there.st_mode).is_dir(), matches!(make, Make::Directory), "{path:?}");
        }
        assert_eq!(inside.make_through(c"etc/loop", Make::File).err(), Some(Errno::LOOP));
        assert_eq!(inside.make_through(c"gone", Make::Nothing).err(), Some(Errno::NOENT));
        assert!(!scratch.join("run").exists(), "outside");
    }
}
