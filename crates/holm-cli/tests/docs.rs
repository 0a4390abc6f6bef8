//! Runs the pages of docs/cli: each command of a `console` block must print what the page shows.
//!
//! `…` on a line of its own stands for any lines, within a line for any text; `[exit N]` ends the output of a command that
//! ends with N. `<!-- root -->` or `<!-- user -->` above a block leaves it to that identity.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use testkit::{Scratch, holm, is_root};

fn pages() -> Vec<PathBuf> {
    let own = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
    let docs = std::env::var_os("HOLM_DOCS").map_or_else(own, PathBuf::from);
    let pages = std::fs::read_dir(docs.join("cli")).expect("the pages are there").flatten().map(|entry| entry.path());
    pages.filter(|path| path.extension().is_some_and(|e| e == "md")).collect()
}

/// A command with the lines it must print, and where it stands.
struct Example {
    line: usize,
    command: String,
    expected: Vec<String>,
}

fn examples(text: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let (mut inside, mut left_out) = (false, false);
    for (place, line) in text.lines().enumerate() {
        match line {
            "```console" => inside = true,
            "```" => (inside, left_out) = (false, false),
            "<!-- root -->" => left_out = !is_root(),
            "<!-- user -->" => left_out = is_root(),
            _ if !inside || left_out => {}
            _ => match (line.strip_prefix("$ "), found.last_mut()) {
                (Some(command), _) => {
                    found.push(Example { line: place + 1, command: command.to_owned(), expected: Vec::new() });
                }
                (None, Some(example)) => example.expected.push(line.to_owned()),
                (None, None) => panic!("output before a command in line {}", place + 1),
            },
        }
    }
    found
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

fn all_fit(expected: &[String], lines: &[&str]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((any, rest)) if any == "…" => (0..=lines.len()).any(|skipped| all_fit(rest, &lines[skipped..])),
        Some((pattern, rest)) => lines.first().is_some_and(|line| fits(pattern, line)) && all_fit(rest, &lines[1..]),
    }
}

fn run_page(page: &std::path::Path) -> Vec<String> {
    let name = page.file_stem().expect("it has a name").to_string_lossy().into_owned();
    let scratch = Scratch::new(&format!("page-{name}"));
    let directory = holm().parent().expect("it is in a directory").to_owned();
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap_or_default());
    let mut wrong = Vec::new();
    for example in examples(&std::fs::read_to_string(page).expect("a page is text")) {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("{{ {}\n}} 2>&1", example.command)).current_dir(scratch.path()).env("PATH", &path);
        let done = shell.stdin(Stdio::null()).output().expect("sh is there");
        let mut shown = String::from_utf8_lossy(&done.stdout).replace("\r\n", "\n");
        if let Some(code @ 1..) = done.status.code() {
            shown += &format!("[exit {code}]\n");
        }
        if !all_fit(&example.expected, &shown.lines().collect::<Vec<_>>()) {
            let expected = example.expected.join("\n");
            wrong.push(format!(
                "{name}.md:{}: {}\nexpected:\n{expected}\nshown:\n{shown}",
                example.line, example.command
            ));
        }
    }
    wrong
}

#[test]
fn every_page_shows_what_happens() {
    let pages = pages();
    assert!(pages.len() >= 6, "{pages:?}");
    let wrong: Vec<String> = pages.iter().flat_map(|page| run_page(page)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_option_stands_on_a_page() {
    let text: String = pages().iter().map(|page| std::fs::read_to_string(page).expect("a page is text")).collect();
    let help = Command::new(holm()).args(["run", "--help"]).output().expect("holm starts");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let options = help.lines().filter_map(|line| line.trim_start().trim_start_matches("-t, ").strip_prefix("--"));
    let names =
        options.map(|rest| rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next().unwrap_or(rest));
    let missing: Vec<&str> = names.filter(|name| *name != "help" && !text.contains(&format!("--{name}"))).collect();
    assert!(missing.is_empty(), "no page names {missing:?}");
}
