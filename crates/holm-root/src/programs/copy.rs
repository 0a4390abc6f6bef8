//! A layout made real: its directories, links and files below one new directory.
//!
//! Files are cloned where the file system can (FICLONE), else copied by the kernel. Never linked to the host's: a root
//! must not change with the host's file, nor the host's file through the root. Names of one file on the host are names
//! of one file in the root.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, FileTimes, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::Error;
use crate::closure::Kind;
use crate::closure::layout::Layout;

/// Empty directories for those who mount.
const MOUNT_POINTS: [&str; 8] = ["dev", "etc", "home", "proc", "root", "run", "tmp", "var"];

/// Copies of files that have several names on the host, by device and inode.
type Copies = HashMap<(u64, u64), PathBuf>;

/// Makes the directory `into` with everything in the layout, and the mount points.
pub(crate) fn copy(layout: &Layout, into: &Path) -> Result<(), Error> {
    make_dir(into, 0o755).map_err(Error::make(into))?;
    let mut copies = Copies::new();
    for entry in &layout.entries {
        let to: PathBuf = into.join(entry.path.strip_prefix("/").unwrap_or(&entry.path));
        match &entry.kind {
            Kind::Dir => {
                let mode = layout.tree.mode(&entry.path).unwrap_or(0o700);
                make_dir(&to, mode).map_err(Error::make(&to))?;
            }
            Kind::Link { target } => symlink(target, &to).map_err(Error::make(&to))?,
            Kind::File => {
                let source = layout.tree.open(&entry.path)?;
                let failed = |source| Error::Copy { from: entry.path.clone(), to: to.clone(), source };
                copy_file(&source, &to, &mut copies).map_err(failed)?;
            }
        }
    }
    for name in MOUNT_POINTS {
        let to = into.join(name);
        match make_dir(&to, 0o755) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(Error::make(&to))?,
        }
    }
    Ok(())
}

/// Makes a directory that shows what is in it to nobody who can't reach it in the original, whatever the umask.
fn make_dir(path: &Path, original: u32) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(copied(original) | 0o700))
}

/// The mode of a copy: its group is another one than the original's, and gets what all others get.
fn copied(original: u32) -> u32 {
    let others = original & 0o005;
    original & 0o700 | others << 3 | others
}

fn copy_file(from: &File, to: &Path, copies: &mut Copies) -> io::Result<()> {
    let status = from.metadata()?;
    if status.nlink() > 1 {
        match copies.get(&(status.dev(), status.ino())) {
            Some(copy) => return fs::hard_link(copy, to),
            None => copies.insert((status.dev(), status.ino()), to.to_owned()),
        };
    }
    let copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    if rustix::fs::ioctl_ficlone(&copy, from).is_err() {
        // copy_file_range(2) where it works.
        io::copy(&mut &*from, &mut &copy)?;
    }
    copy.set_permissions(Permissions::from_mode(copied(status.mode())))?;
    copy.set_times(FileTimes::new().set_modified(status.modified()?))
}
