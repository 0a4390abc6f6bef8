//! Roots of programs in the store.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use holm_root::programs::{self, Error, Wanted};
use holm_root::store::{Metadata, Store};

use crate::fixture::{Elf, Root};

fn wanted(root: &Root, program: &str) -> Wanted {
    let mut wanted = Wanted::default();
    wanted.add(root.at(program).into_os_string());
    wanted
}

fn store(root: &Root) -> Store {
    Store::open(&root.at("/store")).unwrap()
}

fn put(root: &Root, program: &str, name: &str) -> Result<Metadata, Error> {
    programs::store(&wanted(root, program), &store(root).write().unwrap(), name)
}

#[test]
fn a_stored_root_has_the_programs_the_skeleton_and_the_reasons() {
    let root = Root::empty();
    root.elf("/app", &Elf::library(""));
    fs::set_permissions(root.at("/app"), Permissions::from_mode(0o4755)).unwrap();
    let stored = put(&root, "/app", "app").unwrap();
    assert_eq!(stored.source, format!("bins:{}", root.at("/app").display()));
    let held = store(&root).hold("app").unwrap();
    let copy = held.files.join(root.at("/app").strip_prefix("/").unwrap());
    assert_eq!(fs::read(&copy).unwrap(), fs::read(root.at("/app")).unwrap());
    assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o7777, 0o755);
    assert!(fs::read_to_string(held.files.join("etc/passwd")).unwrap().starts_with("root:x:0:0:"));
    assert!(held.files.join("proc").is_dir());
    let reasons = store(&root).reasons("app").unwrap().unwrap();
    let app = root.at("/app");
    assert!(reasons.contains(&(app.clone(), app)), "{reasons:?}");
    assert!(store(&root).verify("app").unwrap().is_empty());
}

#[test]
fn the_id_depends_on_the_files_alone() {
    let root = Root::empty();
    root.elf("/app", &Elf::library(""));
    let first = put(&root, "/app", "first").unwrap();
    fs::File::options().append(true).open(root.at("/app")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let second = put(&root, "/app", "second").unwrap();
    assert_eq!(first.id, second.id);
    root.elf("/app", &Elf::library("other"));
    assert_ne!(put(&root, "/app", "third").unwrap().id, first.id);
    let error = put(&root, "/app", "first").unwrap_err();
    assert_eq!(error.to_string(), "cannot store first: another root has this name");
}

#[test]
fn what_fails_leaves_the_store_as_it_was() {
    let root = Root::empty();
    root.elf("/app", &Elf::library("").needs("libnowhere.so"));
    assert!(matches!(put(&root, "/app", "app"), Err(Error::Closure(_))));
    assert!(matches!(put(&root, "/app", "bins:app"), Err(Error::Store(_))));
    assert!(store(&root).all().unwrap().is_empty());
    let roots = fs::read_dir(root.at("/store/roots")).unwrap().count();
    assert!(roots == 0 && !Path::new(&root.at("/store/draft")).exists());
}
