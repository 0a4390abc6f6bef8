//! A systemd that a test plays, on a socket of its own.

use super::bus::{Bus, Peer};
use super::message::{Body, Kind, Message};
use super::*;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

/// Plays a bus on one end, whose `answers` say what comes for a member, in order; returns the calls that came.
type Answer = std::result::Result<Body, &'static str>;

fn play(mut answers: Vec<(&'static str, Answer, Option<Body>)>) -> (Bus, JoinHandle<Vec<String>>) {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let other = std::thread::spawn(move || {
        let mut lines = BufReader::with_capacity(1, theirs.try_clone().expect("a second descriptor"));
        for text in ["AUTH EXTERNAL", "DATA", "BEGIN"] {
            let mut line = String::new();
            lines.read_line(&mut line).expect("it says who it is");
            assert_eq!(line.trim_start_matches('\0').trim_end(), text);
        }
        (&theirs).write_all(b"DATA\r\nOK 0123\r\n").expect("it listens");
        let mut calls = Vec::new();
        while let Ok(call) = Message::read(&theirs) {
            assert_eq!((call.kind, call.destination.as_str()), (Kind::Call, ""));
            calls.push(call.member.clone());
            let Some(place) = answers.iter().position(|(member, ..)| *member == call.member) else { continue };
            let (_, answer, signal) = answers.remove(place);
            // A signal before the answer is not lost.
            if let Some(body) = signal {
                let signal = Message::new(Kind::Signal, 90, body);
                let interface = "org.freedesktop.systemd1.Manager".to_owned();
                let signal = Message { interface, member: "JobRemoved".to_owned(), ..signal };
                (&theirs).write_all(&signal.bytes().expect("it fits")).expect("it listens");
            }
            let mut reply = match answer {
                Ok(body) => Message::new(Kind::Reply, 91, body),
                Err(name) => {
                    let words = Body::of(&("as a test says.",)).expect("it fits");
                    Message {
                        error: format!("org.freedesktop.systemd1.{name}"),
                        ..Message::new(Kind::Error, 91, words)
                    }
                }
            };
            reply.reply_to = call.serial;
            (&theirs).write_all(&reply.bytes().expect("it fits")).expect("it listens");
        }
        calls
    });
    (Bus::new(ours, Peer::Direct).expect("it answers"), other)
}

fn job(number: u32) -> OwnedObjectPath {
    OwnedObjectPath::try_from(format!("/org/freedesktop/systemd1/job/{number}")).expect("it is a path")
}

fn removed(number: u32, result: &str) -> Option<Body> {
    Body::of(&(number, job(number), "web.scope", result)).ok()
}

fn with(bus: Bus) -> Wish {
    let unit = "web.scope".to_owned();
    // Where this process, and so its keeper, is already.
    let text = std::fs::read_to_string("/proc/self/cgroup").expect("/proc is there");
    let group = text.lines().find_map(|line| line.strip_prefix("0::")).expect("there is version 2").into();
    Wish { bus, unit, base: "/".into(), group, properties: Vec::new() }
}

fn answer(body: &(impl serde::Serialize + zbus::DynamicType)) -> Answer {
    Ok(Body::of(body).expect("it fits"))
}

#[test]
fn a_scope_begins_when_its_job_is_done_and_ends_with_who_made_it() {
    let (bus, other) = play(vec![
        ("StartTransientUnit", Err("UnitExists"), None),
        ("ResetFailedUnit", Ok(Body::default()), None),
        ("StartTransientUnit", answer(&(job(7),)), removed(7, "done")),
        ("StopUnit", answer(&(job(8),)), removed(8, "done")),
        ("ResetFailedUnit", Err("NoSuchUnit"), None),
    ]);
    let scope = with(bus).start().expect("systemd makes it");
    drop(scope);
    let calls = other.join().expect("it plays well");
    let expected = ["StartTransientUnit", "ResetFailedUnit", "StartTransientUnit", "StopUnit", "ResetFailedUnit"];
    assert_eq!(calls, expected);
}

#[test]
fn a_scope_that_does_not_begin_is_told_by_systemds_words() {
    let (bus, other) = play(vec![("StartTransientUnit", Err("AccessDenied"), None)]);
    let error = with(bus).start().map(drop).expect_err("it is refused");
    assert_eq!(error.to_string(), "cannot make unit web.scope: as a test says");
    drop(error);
    assert_eq!(other.join().expect("it plays well"), ["StartTransientUnit"]);
    let (bus, other) = play(vec![
        ("StartTransientUnit", answer(&(job(7),)), removed(7, "failed")),
        ("StopUnit", Err("NoSuchUnit"), None),
        ("ResetFailedUnit", Ok(Body::default()), None),
    ]);
    let error = with(bus).start().map(drop).expect_err("its job fails");
    assert_eq!(error.to_string(), "cannot make unit web.scope: its job has ended as failed");
    let said = " (hint: this process is not below the user's systemd, /no/such; begin with systemd-run --user --scope)";
    assert_eq!(super::hint(Path::new("/no/such")), said);
    assert_eq!(other.join().expect("it plays well").len(), 3);
}

#[test]
fn the_top_of_systemds_groups_is_asked_for() {
    let (mut bus, other) = play(vec![("Get", answer(&(Variant::from("/user.slice"),)), None)]);
    assert_eq!(bus.base().map_err(|refused| refused.to_string()), Ok("/user.slice".into()));
    drop(bus);
    assert_eq!(other.join().expect("it plays well"), ["Get"]);
}
