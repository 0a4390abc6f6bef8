//! A layout made real: its directories, links and files below one new directory.
//!
//! Files are cloned where the file system can (FICLONE), else copied by the kernel. Never linked: a root must not
//! change with the host's file, nor the host's file through the root.

use std::fs::{self, DirBuilder, File, FileTimes, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::Error;
use crate::closure::Kind;
use crate::closure::layout::Layout;

/// Empty directories for those who mount.
const MOUNT_POINTS: [&str; 8] = ["dev", "etc", "home", "proc", "root", "run", "tmp", "var"];

/// Makes the directory `into` with everything in the layout, and the mount points.
pub(crate) fn copy(layout: &Layout, into: &Path) -> Result<(), Error> {
    make_dir(into).map_err(Error::make(into))?;
    for entry in &layout.entries {
        let to: PathBuf = into.join(entry.path.strip_prefix("/").unwrap_or(&entry.path));
        match &entry.kind {
            Kind::Dir => make_dir(&to).map_err(Error::make(&to))?,
            Kind::Link { target } => symlink(target, &to).map_err(Error::make(&to))?,
            Kind::File => {
                let source = layout.tree.open(&entry.path)?;
                let failed = |source| Error::Copy { from: entry.path.clone(), to: to.clone(), source };
                copy_file(&source, &to).map_err(failed)?;
            }
        }
    }
    for name in MOUNT_POINTS {
        let to = into.join(name);
        match make_dir(&to) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(Error::make(&to))?,
        }
    }
    Ok(())
}

/// Makes a directory of mode 0755, whatever the umask.
fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o755).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

fn copy_file(from: &File, to: &Path) -> io::Result<()> {
    let status = from.metadata()?;
    let copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    if rustix::fs::ioctl_ficlone(&copy, from).is_err() {
        // copy_file_range(2) where it works.
        io::copy(&mut &*from, &mut &copy)?;
    }
    copy.set_permissions(Permissions::from_mode(status.mode() & 0o755))?;
    copy.set_times(FileTimes::new().set_modified(status.modified()?))
}
