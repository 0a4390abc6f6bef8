//! What the rules of a filter say about a call, read word by word: what its instructions must answer.

use holm::model::seccomp::{ARCHITECTURE, Action, Call, Comparison, Condition, ENOSYS, Filter};

/// The plain reading.
pub fn plain(filter: &Filter, call: &Call) -> Action {
    if call.architecture != ARCHITECTURE {
        return Action::KillProcess;
    }
    match call.number {
        u32::MAX => return Action::Errno(ENOSYS),
        0x4000_0000.. => return Action::KillProcess,
        number if number >= filter.unknown_from => return Action::Errno(ENOSYS),
        _ => {}
    }
    let holds = |c: &Condition| {
        let argument = call.arguments[usize::from(c.argument)] & c.mask;
        match c.comparison {
            Comparison::Equal => argument == c.value,
            Comparison::NotEqual => argument != c.value,
            Comparison::Less => argument < c.value,
            Comparison::LessOrEqual => argument <= c.value,
            Comparison::Greater => argument > c.value,
            Comparison::GreaterOrEqual => argument >= c.value,
        }
    };
    let rules = filter.calls.get(&call.number).into_iter().flatten();
    rules.into_iter().find(|rule| rule.conditions.iter().all(holds)).map_or(filter.otherwise, |rule| rule.action)
}
