//! Options of file systems. They are set one by one, but for those that only mount(2) takes, of which it takes all in one text.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

type One = (OsString, Option<OsString>);

/// The bytes of a value that fsconfig(2) takes.
pub(crate) const LONGEST: usize = 255;

/// Whether the value has more of them.
pub(super) fn is_long((_, value): &One) -> bool {
    value.as_ref().is_some_and(|value| value.len() > LONGEST)
}

/// Whether these are given to mount(2), which would take a part of one for another: they are told apart by commas, which only
/// SELinux's `context` may hold, in quotes.
pub(super) fn run_together(options: &[One]) -> bool {
    let holds = |text: &OsString, byte: u8| text.as_bytes().contains(&byte);
    let parts = |(key, value): &One| {
        let of_value = value.as_ref().is_some_and(|value| holds(value, if key == "context" { b'"' } else { b',' }));
        of_value || holds(key, b',')
    };
    options.iter().any(is_long) && options.iter().any(parts)
}

#[cfg(test)]
mod tests {
    use super::run_together;

    #[test]
    fn a_part_of_an_option_is_no_other_one() {
        let long = ("lowerdir".into(), Some("/l".repeat(200).into()));
        for (key, value, expected) in [
            ("upperdir", "/u", false),
            ("upperdir", "/u,userxattr", true),
            ("a,b", "c", true),
            ("context", "u:r:t:s0:c1,c2", false),
            ("context", "\"u\",exec", true),
        ] {
            let one = (key.into(), Some(value.into()));
            assert!(!run_together(std::slice::from_ref(&one)), "{key} is set alone");
            assert_eq!(run_together(&[long.clone(), one]), expected, "{key}={value}");
        }
    }
}
