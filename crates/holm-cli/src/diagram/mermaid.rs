//! Mermaid's flowcharts, as GitHub shows them: at most 50,000 characters and 500 edges, so large pictures are collapsed.

use super::graph::{Graph, Kind, Part};
use super::picture::Picture;
use std::fmt::Write;

/// The limits of a page of GitHub's (Mermaid's `maxTextSize` and `maxEdges`).
const CHARACTERS: usize = 50_000;
const EDGES: usize = 500;

/// Lines of text are as long as they are, and what is only about a group has no border.
const HEAD: &str = "\
%%{init: {\"flowchart\": {\"wrappingWidth\": 500}}}%%
flowchart TB
  classDef about fill:none,stroke:none
";

/// The picture as a flowchart; of a large one the first parts of each area, and how many more there are.
pub(crate) fn write(picture: &Picture) -> String {
    let whole = write_whole(&Graph::of(picture), &picture.notes);
    let smaller = (0..10).rev().map(|power| write_whole(&Graph::of(&picture.fewer(1 << power)), &picture.notes));
    std::iter::once(whole).chain(smaller).find_map(|text| text).unwrap_or_default()
}

/// The whole of it, with notes below it, unless it is too large.
fn write_whole(graph: &Graph, notes: &[String]) -> Option<String> {
    let lowest = graph.parts.last().map(Part::last).filter(|_| !notes.is_empty());
    if graph.above.len() + graph.lines.len() + usize::from(lowest.is_some()) > EDGES {
        return None;
    }
    let mut text = String::from(HEAD);
    graph.parts.iter().for_each(|part| write_part(part, 1, &mut text));
    if let Some(lowest) = lowest {
        let notes: Vec<String> = notes.iter().map(|note| escape(note)).collect();
        // A string takes all.
        let _ = writeln!(text, "  notes[\"{}\"]:::about\n  n{lowest} ~~~ notes", notes.join("<br/>"));
    }
    for [above, below] in &graph.above {
        let _ = writeln!(text, "  n{above} ~~~ n{below}");
    }
    for ([one, other], label) in &graph.lines {
        let _ = writeln!(text, "  n{one} ---|\"{}\"| n{other}", escape(label));
    }
    (text.chars().count() <= CHARACTERS).then_some(text)
}

fn write_part(part: &Part, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match part {
        Part::Group { number, title, parts, .. } => {
            let _ = writeln!(text, "{indent}subgraph n{number}[\"{}\"]", escape(title));
            // Without that one in another is turned.
            let _ = writeln!(text, "{indent}  direction TB");
            parts.iter().for_each(|part| write_part(part, depth + 1, text));
            let _ = writeln!(text, "{indent}end");
        }
        Part::Node { number, kind, lines } => {
            let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
            let (open, close) = match kind {
                Kind::About => ("[", "]:::about"),
                Kind::Area => ("[", "]"),
                Kind::Items => ("(", ")"),
                Kind::Interface => ("([", "])"),
            };
            let _ = writeln!(text, "{indent}n{number}{open}\"{}\"{close}", lines.join("<br/>"));
        }
    }
}

/// Text in quotes: what isn't a plain letter, digit or mark is written as its number (Mermaid's "entity codes"), so that no
/// quote, directive, markup or list begins.
fn escape(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || " /,:+…·=?".contains(c);
    text.chars().fold(String::new(), |mut escaped, c| {
        if plain(c) {
            escaped.push(c);
        } else {
            let _ = write!(escaped, "#{};", c as u32);
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_mermaids_own_is_left_in_text() {
        assert_eq!(escape("a\"]; end"), "a#34;#93;#59; end");
        assert_eq!(escape("%%{init: {}}%%"), "#37;#37;#123;init: #123;#125;#125;#37;#37;");
        assert_eq!(escape("<b>`x`</b>#35;"), "#60;b#62;#96;x#96;#60;/b#62;#35;35#59;");
    }
}
