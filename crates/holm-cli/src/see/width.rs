//! How many columns of a terminal text takes: wide letters take two, marks on other letters none (Unicode Standard Annex 11).

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns that `text` takes.
pub(crate) fn columns(text: &str) -> usize {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_plain { text.len() } else { text.width() }
}

/// The longest start of `text` that takes at most `most` columns, and the rest.
pub(crate) fn split(text: &str, most: usize) -> (&str, &str) {
    let mut used = 0;
    let end = text.char_indices().find(|(_, letter)| {
        used += letter.width().unwrap_or(0);
        used > most
    });
    text.split_at(end.map_or(text.len(), |(place, _)| place))
}

/// `text`, or its start and its end with `…` between them, in at most `most` columns.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(1);
    let (head, rest) = split(text, room.div_ceil(2));
    let mut tail = rest;
    while columns(tail) > room - room.div_ceil(2) {
        let mut letters = tail.chars();
        letters.next();
        tail = letters.as_str();
    }
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_letters_take_two_columns_and_marks_none() {
        assert_eq!(["ab", "日本", "e\u{301}", ""].map(columns), [2, 4, 1, 0]);
        assert_eq!(split("日本語", 5), ("日本", "語"));
        assert_eq!(split("e\u{301}x", 1), ("e\u{301}", "x"));
        assert_eq!(split("日", 1), ("", "日"));
    }

    #[test]
    fn what_is_cut_keeps_both_ends() {
        assert_eq!(cut("abcdefgh", 8), "abcdefgh");
        assert_eq!(cut("abcdefghi", 8), "abcd…ghi");
        assert_eq!(cut("日本語日本語", 8), "日本…語");
        assert!((0..20).all(|most| columns(&cut("日本語 and more", most)) <= most.max(1)));
    }
}
