//! Servers that don't do what they should.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use holm_root::debian::error::Error;
use testkit::server::{Answer, Request};

use crate::fixture::{PATIENCE, Place};

const LIB: &str = "lib_2.1-1_amd64.deb";

/// The requests for the large package.
fn asked(place: &Place) -> Vec<Option<usize>> {
    let all: Vec<Request> = place.server.requests();
    all.into_iter().filter(|request| request.path.ends_with(LIB)).map(|request| request.from).collect()
}

#[test]
fn a_download_that_stops_goes_on_where_it_stopped() {
    let place = Place::make();
    place.publish();
    let selection = place.resolve(&place.wish()).unwrap();
    place.server.misbehave(LIB, 1, Answer::Stop(40_000));
    place.server.misbehave(LIB, 1, Answer::Stop(50_000));
    assert_eq!(place.fetch(&selection).unwrap().len(), 4);
    assert_eq!(asked(&place), [None, Some(40_000), Some(90_000)]);
}

#[test]
fn a_download_that_was_given_up_goes_on_in_the_next_run() {
    let place = Place::make();
    place.publish();
    let selection = place.resolve(&place.wish()).unwrap();
    place.server.misbehave(LIB, 1, Answer::Stop(40_000));
    place.server.misbehave(LIB, 99, Answer::Stop(0));
    let error = place.fetch(&selection).expect_err("it stops").to_string();
    assert!(error.starts_with("cannot download http://") && error.contains(LIB), "{error}");
    assert!(place.cached().iter().any(|name| name.ends_with(".part")));
    place.server.forget();
    assert_eq!(place.fetch(&selection).unwrap().len(), 4);
    assert_eq!(asked(&place), [Some(40_000)]);
    assert!(place.cached().iter().all(|name| !name.ends_with(".part")));
}

#[test]
fn a_server_without_ranges_sends_the_whole_again() {
    for answer in [Answer::Whole, Answer::Elsewhere] {
        let place = Place::make();
        place.publish();
        let selection = place.resolve(&place.wish()).unwrap();
        place.server.misbehave(LIB, 1, Answer::Stop(40_000));
        place.server.misbehave(LIB, 1, answer);
        let files = place.fetch(&selection).unwrap();
        assert_eq!(fs::read(&files[2].file).unwrap(), [b'l'; 100_000]);
    }
}

#[test]
fn a_server_that_always_stops_at_the_same_place_is_given_up() {
    let place = Place::make();
    place.publish();
    let selection = place.resolve(&place.wish()).unwrap();
    place.server.misbehave(LIB, 99, Answer::StopWhole(40_000));
    place.fetch(&selection).expect_err("it stops");
    assert_eq!(asked(&place).len(), 3);
}

#[test]
fn a_beginning_that_is_wrong_is_thrown_away() {
    let place = Place::make();
    place.publish();
    let selection = place.resolve(&place.wish()).unwrap();
    let hash: String = selection.packages[2].sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = place.directory.path().join(format!("cache/files/{hash}.part"));
    for wrong in [vec![b'x'; 10], vec![b'x'; 100_000], vec![b'x'; 200_000]] {
        fs::write(&part, wrong).unwrap();
        assert_eq!(fs::read(&place.fetch(&selection).unwrap()[2].file).unwrap(), [b'l'; 100_000]);
        fs::remove_file(part.with_extension("")).unwrap();
    }
}

#[test]
fn a_cached_file_that_has_changed_is_downloaded_again() {
    let place = Place::make();
    place.publish();
    let selection = place.resolve(&place.wish()).unwrap();
    let file = place.fetch(&selection).unwrap()[2].file.clone();
    fs::write(&file, [b'x'; 100_000]).unwrap();
    place.fetch(&selection).unwrap();
    assert_eq!(fs::read(&file).unwrap(), [b'l'; 100_000]);
    // A link is followed to what is right, or is replaced; what it leads to is never written.
    let other = place.directory.path().join("other");
    fs::write(&other, "precious").unwrap();
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&other, &file).unwrap();
    place.fetch(&selection).unwrap();
    assert_eq!(fs::read(&other).unwrap(), b"precious");
}

#[test]
fn what_a_server_says_for_good_is_not_asked_again() {
    for status in [403, 404, 410, 400] {
        let place = Place::make();
        place.publish();
        let selection = place.resolve(&place.wish()).unwrap();
        place.server.misbehave(LIB, 99, Answer::Status(status, Vec::new()));
        match place.fetch(&selection).expect_err("it isn't there") {
            Error::Download { status: Some(found), url, .. } => assert!(found == status && url.ends_with(LIB)),
            other => panic!("{other}"),
        }
        assert_eq!(asked(&place).len(), 1);
    }
}

#[test]
fn what_may_pass_is_tried_again_but_not_for_ever() {
    for status in [500, 503, 429, 408] {
        let place = Place::make();
        place.publish();
        let selection = place.resolve(&place.wish()).unwrap();
        place.server.misbehave(LIB, 2, Answer::Status(status, Vec::new()));
        assert_eq!(place.fetch(&selection).unwrap().len(), 4);
        assert_eq!(asked(&place).len(), 3);
    }
    let place = Place::make();
    place.publish();
    let selection = place.resolve(&place.wish()).unwrap();
    place.server.misbehave(LIB, 99, Answer::Status(500, Vec::new()));
    let error = place.fetch(&selection).expect_err("it is never there").to_string();
    assert!(error.ends_with("the server says 500 Internal Server Error"), "{error}");
    assert_eq!(asked(&place).len(), 3);
}

