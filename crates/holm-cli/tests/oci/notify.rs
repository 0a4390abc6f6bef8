//! Filters that ask: the listener goes to who listens at the agent's socket, with the state of the container.

use super::container::Container;
use super::patience::within;
use super::site::Site;
use super::{done, oci, text};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use testkit::Scratch;

/// A filter that asks about these calls.
fn filter(socket: &Path, names: &[&str]) -> Value {
    json!({ "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": socket, "listenerMetadata": "told besides",
        "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        "syscalls": [{ "names": names, "action": "SCMP_ACT_NOTIFY" }] })
}

/// The next listener, and what is said of it.
fn next(agent: &UnixListener) -> (Value, OwnedFd) {
    // A container that isn't made fails the test; nobody waits for it here.
    let mut taken = None;
    within(60, "it is connected", || {
        taken = agent.accept().ok();
        taken.is_some()
    });
    let (taken, _) = taken.expect("it was connected");
    let mut bytes = [0u8; 4096];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [std::io::IoSliceMut::new(&mut bytes)];
    let length = recvmsg(&taken, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC).expect("it was sent").bytes;
    let listener = ancillary.drain().find_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    (serde_json::from_slice(&bytes[..length]).expect("it is JSON"), listener.expect("it carries one"))
}

#[test]
fn an_agent_gets_the_listener_of_each_process_and_without_it_calls_are_not_there() {
    let scratch = Scratch::new("oci-agent");
    let socket = scratch.join("agent");
    let agent = UnixListener::bind(&socket).expect("scratch is ours");
    agent.set_nonblocking(true).expect("it is a socket");
    // All of these are made by the set-up, too, before there is an agent.
    let names = ["mkdir", "execveat", "close_range", "setsid"];
    let container = std::thread::scope(|scope| {
        let first = scope.spawn(|| next(&agent).0);
        let made = Container::with("agent", "exec sleep 1000", |config| {
            config["linux"]["seccomp"] = filter(&socket, &names);
        });
        let state = first.join().expect("it was handed over");
        assert_eq!((&state["fds"], &state["metadata"]), (&json!(["seccompFd"]), &json!("told besides")));
        assert_eq!((&state["pid"], &state["state"]["pid"]), (&json!(made.pid()), &json!(made.pid())));
        assert_eq!((&state["state"]["id"], &state["state"]["status"]), (&json!(made.id), &json!("creating")));
        made
    });
    let said = std::thread::scope(|scope| {
        // Nobody holds the listener then: what is asked has no answer.
        let second = scope.spawn(|| next(&agent).0);
        let output = container.exec(&[], "mkdir /dev/new 2>&1; echo $?");
        let state = second.join().expect("it was handed over");
        assert_ne!(state["pid"], state["state"]["pid"]);
        assert_eq!(state["state"]["status"], "running");
        text(&output.stdout)
    });
    assert!(said.ends_with("1\n") && said.contains("Function not implemented"), "{said}");
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let mut site = Site::new("unasked", "true");
    let nobody = site.scratch.join("nobody");
    let mut none = filter(Path::new(""), &["mkdir"]);
    none["defaultErrnoRet"] = Value::Null;
    let missing = filter(&nobody, &["mkdir"]);
    let mut all = filter(&nobody, &["mkdir"]);
    all["defaultAction"] = json!("SCMP_ACT_NOTIFY");
    for (seccomp, cause) in [
        (none, "SCMP_ACT_NOTIFY needs a listener"),
        (missing, "failed to connect with seccomp agent"),
        (filter(&nobody, &["write"]), "SCMP_ACT_NOTIFY cannot be used for the write syscall"),
        (filter(&nobody, &["sendmsg"]), "SCMP_ACT_NOTIFY cannot be used for the sendmsg syscall"),
        (all, "SCMP_ACT_NOTIFY cannot be used as the default action"),
    ] {
        site.config["linux"]["seccomp"] = seccomp;
        let output = done(oci(&site.scratch), &["run", "-b", &site.written(), &site.id]);
        assert_eq!(output.status.code(), Some(1), "{cause}");
        assert!(text(&output.stderr).contains(cause), "{}", text(&output.stderr));
    }
}

#[test]
fn a_hook_under_the_filter_has_an_agent_too() {
    let mut site = Site::new("agent-hook", "exec sleep 1000");
    let agent = UnixListener::bind(site.scratch.join("agent")).expect("scratch is ours");
    agent.set_nonblocking(true).expect("it is a socket");
    site.config["linux"]["seccomp"] = filter(&site.scratch.join("agent"), &["mkdir"]);
    let script = "mkdir /dev/new 2>/dev/null; test $? = 1";
    site.config["hooks"] = json!({ "startContainer": [{ "path": "/bin/sh", "args": ["sh", "-c", script] }] });
    let place = site.written();
    let does = |arguments: &[&str]| {
        let mut command = oci(&site.scratch);
        command.args(arguments).arg(&site.id);
        let (code, said) = site.said(command);
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
    };
    for (arguments, status) in [(&["create", "-b", &place][..], "creating"), (&["start"], "created")] {
        std::thread::scope(|scope| {
            let told = scope.spawn(|| next(&agent).0);
            does(arguments);
            assert_eq!(told.join().expect("it was handed over")["state"]["status"], status);
        });
    }
}
