//! Namespaces held by bind mounts, in every mount namespace.
//!
//! By listmount(2) where the kernel has it and lets the caller: then a mount namespace needs no process. Elsewhere by the
//! mountinfo of the process that is in it.

use super::detail::RootMount;
use super::found::Finds;
use super::machine::{Holder, Place};
use super::process::DIRECTORY;
use super::read::Proc;
use crate::model::namespace::Namespace;
use crate::model::text::unescape;
use crate::sys::mount_list::{self, Facts};
use crate::sys::namespace::{Direction, beside};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::{Errno, Result};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// The magic number of nsfs (linux/magic.h).
const NSFS: u64 = 0x6e73_6673;

/// A bind mount of a namespace: its text, `net:[4026532000]`, and where it is.
pub(super) struct Bound {
    kind: Namespace,
    inode: u64,
    path: PathBuf,
}

/// Lists the mounts of all mount namespaces that are new, `process` being in /proc the directory of one who was in them.
pub(super) fn list_new(proc: &Proc, process: Option<BorrowedFd<'_>>, finds: &mut Finds) {
    while let Some((place, number)) = finds.to_list.pop() {
        let listed = number.ok_or(Errno::NOSYS).and_then(list);
        // Only of who is in it now.
        let from_process =
            || process.filter(|process| is_in(*process, place, finds)).ok_or(Errno::NOENT).and_then(parse);
        match listed.or_else(|_| from_process()) {
            Ok(bound) => bound.into_iter().for_each(|bound| note(proc, process, place, bound, finds)),
            Err(_) => finds.machine.unread.mounts += 1,
        }
    }
}

fn note(proc: &Proc, process: Option<BorrowedFd<'_>>, inside: Place, bound: Bound, finds: &mut Finds) {
    let Bound { kind, inode, path } = bound;
    let known = finds.by_inode(inode).or_else(|| {
        let file = process.ok_or(Errno::NOENT).and_then(|process| open(proc, process, &path)).ok()?;
        finds.take(file.as_fd(), None).ok().filter(|&place| finds.machine.namespaces[place].inode == inode)
    });
    let place = known.unwrap_or_else(|| finds.take_unopened(kind, inode));
    let inside = finds.machine.namespaces[inside].inode;
    finds.hold(place, Holder::Mount { path, inside });
}

/// Opens a namespace where a process sees it. The way there belongs to that process's owner: nothing is waited for, no link
/// is followed, and what isn't a namespace isn't opened.
fn open(proc: &Proc, process: BorrowedFd<'_>, path: &std::path::Path) -> Result<OwnedFd> {
    let root = openat(process, c"root", DIRECTORY, Mode::empty())?;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::CACHED;
    proc.reopen(openat2(root, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), how)?)
}

fn list(namespace: u64) -> Result<Vec<Bound>> {
    let (mut found, mut facts) = (Vec::new(), Facts::new());
    let (mut mounts, mut last) = ([0; 256], 0);
    loop {
        let count = mount_list::list(namespace, last, &mut mounts)?;
        for &mount in &mounts[..count] {
            // One that fails was unmounted meanwhile.
            if facts.magic(namespace, mount) != Ok(NSFS) {
                continue;
            }
            let (text, path) = match facts.paths(namespace, mount) {
                Ok(paths) => paths,
                // The mountinfo of a process may tell paths of this length; without it, the list is counted as unread.
                Err(Errno::OVERFLOW) => return Err(Errno::OVERFLOW),
                Err(_) => continue,
            };
            if let Some((kind, inode)) = Namespace::of_link(text.strip_prefix(b"/").unwrap_or(text)) {
                found.push(Bound { kind, inode, path: PathBuf::from(OsStr::from_bytes(path)) });
            }
        }
        match mounts[..count].last() {
            Some(&one) if count == mounts.len() => last = one,
            _ => return Ok(found),
        }
    }
}

/// Whether a process is in a mount namespace.
fn is_in(process: BorrowedFd<'_>, place: Place, finds: &Finds) -> bool {
    let link = rustix::fs::readlinkat(process, c"ns/mnt", Vec::new());
    link.is_ok_and(|text| {
        Namespace::of_link(text.as_bytes()).is_some_and(|(_, inode)| finds.by_inode(inode) == Some(place))
    })
}

fn parse(process: BorrowedFd<'_>) -> Result<Vec<Bound>> {
    let file = openat(process, c"mountinfo", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut std::fs::File::from(file), &mut text).map_err(|_| Errno::IO)?;
    Ok(bound_in(&text))
}

