//! A reading leaves nothing open: a program of its own, so that no other test opens anything meanwhile.

use holm::inspect::read::read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use testkit::Traces;

#[test]
fn a_reading_leaves_no_descriptor_while_processes_come_and_go() {
    let before = Traces::now().descriptors;
    let end = Instant::now() + Duration::from_secs(2);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while Instant::now() < end {
                    let arguments = ["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "true"];
                    let done = Command::new("unshare").args(arguments).stderr(Stdio::null()).status();
                    assert!(done.is_ok(), "unshare is there");
                }
            });
        }
        while Instant::now() < end {
            let machine = read().expect("/proc is there");
            assert!(machine.process(std::process::id()).is_some());
        }
    });
    assert_eq!(Traces::now().descriptors, before);
}
