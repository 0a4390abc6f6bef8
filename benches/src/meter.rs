//! Runs one command under `meter.c`, which does the timing; see there why it is a program of its own.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::peer::Subject;

/// Some id that is nobody's; the standard library drops the other groups along with root.
const ORDINARY_ID: u32 = 65533;

/// Who runs the command.
#[derive(Clone, Copy)]
pub(crate) enum Account {
    Current,
    /// Root only.
    Ordinary,
}

impl Account {
    pub(crate) fn user_id(self) -> u32 {
        match self {
            Self::Current => rustix::process::getuid().as_raw(),
            Self::Ordinary => ORDINARY_ID,
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Extent {
    Once,
    For(Duration),
}

/// What a command took, all its processes together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) runs: u64,
    pub(crate) wall: Duration,
    /// User and system time, of all the processes that were waited for.
    pub(crate) cpu: Duration,
    /// The largest process's.
    pub(crate) peak_kib: u64,
}

pub(crate) struct Meter {
    program: PathBuf,
}

impl Meter {
    pub(crate) fn in_scratch(scratch: &Path) -> Self {
        Self { program: scratch.join("meter") }
    }

    /// # Errors
    /// A run ended with something else than 0: what it said to its standard error.
    pub(crate) fn run(&self, subject: &Subject, extent: Extent, account: Account) -> Result<Record, String> {
        let (runs, limit) = match extent {
            Extent::Once => (1, Duration::from_secs(3600)),
            Extent::For(span) => (u32::MAX, span),
        };
        let mut command = Command::new(&self.program);
        command.args([runs.to_string(), limit.as_millis().to_string()]);
        command.arg(&subject.program).args(&subject.arguments);
        // The ordinary user may not enter the directory this was started in.
        command.stdin(Stdio::null()).current_dir("/");
        if let Account::Ordinary = account {
            command.uid(ORDINARY_ID).gid(ORDINARY_ID);
        }
        let done = command.output().map_err(|error| format!("cannot run {}: {error}", self.program.display()))?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            return Err(format!("{}, as uid {}: {}", subject.peer, account.user_id(), said.trim_end()));
        }
        let line = String::from_utf8_lossy(&done.stdout);
        parse(&line).ok_or_else(|| format!("{}: cannot read the meter's line {line:?}", subject.peer))
    }
}

fn parse(line: &str) -> Option<Record> {
    // The command may have written to the standard output before.
    let numbers: Vec<u64> = line.lines().last()?.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [runs, wall, cpu, peak_kib] = numbers[..] else { return None };
    Some(Record { runs, wall: Duration::from_nanos(wall), cpu: Duration::from_micros(cpu), peak_kib })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_the_meter_is_the_record() {
        let wanted = Record { runs: 2, wall: Duration::from_micros(3), cpu: Duration::from_micros(4), peak_kib: 5 };
        assert_eq!(parse("noise\n2 3000 4 5\n"), Some(wanted));
        assert_eq!(parse("2 3000 4\n"), None);
        assert_eq!(parse(""), None);
    }
}
