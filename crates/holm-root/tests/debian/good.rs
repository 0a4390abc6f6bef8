//! Archives as they should be.

use std::fs;
use std::time::{Duration, SystemTime};

use holm_root::debian::archive::{Selection, resolve};
use holm_root::debian::keyring::Trust;
use holm_root::debian::wish::{Family, Origin, Variant};
use holm_root::progress::{Progress, Stage};
use testkit::archive::{self, Archive, date};

use crate::fixture::{PATIENCE, Place, names};

#[test]
fn a_suite_becomes_packages_on_disk() {
    let place = Place::make();
    place.publish();
    let selection = place.resolve(&place.wish()).unwrap();
    assert_eq!(names(&selection), ["apt 2", "base 1.0", "lib 2.1-1", "tool 1:3"]);
    assert_eq!(selection.archives[0].archive.suite, "sane");
    assert_eq!(selection.packages[2].source, ("library".to_owned(), "2.1".to_owned()));
    let files = place.fetch(&selection).unwrap();
    let contents: Vec<usize> = files.iter().map(|one| fs::read(&one.file).unwrap().len()).collect();
    assert_eq!(contents, [3, 4, 100_000, 4]);
    // By its hash, and not once more.
    assert!(place.server.requests().iter().any(|request| request.path.contains("by-hash/SHA256/")));
    place.server.forget();
    assert_eq!(place.fetch(&selection).unwrap(), files);
    assert_eq!(place.server.requests(), []);
}

