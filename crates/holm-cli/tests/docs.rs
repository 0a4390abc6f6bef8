//! Runs the pages of `docs`: each command of a `console` block must print what the page shows.
//!
//! A page has one work directory for all its commands, each run by `sh -c`; lines that begin with `>` right below a
//! command belong to it. `…` on a line of its own stands for any lines, within a line for any text; `[exit N]` ends the
//! output of a command that ends with N. A comment above a block restricts it: `<!-- root -->` and `<!-- user -->` leave
//! it to that identity, `<!-- needs: subuid -->` to one with ranges of ids, `<!-- needs: groups -->` to root where memory
//! can be limited. A page ends what it starts.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use testkit::{Scratch, has_ranges, holm, is_root, skip};

const PATIENCE: Duration = Duration::from_secs(60);

fn docs() -> PathBuf {
    let own = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
    std::env::var_os("HOLM_DOCS").map_or_else(own, PathBuf::from)
}

/// One page: its path below `docs`, and its text.
struct Page {
    name: String,
    text: String,
}

fn pages(chapters: &[&str]) -> Vec<Page> {
    let mut pages = Vec::new();
    for chapter in chapters {
        let entries = std::fs::read_dir(docs().join(chapter)).expect("the chapter is there");
        for path in entries.map(|entry| entry.expect("it can be listed").path()) {
            if path.extension().is_some_and(|e| e == "md") {
                let file = path.file_name().expect("it has a name").to_string_lossy().into_owned();
                let text = std::fs::read_to_string(&path).expect("a page is text");
                pages.push(Page { name: format!("{chapter}/{file}"), text });
            }
        }
    }
    pages.sort_by(|one, other| one.name.cmp(&other.name));
    pages
}

fn all_pages() -> Vec<Page> {
    pages(&["cli", "guide", "reference", "roots", "see"])
}

/// A command with the lines it must print, and the line of the page where it stands.
#[derive(Debug, PartialEq)]
struct Example {
    line: usize,
    command: String,
    expected: Vec<String>,
}

/// What a comment above a block says about who runs it.
#[derive(Clone, Copy)]
enum Gate {
    Root,
    User,
    Subuid,
    Groups,
}

impl Gate {
    fn parse(line: &str, place: &str) -> Option<Gate> {
        let text = line.strip_prefix("<!--")?.strip_suffix("-->")?.trim();
        match text {
            "root" => Some(Gate::Root),
            "user" => Some(Gate::User),
            "needs: subuid" => Some(Gate::Subuid),
            "needs: groups" => Some(Gate::Groups),
            other => panic!("{place}: unknown marker {other:?}"),
        }
    }

    fn lets(self, place: &str) -> bool {
        match self {
            Gate::Root => is_root(),
            Gate::User => !is_root(),
            Gate::Subuid => {
                if !has_ranges() {
                    skip(&format!("{place}: the caller has no ranges in /etc/subuid, or newuidmap is missing"));
                }
                has_ranges()
            }
            Gate::Groups => {
                if is_root() && !has_groups() {
                    skip(&format!("{place}: no hierarchy of control groups has a controller of memory"));
                }
                is_root() && has_groups()
            }
        }
    }
}

fn has_groups() -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let available = || std::fs::read_to_string(Path::new(fields[1]).join("cgroup.controllers")).unwrap_or_default();
        match fields[2] {
            "cgroup" => fields[3].split(',').any(|option| option == "memory"),
            "cgroup2" => available().split_whitespace().any(|name| name == "memory"),
            _ => false,
        }
    })
}

/// The examples of a page that the present identity runs.
fn examples(page: &Page) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut gates: Vec<Gate> = Vec::new();
    // Whether the block is run, inside one.
    let mut inside = None;
    for (place, line) in page.text.lines().enumerate() {
        let here = format!("docs/{}:{}", page.name, place + 1);
        match (line, inside) {
            ("```console", None) => inside = Some(gates.drain(..).all(|gate| gate.lets(&here))),
            ("```", Some(_)) => inside = None,
            (_, None) => gates.extend(Gate::parse(line, &here)),
            (_, Some(false)) => {}
            (_, Some(true)) => read_line(&mut found, line, place + 1, &here),
        }
    }
    assert!(inside.is_none(), "docs/{}: a block has no end", page.name);
    found
}

