//! What archives of Debian's layout say.

use holm_root::deb822;
use holm_root::debian::parsers;
use holm_root::debian::version::compare;

/// Text of any form that archives have. What was read is in the text, and what is shown is read as the same.
pub fn debian(bytes: &[u8]) {
    parsers::keys(bytes);
    let text = String::from_utf8_lossy(bytes);
    parsers::texts(&text);
    parsers::chosen(&text);
    for paragraph in deb822::paragraphs(&text) {
        let Ok(paragraph) = paragraph else { break };
        for field in paragraph.fields() {
            assert_eq!(paragraph.field(field.name), Some(field));
            assert!(field.lines().all(|line| field.value.contains(line)), "{field:?}");
        }
    }
    if let Some(shown) = parsers::relations(&text) {
        assert_eq!(parsers::relations(&shown).as_ref(), Some(&shown));
    }
    let versions: Vec<&str> = text.split_whitespace().take(8).collect();
    for a in &versions {
        for b in &versions {
            assert_eq!(compare(a, b), compare(b, a).reverse(), "{a} {b}");
            for c in &versions {
                assert!(compare(a, b).is_gt() || compare(b, c).is_gt() || compare(a, c).is_le(), "{a} {b} {c}");
            }
        }
    }
}
