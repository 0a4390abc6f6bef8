//! Where each box of a picture stands. Areas lie in rows, or below each other in a set; chips and items flow like words.
//!
//! All numbers are pixels. What text takes is estimated by its columns: a page has whatever fonts there are. The page's own
//! script places in the same way (`page.js`).

use super::picture::{Area, Chip, Item, Picture, Role, Sharing};
use crate::see::width::columns;

/// Between the border of an area and what is in it.
pub(crate) const PAD: usize = 12;
/// Between areas.
pub(crate) const GAP: usize = 12;
/// Between chips, and between items.
pub(crate) const SMALL: usize = 5;
/// Below chips, and below items.
const AFTER: usize = 10;
/// Heights of a title and of a line about an area, of a chip, and of an item.
pub(crate) const TITLE: usize = 22;
pub(crate) const LINE: usize = 17;
pub(crate) const CHIP: usize = 20;
pub(crate) const ITEM: usize = 24;
/// The least width inside of a set.
const SET: usize = 300;
/// Widths that a whole picture may have.
const WIDTHS: [usize; 7] = [720, 1064, 1400, 1740, 2400, 3400, 6800];

/// A box with what is in it; places are relative to its own corner.
pub(crate) struct Placed<'a> {
    pub(crate) area: &'a Area,
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) chips: Vec<Spot>,
    pub(crate) items: Vec<Spot>,
    pub(crate) below: Vec<Placed<'a>>,
}

/// Where a chip or an item stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) width: usize,
}

/// Places the areas of a picture below each other, so that it is hardly higher than wide.
pub(crate) fn place(picture: &Picture) -> Vec<Placed<'_>> {
    let attempts = WIDTHS.iter().map(|&room| {
        let mut y = 0;
        let mut areas: Vec<Placed<'_>> = picture.areas.iter().map(|area| of_area(area, room)).collect();
        for area in &mut areas {
            area.y = y;
            y += area.height + GAP;
        }
        (areas, y, room)
    });
    let mut last = Vec::new();
    for (areas, height, room) in attempts {
        last = areas;
        if height * 10 <= room * 9 {
            break;
        }
    }
    last
}

/// The width of text of so many columns, by hundredths of a pixel a column.
fn text(text: &str, each: usize) -> usize {
    columns(text) * each / 100
}

/// What a chip says.
pub(crate) fn chip_text(chip: &Chip) -> String {
    match &chip.sharing {
        Sharing::Own | Sharing::Host => chip.kind.to_string(),
        Sharing::With(letters) => format!("{} = {letters}", chip.kind),
        Sharing::Unknown => format!("{} ?", chip.kind),
    }
}

pub(crate) fn chip_width(chip: &Chip) -> usize {
    text(&chip_text(chip), 605) + 9
}

pub(crate) fn item_width(item: &Item) -> usize {
    text(&item.text, 725) + 18
}

/// The width that title and lines take, and their height.
pub(crate) fn head(area: &Area) -> (usize, usize) {
    let lines = area.about.iter().map(|line| text(line, 720)).max().unwrap_or(0);
    (text(&area.title, 880).max(lines), TITLE + LINE * area.about.len() + if lines > 0 { SMALL } else { 0 })
}

/// Whether areas in one lie side by side.
pub(crate) fn in_rows(role: Role) -> bool {
    matches!(role, Role::System | Role::Owner)
}

/// The least width inside of an area.
pub(crate) fn least(role: Role) -> usize {
    if matches!(role, Role::Set | Role::Global) { SET } else { 0 }
}

/// An area that is at most `room` wide, if what is in it lets that be.
fn of_area(area: &Area, room: usize) -> Placed<'_> {
    let (title, height) = head(area);
    let inside = room.saturating_sub(2 * PAD);
    // What lies in rows takes all there is; a set is as wide as it must be.
    let flow = if in_rows(area.role) { inside } else { inside.min(SET).max(least(area.role)).max(title) };
    let mut y = PAD + height;
    let mut widest = title.max(least(area.role));
    let widths: Vec<usize> = area.chips.iter().map(chip_width).collect();
    let chips = spots(&widths, flow, CHIP, &mut y, &mut widest);
    let widths: Vec<usize> = area.items.iter().map(item_width).collect();
    let items = spots(&widths, flow, ITEM, &mut y, &mut widest);
    let mut below: Vec<Placed<'_>> = area.below.iter().map(|inner| of_area(inner, flow)).collect();
    if in_rows(area.role) {
        rows(&mut below, flow, &mut y, &mut widest);
    } else {
        widest = below.iter().map(|inner| inner.width).fold(widest, usize::max);
        for inner in &mut below {
            (inner.x, inner.y) = (PAD, y);
            y += inner.height + GAP;
        }
        if !below.is_empty() {
            y -= GAP;
        }
    }
    // What flows keeps a distance from what follows.
    if area.below.is_empty() && !(area.chips.is_empty() && area.items.is_empty()) {
        y -= AFTER;
    }
    let mut placed = Placed { area, x: 0, y: 0, width: 0, height: y + PAD, chips, items, below };
    placed.widen(widest + 2 * PAD);
    placed
}

/// Lets chips or items of these widths flow, from `y` on, which is moved below them.
fn spots(widths: &[usize], room: usize, height: usize, y: &mut usize, widest: &mut usize) -> Vec<Spot> {
    let mut x = 0;
    let mut found = Vec::new();
    for &width in widths {
        if x > 0 && x + width > room {
            x = 0;
            *y += height + SMALL;
        }
        found.push(Spot { x: PAD + x, y: *y, width });
        *widest = (*widest).max(x + width);
        x += width + SMALL;
    }
    if !widths.is_empty() {
        *y += height + AFTER;
    }
    found
}

/// Lets areas flow; those of a row are equally high.
fn rows(areas: &mut [Placed<'_>], room: usize, y: &mut usize, widest: &mut usize) {
    let mut start = 0;
    while start < areas.len() {
        let (mut end, mut x) = (start, 0);
        while end < areas.len() && (end == start || x + areas[end].width <= room) {
            areas[end].x = PAD + x;
            x += areas[end].width + GAP;
            end += 1;
        }
        let row = &mut areas[start..end];
        let height = row.iter().map(|area| area.height).max().unwrap_or(0);
        for area in row {
            (area.y, area.height) = (*y, height);
        }
        *widest = (*widest).max(x - GAP);
        *y += height + GAP;
        start = end;
    }
    if !areas.is_empty() {
        *y -= GAP;
    }
}

impl Placed<'_> {
    /// Makes it so wide, and what is below each other in it.
    fn widen(&mut self, width: usize) {
        self.width = width;
        if !in_rows(self.area.role) {
            self.below.iter_mut().for_each(|inner| inner.widen(width - 2 * PAD));
        }
    }
}
