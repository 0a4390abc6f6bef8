//! The way of a line between two interfaces: where nothing is written, out of the areas that only one of them is in.
//!
//! Out of an area it goes below the row in which it begins: straight down if that is the last one, else at the left border.
//! `page.js` has the same rules.

/// Lines side by side have such a distance, and so many are side by side.
const APART: usize = 3;
const BESIDE: usize = 3;

/// One end of a line.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// The middle of the interface's lower border.
    pub(crate) at: [usize; 2],
    /// The way out, from the innermost area on.
    pub(crate) way: Vec<Floor>,
}

/// The way out of one row of an area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Floor {
    /// The area's number.
    pub(crate) area: usize,
    /// The middle between the area's left border and what is in it.
    pub(crate) left: usize,
    /// The middle between this row and what is below it.
    pub(crate) y: usize,
    /// Whether nothing is below it.
    pub(crate) last: bool,
}

/// The corners of the line with this number.
pub(crate) fn corners(from: &End, to: &End, number: usize) -> Vec<[usize; 2]> {
    let is_shared = |floor: &&Floor| to.way.iter().any(|other| other.area == floor.area);
    let Some(shared) = from.way.iter().find(is_shared) else { return vec![from.at, to.at] };
    let beside = |middle: usize| (middle + number % BESIDE * APART).saturating_sub(APART);
    let leave = |end: &End| {
        let (mut points, mut x) = (vec![end.at], end.at[0]);
        for (depth, floor) in end.way.iter().enumerate() {
            // Between items there is room for one.
            let y = if depth == 0 { floor.y } else { beside(floor.y) };
            if floor.area == shared.area {
                points.push([x, y]);
                break;
            }
            if !floor.last {
                points.push([x, y]);
                x = beside(floor.left);
                points.push([x, y]);
            }
        }
        points
    };
    let (mut points, back) = (leave(from), leave(to));
    let [from, to] = [&points, &back].map(|points| points.last().map_or(0, |[_, y]| *y));
    if from != to {
        points.extend([from, to].map(|y| [beside(shared.left), y]));
    }
    points.extend(back.into_iter().rev());
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An interface in a set, which is in a row of the host.
    fn end(x: usize, set: usize, row: usize, last: bool) -> End {
        let floor = |area, left, y, last| Floor { area, left, y, last };
        End { at: [x, row - 40], way: vec![floor(set, x - 20, row - 38, last), floor(0, 6, row, false)] }
    }

    #[test]
    fn a_line_in_one_row_goes_below_it() {
        let points = corners(&end(50, 1, 100, true), &end(250, 2, 100, true), 1);
        assert_eq!(points, [[50, 60], [50, 100], [250, 100], [250, 60]]);
    }

    #[test]
    fn a_line_to_another_row_goes_at_the_border_and_past_what_is_below_an_end() {
        let points = corners(&end(50, 1, 100, false), &end(250, 2, 300, true), 1);
        let expected = [[50, 60], [50, 62], [30, 62], [30, 100], [6, 100], [6, 300], [250, 300], [250, 260]];
        assert_eq!(points, expected);
        // The next one is beside it.
        let next = corners(&end(50, 1, 100, false), &end(250, 2, 300, true), 2);
        assert_eq!(next[2..6], [[33, 62], [33, 103], [9, 103], [9, 303]]);
    }
}
