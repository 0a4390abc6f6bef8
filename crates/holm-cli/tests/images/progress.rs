//! How far a pull or an import is, what happens to one that is interrupted, and that layers are unpacked while others come.

use crate::archives::file;
use crate::layout::{Layout, archives};
use crate::patience::{Running, output, within};
use crate::stores::{Store, drafts, said, there};
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use testkit::server::{Server, ok, promising};

/// A layout whose only layer has more than a megabyte, that layer's path for a registry, and its bytes.
fn large(store: &Store) -> (Layout, String, Vec<u8>) {
    let layout = Layout::new(&store.0.join("image"), &archives(&[vec![file("note", &"text\n".repeat(300_000))]]));
    let bytes = layout.read(&layout.manifest["layers"][0]);
    let path = format!("/v2/web/blobs/{}", layout.manifest["layers"][0]["digest"].as_str().expect("it has one"));
    (layout, path, bytes)
}

/// The first byte that a request asks for.
fn from(request: &str) -> Option<usize> {
    let lower = request.to_ascii_lowercase();
    let range = lower.lines().find_map(|line| line.strip_prefix("range: bytes=").map(str::to_owned));
    range?.trim_end_matches('-').parse().ok()
}

/// The answer with the rest of the bytes.
fn rest(bytes: &[u8], from: usize) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {from}-{}/{}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        bytes.len() - 1,
        bytes.len(),
        bytes.len() - from
    );
    [head.as_bytes(), &bytes[from..]].concat()
}

#[test]
fn stages_are_lines_in_a_pipe_events_as_json_or_nothing() {
    let store = Store::new("progress");
    let layout = Layout::new(&store.0.join("image"), &archives(&[vec![file("note", "x")]]));
    layout.write();
    let server = Server::answering({
        let served = layout.served();
        move |request, _| served(request.split(' ').nth(1).unwrap_or_default())
    });
    let image = format!("{}/web", server.at());
    let told = output(&mut store.holm(&["root", "pull", &image, "a"]));
    assert_eq!(said(&told), "asking the registry\ndownloading layers\nunpacking files\nstoring the root\n");
    let told = output(&mut store.holm(&["root", "import", "image", "b"]));
    assert_eq!(said(&told), "unpacking files\nstoring the root\n");
    let quiet = output(&mut store.holm(&["root", "pull", "--quiet", &image, "c"]));
    assert_eq!((said(&quiet).as_str(), quiet.stdout.starts_with(b"c ")), ("", true));
    let events = store.does(&["root", "pull", "--json", &image, "d"]);
    let events: Vec<serde_json::Value> =
        events.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let (last, told) = events.split_last().expect("there are events");
    assert_eq!((last["event"].as_str(), last["root"]["name"].as_str()), (Some("stored"), Some("d")));
    for stage in ["registry", "layers", "unpack", "store"] {
        let end = told.iter().rfind(|event| event["stage"] == stage);
        assert!(end.is_some_and(|event| event["done"] == event["total"] && event["event"] == "progress"), "{events:?}");
    }
}

#[test]
fn an_interrupted_pull_leaves_the_store_clean_and_goes_on_where_it_was() {
    let store = Store::new("interrupted");
    let (layout, layer, bytes) = large(&store);
    let (served, half) = (layout.served(), bytes.len() / 2);
    let (goes, resumed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let server = Server::answering({
        let (goes, resumed) = (Arc::clone(&goes), Arc::clone(&resumed));
        move |request, _| match (request.split(' ').nth(1).unwrap_or_default(), from(request)) {
            (at, _) if at != layer => served(at),
            (_, None) => promising(bytes.len(), &bytes[..half]),
            (_, Some(from)) if goes.load(Ordering::Relaxed) => {
                resumed.store(from, Ordering::Relaxed);
                rest(&bytes, from)
            }
            _ => Vec::new(),
        }
    });
    let pull = ["root", "pull", &format!("{}/web", server.at()), "web"];
    let mut running = Running::new(store.holm(&pull).stdout(Stdio::null()).stderr(Stdio::null()));
    let unpacked = store.path().join("draft-0/files/note");
    within(20, "what has come is unpacked", || there(&unpacked));
    // Nobody waits for the download.
    fs::write(store.0.join("a.tar"), file("other", "x")).expect("scratch is ours");
    store.does(&["root", "import", "a.tar", "a"]);
    assert!(there(&unpacked), "another writer leaves it alone");
    let process = rustix::process::Pid::from_child(&running.child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).expect("it runs");
    assert_eq!(running.code(), Some(125));
    assert!(!drafts(&store), "nothing is left of it");
    assert_eq!(store.does(&["root", "ls"]).lines().count(), 2);
    goes.store(true, Ordering::Relaxed);
    store.does(&pull);
    assert_eq!(resumed.load(Ordering::Relaxed), half);
    assert_eq!(store.does(&["root", "verify", "web"]), "web: as stored\n");
}

#[test]
fn an_import_from_a_pipe_that_nobody_writes_to_can_be_interrupted() {
    let store = Store::new("interrupted-pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, store.0.join("pipe"), rustix::fs::FileType::Fifo, mode, 0)
        .expect("it is ours");
    let mut running = Running::new(store.holm(&["root", "import", "pipe", "a"]).stderr(Stdio::null()));
    within(20, "it has begun", || there(&store.path().join("draft-0/files")));
    // It takes signals before it begins.
    let process = rustix::process::Pid::from_child(&running.child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it runs");
    assert_eq!(running.code(), Some(125));
    assert!(!drafts(&store));
}

#[test]
fn a_registry_that_begins_again_with_a_layer_does_no_harm() {
    let store = Store::new("begins-again");
    let (layout, layer, bytes) = large(&store);
    let (served, asked) = (layout.served(), AtomicUsize::new(0));
    let draft: PathBuf = store.path().join("draft-0/files/note");
    let server = Server::answering(move |request, _| match request.split(' ').nth(1).unwrap_or_default() {
        at if at != layer => served(at),
        _ if asked.fetch_add(1, Ordering::Relaxed) == 0 => promising(bytes.len(), &bytes[..bytes.len() / 2]),
        // Whatever part is asked for, and only when some was read.
        _ => {
            within(20, "what has come is unpacked", || there(&draft) || asked.load(Ordering::Relaxed) > 2);
            ok(&bytes)
        }
    });
    store.does(&["root", "pull", &format!("{}/web", server.at()), "web"]);
    assert_eq!(store.does(&["root", "verify"]), "web: as stored\n");
    assert!(!drafts(&store));
}

#[test]
fn a_layer_is_unpacked_while_the_next_one_comes() {
    let store = Store::new("along");
    let layers = [vec![file("low", "x")], vec![file("high", "x")]];
    let layout = Layout::new(&store.0.join("image"), &archives(&layers));
    let next = layout.manifest["layers"][1]["digest"].as_str().expect("it has one").to_owned();
    let (served, low) = (layout.served(), store.path().join("draft-0/files/low"));
    let server = Server::answering(move |request, _| {
        let at = request.split(' ').nth(1).unwrap_or_default();
        if at.ends_with(&next) {
            within(20, "the first layer is unpacked", || there(&low));
        }
        served(at)
    });
    store.does(&["root", "pull", &format!("{}/web", server.at()), "web"]);
    assert_eq!(store.does(&["root", "verify"]), "web: as stored\n");
}
