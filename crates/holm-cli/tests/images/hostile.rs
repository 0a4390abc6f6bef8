//! Images of makers who mean ill.

use crate::archives::{file, link, member};
use crate::layout::{GZIP, Layout, archives};
use crate::patience::output;
use crate::stores::{Store, drafts, there};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use testkit::Scratch;

/// What it is, its layers, and the file with the content `x` that they make or the error that they are.
type Case<'t> = (&'t str, Vec<Vec<Vec<u8>>>, Result<&'t str, &'t str>);

#[test]
fn hostile_layers_reach_nothing_outside() {
    let outside = Scratch::new("images-outside");
    let out = outside.path().display().to_string();
    fs::write(outside.join("victim"), "as before").expect("scratch is ours");
    let victim = outside.join("victim").display().to_string();
    let inside = &victim[1..];
    let swap = || vec![link("d", &out)];
    let cases: Vec<Case> = vec![
        ("climbing", vec![vec![file("../victim", "x")]], Err("a part '..'")),
        ("a link from below", vec![swap(), vec![file("d/victim", "x")]], Ok(inside)),
        (
            "a link that climbs",
            vec![vec![link("d", &format!("../../..{out}"))], vec![file("d/victim", "x")]],
            Ok(inside),
        ),
        ("hiding by a link", vec![swap(), vec![file("d/.wh.victim", ""), file("y", "x")]], Ok("y")),
        ("hiding all by a link", vec![swap(), vec![file("d/.wh..wh..opq", ""), file("y", "x")]], Ok("y")),
        ("hiding above", vec![vec![file("../.wh.victim", "")]], Err("a part '..'")),
        ("hiding nothing", vec![vec![], vec![file(".wh.", "")]], Err("it hides nothing that has a name")),
        ("hiding itself", vec![vec![], vec![file("a/.wh..", "")]], Err("it hides nothing that has a name")),
        ("hiding its parent", vec![vec![], vec![file("a/.wh...", "")]], Err("it hides nothing that has a name")),
        ("below a mark", vec![vec![], vec![file(".wh.a/x", "x")]], Err("below a mark")),
        ("a mark that is a link", vec![vec![file("a", "y")], vec![link(".wh.a", &victim), file("y", "x")]], Ok("y")),
        (
            "a link over a directory",
            vec![vec![member(b'5', "d", "", b"")], swap(), vec![file("d/victim", "x")]],
            Ok(inside),
        ),
        (
            "a directory over a link",
            vec![swap(), vec![member(b'5', "d", "", b""), file("d/victim", "x")]],
            Ok("d/victim"),
        ),
        ("a hard link out", vec![vec![], vec![member(b'1', "h", &victim, b"")]], Err("no such file")),
        ("a hard link by a link", vec![swap(), vec![member(b'1', "h", "d/victim", b"")]], Err("no such file")),
        (
            "a loop",
            vec![vec![link("a", "b"), link("b", "a")], vec![file("a/x", "x")]],
            Err("too many levels of symbolic links"),
        ),
        ("the root", vec![vec![link("/", &out)]], Err("take the place of the root")),
        ("a device to write to", vec![vec![member(b'4', "disk", "", b"")], vec![file("disk", "x")]], Ok("disk")),
        ("truncated", vec![vec![file("a", "x")[..514].to_vec()]], Err("ends in the middle")),
    ];
    for (what, layers, wanted) in cases {
        let store = Store::new("image-hostile");
        // Without an end marker, so that a truncated one is.
        let layers: Vec<Vec<u8>> = layers.iter().map(|members| members.concat()).collect();
        Layout::new(&store.0.join("image"), &layers).write();
        match wanted {
            Err(text) => {
                store.fails(&["root", "import", "image", "a"], text);
                assert!(!drafts(&store), "{what}: a draft is left");
                assert_eq!(store.does(&["root", "ls", "--json"]), "[]\n", "{what}");
            }
            Ok(inside) => {
                store.does(&["root", "import", "image", "a"]);
                let content = fs::read_to_string(store.files().join(inside));
                assert!(content.is_ok_and(|content| content == "x"), "{what}");
                store.does(&["root", "verify"]);
            }
        }
        assert_eq!(fs::read_to_string(outside.join("victim")).ok().as_deref(), Some("as before"), "{what}");
        assert_eq!(fs::read_dir(outside.path()).expect("scratch is ours").count(), 1, "{what}");
    }
}

/// What is done to a layout, and what is said of it then.
type Lie = (&'static str, fn(&mut Layout), &'static str);

