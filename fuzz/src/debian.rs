//! What archives of Debian's layout say, and their packages.

use super::{Root, summed};
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

/// A package's file; and one whose two archives are these bytes, with the right sums. Whether one could be read.
pub fn package(root: &Root, bytes: &[u8]) -> bool {
    let inner = summed(bytes);
    let mut read = false;
    for file in [bytes.to_vec(), ar(&[("debian-binary", b"2.0\n"), ("control.tar", &inner), ("data.tar", &inner)])] {
        root.put("package.deb", &file);
        if let Some((names, _)) = parsers::package(&root.0.join("package.deb")) {
            assert!(names.iter().all(|name| !name.contains('/') && !name.starts_with('.')), "{names:?}");
            read = true;
        }
    }
    read
}

/// An ar archive (deb(5)).
pub fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut all = b"!<arch>\n".to_vec();
    for (name, content) in members {
        all.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, content.len()).bytes());
        all.extend_from_slice(content);
        all.extend(vec![b'\n'; content.len() % 2]);
    }
    all
}
