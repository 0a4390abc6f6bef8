//! Showing bytes that may hold anything: a hostile name must not write to a terminal.

use std::ffi::OsStr;
use std::fmt::{self, Write};
use std::os::unix::ffi::OsStrExt;

/// Writes `text` with control characters, those that turn or hide letters, and invalid UTF-8 as escapes (`\n`, `\xff`).
pub fn escape(text: &OsStr, to: &mut impl Write) -> fmt::Result {
    for chunk in text.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || is_format(c) { write!(to, "{}", c.escape_default())? } else { to.write_char(c)? }
        }
        for byte in chunk.invalid() {
            write!(to, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

/// Whether a letter changes how its neighbours are shown: their direction (Unicode Standard Annex 9) or whether they are seen.
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The system's words for an error, beginning in lower case and without Rust's number behind.
pub fn cause(error: &std::io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    let mut words = text[..end].to_owned();
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    words
}

/// A path in a message: as typed, but neither nothing nor pages of it.
pub fn name(path: &OsStr) -> String {
    match path.len() {
        0 => "an empty path".to_owned(),
        1..=200 => path.display().to_string(),
        length => format!("a path of {length} bytes"),
    }
}

/// `text` quoted for a POSIX shell, byte for byte.
pub fn quote(text: &OsStr) -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt;
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_-./=:,@%+".contains(b);
    let bytes = text.as_bytes();
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return text.to_owned();
    }
    let mut quoted = vec![b'\''];
    for &byte in bytes {
        if byte == b'\'' {
            quoted.extend(b"'\\''");
        } else {
            quoted.push(byte);
        }
    }
    quoted.push(b'\'');
    std::ffi::OsString::from_vec(quoted)
}

/// A path with spaces, tabs, lines and backslashes as three octal digits (proc_pid_mountinfo(5)), as it is.
pub fn unescape(text: &[u8]) -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt;
    let (mut plain, mut rest) = (Vec::new(), text);
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|_| first == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok());
        plain.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &after[3..] } else { after };
    }
    std::ffi::OsString::from_vec(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_odd_bytes_are_escaped() {
        let mut shown = String::new();
        escape(OsStr::from_bytes(b"a\x1b[2J\xff\n\xc3\xa9"), &mut shown).expect("a string takes all");
        assert_eq!(shown, "a\\u{1b}[2J\\xff\\n\u{e9}");
        let mut shown = String::new();
        escape(OsStr::new("txt\u{202e}exe"), &mut shown).expect("a string takes all");
        assert_eq!(shown, "txt\\u{202e}exe");
    }

    #[test]
    fn quoting_survives_quotes() {
        assert_eq!(quote(OsStr::new("it's")), "'it'\\''s'");
        assert_eq!(quote(OsStr::new("/usr/bin")), "/usr/bin");
        assert_eq!(quote(OsStr::new("")), "''");
    }

    #[test]
    fn escapes_are_three_octal_digits_and_nothing_else() {
        assert_eq!(unescape(b"a\\134\\12\\777b\\"), OsStr::new(r"a\\12\777b\"));
    }
}
