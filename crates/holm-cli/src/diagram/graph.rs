//! A picture as groups of nodes, for formats whose programs place them: groups in groups, a node a list of lines.

use super::layout::in_rows;
use super::picture::{Area, Item, Picture, Role, What, in_words};
use std::collections::HashMap;

/// Nodes and groups, each with a number of its own.
#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) parts: Vec<Part>,
    /// Pairs of nodes, the first of which stands above the second.
    pub(crate) above: Vec<[usize; 2]>,
    /// Pairs of nodes with a line between them, and its text.
    pub(crate) lines: Vec<([usize; 2], String)>,
}

/// A part of it.
pub(crate) enum Part {
    /// Other parts, with a title.
    Group { number: usize, role: Role, title: String, parts: Vec<Part> },
    /// Lines of text.
    Node { number: usize, kind: Kind, lines: Vec<String> },
}

/// What a node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Lines about the group that it is in.
    About,
    /// An area with nothing in it.
    Area,
    /// Items, a line each.
    Items,
    Interface,
}

impl Graph {
    /// The same picture as a graph.
    pub(crate) fn of(picture: &Picture) -> Graph {
        let mut making = Making::default();
        let parts = picture.areas.iter().map(|area| making.part(area)).collect();
        let Making { mut graph, interfaces, .. } = making;
        graph.parts = parts;
        for line in &picture.lines {
            if let [Some(one), Some(other)] = line.ends.map(|end| interfaces.get(&end)) {
                graph.lines.push(([*one, *other], line.text.clone()));
            }
        }
        graph
    }
}

#[derive(Default)]
struct Making {
    graph: Graph,
    next: usize,
    /// Nodes by the numbers of interfaces.
    interfaces: HashMap<usize, usize>,
}

impl Making {
    fn number(&mut self) -> usize {
        self.next += 1;
        self.next
    }

    fn part(&mut self, area: &Area) -> Part {
        let number = self.number();
        let mut about = area.about.clone();
        about.extend(if area.role == Role::Global { Vec::new() } else { in_words(&area.chips) });
        if area.items.is_empty() && area.below.is_empty() {
            let lines = std::iter::once(area.title.clone()).chain(about).collect();
            return Part::Node { number, kind: Kind::Area, lines };
        }
        let mut parts = Vec::new();
        if !about.is_empty() {
            parts.push(Part::Node { number: self.number(), kind: Kind::About, lines: about });
        }
        let (ends, texts): (Vec<&Item>, Vec<&Item>) =
            area.items.iter().partition(|item| matches!(item.what, What::Interface(_)));
        if !texts.is_empty() {
            let lines = texts.iter().map(|item| item.text.clone()).collect();
            parts.push(Part::Node { number: self.number(), kind: Kind::Items, lines });
        }
        let rows = in_rows(area.role);
        let before = parts.len();
        for item in ends {
            let number = self.number();
            if let What::Interface(end) = item.what {
                self.interfaces.insert(end, number);
            }
            parts.push(Part::Node { number, kind: Kind::Interface, lines: vec![item.text.clone()] });
        }
        // Interfaces stand side by side, all else below each other.
        self.stack(&parts[..before]);
        if let Some(above) = before.checked_sub(1) {
            parts[before..].iter().for_each(|end| self.put(&parts[above], end));
        }
        let inner: Vec<Part> = area.below.iter().map(|area| self.part(area)).collect();
        if rows {
            let columns = inner.len().isqrt().max(3);
            for (place, part) in inner.iter().enumerate().skip(columns) {
                self.put(&inner[place - columns], part);
            }
        } else {
            let last = parts.get(before).or(parts.last());
            if let (Some(above), Some(below)) = (last, inner.first()) {
                self.put(above, below);
            }
            self.stack(&inner);
        }
        parts.extend(inner);
        Part::Group { number, role: area.role, title: area.title.clone(), parts }
    }

    fn stack(&mut self, parts: &[Part]) {
        parts.windows(2).for_each(|two| self.put(&two[0], &two[1]));
    }

    /// Puts one part above another.
    fn put(&mut self, above: &Part, below: &Part) {
        let mut tops = Vec::new();
        below.tops(&mut tops);
        self.graph.above.extend(tops.into_iter().map(|top| [above.last(), top]));
    }
}

impl Part {
    /// Its uppermost nodes: one, or interfaces side by side.
    fn tops(&self, found: &mut Vec<usize>) {
        let is_end = |part: &&Part| matches!(part, Part::Node { kind: Kind::Interface, .. });
        match self {
            Part::Node { number, .. } => found.push(*number),
            Part::Group { parts, .. } => match parts.iter().take_while(is_end).count() {
                0 => parts.iter().take(1).for_each(|part| part.tops(found)),
                ends => parts[..ends].iter().for_each(|part| part.tops(found)),
            },
        }
    }

    /// Its lowest node.
    pub(crate) fn last(&self) -> usize {
        match self {
            Part::Node { number, .. } => *number,
            Part::Group { number, parts, .. } => parts.last().map_or(*number, Part::last),
        }
    }
}
