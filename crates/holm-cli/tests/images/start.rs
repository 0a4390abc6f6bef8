//! Programs in roots that were made from images start as the image says, but where an option says otherwise.

use crate::archives::{file, member, sum};
use crate::layout::{Layout, archives};
use crate::patience::{Running, within};
use crate::stores::Store;
use serde_json::{Value, json};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use testkit::{has_ranges, is_root, skip};

const TOOLS: [&str; 6] = ["--bind", "/usr", "--bind", "/lib", "--bind", "/lib64"];

/// A store with an image of this configuration beside it.
fn image(name: &str, config: Value) -> Store {
    let store = Store::new(name);
    let passwd = "root:x:0:0::/root:/bin/sh\nweb:x:0:7::/srv/web:/bin/sh\n";
    let members = vec![member(b'5', "etc", "", b""), file("etc/passwd", passwd), file("etc/group", "staff:x:8:\n")];
    let mut layout = Layout::new(&store.0.join("image"), &archives(&[members]));
    layout.config["config"] = config;
    layout.write();
    store
}

fn run(store: &Store, options: &[&str]) -> String {
    store.does(&[&["run", "--root", "oci:image"], TOOLS.as_slice(), options].concat())
}

const TELL: &str = "echo $(id -u):$(id -g) $(pwd) $A $HOME $0 \"$@\"";

#[test]
fn the_image_counts_where_no_option_does() {
    let store = image(
        "start",
        json!({
            "Env": ["A=image", "PATH=/usr/bin"], "WorkingDir": "/not/there", "User": "web",
            "Entrypoint": ["sh", "-c", TELL], "Cmd": ["name", "argument"],
        }),
    );
    let gid = if is_root() { "7" } else { "0" };
    let user = if is_root() { "web" } else { "root" };
    // An ordinary user has one id only, of each kind.
    let own: &[&str] = if is_root() { &[] } else { &["--user", "0:0"] };
    let home = if is_root() { "/srv/web" } else { "/root" };
    assert_eq!(run(&store, own), format!("0:{gid} /not/there image {home} name argument\n"), "{user}");
    assert_eq!(run(&store, own), format!("0:{gid} /not/there image {home} name argument\n"), "from the store");
    let options = ["--user", "0:0", "--chdir", "/etc", "--env", "A=mine"];
    assert_eq!(run(&store, &options), "0:0 /etc mine /root name argument\n");
    assert_eq!(run(&store, &[own, &["sh", "-c", "echo own"]].concat()), "own\n");
    assert_eq!(store.does(&["root", "ls"]).lines().count(), 2, "it is stored once");
}

#[test]
fn files_of_an_image_have_their_owners_where_the_caller_has_ranges_of_ids() {
    let store = image("start-owners", json!({}));
    // Root owns files as it likes without.
    if is_root() {
        return;
    }
    if !has_ranges() {
        return skip("the caller has no ranges in /etc/subuid, or newuidmap is missing");
    }
    let mut of_three = member(b'0', "theirs", "", b"x");
    of_three[108..115].copy_from_slice(b"0000003");
    of_three[116..123].copy_from_slice(b"0000004");
    sum(&mut of_three);
    std::fs::write(store.0.join("a.tar"), &of_three).expect("scratch is ours");
    Layout::new(&store.0.join("two"), &archives(&[vec![of_three]])).write();
    for (source, name) in [("two", "image"), ("a.tar", "archive")] {
        store.does(&["root", "import", source, name]);
        let shown = store.does(&["root", "show", name, "--json"]);
        assert!(shown.contains(r#""owners": "kept""#), "{shown}");
    }
    let tools = ["--user", "root", "--map", "auto", "--bind", "/usr", "--bind", "/lib", "--bind", "/lib64"];
    let owner = ["stat", "-c", "%u:%g", "/theirs"];
    assert_eq!(store.does(&[&["run", "--root", "store:image"], tools.as_slice(), &owner].concat()), "3:4\n");
    assert_eq!(store.does(&["root", "verify"]), "archive: as stored\nimage: as stored\n");
    store.does(&["root", "rm", "image"]);
    store.does(&["root", "rm", "archive"]);
}

#[test]
fn an_image_that_says_nothing_runs_as_root_in_the_root_directory() {
    let store = image("start-bare", json!({}));
    assert_eq!(run(&store, &["sh", "-c", TELL]), "0:0 / /root sh\n");
    store.fails(&["run", "--root", "oci:image"], "it has neither an entrypoint nor a command");
    store.fails(&["run"], "cannot run: no program is given");
}

#[test]
fn a_user_that_the_image_lacks_is_told() {
    let store = image("start-user", json!({ "User": "nobody-here", "Cmd": ["true"] }));
    let said = store.fails(&["run", "--root", "oci:image"], "its /etc/passwd has no user nobody-here");
    assert!(said.contains("hint: --user UID:GID"), "{said}");
    let store = image("start-group", json!({ "User": "0:nogroup-here", "Cmd": ["true"] }));
    store.fails(&["run", "--root", "oci:image"], "its /etc/group has no group nogroup-here");
}

#[test]
fn a_wrong_option_costs_no_look_at_a_registry() {
    let store = Store::new("start-wrong");
    let registry = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    registry.set_nonblocking(true).expect("a listener of ours");
    let asked = || registry.accept().is_ok();
    let root = format!("docker:{}/x:1", registry.local_addr().expect("a listener has an address"));
    let profile = store.0.join("other.toml");
    fs::write(&profile, format!("root = \"{root}\"\n")).expect("scratch is ours");
    store.fails(&["run", "--root", &root, "--map", "x", "true"], "cannot use the value of --map x");
    store.fails(&["run", "--root", &root, "--pids", "many", "true"], "cannot use the value of --pids many");
    store.does(&["run", "--profile", "other.toml", "--root", "host", "true"]);
    assert!(!asked(), "the registry was asked");
    let mut pull = Running::new(store.holm(&["run", "--root", &root, "true"]).stderr(Stdio::null()));
    within(10, "without a wrong option it is asked", asked);
    drop(registry);
    assert_eq!(pull.code(), Some(125));
}
