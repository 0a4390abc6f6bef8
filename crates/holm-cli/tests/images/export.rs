//! Images that are written: holm and other programs read the same from them.

use crate::archives::{file, member};
use crate::stores::Store;
use crate::tools::line;
use std::fs;

fn stored(name: &str) -> Store {
    let store = Store::new(name);
    let members = [file("note", "a note"), member(b'5', "empty", "", b""), member(b'1', "same", "note", b"")];
    fs::write(store.0.join("a.tar"), members.concat()).expect("scratch is ours");
    store.does(&["root", "import", "a.tar", "a"]);
    store
}

#[test]
fn what_is_written_as_an_image_is_read_again() {
    let store = stored("export-image");
    let id = |text: String| text.split([' ', '\n']).nth(1).map(str::to_owned);
    let first = store.does(&["root", "show", "a", "--json"]);
    for (to, from) in [
        ("oci:out:v1", "oci:out:v1"),
        ("oci-archive:o.tar:v1", "o.tar"),
        ("docker-archive:d.tar:web", "oci:d.tar:latest"),
    ] {
        store.does(&["root", "export", "a", to]);
        let again = id(store.does(&["root", "import", from, &from.replace(':', "-")])).expect("it has an id");
        assert!(first.contains(&again), "{to}: {again}");
        store.fails(&["root", "export", "a", to], "it exists");
    }
    let all: Vec<_> =
        fs::read_dir(store.0.path()).expect("it is ours").flatten().map(|item| item.file_name()).collect();
    assert!(all.iter().all(|name| !name.to_string_lossy().contains(".part")), "{all:?}");
    let read = |name: &str| fs::read(store.0.join(name)).expect("it is there");
    store.does(&["root", "export", "a", "oci-archive:again.tar:v1"]);
    assert!(read("o.tar") == read("again.tar"), "the same root gives the same image");
}

#[test]
fn other_programs_read_what_is_written() {
    let store = stored("export-tools");
    for to in ["oci:out:v1", "oci-archive:o.tar:v1", "docker-archive:d.tar:web:v1"] {
        store.does(&["root", "export", "a", to]);
        let copy = format!("skopeo --insecure-policy copy -q {to} dir:copy && rm -r copy");
        if !line(&store, &["skopeo"], &copy) {
            return;
        }
    }
    line(
        &store,
        &["umoci"],
        "umoci unpack --rootless --image out:v1 bundle && cmp bundle/rootfs/same bundle/rootfs/note && test -d bundle/rootfs/empty",
    );
}

#[test]
fn bad_wishes_for_an_image_write_nothing() {
    let store = stored("export-bad");
    store.fails(&["root", "export", "b", "oci:out"], "the store has none of that name");
    store.fails(&["root", "export", "a", "oci:out:"], "cannot use the tag");
    store.fails(&["root", "export", "a", "docker-archive:out:Not a name"], "cannot use the tag");
    store.fails(&["root", "export", "a", "docker-archive:out:Web"], "cannot use image Web");
    store.fails(&["root", "export", "a", "oci:no/such/out"], "no such file or directory");
    fs::write(store.0.join("b.tar"), file("d/.wh.x", "x")).expect("scratch is ours");
    store.does(&["root", "import", "b.tar", "marks"]);
    store.fails(&["root", "export", "marks", "oci:out"], "d/.wh.x means that something is hidden");
    assert!(!store.0.join("out").exists());
}
