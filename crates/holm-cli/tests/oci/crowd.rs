//! Many containers at once.

use super::{bundle, empty, oci, text};
use std::process::Stdio;
use testkit::Scratch;

/// Those of a round have one root, whose mount points each would make.
#[test]
fn containers_that_start_side_by_side_are_in_nobodys_way() {
    const AT_ONCE: usize = 8;
    const ROUNDS: usize = 6;
    for round in 0..ROUNDS {
        let scratch = &Scratch::new(&format!("oci-crowd-{round}"));
        bundle(scratch, "exit 7");
        let place = &scratch.join(".");
        std::thread::scope(|all| {
            for number in 0..AT_ONCE {
                all.spawn(move || {
                    let id = format!("holm-test-crowd-{}-{round}-{number}", std::process::id());
                    let mut run = oci(scratch);
                    let output = run.args(["run", "-b"]).arg(place).arg(&id).stdout(Stdio::null()).output();
                    let output = output.expect("holm starts");
                    assert_eq!(output.status.code(), Some(7), "{id}: {}", text(&output.stderr));
                });
            }
        });
        assert!(empty(&scratch.join("state")));
    }
}
