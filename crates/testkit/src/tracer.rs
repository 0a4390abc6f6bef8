//! Runs a program under ptrace(2), records the system calls of its set-up, and makes one of them fail.
//!
//! A set-up is over when the init has executed the program: from then on everything runs untouched. A process is named by
//! the order in which it started, a call by its process, its number, and how many of that number came before, so that
//! the same call is met again in another run.

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// Longer than a start takes, on a busy machine.
const LONG: Duration = Duration::from_secs(30);
/// A system call without effect, made in place of one that fails: a filter that is in force already allows it.
const GETPID: u64 = 39;
const ENOSYS: i64 = -38;

/// One system call of a set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    /// The process, in order of start; 0 is the traced program.
    pub process: usize,
    /// The call's number.
    pub number: u64,
    /// How many of this number the process made before.
    pub earlier: usize,
}

/// A call with what the program was told.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    /// Which.
    pub call: Call,
    /// Its first two arguments.
    pub arguments: [u64; 2],
    /// What it returned: a value, or -errno.
    pub result: i64,
}

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    /// Exit code, or 128 + the signal.
    pub code: i32,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
    /// The calls of the set-up, in order.
    pub made: Vec<Made>,
    /// Whether it had to be killed.
    pub hung: bool,
    /// Processes that were alive when the traced program had ended.
    pub survivors: usize,
}

struct Tracee {
    process: usize,
    /// How often it executed a program.
    executed: usize,
    /// Started by the init.
    program: bool,
    /// The call it is in, and whether that one is to fail.
    within: Option<(Call, [u64; 2], bool)>,
    counts: BTreeMap<u64, usize>,
}

struct Tracer {
    tracees: BTreeMap<Pid, Tracee>,
    /// Those seen before the event of whoever started them.
    early: BTreeSet<Pid>,
    fault: Option<(Call, i32)>,
    made: Vec<Made>,
    started: usize,
    over: bool,
}

/// Runs `command`; the call of `fault` fails with its errno instead of being made.
///
/// # Panics
/// ptrace(2) is refused.
#[expect(clippy::zombie_processes, reason = "waitpid(2) in the loop waits for it")]
pub fn run(command: &[&str], fault: Option<(Call, i32)>) -> Run {
    // It stops itself, so that it can be seized, and then becomes the command.
    let mut child = Command::new("sh")
        .args(["-c", "kill -STOP $$; exec \"$@\"", "sh"])
        .args(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("there is a shell");
    let first = Pid::from_raw(child.id() as i32);
    waitpid(first, Some(WaitPidFlag::WUNTRACED)).expect("it stops");
    let traced = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(first, traced).expect("a child may be traced");
    kill(first, Signal::SIGCONT).expect("it is ours");
    let mut tracer =
        Tracer { tracees: BTreeMap::new(), early: BTreeSet::new(), fault, made: Vec::new(), started: 0, over: false };
    tracer.add(first, false);
    let alive = Arc::new(Mutex::new(BTreeSet::from([first])));
    let watch = Watch::new(&alive);
    let (mut code, mut survivors) = (None, 0);
    // Only what this thread traces: others do the same beside it.
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
        let ended = match status {
            WaitStatus::Exited(pid, code) => Some((pid, code)),
            WaitStatus::Signaled(pid, signal, _) => Some((pid, 128 + signal as i32)),
            _ => None,
        };
        if let Some((pid, with)) = ended {
            alive.lock().expect("no thread panics").remove(&pid);
            tracer.tracees.remove(&pid);
            if pid == first {
                (code, survivors) = (Some(with), tracer.tracees.len());
            }
        } else {
            tracer.stopped(status);
            *alive.lock().expect("no thread panics") = tracer.tracees.keys().copied().collect();
        }
    }
    let hung = watch.end();
    let mut text = [String::new(), String::new()];
    child.stdout.take().expect("it is piped").read_to_string(&mut text[0]).expect("it is text");
    child.stderr.take().expect("it is piped").read_to_string(&mut text[1]).expect("it is text");
    let [output, errors] = text;
    Run { code: code.expect("the first one ends"), output, errors, made: tracer.made, hung, survivors }
}

