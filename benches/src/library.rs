//! What a start by the library costs a program with much memory in use, beside a small one.
//!
//! This program starts itself twice. Each of the two fills its memory, says so by an empty line, and then makes one start
//! for each line that it reads and answers with the nanoseconds. They take turns, so that a slow spell of the machine
//! hits both alike.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Instant;

use holm::Spec;
use holm::spec::filesystem::{Access, Entry, Missing, Operation, Source};

use crate::arguments::INSIDE_LIBRARY;
use crate::peer::Peer;
use crate::statistics::median;

const WARM_UP_ROUNDS: usize = 10;
const SIZES_MIB: [usize; 3] = [4096, 2048, 1024];

pub(crate) enum Library {
    Measured(Calls),
    Skipped { reason: String },
}

/// Medians in milliseconds.
#[derive(Debug, PartialEq)]
pub(crate) struct Calls {
    pub(crate) large_mib: usize,
    pub(crate) small: f64,
    pub(crate) large: f64,
}

pub(crate) fn measure(scratch: &Path, runs: usize, failures: &mut Vec<String>) -> Library {
    eprintln!("holm-bench: starts by the library");
    let available = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available_mib(&text)).unwrap_or(0);
    let Some(large_mib) = size(available) else {
        return Library::Skipped { reason: format!("{available} MiB of memory are available") };
    };
    match take_turns(scratch, runs, large_mib) {
        Ok(calls) => Library::Measured(calls),
        Err(reason) => {
            failures.push(reason.clone());
            Library::Skipped { reason }
        }
    }
}

/// The largest size that leaves half as much again to the machine.
fn size(available_mib: usize) -> Option<usize> {
    SIZES_MIB.into_iter().find(|size| size + size / 2 <= available_mib)
}

fn available_mib(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<usize>().ok()? / 1024)
}

fn take_turns(scratch: &Path, runs: usize, large_mib: usize) -> Result<Calls, String> {
    let failed = |error: io::Error| format!("a start by the library: {error}");
    let mut small = Caller::start(scratch, 0).map_err(failed)?;
    let mut large = Caller::start(scratch, large_mib).map_err(failed)?;
    let (mut of_small, mut of_large) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP_ROUNDS + runs {
        let pair = (small.call().map_err(failed)?, large.call().map_err(failed)?);
        if round >= WARM_UP_ROUNDS {
            of_small.push(pair.0);
            of_large.push(pair.1);
        }
    }
    Ok(Calls { large_mib, small: median(&of_small), large: median(&of_large) })
}

/// One of the two.
struct Caller {
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Caller {
    fn start(scratch: &Path, mib: usize) -> io::Result<Caller> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(INSIDE_LIBRARY)
            .args([scratch.as_os_str(), mib.to_string().as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = process.stdin.take();
        let from = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut caller = Caller { process, to, from: BufReader::new(from) };
        caller.line()?;
        Ok(caller)
    }

    /// The milliseconds of one start.
    fn call(&mut self) -> io::Result<f64> {
        self.to.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write_all(b"\n")?;
        let nanoseconds: f64 = self.line()?.trim().parse().map_err(io::Error::other)?;
        Ok(nanoseconds / 1e6)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.from.read_line(&mut line)? {
            0 => Err(io::Error::other("the caller has ended")),
            _ => Ok(line),
        }
    }
}

/// The end of its input ends it.
impl Drop for Caller {
    fn drop(&mut self) {
        self.to.take();
        let _ = self.process.wait();
    }
}

/// The inner program.
///
/// # Errors
/// A start failed.
pub(crate) fn call_inside(scratch: &Path, mib: usize) -> Result<ExitCode, String> {
    // Huge pages have few page tables, which would make copying those look cheap.
    rustix::thread::disable_transparent_huge_pages(true).map_err(|error| format!("cannot do without: {error}"))?;
    let memory = vec![1u8; mib << 20];
    let spec = wish(&scratch.join(Peer::True.name()));
    let mut output = io::stdout().lock();
    let mut answer = |line: String| output.write_all(line.as_bytes()).and_then(|()| output.flush());
    answer("\n".to_owned()).map_err(|error| error.to_string())?;
    for line in io::stdin().lines() {
        line.map_err(|error| error.to_string())?;
        let begin = Instant::now();
        let exit = spec.spawn().map_err(|error| error.to_string())?.wait().map_err(|error| error.to_string())?;
        let taken = begin.elapsed().as_nanos();
        if !exit.success() {
            return Err(format!("the program ended with {}", exit.code()));
        }
        answer(format!("{taken}\n")).map_err(|error| error.to_string())?;
    }
    std::hint::black_box(memory);
    Ok(ExitCode::SUCCESS)
}

/// What `peer` asks of the command line, too.
fn wish(target: &Path) -> Spec {
    let mut spec = Spec::new("/true");
    let source = Source::Path(target.to_owned());
    let operation = Operation::Bind { source, at: "/true".into(), access: Access::ReadOnly, missing: Missing::Refuse };
    spec.filesystem.push(Entry { operation, origin: String::new() });
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_leaves_memory_to_the_machine() {
        assert_eq!(size(23_000), Some(4096));
        assert_eq!(size(6143), Some(2048));
        assert_eq!(size(1535), None);
    }

    #[test]
    fn the_available_memory_is_read_in_mebibytes() {
        assert_eq!(available_mib("MemTotal: 9 kB\nMemAvailable:    2097152 kB\n"), Some(2048));
    }
}
