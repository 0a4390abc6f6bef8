//! HOME is the runtime's affair: engines leave it unset, and the list of users inside tells it.

use super::container::Container;
use super::patience::within;
use serde_json::json;
use testkit::{Scratch, is_root};

const USERS: &str =
    "root:x:0:0:root:/some where:/bin/sh\nbroken\nuser:x:7:7:with a comment:/home/of7:/bin/sh\nlast:x:8:8::/of8";

/// A container with `file` as its list of users, whose own program writes its HOME to /dev/home.
fn container(name: &str, environment: &[&str], file: &std::path::Path) -> Container {
    let script = "echo \"$HOME\" >/dev/home; exec sleep 1000";
    let container = Container::with(name, script, |config| {
        config["process"]["env"] = json!(environment);
        let mounts = config["mounts"].as_array_mut().expect("it is a list");
        mounts.push(json!({ "destination": "/etc/passwd", "type": "bind", "source": file, "options": ["bind", "ro"] }));
    });
    within(20, "the container has begun", || container.exec(&[], "test -s /dev/home").status.success());
    container
}

#[test]
fn home_is_what_the_list_of_users_inside_says_unless_a_variable_says_it() {
    let scratch = Scratch::new("home");
    let users = scratch.join("users");
    std::fs::write(&users, USERS).expect("the scratch directory can be written");
    const SAY: &str = "cat /dev/home; echo \"$HOME\"";
    let found = container("home-found", &["PATH=/usr/bin"], &users);
    assert_eq!(found.says(&[], SAY), "/some where\n/some where\n");
    assert_eq!(found.says(&["--env", "HOME=/mine"], SAY), "/some where\n/mine\n");
    assert_eq!(found.says(&["--env", "HOME="], SAY), "/some where\n/some where\n");
    if is_root() {
        let of = |user: &str| found.says(&["--user", user], "echo \"$HOME\"");
        assert_eq!(["7", "8", "9"].map(of), ["/home/of7\n", "/of8\n", "/\n"]);
    }
    let said = container("home-said", &["PATH=/usr/bin", "HOME=/dev"], &users);
    assert_eq!(said.says(&[], SAY), "/dev\n/dev\n");
}

#[test]
fn a_list_of_users_that_is_no_file_keeps_nobody_waiting() {
    let scratch = Scratch::new("home-pipe");
    let pipe = scratch.join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).expect("the scratch directory can be written");
    let container = container("home-pipe", &["PATH=/usr/bin"], &pipe);
    assert_eq!(container.says(&[], "cat /dev/home; echo $HOME"), "/\n/\n");
}
