//! Detached sandboxes: held, let go, started at a door.

use holm::run::{Door, Held, NotStarted};
use holm::spec::filesystem::{Content, Entry, Operation};
use holm::spec::life::{Lifetime, Stdio};
use holm::{Error, Spec};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use testkit::{Scratch, Traces};

/// A place with a door, and a wish that waits there and writes to a file.
struct Site {
    scratch: Scratch,
    directory: File,
    output: File,
}

impl Site {
    fn new(name: &str) -> Site {
        let scratch = Scratch::new(name);
        let directory = File::open(scratch.join(".")).expect("it is there");
        let output = File::create(scratch.join("output")).expect("the scratch directory can be written");
        Site { scratch, directory, output }
    }

    fn spec(&self, program: &str, arguments: &[&str]) -> Spec {
        let mut spec = Spec::new(program).args(arguments);
        spec.lifetime = Lifetime::Detached;
        spec.stdio = [Stdio::Null, Stdio::Descriptor(self.output.as_raw_fd()), Stdio::Inherit];
        spec
    }

    fn hold(&self, program: &str, arguments: &[&str]) -> Held {
        let door = Door::make(self.directory.as_fd(), "door").expect("the scratch directory can be written");
        self.spec(program, arguments).plan().expect("it can be planned").hold(Some(door)).expect("it is held")
    }

    fn knock(&self) -> Result<(), NotStarted> {
        Door::knock(self.directory.as_fd(), "door")
    }

    fn said(&self) -> String {
        let mut said = String::new();
        let read = File::open(self.scratch.join("output")).and_then(|mut file| file.read_to_string(&mut said));
        read.map(|_| said).expect("it is text")
    }
}

/// The exit code of a child.
fn end(process: &OwnedFd) -> Option<i32> {
    let ended = waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED).expect("it is a child of this process");
    ended.and_then(|status| status.exit_status())
}

#[test]
fn detached_sandboxes_wait_start_once_and_end_as_they_should() {
    // One test: others in the same process would be seen as traces.
    let before = Traces::now();
    the_program_itself_is_the_first_process();
    a_program_that_is_missing_is_told_to_who_makes_it();
    a_program_that_is_none_is_told_to_who_starts_it();
    without_a_door_its_holder_starts_it();
    what_is_not_let_go_ends_with_its_owner();
    what_is_let_go_can_be_killed_before_it_starts();
    each_way_of_starting_takes_its_own_wishes();
    assert_eq!(Traces::now(), before);
}

fn the_program_itself_is_the_first_process() {
    let site = Site::new("held-first");
    let script = "echo $$ $PPID; readlink /proc/1/exe; ls /proc/self/fd; exit 7";
    let held = site.hold("sh", &["-c", script]);
    let name = std::fs::read_to_string(format!("/proc/{}/comm", held.id())).expect("it lives");
    assert_eq!(name, "holm-init\n");
    let process = held.let_go().expect("it waits");
    assert_eq!(site.said(), "", "it must not run before it is started");
    site.knock().expect("it waits");
    assert_eq!(end(&process), Some(7));
    let said = site.said();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "1 0");
    assert!(lines[1].starts_with("/usr/bin/"), "{said}");
    assert_eq!(lines[2..], ["0", "1", "2", "3"], "ls has its own descriptor of the directory, and nobody another");
    assert!(matches!(site.knock(), Err(NotStarted::Nobody)));
}

fn a_program_that_is_missing_is_told_to_who_makes_it() {
    let site = Site::new("held-missing");
    let door = Door::make(site.directory.as_fd(), "door").expect("the scratch directory can be written");
    let error = site
        .spec("/no/such/program", &[])
        .plan()
        .expect("it can be planned")
        .hold(Some(door))
        .expect_err("it is missing");
    assert_eq!(error.exit_code(), 127, "{error}");
}

fn a_program_that_is_none_is_told_to_who_starts_it() {
    let site = Site::new("held-none");
    let mut spec = site.spec("/none", &[]);
    let content = Content::Bytes(b"\x7fELF".to_vec());
    spec.filesystem
        .push(Entry { operation: Operation::File { at: "/none".into(), content, mode: 0o755 }, origin: String::new() });
    let door = Door::make(site.directory.as_fd(), "door").expect("the scratch directory can be written");
    let process =
        spec.plan().expect("it can be planned").hold(Some(door)).expect("it is held").let_go().expect("it waits");
    match site.knock() {
        Err(NotStarted::Failed { errno, .. }) => assert_eq!(errno, rustix::io::Errno::NOEXEC.raw_os_error()),
        other => panic!("{other:?}"),
    }
    assert_eq!(end(&process), Some(125));
}

fn without_a_door_its_holder_starts_it() {
    let site = Site::new("held-alone");
    let hold = |spec: Spec| spec.plan().expect("it can be planned").hold(None).expect("it is held");
    let held = hold(site.spec("sh", &["-c", "echo $$ $PPID; ls /proc/self/fd; exit 7"]));
    let pid = held.id();
    assert_eq!(site.said(), "", "it must not run before it is started");
    let process = held.start().expect("it waits");
    assert_eq!(end(&process), Some(7));
    assert_eq!(site.said(), "1 0\n0\n1\n2\n3\n");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    let mut none = site.spec("/none", &[]);
    let content = Content::Bytes(b"\x7fELF".to_vec());
    let operation = Operation::File { at: "/none".into(), content, mode: 0o755 };
    none.filesystem.push(Entry { operation, origin: String::new() });
    match hold(none).start() {
        Err(NotStarted::Failed { errno, .. }) => assert_eq!(errno, rustix::io::Errno::NOEXEC.raw_os_error()),
        other => panic!("{other:?}"),
    }
}

fn what_is_not_let_go_ends_with_its_owner() {
    let site = Site::new("held-dropped");
    let held = site.hold("true", &[]);
    let pid = Pid::from_raw(held.id()).expect("it is a pid");
    let process = pidfd_open(pid, PidfdFlags::empty()).expect("it lives");
    drop(held);
    assert!(pidfd_send_signal(&process, Signal::KILL).is_err(), "it has ended and was waited for");
}

fn what_is_let_go_can_be_killed_before_it_starts() {
    let site = Site::new("held-killed");
    let held = site.hold("true", &[]);
    let process = held.let_go().expect("it waits");
    pidfd_send_signal(&process, Signal::KILL).expect("it lives");
    assert_eq!(end(&process), None);
    assert!(matches!(site.knock(), Err(NotStarted::Nobody)));
}

fn each_way_of_starting_takes_its_own_wishes() {
    let site = Site::new("held-ways");
    let plan = site.spec("true", &[]).plan().expect("it can be planned");
    assert!(matches!(plan.spawn(), Err(Error::Refused(_))));
    let door = Door::make(site.directory.as_fd(), "door").expect("the scratch directory can be written");
    assert!(matches!(Spec::new("true").plan().expect("it can be planned").hold(Some(door)), Err(Error::Refused(_))));
    let mut waits = site.spec("true", &[]);
    waits.wait_all = true;
    let refusal = waits.plan().expect_err("nobody would wait").to_string();
    assert_eq!(refusal, "cannot wait for every process: the sandbox is detached, and nobody would be there to do it");
}
