//! Many containers at once.

use super::{bundle, empty, oci, text};
use std::process::Stdio;
use testkit::Scratch;

#[test]
fn containers_that_start_side_by_side_are_in_nobodys_way() {
    const AT_ONCE: usize = 8;
    const EACH: usize = 5;
    let scratch = Scratch::new("oci-crowd");
    bundle(&scratch, "exit 7");
    let (scratch, place) = (&scratch, scratch.join("."));
    std::thread::scope(|all| {
        for row in 0..AT_ONCE {
            let place = &place;
            all.spawn(move || {
                for number in 0..EACH {
                    let id = format!("holm-test-crowd-{}-{row}-{number}", std::process::id());
                    let mut run = oci(scratch);
                    let output = run.args(["run", "-b"]).arg(place).arg(&id).stdout(Stdio::null()).output();
                    let output = output.expect("holm starts");
                    assert_eq!(output.status.code(), Some(7), "{id}: {}", text(&output.stderr));
                }
            });
        }
    });
    assert!(empty(&scratch.join("state")));
}
