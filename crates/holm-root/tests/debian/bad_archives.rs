//! Archives that can't be trusted, and wishes that can't be met.

use std::time::{Duration, SystemTime};

use holm_root::debian::error::Error;
use holm_root::debian::wish::Origin;
use testkit::archive::{self, date};
use testkit::server::Answer;

use crate::fixture::Place;

const RELEASE: &str = "/debian/dists/sane/InRelease";

#[test]
fn a_signature_must_be_of_the_keyring_and_of_this_text() {
    let place = Place::make();
    place.archive().publish(&archive::key());
    assert!(place.refusal(&place.wish()).contains("none of which is in"));
    place.publish();
    let good = String::from_utf8(place.server.content(RELEASE).unwrap()).unwrap();
    let changes: [(&str, String, &str); 9] = [
        (
            "a changed byte",
            good.replace("Label", "label").replace("Origin: Debian", "Origin: debian"),
            "not of this text",
        ),
        ("text before", format!("Suite: evil\n{good}"), "it is not clear-signed"),
        ("text after", format!("{good}Suite: evil\n"), "it is not clear-signed"),
        ("a second message", format!("{good}{good}"), "it is not clear-signed"),
        ("a field above the text", good.replace("Hash: ", "Codename: sane\nHash: "), "it is not clear-signed"),
        ("no signature", good.split("-----BEGIN PGP SIG").next().unwrap().to_owned(), "it is not clear-signed"),
        ("half a signature", good[..good.len() - 60].to_owned(), "it is not clear-signed"),
        ("no message", "Suite: sane\n".to_owned(), "it is not clear-signed"),
        ("nothing", String::new(), "it is not clear-signed"),
    ];
    for (what, text, cause) in changes {
        place.server.put(RELEASE, text);
        let error = place.refusal(&place.wish());
        assert!(error.starts_with("cannot trust http://") && error.contains(cause), "{what}: {error}");
    }
    place.server.put(RELEASE, vec![0xff; 100]);
    assert!(place.refusal(&place.wish()).contains("it is not text"));
}

#[test]
fn a_line_that_is_dash_escaped_is_what_it_was_before() {
    let place = Place::make();
    let release = place.archive().release() + "X-Dashes:\n -- a\n";
    let text = release.replace(" -- a", "-- a");
    // A line that begins with a dash is no field, and is refused as one; it is not passed over.
    place.server.put(RELEASE, archive::clear_sign(&text, &place.key));
    let signed = String::from_utf8(place.server.content(RELEASE).unwrap()).unwrap();
    assert!(signed.contains("\n- -- a"));
    let error = place.refusal(&place.wish());
    assert!(error.contains("line ") && error.contains("it has no colon"), "{error}");
}

#[test]
fn a_release_must_be_of_the_suite_and_of_today() {
    let now = SystemTime::now();
    let day = Duration::from_secs(86_400);
    let changes = [
        ("Codename", "other".to_owned(), "it is of teststable, other, not of sane"),
        ("Date", date(now + 3 * day), "is the future"),
        ("Valid-Until", date(now - day), "it was valid until"),
        ("Date", "yesterday".to_owned(), "its Date is no date"),
    ];
    for (field, value, cause) in changes {
        let place = Place::make();
        let mut archive = place.archive();
        archive.fields.insert(field, value);
        archive.publish(&place.key);
        let error = place.refusal(&place.wish());
        assert!(error.contains(cause), "{error}");
    }
}

#[test]
fn a_release_beside_its_signature_must_have_one() {
    let place = Place::make();
    place.archive().publish_apart(&place.key);
    place.server.put("/debian/dists/sane/Release", "Suite: sane\n");
    assert!(place.refusal(&place.wish()).contains("the signature is not of this text"));
    place.server.remove("/debian/dists/sane/Release.gpg");
    assert!(place.refusal(&place.wish()).contains("it is not signed"));
}

#[test]
fn a_keyring_must_be_there_and_have_keys() {
    let place = Place::make();
    place.publish();
    std::fs::write(place.keyring(), "words").unwrap();
    assert!(place.refusal(&place.wish()).contains("it has no OpenPGP key"));
    std::fs::remove_file(place.keyring()).unwrap();
    let error = place.refusal(&place.wish());
    assert!(error.contains("keyring.gpg: no such file or directory"), "{error}");
}

