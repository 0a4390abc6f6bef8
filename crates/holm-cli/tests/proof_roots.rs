//! 2,000 hostile roots, each another one: links out of it, in loops and into /proc, files and sockets where directories are
//! expected, at every place where something is mounted or made, some exchanged while holm starts. holm starts, or refuses
//! with a message; a tree outside and the root itself stay as they were, times included, and the program can't reach out.

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use testkit::random::Random;
use testkit::{Scratch, Traces, holm};

const ROOTS: usize = 2_000;
/// Where holm mounts by itself, and where it is told to.
const TARGETS: [&str; 10] = ["proc", "dev", "tmp", "sys", "etc", "run", "home", "usr", "w", "d/e"];

/// Tries to read and to write what is outside: every path it is given, and "secret" and "evil" below it.
const PROBE: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void look(const char *path) {
    char text[64] = "";
    int file = open(path, O_RDONLY | O_NONBLOCK);
    if (file >= 0 && read(file, text, 63) > 0 && strstr(text, "CANARY")) printf("LEAK %s\n", path);
    close(file);
}

static void change(const char *path) {
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0666);
    if (file >= 0 && write(file, "x", 1)) close(file);
    chmod(path, 0777);
    unlink(path);
    mkdir(path, 0777);
}

int main(int count, char **words) {
    char path[4096];
    for (int i = 2; i < count; i++) {
        const char *below[] = {"", "/secret", "/evil"};
        for (int j = 0; j < 3; j++) {
            snprintf(path, sizeof path, "%s%s", words[i], below[j]);
            look(path);
            if (*words[1] == 'w') change(path);
        }
    }
    puts("ran");
    return 0;
}
"#;

/// Everything that a change in a tree would show, by path.
fn state(top: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut ahead = vec![top.to_owned()];
    while let Some(path) = ahead.pop() {
        let Ok(facts) = fs::symlink_metadata(&path) else { continue };
        let content = match facts.file_type() {
            kind if kind.is_dir() => {
                ahead.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
                String::new()
            }
            kind if kind.is_symlink() => format!("{:?}", fs::read_link(&path)),
            // The program to be started is large, and its size and times tell enough.
            kind if kind.is_file() && facts.size() < 4096 => format!("{:?}", fs::read(&path)),
            _ => String::new(),
        };
        let times = (facts.mtime(), facts.mtime_nsec(), facts.ctime(), facts.ctime_nsec());
        let of = (facts.mode(), facts.uid(), facts.gid(), facts.size(), facts.nlink());
        all.insert(path, format!("{of:?} {times:?} {content}"));
    }
    all
}

/// What stands around the roots.
struct Yard {
    scratch: Scratch,
    canary: PathBuf,
    given: PathBuf,
    probe: PathBuf,
}

impl Yard {
    fn new() -> Yard {
        let scratch = Scratch::new("proof-roots");
        let [canary, given, probe] = ["canary", "given", "probe"].map(|name| scratch.join(name));
        fs::create_dir_all(canary.join("inner")).expect("scratch is ours");
        fs::write(canary.join("secret"), "CANARY").expect("scratch is ours");
        fs::create_dir_all(given.join("sub")).expect("scratch is ours");
        fs::write(given.join("file"), "given").expect("scratch is ours");
        fs::write(scratch.join("probe.c"), PROBE).expect("scratch is ours");
        let mut compiler = Command::new("gcc");
        compiler.args(["-static", "-w", "-o"]).arg(&probe).arg(scratch.join("probe.c"));
        assert!(compiler.status().expect("gcc is there").success());
        Yard { scratch, canary, given, probe }
    }

