//! The picture: areas in areas, with text, and lines between items. A plain value, which each format writes in its own way.
//!
//! All text of it can be shown: [`shown`] has escaped what controls a terminal, and cut what is long. What means something in
//! a format is the writers' affair.

use crate::see::table::fold;
use crate::see::width::cut;
use holm::model::namespace::Namespace;
use std::collections::HashSet;
use std::ffi::OsStr;

/// Text has at most so many columns.
pub(crate) const COLUMNS: usize = 40;

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Picture {
    pub(crate) title: String,
    pub(crate) areas: Vec<Area>,
    pub(crate) lines: Vec<Line>,
    /// What isn't on it.
    pub(crate) notes: Vec<String>,
}

/// A box with what is in it, from top to bottom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) role: Role,
    pub(crate) title: String,
    /// Lines of text.
    pub(crate) about: Vec<String>,
    pub(crate) chips: Vec<Chip>,
    pub(crate) items: Vec<Item>,
    pub(crate) below: Vec<Area>,
}

/// What an area stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The machine.
    System,
    /// The namespaces with which it started, and the processes that are in all of them.
    Global,
    /// A user namespace with what is in it or owned by it.
    Owner,
    /// Processes with the same eight namespaces.
    Set,
    /// A namespace of this kind.
    Namespace(Namespace),
    /// The root directory that processes see.
    Root,
}

/// A namespace of a set: whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chip {
    pub(crate) kind: Namespace,
    pub(crate) inode: Option<u64>,
    pub(crate) sharing: Sharing,
}

/// Who else is in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// It is the host's.
    Host,
    /// Nobody.
    Own,
    /// Other sets; the first of them by its letters.
    With(String),
    /// It isn't known which one it is.
    Unknown,
}

/// Something in an area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) text: String,
    pub(crate) what: What,
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Process,
    /// A network interface; a line ends there by this number.
    Interface(usize),
    /// Something mounted.
    Mount,
    /// So many more that aren't drawn.
    More(usize),
}

/// A line between two interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) ends: [usize; 2],
    pub(crate) text: String,
}

/// Text that anybody may have written, as it can be shown, in at most [`COLUMNS`].
pub(crate) fn shown(text: impl AsRef<OsStr>) -> String {
    cut(&crate::report::plain(text), COLUMNS)
}

/// Longer text of that kind, in lines.
pub(crate) fn lines(text: impl AsRef<OsStr>) -> Vec<String> {
    fold(&cut(&crate::report::plain(text), 4 * COLUMNS), COLUMNS)
}

impl Area {
    /// An empty one.
    pub(crate) fn new(role: Role, title: String) -> Area {
        Area { role, title, about: Vec::new(), chips: Vec::new(), items: Vec::new(), below: Vec::new() }
    }

    /// How many sets it holds, itself included.
    fn sets(&self) -> usize {
        usize::from(matches!(self.role, Role::Set | Role::Global)) + self.below.iter().map(Area::sets).sum::<usize>()
    }

    fn interfaces(&self, found: &mut HashSet<usize>) {
        for item in &self.items {
            if let What::Interface(number) = item.what {
                found.insert(number);
            }
        }
        self.below.iter().for_each(|area| area.interfaces(found));
    }

    /// The same with at most `most` areas and items in each, and in those in it.
    fn fewer(&self, most: usize) -> Area {
        let count = |item: &Item| if let What::More(count) = item.what { count } else { 1 };
        let left: usize = self.items.iter().skip(most).map(count).sum();
        let more = (left > 0).then(|| Item::more(left, ""));
        let areas: usize = self.below.iter().skip(most).map(|area| area.sets().max(1)).sum();
        let more_areas = (areas > 0).then(|| Item::more(areas, if areas == 1 { " box" } else { " boxes" }));
        let items = self.items.iter().take(most).cloned().chain(more).chain(more_areas).collect();
        let below = self.below.iter().take(most).map(|area| area.fewer(most)).collect();
        Area { items, below, title: self.title.clone(), about: self.about.clone(), chips: self.chips.clone(), ..*self }
    }
}

impl Item {
    /// `+37 more`, of `what` if that isn't empty.
    pub(crate) fn more(count: usize, what: &str) -> Item {
        Item { text: format!("+{count} more{what}"), what: What::More(count) }
    }
}

impl Picture {
    /// The same with at most `most` areas and items in each area.
    pub(crate) fn fewer(&self, most: usize) -> Picture {
        let areas: Vec<Area> = self.areas.iter().map(|area| area.fewer(most)).collect();
        let mut drawn = HashSet::new();
        areas.iter().for_each(|area| area.interfaces(&mut drawn));
        let both = |line: &&Line| line.ends.iter().all(|end| drawn.contains(end));
        let lines = self.lines.iter().filter(both).cloned().collect();
        Picture { title: self.title.clone(), areas, lines, notes: self.notes.clone() }
    }
}

/// A space at which no line ends.
const TIE: char = '\u{a0}';

/// What chips say, in words: those of nobody else first, with their ids.
pub(crate) fn in_words(chips: &[Chip]) -> Vec<String> {
    let named = |chip: &Chip| match (chip.inode, &chip.sharing) {
        (Some(inode), Sharing::Own) => format!("{}{TIE}{inode}", chip.kind),
        (_, Sharing::With(letters)) => format!("{}{TIE}with{TIE}{letters}", chip.kind),
        _ => chip.kind.to_string(),
    };
    let heading = |chip: &Chip| match chip.sharing {
        Sharing::Own => "own",
        Sharing::With(_) => "shared",
        Sharing::Host => "the host's",
        Sharing::Unknown => "not known",
    };
    let mut lines = Vec::new();
    for text in ["own", "shared", "the host's", "not known"] {
        let names: Vec<String> = chips.iter().filter(|chip| heading(chip) == text).map(named).collect();
        if !names.is_empty() {
            let folded = fold(&format!("{text}: {}", names.join(", ")), COLUMNS);
            lines.extend(folded.into_iter().map(|line| line.replace(TIE, " ")));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_areas_say_how_many_are_left_out() {
        let mut host = Area::new(Role::System, "host".to_owned());
        for number in 0..9 {
            let mut set = Area::new(Role::Set, format!("set {number}"));
            set.items = vec![
                Item { text: "eth0".to_owned(), what: What::Interface(number) },
                Item { text: "a".to_owned(), what: What::Process },
                Item::more(7, ""),
            ];
            host.below.push(set);
        }
        let line = |one, other| Line { ends: [one, other], text: String::new() };
        let picture = Picture { areas: vec![host], lines: vec![line(0, 1), line(0, 8)], ..Picture::default() };
        let fewer = picture.fewer(2);
        let texts = |area: &Area| area.items.iter().map(|item| item.text.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&fewer.areas[0]), ["+7 more boxes"]);
        assert_eq!(texts(&fewer.areas[0].below[0]), ["eth0", "a", "+7 more"]);
        assert_eq!(fewer.lines, [line(0, 1)]);
        assert_eq!(texts(&picture.fewer(1).areas[0].below[0]), ["eth0", "+8 more"]);
    }
}
