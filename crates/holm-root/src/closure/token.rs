//! Dynamic string tokens in library names and search paths: `$ORIGIN`, `$LIB`, `$PLATFORM`, also with braces.
//!
//! Source: ld.so(8), "Dynamic string tokens"; an unknown token stays as it is, as in glibc's elf/dl-load.c.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// What the tokens stand for. A token that stands for nothing spoils the text it is in.
pub(crate) struct Tokens<'a> {
    /// The directory of the object that the text is from.
    pub(crate) origin: &'a Path,
    pub(crate) lib: Option<&'a OsStr>,
    pub(crate) platform: Option<&'static str>,
}

impl Tokens<'_> {
    /// Replaces the tokens in `text`.
    pub(crate) fn expand(&self, text: &[u8]) -> Option<OsString> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.iter().position(|byte| *byte == b'$') {
            let (before, token) = rest.split_at(dollar);
            out.extend_from_slice(before);
            let (name, after) = name(token);
            match name {
                b"ORIGIN" => out.extend_from_slice(self.origin.as_os_str().as_bytes()),
                b"LIB" => out.extend_from_slice(self.lib?.as_bytes()),
                b"PLATFORM" => out.extend_from_slice(self.platform?.as_bytes()),
                _ => out.extend_from_slice(token.get(..token.len() - after.len())?),
            }
            rest = after;
        }
        out.extend_from_slice(rest);
        Some(OsString::from_vec(out))
    }
}

/// Splits `$NAME…` or `${NAME}…` into the name and what follows; the name is empty if there is none.
fn name(token: &[u8]) -> (&[u8], &[u8]) {
    let rest = token.get(1..).unwrap_or_default();
    if let Some(inner) = rest.strip_prefix(b"{") {
        return match inner.iter().position(|byte| *byte == b'}') {
            Some(end) => (inner.get(..end).unwrap_or_default(), inner.get(end + 1..).unwrap_or_default()),
            None => (&[], rest),
        };
    }
    let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').unwrap_or(rest.len());
    rest.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Option<String> {
        let tokens = Tokens { origin: Path::new("/app/bin"), lib: Some(OsStr::new("lib64")), platform: None };
        tokens.expand(text.as_bytes()).map(|out| out.into_string().expect("text is ASCII"))
    }

    #[test]
    fn tokens_are_replaced_with_and_without_braces() {
        assert_eq!(expand("$ORIGIN/../${LIB}/x").as_deref(), Some("/app/bin/../lib64/x"));
        assert_eq!(expand("/a/${ORIGIN}").as_deref(), Some("/a//app/bin"));
    }

    #[test]
    fn an_unknown_token_stays_and_one_without_a_meaning_spoils_the_text() {
        assert_eq!(expand("/a/$ORIGINAL/$/${ORIGIN").as_deref(), Some("/a/$ORIGINAL/$/${ORIGIN"));
        assert_eq!(expand("/a/$PLATFORM"), None);
    }
}
