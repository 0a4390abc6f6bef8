//! SIGKILL at random moments of a life, to holm, to the shell that started it, and to any process of its tree: whatever is
//! killed, everything ends, and no mount is left, nor a control group where none was asked for.
//!
//! 1,000 kills; `HOLM_PROOF=all` makes it 10,000.

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, getpid, pidfd_open, pidfd_send_signal, wait};
use std::fs::read_to_string;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use testkit::random::Random;
use testkit::{Scratch, Traces, holm};

/// How many are started side by side.
const BATCH: usize = 8;
/// From the start of a sandbox until long after its program runs.
const LIFE: Duration = Duration::from_millis(60);
/// Longer than anything takes to end, on a busy machine.
const LONG: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
enum Target {
    Holm,
    Shell,
    /// Any process that there is at that moment, and again until all is over: one that was just ending, or that had
    /// done its part, takes nobody along.
    Any,
}

#[derive(Debug)]
struct Victim {
    child: Pid,
    target: Target,
    at: Duration,
    #[expect(dead_code, reason = "a failure shows it")]
    options: &'static [&'static str],
}

/// Where pids are shared the program is no child of a pid 1 that takes it along.
const SHARED: &[&str] = &["--share", "pid"];
const WISHES: [&[&str]; 6] = [&[], &[], &["--overlay"], &["--wait-all"], &["--tty=always"], SHARED];

#[expect(clippy::zombie_processes, reason = "`survivors` waits for it")]
fn start(random: &mut Random) -> Victim {
    let options = *random.pick(&WISHES);
    let target = match random.below(3) {
        0 => Target::Holm,
        1 => Target::Shell,
        _ if options == SHARED => Target::Holm,
        _ => Target::Any,
    };
    // A program lives on when its background process is killed, and the other way round with --wait-all.
    let alone = options.contains(&"--wait-all") || matches!(target, Target::Any);
    let programs = [&["sleep", "1000"][..], &["sh", "-c", "sleep 1000 & sleep 1001"]];
    let program = if alone { programs[0] } else { *random.pick(&programs) };
    let mut command = match target {
        Target::Holm => Command::new(holm()),
        _ => Command::new("sh"),
    };
    if !matches!(target, Target::Holm) {
        // It waits, since something comes after.
        command.args(["-c", "\"$@\"; :", "sh"]).arg(holm());
    }
    command.arg("run").args(options).args(program);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let at = LIFE.mul_f64(random.below(1000) as f64 / 1000.0);
    Victim { child: Pid::from_child(&child), target, at, options }
}

/// A process and all below it.
fn tree(top: Pid) -> Vec<Pid> {
    let mut found = vec![top];
    let mut next = 0;
    while let Some(pid) = found.get(next).map(|pid| pid.as_raw_pid()) {
        let children = testkit::children_of(pid as u32);
        found.extend(children.into_iter().filter_map(|pid| Pid::from_raw(pid as i32)));
        next += 1;
    }
    found
}

/// Kills what is to be killed; one that ends by itself meanwhile doesn't count.
fn kill(victim: &Victim, random: &mut Random) {
    let start = Instant::now();
    while start.elapsed() < LONG {
        let all = tree(victim.child);
        let chosen = if matches!(victim.target, Target::Any) { *random.pick(&all) } else { victim.child };
        // Its parent's end before it first looks is one that holm can't notice: shell, holm, and holm's first child.
        let early = !matches!(victim.target, Target::Holm) && chosen == victim.child && all.len() < 3;
        let process = pidfd_open(chosen, PidfdFlags::empty());
        // Its number may be somebody else's by now.
        if let (false, Ok(process)) = (early, process)
            && tree(victim.child).contains(&chosen)
            && pidfd_send_signal(process, Signal::KILL).is_ok()
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until this process has no children; those that don't end are told, and killed.
fn survivors(mut victims: Vec<&Victim>, random: &mut Random) -> Vec<String> {
    let (start, mut rounds) = (Instant::now(), 0);
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((ended, _))) => victims.retain(|victim| victim.child != ended),
            Ok(None) if start.elapsed() < LONG => {
                rounds += 1;
                let again = victims.iter().filter(|victim| matches!(victim.target, Target::Any));
                again.filter(|_| rounds % 100 == 0).for_each(|victim| kill(victim, random));
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(None) => break,
            Err(_) => return Vec::new(),
        }
    }
    let line = |pid: &Pid| {
        let number = pid.as_raw_pid();
        let read = |file: &str| read_to_string(format!("/proc/{number}/{file}")).unwrap_or_default();
        let told = format!("{:?} {:?}", read("cmdline"), read("stat"));
        if let Ok(process) = pidfd_open(*pid, PidfdFlags::empty()) {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        told
    };
    tree(getpid()).iter().skip(1).map(line).collect()
}

#[test]
fn whatever_is_killed_nothing_survives() {
    // Whoever loses its parent becomes a child of this process, and is seen.
    rustix::process::set_child_subreaper(Some(getpid())).expect("Linux has it");
    let (scratch, before) = (Scratch::new("proof-kills"), Traces::now());
    let kills = testkit::much(1_000, 10_000);
    let mut random = Random::new(5);
    for batch in 0..kills.div_ceil(BATCH) {
        let start_of_batch = Instant::now();
        let mut victims: Vec<(Duration, Victim)> = (0..BATCH)
            .map(|_| {
                let started = start_of_batch.elapsed();
                let victim = start(&mut random);
                (started + victim.at, victim)
            })
            .collect();
        victims.sort_by_key(|(at, _)| *at);
        for (at, victim) in &victims {
            std::thread::sleep(at.saturating_sub(start_of_batch.elapsed()));
            kill(victim, &mut random);
        }
        let left = survivors(victims.iter().map(|(_, victim)| victim).collect(), &mut random);
        assert!(left.is_empty(), "batch {batch}: {left:?} of {victims:?}");
    }
    assert_eq!(Traces::left(&before, scratch.path()), [""; 0]);
}