fn read_line(found: &mut Vec<Example>, line: &str, place: usize, here: &str) {
    if let Some(command) = line.strip_prefix("$ ") {
        found.push(Example { line: place, command: command.to_owned(), expected: Vec::new() });
        return;
    }
    let last = found.last_mut().unwrap_or_else(|| panic!("{here}: output before a command"));
    match line.strip_prefix("> ").or((line == ">").then_some("")) {
        Some(more) if last.expected.is_empty() => {
            last.command.push('\n');
            last.command.push_str(more);
        }
        _ => last.expected.push(line.to_owned()),
    }
}

/// Whether `line` is `pattern`, in which `…` stands for any text.
fn fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn all_fit(expected: &[String], shown: &[String]) -> bool {
    match expected.split_first() {
        None => shown.is_empty(),
        Some((any, rest)) if any == "…" => (0..=shown.len()).any(|skipped| all_fit(rest, &shown[skipped..])),
        Some((pattern, rest)) => shown.first().is_some_and(|line| fits(pattern, line)) && all_fit(rest, &shown[1..]),
    }
}

/// Lines that fit at both ends with two spaces before them; of the rest what is expected with `-`, what is shown with `+`.
fn difference(expected: &[String], shown: &[String]) -> String {
    let same = |(pattern, line): &(&String, &String)| *pattern != "…" && fits(pattern, line);
    let head = expected.iter().zip(shown).take_while(same).count();
    let tail = expected[head..].iter().rev().zip(shown[head..].iter().rev()).take_while(same).count();
    let mut text = String::new();
    let mut write = |sign: &str, lines: &[String]| {
        for line in lines {
            writeln!(text, "{sign} {line}").expect("a string takes all");
        }
    };
    write(" ", &shown[..head]);
    write("-", &expected[head..expected.len() - tail]);
    write("+", &shown[head..shown.len() - tail]);
    write(" ", &shown[shown.len() - tail..]);
    text
}

/// Runs the examples of a page; what differs.
fn run_page(page: &Page) -> Vec<String> {
    let scratch = Scratch::new(&page.name.replace(['/', '.'], "-"));
    std::fs::create_dir(scratch.join("work")).expect("the scratch directory can be written");
    let mut wrong = Vec::new();
    for example in examples(page) {
        let shown = run_command(&example.command, &scratch);
        if !all_fit(&example.expected, &shown) {
            let place = format!("docs/{}:{}", page.name, example.line);
            wrong.push(format!("{place}: $ {}\n{}", example.command, difference(&example.expected, &shown)));
        }
    }
    wrong
}

/// The lines that a command prints on both streams, and its exit code if it isn't 0.
fn run_command(command: &str, scratch: &Scratch) -> Vec<String> {
    let output = scratch.join("output");
    // A file, not a pipe: a process that goes on in the background doesn't hold it up.
    std::fs::write(&output, "").expect("the scratch directory can be written");
    let stdout = File::options().append(true).open(&output).expect("it was just made");
    let stderr = stdout.try_clone().expect("a descriptor is left");
    let directory = holm().parent().expect("it is in a directory").to_owned();
    let path = format!("{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", directory.display());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).current_dir(scratch.join("work")).process_group(0);
    shell.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    shell.env_clear().env("PATH", path).env("LANG", "C.UTF-8").env("TERM", "xterm");
    shell.env("HOLM_STORE", scratch.join("store"));
    shell.env("XDG_CACHE_HOME", scratch.join("cache")).envs(std::env::var_os("HOME").map(|home| ("HOME", home)));
    let end = wait(&mut shell.spawn().expect("sh is there"));
    let bytes = std::fs::read(&output).expect("it was just made");
    let mut lines: Vec<String> = String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
    lines.extend(end);
    lines
}

/// How a command ended, unless it ended well; one that takes too long is ended with all it started.
fn wait(shell: &mut Child) -> Option<String> {
    let start = Instant::now();
    loop {
        if let Some(status) = shell.try_wait().expect("it is our child") {
            return match status.code() {
                Some(0) => None,
                Some(code) => Some(format!("[exit {code}]")),
                None => Some(format!("[{status}]")),
            };
        }
        if start.elapsed() > PATIENCE {
            let group = rustix::process::Pid::from_child(shell);
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).expect("it is not reaped yet");
            shell.wait().expect("it is our child");
            return Some(format!("[not over after {} s]", PATIENCE.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What differs on these pages, so many of which are run at once.
fn run_pages(pages: &[Page], at_once: usize) -> Vec<String> {
    let (left, wrong) = (Mutex::new(pages.iter()), Mutex::new(Vec::new()));
    let next = || left.lock().expect("no thread panics with it").next();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(page) = next() {
                    let found = run_page(page);
                    wrong.lock().expect("no thread panics with it").extend(found);
                }
            });
        }
    });
    wrong.into_inner().expect("no thread panics with it")
}

