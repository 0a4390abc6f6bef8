//! What apt's configuration means, and what is meant without one.

use std::time::{Duration, SystemTime};

use super::*;
use crate::debian::wish::Variant;

fn shown(archives: &[Archive]) -> Vec<String> {
    let one = |archive: &Archive| format!("{} {} {}", archive.uri, archive.suite, archive.components.join(","));
    archives.iter().map(one).collect()
}

fn none() -> &'static Path {
    Path::new("/nonexistent")
}

#[test]
fn lines_are_read() {
    let text = "# deb http://no/ no main\n\ndeb http://a/debian/ bookworm main contrib # comment\n\
        deb [ arch=amd64,i386 signed-by=/k.gpg,/l.gpg check-valid-until=no ] https://b s main\n\
        deb [arch=arm64] http://no s main\ndeb-src http://no s main\ndeb cdrom:[x]/ s main\ndeb http://flat/ ./\n\
        deb\tfile:/no s main\n";
    let found = lines(text, none()).expect("it is well formed");
    assert_eq!(shown(&found), ["http://a/debian bookworm main,contrib", "https://b s main"]);
    assert_eq!(found[1].trust, Trust::Files(vec!["/k.gpg".into(), "/l.gpg".into()]));
    assert!(found[0].ends && !found[1].ends);
    for bad in ["deb http://a\n", "deb [arch=amd64 http://a s main\n"] {
        assert!(lines(bad, none()).is_err(), "{bad}");
    }
}

#[test]
fn paragraphs_are_read() {
    let text = "Types: deb deb-src\nURIs: http://a\n  http://b/\nSuites: s s-updates\nComponents: main\n# no\n non-free\n\
        Signed-By: 0123456789ABCDEF0123456789ABCDEF01234567! /k.gpg\n\n\
        Types: deb\nURIs: http://no\nSuites: s\nComponents: main\nEnabled: no\n\n\
        Types: deb-src\nURIs: http://no\nSuites: s\nComponents: main\n\n\
        Types: deb\nURIs: http://no\nSuites: s\nComponents: main\nArchitectures: arm64\n";
    let found = paragraphs(text, none()).expect("it is well formed");
    let all = ["http://a s", "http://a s-updates", "http://b s", "http://b s-updates"];
    assert_eq!(shown(&found), all.map(|one| format!("{one} main,non-free")));
    let fingerprint = "0123456789ABCDEF0123456789ABCDEF01234567!".to_owned();
    assert_eq!(found[0].trust, Trust::Only(vec!["/k.gpg".into()], vec![fingerprint]));
    assert!(paragraphs("Types deb\n", none()).is_err());
}

#[test]
fn without_configuration_the_familys_own_archives_are_meant() {
    let usual = |suite: &str, family, origin| {
        let wish = Wish { family, origin, variant: Variant::Minbase, ..Wish::new(suite) };
        shown(&usual(&wish))
    };
    let host = || Origin::Host(none().to_owned());
    let debian = "http://deb.debian.org/debian";
    assert_eq!(
        usual("bookworm", Family::Debian, host()),
        [
            format!("{debian} bookworm main"),
            format!("{debian} bookworm-updates main"),
            format!("{debian}-security bookworm-security main"),
        ]
    );
    assert_eq!(usual("sid", Family::Debian, host()), [format!("{debian} sid main")]);
    assert_eq!(
        usual("noble", Family::Ubuntu, host())[2],
        "http://security.ubuntu.com/ubuntu noble-security main,universe"
    );
    let mirror = Origin::Mirror("http://m/".to_owned());
    assert_eq!(usual("bookworm", Family::Debian, mirror), ["http://m bookworm main"]);
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_747_699_200);
    assert_eq!(
        usual("bookworm", Family::Debian, Origin::Snapshot(then))[2],
        "http://snapshot.debian.org/archive/debian-security/20250520T000000Z bookworm-security main"
    );
}
