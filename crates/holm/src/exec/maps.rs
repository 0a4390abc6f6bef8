//! Id maps as the kernel and newuidmap(1) take them.

use crate::model::id::{IdMap, lines};
use crate::plan::step::MapWriter;
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

/// Writes the maps of process `pid` from outside. The process waits for it and is not reaped, so its number is its own.
/// `proc` is the caller's /proc.
pub(crate) fn write(writer: MapWriter, proc: Option<&OwnedFd>, pid: i32, uid: &[IdMap], gid: &[IdMap]) -> Result<()> {
    for (file, helper, maps) in [("uid_map", "newuidmap", uid), ("gid_map", "newgidmap", gid)] {
        match writer {
            MapWriter::Helpers => help(helper, pid, maps)?,
            MapWriter::Parent | MapWriter::Child => {
                let path = super::program::text(format!("{pid}/{file}").as_ref());
                super::place::write_at(proc.ok_or(Errno::BADF)?.as_fd(), &path, lines(maps).as_bytes())?;
            }
        }
    }
    Ok(())
}

fn help(helper: &str, pid: i32, maps: &[IdMap]) -> Result<()> {
    let numbers = maps.iter().flat_map(|m| [m.inside, m.outside, m.count]).map(|n| n.to_string());
    let mut command = Command::new(crate::host::helper(helper).ok_or(Errno::NOENT)?);
    command.arg(pid.to_string()).args(numbers).stdin(Stdio::null()).stdout(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Errno::PERM),
        Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    }
}
