//! What a root of programs holds beside their closure: by rules, from packages, by an object's own words.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use holm_root::closure::Entry;
use holm_root::programs::{self, Contents, Error, Lost, Wanted};

use crate::fixture::{Elf, Root};

fn wanted(items: &[&str]) -> Wanted {
    let mut wanted = Wanted::default();
    items.iter().for_each(|item| wanted.add(item.into()));
    wanted
}

/// What the host's programs bring; `None` if the host hasn't these.
fn contents(items: &[&str]) -> Option<Contents> {
    match programs::contents(&wanted(items)) {
        Ok(contents) => Some(contents),
        Err(error) => {
            testkit::skip(&format!("{items:?}: {error}"));
            None
        }
    }
}

fn find<'c>(contents: &'c Contents, end: &str) -> Option<&'c Entry> {
    contents.entries.iter().find(|entry| entry.path.to_string_lossy().ends_with(end))
}

fn because(entry: &Entry, start: &str) -> bool {
    entry.because.to_string_lossy().starts_with(start)
}

/// A host of its own below a directory: absolute paths of it are programs.
fn own(root: &Root, program: &str) -> OsString {
    root.at(program).into_os_string()
}

#[test]
fn what_an_object_says_that_it_opens_comes_along() {
    let root = Root::empty();
    let lib = root.at("/lib");
    let json = r#"[{"feature":"a","priority":"recommended","soname":["libgone.so","liba.so","libalso.so"]},
                  {"feature":"b","soname":["libb.so"]},{"feature":"c","soname":["libnowhere.so"]}]"#;
    let elf = Elf::program().needs("libmain.so").runpath(lib.to_str().unwrap());
    root.elf("/bin/app", &elf);
    let path = root.at("/elsewhere.so").display().to_string();
    root.elf("/elsewhere.so", &Elf::library("elsewhere.so"));
    let json = &json.replace("libnowhere.so", &path);
    root.elf("/lib/libmain.so", &Elf::library("libmain.so").opens(json).runpath("$ORIGIN"));
    root.elf("/lib/liba.so", &Elf::library("liba.so").needs("libc.so").runpath("$ORIGIN"));
    for name in ["libalso.so", "libb.so", "libc.so"] {
        root.elf(&format!("/lib/{name}"), &Elf::library(name).opens("no JSON"));
    }
    let mut wanted = Wanted::default();
    wanted.add(own(&root, "/bin/app"));
    let contents = programs::contents(&wanted).unwrap();
    let because = |name: &str| find(&contents, name).map(|entry| entry.because.display().to_string());
    let main = lib.join("libmain.so");
    let opened = format!("rule opened: {} says that it opens this", main.display());
    assert_eq!(because("/liba.so").as_deref(), Some(&*opened));
    assert_eq!(because("/libb.so").as_deref(), Some(&*opened));
    assert_eq!(because("/libc.so"), Some(lib.join("liba.so").display().to_string()));
    assert_eq!(because("/libalso.so"), None, "one library for each feature is enough");
    assert_eq!(because("/elsewhere.so"), None, "a path is no name of a library");
}

#[test]
fn an_interpreter_brings_its_own_library_without_tests() {
    let Some(contents) = contents(&["/usr/bin/python3"]) else { return };
    let stdlib = find(&contents, "/os.py").unwrap();
    assert!(because(stdlib, "rule python: "), "{stdlib:?}");
    assert!(find(&contents, "/zoneinfo/Asia/Tokyo").is_some_and(|entry| because(entry, "rule time-zones: ")));
    let outside = |entry: &&Entry| {
        entry.path.components().any(|part| ["test", "dist-packages"].iter().any(|name| part.as_os_str() == *name))
    };
    assert_eq!(contents.entries.iter().find(outside), None);
    assert_eq!(contents.entries.iter().find(|e| e.path.starts_with("/usr/share/zoneinfo/right")), None);
}

