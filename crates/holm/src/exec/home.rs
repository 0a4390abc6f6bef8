//! HOME, as `/etc/passwd` inside says (passwd(5)). Runs in the child, by the program's user: nothing here allocates.
//!
//! The file is whatever the root's maker put there. It is opened as the program itself could open it, never waited for, read
//! up to a length, and a line that is wrong is no line. Without an answer HOME is `/`: a start doesn't fail for that.

use crate::sys::process::Line;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Result;
use std::os::fd::OwnedFd;

const NAME: &str = "HOME=";
/// The longest path (PATH_MAX).
const LONGEST: usize = 4095;
/// So many bytes of the file are read at most.
const MOST: usize = 16 << 20;

/// The variable, with room for the longest value; it is `/`.
pub(crate) fn variable() -> Line {
    Line::new("HOME=/", NAME.len() + LONGEST)
}

/// Sets `variable` to the home of `uid`, if the file tells it.
pub(crate) fn find(uid: u32, variable: &Line) -> Result<()> {
    let Ok(file) = open() else { return Ok(()) };
    let mut reader = Reader::new(uid);
    let (mut buffer, mut left) = ([0u8; 4096], MOST);
    while left > 0 {
        let read = match rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut buffer)) {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        left = left.saturating_sub(read);
        if buffer.iter().take(read).any(|byte| reader.take(*byte)) {
            break;
        }
    }
    // The last line may lack its end.
    if reader.take(b'\n') {
        variable.write(NAME.len(), reader.home());
    }
    Ok(())
}

/// Never by a link of /proc: the caller's descriptors are still open here.
fn open() -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat2(CWD, c"/etc/passwd", flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)?;
    match FileType::from_raw_mode(fstat(&file)?.st_mode).is_file() {
        true => Ok(file),
        false => Err(rustix::io::Errno::INVAL),
    }
}

/// Reads lines `name:password:uid:gid:comment:home:shell` byte by byte until one has the user.
struct Reader {
    uid: u32,
    /// Which field of the line comes, from 0 on.
    field: usize,
    /// What the field of the user says so far; `None` if that is no number.
    number: Option<u32>,
    digits: usize,
    home: [u8; LONGEST],
    length: usize,
    /// Whether all of the line's home is in `home`, and can be.
    fits: bool,
    found: bool,
}

impl Reader {
    fn new(uid: u32) -> Reader {
        let home = [0; LONGEST];
        Reader { uid, field: 0, number: Some(0), digits: 0, home, length: 0, fits: true, found: false }
    }

    /// The next byte; whether the line of the user has ended.
    fn take(&mut self, byte: u8) -> bool {
        match (byte, self.field) {
            _ if self.found => {}
            (b'\n', field) => {
                let is_users = self.digits > 0 && self.number == Some(self.uid);
                self.found = field >= 5 && is_users && self.fits && self.home().starts_with(b"/");
                if !self.found {
                    (self.field, self.number, self.digits) = (0, Some(0), 0);
                    (self.length, self.fits) = (0, true);
                }
            }
            (b':', _) => self.field += 1,
            (_, 2) => {
                let digit = char::from(byte).to_digit(10);
                let more = |number: u32| number.checked_mul(10)?.checked_add(digit?);
                (self.number, self.digits) = (self.number.and_then(more), self.digits + 1);
            }
            (0, 5) => self.fits = false,
            (_, 5) => match self.home.get_mut(self.length) {
                Some(place) => (*place, self.length) = (byte, self.length + 1),
                None => self.fits = false,
            },
            _ => {}
        }
        self.found
    }

    fn home(&self) -> &[u8] {
        self.home.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(text: &str, uid: u32) -> Option<String> {
        let mut reader = Reader::new(uid);
        let found = text.bytes().chain(*b"\n").any(|byte| reader.take(byte));
        found.then(|| String::from_utf8_lossy(reader.home()).into_owned())
    }

    #[test]
    fn the_first_good_line_of_the_user_tells_the_home() {
        let text = "root:x:0:0:root:/root:/bin/sh\n\n# 7\nshort:x:7:7:/a\nbad:x:7x:7::/b:\nno:x:7:7:::\nrelative:x:7:7::d:\n\
            one:x:7:7:a b,c:/home/one:/bin/sh\ntwo:x:7:7::/home/two";
        assert_eq!(home(text, 7).as_deref(), Some("/home/one"));
        assert_eq!(home(text, 0).as_deref(), Some("/root"));
        assert_eq!(home(text, 70), None);
        assert_eq!(home("::::::", 0), None);
        assert_eq!(home("big:x:4294967296:0::/a:", 0), None);
        assert_eq!(home("odd:x:1:0::/a\0b:", 1), None);
        assert_eq!(home("last:x:1:0::/a", 1).as_deref(), Some("/a"));
    }

    #[test]
    fn a_home_that_is_no_path_for_the_kernel_is_none() {
        let line = |length: usize| format!("long:x:1:1::/{}:", "x".repeat(length - 1));
        assert_eq!(home(&line(LONGEST), 1).map(|home| home.len()), Some(LONGEST));
        assert_eq!(home(&line(LONGEST + 1), 1), None);
        assert_eq!(home(&(line(LONGEST + 1) + "\nother:x:1:1::/b:"), 1).as_deref(), Some("/b"));
    }
}