impl Tracer {
    fn add(&mut self, pid: Pid, program: bool) {
        let process = self.started;
        self.started += 1;
        let tracee = Tracee { process, executed: 0, program, within: None, counts: BTreeMap::new() };
        self.tracees.insert(pid, tracee);
        if self.early.remove(&pid) {
            self.resume(pid, None);
        }
    }

    fn stopped(&mut self, status: WaitStatus) {
        match status {
            WaitStatus::PtraceSyscall(pid) => {
                self.call(pid);
                self.resume(pid, None);
            }
            WaitStatus::PtraceEvent(pid, _, event) => {
                self.event(pid, event);
                if self.tracees.contains_key(&pid) {
                    self.resume(pid, None);
                } else {
                    self.early.insert(pid);
                }
            }
            WaitStatus::Stopped(pid, signal) => self.resume(pid, Some(signal)),
            _ => {}
        }
    }

    /// Lets a process go on; one that was killed meanwhile is heard of next.
    fn resume(&self, pid: Pid, signal: Option<Signal>) {
        // What is to fail still has to be told so.
        let fails = self.tracees.get(&pid).is_some_and(|tracee| matches!(tracee.within, Some((_, _, true))));
        let _ = if self.over && !fails { ptrace::cont(pid, signal) } else { ptrace::syscall(pid, signal) };
    }

    fn event(&mut self, pid: Pid, event: i32) {
        const FORK: i32 = 1;
        const CLONE: i32 = 3;
        const EXEC: i32 = 4;
        match (event, self.tracees.get_mut(&pid)) {
            (FORK..=CLONE, Some(parent)) => {
                let program = parent.process > 0 && parent.executed > 0;
                if let Ok(child) = ptrace::getevent(pid) {
                    self.add(Pid::from_raw(child as i32), program);
                }
            }
            (EXEC, Some(tracee)) => {
                tracee.executed += 1;
                self.over |= tracee.program;
            }
            _ => {}
        }
    }

    /// A process enters or leaves a call.
    fn call(&mut self, pid: Pid) {
        let (Some(tracee), Ok(mut registers)) = (self.tracees.get_mut(&pid), ptrace::getregs(pid)) else { return };
        if let Some((call, arguments, fails)) = tracee.within.take() {
            if let (true, Some((_, errno))) = (fails, self.fault) {
                registers.rax = i64::from(-errno) as u64;
                let _ = ptrace::setregs(pid, registers);
            }
            self.made.push(Made { call, arguments, result: registers.rax as i64 });
            return;
        }
        // The end of the call that started it, or the shell's calls.
        if registers.rax as i64 != ENOSYS || tracee.process == 0 && tracee.executed == 0 {
            return;
        }
        let count = tracee.counts.entry(registers.orig_rax).or_default();
        let call = Call { process: tracee.process, number: registers.orig_rax, earlier: *count };
        *count += 1;
        let fails = self.fault.is_some_and(|(wanted, _)| wanted == call);
        tracee.within = Some((call, [registers.rdi, registers.rsi], fails));
        if fails {
            registers.orig_rax = GETPID;
            let _ = ptrace::setregs(pid, registers);
        }
    }
}

/// Kills what hangs.
struct Watch(mpsc::Sender<()>, std::thread::JoinHandle<bool>);

impl Watch {
    fn new(alive: &Arc<Mutex<BTreeSet<Pid>>>) -> Watch {
        let (sender, receiver) = mpsc::channel::<()>();
        let alive = Arc::clone(alive);
        let thread = std::thread::spawn(move || {
            let hangs = receiver.recv_timeout(LONG) == Err(mpsc::RecvTimeoutError::Timeout);
            if hangs {
                // Their numbers are theirs for as long as this process hasn't waited for them.
                for pid in alive.lock().expect("no thread panics").iter() {
                    let _ = kill(*pid, Signal::SIGKILL);
                }
            }
            hangs
        });
        Watch(sender, thread)
    }

    fn end(self) -> bool {
        drop(self.0);
        self.1.join().expect("it does not panic")
    }
}
