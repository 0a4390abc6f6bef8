//! The picture as SVG, from boxes in boxes. Colours are attributes, which every program that shows SVG knows; a style sheet
//! changes them where the reader wants it dark.

use super::layout::{self, CHIP, GAP, ITEM, LINE, PAD, Placed, SMALL, Spot, TITLE};
use super::lines::{End, Floor, corners};
use super::picture::{Chip, Item, Line, Picture, Role, Sharing, What};
use crate::see::width::columns;
use holm::model::namespace::Namespace;
use std::collections::HashMap;
use std::fmt::Write;

const SANS: &str = "system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif";
const MONO: &str = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace";
/// Around the whole, and the height of a note.
const MARGIN: usize = 16;
const NOTE: usize = 18;

/// What the signs of chips mean: other formats have words instead.
const LEGEND: &str = "full: own; outlined: shared with the set that is named; grey: the host's";

/// Where it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// As a file.
    Alone,
    /// In a page, which has a style sheet and a script that places anew.
    Page,
}

/// Light and dark colours by class: what is filled, the line around it, text on it.
const COLOURS: [(&str, [&str; 3], [&str; 3]); 13] = [
    ("paper", ["#ffffff", "none", "#0f172a"], ["#0b1220", "none", "#e2e8f0"]),
    ("system", ["#f8fafc", "#94a3b8", "#0f172a"], ["#111a2b", "#475569", "#e2e8f0"]),
    ("global", ["#e8eef6", "#64748b", "#0f172a"], ["#1c2940", "#7b8ca6", "#e2e8f0"]),
    ("owner", ["#f5f3ff", "#8b5cf6", "#2e1065"], ["#1b1638", "#7c5fd6", "#ddd6fe"]),
    ("set", ["#ffffff", "#334155", "#0f172a"], ["#162033", "#94a3b8", "#f1f5f9"]),
    ("inner", ["#f1f5f9", "#94a3b8", "#0f172a"], ["#0f1a2e", "#475569", "#e2e8f0"]),
    ("root", ["#ecfdf5", "#047857", "#064e3b"], ["#0b2620", "#34d399", "#a7f3d0"]),
    ("about", ["none", "none", "#475569"], ["none", "none", "#a3b1c6"]),
    ("process", ["#e2e8f0", "none", "#0f172a"], ["#2b3a55", "none", "#e2e8f0"]),
    ("interface", ["#dbeafe", "#1d4ed8", "#1e3a8a"], ["#172b56", "#60a5fa", "#bfdbfe"]),
    ("mount", ["#d1fae5", "none", "#064e3b"], ["#12362c", "none", "#a7f3d0"]),
    ("more", ["none", "none", "#475569"], ["none", "none", "#a3b1c6"]),
    ("host", ["none", "#cbd5e1", "#64748b"], ["none", "#3d4c64", "#8b9bb4"]),
];

/// The colours of a kind of namespace, light and dark.
fn hue(kind: Namespace) -> [&'static str; 2] {
    match kind {
        Namespace::User => ["#6d28d9", "#a78bfa"],
        Namespace::Cgroup => ["#92400e", "#fbbf24"],
        Namespace::Ipc => ["#be185d", "#f472b6"],
        Namespace::Uts => ["#0e7490", "#22d3ee"],
        Namespace::Net => ["#1d4ed8", "#60a5fa"],
        Namespace::Pid => ["#b91c1c", "#f87171"],
        Namespace::Time => ["#4d7c0f", "#a3e635"],
        Namespace::Mount => ["#047857", "#34d399"],
    }
}

/// The picture as a file.
pub(crate) fn write(picture: &Picture) -> String {
    let style = format!("<style>@media (prefers-color-scheme: dark) {{\n{}}}</style>\n", dark(""));
    drawing(picture, Place::Alone, &style)
}

/// The picture without a style sheet: light, wherever it is shown.
pub(crate) fn light(picture: &Picture) -> String {
    drawing(picture, Place::Alone, "")
}

/// Rules that make it dark, below what `scope` selects.
pub(crate) fn dark(scope: &str) -> String {
    let mut rules = String::new();
    for (class, _, [fill, line, text]) in COLOURS {
        // A string takes all.
        let _ =
            writeln!(rules, "{scope}.{class} {{ fill: {fill}; stroke: {line} }} {scope}.t-{class} {{ fill: {text} }}");
    }
    for kind in Namespace::ALL {
        let [_, dark] = hue(kind);
        let _ = writeln!(
            rules,
            "{scope}.own-{kind} {{ fill: {dark} }} {scope}.with-{kind} {{ stroke: {dark} }} {scope}.t-with-{kind} {{ fill: {dark} }}"
        );
    }
    rules + &format!("{scope}.t-own {{ fill: #0b1220 }} {scope}.veth {{ stroke: #60a5fa }}\n")
}