#[test]
fn a_server_that_asks_to_wait_is_waited_for() {
    let place = Place::make();
    place.publish();
    let selection = place.resolve(&place.wish()).unwrap();
    place.server.misbehave(LIB, 1, Answer::Status(429, vec![("Retry-After".to_owned(), "1".to_owned())]));
    let start = Instant::now();
    place.fetch(&selection).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let place = Place::make();
    place.publish();
    let selection = place.resolve(&place.wish()).unwrap();
    place.server.misbehave(LIB, 99, Answer::Silence);
    let error = place.fetch(&selection).expect_err("it is silent").to_string();
    assert!(error.ends_with("the server sends nothing for 1s 500ms"), "{error}");
    assert_eq!(asked(&place).len(), 3);
}

#[test]
fn a_server_that_lies_about_a_size_is_not_believed() {
    let answers = [
        (Answer::Length(99), "the server has 99 bytes, the index says 100000"),
        (Answer::Length(1 << 40), "the server has 1099511627776 bytes, the index says 100000"),
        (Answer::More(1 << 20), "the server sends more than 100000 bytes"),
        (Answer::Other, "its SHA-256 is "),
    ];
    for (answer, cause) in answers {
        let place = Place::make();
        place.publish();
        let selection = place.resolve(&place.wish()).unwrap();
        place.server.misbehave(LIB, 99, answer);
        let error = place.fetch(&selection).expect_err("it lies").to_string();
        assert!(error.contains(cause), "{error}");
        assert_eq!(asked(&place).len(), 1);
        let hash: String = selection.packages[2].sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!place.cached().contains(&hash));
    }
}

#[test]
fn a_release_without_end_is_not_read_to_its_end() {
    let place = Place::make();
    place.publish();
    place.server.misbehave("InRelease", 99, Answer::More(17 << 20));
    let error = place.refusal(&place.wish());
    assert!(error.ends_with("it has more than 16777216 bytes"), "{error}");
}

#[test]
fn a_server_that_isnt_there_is_named() {
    let place = Place::make();
    let mut wish = place.wish();
    let gone = Place::make().wish();
    wish.origin = gone.origin;
    let error = place.refusal(&wish);
    assert!(error.starts_with("cannot download http://127.0.0.1:") && error.ends_with("connection refused"), "{error}");
}

#[test]
fn a_file_with_its_hash_as_name_that_is_missing_is_taken_by_its_own_name() {
    let place = Place::make();
    place.publish();
    let text = String::from_utf8(place.server.content("/debian/dists/sane/InRelease").unwrap()).unwrap();
    let xz = text.lines().find(|line| line.ends_with("Packages.xz")).unwrap().split_whitespace().next().unwrap();
    place.server.remove(&format!("/debian/dists/sane/main/binary-amd64/by-hash/SHA256/{xz}"));
    assert_eq!(place.resolve(&place.wish()).unwrap().packages.len(), 4);
}

#[test]
fn two_at_once_share_a_cache() {
    let place = Place::make();
    place.publish();
    let selection = place.resolve(&place.wish()).unwrap();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| place.fetch(&selection).map(|files| files.len()))).collect();
        for one in all {
            assert_eq!(one.join().unwrap().unwrap(), 4);
        }
    });
    assert_eq!(asked(&place).len(), 1);
    assert!(place.cached().iter().all(|name| !name.ends_with(".part")));
}

#[test]
fn a_cache_of_somebody_elses_is_refused() {
    let place = Place::make();
    place.publish();
    let cache = place.directory.path().join("cache");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    let error = place.refusal(&place.wish());
    assert!(error.contains("others can write to it"), "{error}");
    fs::remove_dir_all(&cache).unwrap();
    fs::write(&cache, "").unwrap();
    assert!(place.refusal(&place.wish()).contains("not a directory"));
}

#[test]
fn a_full_disk_is_told() {
    const SMALL: &str = "HOLM_SMALL";
    let Some(small) = std::env::var_os(SMALL) else {
        // The same test, in a mount namespace with a file system of 64 kB.
        let directory = tempfile::TempDir::new().unwrap();
        let script = "mount -t tmpfs -o size=64k,mode=700 none \"$HOLM_SMALL\" && exec \"$0\" --exact bad_servers::a_full_disk_is_told";
        let mut command = std::process::Command::new("unshare");
        command.args(["-rm", "sh", "-c", script]).arg(std::env::current_exe().unwrap()).env(SMALL, directory.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    };
    let place = Place::make();
    place.publish();
    let selection = place.resolve(&place.wish()).unwrap();
    let fetched = selection.fetch(small.as_ref(), PATIENCE, &mut |_| ());
    let error = fetched.expect_err("it is full").to_string();
    assert!(error.starts_with("cannot write ") && error.ends_with("no space left on device"), "{error}");
}