#[test]
fn a_script_brings_the_library_of_its_interpreter() {
    if contents(&["/usr/bin/perl"]).is_none() {
        return;
    }
    let root = Root::empty();
    root.file("/bin/script", "#!/usr/bin/env -S perl -w\n");
    let mut wanted = Wanted::default();
    wanted.add(own(&root, "/bin/script"));
    let contents = programs::contents(&wanted).unwrap();
    let strict = find(&contents, "/strict.pm").unwrap();
    assert!(because(strict, "rule perl: "), "{strict:?}");
}

#[test]
fn a_rule_is_asked_for_by_its_name() {
    let Some(without) = contents(&["sh"]) else { return };
    let Some(with) = contents(&["sh", "@pam", "@time-zones"]) else { return };
    let is_pam = |entry: &&Entry| because(entry, "rule pam: ");
    assert_eq!(without.entries.iter().find(is_pam), None);
    assert!(find(&without, "zoneinfo/Asia/Tokyo").is_none());
    assert!(find(&with, "zoneinfo/Asia/Tokyo").is_some());
    assert!(!Path::new("/etc/pam.d").is_dir() || with.entries.iter().any(|entry| is_pam(&entry)));
    let error = programs::contents(&wanted(&["sh", "@nothing"])).unwrap_err();
    assert!(error.to_string().starts_with("cannot find rule @nothing: there are merged-usr, locale, "), "{error}");
}