/// The element `svg`, with `style` at its beginning.
pub(crate) fn drawing(picture: &Picture, place: Place, style: &str) -> String {
    let areas = layout::place(picture);
    let wide = areas.iter().map(|area| area.width).max().unwrap_or(0);
    let notes: Vec<&str> = std::iter::once(LEGEND).chain(picture.notes.iter().map(String::as_str)).collect();
    let width = notes.iter().map(|note| columns(note) * 7).fold(wide, usize::max) + 2 * MARGIN;
    let bottom = areas.last().map_or(0, |area| area.y + area.height);
    let height = bottom + notes.len() * NOTE + 2 * MARGIN;
    let mut drawing = Drawing { text: String::new(), place, ends: HashMap::new(), areas: 0 };
    let _ = writeln!(
        drawing.text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" font-family=\"{SANS}\">\n<title>{}</title>\n{style}{}\n<g id=\"areas\" transform=\"translate({MARGIN} {MARGIN})\">",
        escape(&picture.title),
        box_of("paper", width, height, 0, "")
    );
    areas.iter().for_each(|area| drawing.area(area, 0, 0, &[]));
    let Drawing { mut text, ends, .. } = drawing;
    let _ = writeln!(text, "</g>\n<g id=\"lines\" transform=\"translate({MARGIN} {MARGIN})\">");
    picture.lines.iter().enumerate().for_each(|(number, line)| write_line(line, number, &ends, &mut text));
    let _ = writeln!(text, "</g>\n<g id=\"notes\" transform=\"translate({MARGIN} {})\">", MARGIN + bottom);
    for (number, note) in notes.iter().enumerate() {
        text += &line_of("t-", "about", [0, (number + 1) * NOTE], "12", note);
    }
    text + "</g>\n</svg>\n"
}

struct Drawing {
    text: String,
    place: Place,
    /// Where interfaces are.
    ends: HashMap<usize, End>,
    /// How many areas were drawn.
    areas: usize,
}

impl Drawing {
    /// An area whose surroundings begin at `left` and `top`, and out of which `way` leads.
    fn area(&mut self, placed: &Placed<'_>, left: usize, top: usize, way: &[Floor]) {
        let Placed { area, x, y, width, height, .. } = placed;
        let (left, top) = (left + x, top + y);
        let out = |floor: Floor| std::iter::once(floor).chain(way.iter().copied()).collect::<Vec<Floor>>();
        let number = self.areas;
        self.areas += 1;
        let class = class(area.role);
        let data = match self.place {
            Place::Alone => String::new(),
            Place::Page => {
                let (least, head) = layout::head(area);
                let least = least.max(layout::least(area.role));
                let flow = if layout::in_rows(area.role) { "rows" } else { "stack" };
                format!(" data-flow=\"{flow}\" data-least=\"{least}\" data-head=\"{head}\"")
            }
        };
        let _ = writeln!(self.text, "<g class=\"area\" transform=\"translate({x} {y})\"{data}>");
        let dashes = if matches!(area.role, Role::Owner | Role::Root) { " stroke-dasharray=\"5 3\"" } else { "" };
        self.text += &box_of(class, *width, *height, 9, dashes);
        let weight = if matches!(area.role, Role::Namespace(_) | Role::Root) { 500 } else { 650 };
        let bold = format!(" font-weight=\"{weight}");
        let size = if area.role == Role::System { 15 } else { 13 };
        self.text += &line_of("title t-", class, [PAD, PAD + 13], &format!("{size}\"{bold}"), &area.title);
        for (number, line) in area.about.iter().enumerate() {
            self.text += &line_of("t-", "about", [PAD, PAD + TITLE + number * LINE + 12], "12", line);
        }
        area.chips.iter().zip(&placed.chips).for_each(|(chip, spot)| self.chip(chip, *spot));
        for (item, spot) in area.items.iter().zip(&placed.items) {
            if let What::Interface(end) = item.what {
                let at = [left + spot.x + spot.width / 2, top + spot.y + ITEM];
                let last = placed.below.is_empty() && placed.items.iter().all(|other| other.y <= spot.y);
                let floor = Floor { area: number, left: left + PAD / 2, y: at[1] + SMALL / 2, last };
                self.ends.insert(end, End { at, way: out(floor) });
            }
            self.item(item, *spot);
        }
        for inner in &placed.below {
            let last = placed.below.iter().all(|other| other.y <= inner.y);
            let y = top + inner.y + inner.height + GAP / 2;
            self.area(inner, left, top, &out(Floor { area: number, left: left + PAD / 2, y, last }));
        }
        self.text += "</g>\n";
    }

