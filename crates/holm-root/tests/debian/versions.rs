//! The order of versions, beside dpkg's own.

use std::cmp::Ordering;
use std::process::Command;

use holm_root::debian::version::{compare, is_version};
use testkit::random::Random;

#[test]
fn versions_compare_as_dpkg_compares_them() {
    if Command::new("dpkg").arg("--version").output().is_err() {
        return testkit::skip("dpkg isn't there");
    }
    let mut random = Random::new(1);
    let pieces =
        ["0", "1", "9", "10", "01", "a", "z", "A", "~", "+", ".", "-", "~~", "b1", "rc", "1.0", "deb12u1", ":"];
    let version = |random: &mut Random| loop {
        let epoch = ["", "", "0:", "1:", "01:"][random.below(5)];
        let rest: String = (0..1 + random.below(6)).map(|_| pieces[random.below(pieces.len())]).collect();
        let text = format!("{epoch}{}{rest}", random.below(3));
        if is_version(&text) && (rest.find(':').is_none() || !epoch.is_empty()) {
            return text;
        }
    };
    for _ in 0..testkit::much(400, 5000) {
        let (a, b) = (version(&mut random), version(&mut random));
        let order = compare(&a, &b);
        assert_eq!(compare(&b, &a), order.reverse());
        let operator = match order {
            Ordering::Less => "lt",
            Ordering::Equal => "eq",
            Ordering::Greater => "gt",
        };
        let status = Command::new("dpkg").args(["--compare-versions", &a, operator, &b]).status().unwrap();
        assert!(status.success(), "{a} {operator} {b}");
    }
}
