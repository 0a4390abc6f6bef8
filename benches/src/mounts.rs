//! What 1,000 more mounts on the host add to a start.
//!
//! This program starts itself again under `unshare`, in a mount namespace of its own: there the mounts are made, and
//! there they die. The inner one measures without them, makes them, measures again, and writes one line a peer
//! (name, and the two medians in milliseconds) that the outer one reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use rustix::mount::{MountFlags, mount, mount_bind};

use crate::arguments::INSIDE_MOUNTS;
use crate::host;
use crate::interleave;
use crate::meter::{Account, Meter};
use crate::peer::{self, Field, Peer, Subject};
use crate::series::Series;

pub(crate) const COUNT: usize = 1000;

const AS_ROOT: &[&str] = &["--mount", "--propagation", "private"];
const AS_USER: &[&str] = &["--user", "--map-root-user", "--mount"];

pub(crate) enum Mounts {
    Measured { namespace: String, growths: Vec<Growth> },
    Skipped { reason: String },
}

/// Medians in milliseconds.
#[derive(Debug, PartialEq)]
pub(crate) struct Growth {
    pub(crate) peer: Peer,
    pub(crate) without: f64,
    pub(crate) with: f64,
}

impl Growth {
    pub(crate) fn difference(&self) -> f64 {
        self.with - self.without
    }
}

pub(crate) fn measure(scratch: &Path, runs: usize, failures: &mut Vec<String>) -> Mounts {
    eprintln!("holm-bench: {COUNT} more mounts");
    let unshare = match peer::installed("unshare") {
        Ok(unshare) => unshare,
        Err(reason) => return Mounts::Skipped { reason },
    };
    let flags = match host::is_root() {
        true => AS_ROOT,
        false => AS_USER,
    };
    let namespace = format!("unshare {}", flags.join(" "));
    match inner_lines(unshare, flags, scratch, runs) {
        Ok((lines, complaints)) => {
            failures.extend(complaints);
            Mounts::Measured { namespace, growths: lines.lines().filter_map(parse).collect() }
        }
        Err(reason) => {
            failures.push(reason.clone());
            Mounts::Skipped { reason }
        }
    }
}

/// What the inner program wrote, and what it complained of.
fn inner_lines(
    unshare: PathBuf,
    flags: &[&str],
    scratch: &Path,
    runs: usize,
) -> Result<(String, Option<String>), String> {
    let this = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let done = Command::new(&unshare)
        .args(flags)
        .arg(this)
        .args(["--runs", &runs.to_string(), INSIDE_MOUNTS])
        .arg(scratch)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run {}: {error}", unshare.display()))?;
    let said = String::from_utf8_lossy(&done.stderr).trim_end().to_owned();
    let complaint = (!done.status.success()).then(|| format!("with {COUNT} more mounts: {said}"));
    Ok((String::from_utf8_lossy(&done.stdout).into_owned(), complaint))
}

/// The inner program.
///
/// # Errors
/// The mounts can't be made.
pub(crate) fn measure_inside(scratch: &Path, runs: usize) -> Result<ExitCode, String> {
    let meter = Meter::in_scratch(scratch);
    let field = Field::survey(scratch);
    let subjects: Vec<&Subject> =
        field.subjects.iter().filter(|subject| Peer::WITH_ROOT.contains(&subject.peer)).collect();
    let mut failures = Vec::new();
    let without = interleave::measure(&meter, &subjects, runs, Account::Current, &mut failures);
    make_mounts(&scratch.join("mounts"))?;
    let with = interleave::measure(&meter, &subjects, runs, Account::Current, &mut failures);
    for before in &without {
        if let Some(after) = with.iter().find(|after| after.peer == before.peer) {
            println!("{}", line(before, after));
        }
    }
    failures.iter().for_each(|failure| eprintln!("{failure}"));
    Ok(match failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// A tmpfs, and one directory of it bound on each of many others.
fn make_mounts(place: &Path) -> Result<(), String> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| format!("cannot mount {}: {error}", path.display());
    fs::create_dir(place).map_err(|error| failed(place, &error))?;
    mount("tmpfs", place, "tmpfs", MountFlags::NOSUID, None).map_err(|error| failed(place, &error))?;
    let source = place.join("source");
    fs::create_dir(&source).map_err(|error| failed(&source, &error))?;
    for number in 0..COUNT {
        let target = place.join(number.to_string());
        fs::create_dir(&target).map_err(|error| failed(&target, &error))?;
        mount_bind(&source, &target).map_err(|error| failed(&target, &error))?;
    }
    Ok(())
}

fn line(without: &Series, with: &Series) -> String {
    format!("{} {} {}", without.peer, without.median(), with.median())
}

fn parse(line: &str) -> Option<Growth> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let peer = Peer::ALL.into_iter().find(|peer| peer.name() == name)?;
    let without = words.next()?.parse().ok()?;
    let with = words.next()?.parse().ok()?;
    Some(Growth { peer, without, with })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Record;
    use std::time::Duration;

    fn series(wall: Duration) -> Series {
        Series { peer: Peer::Holm, records: vec![Record { runs: 1, wall, cpu: Duration::ZERO, peak_kib: 0 }] }
    }

    #[test]
    fn what_the_inner_program_writes_the_outer_one_reads() {
        let written = line(&series(Duration::from_micros(1500)), &series(Duration::from_micros(2750)));
        assert_eq!(parse(&written), Some(Growth { peer: Peer::Holm, without: 1.5, with: 2.75 }));
        assert_eq!(parse("nobody 1 2"), None);
    }
}
