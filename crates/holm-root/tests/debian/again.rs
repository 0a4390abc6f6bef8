//! Archives that are asked again.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use holm_root::debian::cache;
use holm_root::debian::error::Error;
use testkit::archive::{self, date};
use testkit::server::Answer;

use crate::fixture::Place;

const RELEASE: &str = "/debian/dists/sane/InRelease";

impl Place {
    /// Publishes the archive with the date of so many seconds ago.
    fn publish_of(&self, seconds: u64) {
        let mut archive = self.archive();
        archive.fields.insert("Date", date(SystemTime::now() - Duration::from_secs(seconds)));
        archive.publish(&self.key);
    }

    /// The file of the cache that tells what the archive said.
    fn record(&self) -> PathBuf {
        let all = fs::read_dir(self.directory.path().join("cache/releases")).unwrap();
        let all: Vec<PathBuf> = all.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }
}

#[test]
fn a_release_that_was_checked_is_known_by_the_servers_word_or_by_its_bytes() {
    let place = Place::make();
    place.publish();
    let first = place.resolve(&place.wish()).unwrap();
    let tags = || place.server.requests().into_iter().map(|request| request.tag.is_some()).collect::<Vec<_>>();
    place.server.forget();
    assert_eq!(place.resolve(&place.wish()).unwrap(), first);
    assert_eq!(tags(), [true]);
    // Keys that would be read are refused; what is the same needs none.
    place.server.misbehave(RELEASE, 99, Answer::Whole);
    let record = fs::read(place.record()).unwrap();
    assert_eq!(place.resolve(&place.wish()).unwrap(), first);
    assert_eq!(fs::read(place.record()).unwrap(), record);
}

#[test]
fn a_release_is_checked_again_where_the_keys_are_others_or_the_record_is_damaged() {
    let place = Place::make();
    place.publish();
    let first = place.resolve(&place.wish()).unwrap();
    let keys = fs::read(place.keyring()).unwrap();
    archive::write_keyring(&[&archive::key()], &place.keyring());
    place.server.forget();
    assert!(place.refusal(&place.wish()).contains("none of which is in"));
    assert_eq!(place.server.requests()[0].tag, None);
    fs::write(place.keyring(), keys).unwrap();
    assert_eq!(place.resolve(&place.wish()).unwrap(), first);
    let text = fs::read_to_string(place.record()).unwrap();
    fs::write(place.record(), text.replace("Codename: sane", "Codename: evil")).unwrap();
    place.server.forget();
    assert_eq!(place.resolve(&place.wish()).unwrap(), first);
    assert_eq!(place.server.requests()[0].tag, None);
}

#[test]
fn a_release_that_is_older_than_one_before_is_refused() {
    let place = Place::make();
    place.publish_of(60);
    place.resolve(&place.wish()).unwrap();
    place.publish_of(3600);
    let error = place.resolve(&place.wish()).expect_err("it is a replay");
    assert!(matches!(&error, Error::Older { record, .. } if *record == place.record()), "{error}");
    assert!(error.to_string().contains("InRelease: its date, 20") && error.to_string().contains(", is before 20"));
    // Nothing is forgotten by that, and a signature apart is no way around it.
    let mut old = place.archive();
    old.fields.insert("Date", date(SystemTime::now() - Duration::from_secs(3600)));
    old.publish_apart(&place.key);
    assert!(place.refusal(&place.wish()).contains("is before"));
    place.publish_of(30);
    place.resolve(&place.wish()).unwrap();
    place.publish_of(60);
    assert!(place.refusal(&place.wish()).contains("is before"));
    fs::remove_file(place.record()).unwrap();
    place.resolve(&place.wish()).unwrap();
}

#[test]
fn what_no_build_has_used_for_a_week_is_cleaned_away() {
    let place = Place::make();
    place.publish();
    let cache = place.directory.path().join("cache");
    let selection = place.resolve(&place.wish()).unwrap();
    place.fetch(&selection).unwrap();
    let (now, day) = (SystemTime::now(), Duration::from_secs(86_400));
    let (files, part) = (place.cached(), cache.join("files").join("0".repeat(64) + ".part"));
    fs::write(&part, "begun").unwrap();
    fs::write(cache.join("files/mine"), "not a download").unwrap();
    let before = cache::size(&cache).unwrap();
    assert_eq!(cache::clean(&cache, now + 6 * day).unwrap().files, 0);
    assert_eq!(cache::size(&cache).unwrap(), before);
    // A selection that is used keeps its packages, and nothing else.
    let kept = fs::read_dir(cache.join("selections")).unwrap().next().unwrap().unwrap().path();
    fs::File::open(&kept).unwrap().set_modified(now + 5 * day).unwrap();
    let freed = cache::clean(&cache, now + 8 * day).unwrap();
    assert_eq!(freed.files, 2, "the index and what was begun");
    assert!(freed.bytes > 0 && !part.exists() && place.cached().len() == files.len());
    place.server.forget();
    place.fetch(&selection).unwrap();
    assert_eq!(place.server.requests(), []);
    // Using the packages has noted it.
    assert_eq!(cache::clean(&cache, now + 13 * day).unwrap().files, 5);
    assert_eq!(place.cached(), ["mine"]);
    // What was seen is not forgotten.
    place.publish_of(3600);
    assert!(place.refusal(&place.wish()).contains("is before"));
    assert_eq!(cache::size(&cache.join("none")).unwrap(), 0);
}
