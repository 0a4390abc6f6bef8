//! Containers that say when they are ready (sd_notify(3)), to who waits at `NOTIFY_SOCKET`.

use super::patience::within;
use super::site::Site;
use super::{oci, text};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A container whose perl says `lines` to its socket and then runs on, and a socket of its caller's.
fn site(name: &str, lines: &str) -> (Site, UnixDatagram) {
    let say = "use Socket; socket(S, PF_UNIX, SOCK_DGRAM, 0) or die; connect(S, pack_sockaddr_un($ENV{NOTIFY_SOCKET})) or die; \
        syswrite(S, $_) for @ARGV";
    let script =
        format!("touch /run/notify/x 2> /dev/null || echo refused > /said; perl -e '{say}' {lines}; exec sleep 1000");
    let site = Site::new(name, &script);
    let host = UnixDatagram::bind(site.scratch.join("host")).expect("scratch is ours");
    host.set_read_timeout(Some(Duration::from_secs(60))).expect("it is a socket");
    (site, host)
}

fn command(site: &Site, arguments: &[&str]) -> Command {
    let mut command = oci(&site.scratch);
    command.env("NOTIFY_SOCKET", site.scratch.join("host")).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn next(host: &UnixDatagram) -> String {
    let mut bytes = [0; 4096];
    let length = host.recv(&mut bytes).expect("somebody says something");
    text(&bytes[..length])
}

#[test]
fn that_a_container_is_ready_is_passed_on_and_nothing_else_of_what_it_says() {
    let (site, host) = site("ready", "'STATUS=MAINPID=1' 'MAINPID=1\nREADY=11' 'MAINPID=1\nREADY=1\nSTATUS=up'");
    let place = site.written();
    assert!(command(&site, &["create", "-b", &place, &site.id]).status().expect("holm starts").success());
    let mut start = command(&site, &["start", &site.id]).spawn().expect("holm starts");
    let state = || super::done(oci(&site.scratch), &["state", &site.id]);
    let state: serde_json::Value = serde_json::from_slice(&state().stdout).expect("it is JSON");
    assert_eq!(next(&host), format!("MAINPID={}\nREADY=1\n", state["pid"]));
    // It waits until its barrier, whose descriptor goes with a message that isn't read whole, has been let go.
    assert_eq!(next(&host), "BARRIER=1");
    assert!(start.wait().expect("it ends").success());
    assert_eq!(std::fs::read_to_string(site.scratch.join("rootfs/said")).expect("it was written"), "refused\n");
    let places = || site.scratch.join("state").join(&site.id);
    assert!(places().join("notify/notify.sock").exists());
    assert!(super::done(oci(&site.scratch), &["delete", "--force", &site.id]).status.success());
    assert!(!places().exists());
}

#[test]
fn a_container_that_ends_is_not_waited_for_and_one_in_front_is_heard_beside() {
    let (site, host) = site("unready", "STATUS=no; exit 3");
    let place = site.written();
    let run = |more: &[&str]| command(&site, &[&["run", "-b", &place], more, &[&site.id]].concat()).status();
    assert_eq!(run(&["--detach"]).expect("holm starts").code(), Some(0));
    assert!(super::done(oci(&site.scratch), &["delete", "--force", &site.id]).status.success());
    assert_eq!(run(&[]).expect("holm starts").code(), Some(3));
    drop(site);
    let (site, front) = self::site("front", "READY=1");
    let place = site.written();
    let mut run = command(&site, &["run", "-b", &place, &site.id]).spawn().expect("holm starts");
    assert!(next(&front).ends_with("READY=1\n"));
    assert!(super::done(oci(&site.scratch), &["kill", &site.id, "KILL"]).status.success());
    within(60, "it ends", || run.try_wait().expect("it is a child").is_some());
    assert!(host.set_nonblocking(true).is_ok() && host.recv(&mut [0; 9]).is_err());
}
