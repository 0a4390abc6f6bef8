//! Files of the caller that are read whole before anything starts: contents of new files, profiles and filters.
//!
//! Refused is what may have no end or keep holm waiting: more than the limit, a named FIFO, a terminal, a disk. A pipe is
//! read to its end, so that `<(…)` and `/dev/stdin` of a shell work.

use holm::model::text::cause;
use holm::spec::filesystem::CONTENT_MOST;
use rustix::fs::{FileType, Mode, OFlags, fstat, fstatfs, open};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// What is at `path`, or why it can't be had.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let words = |errno: rustix::io::Errno| cause(&errno.into());
    let open = |flags| open(path, flags | OFlags::CLOEXEC, Mode::empty()).map_err(words);
    // Opening a FIFO can end whoever waits to write to it, so it is looked at first.
    check(&open(OFlags::PATH)?)?;
    let file = open(OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    check(&file)?;
    rustix::fs::fcntl_setfl(&file, OFlags::empty()).map_err(words)?;
    let mut bytes = Vec::new();
    File::from(file).take(CONTENT_MOST as u64 + 1).read_to_end(&mut bytes).map_err(|error| cause(&error))?;
    if bytes.len() > CONTENT_MOST {
        return Err(format!("it holds more than {} MiB, the most that is copied", CONTENT_MOST >> 20));
    }
    Ok(bytes)
}

fn check(file: &OwnedFd) -> Result<(), String> {
    let words = |errno: rustix::io::Errno| cause(&errno.into());
    const PIPEFS_MAGIC: i64 = 0x5049_5045;
    let pipe = || fstatfs(file).is_ok_and(|facts| facts.f_type == PIPEFS_MAGIC);
    let refuse = match FileType::from_raw_mode(fstat(file).map_err(words)?.st_mode) {
        FileType::Directory => "is a directory",
        FileType::Fifo if !pipe() => "it is a FIFO, whose end may never come",
        FileType::BlockDevice => "it is a block device",
        FileType::CharacterDevice if rustix::termios::isatty(file.as_fd()) => "it is a terminal",
        _ => return Ok(()),
    };
    Err(refuse.to_owned())
}
