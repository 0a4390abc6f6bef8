//! Images that other programs have made.

use crate::patience::output;
use crate::stores::{Store, said};
use std::fs;
use std::path::Path;
use std::process::Command;
use testkit::skip;

/// Runs a line of sh in the store's directory; the programs it needs must be there.
fn line(store: &Store, needs: &[&str], line: &str) -> bool {
    let here = |name: &&&str| !["/usr/bin", "/usr/sbin"].iter().any(|place| Path::new(place).join(name).exists());
    if let Some(missing) = needs.iter().find(here) {
        skip(&format!("there is no {missing}"));
        return false;
    }
    let done = output(Command::new("sh").args(["-ec", line]).current_dir(store.0.path()));
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
