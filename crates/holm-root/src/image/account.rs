//! The user that an image's configuration names, looked up in the root's own files (passwd(5), group(5)).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};

use super::Config;
use holm::model::text::cause;

/// Such a file may have so many bytes.
const MOST: u64 = 1 << 20;

/// Who a program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its user id.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
    /// Its home directory, if the root's /etc/passwd tells.
    pub home: Option<String>,
}

impl Config {
    /// The user, with numbers and home as the files of the root in the directory `root` say; nothing is followed out of it.
    ///
    /// # Errors
    /// The root knows no user or group of that name, or its files can't be read.
    pub fn account(&self, root: &Path) -> Result<Account, String> {
        let (user, group) = match self.user.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (self.user.as_str(), None),
        };
        let user = if user.is_empty() { "0" } else { user };
        let users = read(root, "etc/passwd")?;
        let number = id(user);
        let of_user =
            |line: &Vec<&str>| line.len() >= 6 && (line[0] == user || number.is_some() && id(line[2]) == number);
        let line = lines(&users).find(of_user);
        let field = |at: usize| line.as_ref().and_then(|line| id(line[at]));
        let uid = number.or_else(|| field(2)).ok_or_else(|| format!("its /etc/passwd has no user {user}"))?;
        let gid = match group {
            None => field(3).unwrap_or(0),
            Some(group) => match id(group) {
                Some(gid) => gid,
                None => {
                    let groups = read(root, "etc/group")?;
                    let found = lines(&groups).find(|line| line.len() >= 3 && line[0] == group);
                    found.and_then(|line| id(line[2])).ok_or_else(|| format!("its /etc/group has no group {group}"))?
                }
            },
        };
        let home = line.map(|line| line[5].to_owned()).filter(|home| home.starts_with('/') && !home.contains('\0'));
        Ok(Account { uid, gid, home })
    }
}

fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

/// A file of the root; one that is missing is empty.
fn read(root: &Path, name: &str) -> Result<String, String> {
    let failed = |error: io::Error| format!("its /{name} can't be read: {}", cause(&error));
    let directory = openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = match directory.and_then(|directory| openat2(directory, name, flags, Mode::empty(), inside)) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(String::new()),
        file => file.map_err(|error| failed(error.into()))?,
    };
    let status = fstat(&file).map_err(|error| failed(error.into()))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(failed(io::Error::other("it is no file")));
    }
    let mut bytes = Vec::new();
    File::from(file).take(MOST).read_to_end(&mut bytes).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
