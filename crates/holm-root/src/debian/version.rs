//! The order of Debian's version numbers.
//!
//! Source: Debian policy, section 5.6.12; deb-version(7).

use std::cmp::Ordering;

/// Which of two versions is the later one. Any text has a place in the order.
pub fn compare(a: &str, b: &str) -> Ordering {
    let ((epoch_a, upstream_a, revision_a), (epoch_b, upstream_b, revision_b)) = (parts(a), parts(b));
    compare_digits(epoch_a.as_bytes(), epoch_b.as_bytes())
        .then_with(|| compare_part(upstream_a.as_bytes(), upstream_b.as_bytes()))
        .then_with(|| compare_part(revision_a.as_bytes(), revision_b.as_bytes()))
}

/// Whether a text can be a version.
pub fn is_version(text: &str) -> bool {
    let (epoch, upstream, revision) = parts(text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".+~".contains(&byte);
    epoch.bytes().all(|byte| byte.is_ascii_digit())
        && epoch.len() <= 9
        && !text.starts_with(':')
        && upstream.starts_with(|first: char| first.is_ascii_digit())
        && upstream.bytes().all(|byte| plain(byte) || byte == b'-' || byte == b':')
        && revision.bytes().all(plain)
        && !text.ends_with('-')
}

/// Epoch, upstream's version and Debian's revision; what isn't there is empty.
fn parts(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
}

/// Runs of other characters and runs of digits by turns.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let words =
            compare_words(take(&mut a, |byte| !byte.is_ascii_digit()), take(&mut b, |byte| !byte.is_ascii_digit()));
        let numbers = || compare_digits(take(&mut a, u8::is_ascii_digit), take(&mut b, u8::is_ascii_digit));
        match words.then_with(numbers) {
            Ordering::Equal => {}
            order => return order,
        }
    }
    Ordering::Equal
}

fn take<'b>(bytes: &mut &'b [u8], belongs: impl Fn(&u8) -> bool) -> &'b [u8] {
    let end = bytes.iter().position(|byte| !belongs(byte)).unwrap_or(bytes.len());
    let (run, rest) = bytes.split_at(end);
    *bytes = rest;
    run
}

/// A tilde is before the end, the end before letters, letters before all else.
fn compare_words(a: &[u8], b: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(other) => i32::from(*other) + 256,
    };
    let differs = (0..a.len().max(b.len())).map(|at| weight(a.get(at)).cmp(&weight(b.get(at))));
    differs.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Numbers of any length.
fn compare_digits(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |digits: &[u8]| digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
    let (a, b) = (&a[significant(a)..], &b[significant(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_debians_order() {
        let ascending = [
            "0~~",
            "0~",
            "0-0~",
            "0",
            "0.1",
            "1.0~rc1-1",
            "1.0-1~bpo",
            "1.0-1",
            "1.0-1+b1",
            "1.0-10",
            "1.0a",
            "1.0+dfsg-1",
            "1.2",
            "1.10",
            "1.10.00000000000000000000000000000001",
            "1:0",
            "2:0.1",
            "10:0",
        ];
        for (at, a) in ascending.iter().enumerate() {
            for (other, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), at.cmp(&other), "{a} {b}");
            }
        }
        for (a, b) in [("0:1", "1"), ("1.0", "1.0-0"), ("01", "1"), ("1.00", "1.0"), ("", "0")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn what_can_be_no_version_is_told() {
        for good in ["1", "1:2.3-4+b1", "2.0~rc1", "1:2-3-4"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "a", ":1", "1 2", "1/2", "a:1", "1-", "-1", "1\n", "../1"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
