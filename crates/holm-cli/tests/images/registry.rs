//! Pulls from a registry that answers as it should: Debian's docker-registry on loopback, and one that wants a token.

use crate::archives::file;
use crate::layout::{Layout, archives};
use crate::patience::{output, within};
use crate::stores::Store;
use crate::tools::line;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use testkit::server::{Server, ok};
use testkit::skip;

/// A registry of this test, killed when dropped.
struct Registry(Child, u16);

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Registry {
    fn new(store: &Store) -> Option<Registry> {
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("there is one").port();
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
            store.0.join("registry").display()
        );
        fs::write(store.0.join("registry.yml"), config).expect("scratch is ours");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(store.0.join("registry.yml")).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(child) = command.spawn() else {
            skip("there is no docker-registry");
            return None;
        };
        let registry = Registry(child, port);
        within(20, "the registry answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(registry)
    }
}

#[test]
fn an_image_is_pulled_once_and_started_from_the_store() {
    let store = Store::new("pull");
    let Some(registry) = Registry::new(&store) else { return };
    let config = serde_json::json!({ "Cmd": ["cat", "/note"], "Env": ["PATH=/usr/bin"] });
    let shared = vec![file("note", "first")];
    let mut one = Layout::new(&store.0.join("image"), &archives(&[shared.clone(), vec![file("note", "pulled\n")]]));
    one.config["config"] = config;
    one.write();
    let at = format!("127.0.0.1:{}/group/web", registry.1);
    if !line(
        &store,
        &["skopeo"],
        &format!("skopeo --insecure-policy copy -q --dest-tls-verify=false oci:image docker://{at}:v1"),
    ) {
        return;
    }
    let tools = ["--bind", "/usr", "--bind", "/lib", "--bind", "/lib64"];
    let name = format!("docker:{at}:v1");
    let run = || store.does(&[&["run", "--root", &name], tools.as_slice()].concat());
    assert_eq!(run(), "pulled\n");
    let first = store.does(&["root", "ls"]);
    assert!(first.contains(&format!("127.0.0.1:{}+group+web:v1 ", registry.1)), "{first}");
    let digest = {
        let shown = output(
            Command::new("skopeo")
                .args(["inspect", "--tls-verify=false", "--format", "{{.Digest}}"])
                .arg(format!("docker://{at}:v1"))
                .env("XDG_RUNTIME_DIR", store.0.path()),
        );
        String::from_utf8_lossy(&shown.stdout).trim().to_owned()
    };
    store.does(&["root", "pull", &format!("{at}@{digest}"), "by-digest"]);
    store.fails(&["root", "pull", &format!("{at}:v2"), "other"], "the registry says 404");
    let other = format!("{at}@sha256:{}", "0".repeat(64));
    store.fails(&["root", "pull", &other, "other"], "the registry says 404");
    drop(registry);
    assert_eq!(run(), "pulled\n", "without the registry");
    assert!(store.does(&["root", "gc"]).contains("removed 0 roots and "));
    assert_eq!(fs::read_dir(store.path().join("blobs/files")).expect("it is ours").count(), 0);
    store.fails(&["root", "pull", &format!("{at}:v1"), "again"], "connection refused");
}

/// The answer of a registry whose own token server is to be asked.
fn wants_token(server: &str) -> Vec<u8> {
    let realm = format!("www-authenticate: Bearer realm=\"http://{server}/token\",service=\"s\"");
    format!("HTTP/1.1 401 Unauthorized\r\n{realm}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").into_bytes()
}

#[test]
fn a_token_is_got_with_the_callers_credentials() {
    let store = Store::new("pull-token");
    let layout = Layout::new(&store.0.join("image"), &archives(&[vec![file("note", "x")]]));
    let served = layout.served();
    let server = Server::answering(move |request, server| {
        let has = |text: &str| request.lines().any(|line| line.eq_ignore_ascii_case(text));
        match request.split(' ').nth(1).unwrap_or_default() {
            at if at.starts_with("/token?") => match has("authorization: Basic bWU6aGlkZGVu") {
                true if at.contains("scope=repository%3Aweb%3Apull") => ok(br#"{"token":"granted"}"#),
                _ => b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_vec(),
            },
            _ if !has("authorization: Bearer granted") => wants_token(server),
            at => served(at),
        }
    });
    let image = format!("{}/web", server.at());
    let pull = |config: &str, host: &str| {
        fs::write(store.0.join("config.json"), config.replace("HOST", host)).expect("scratch is ours");
        output(
            store
                .holm(&["root", "pull", &image, "web"])
                .env("DOCKER_CONFIG", store.0.path())
                .env_remove("REGISTRY_AUTH_FILE"),
        )
    };
    let said = |done: &std::process::Output| crate::stores::said(done);
    let none = pull("{}", "");
    assert!(said(&none).contains("says 403") && said(&none).contains("hint: podman login"), "{}", said(&none));
    let elsewhere = pull(r#"{"auths":{"HOST":{"auth":"bWU6aGlkZGVu"}}}"#, "other.example");
    assert_eq!(elsewhere.status.code(), Some(125), "credentials of others are not used");
    let damaged = pull(r#"{"auths":{"HOST":{"auth":"%"}}}"#, &server.at());
    assert!(said(&damaged).contains("no base64 of USER:PASSWORD"), "{}", said(&damaged));
    let done = pull(r#"{"auths":{"HOST":{"auth":"bWU6aGlkZGVu"}}}"#, &server.at());
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert!(!said(&done).contains("hidden"));
    assert_eq!(store.does(&["root", "verify"]), "web: as stored\n");
}

/// A registry whose tokens are good for so many requests each, and how many tokens it has given.
fn forgetful(layout: &Layout, uses: usize) -> (Server, Arc<AtomicUsize>) {
    let given = Arc::new(AtomicUsize::new(0));
    let (served, count, left) = (layout.served(), Arc::clone(&given), AtomicUsize::new(0));
    let server = Server::answering(move |request, server| {
        let at = request.split(' ').nth(1).unwrap_or_default();
        if at.starts_with("/token?") {
            left.store(uses, Ordering::Relaxed);
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            return ok(format!(r#"{{"token":"t{number}"}}"#).as_bytes());
        }
        let wanted = format!("authorization: bearer t{}\r\n", count.load(Ordering::Relaxed));
        let good = request.to_ascii_lowercase().contains(&wanted);
        let used = |left: usize| left.checked_sub(1);
        match good && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, used).is_ok() {
            true => served(at),
            false => wants_token(server),
        }
    });
    (server, given)
}

#[test]
fn a_token_that_expires_on_the_way_is_got_again() {
    let store = Store::new("pull-expired");
    let layout = Layout::new(&store.0.join("image"), &archives(&[vec![file("note", "x")]]));
    let (server, given) = forgetful(&layout, 1);
    store.does(&["root", "pull", &format!("{}/web", server.at()), "web"]);
    assert_eq!(given.load(Ordering::Relaxed), 3, "one each for manifest, configuration and layer");
    assert_eq!(store.does(&["root", "verify"]), "web: as stored\n");
}

#[test]
fn a_token_that_is_never_good_is_not_asked_for_again_and_again() {
    let store = Store::new("pull-never");
    let layout = Layout::new(&store.0.join("image"), &archives(&[vec![file("note", "x")]]));
    let (server, given) = forgetful(&layout, 0);
    let said = store.fails(&["root", "pull", &format!("{}/web", server.at()), "web"], "the registry says 401");
    assert!(said.contains("hint: podman login"), "{said}");
    assert_eq!(given.load(Ordering::Relaxed), 1);
}
