//! Text of a script: lines and words, quoted for a POSIX shell byte for byte.

use crate::model::text::quote;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// Text of a script.
#[derive(Default)]
pub(super) struct Text(pub(super) Vec<u8>);

impl Text {
    pub(super) fn add(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn line(&mut self, text: &str) {
        self.words(&[text.as_bytes()]);
    }

    /// A line of words that are quoted already.
    pub(super) fn words(&mut self, words: &[&[u8]]) {
        self.0.extend(words.join(&b' '));
        self.0.push(b'\n');
    }

    /// A command over several lines.
    pub(super) fn rows(&mut self, rows: &[Vec<u8>]) {
        self.0.extend(rows.join(&b" \\\n    "[..]));
        self.0.push(b'\n');
    }

    /// `command <<'NAME'` with `body`, under a name that no line of it equals: that would end it early.
    pub(super) fn here(&mut self, command: &[u8], name: &str, body: &Text) {
        let mut name = name.to_owned();
        while body.0.split(|&b| b == b'\n').any(|line| line == name.as_bytes()) {
            name.push('_');
        }
        self.words(&[&[command, format!("<<'{name}'").as_bytes()].concat()]);
        self.0.extend_from_slice(&body.0);
        self.line(&name);
    }
}

/// `text` as one word.
pub(super) fn word(text: impl AsRef<OsStr>) -> Vec<u8> {
    quote(text.as_ref()).into_vec()
}

/// A path of the caller's as one word, absolute: no tool takes it for an option or a label.
pub(super) fn source(path: &Path) -> Vec<u8> {
    if path.is_absolute() { word(path) } else { [b"\"$here\"/", &*word(path)].concat() }
}

/// A path inside as one word, without doubled or trailing slashes.
pub(super) fn place(path: &Path) -> Vec<u8> {
    let parts = path.components().filter(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    word(parts.collect::<PathBuf>())
}
