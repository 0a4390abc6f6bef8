//! Rows as lines, with columns below each other, folded to the screen.

use super::screen::{Ink, Screen};
use super::width::{columns, split};

/// How far what goes on is moved to the right.
const INDENT: usize = 4;
/// A last column that has less room than this goes on a line of its own.
const LEAST: usize = 16;

/// A table with a heading above its columns. What a line has no room for goes on in the next, moved to the right.
pub(crate) fn table(screen: &Screen, heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|word| columns(word)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = columns(cell).max(*width);
        }
    }
    let heading: Vec<String> = heading.iter().map(|&word| word.to_owned()).collect();
    let (mut above, mut text) = (String::new(), String::new());
    write(&mut above, screen, &widths, &heading);
    for line in above.lines() {
        text += &screen.ink(Ink::Bold, line);
        text.push('\n');
    }
    for row in rows {
        write(&mut text, screen, &widths, row);
    }
    text
}

/// Writes the lines of one row.
fn write(text: &mut String, screen: &Screen, widths: &[usize], row: &[String]) {
    let width = screen.width.unwrap_or(usize::MAX).max(LEAST + INDENT);
    let (mut start, mut used) = (text.len(), 0);
    for (place, (cell, &room)) in row.iter().zip(widths).enumerate() {
        let last = place + 1 == row.len();
        let gap = if place == 0 { 0 } else { 2 };
        let taken = columns(cell);
        let wanted = if last { taken.min(LEAST) } else { room };
        // The others stand below each other in each row.
        let before = if used > 0 && used + gap + wanted > width {
            (start, used) = (end(text, start), 0);
            INDENT
        } else {
            gap
        };
        spaces(text, before);
        used += before;
        if !last {
            *text += cell;
            spaces(text, room - taken);
            used += room;
            continue;
        }
        let mut parts = fold(cell, width.saturating_sub(used)).into_iter();
        *text += &parts.next().unwrap_or_default();
        for part in parts {
            start = end(text, start);
            spaces(text, used);
            *text += &part;
        }
    }
    end(text, start);
}

/// Ends the line that begins at `start`; where the next one does.
fn end(text: &mut String, start: usize) -> usize {
    text.truncate(start + text[start..].trim_end().len());
    text.push('\n');
    text.len()
}

fn spaces(text: &mut String, count: usize) {
    text.extend(std::iter::repeat_n(' ', count));
}

/// `text` in parts of at most `width` columns, at spaces where there are any.
pub(crate) fn fold(text: &str, width: usize) -> Vec<String> {
    // There is room for one letter at least, which may be wide.
    let width = width.max(2);
    if columns(text) <= width {
        return vec![text.to_owned()];
    }
    let (mut parts, mut part) = (Vec::new(), String::new());
    for word in text.split(' ') {
        let used = columns(&part);
        if used > 0 && used + 1 + columns(word) > width {
            parts.push(std::mem::take(&mut part));
        } else if used > 0 {
            part.push(' ');
        }
        let mut rest = word;
        while columns(rest) > width {
            let (fits, after) = split(rest, width);
            parts.push(std::mem::take(&mut part) + fits);
            rest = after;
        }
        part.push_str(rest);
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        vec![row(["net", "4026531833", "bash and something that goes on"]), row(["mnt", "1", ""])]
    }

    #[test]
    fn wide_screens_have_a_line_a_row() {
        let shown = table(&Screen::document(), &["KIND", "ID", "NAME"], &rows());
        assert_eq!(shown, "KIND  ID          NAME\nnet   4026531833  bash and something that goes on\nmnt   1\n");
    }

    #[test]
    fn no_line_is_longer_than_the_screen() {
        for width in [20, 24, 30, 40] {
            let shown = table(&Screen::document().with_width(width), &["KIND", "ID", "NAME"], &rows());
            assert!(shown.lines().all(|line| line.chars().count() <= width), "{width}:\n{shown}");
            assert!(shown.split_whitespace().collect::<String>().contains("somethingthatgoeson"), "{width}:\n{shown}");
        }
        assert_eq!(fold("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
    }

    #[test]
    fn wide_letters_take_two_columns() {
        let rows = [["日本", "x"], ["ab", "y"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&Screen::document(), &["NAME", "ID"], &rows), "NAME  ID\n日本  x\nab    y\n");
        assert_eq!(fold("日本語 ab", 5), ["日本", "語 ab"]);
        assert_eq!(fold("日本", 1), ["日", "本"]);
    }
}
