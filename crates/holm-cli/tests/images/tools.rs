//! Images that other programs have made.

use crate::patience::output;
use crate::stores::{Store, said};
use std::fs;
use std::path::Path;
use std::process::Command;
use testkit::{is_root, skip};

/// Runs a line of sh in the store's directory; the programs it needs must be there.
pub(crate) fn line(store: &Store, needs: &[&str], line: &str) -> bool {
    let here = |name: &&&str| !["/usr/bin", "/usr/sbin"].iter().any(|place| Path::new(place).join(name).exists());
    if let Some(missing) = needs.iter().find(here) {
        skip(&format!("there is no {missing}"));
        return false;
    }
    // Where they keep credentials: the machine's own directory may be another user's.
    let mut shell = Command::new("sh");
    let done = output(shell.args(["-ec", line]).current_dir(store.0.path()).env("XDG_RUNTIME_DIR", store.0.path()));
    assert!(done.status.success(), "{line}: {}", said(&done));
    true
}

/// A layout of two layers, by umoci(1).
const MADE: &str = "umoci init --layout image && umoci new --image image:one
    mkdir -p made/etc && echo note > made/etc/note && ln -s /etc/note made/link && echo gone > made/gone
    umoci insert --rootless --image image:one made / && umoci insert --rootless --image image:one --whiteout /gone
    umoci config --image image:one --config.cmd cat --config.cmd /link";

#[test]
fn layouts_of_umoci_and_archives_of_skopeo_are_the_same_root() {
    let store = Store::new("image-tools");
    if !line(&store, &["umoci", "skopeo"], MADE) {
        return;
    }
    line(
        &store,
        &["skopeo"],
        "skopeo --insecure-policy copy -q oci:image:one oci-archive:oci.tar:one
         skopeo --insecure-policy copy -q oci:image:one docker-archive:docker.tar:web:one
         skopeo --insecure-policy copy -q --dest-compress-format zstd oci:image:one oci:zstd:one
         gzip -k docker.tar; gzip -k oci.tar",
    );
    let id = |source: &str, name: &str| {
        store.does(&["root", "import", source, name]).split([' ', '\n']).nth(1).map(str::to_owned)
    };
    let first = id("image", "first");
    for source in [
        "oci.tar",
        "docker.tar",
        "zstd",
        "oci:oci.tar:one",
        "oci:docker.tar:docker.io/library/web:one",
        "oci:docker.tar:one",
    ] {
        assert_eq!(id(source, &source.replace([':', '/'], "-")), first, "{source}");
    }
    let files = store.files();
    assert_eq!(fs::read_to_string(files.join("etc/note")).ok().as_deref(), Some("note\n"));
    assert!(!files.join("gone").exists());
    let shown = store.does(&["root", "show", "first", "--json"]);
    assert!(shown.contains("\"command\": [\n      \"cat\",\n      \"/link\"\n    ]"), "{shown}");
    for source in ["docker.tar.gz", "oci.tar.gz"] {
        let said = store.fails(&["root", "import", source, "no"], "it is an archive of an image, compressed");
        assert!(said.contains("hint: gunzip"), "{said}");
    }
}

#[test]
fn a_layout_of_buildah_starts_as_it_says() {
    let store = Store::new("image-buildah");
    // As an ordinary user it needs a range of ids and more programs.
    if !is_root() {
        return;
    }
    let made = "mkdir made && echo text > made/note && buildah() { command buildah --root $PWD/all --runroot $PWD/run --storage-driver vfs \"$@\"; }
        one=$(buildah from scratch) && buildah copy -q $one made / && buildah config --cmd '[\"cat\",\"/note\"]' --env PATH=/usr/bin $one
        buildah commit -q $one oci:out:x; buildah rm -a";
    if line(&store, &["buildah"], made) {
        let tools = ["--bind", "/usr", "--bind", "/lib", "--bind", "/lib64"];
        assert_eq!(store.does(&[&["run", "--root", "oci:out:x"], tools.as_slice()].concat()), "text\n");
    }
}