#[test]
fn every_page_shows_what_happens() {
    // What looks at the whole machine holds namespaces open while it looks: others would see that.
    let (see, others) = all_pages().into_iter().partition::<Vec<_>, _>(|page| page.name.contains("see"));
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let wrong = [run_pages(&others, processors), run_pages(&see, 1)].concat();
    assert!(wrong.is_empty(), "{} differ\n\n{}", wrong.len(), wrong.join("\n"));
}

/// The long options of `holm run --help`.
fn options() -> Vec<String> {
    let help = Command::new(holm()).args(["run", "--help"]).output().expect("holm starts");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let of_line = |line: &str| {
        let line = line.trim_start();
        let long = line.split_once(", ").filter(|(short, _)| short.len() == 2).map_or(line, |(_, long)| long);
        long.starts_with("--").then(|| named(long).into_iter().next()).flatten()
    };
    help.lines().filter_map(of_line).filter(|name| name != "--help").collect()
}

/// The long options that a text names.
fn named(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| word.starts_with("--") && word.len() > 2).map(str::to_owned).collect()
}

/// The long options that headings of the pages in docs/cli name.
fn in_headings() -> Vec<String> {
    let headings = |page: &Page| -> Vec<String> {
        page.text.lines().filter(|line| line.starts_with('#')).flat_map(named).collect()
    };
    pages(&["cli"]).iter().flat_map(headings).collect()
}

#[test]
fn each_option_has_a_page() {
    let (options, headings) = (options(), in_headings());
    assert!(options.len() > 30, "the help lists {options:?}");
    let missing: Vec<&String> = options.iter().filter(|option| !headings.contains(option)).collect();
    assert!(missing.is_empty(), "no heading in docs/cli names {missing:?}");
    let gone: Vec<&String> = headings.iter().filter(|heading| !options.contains(heading)).collect();
    assert!(gone.is_empty(), "headings in docs/cli name {gone:?}, which holm run does not have");
}

#[test]
fn each_page_of_an_option_shows_a_failure() {
    let lacks = |page: &&Page| !page.text.lines().any(|line| line.starts_with("[exit "));
    let pages = pages(&["cli"]);
    let without: Vec<&String> = pages.iter().filter(lacks).map(|page| &page.name).collect();
    assert!(without.is_empty(), "no failure on {without:?}");
}

#[test]
fn the_index_lists_every_page() {
    let index = std::fs::read_to_string(docs().join("README.md")).expect("the index is there");
    let pages = all_pages();
    let missing: Vec<&String> =
        pages.iter().map(|page| &page.name).filter(|name| !index.contains(&format!("({name})"))).collect();
    assert!(missing.is_empty(), "docs/README.md does not list {missing:?}");
}

fn lines(text: &[&str]) -> Vec<String> {
    text.iter().map(|&line| line.to_owned()).collect()
}

#[test]
fn dots_stand_for_any_text_and_any_lines() {
    assert!(fits("step … of …", "step 3 of 50") && fits("a…", "a") && fits("…", ""));
    assert!(!fits("step … of …", "step 3") && !fits("a", "ab") && !fits("a…b", "acbd"));
    assert!(all_fit(&lines(&["…", "b", "…"]), &lines(&["a", "b", "c", "d"])));
    assert!(all_fit(&lines(&["a", "…"]), &lines(&["a"])) && !all_fit(&lines(&["…", "b"]), &lines(&["b", "c"])));
}

#[test]
fn a_difference_shows_what_is_not_the_same() {
    let shown = difference(&lines(&["a", "b", "[exit …]"]), &lines(&["a", "c", "[exit 1]"]));
    assert_eq!(shown, "  a\n- b\n+ c\n  [exit 1]\n");
}

#[test]
fn a_command_may_go_on_over_lines() {
    let text = "```console\n$ cat <<'E'\n> one\n>\n> E\none\n\n> two\n```\n".to_owned();
    let found = examples(&Page { name: "page.md".to_owned(), text });
    let command = "cat <<'E'\none\n\nE".to_owned();
    assert_eq!(found, [Example { line: 2, command, expected: lines(&["one", "", "> two"]) }]);
}
