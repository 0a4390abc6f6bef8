//! Graphviz's language (its documentation, "DOT Language").

use super::graph::{Graph, Kind, Part};
use super::picture::{Picture, Role};
use std::fmt::Write;

const HEAD: &str = "\
  compound=true newrank=false ranksep=0.15 nodesep=0.2 fontname=\"Helvetica,sans-serif\" fontsize=13
  node [fontname=\"Helvetica,sans-serif\" fontsize=11 shape=box style=\"rounded,filled\" color=\"#94a3b8\" fillcolor=\"#ffffff\" margin=\"0.12,0.06\"]
  edge [fontname=\"Helvetica,sans-serif\" fontsize=10 color=\"#1d4ed8\" fontcolor=\"#1d4ed8\"]
";

/// The picture as a graph of clusters.
pub(crate) fn write(picture: &Picture) -> String {
    let graph = Graph::of(picture);
    let mut text = format!("graph holm {{\n{HEAD}");
    graph.parts.iter().for_each(|part| write_part(part, 1, &mut text));
    for [above, below] in &graph.above {
        // A string takes all.
        let _ = writeln!(text, "  n{above} -- n{below} [style=invis]");
    }
    for ([one, other], label) in &graph.lines {
        let _ = writeln!(text, "  n{one} -- n{other} [label=\"{}\" penwidth=2 constraint=false]", escape(label));
    }
    let notes: Vec<String> = picture.notes.iter().map(|note| escape(note)).collect();
    if !notes.is_empty() {
        let _ = writeln!(text, "  labeljust=l label=\"{}\\l\"", notes.join("\\l"));
    }
    text + "}\n"
}

fn write_part(part: &Part, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match part {
        Part::Group { number, role, title, parts } => {
            let (fill, line, style) = colours(*role);
            let _ = writeln!(text, "{indent}subgraph cluster_{number} {{");
            let _ = writeln!(
                text,
                "{indent}  label=\"{}\" labeljust=l style=\"rounded,filled{style}\" fillcolor=\"{fill}\" color=\"{line}\"",
                escape(title)
            );
            parts.iter().for_each(|part| write_part(part, depth + 1, text));
            let _ = writeln!(text, "{indent}}}");
        }
        Part::Node { number, kind, lines } => {
            let shape = match kind {
                Kind::About => " shape=plaintext style=\"\"",
                Kind::Area => " style=\"rounded,dashed\"",
                Kind::Items => " fillcolor=\"#e2e8f0\"",
                Kind::Interface => " fillcolor=\"#dbeafe\" color=\"#1d4ed8\"",
            };
            let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
            let _ = writeln!(text, "{indent}n{number} [label=\"{}\\l\"{shape}]", lines.join("\\l"));
        }
    }
}

/// Fill, line, and what is added to the style of an area.
fn colours(role: Role) -> (&'static str, &'static str, &'static str) {
    match role {
        Role::System => ("#f8fafc", "#94a3b8", ""),
        Role::Global => ("#e8eef5", "#64748b", ""),
        Role::Owner => ("#f5f3ff", "#8b5cf6", ",dashed"),
        Role::Set => ("#ffffff", "#334155", ""),
        Role::Namespace(_) | Role::Root => ("#f0fdf4", "#047857", ""),
    }
}

/// Text in quotes: backslashes begin what Graphviz replaces, ampersands what HTML does.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    #[test]
    fn quotes_backslashes_and_entities_stay_text() {
        assert_eq!(super::escape("a\"]; \\N &lt;"), "a\\\"]; \\\\N &amp;lt;");
    }
}
