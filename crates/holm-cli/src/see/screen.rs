//! What standard output can show: colours, how many columns, and which letters.

use rustix::termios::tcgetwinsize;
use std::ffi::OsStr;
use std::io::IsTerminal;

/// What standard output can show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) colour: bool,
    /// Columns; `None` where lines may have any length.
    pub(crate) width: Option<usize>,
    /// Whether other letters than ASCII's can be shown.
    unicode: bool,
}

/// How a word stands out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ink {
    /// Of a heading.
    Bold,
    /// Of what differs from the host.
    Own,
    /// Of what fails.
    Bad,
}

/// Lines between the items of a tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Branches {
    pub(crate) item: &'static str,
    pub(crate) last: &'static str,
    pub(crate) through: &'static str,
    pub(crate) below_last: &'static str,
}

impl Screen {
    /// Standard output, as the terminal, the locale and NO_COLOR (no-color.org) say.
    pub(crate) fn of_output() -> Screen {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let terminal = std::io::stdout().is_terminal();
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable).unwrap_or_default().to_lowercase();
        let dumb = variable("TERM").is_none_or(|term| term == "dumb");
        Screen {
            colour: terminal && !dumb && variable("NO_COLOR").is_none(),
            width: tcgetwinsize(std::io::stdout()).ok().map(|size| size.ws_col.into()).filter(|&width| width > 0),
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    /// A document: all letters, in lines of any length, without colours.
    pub(crate) fn document() -> Screen {
        Screen { colour: false, width: None, unicode: true }
    }

    /// The same with so many columns.
    #[cfg(test)]
    pub(crate) fn with_width(self, width: usize) -> Screen {
        Screen { width: Some(width), ..self }
    }

    /// Text that anybody may have written, as it can be shown.
    pub(crate) fn text(&self, text: impl AsRef<OsStr>) -> String {
        let shown = crate::report::plain(text);
        if self.unicode || shown.is_ascii() {
            return shown;
        }
        shown.chars().map(|c| if c.is_ascii() { c.to_string() } else { c.escape_default().to_string() }).collect()
    }

    /// `text` in this ink, where there are colours.
    pub(crate) fn ink(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Bold => "1",
            Ink::Own => "36",
            Ink::Bad => "31",
        };
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// What a line across is made of.
    pub(crate) fn across(&self) -> &'static str {
        if self.unicode { "─" } else { "-" }
    }

    /// How a tree is drawn.
    pub(crate) fn branches(&self) -> Branches {
        if self.unicode {
            Branches { item: "├─ ", last: "└─ ", through: "│  ", below_last: "   " }
        } else {
            Branches { item: "|- ", last: "`- ", through: "|  ", below_last: "   " }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_utf_8_all_is_ascii() {
        let screen = Screen { unicode: false, ..Screen::document() };
        assert_eq!(screen.text("a\u{e9}\x1b"), "a\\u{e9}\\u{1b}");
        assert_eq!(Screen::document().text("a\u{e9}\x1b"), "a\u{e9}\\u{1b}");
    }
}
