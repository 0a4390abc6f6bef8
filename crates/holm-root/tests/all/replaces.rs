//! Packages that have a path of another one.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::debian::{Place, dpkg, hostile, put, read};

/// More than any other package here has.
fn bulk(place: &Place, name: &str) {
    let noise: String = (0..200_000_u32).map(|at| format!("{:x}", at.wrapping_mul(2_654_435_761))).collect();
    put(place.at(name).join("usr/share").join(name), &noise);
}

#[test]
fn a_package_that_replaces_another_has_the_file_whichever_is_unpacked_first() {
    for first in ["old", "new"] {
        let Some(mut place) = Place::new() else { return };
        for (name, more) in [("old", ""), ("new", "Replaces: older (>= 1), old (<< 2)\n")] {
            let tree = place.tree(name, more);
            put(tree.join("lib/both"), name);
            put(tree.join("etc/both.conf"), &format!("{name}\n"));
            put(tree.join("DEBIAN/conffiles"), "/etc/both.conf\n");
            put(tree.join("usr/share/only").join(name), name);
        }
        fs::hard_link(place.at("new/lib/both"), place.at("new/lib/link")).unwrap();
        bulk(&place, first);
        place.pack("old", "gzip");
        // The path that the other has as /lib/both.
        fs::create_dir_all(place.at("new/usr")).unwrap();
        fs::rename(place.at("new/lib"), place.at("new/usr/lib")).unwrap();
        place.pack("new", "gzip");
        place.build("store").unwrap();
        let files = place.files();
        for (path, content) in [("usr/lib/both", "new"), ("usr/lib/link", "new"), ("etc/both.conf", "new\n")] {
            assert_eq!(read(files.join(path)), content, "{path}, {first} first");
        }
        let inode = |path: &str| fs::metadata(files.join(path)).unwrap().ino();
        assert_eq!(inode("usr/lib/both"), inode("usr/lib/link"));
        assert_eq!(dpkg(&files, &["-S", "/etc/both.conf"]), "new: /etc/both.conf\n");
        let old = read(files.join("var/lib/dpkg/info/old.list"));
        assert!(old.contains("/lib\n") && !old.contains("/both"), "{old}");
        assert!(!read(files.join("var/lib/dpkg/info/old.md5sums")).contains("/both"));
        assert_eq!(dpkg(&files, &["-W", "-f", "${Conffiles}", "old"]), "");
        assert!(dpkg(&files, &["-W", "-f", "${Conffiles}", "new"]).contains("/etc/both.conf "));
        let state = dpkg(&files, &["-W", "-f", "${Package} ${Status}\\n", "old", "new"]);
        assert!(state.lines().all(|line| line.ends_with("install ok installed")), "{state}");
        assert!(place.store("store").verify("made").unwrap().is_empty());
    }
}

#[test]
fn of_two_packages_that_replace_each_other_the_later_in_the_list_has_the_file() {
    for first in ["one", "two"] {
        let Some(mut place) = Place::new() else { return };
        for (name, other) in [("one", "two"), ("two", "one")] {
            put(place.tree(name, &format!("Replaces: {other}\n")).join("usr/share/both"), name);
        }
        bulk(&place, first);
        place.pack("one", "gzip");
        place.pack("two", "gzip");
        place.build("store").unwrap();
        assert_eq!(read(place.files().join("usr/share/both")), "two");
    }
}

#[test]
fn a_package_replaces_no_other_version_no_directory_and_nothing_that_it_does_not_name() {
    let conflicts = [
        ("Replaces: old (<< 1.0)\n", "share/file"),
        ("Replaces: other\n", "share/file"),
        ("Replaces: old\n", "share/dir"),
    ];
    for (more, path) in conflicts {
        let Some(mut place) = Place::new() else { return };
        put(place.tree("old", "").join("usr/share/file"), "old");
        put(place.at("old/usr/share/dir/file"), "old");
        put(place.tree("new", more).join("usr").join(path), "new");
        place.pack("old", "gzip");
        place.pack("new", "gzip");
        place.fails(": the package ");
    }
}

#[test]
fn a_file_with_other_names_is_not_replaced() {
    for first in ["old", "new"] {
        let Some(mut place) = Place::new() else { return };
        let share = place.tree("old", "").join("usr/share");
        put(share.join("both"), "old");
        fs::hard_link(share.join("both"), share.join("link")).unwrap();
        put(place.tree("new", "Replaces: old\n").join("usr/share/both"), "new");
        bulk(&place, first);
        place.pack("old", "gzip");
        place.pack("new", "gzip");
        place.fails("/usr/share/both: it has other names of it");
    }
}

#[test]
fn a_sparse_file_in_a_package_is_refused() {
    let Some(mut place) = Place::new() else { return };
    hostile(&mut place, &[("./usr/sparse", tar::EntryType::GNUSparse, "x")]);
    place.fails("/usr/sparse: it is a sparse file");
}
