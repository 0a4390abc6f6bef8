//! `holm diagram` and `holm run --diagram`: a picture, and what writes it in a format.
//!
//! [`machine`] makes the picture of what there is, [`sandbox`] that of what a plan would make; both are [`picture::Picture`]s.
//! [`svg`] and [`html`] place its boxes by [`layout`] and lines by [`lines`]; [`dot`] and [`mermaid`] leave that to others and write a [`graph`].
//! [`png`] draws the SVG.

mod dot;
mod facts;
mod graph;
mod html;
mod layout;
mod lines;
mod machine;
mod mermaid;
mod owners;
mod picture;
#[cfg_attr(not(feature = "png"), path = "diagram/no_png.rs")]
mod png;
mod sandbox;
mod svg;
#[cfg(test)]
mod tests;

use crate::report::{self, Fault};
use crate::see::matrix::Sharing;
use crate::see::{self, fault, missing, target};
use clap::ArgMatches;
use holm::Spec;
use holm::inspect::machine::{Machine, Place, Set};
use holm::model::namespace::Namespace;
use holm::plan::Plan;
use machine::Wanted;
use picture::Picture;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Mermaid,
    Dot,
    Svg,
    Html,
    Png,
}

impl Format {
    /// The one that a file's name says.
    fn of(path: &Path) -> Result<Format, Vec<Fault>> {
        match path.extension().and_then(OsStr::to_str) {
            Some("mmd" | "mermaid") => Ok(Format::Mermaid),
            Some("dot" | "gv") => Ok(Format::Dot),
            Some("svg") => Ok(Format::Svg),
            Some("html" | "htm") => Ok(Format::Html),
            Some("png") => Ok(Format::Png),
            _ => {
                let name = holm::model::text::name(path.as_os_str());
                let hint = "a name that ends in .svg, .html, .png, .dot or .mmd says it";
                Err(vec![fault(
                    format!("cannot write a diagram to {name}: its name doesn't say in which format"),
                    hint,
                )])
            }
        }
    }

    fn write(self, picture: &Picture) -> Result<Vec<u8>, Vec<Fault>> {
        let text = match self {
            Format::Mermaid => mermaid::write(picture),
            Format::Dot => dot::write(picture),
            Format::Svg => svg::write(picture),
            Format::Html => html::write(picture),
            Format::Png => return png::write(&svg::light(picture)).map_err(|fault| vec![fault]),
        };
        Ok(text.into_bytes())
    }
}

/// Draws the machine, to a file or standard output, and says what is missing.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let file = matches.get_one::<OsString>("output").map(Path::new);
    let drawn = see::machine().map_err(|fault| vec![fault]).and_then(|machine| {
        let bytes = draw(&machine, matches, file)?;
        let printed = match file {
            Some(path) => save(path, &bytes).map(|()| ExitCode::SUCCESS)?,
            None => report::printed(&bytes),
        };
        see::say_missing(&machine.unread);
        Ok(printed)
    });
    drawn.unwrap_or_else(|faults| report::faults(&faults))
}

/// The picture of the machine, in the format that is asked for.
fn draw(machine: &Machine, matches: &ArgMatches, file: Option<&Path>) -> Result<Vec<u8>, Vec<Fault>> {
    let format = match (matches.get_one::<String>("format").map(String::as_str), file) {
        (Some("dot"), _) => Format::Dot,
        (Some("svg"), _) => Format::Svg,
        (Some("html"), _) => Format::Html,
        (Some("png"), _) => Format::Png,
        (None, Some(path)) => Format::of(path)?,
        _ => Format::Mermaid,
    };
    let sharing = Sharing::of(machine);
    let wanted = wanted(machine, &sharing.sets, matches.get_many::<OsString>("target").into_iter().flatten())?;
    let drawn: Vec<&Set> = match &wanted {
        Wanted::All => sharing.sets.iter().collect(),
        Wanted::These(these) => {
            sharing.sets.iter().enumerate().filter(|(set, _)| these.contains(set)).map(|(_, set)| set).collect()
        }
    };
    let is_drawn = |place: &Place| {
        let all = matches!(wanted, Wanted::All) || machine.host(Namespace::Net) == Some(*place);
        machine.namespaces[*place].kind == Namespace::Net
            && (all || drawn.iter().any(|set| set.namespaces.contains(&Some(*place))))
    };
    let networks: Vec<Place> = (0..machine.namespaces.len()).filter(is_drawn).collect();
    let facts = facts::read(machine, &drawn, machine::DRAWN, &networks);
    let mut picture = machine::picture(machine, &facts, &sharing, &wanted);
    picture.notes.extend(missing(&machine.unread));
    if facts.network.unread > 0 {
        let count = facts.network.unread;
        picture.notes.push(format!("not all is shown: interfaces of {count} network namespaces (CAP_SYS_ADMIN)"));
    }
    format.write(&picture)
}

/// The sets that targets name: by a process, or by a namespace that they have.
fn wanted<'a>(
    machine: &Machine,
    sets: &[Set],
    names: impl Iterator<Item = &'a OsString>,
) -> Result<Wanted, Vec<Fault>> {
    let (mut these, mut any) = (HashSet::new(), false);
    for name in names {
        any = true;
        let number = name.to_str().and_then(|name| name.parse::<u32>().ok());
        let pid = number.filter(|&number| u64::from(number) <= target::PIDS);
        if let Some(pid) = pid {
            target::process(machine, pid)?;
        }
        let place = if pid.is_none() { Some(target::namespace(machine, name)?) } else { None };
        let has = |set: &Set| match (pid, place) {
            (Some(pid), _) => set.processes.binary_search(&pid).is_ok(),
            (None, place) => set.namespaces.contains(&place),
        };
        let found: Vec<usize> = sets.iter().enumerate().filter(|(_, set)| has(set)).map(|(number, _)| number).collect();
        if found.is_empty() {
            let message = format!("cannot draw {}: no process is in it", holm::model::text::name(name));
            return Err(vec![fault(message, "holm ls lists namespaces; holm why shows what keeps one alive")]);
        }
        these.extend(found);
    }
    Ok(if any { Wanted::These(these) } else { Wanted::All })
}

/// Writes a picture to a file, whole or not at all.
fn save(path: &Path, bytes: &[u8]) -> Result<(), Vec<Fault>> {
    use std::io::Write;
    let write = |mut file: &std::fs::File| file.write_all(bytes).map_err(crate::root::export::unwritten(path));
    crate::root::export::whole(path, write).map(|_| ())
}

/// Draws what a plan would make.
pub(crate) fn draw_plan(spec: &Spec, plan: &Plan, path: &Path) -> ExitCode {
    let picture = sandbox::picture(spec, plan);
    let saved = Format::of(path).and_then(|format| save(path, &format.write(&picture)?));
    saved.map_or_else(|faults| report::faults(&faults), |()| ExitCode::SUCCESS)
}