#[test]
fn trees_leave_out_what_not_everybody_may_read_and_directories_behind_links() {
    let root = Root::empty();
    root.elf("/bin/python3.99", &Elf::library(""));
    for file in ["os.py", "ssl.py", "key.pem", "private/key.pem", "test/x.py"] {
        root.file(&format!("/lib/python3.99/{file}"), "text");
    }
    root.file("/secret/notes", "text");
    root.file("/other/text", "text");
    root.link("/lib/python3.99/linked", "../../secret");
    root.link("/lib/python3.99/text", "/../../../../../../../../..".to_owned().as_str());
    root.link("/lib/python3.99/file", root.at("/other/text").to_str().unwrap());
    fs::set_permissions(root.at("/lib/python3.99/key.pem"), Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(root.at("/lib/python3.99/private"), Permissions::from_mode(0o750)).unwrap();
    // A temporary directory is its user's alone.
    fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
    let mut wanted = Wanted::default();
    wanted.add(own(&root, "/bin/python3.99"));
    let contents = programs::contents(&wanted).unwrap();
    let has = |path: &str| contents.entries.iter().any(|entry| entry.path == root.at(path));
    assert!(has("/lib/python3.99/ssl.py") && has("/lib/python3.99/file") && has("/other/text"));
    assert!(has("/lib/python3.99/linked") && !has("/secret/notes"));
    let absent = ["key.pem", "private/key.pem", "private", "test", "test/x.py"];
    assert!(absent.iter().all(|file| !has(&format!("/lib/python3.99/{file}"))));
    let unreadable =
        |path: &str| contents.notes.iter().any(|note| note.path == root.at(path) && note.what == Lost::Unreadable);
    assert!(unreadable("/lib/python3.99/key.pem") && unreadable("/lib/python3.99/private"), "{:?}", contents.notes);
}

#[test]
fn names_of_one_file_are_names_of_one_copy() {
    let root = Root::empty();
    root.elf("/app", &Elf::library(""));
    fs::hard_link(root.at("/app"), root.at("/also")).unwrap();
    let mut wanted = Wanted::default();
    wanted.add(own(&root, "/app"));
    wanted.add(own(&root, "/also"));
    let made = programs::root(&wanted, &root.at("/cache")).unwrap();
    let status = |path: &str| fs::metadata(made.join(root.at(path).strip_prefix("/").unwrap())).unwrap();
    assert_eq!((status("/app").ino(), status("/app").nlink()), (status("/also").ino(), 2));
    assert_ne!(status("/app").ino(), fs::metadata(root.at("/app")).unwrap().ino());
}

#[test]
fn what_a_copy_loses_is_noted() {
    let root = Root::empty();
    let mut other = Elf::library("");
    other.machine = 183;
    root.elf("/other", &other);
    root.elf("/app", &Elf::library(""));
    fs::set_permissions(root.at("/app"), Permissions::from_mode(0o4755)).unwrap();
    let mut wanted = Wanted::default();
    wanted.add(own(&root, "/app"));
    wanted.add(own(&root, "/other"));
    let notes = programs::contents(&wanted).unwrap().notes;
    let texts: Vec<String> = notes.iter().map(ToString::to_string).collect();
    let (app, other) = (root.at("/app"), root.at("/other"));
    let expected = [
        format!("{} is a program for aarch64, not for this machine", other.display()),
        format!("{} is set-user-id or set-group-id on the host; the copy isn't", app.display()),
    ];
    assert_eq!(texts, expected);
}

#[test]
fn file_capabilities_are_noted_and_not_copied() {
    let root = Root::empty();
    root.elf("/app", &Elf::library(""));
    // Version 2, CAP_NET_RAW: vfs_cap_data of linux/capability.h.
    let value = [[0, 0, 0, 2], [0, 0x20, 0, 0], [0; 4], [0; 4], [0; 4]].concat();
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::setxattr(root.at("/app"), c"security.capability", &value, flags).is_err() {
        // An ordinary user can't: capabilities(7), "File capabilities".
        return;
    }
    let mut wanted = Wanted::default();
    wanted.add(own(&root, "/app"));
    let notes = programs::contents(&wanted).unwrap().notes;
    assert!(matches!(&notes[..], [note] if note.what == Lost::Capabilities), "{notes:?}");
    let made = programs::root(&wanted, &root.at("/cache")).unwrap();
    let copy = made.join(root.at("/app").strip_prefix("/").unwrap());
    assert!(rustix::fs::getxattr(copy, c"security.capability", &mut [0_u8; 64]).is_err());
}

#[test]
fn a_set_user_id_copy_is_plain_and_odd_names_are_only_names() {
    let root = Root::empty();
    let witness = root.at("/witness");
    // What a shell would take for commands.
    let name = "/a;touch $HOME `touch witness` $(touch witness)|touch witness\n&& 'x' \"y\" *".to_owned();
    root.elf(&name, &Elf::library(""));
    fs::set_permissions(root.at(&name), Permissions::from_mode(0o6755)).unwrap();
    let mut wanted = Wanted::default();
    wanted.add(own(&root, &name));
    let made = programs::root(&wanted, &root.at("/cache")).unwrap();
    let copy = made.join(root.at(&name).strip_prefix("/").unwrap());
    assert_eq!(fs::metadata(copy).unwrap().mode() & 0o7777, 0o755);
    assert!(!witness.exists() && !Path::new("witness").exists());
}

#[test]
fn a_package_comes_whole_with_what_its_programs_need() {
    if !Path::new("/var/lib/dpkg/info/bash.list").exists() {
        testkit::skip("needs dpkg's list of the package bash");
        return;
    }
    let wanted = Wanted { packages: vec!["bash".to_owned()], ..Wanted::default() };
    let contents = programs::contents(&wanted).unwrap();
    let list = fs::read_to_string("/var/lib/dpkg/info/bash.list").unwrap();
    for path in list.lines().filter(|path| Path::new(path).is_file()) {
        let real = fs::canonicalize(path).unwrap();
        let entry = contents.entries.iter().find(|entry| entry.path == real).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(entry.because, Path::new("package bash"));
    }
    let libc = find(&contents, "/libc.so.6").unwrap();
    assert!(because(libc, "/"), "{libc:?}");
}

#[test]
fn a_package_that_is_not_installed_and_a_path_as_a_package_are_refused() {
    for name in ["no-such-package", "../info/bash", "", "bash\n"] {
        let wanted = Wanted { packages: vec![name.to_owned()], ..Wanted::default() };
        let error = programs::contents(&wanted).unwrap_err();
        assert!(matches!(error, Error::NoPackage { .. }), "{name}: {error}");
    }
}
