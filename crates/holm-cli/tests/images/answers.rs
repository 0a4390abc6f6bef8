//! Registries that refuse, break off, lie or lead elsewhere: each is told, and the store stays as it was.

use crate::archives::file;
use crate::layout::{Layout, archives};
use crate::stores::{Store, drafts, said};
use serde_json::json;
use std::fs;
use std::path::Path;
use testkit::holm;
use testkit::server::{Server, ok, promising};

fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").into_bytes()
}

/// What is tried in vain, with what is said of it.
fn refused(store: &Store, server: &Server, words: &str) -> String {
    let said = store.fails(&["root", "pull", &format!("{}/web", server.at()), "web"], words);
    assert_eq!(store.does(&["root", "ls", "--json"]), "[]\n", "{words}");
    assert!(!drafts(store), "{words}");
    said
}

/// A registry that answers everything in the same way.
fn always(line: &'static str) -> Server {
    Server::answering(move |_, at| status(&line.replace("HERE", at)))
}

#[test]
fn what_a_registry_answers_is_told_with_what_would_help() {
    let store = Store::new("answers");
    let cases = [
        ("401 Unauthorized", "asks for nothing that is known", "hint: podman login"),
        (
            "401 Unauthorized\r\nwww-authenticate: Basic realm=\"x\"",
            "the registry wants a password",
            "hint: podman login",
        ),
        ("401 Unauthorized\r\nwww-authenticate: Bearer service=\"x\"", "names no token server", ""),
        ("401 Unauthorized\r\nwww-authenticate: Bearer realm=\"http://token.example/\"", "it is asked by TLS only", ""),
        ("401 Unauthorized\r\nwww-authenticate: Bearer realm=\"file:///etc/passwd\"", "it is asked by TLS only", ""),
        ("403 Forbidden", "the registry says 403", "hint: podman login"),
        ("404 Not Found", "the registry says 404", "hint: its name is [REGISTRY/]"),
        ("429 Too Many Requests", "the registry says 429", "hint: try again later"),
        ("500 Internal Server Error", "the registry says 500", ""),
        ("302 Found\r\nlocation: file:///etc/passwd", "cannot pull ", ""),
        ("302 Found\r\nlocation: http://HERE/v2/web/manifests/latest", "from address to address", ""),
    ];
    for (line, words, hint) in cases {
        let said = refused(&store, &always(line), words);
        assert!(said.contains(hint), "{line}: {said}");
    }
    store.fails(&["root", "pull", "localhost:1/web"], "connection refused");
    store.fails(&["root", "pull", "Web"], "cannot use image Web");
    store.fails(&["root", "pull", "web@sha512:00"], "cannot use image web@sha512:00");
    store.fails(&["run", "--root", "docker:Web", "true"], "cannot use image Web");
    store.fails(&["root", "pull", "localhost:1/web", "../x"], "cannot use the name");
}

/// A registry with one image, whose only layer is sent as `layer` says.
fn with_layer(path: &Path, layer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Server {
    let layout = Layout::new(path, &archives(&[vec![file("note", "x")]]));
    let (bytes, served) = (layout.read(&layout.manifest["layers"][0]), layout.served());
    let name = layout.manifest["layers"][0]["digest"].as_str().expect("it has one").to_owned();
    Server::answering(move |request, _| match request.split(' ').nth(1).unwrap_or_default() {
        at if at.ends_with(&name) => layer(&bytes),
        at => served(at),
    })
}

#[test]
fn a_layer_that_is_not_what_was_promised_is_refused() {
    let store = Store::new("answers-layer");
    let at = |name: &str| store.0.join(name);
    let more = |bytes: &[u8]| promising(bytes.len() + 512, &[bytes, &[1; 512]].concat());
    refused(&store, &with_layer(&at("more"), more), "the server has ");
    let chunked = |bytes: &[u8]| {
        let all = [bytes, &[1; 512]].concat();
        let text = String::from_utf8(all.clone()).expect("it is ASCII");
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n0\r\n\r\n", all.len())
            .into_bytes()
    };
    refused(&store, &with_layer(&at("chunked"), chunked), "the server sends more than ");
    let other = |bytes: &[u8]| ok(&vec![b'y'; bytes.len()]);
    refused(&store, &with_layer(&at("other"), other), "its SHA-256 is ");
    let short = |bytes: &[u8]| promising(bytes.len(), &bytes[..bytes.len() / 2]);
    refused(&store, &with_layer(&at("short"), short), "cannot pull ");
    let gone = |_: &[u8]| status("404 Not Found");
    refused(&store, &with_layer(&at("gone"), gone), "says 404");
    // What is left of the failures is in nobody's way.
    let server = with_layer(&at("right"), ok);
    store.does(&["root", "pull", &format!("{}/web", server.at()), "web"]);
    assert_eq!(store.does(&["root", "verify"]), "web: as stored\n");
}

#[test]
fn documents_are_bounded_and_checked() {
    let store = Store::new("answers-document");
    let huge = Server::answering(|_, _| ok(&vec![b' '; 5 << 20]));
    refused(&store, &huge, "a document of more than 4194304 bytes");
    let none = Server::answering(|_, _| ok(b"<html>"));
    refused(&store, &none, "its manifest is damaged");
    let layout = Layout::new(&store.0.join("image"), &[]);
    let (one, other) = (layout.finish(), layout.blob("application/json", b"{}"));
    let index = json!({ "schemaVersion": 2, "manifests": [one] }).to_string();
    let other = layout.read(&other);
    let swapped = Server::answering(move |request, _| match request.contains("/latest ") {
        true => ok(index.as_bytes()),
        false => ok(&other),
    });
    refused(&store, &swapped, "has another digest");
    let asked = format!("{}/web@sha256:{}", swapped.at(), "0".repeat(64));
    store.fails(&["root", "pull", &asked, "web"], "its manifest has another digest");
}

#[test]
fn a_registry_that_says_nothing_is_given_up() {
    let store = Store::new("answers-silent");
    let silent = Server::answering(|_, _| Vec::new());
    // It takes half a minute, and ends by itself.
    let mut command = std::process::Command::new(holm());
    command.args(["root", "pull", &format!("{}/web", silent.at())]).env("HOLM_STORE", store.path());
    let done = command.output().expect("it starts");
    assert_eq!(done.status.code(), Some(125));
    assert!(said(&done).contains("cannot pull "), "{}", said(&done));
}

#[test]
fn a_helper_with_credentials_is_named_and_not_run() {
    let store = Store::new("answers-helper");
    fs::write(store.0.join("config.json"), r#"{"credsStore":"vault"}"#).expect("scratch is ours");
    let server = always("401 Unauthorized\r\nwww-authenticate: Basic realm=\"x\"");
    let image = format!("{}/web", server.at());
    let mut command = store.holm(&["root", "pull", &image]);
    let done = crate::patience::output(command.env("DOCKER_CONFIG", store.0.path()));
    assert!(said(&done).contains("its password is with the helper vault of "), "{}", said(&done));
    assert!(said(&done).contains("hint: podman login"), "{}", said(&done));
}
