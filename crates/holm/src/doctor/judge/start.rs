//! Whole sandboxes, last: one that doesn't start for a reason that nothing else has told is told with what holm says.

use super::{EVERYTHING, Found, advice, finding};
use crate::doctor::facts::{Sandbox, Started, Try};
use crate::doctor::{Area, By, Reach, Status};

pub(super) fn judge(found: &mut Found<'_>) {
    let facts = found.facts;
    match facts.started(&Sandbox::Default) {
        Started::Yes => found.works("start", Area::Start, "sandboxes: the default one starts", ""),
        started if !found.blocked => started.failure().into_iter().for_each(|failure| no_start(found, failure)),
        _ => {}
    }
    untried(found);
    if facts.starts(&Sandbox::Within) {
        found.works("within", Area::Start, "sandboxes: one starts within another", "");
    } else if let Some(failure) = facts.started(&Sandbox::Within).failure()
        && !facts.of(Try::Nested).fails()
    {
        let mut fault = finding("within", Area::Start, Status::Lost, "no sandbox starts within another");
        (fault.value, fault.cause) = failure;
        fault.lost = "holm run --allow-userns: holm, browsers and builds inside".to_owned();
        found.add(fault);
    }
    if let Some(failure) = facts.started(&Sandbox::Clocks).failure() {
        let named = |check: &str| found.findings.iter().any(|one| one.check == check && one.status <= Status::Lost);
        if !named("time-namespaces") && !named("time-offsets") {
            let mut fault = finding("time-offsets", Area::Namespaces, Status::Lost, "clocks can't be shifted");
            (fault.value, fault.cause) = failure;
            fault.lost = "holm run --time-offset".to_owned();
            found.add(fault);
        }
    }
}

/// What nobody tried isn't known to work.
fn untried(found: &mut Found<'_>) {
    let facts = found.facts;
    if !facts.sandboxes.is_empty() && facts.sandboxes.iter().all(|(_, started)| *started != Started::Untried) {
        return;
    }
    let killing = facts.kills_starts();
    let mut fault = finding("untried", Area::Start, Status::Lost, "not all sandboxes were tried");
    (fault.cause, fault.remedies) = match killing.is_empty() {
        false => {
            let cause =
                format!("a filter kills whoever makes a system call that each start makes: {}", killing.join(", "));
            (cause, super::calls::unfilter(facts))
        }
        true => {
            let more = "raise the limits of processes and memory (ulimit -u, ulimit -v), or end what isn't needed";
            ("no more threads can be made".to_owned(), vec![advice(more, By::Caller, Reach::Run, "")])
        }
    };
    fault.lost = "it isn't known: what holm run and its options can do here".to_owned();
    found.add(fault);
}

/// The default sandbox doesn't start.
fn no_start(found: &mut Found<'_>, failure: (String, String)) {
    let facts = found.facts;
    let others = [Sandbox::SharedPids, Sandbox::SharedUsers];
    let with = others.iter().find(|sandbox| facts.starts(sandbox));
    let mut fault = finding("start", Area::Start, Status::Lost, "the default sandbox doesn't start");
    (fault.value, fault.cause) = failure;
    fault.lost = match with {
        Some(Sandbox::SharedPids) => "holm run without --share pid".to_owned(),
        Some(_) => "holm run without --share user".to_owned(),
        None => EVERYTHING.to_owned(),
    };
    found.block(fault);
}