    /// Something hostile, or not, at `path`; what it is.
    fn plant(&self, path: &Path, linked: &Path, random: &mut Random) -> String {
        let canary = self.canary.display();
        let links = [
            format!("{canary}"),
            format!("../../../../../../../..{canary}"),
            format!("/proc/self/root{canary}"),
            format!("/proc/self/cwd/../../../..{canary}"),
            "/proc/self/fd/3".to_owned(),
            "/proc/1/root".to_owned(),
            "/dev/null".to_owned(),
            "/etc/passwd".to_owned(),
            "/".to_owned(),
            "..".to_owned(),
            "missing".to_owned(),
            format!("/{}", random.pick(&TARGETS)),
            path.file_name().expect("it has one").to_string_lossy().into_owned(),
            format!("{canary}/secret"),
            "chain45".to_owned(),
        ];
        match random.below(16) {
            0 | 1 => return "nothing".to_owned(),
            2..=4 => {
                fs::create_dir(path).expect("scratch is ours");
                return "directory".to_owned();
            }
            5 => fs::write(path, "text").expect("scratch is ours"),
            6 => fs::hard_link(linked, path).expect("it is one file system"),
            kind @ (7 | 8) => {
                let kind = if kind == 7 { FileType::Fifo } else { FileType::Socket };
                mknodat(CWD, path, kind, Mode::from_raw_mode(0o666), 0).expect("scratch is ours");
                return format!("{kind:?}");
            }
            9 => {
                // A directory that itself holds a way out.
                fs::create_dir(path).expect("scratch is ours");
                symlink(random.pick(&links), path.join("x")).expect("scratch is ours");
                return "directory with a link".to_owned();
            }
            _ => {
                let target = random.pick(&links);
                symlink(target, path).expect("scratch is ours");
                return format!("-> {target}");
            }
        }
        "file".to_owned()
    }

    /// A root, and what it is made of; a file outside has another name in some.
    fn root(&self, path: &Path, linked: &Path, random: &mut Random) -> String {
        fs::create_dir(path).expect("scratch is ours");
        fs::create_dir(path.join("d")).expect("scratch is ours");
        fs::hard_link(&self.probe, path.join("probe")).expect("it is one file system");
        for link in 0..45 {
            symlink(format!("chain{link}"), path.join(format!("chain{}", link + 1))).expect("scratch is ours");
        }
        TARGETS.map(|target| format!("{target} {}", self.plant(&path.join(target), linked, random))).join(", ")
    }

    /// Some operations at the same places.
    fn operations(&self, random: &mut Random) -> Vec<String> {
        let (given, file) = (self.given.display(), self.given.join("file"));
        let mut options = Vec::new();
        if random.one_in(6) {
            options.extend(["--sys".to_owned(), "ro".to_owned()]);
        }
        for _ in 0..random.below(4) {
            let below = *random.pick(&["", "", "", "/x", "/x/y", "/new"]);
            let at = format!("/{}{below}", random.pick(&TARGETS));
            let file = file.display();
            options.extend(match random.below(15) {
                0 => ["--bind".to_owned(), format!("{given}:{at}")],
                1 => ["--bind-rw".to_owned(), format!("{given}:{at}")],
                2 => ["--bind".to_owned(), format!("{file}:{at}")],
                3 => ["--tmpfs".to_owned(), at],
                4 => ["--dir".to_owned(), at],
                5 => ["--file".to_owned(), format!("{file}:{at}")],
                6 => ["--symlink".to_owned(), format!("{}:{at}", self.canary.display())],
                7 => ["--mask".to_owned(), at],
                8 => ["--chmod".to_owned(), format!("777:{at}")],
                9 => ["--overlay-mount".to_owned(), format!("{at}:lower={given},tmp")],
                10 => ["--remount-ro".to_owned(), at],
                11 => ["--proc".to_owned(), at],
                12 => ["--dev".to_owned(), at],
                13 => ["--mqueue".to_owned(), at],
                _ => ["--bind-data".to_owned(), format!("{file}:{at}")],
            });
        }
        options
    }