/// The bind mounts of namespaces in the text of a mountinfo (proc_pid_mountinfo(5)).
pub(super) fn bound_in(text: &[u8]) -> Vec<Bound> {
    let of_line = |line: &[u8]| {
        let mut fields = line.split(|&byte| byte == b' ');
        let (root, point) = (fields.nth(3)?, fields.next()?);
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        let (kind, inode) = Namespace::of_link(root).filter(|_| kind == b"nsfs")?;
        Some(Bound { kind, inode, path: PathBuf::from(unescape(point)) })
    };
    text.split(|&byte| byte == b'\n').filter_map(of_line).collect()
}

/// The mount on `/` in the text of a mountinfo: the last one that is there covers the others.
pub(super) fn root(text: &[u8]) -> Option<RootMount> {
    let of_line = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
        let rest = &fields[fields.iter().position(|field| *field == b"-")? + 1..];
        let of_mount = |options: &[u8]| options.split(|&byte| byte == b',').any(|option| option == b"ro");
        let [system, source, options, ..] = rest else { return None };
        (fields.get(4) == Some(&&b"/"[..])).then(|| RootMount {
            system: OsString::from_vec(system.to_vec()),
            source: unescape(source),
            directory: PathBuf::from(unescape(fields[3])),
            read_only: of_mount(fields[5]) || of_mount(options),
        })
    };
    text.split(|&byte| byte == b'\n').filter_map(of_line).next_back()
}

/// The numbers of all mount namespaces but the caller's own.
pub(super) fn numbers(proc: &Proc) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    walk(proc, &mut |number, _| {
        numbers.push(number);
        Ok(())
    })?;
    Ok(numbers)
}

/// Finds the mount namespaces in which no process is: those of `numbers` that aren't known.
pub(super) fn without_process(proc: &Proc, numbers: Result<Vec<u64>>, finds: &mut Finds) {
    let walked = numbers.and_then(|numbers| {
        if numbers.iter().all(|&number| finds.by_id(number).is_some()) {
            return Ok(());
        }
        walk(proc, &mut |number, file| match finds.by_id(number) {
            Some(_) => Ok(()),
            None => finds.take(file, Some(Namespace::Mount)).map(drop),
        })
    });
    finds.machine.unread.without_process = walked.is_err();
    list_new(proc, None, finds);
}

/// Shows each mount namespace but the caller's own.
fn walk(proc: &Proc, see: &mut dyn FnMut(u64, BorrowedFd<'_>) -> Result<()>) -> Result<()> {
    let own = openat(proc, c"self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    for direction in [Direction::Next, Direction::Previous] {
        let mut at = own.try_clone().map_err(|_| Errno::MFILE)?;
        loop {
            match beside(at.as_fd(), direction) {
                Ok((number, file)) => {
                    see(number, file.as_fd())?;
                    at = file;
                }
                Err(Errno::NOENT) => break,
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_tells_bound_namespaces_and_nothing_else() {
        let text = b"36 35 98:0 / / rw - ext4 /dev/root rw\n\
            90 36 0:4 net:[4026532000] /run/netns/a\\040b rw shared:2 - nsfs nsfs rw\n\
            91 36 0:4 net:[4026532001] /run/fake rw - tmpfs nsfs rw\nhalf a line 1 2";
        let found: Vec<_> = bound_in(text).into_iter().map(|one| (one.kind, one.inode, one.path)).collect();
        assert_eq!(found, [(Namespace::Net, 4_026_532_000, PathBuf::from("/run/netns/a b"))]);
    }

    #[test]
    fn the_root_is_the_last_mount_on_it() {
        let text = b"20 1 0:2 / / rw - rootfs rootfs rw\n\
            21 20 98:0 /srv/a\\040b / ro,nosuid shared:1 master:2 - ext4 /dev/root rw\n\
            22 21 0:4 / /proc rw - proc proc rw\n23 21 0:5 / / rw - tmpfs";
        let found = root(text).expect("there is one");
        assert_eq!((found.system.as_bytes(), found.source.as_bytes()), (&b"ext4"[..], &b"/dev/root"[..]));
        assert_eq!((found.directory, found.read_only), (PathBuf::from("/srv/a b"), true));
        assert_eq!(root(b"- - -\n / / / / / / /\n1 2 3 4 / -"), None);
    }
}
