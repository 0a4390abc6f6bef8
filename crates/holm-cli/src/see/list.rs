//! `holm ls`.

use super::halves::halves;
use super::json;
use super::places::summary;
use super::screen::Screen;
use super::table::table;
use super::target::{makers, name, process};
use super::{Done, fault};
use crate::values;
use clap::ArgMatches;
use holm::inspect::machine::{Found, Link, Machine, Place};
use holm::inspect::maker::{Maker, Tool};
use std::collections::HashMap;

/// The columns in the order in which they are shown, those by default first.
const COLUMNS: [&str; 11] =
    ["kind", "id", "user", "procs", "leader", "name", "made-by", "held-by", "owner", "parent", "number"];
const BY_DEFAULT: usize = 8;

/// The namespaces that were asked for, as a table or as JSON.
pub(crate) fn print(machine: &Machine, matches: &ArgMatches, screen: &Screen) -> Done {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let wrong = |option: &str, cause: String| {
        vec![fault(format!("cannot use the value of {option}: {cause}"), "holm ls --help")]
    };
    let columns = columns(text("columns")).map_err(|cause| wrong("--columns", cause))?;
    let kinds = text("kind").map(values::namespaces).transpose().map_err(|cause| wrong("--kind", cause))?;
    let of = matches.get_one::<u32>("pid").map(|&pid| process(machine, pid)).transpose()?;
    let made_by = text("made-by");
    if let Some(unknown) = made_by.filter(|name| Tool::ALL.iter().all(|tool| tool.name() != *name)) {
        let known = Tool::ALL.map(Tool::name).join(", ");
        return Err(wrong("--made-by", format!("unknown tool {unknown:?}: the tools are {known}")));
    }
    let asked = matches.get_flag("json") || made_by.is_some() || columns.contains(&"made-by");
    let makers = if asked { makers(machine) } else { HashMap::new() };
    let wanted = |place: &Place| {
        let found = &machine.namespaces[*place];
        let maker = || makers.get(place).is_some_and(|maker| Some(maker.tool.name()) == made_by);
        kinds.as_ref().is_none_or(|kinds| kinds.contains(&found.kind))
            && of.is_none_or(|process| process.namespace(found.kind) == Some(*place))
            && (made_by.is_none() || maker())
    };
    let places: Vec<Place> = (0..machine.namespaces.len()).filter(wanted).collect();
    if matches.get_flag("json") {
        return json::document(machine, &places, &makers);
    }
    let row = |place: &Place| columns.iter().map(|column| cell(screen, machine, *place, column, &makers)).collect();
    let rows: Vec<Vec<String>> = halves(&places, ALONE, |places| places.iter().map(row).collect());
    let heading: Vec<String> = columns.iter().map(|column| column.to_uppercase()).collect();
    let heading: Vec<&str> = heading.iter().map(String::as_str).collect();
    Ok(table(screen, &heading, &rows))
}

/// So many rows one thread makes alone.
const ALONE: usize = 512;

fn columns(text: Option<&str>) -> values::Parsed<Vec<&'static str>> {
    let Some(text) = text else { return Ok(COLUMNS[..BY_DEFAULT].to_vec()) };
    let find = |name| {
        let known = COLUMNS.iter().copied().find(|column| *column == name);
        known.ok_or_else(|| format!("unknown column {name:?}: the columns are {}", COLUMNS.join(", ")))
    };
    text.split(',').map(find).collect()
}

/// The user who made a namespace's user namespace, or its own if it is one.
pub(crate) fn user(machine: &Machine, found: &Found) -> Option<u32> {
    found.uid.or_else(|| if let Link::To(owner) = found.owner { machine.namespaces[owner].uid } else { None })
}

fn cell(screen: &Screen, machine: &Machine, place: Place, column: &str, makers: &HashMap<Place, Maker>) -> String {
    let found = &machine.namespaces[place];
    let leader = || machine.leader(place);
    let number = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
    let link = |link: Link| match link {
        Link::To(to) => machine.namespaces[to].inode.to_string(),
        Link::None => "-".to_owned(),
        Link::Beyond => "not shown".to_owned(),
        Link::Unread => "?".to_owned(),
    };
    match column {
        "kind" => found.kind.to_string(),
        "id" => found.inode.to_string(),
        "user" => number(user(machine, found).map(|uid| uid.to_string())),
        "procs" => found.processes.len().to_string(),
        "leader" => number(leader().map(|leader| leader.pid.to_string())),
        "name" => leader().map(|leader| name(screen, leader)).unwrap_or_default(),
        "made-by" => makers.get(&place).map(|maker| screen.text(maker.to_string())).unwrap_or_default(),
        "held-by" => summary(screen, machine, place),
        "owner" => link(found.owner),
        "parent" => link(found.parent),
        _ => number(found.id.map(|id| id.to_string())),
    }
}
