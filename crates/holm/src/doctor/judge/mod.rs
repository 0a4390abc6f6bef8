//! What the facts mean: a pure function, a chapter a file. Each chapter adds what it finds, good or bad; the order of the list
//! is made at the end.

mod calls;
mod groups;
mod ids;
mod kernel;
mod limits;
mod mounts;
mod namespaces;
mod security;
mod sight;
mod start;
#[cfg(test)]
mod tests;

use super::facts::{Container, Facts};
use super::{Area, By, Deed, Finding, Reach, Remedy, Status};

/// What the facts mean, the worst first.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut found = Found { facts, findings: Vec::new(), blocked: false };
    for chapter in [
        calls::judge,
        namespaces::judge,
        ids::judge,
        mounts::judge,
        security::judge,
        groups::judge,
        limits::judge,
        sight::judge,
        kernel::judge,
        start::judge,
    ] {
        chapter(&mut found);
    }
    let mut findings = found.findings;
    // Within the same status the order stays: causes before what comes of them.
    findings.sort_by_key(|finding| finding.status);
    findings
}

/// What was found so far.
struct Found<'a> {
    facts: &'a Facts,
    findings: Vec<Finding>,
    /// Whether it was told why the default sandbox doesn't start.
    blocked: bool,
}

impl Found<'_> {
    /// Something that works: what, and what was seen.
    fn works(&mut self, check: &'static str, area: Area, title: impl Into<String>, value: impl Into<String>) {
        self.findings.push(Finding { value: value.into(), ..finding(check, area, Status::Works, title) });
    }

    /// Something that is missing without a loss; what there is instead.
    fn absent(&mut self, check: &'static str, area: Area, title: impl Into<String>, cause: impl Into<String>) {
        self.findings.push(Finding { cause: cause.into(), ..finding(check, area, Status::Absent, title) });
    }

    fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Something without which the default sandbox doesn't start. It isn't the end where another one does.
    fn block(&mut self, finding: Finding) {
        self.blocked = true;
        let status = if self.facts.any_starts() { Status::Lost } else { Status::Fatal };
        self.add(Finding { status, ..finding });
    }
}

/// A finding of which the rest is still to be said.
fn finding(check: &'static str, area: Area, status: Status, title: impl Into<String>) -> Finding {
    Finding {
        check,
        area,
        status,
        title: title.into(),
        value: String::new(),
        cause: String::new(),
        lost: String::new(),
        remedies: Vec::new(),
    }
}

/// All that holm does with sandboxes.
const EVERYTHING: &str = "holm run, holm enter and roots that are built";

/// A command for root.
fn as_root(command: impl Into<String>, reach: Reach, weakens: &'static str) -> Remedy {
    Remedy { deeds: vec![Deed::Command(command.into())], by: By::Root, reach, weakens }
}

/// Something that only words can say.
fn advice(text: impl Into<String>, by: By, reach: Reach, weakens: &'static str) -> Remedy {
    Remedy { deeds: vec![Deed::Advice(text.into())], by, reach, weakens }
}

/// A sysctl: now, and from the next boot on.
fn sysctl(command: &str, weakens: &'static str) -> Remedy {
    let line = command.strip_prefix("sysctl -w ").unwrap_or(command).replacen('=', " = ", 1);
    // A file for each setting: what another way out writes stays.
    let setting = line.split(' ').next().unwrap_or_default();
    let name = setting.rsplit('.').next().unwrap_or_default();
    let file = Deed::File(format!("/etc/sysctl.d/90-holm-{name}.conf"), format!("{line}\n"));
    Remedy { deeds: vec![Deed::Command(command.to_owned()), file], by: By::Root, reach: Reach::Machine, weakens }
}

/// Options for what started the container around, by its kind.
fn outside(container: Option<Container>, options: &[(Container, &str)], weakens: &'static str) -> Vec<Remedy> {
    let option = |(kind, text): &(Container, &str)| {
        let deed = match kind {
            Container::Other => Deed::Advice((*text).to_owned()),
            _ => Deed::Options((*text).to_owned()),
        };
        Remedy { deeds: vec![deed], by: By::Outside, reach: Reach::Container, weakens }
    };
    let chosen: Vec<Remedy> = options.iter().filter(|(kind, _)| container == Some(*kind)).map(option).collect();
    let other = || options.iter().filter(|(kind, _)| *kind == Container::Other).map(option).collect();
    if chosen.is_empty() { other() } else { chosen }
}