#[test]
fn an_unknown_suite_component_package_or_version_is_told_with_near_ones() {
    let place = Place::make();
    place.publish();
    let mut wish = place.wish();
    wish.suite = "bookwurm".to_owned();
    match place.resolve(&wish).expect_err("it is unknown") {
        Error::Suite { suite, near, .. } => {
            assert_eq!((suite.as_str(), near), ("bookwurm", vec!["bookworm".to_owned()]))
        }
        other => panic!("{other}"),
    }
    let mut wish = place.wish();
    wish.components = Some(vec!["man".to_owned()]);
    match place.resolve(&wish).expect_err("it is unknown") {
        Error::Component { near, .. } => assert_eq!(near, ["main"]),
        other => panic!("{other}"),
    }
    for (package, expected) in [("tol", "tool"), ("tool=9", "1:3"), ("tool=1:3", "")] {
        let mut wish = place.wish();
        wish.include = vec![package.to_owned()];
        match place.resolve(&wish) {
            Err(Error::Package { near, .. }) => assert_eq!(near, [expected]),
            Ok(_) => assert_eq!(expected, ""),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_can_be_no_wish_is_refused_before_anything_is_asked() {
    let place = Place::make();
    place.publish();
    let mut wishes = Vec::new();
    for suite in ["", "../sane", "sane/..", "a b", "-x", "sane\n"] {
        let mut wish = place.wish();
        wish.suite = suite.to_owned();
        wishes.push(wish);
    }
    for uri in ["", "ftp://a/", "a.example", "http://", "http://a/?x", "http://a b/", "file:///x"] {
        let mut wish = place.wish();
        wish.origin = Origin::Mirror(uri.to_owned());
        wishes.push(wish);
    }
    for package in ["", "a/b", "a=", "a= 1", "a=1/2", "a:i386"] {
        let mut wish = place.wish();
        wish.include = vec![package.to_owned()];
        wishes.push(wish);
    }
    for wish in wishes {
        let error = place.refusal(&wish);
        assert!(error.starts_with("cannot use "), "{error}");
    }
    assert_eq!(place.server.requests(), []);
}

#[test]
fn an_index_that_is_not_what_the_release_says_is_refused() {
    let place = Place::make();
    place.publish();
    for (answer, cause) in
        [(Answer::Other, "its SHA-256 is "), (Answer::Length(7), "the server has 7 bytes, the index says ")]
    {
        place.server.misbehave("", 99, Answer::Stop(0));
        place.server.forget();
        let hash = place.server.content(RELEASE).unwrap();
        let text = String::from_utf8(hash).unwrap();
        let xz = text.lines().find(|line| line.ends_with("Packages.xz")).unwrap().split_whitespace().next().unwrap();
        place.server.misbehave(xz, 99, answer);
        let error = place.refusal(&place.wish());
        assert!(error.starts_with("cannot download") && error.contains(cause), "{error}");
    }
}

#[test]
fn a_paragraph_of_an_index_that_lacks_what_is_needed_is_refused() {
    let changes = [
        ("Package: x\nArchitecture: amd64\n", "a package lacks its name, version or architecture"),
        ("words\n", "it has no colon"),
        ("Package: tool\nVersion: 1:99\nArchitecture: amd64\nFilename: ../../etc\nSize: 1\n", "has no usable Filename"),
        ("Package: tool\nVersion: 1:99\nArchitecture: amd64\nFilename: a\nSize: -1\n", "has no usable Size"),
        (
            "Package: tool\nVersion: 1:99\nArchitecture: amd64\nFilename: a\nSize: 1\nSHA256: 00\n",
            "has no usable SHA256",
        ),
        ("Package: tool\nVersion: 1:99\nArchitecture: amd64\nFilename: a\nSize: 1\nDepends: a b\n", "\"a b\" is none"),
    ];
    for (paragraph, cause) in changes {
        let place = Place::make();
        place.archive().add_raw(paragraph).publish(&place.key);
        let error = place.refusal(&place.wish());
        assert!(error.starts_with("cannot read ") && error.contains(cause), "{error}");
    }
}
