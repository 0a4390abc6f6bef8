//! What a start costs, beside the floor and the peers, in one run: `cargo run --release -p holm-bench [RUNS]`.
//!
//! The commands are run in turn, A B C A B C, so that a machine whose speed drifts slows all alike; the ratio is the
//! median of the ratios within each turn. As root it measures as an ordinary user, too. A peer that is missing is said.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// An ordinary user without a name.
const NOBODY: u32 = 65_533;

struct Contender {
    name: &'static str,
    command: Vec<String>,
}

fn main() {
    let runs = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(200);
    let place = std::env::temp_dir().join(format!("holm-bench-{}", std::process::id()));
    std::fs::create_dir(&place).expect("the temporary directory can be written");
    let outcome = measure(&place, runs);
    std::fs::remove_dir_all(&place).expect("it was made here");
    if let Err(message) = outcome {
        eprintln!("error: {message}");
        std::process::exit(1);
    }
}

fn measure(place: &Path, runs: usize) -> Result<(), String> {
    let contenders = contenders(place)?;
    let users: &[Option<u32>] = if rustix::process::geteuid().is_root() { &[None, Some(NOBODY)] } else { &[None] };
    for &user in users {
        let who = if user.is_some() { "an ordinary user" } else { "the caller" };
        println!("\none start, as {who}, {runs} turns:");
        starts(&contenders, user, runs)?;
        println!("\nstarts a second on two workers, 3 s:");
        for contender in &contenders {
            println!("  {:<10} {:>6.0}", contender.name, throughput(contender, user)?);
        }
    }
    Ok(())
}

/// Builds the floor and the program that is started, and lists who takes part, the floor first.
fn contenders(place: &Path) -> Result<Vec<Contender>, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let build = |name: &str, options: &[&str]| {
        let made = place.join(name);
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-static"]).args(options).arg(source.join(format!("{name}.c"))).arg("-o").arg(&made);
        match compiler.status() {
            Ok(status) if status.success() => Ok(made.display().to_string()),
            _ => Err(format!("cannot compile {name}.c: cc is needed")),
        }
    };
    let floor = build("floor", &[])?;
    let program = build("true", &["-nostdlib", "-nostartfiles"])?;
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let holm = place.join("holm");
    std::fs::copy(own.with_file_name("holm"), &holm)
        .map_err(|_| "cannot find holm beside this program: cargo build --release".to_owned())?;
    let holm = holm.display().to_string();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut list = vec![
        Contender { name: "floor", command: vec![floor, program.clone()] },
        Contender { name: "holm", command: words(&format!("{holm} run --bind {program}:/true /true")) },
    ];
    let bwrap = format!("bwrap --unshare-all --ro-bind / / --proc /proc --dev /dev {program}");
    let unshare =
        format!("unshare --user --map-current-user --mount --uts --ipc --net --pid --cgroup --fork {program}");
    for (name, command) in [("bwrap", bwrap), ("unshare", unshare)] {
        match found(name) {
            true => list.push(Contender { name, command: words(&command) }),
            false => println!("{name} is not installed and takes no part"),
        }
    }
    list.push(Contender { name: "bare", command: vec![program] });
    Ok(list)
}

fn found(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|d| d.join(name)).any(|p: PathBuf| p.exists())
}

/// Runs it once; the wall time.
fn once(contender: &Contender, user: Option<u32>) -> Result<Duration, String> {
    let mut command = Command::new(&contender.command[0]);
    command.args(&contender.command[1..]).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    if let Some(id) = user {
        command.uid(id).gid(id);
    }
    let start = Instant::now();
    let status = command.status().map_err(|e| format!("cannot start {}: {e}", contender.name))?;
    let took = start.elapsed();
    if status.success() { Ok(took) } else { Err(format!("{} ended with {status}", contender.name)) }
}

fn starts(contenders: &[Contender], user: Option<u32>, runs: usize) -> Result<(), String> {
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
    for turn in 0..runs + 10 {
        for (contender, times) in contenders.iter().zip(&mut times) {
            let took = once(contender, user)?.as_secs_f64() * 1e3;
            if turn >= 10 {
                times.push(took);
            }
        }
    }
    println!("  {:<10} {:>9} {:>9} {:>9}", "", "median ms", "least ms", "to floor");
    for (contender, own) in contenders.iter().zip(&times) {
        let ratios: Vec<f64> = own.iter().zip(&times[0]).map(|(own, floor)| own / floor).collect();
        let least = own.iter().copied().fold(f64::INFINITY, f64::min);
        println!("  {:<10} {:>9.2} {least:>9.2} {:>9.2}", contender.name, median(own), median(&ratios));
    }
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn throughput(contender: &Contender, user: Option<u32>) -> Result<f64, String> {
    let start = Instant::now();
    let work = || -> Result<u32, String> {
        let mut count = 0;
        while start.elapsed() < Duration::from_secs(3) {
            once(contender, user)?;
            count += 1;
        }
        Ok(count)
    };
    let counts = std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.map(|worker| worker.join().expect("a worker does not panic"))
    });
    let mut total = 0;
    for count in counts {
        total += count?;
    }
    Ok(f64::from(total) / start.elapsed().as_secs_f64())
}
