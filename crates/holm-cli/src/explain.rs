//! The plan for people, as JSON, and as a script that does it by hand.

use crate::report;
use holm::plan::Plan;
use holm::plan::step::Actor;
use std::process::ExitCode;

/// Prints `plan` in this form: `table`, `json` or `sh`.
pub(crate) fn print(plan: &Plan, form: &str) -> ExitCode {
    report::printed(&match form {
        "json" => json(plan).into_bytes(),
        "sh" => plan.script(),
        _ => table(plan).into_bytes(),
    })
}

fn actor(actor: Actor) -> &'static str {
    match actor {
        Actor::Parent => "outside",
        Actor::ParentAtOnce => "outside, at once",
        Actor::ParentMeanwhile => "outside, while the child waits",
        Actor::Child => "inside",
        Actor::Aide => "beside",
    }
}

fn table(plan: &Plan) -> String {
    let mut text = String::from("Nothing is done. These steps would be:\n\n");
    for (place, step) in plan.steps().iter().enumerate() {
        text += &format!("{:3}. {}\n", place + 1, report::plain(step.act.to_string()));
        let origin =
            if step.origin.is_empty() { String::new() } else { format!(" (from {})", report::plain(&step.origin)) };
        text += &format!("     {}: {}{origin}\n", actor(step.actor), step.why);
    }
    if !plan.weaker().is_empty() {
        text.push('\n');
    }
    for weaker in plan.weaker() {
        let origin = if weaker.origin.is_empty() { "" } else { &format!(" (from {})", report::plain(&weaker.origin)) };
        text += &format!("  weaker than the default: {}{origin}\n", report::plain(&weaker.message));
    }
    text
}

/// `{"version": 1, "steps": [{"number", "where", "act", "why", "from"}], "weaker": [{"what", "from"}]}`; `from` is null for
/// a default.
fn json(plan: &Plan) -> String {
    let steps: Vec<serde_json::Value> = plan
        .steps()
        .iter()
        .enumerate()
        .map(|(place, step)| {
            let from = if step.origin.is_empty() { None } else { Some(&step.origin) };
            serde_json::json!({
                "number": place + 1,
                "where": actor(step.actor),
                "act": step.act.to_string(),
                "why": step.why,
                "from": from,
            })
        })
        .collect();
    let weaker: Vec<serde_json::Value> = plan
        .weaker()
        .iter()
        .map(
            |one| serde_json::json!({ "what": one.message, "from": Some(&one.origin).filter(|from| !from.is_empty()) }),
        )
        .collect();
    let whole = serde_json::json!({ "version": 1, "steps": steps, "weaker": weaker });
    format!("{whole:#}\n")
}