    fn chip(&mut self, chip: &Chip, Spot { x, y, width }: Spot) {
        let kind = chip.kind;
        let [light, _] = hue(kind);
        let (paint, ink) = match chip.sharing {
            Sharing::Own => (
                format!("class=\"own-{kind}\" fill=\"{light}\""),
                "class=\"t-own\" fill=\"#ffffff\" font-weight=\"600\"".to_owned(),
            ),
            Sharing::With(_) => (
                format!("class=\"with-{kind}\" fill=\"none\" stroke=\"{light}\" stroke-width=\"1.5\""),
                format!("class=\"t-with-{kind}\" fill=\"{light}\" font-weight=\"600\""),
            ),
            Sharing::Host => (paint("host"), ink("host")),
            Sharing::Unknown => (paint("host") + " stroke-dasharray=\"2 2\"", ink("host")),
        };
        let told = match (chip.inode, &chip.sharing) {
            (Some(inode), _) => inode.to_string(),
            (None, Sharing::Own) => "namespace, new".to_owned(),
            (None, Sharing::With(other)) => format!("namespace of {other}"),
            (None, Sharing::Host) => "namespace of the host".to_owned(),
            (None, Sharing::Unknown) => "namespace, not known".to_owned(),
        };
        let _ = writeln!(
            self.text,
            "<g class=\"chip\" transform=\"translate({x} {y})\"><title>{kind} {}</title>\
             <rect width=\"{width}\" height=\"{CHIP}\" rx=\"4\" {paint}/>\
             <text x=\"{}\" y=\"14\" text-anchor=\"middle\" font-size=\"10\" font-family=\"{MONO}\" {ink}>{}</text></g>",
            escape(&told),
            width / 2,
            escape(&layout::chip_text(chip))
        );
    }

    fn item(&mut self, item: &Item, Spot { x, y, width }: Spot) {
        let (class, end) = match item.what {
            What::Process => ("process", String::new()),
            What::Interface(end) => ("interface", format!(" data-end=\"{end}\"")),
            What::Mount => ("mount", String::new()),
            What::More(_) => ("more", String::new()),
        };
        let round = if item.what == What::Process { ITEM / 2 } else { 5 };
        let _ = writeln!(
            self.text,
            "<g class=\"item\" transform=\"translate({x} {y})\"{end}><rect width=\"{width}\" height=\"{ITEM}\" rx=\"{round}\" {}/>\
             <text x=\"{}\" y=\"16\" text-anchor=\"middle\" font-size=\"12\" font-family=\"{MONO}\" {}>{}</text></g>",
            paint(class),
            width / 2,
            ink(class),
            escape(&item.text)
        );
    }
}

/// A line between two interfaces.
fn write_line(line: &Line, number: usize, ends: &HashMap<usize, End>, text: &mut String) {
    let [one, other] = line.ends;
    let (Some(from), Some(to)) = (ends.get(&one), ends.get(&other)) else { return };
    let points: Vec<String> = corners(from, to, number).iter().map(|[x, y]| format!("{x} {y}")).collect();
    let _ = writeln!(
        text,
        "<g data-ends=\"{one} {other}\"><title>{}</title><path class=\"veth\" fill=\"none\" stroke=\"#1d4ed8\" stroke-width=\"2\" stroke-opacity=\"0.8\" \
         stroke-linecap=\"round\" stroke-linejoin=\"round\" d=\"M{}\"/></g>",
        escape(&line.text),
        points.join("L")
    );
}

fn class(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Global => "global",
        Role::Owner => "owner",
        Role::Set => "set",
        Role::Namespace(_) => "inner",
        Role::Root => "root",
    }
}

fn colours(class: &str) -> [&'static str; 3] {
    COLOURS.iter().find(|(name, ..)| *name == class).map(|(_, light, _)| *light).expect("each class has colours")
}

/// The attributes of a shape of this class, and of text on it.
fn paint(class: &str) -> String {
    let [fill, line, _] = colours(class);
    format!("class=\"{class}\" fill=\"{fill}\" stroke=\"{line}\"")
}

fn ink(class: &str) -> String {
    format!("class=\"t-{class}\" fill=\"{}\"", colours(class)[2])
}

fn box_of(class: &str, width: usize, height: usize, round: usize, more: &str) -> String {
    format!("<rect width=\"{width}\" height=\"{height}\" rx=\"{round}\" {}{more}/>\n", paint(class))
}

/// A line of text in the ink of a class, whose name follows `mark`.
fn line_of(mark: &str, class: &str, [x, y]: [usize; 2], size: &str, text: &str) -> String {
    let ink = ink(class).replacen("t-", mark, 1);
    format!("<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" {ink}>{}</text>\n", escape(text))
}

/// Text in XML and HTML. Characters that XML can't have at all are shown by their numbers.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\u{fffe}' | '\u{ffff}' => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn markup_and_what_xml_lacks_are_escaped() {
        assert_eq!(super::escape("<script>'&\"\u{ffff}"), "&lt;script&gt;&#39;&amp;&quot;\\u{ffff}");
    }
}