    /// Starts one; what was wrong, with what it was.
    fn start(&self, number: usize, shapes: &Mutex<HashSet<String>>) -> Option<String> {
        let mut random = Random::new(number as u64);
        let root = self.scratch.join(format!("root-{number}"));
        let linked = self.scratch.join(format!("linked-{number}"));
        fs::write(&linked, "outside").expect("scratch is ours");
        let mut shape = self.root(&root, &linked, &mut random);
        let kept = self.scratch.join(format!("kept-{number}"));
        let writes = match random.below(5) {
            0 => vec!["--rw".to_owned()],
            1 => vec!["--overlay".to_owned()],
            2 => {
                fs::create_dir(&kept).expect("scratch is ours");
                vec![format!("--overlay={}", kept.display())]
            }
            _ => Vec::new(),
        };
        let options = [writes, self.operations(&mut random)].concat();
        let swapped = random.one_in(4).then(|| *random.pick(&TARGETS));
        shape += &format!(", {options:?}, swapped {swapped:?}");
        shapes.lock().expect("no thread panics").insert(shape.clone());
        let before = state(&root);
        // The exchange itself changes times.
        let of_link = || if swapped.is_none() { state(&linked) } else { BTreeMap::new() };
        let outside = || (state(&self.canary), of_link(), fs::read(&linked).ok());
        let canary = outside();
        let wrong = self.run(&root, &options, swapped.map(|target| root.join(target)));
        let changed = (outside() != canary).then(|| format!("outside was changed: {:?}", outside()));
        let inside = (swapped.is_none() && state(&root) != before).then(|| format!("changed: {:?}", state(&root)));
        let _ = (fs::remove_dir_all(&root), fs::remove_dir_all(&kept), fs::remove_file(&linked));
        wrong.or(changed).or(inside).map(|what| format!("{number}: {what}\n  {shape}"))
    }

    fn run(&self, root: &Path, options: &[String], swapped: Option<PathBuf>) -> Option<String> {
        let over = AtomicBool::new(false);
        let canary = self.canary.to_string_lossy();
        // One that hangs is killed, and told as wrong.
        let mut command = Command::new("timeout");
        command
            .args(["-s", "KILL", "30"])
            .arg(holm())
            .args(["run", "--root"])
            .arg(root)
            .args(options)
            .arg("--chdir=/")
            .arg("/probe");
        // What may write to the root itself only looks.
        command.arg(if options.iter().any(|option| option == "--rw") { "look" } else { "write" });
        command.args(TARGETS.map(|target| format!("/{target}"))).arg(&*canary).arg(format!("/..{canary}"));
        command.arg(format!("/proc/1/root{canary}")).stdin(Stdio::null());
        let done = std::thread::scope(|scope| {
            if let Some(target) = &swapped {
                let over = &over;
                scope.spawn(move || swap(target, &self.canary, over));
            }
            let done = command.output().expect("it starts");
            over.store(true, Ordering::Relaxed);
            done
        });
        let (output, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        match done.status.code() {
            Some(0) if output == "ran\n" => None,
            Some(125..=127) if output.is_empty() && errors.starts_with("error: cannot ") => None,
            code => Some(format!("{code:?}, {output:?}, {errors:?}")),
        }
    }
}

/// Exchanges what is at `target` with a link to the canary, again and again.
fn swap(target: &Path, canary: &Path, over: &AtomicBool) {
    let other = target.with_extension("other");
    symlink(canary, &other).expect("scratch is ours");
    if fs::symlink_metadata(target).is_err() {
        fs::create_dir(target).expect("scratch is ours");
    }
    while !over.load(Ordering::Relaxed) {
        renameat_with(CWD, target, CWD, &other, RenameFlags::EXCHANGE).expect("both are there");
    }
}

#[test]
fn no_root_leads_out_or_is_changed() {
    let yard = Yard::new();
    let before = Traces::now();
    let (shapes, wrong, next) = (Mutex::new(HashSet::new()), Mutex::new(Vec::new()), AtomicUsize::new(0));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let different = shapes.lock().expect("no thread panics").len();
            if different >= ROOTS || number > 2 * ROOTS {
                break;
            }
            wrong.lock().expect("no thread panics").extend(yard.start(number, &shapes));
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    assert_eq!(Traces::left(&before, yard.scratch.path()), [""; 0]);
    let wrong = wrong.into_inner().expect("no thread panics");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(shapes.lock().expect("no thread panics").len() >= ROOTS);
}
