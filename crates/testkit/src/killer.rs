//! Runs a program and kills it as it is about to make a certain system call.

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::process::{Command, Stdio};

/// Runs `command` and kills it (SIGKILL) before its call of number `count`, from 1 on, since its execve(2); whether it got that
/// far. What it has started isn't traced, and lives or ends as without a tracer.
///
/// # Panics
/// ptrace(2) is refused.
#[expect(clippy::zombie_processes, reason = "waitpid(2) in the loop waits for it")]
pub fn run(command: &[&str], count: usize) -> bool {
    // It stops itself, so that it can be seized, and then becomes the command.
    let child = Command::new("sh")
        .args(["-c", "kill -STOP $$; exec \"$@\"", "sh"])
        .args(command)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("there is a shell");
    let pid = Pid::from_raw(child.id() as i32);
    waitpid(pid, Some(WaitPidFlag::WUNTRACED)).expect("it stops");
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_EXITKILL;
    ptrace::seize(pid, options).expect("a child may be traced");
    kill(pid, Signal::SIGCONT).expect("it is ours");
    let (mut executed, mut entering, mut made) = (false, false, 0);
    loop {
        let signal = match waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it is a child") {
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return executed && made >= count,
            WaitStatus::PtraceSyscall(_) => {
                entering = !entering;
                made += usize::from(executed && entering);
                if executed && entering && made == count {
                    kill(pid, Signal::SIGKILL).expect("it is ours");
                }
                None
            }
            WaitStatus::PtraceEvent(_, _, 4) => {
                // Next comes the end of that execve.
                (executed, entering) = (true, true);
                None
            }
            WaitStatus::Stopped(_, signal) => Some(signal),
            _ => None,
        };
        // One that was killed is heard of next.
        let _ = ptrace::syscall(pid, signal);
    }
}