fn layer(layout: &Layout) -> String {
    layout.manifest["layers"][0]["digest"].as_str().expect("it has a layer")[7..].to_owned()
}

fn replace(layout: &Layout, name: &str, bytes: &[u8]) {
    fs::write(layout.path.join("blobs/sha256").join(name), bytes).expect("scratch is ours");
}

/// An index of an index of an index, so often.
fn nested(layout: &Layout, depth: usize) {
    let mut next = layout.finish();
    for _ in 0..depth {
        let index = json!({ "schemaVersion": 2, "manifests": [next] }).to_string();
        next = layout.blob("application/vnd.oci.image.index.v1+json", index.as_bytes());
    }
    layout.index(&[next]);
}

fn gzip(layout: &Layout) -> Vec<u8> {
    let path = layout.path.join("blobs/sha256").join(layer(layout));
    output(Command::new("gzip").arg("-c").arg(path)).stdout
}

const LIES: &[Lie] = &[
    (
        "another content",
        |it| {
            let mut bytes = archives(&[vec![file("a", "y")]]).remove(0);
            bytes.resize(2048, 0);
            replace(it, &layer(it), &bytes);
            it.write();
        },
        "its digest is sha256:",
    ),
    (
        "another size",
        |it| {
            it.manifest["layers"][0]["size"] = json!(7);
            it.write();
        },
        "bytes, not 7",
    ),
    (
        "no such blob",
        |it| {
            fs::remove_file(it.path.join("blobs/sha256").join(layer(it))).expect("it is there");
            it.write();
        },
        "can't be read: no such file",
    ),
    (
        "another content id",
        |it| {
            it.config["rootfs"]["diff_ids"][0] = json!(crate::layout::digest(b"other"));
            it.write();
        },
        "its content is sha256:",
    ),
    (
        "more contents than layers",
        |it| {
            it.config["rootfs"]["diff_ids"] = json!([]);
            it.write();
        },
        "it has 1 layers, but contents of 0",
    ),
    (
        "an unknown kind of layer",
        |it| {
            it.manifest["layers"][0]["mediaType"] = json!("application/x-layer");
            it.write();
        },
        "a layer is of an unknown kind: application/x-layer",
    ),
    (
        "no image",
        |it| {
            it.manifest["config"] = it.blob("application/vnd.cncf.helm.config.v1+json", b"{}");
            it.write();
        },
        "it is no image but has application/vnd.cncf.helm.config.v1+json",
    ),
    (
        "another machine",
        |it| {
            it.config["architecture"] = json!("arm64");
            it.write();
        },
        "it is for linux/arm64, not linux/amd64",
    ),
    (
        "another machine in the index",
        |it| {
            let mut one = it.finish();
            one["platform"] = json!({ "os": "linux", "architecture": "arm64" });
            it.index(&[one]);
        },
        "its index has nothing for linux/amd64",
    ),
    (
        "both index and manifest",
        |it| {
            it.manifest["manifests"] = json!([]);
            it.write();
        },
        "readers differ about such ones",
    ),
    ("nested too deep", |it| nested(it, 6), "nested more than 4 deep"),
    (
        "an old form",
        |it| {
            let old = it.blob("application/json", br#"{"schemaVersion":1,"fsLayers":[]}"#);
            it.index(&[old]);
        },
        "of the first Docker form",
    ),
    (
        "a huge manifest",
        |it| {
            let huge = it.blob("application/json", &vec![b' '; 5 << 20]);
            it.index(&[huge]);
        },
        "more than 4194304 bytes",
    ),
    (
        "deep JSON",
        |it| {
            let deep = it.blob("application/json", &vec![b'['; 100_000]);
            it.index(&[deep]);
        },
        "recursion limit exceeded",
    ),
    (
        "no JSON",
        |it| {
            let none = it.blob("application/json", b"\0");
            it.index(&[none]);
        },
        "its manifest is damaged",
    ),
    (
        "a digest that climbs",
        |it| {
            let mut one = it.finish();
            one["digest"] = json!("sha256:../../../../etc/passwd");
            it.index(&[one]);
        },
        "its index.json is damaged",
    ),
    (
        "another hash",
        |it| {
            let mut one = it.finish();
            one["digest"] = json!(format!("sha512:{}", "0".repeat(128)));
            it.index(&[one]);
        },
        "is no SHA-256 digest",
    ),
    (
        "too many layers",
        |it| {
            it.manifest["layers"] = Value::Array(vec![it.manifest["layers"][0].clone(); 300]);
            it.write();
        },
        "it has more than 256 layers",
    ),
    (
        "a blob that is a link out",
        |it| {
            it.write();
            let at = it.path.join("blobs/sha256").join(layer(it));
            fs::remove_file(&at).expect("it is there");
            symlink("/etc/passwd", at).expect("scratch is ours");
        },
        "can't be read",
    ),
    (
        "a blob that is a FIFO",
        |it| {
            it.write();
            let at = it.path.join("blobs/sha256").join(layer(it));
            fs::remove_file(&at).expect("it is there");
            output(Command::new("mkfifo").arg(at));
        },
        "it is no file",
    ),
    (
        "truncated gzip",
        |it| {
            let bytes = gzip(it);
            it.manifest["layers"][0] = it.blob(GZIP, &bytes[..bytes.len() - 9]);
            it.write();
        },
        "cannot unpack sha256:",
    ),
    (
        "bytes after gzip",
        |it| {
            let bytes = [gzip(it), b"more".to_vec()].concat();
            it.manifest["layers"][0] = it.blob(GZIP, &bytes);
            it.write();
        },
        "cannot unpack sha256:",
    ),
    ("empty index", |it| it.index(&[]), "its index is empty"),
    (
        "another layout",
        |it| {
            it.write();
            fs::write(it.path.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).expect("it is ours");
        },
        "its layout is of version \"2.0.0\", not 1",
    ),
    (
        "a NUL in a text",
        |it| {
            it.config["config"]["Env"] = json!(["A=\0"]);
            it.write();
        },
        "has a NUL",
    ),
];

#[test]
fn an_image_that_lies_about_itself_is_refused_and_leaves_the_store_as_it_was() {
    let store = Store::new("image-lies");
    let before = store.0.join("good");
    Layout::new(&before, &archives(&[vec![file("x", "x")]])).write();
    store.does(&["root", "import", "good", "kept"]);
    for (what, lie, said) in LIES {
        let path = store.0.join("image");
        let _ = fs::remove_dir_all(&path);
        lie(&mut Layout::new(&path, &archives(&[vec![file("a", "x")]])));
        store.fails(&["root", "import", "image", "a"], said);
        store.fails(&["run", "--root", "oci:image", "true"], said);
        assert!(!drafts(&store), "{what}: a draft is left");
        let names = fs::read_dir(store.path().join("names")).expect("it is ours").count();
        let roots = fs::read_dir(store.path().join("roots")).expect("it is ours").count();
        assert_eq!((names, roots), (1, 1), "{what}");
    }
    assert_eq!(store.does(&["root", "verify"]), "kept: as stored\n");
}

#[test]
fn the_limit_counts_for_all_layers_together() {
    let store = Store::new("image-bomb");
    let big = || archives(&[vec![member(b'0', "zero", "", &vec![0; 3 << 20])]]).remove(0);
    let mut layout = Layout::new(&store.0.join("image"), &[big(), big()]);
    let bytes = gzip(&layout);
    layout.manifest["layers"] = json!([layout.blob(GZIP, &bytes), layout.blob(GZIP, &bytes)]);
    layout.write();
    store.fails(&["root", "import", "image", "a", "--max-size", "4M"], "it is larger than 4194304 bytes");
    assert_eq!(store.does(&["root", "ls", "--json"]), "[]\n");
    store.does(&["root", "import", "image", "a", "--max-size", "8M"]);
}

#[test]
fn one_image_of_several_is_chosen_by_its_tag() {
    let store = Store::new("image-tags");
    let (path, mut all) = (store.0.join("image"), Vec::new());
    for tag in ["one", "two"] {
        let layout = Layout::new(&path, &archives(&[vec![file(tag, "x")]]));
        let mut manifest = layout.finish();
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        all.push(manifest);
        layout.index(&all);
    }
    let said = store.fails(&["root", "import", "image", "a"], "cannot choose an image of image: it holds several");
    assert!(said.contains("hint: oci:image:TAG with one of one, two"), "{said}");
    store.fails(&["root", "import", "oci:image:three", "a"], "none, or more than one, has the tag three");
    store.does(&["root", "import", "oci:image:two", "a"]);
    assert!(there(&store.files().join("two")));
    store.fails(&["root", "import", "oci:nothing:two", "b"], "cannot read nothing: no such file");
    fs::create_dir(store.0.join("empty")).expect("scratch is ours");
    store.fails(&["root", "import", "oci:empty", "b"], "neither an image layout nor");
}