#[test]
fn variants_have_the_packages_of_their_priorities() {
    let place = Place::make();
    let mut archive = place.archive();
    archive.add("important", "1", "Priority: important\n", b"i").add("standard", "1", "Priority: standard\n", b"s");
    archive.add("build-essential", "1", "Priority: optional\nDepends: cc\n", b"b").add("cc", "1", "", b"c");
    archive.publish(&place.key);
    let of = |variant| {
        let mut wish = place.wish();
        wish.variant = variant;
        let selection = place.resolve(&wish).unwrap();
        selection.packages.into_iter().map(|package| package.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of(Variant::Essential), "base lib");
    assert_eq!(of(Variant::Minbase), "apt base lib tool");
    assert_eq!(of(Variant::Buildd), "apt base build-essential cc lib tool");
    assert_eq!(of(Variant::Standard), "apt base important lib standard tool");
}

#[test]
fn a_second_question_is_answered_from_the_cache_until_the_archive_changes() {
    let place = Place::make();
    place.publish();
    let first = place.resolve(&place.wish()).unwrap();
    place.server.forget();
    assert_eq!(place.resolve(&place.wish()).unwrap(), first);
    let paths: Vec<String> = place.server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/debian/dists/sane/InRelease"]);
    // What is damaged there is not an answer, though it is a shorter list.
    let kept = fs::read_dir(place.directory.path().join("cache/selections")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&kept).unwrap();
    fs::write(&kept, &text[..text.rfind("[[package]]").unwrap()]).unwrap();
    assert_eq!(place.resolve(&place.wish()).unwrap(), first);
    let mut archive = place.archive();
    archive.add("tool", "1:4", "", b"new tool").publish(&place.key);
    assert!(names(&place.resolve(&place.wish()).unwrap()).contains(&"tool 1:4".to_owned()));
}

#[test]
fn a_release_without_the_signature_in_it_is_taken_with_that_beside_it() {
    let place = Place::make();
    place.archive().publish_apart(&place.key);
    assert_eq!(place.resolve(&place.wish()).unwrap().packages.len(), 4);
}

#[test]
fn all_forms_of_an_index_and_of_an_archive_are_read() {
    for forms in [vec![".xz"], vec![".gz"], vec![""], vec![".xz", ""]] {
        let place = Place::make();
        let mut archive = place.archive();
        archive.forms = forms.clone();
        archive.fields.remove("Acquire-By-Hash");
        archive.fields.remove("No-Support-for-Architecture-all");
        archive.publish(&place.key);
        assert_eq!(place.resolve(&place.wish()).unwrap().packages.len(), 4, "{forms:?}");
        assert!(place.server.requests().iter().all(|request| !request.path.contains("by-hash")));
    }
}

#[test]
fn an_archive_of_ubuntus_layout_is_read() {
    let place = Place::make();
    let mut archive = Archive::new(&place.server, "noble");
    archive.base = "/ubuntu";
    let said = [("Origin", "Ubuntu"), ("Suite", "noble"), ("Components", "main restricted universe multiverse")];
    archive.fields.extend(said.map(|(name, value)| (name, value.to_owned())));
    // Its releases don't end, and packages of all architectures are in each index.
    archive.fields.retain(|name, _| !["Valid-Until", "No-Support-for-Architecture-all"].contains(name));
    archive.forms = vec![".gz", ".xz"];
    archive.add("base", "1ubuntu1", "Essential: yes\nPriority: required\nArchitecture: all\n", b"base");
    archive.add("apt", "2", "Priority: important\n", b"apt");
    archive.component = "universe";
    archive.add("tool", "3", "Priority: optional\nDepends: base\n", b"tool");
    archive.publish(&place.key);
    let mut wish = place.wish();
    (wish.family, wish.suite, wish.include) = (Family::Ubuntu, "noble".to_owned(), vec!["tool".to_owned()]);
    wish.origin = Origin::Mirror(format!("http://{}/ubuntu", place.server.at()));
    let selection = place.resolve(&wish).unwrap();
    assert_eq!(names(&selection), ["apt 2", "base 1ubuntu1", "tool 3"]);
    assert_eq!(place.fetch(&selection).unwrap().len(), 3);
    assert!(place.server.requests().iter().any(|request| request.path == "/ubuntu/pool/universe/tool_3_amd64.deb"));
}

#[test]
fn armoured_and_inline_keys_are_taken() {
    let place = Place::make();
    place.publish();
    let armoured = place.key.to_public_key().to_armored_string(Default::default()).unwrap();
    let other = archive::key().to_public_key().to_armored_string(Default::default()).unwrap();
    fs::write(place.keyring(), other.clone() + &armoured).unwrap();
    assert!(place.resolve(&place.wish()).is_ok());
    fs::write(place.keyring(), other).unwrap();
    assert!(place.refusal(&place.wish()).contains("none of which is in"));
}

/// Apt's configuration for the server's archives.
fn sources(place: &Place, apt: &std::path::Path) -> String {
    fs::create_dir_all(apt.join("sources.list.d")).unwrap();
    let key = place.key.to_public_key().to_armored_string(Default::default()).unwrap();
    let key: String = key.lines().map(|line| format!(" {}\n", if line.is_empty() { "." } else { line })).collect();
    let uri = format!("{}/debian", place.server.url());
    format!("Types: deb deb-src\nURIs: {uri}\nSuites: sane sane-security\nComponents: main\nSigned-By:\n{key}")
}

#[test]
fn the_hosts_configuration_of_apt_says_where_packages_are_from() {
    let place = Place::make();
    place.publish();
    let mut security = Archive::new(&place.server, "sane-security");
    security.add("lib", "2.1-1+fix1", "", b"fixed").publish(&place.key);
    let mut foreign = Archive::new(&place.server, "sane");
    foreign.base = "/foreign";
    foreign.fields.insert("Origin", "Foreign".to_owned());
    foreign.add("base", "99", "Essential: yes\n", b"evil").publish(&place.key);
    let apt = place.directory.path().join("apt");
    fs::write(place.directory.path().join("k.gpg"), fs::read(place.keyring()).unwrap()).unwrap();
    let deb822 = sources(&place, &apt);
    fs::write(apt.join("sources.list.d/a.sources"), deb822).unwrap();
    let signed_by = place.keyring().display().to_string();
    let line = format!("deb [arch=amd64 signed-by={signed_by}] {}/foreign/ sane main # not ours\n", place.server.url());
    fs::write(
        apt.join("sources.list"),
        format!("deb cdrom:[x]/ sane main\n{line}deb http://127.0.0.1:1/ other main\n"),
    )
    .unwrap();
    let mut wish = place.wish();
    wish.origin = Origin::Host(apt);
    wish.keyring = None;
    let selection = place.resolve(&wish).unwrap();
    assert_eq!(names(&selection), ["apt 2", "base 1.0", "lib 2.1-1+fix1", "tool 1:3"]);
    let suites: Vec<&str> = selection.archives.iter().map(|stand| stand.archive.suite.as_str()).collect();
    assert_eq!(suites, ["sane", "sane-security"]);
    assert!(matches!(&selection.archives[0].archive.trust, Trust::Key(key) if key.contains("\n\n")));
    assert_eq!(place.fetch(&selection).unwrap().len(), 4);
}

#[test]
fn a_release_that_has_ended_is_refused_unless_the_configuration_allows_it() {
    let place = Place::make();
    let mut archive = place.archive();
    archive.fields.insert("Valid-Until", date(SystemTime::now() - Duration::from_secs(3600)));
    archive.publish(&place.key);
    Archive::new(&place.server, "sane-security").publish(&place.key);
    assert!(place.refusal(&place.wish()).contains("it was valid until"));
    let apt = place.directory.path().join("apt");
    let text = sources(&place, &apt);
    let mut wish = place.wish();
    wish.origin = Origin::Host(apt.clone());
    fs::write(apt.join("sources.list.d/a.sources"), format!("Check-Valid-Until: no\n{text}")).unwrap();
    assert_eq!(place.resolve(&wish).unwrap().packages.len(), 4);
    fs::write(apt.join("sources.list.d/a.sources"), text).unwrap();
    assert!(place.refusal(&wish).contains("it was valid until"));
}

#[test]
fn a_lock_file_pins_the_packages() {
    let place = Place::make();
    place.publish();
    let selection = place.resolve(&place.wish()).unwrap();
    let text = selection.to_lock().unwrap();
    let mut archive = place.archive();
    archive.add("tool", "1:4", "", b"new tool").publish(&place.key);
    let locked = Selection::from_lock(&text).unwrap();
    assert_eq!(locked, selection);
    assert!(locked.is_of("sane") && !locked.is_of("other"));
    let files = place.fetch(&locked).unwrap();
    assert_eq!(fs::read(&files[3].file).unwrap(), b"tool");
    assert_eq!(locked.to_lock().unwrap(), text);
    let document = locked.to_spdx("debian:sane");
    assert_eq!(document["packages"].as_array().unwrap().len(), 4);
}

#[test]
fn progress_ends_where_it_said_it_would() {
    let place = Place::make();
    place.publish();
    let cache = place.directory.path().join("cache");
    let mut seen: Vec<Progress> = Vec::new();
    let selection = resolve(&place.wish(), &cache, PATIENCE, &mut |progress| seen.push(progress)).unwrap();
    selection.fetch(&cache, PATIENCE, &mut |progress| seen.push(progress)).unwrap();
    for stage in [Stage::Release, Stage::Index, Stage::Packages] {
        let last = seen.iter().rfind(|progress| progress.stage == stage).unwrap();
        assert_eq!(last.done, last.total, "{stage:?}");
        assert!(last.total > 0);
    }
    assert_eq!(seen.iter().rfind(|progress| progress.stage == Stage::Choose).unwrap().done, 4);
}
