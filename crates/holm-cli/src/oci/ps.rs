//! `ps`: the pids of a container, or what ps(1) of the host says about them.

use super::{failed, print};
use clap::ArgMatches;
use holm_oci::Result;
use holm_oci::verbs;
use std::path::Path;
use std::process::Command;

pub(super) fn list(options: &ArgMatches, root: &Path, id: &str) -> Result<Vec<String>> {
    let pids = verbs::processes(root, id)?;
    if options.get_one::<String>("format").is_some_and(|form| form == "json") {
        return print::line(&pids);
    }
    let mut words: Vec<&str> =
        options.get_many::<String>("OPTIONS").into_iter().flatten().map(String::as_str).collect();
    if words.is_empty() {
        words.push("-ef");
    }
    let output = Command::new("ps").args(&words).output();
    let output = output.map_err(|error| failed(&format!("cannot run ps: {}", holm::model::text::cause(&error))))?;
    if !output.status.success() {
        return Err(failed(&format!("cannot run ps: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = table(&text, &pids).ok_or_else(|| failed("cannot read what ps says: it has no column PID"))?;
    print::text(&lines)
}

/// The head of a table and its lines about these; `None` if it has no pids.
fn table(text: &str, pids: &[i32]) -> Option<String> {
    let mut lines = text.lines();
    let head = lines.next()?;
    let column = head.split_whitespace().position(|name| name == "PID")?;
    let of = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|word| word.parse().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    };
    Some(
        std::iter::once(head).chain(lines.filter(of)).map(|line| format!("{}\n", crate::report::plain(line))).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_chosen_by_their_pid_alone() {
        let text = "UID  PID PPID CMD\nroot   1    0 12\nroot  12    1 a\nroot 112   12 b\n";
        assert_eq!(table(text, &[12]).as_deref(), Some("UID  PID PPID CMD\nroot  12    1 a\n"));
        assert_eq!(table("UID CMD\n", &[12]), None);
    }
}
